"""What a run observed, in a form that can be compared and published, and how it differs from what the local AWS shows.

Pure: nothing here calls AWS. `docs/design/truth.md` says what becomes of a difference.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from acceptance.event_forms import field_differences, name_of
from acceptance.recorder import OK, Recorder
from acceptance.run import POLL_SECONDS

REFERENCE = Path(__file__).parent / "reference.json"
"""What the local AWS shows: the `observed` of a run against it."""

SEEN_SECONDS = 2 * POLL_SECONDS
"""A state that lasts less may pass between two polls, so that it is not seen says nothing."""

FLEETING = {
    "vol": {"creating", "deleting", "in-use attaching", "in-use detaching"},
    "snap": {"pending"},
    "i": {"pending", "shutting-down", "stopping"},
    "ami": {"pending"},
}
"""States that the local AWS has, whether or not a poll came in time for them."""

BREAKS, MISLEADS, WORDS = 1, 2, 3
RANKS = {
    BREAKS: "a flow of Lifeboat depends on it",
    MISLEADS: "tests rely on it",
    WORDS: "nothing reads it",
}

READ_OF_EVENTS = re.compile(
    r"^(source|detail-type|resources.*|detail\.(event|result|snapshot_id|instance-id|state|State|ImageId|snapshots.*))$"
)
"""The fields of events that Lifeboat reads (lifeboat.domain.envelopes)."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference: what it is about, what was observed here, and what the local AWS shows."""

    rank: int
    kind: str
    about: str
    here: str
    local: str


@dataclass(frozen=True, slots=True)
class Observed:
    """What a run observed, without ids.

    Attributes:
        codes: the error codes of each operation, `ok` for an answer.
        states: by what a resource is in the run: each state, and for how many seconds it was seen.
        events: by what a resource is in the run: the names of its events, each with how often it came.
        steps: how long each step took, in seconds.
    """

    codes: Mapping[str, Sequence[str]]
    states: Mapping[str, Sequence[Sequence[Any]]]
    events: Mapping[str, Mapping[str, int]]
    steps: Mapping[str, float]


def observed(recorder: Recorder) -> Observed:
    """What a recorder holds, in this form. Of resources that are the same in the run, the first one stands for all."""
    states: dict[str, list[list[Any]]] = {}
    for resource, known in recorder.states.items():
        states.setdefault(_named(resource, recorder), list(_durations(known)))
    return Observed(
        codes={operation: sorted(codes) for operation, codes in sorted(recorder.calls.items())},
        states=dict(sorted(states.items())),
        events={role: dict(sorted(names.items())) for role, names in sorted(_events_by_role(recorder).items())},
        steps={name: round(seconds) for name, seconds in recorder.steps.items()},
    )


def _durations(known: Sequence[Sequence[str]]) -> Iterator[list[Any]]:
    for (state, first, last), following in zip(known, [*known[1:], None], strict=True):
        until = following[1] if following else last
        yield [state, round((datetime.fromisoformat(until) - datetime.fromisoformat(first)).total_seconds())]


def _named(resource: str, recorder: Recorder) -> str:
    """Such as `vol data`."""
    return f"{resource.split('-', maxsplit=1)[0]} {recorder.roles[resource]}"


def _events_by_role(recorder: Recorder) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for event, resource in own_events(recorder):
        found.setdefault(_named(resource, recorder), Counter())[name_of(event)] += 1
    return found


def own_events(recorder: Recorder) -> Iterator[tuple[Mapping[str, Any], str]]:
    """The events about resources of the run, each with the resource. Other events of the account are left out."""
    for event in recorder.events:
        for arn in event["resources"][:1]:
            resource = arn.rsplit("/", 1)[-1]
            if resource in recorder.roles:
                yield event, resource


def load_reference() -> Observed:
    return Observed(**json.loads(REFERENCE.read_text()))


def compare(
    recorder: Recorder, local: Observed, fixtures: Sequence[Mapping[str, Any]], *, whole: bool
) -> list[Difference]:
    """How a run differs from the local AWS, what matters most first.

    Args:
        whole: all steps were done, so what was not observed is a difference as well.
    """
    here = observed(recorder)
    found = [
        *_compare_fields((event for event, _ in own_events(recorder)), fixtures),
        *_compare_events(here, local, whole=whole),
        *_compare_states(here, local, whole=whole),
        *_compare_codes(here, local, whole=whole),
    ]
    return sorted(dict.fromkeys(found), key=lambda item: (item.rank, item.kind, item.about))


def _compare_fields(events: Iterable[Mapping[str, Any]], fixtures: Sequence[Mapping[str, Any]]) -> Iterator[Difference]:
    for event in events:
        of_kind = [fixture for fixture in fixtures if name_of(fixture) == name_of(event)]
        if not of_kind:
            yield Difference(MISLEADS, "event", name_of(event), "delivered", "no fixture of it")
            continue
        for path, seen, known in min((field_differences(event, fixture) for fixture in of_kind), key=len):
            rank = BREAKS if READ_OF_EVENTS.match(path) else WORDS
            yield Difference(rank, "event field", f"{name_of(event)}: {path}", seen, known)


def _compare_events(here: Observed, local: Observed, *, whole: bool) -> Iterator[Difference]:
    for role in sorted({*here.events, *local.events}):
        seen, known = Counter(here.events.get(role, {})), Counter(local.events.get(role, {}))
        for name in sorted({*seen, *known}):
            if seen[name] > known[name] or (whole and seen[name] < known[name]):
                yield Difference(BREAKS, "event", f"{role}: {name}", f"{seen[name]} times", f"{known[name]} times")


def _compare_states(here: Observed, local: Observed, *, whole: bool) -> Iterator[Difference]:
    for role, seen in here.states.items():
        kind, states = role.split()[0], [state for state, _ in seen]
        reference = local.states.get(role, [])
        of_kind = {item[0] for other, items in local.states.items() if other.split()[0] == kind for item in items}
        unknown = sorted({*states} - of_kind - FLEETING[kind])
        for state in unknown:
            yield Difference(BREAKS, "state", f"{role}: {state}", "seen", "there is no such state")
        lasting = dict.fromkeys(state for state, seconds in reference if seconds >= SEEN_SECONDS)
        skipped = [state for state in lasting if state not in states]
        for state in skipped if whole else []:
            yield Difference(MISLEADS, "state", f"{role}: {state}", "not seen", "seen for 20 s or more")
        common = [state for state in states if state in lasting]
        order = [state for state, _ in reference if state in lasting]
        if not unknown and not skipped and not _is_part(common, order):
            yield Difference(MISLEADS, "state", f"{role}: the order", ", ".join(common), ", ".join(order))


def _is_part(part: Sequence[str], whole: Sequence[str]) -> bool:
    """Whether a sequence is another one with some left out."""
    left = iter(whole)
    return all(state in left for state in part)


def _compare_codes(here: Observed, local: Observed, *, whole: bool) -> Iterator[Difference]:
    for operation in sorted({*here.codes, *local.codes}):
        seen, known = set(here.codes.get(operation, [])) - {OK}, set(local.codes.get(operation, [])) - {OK}
        more, less = seen - known, (known - seen if whole else set())
        if more or less:
            yield Difference(
                MISLEADS,
                "error code",
                operation,
                ", ".join(sorted(more)) or "not refused so",
                ", ".join(sorted(less)) or "not refused so",
            )
