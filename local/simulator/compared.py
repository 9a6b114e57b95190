"""What must never be where copies are compared with their sources.

Whether the two are equal is taken from what EC2 holds of both. A source that is gone shows nothing any more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from local.emulator.clock import CLOCK
from local.emulator.ec2.model import WORLD, Snapshot
from local.emulator.scope import Scope
from local.simulator import stage
from local.simulator.contents import find_damage

if TYPE_CHECKING:
    from local.simulator.people import People

HOUR = 3600.0
COMPARED_WITHIN = 4 * HOUR
"""When all is calm, a comparison that may go on does so within this time."""
COPY_OF = "lifeboat:copy-of"


class Compared:
    """The rules about comparisons. `refused` has the snapshots of which EBS refused a read."""

    def __init__(self, people: People, refused: Mapping[str, float], must_not: Callable[[str, str], None]) -> None:
        self._people = people
        self._refused = refused
        self._must_not = must_not
        self._unequal: set[str] = set()
        """The copies that were marked as unequal."""
        self.number = 0
        """How many comparisons have ended, as the tables say at the end."""

    def has_cause(self, snapshot_id: str) -> bool:
        """Whether a comparison may have failed this copy: it differs, or its source cannot be read."""
        copy = find_snapshot(snapshot_id)
        if copy is None or COPY_OF not in copy.tags:
            return False
        source_id = copy.tags[COPY_OF]
        source = find_snapshot(source_id)
        return (
            source is None
            or source_id in self._refused
            or bool(find_damage(source, all_blocks=True))
            or not are_equal(copy, source)
        )

    def marked(self, snapshot: Snapshot, value: str) -> None:
        """Verification has written what a snapshot has shown."""
        source = find_snapshot(snapshot.tags.get(COPY_OF, ""))
        if "unequal=yes" in value:
            self._unequal.add(snapshot.snapshot_id)
            if source and are_equal(snapshot, source):
                self._must_not(
                    "what is marked as unequal differs from its source",
                    f"{snapshot.snapshot_id} is marked {value}, and has the bytes of {source.snapshot_id}",
                )
        elif "result=proven" in value and snapshot.snapshot_id in self._unequal:
            self._must_not(
                "reading a copy back does not prove what differs from its source",
                f"{snapshot.snapshot_id} was marked as unequal, and is marked {value}",
            )

    def published(self, message: Mapping[str, Any]) -> None:
        """A message was published on the topic of any stack."""
        if message.get("event") != "CopyNotCompared":
            return
        for item in message["details"]["not_compared"]:
            name = item["snapshot_id"]
            if find_snapshot(name) and not (name in self._refused or self.has_cause(name)):
                self._must_not(
                    "what is not compared has a cause",
                    f"{name} was not compared: {item['reason']}; its source is there and was not refused",
                )

    def may_go_on(self, place: Scope) -> Iterator[tuple[str, float]]:
        """The comparisons that a stack can carry on now, and since when."""
        for name, item in stage.items("compare-open", self._people.stacks[place], place).items():
            record = json.loads(item["document"]["S"])
            since = datetime.fromisoformat(record["not_before"] or record["opened_at"]).timestamp()
            if since <= CLOCK.now():
                yield f"{name}, {record['reason'] or 'without a refusal'}", since

    def at_the_end(self) -> None:
        """All has been calm for long: no comparison waits."""
        for place, outputs in self._people.stacks.items():
            self.number += len(stage.items("compare-done", outputs, place))
            for name, since in self.may_go_on(place):
                if CLOCK.now() - since > COMPARED_WITHIN:
                    self._must_not(
                        "no comparison waits for long when all is calm",
                        f"{name}, may go on in {_name(place)} for {CLOCK.now() - since:.0f} seconds",
                    )


def find_snapshot(snapshot_id: str) -> Snapshot | None:
    """A snapshot of any account in any region."""
    held = (region.snapshots.get(snapshot_id) for region in WORLD.regions())
    return next((found for found in held if found is not None), None)


def are_equal(one: Snapshot, other: Snapshot) -> bool:
    """Whether two snapshots hold the same bytes; a block that was never written is zeros."""
    both = {*one.blocks, *other.blocks}
    return all(_kept(one, index) == _kept(other, index) for index in both)


def _kept(snapshot: Snapshot, index: int) -> bytes:
    block = snapshot.blocks.get(index)
    return block.kept if block else b""


def _name(place: Scope) -> str:
    return f"{place.account} in {place.region}"
