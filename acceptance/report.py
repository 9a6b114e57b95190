"""The truth report: `report.md` for people, `report.json` for programs, without ids, so that both may be published."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from acceptance.event_forms import ACCOUNT, ID, UUID, load_fixtures
from acceptance.narration import Check
from acceptance.recorder import Recorder
from acceptance.state import State
from acceptance.truth import RANKS, Difference, Observed, compare, load_reference, observed, own_events

LAST_STEP = "ask to be refused"


@dataclass(frozen=True)
class Report:
    """What a run says of Lifeboat and of AWS."""

    region: str
    checks: Sequence[Check]
    differences: Sequence[Difference]
    observed: Observed
    local: Observed
    events: Sequence[Any]

    @property
    def ok(self) -> bool:
        return bool(self.checks) and all(check.ok for check in self.checks)


def write(folder: Path, state: State, recorder: Recorder, checks: Sequence[Check]) -> Report:
    """Write both files; the report."""
    local = load_reference()
    report = Report(
        region=state.region,
        checks=checks,
        differences=compare(recorder, local, load_fixtures(), whole=LAST_STEP in state.done),
        observed=observed(recorder),
        local=local,
        events=[event for event, _ in own_events(recorder)],
    )
    hidden = Hidden(recorder, state)
    (folder / "report.json").write_text(hidden.hide(json.dumps(_as_json(report), indent=1)) + "\n")
    (folder / "report.md").write_text(hidden.hide("\n".join(_lines(report))) + "\n")
    return report


class Hidden:
    """Puts names in place of ids, account numbers and the run."""

    def __init__(self, recorder: Recorder, state: State) -> None:
        self._roles = recorder.roles
        self._state = state
        self._numbers: dict[str, int] = {}

    def hide(self, text: str) -> str:
        """The same text without them; the same id has the same name everywhere."""
        text = text.replace(self._state.run, "<run>").replace(self._state.account, "<account>")
        text = UUID.sub(lambda found: self._numbered("uuid", found[0]), text)
        text = ID.sub(self._name, text)
        # What looks like a number of an account. A part of a longer word is none.
        return re.sub(
            rf"(?<![\w.-]){ACCOUNT.pattern}(?![\w.-])", lambda found: self._numbered("account", found[0]), text
        )

    def _name(self, found: re.Match[str]) -> str:
        role = self._roles.get(found[0])
        return f"<{found[1]} {role}>" if role else self._numbered(found[1], found[0])

    def _numbered(self, kind: str, value: str) -> str:
        number = self._numbers.setdefault(value, len(self._numbers) + 1)
        return f"<{kind} {number}>"


def _as_json(report: Report) -> dict[str, Any]:
    return {
        "ok": report.ok,
        "region": report.region,
        "checks": [asdict(check) for check in report.checks],
        "differences": [asdict(item) for item in report.differences],
        "observed": asdict(report.observed),
        "events": report.events,
    }


def _lines(report: Report) -> Iterator[str]:
    yield "# What an acceptance run observed"
    yield ""
    good = sum(check.ok for check in report.checks)
    yield f"Region {report.region}. {good} of {len(report.checks)} checks held. "
    yield f"{len(report.differences)} differences from the local AWS."
    yield from _differences(report.differences)
    yield from _table("Checks", ("", "check", "seen"), _checks(report))
    yield from _table("Steps", ("step", "seconds here", "on the local AWS"), _steps(report))
    yield from _table("States, as polling showed them", ("resource", "here", "on the local AWS"), _states(report))
    yield from _table("Events", ("resource", "event", "here", "on the local AWS"), _events(report))
    codes = ((name, ", ".join(codes)) for name, codes in report.observed.codes.items())
    yield from _table("Calls", ("operation", "answers and error codes"), codes)
    yield ""
    yield "Which permissions were granted and never used is not observed: CloudTrail and IAM were not asked."


def _differences(found: Sequence[Difference]) -> Iterator[str]:
    for rank, meaning in RANKS.items():
        rows = [(item.kind, item.about, item.here, item.local) for item in found if item.rank == rank]
        if rows:
            yield from _table(f"Differences: {meaning}", ("kind", "about", "here", "local AWS or fixture"), rows)


def _checks(report: Report) -> Iterator[tuple[str, str, str]]:
    for check in report.checks:
        yield "ok" if check.ok else "FAILED", check.name, check.detail


def _steps(report: Report) -> Iterator[tuple[str, str, str]]:
    for name, seconds in report.observed.steps.items():
        yield name, f"{seconds:.0f}", f"{report.local.steps.get(name, 0):.0f}"


def _states(report: Report) -> Iterator[tuple[str, str, str]]:
    for role, states in report.observed.states.items():
        yield role, _sequence(states), _sequence(report.local.states.get(role, []))


def _sequence(states: Sequence[Sequence[Any]]) -> str:
    return ", ".join(f"{state} {seconds} s" for state, seconds in states)


def _events(report: Report) -> Iterator[tuple[str, str, str, str]]:
    for role, names in report.observed.events.items():
        for name, count in names.items():
            yield role, name, str(count), str(report.local.events.get(role, {}).get(name, 0))


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield from ("", f"## {title}", "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|")
    for row in rows:
        yield "| " + " | ".join(" ".join(cell.replace("|", "/").split()) for cell in row) + " |"
