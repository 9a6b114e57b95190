"""What no second try mends within moments: EC2 that is out of room, hangs, or never gets well; no event at all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.restore_cases import (
    EFFECTS,
    INSTANCE_EVENT,
    REFUSED,
    VOLUME_EVENT,
    Act,
    Case,
    Made,
    Matrix,
    Run,
    all_of,
    call,
    event,
    flags,
    instance,
    once,
    restored,
    snapshot,
)
from tests.e2e.stage import staged

BETWEEN_RUNS = 180.0
"""Seconds: what is shown here takes up to an hour, and an observation each minute shows no more of it."""
BACK = ("RestoreRolledBack",)
FAILED_FIRST = ("RestoreFailed", "RestoreRolledBack")


def outcome(**wanted: str | bool) -> Act:
    """The volume of this case's snapshot ends in `error`, or hangs."""

    def act(run: Run) -> None:
        run.stage.control.fail_creation("volume", resource=snapshot(run), **wanted)  # type: ignore[arg-type]

    return act


def lost(effect: str = "drop") -> Act:
    """Every event about the instance and about the restored volume."""
    return all_of(
        event(effect, INSTANCE_EVENT, instance, count=0),
        event(effect, VOLUME_EVENT, restored, count=0),
    )


def cancel(run: Run) -> None:
    answer = run.stage.invoke("RestoreVolumeFunction", {"cancel": run.id, "requested_by": "operator"})
    assert answer["direction"] == "rollback", answer


def published_as_failed(run: Run) -> bool:
    return run.has_published("RestoreFailed")


def with_stop(effect: str) -> Case:
    """The status checks never pass, so the instance is stopped once more on the way back, and that call goes wrong."""
    fault, more = EFFECTS[effect]
    return Case(
        f"impaired, and StopInstances {effect} on the way back",
        before=all_of(flags(impaired=True), call("StopInstances", fault, instance, nth=2, **more)),
        meanwhile=once(published_as_failed, flags(impaired=False)) if effect == "refused" else None,
        published=FAILED_FIRST if effect == "refused" else BACK,
        made=Made.KEPT,
    )


CASES = [
    Case("all events lost", once_made=lost()),
    Case("all events doubled", once_made=lost("double")),
    Case(
        "all events lost, on the way back",
        before=call("AttachVolume", "fail", instance, **REFUSED),
        once_made=lost(),
        published=BACK,
        made=Made.DELETED,
    ),
    Case("no capacity twice", before=flags(capacity_refusals=2)),
    Case("no capacity as often as a start may fall back", before=flags(capacity_refusals=3)),
    Case(
        "no capacity until it is published as failed",
        before=flags(capacity_refusals=-1),
        meanwhile=once(published_as_failed, flags(capacity_refusals=0)),
        published=FAILED_FIRST,
        made=Made.DELETED,
    ),
    Case("falls back to stopped once", before=flags(falls_back=1)),
    Case("falls back to stopped three times", before=flags(falls_back=3), published=BACK, made=Made.KEPT),
    Case(
        "falls back to stopped until it is published as failed",
        before=flags(falls_back=-1),
        meanwhile=once(published_as_failed, flags(falls_back=0)),
        published=FAILED_FIRST,
        made=Made.KEPT,
    ),
    Case("impaired", before=flags(impaired=True), published=BACK, made=Made.KEPT),
    *(with_stop(effect) for effect in EFFECTS),
    Case("the volume ends in error", before=outcome(cause="no room"), published=BACK, made=Made.DELETED),
    Case(
        "the volume ends in error and its event is lost",
        before=outcome(cause="no room"),
        once_made=event("drop", VOLUME_EVENT, restored),
        published=BACK,
        made=Made.DELETED,
    ),
    Case("the volume is never made", before=outcome(stuck=True), published=BACK, made=Made.KEPT),
    Case("cancelled while its volume is made", once_made=cancel, published=BACK, made=Made.DELETED),
    Case("a stopped instance", power="stopped"),
    Case(
        "a stopped instance, on the way back",
        before=call("AttachVolume", "fail", instance, **REFUSED),
        power="stopped",
        published=BACK,
        made=Made.DELETED,
    ),
]


@pytest.fixture(scope="module")
def matrix() -> Iterator[Matrix]:
    with staged() as stage:
        made = Matrix(stage, CASES, BETWEEN_RUNS)
        made.play()
        yield made


@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_a_restore_survives(matrix: Matrix, name: str) -> None:
    matrix.check(name)


def test_no_event_failed_for_good(matrix: Matrix) -> None:
    assert matrix.stage.failed_events() == []
