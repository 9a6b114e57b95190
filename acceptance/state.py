"""What an acceptance run has made and done, in a file, so that it can go on or be cleaned up after any interruption."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".local" / "acceptance"
STACK_NAME = "lifeboat-acceptance"
TAG = "lifeboat-acceptance"
"""The tag of all that a run makes; its value is the run's id."""
ROLE = "lifeboat-acceptance-role"
"""The tag that says what a resource is in the run, such as `source`."""
SELECT = "lifeboat-acceptance-backup"
"""The tag by which the run's stack selects instances: of other instances it takes no backups."""


class OtherRunError(RuntimeError):
    """The file is of a run in another account or region."""


@dataclass
class State:
    """One run.

    Attributes:
        run: its id, the value of the tag; client tokens and names begin with it.
        intended: the roles of resources that were about to be made; written before each creation.
        made: the ids of resources by role.
        done: the steps that ended.
        facts: what later steps need of earlier ones.
        ended: whether everything was deleted.
    """

    path: Path
    run: str
    account: str
    region: str
    intended: list[str] = field(default_factory=list)
    made: dict[str, str] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    ended: bool = False

    @classmethod
    def begin(cls, folder: Path, account: str, region: str) -> State:
        """A new run; nothing of an earlier one is kept."""
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*"):
            old.unlink()
        state = cls(folder / "state.json", f"la-{secrets.token_hex(4)}", account, region)
        state.save()
        return state

    @classmethod
    def load(cls, folder: Path) -> State | None:
        """The run of a folder; None if there is none, or if it has ended."""
        path = folder / "state.json"
        if not path.exists():
            return None
        state = cls(path, **json.loads(path.read_text()))
        return None if state.ended else state

    def check_place(self, account: str, region: str) -> None:
        """Raises OtherRunError: the run is in another account or region."""
        if (account, region) != (self.account, self.region):
            raise OtherRunError(
                f"{self.path} is of a run in account {self.account}, {self.region}, and these credentials are of "
                f"{account}, {region}: use those, or delete the file if nothing of the run is left"
            )

    def save(self) -> None:
        """Write it, whole or not at all."""
        content = {name: value for name, value in asdict(self).items() if name != "path"}
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps(content, indent=1))
        draft.replace(self.path)

    def intend(self, role: str) -> None:
        if role not in self.intended:
            self.intended.append(role)
            self.save()

    def keep(self, role: str, resource_id: str) -> None:
        self.made[role] = resource_id
        self.save()

    def finish(self, step: str) -> None:
        self.done.append(step)
        self.save()

    @property
    def name(self) -> str:
        """What names begin with that AWS keeps in one space: of queues, rules, buckets and images."""
        return f"{STACK_NAME}-{self.run}"

    @property
    def bucket(self) -> str:
        """The bucket of what `sam deploy` packages."""
        return f"{self.name}-{self.account}-{self.region}"[:63]

    def tags(self, role: str) -> dict[str, str]:
        """The tags of a resource."""
        return {TAG: self.run, ROLE: role, "Name": f"{self.name} {role}"}
