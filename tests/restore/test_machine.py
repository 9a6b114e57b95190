"""The state machine: one observation, one decision. The model check walks them all; here each case has a name."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lifeboat.domain.ec2 import HIBERNATED, Attachment, Instance, Volume
from lifeboat.domain.ec2_calls import (
    AttachVolume,
    CreateVolume,
    DeleteVolume,
    DetachVolume,
    Refused,
    SetDeleteOnTermination,
    StartInstance,
    StopInstance,
    TagDisplaced,
    Throttled,
    Unknown,
    UntagDisplaced,
)
from lifeboat.domain.tags import Tag
from lifeboat.restore.decision import Action, Complete, Observed, Requeue
from lifeboat.restore.machine.actions import MAX_STARTS
from lifeboat.restore.machine.deadlines import Deadlines
from lifeboat.restore.machine.graph import WAYS
from lifeboat.restore.machine.history import MAX_TIMELINE, RestoreError, restore_id
from lifeboat.restore.machine.refused import after_failure
from lifeboat.restore.machine.rehearsal import after_rehearsal, plan_rehearsal
from lifeboat.restore.machine.transitions import begin, cancel, next_step
from lifeboat.restore.machine.verify import STATUS_CHECKS_EVERY
from lifeboat.restore.machine.volumes import client_token
from lifeboat.restore.record import Direction, KeptVolume, Restore, RestoreState, RestoreStep
from tests.restore.machine_world import NOW, TARGET, Pair, Scenario, World, carried_out, first, observed, progress
from tools import docs_restore

D, R = "vol-displaced-0", "vol-restored-0"
LATER = NOW + timedelta(minutes=5)
MUCH_LATER = NOW + timedelta(days=2)
BACK = {"direction": Direction.ROLLBACK, "failure": "why"}
TOUCHED = {"touched": True, "was_running": True}
S = RestoreStep


def record(**facts: Any) -> Restore:
    restore = first(Scenario("one volume")).restore
    volumes = facts.pop("volumes", None) or (
        replace(restore.volumes[0], restored_volume_id=facts.pop("restored", None)),
    )
    # As `show` shows an instance that was not started since.
    launched = NOW - timedelta(days=2) if facts.get("touched") else None
    return replace(restore, volumes=volumes, launched_at=launched, **facts)


def show(power: str = "stopped", displaced: str = "here", restored: str = "free", **facts: Any) -> Observed:
    known = {name: facts.pop(name) for name in ("displaced_flag", "restored_flag", "tagged") if name in facts}
    return observed(World(power, (Pair(displaced, restored, **known),), **facts))


STOP, START = StopInstance(TARGET), StartInstance(TARGET)
CREATE = CreateVolume(
    client_token=client_token(record(), record().volumes[0]),
    snapshot_id="snap-0",
    zone="a",
    type="gp3",
    size=1,
    encrypted=True,
    tags={Tag.RESTORE.value: "r", Tag.LINEAGE.value: "c"},
)
TAGS = {Tag.DISPLACED_BY.value: "r", Tag.DISPLACED_FROM.value: f"{TARGET} /dev/sdh"}
CLOSE_BACK, CLOSE_FAILED = Complete(RestoreState.ROLLED_BACK), Complete(RestoreState.FAILED)
STUCK = Complete(RestoreState.FAILED, closes=False)
DONE = Complete(RestoreState.COMPLETED)


FORWARD: dict[str, tuple[dict[str, Any], Observed, Action | type[Requeue]]] = {
    "nothing made yet": ({}, show("running", restored="none"), CREATE),
    "asked for and still unseen": ({}, show("running", restored="creating"), Requeue),
    "all made, it runs": ({}, show("running"), STOP),
    "all made, it is stopped": ({}, show("stopped"), DetachVolume(D, TARGET, "/dev/sdh")),
    "all made, it is just starting": ({}, show("pending"), Requeue),
    "stopping": ({**TOUCHED, "step": S.STOP}, show("stopping"), Requeue),
    "another caller started it before it was observed as stopped": ({**TOUCHED, "step": S.STOP}, show("running"), STOP),
    "being detached": ({**TOUCHED, "step": S.DETACH}, show(displaced="leaving"), Requeue),
    "astray is detached too": ({**TOUCHED}, show(displaced="astray"), DetachVolume(D, TARGET, "/dev/sdz")),
    "detached": ({**TOUCHED, "step": S.DETACH}, show(displaced="free"), TagDisplaced(D, TAGS)),
    "tagged": ({**TOUCHED}, show(displaced="free", tagged=True), AttachVolume(R, TARGET, "/dev/sdh")),
    "displaced volume was deleted": ({**TOUCHED}, show(displaced="gone"), AttachVolume(R, TARGET, "/dev/sdh")),
    "displaced volume is elsewhere": ({**TOUCHED}, show(displaced="away"), AttachVolume(R, TARGET, "/dev/sdh")),
    "being attached": ({**TOUCHED}, show(displaced="free", tagged=True, restored="arriving"), Requeue),
    "attached": (
        {**TOUCHED},
        show(displaced="free", tagged=True, restored="here"),
        SetDeleteOnTermination(TARGET, "/dev/sdh", delete_on_termination=True),
    ),
    "flag set": ({**TOUCHED}, show(displaced="free", tagged=True, restored="here", restored_flag=True), START),
    "starts": (
        {**TOUCHED, "step": S.START},
        show("pending", displaced="free", tagged=True, restored="here", restored_flag=True),
        Requeue,
    ),
    "was stopped": (
        {"touched": True},
        show(displaced="free", tagged=True, restored="here", restored_flag=True),
        DONE,
    ),
    "was running, to be left stopped": (
        {**TOUCHED, "start": False},
        show(displaced="free", tagged=True, restored="here", restored_flag=True),
        DONE,
    ),
    "just seen running": (
        {**TOUCHED, "step": S.START},
        show("running", displaced="free", tagged=True, restored="here", restored_flag=True, checks="ok"),
        Requeue,
    ),
}


@pytest.mark.parametrize("name", FORWARD)
def test_forward(name: str) -> None:
    facts, things, expected = FORWARD[name]
    restored = R if R in things.volumes else None
    step = next_step(record(restored=restored, **facts), things, NOW)
    assert step.restore.direction is Direction.FORWARD
    if expected is Requeue:
        assert isinstance(step.action, Requeue)
    else:
        assert step.action == expected
    assert step.reason


SWAPPED = {"displaced": "free", "tagged": True, "restored": "here", "restored_flag": True}

ROLLS_BACK: dict[str, tuple[dict[str, Any], Observed, Any, str]] = {
    "the new volume fails": ({}, show("running", restored="error"), NOW, "is error"),
    "the new volume vanishes": ({"restored": R}, show("running", restored="none"), NOW, "is gone"),
    "the new volume is attached elsewhere": ({}, show("running", restored="away"), NOW, "to i-other at /dev/sdh"),
    "the displaced volume is gone beforehand": ({}, show("running", displaced="gone"), NOW, "not at /dev/sdh any more"),
    "volumes take too long": ({}, show("running", restored="creating"), MUCH_LATER, "longer than 60 minutes"),
    "the stop takes too long": ({**TOUCHED, "step": S.STOP}, show("stopping"), MUCH_LATER, "longer than 15 minutes"),
    "a stop asked for long ago": ({**TOUCHED, "step": S.STOP}, show("running"), MUCH_LATER, "not done within 15"),
    "started while swapped": ({**TOUCHED, "step": S.DETACH}, show("running", displaced="free"), NOW, "not in place"),
    "the new volume is lost while swapped": (
        {**TOUCHED, "restored": R, "step": S.ATTACH},
        show(displaced="free", restored="gone"),
        NOW,
        f"{R} is gone",
    ),
    "the new volume breaks while swapped": ({**TOUCHED, "restored": R}, show(restored="error"), NOW, f"{R} is error"),
    "attached at another device": ({**TOUCHED}, show(displaced="free", restored="astray"), NOW, "at /dev/sdz"),
    "fell back while verified": ({**TOUCHED, "step": S.VERIFY}, show("stopped", **SWAPPED), NOW, "is stopped again"),
    "fell back too often": ({**TOUCHED, "step": S.START, "starts": 3}, show("stopped", **SWAPPED), NOW, "KMS key"),
    "checks fail": (
        {**TOUCHED, "step": S.VERIFY},
        show("running", **SWAPPED, checks="impaired"),
        MUCH_LATER,
        "are impaired, for longer than 20 minutes",
    ),
    "terminated before it was touched": ({}, show("terminated"), NOW, "terminated"),
}


@pytest.mark.parametrize("name", ROLLS_BACK)
def test_rolls_back(name: str) -> None:
    facts, things, now, reason = ROLLS_BACK[name]
    step = next_step(record(**facts), things, now)
    assert step.restore.direction is Direction.ROLLBACK
    assert reason in (step.restore.failure or "")
    assert any(entry.text.startswith("rolls back: ") for entry in step.restore.timeline)


def test_a_foreign_volume_at_the_device_starts_a_roll_back() -> None:
    things = show(displaced="free", tagged=True)
    assert things.instance
    foreign = Attachment("vol-foreign", TARGET, "/dev/sdh", "attached", delete_on_termination=False)
    things = replace(things, instance=replace(things.instance, attachments=(foreign,)))
    step = next_step(record(**TOUCHED), things, NOW)
    assert step.restore.failure == "another volume, vol-foreign, is attached at /dev/sdh"
    assert step.action == AttachVolume(D, TARGET, "/dev/sdh")


def test_a_foreign_volume_at_another_name_of_the_device_starts_a_roll_back() -> None:
    things = show(displaced="free", tagged=True)
    assert things.instance
    foreign = Attachment("vol-foreign", TARGET, "/dev/xvdh", "attached", delete_on_termination=False)
    things = replace(things, instance=replace(things.instance, attachments=(foreign,)))
    assert (
        next_step(record(**TOUCHED), things, NOW).restore.failure
        == "another volume, vol-foreign, is attached at /dev/sdh"
    )


# --- a hibernated instance resumes with the file systems in its memory


def hibernate(things: Observed) -> Observed:
    assert things.instance
    return replace(things, instance=replace(things.instance, state_reason=HIBERNATED))


def test_an_instance_that_was_hibernated_meanwhile_is_not_touched() -> None:
    step = next_step(record(restored=R), hibernate(show("stopped")), NOW)
    assert not step.restore.touched
    assert step.restore.direction is Direction.ROLLBACK
    assert "is hibernated: its memory has the file systems" in (step.restore.failure or "")
    assert step.action == DeleteVolume(R)


def test_a_stop_that_hibernated_the_instance_is_rolled_back_by_a_start() -> None:
    step = next_step(record(restored=R, **TOUCHED, step=S.STOP), hibernate(show("stopped", displaced_flag=True)), NOW)
    assert step.restore.direction is Direction.ROLLBACK
    assert step.action == START


@pytest.mark.parametrize("displaced", ["free", "here", "gone", "leaving"])
@pytest.mark.parametrize("restored", ["free", "here", "arriving"])
@pytest.mark.parametrize("back", [{}, BACK], ids=["forward", "back"])
@pytest.mark.parametrize("step", [S.STOP, S.DETACH, S.ATTACH, S.START, S.VERIFY])
def test_no_volume_is_swapped_while_the_instance_is_hibernated(
    displaced: str, restored: str, back: dict[str, Any], step: RestoreStep
) -> None:
    things = hibernate(show("stopped", displaced=displaced, restored=restored, tagged=True))
    action = next_step(record(restored=R, **TOUCHED, **back, step=step), things, NOW).action
    assert not isinstance(action, AttachVolume | DetachVolume)


def test_a_roll_back_onto_a_hibernated_instance_waits_for_a_person_to_start_it() -> None:
    """Its memory has the restored volume's file system: it would write that onto the displaced one."""
    restore = record(restored=R, **TOUCHED, **BACK, step=S.STOP, started_on_restored=True)
    stuck = next_step(restore, hibernate(show("stopped", displaced="free", restored="here", tagged=True)), NOW)
    assert stuck.action == STUCK
    assert "start it, then shut it down without hibernation" in (stuck.restore.blocked or "")
    awake = next_step(stuck.restore, show("running", displaced="free", restored="here", tagged=True), LATER)
    assert awake.action == STOP
    down = next_step(awake.restore, show("stopped", displaced="free", restored="here", tagged=True), LATER)
    assert down.action == DetachVolume(R, TARGET, "/dev/sdh")


# --- what a stop takes

TAKES = ("its public address 203.0.113.7 (no Elastic IP address)",)


@pytest.mark.parametrize("power", ["stopping", "stopped"])
def test_an_observed_stop_has_removed_what_a_stop_removes(power: str) -> None:
    restore = record(restored=R, **TOUCHED, step=S.STOP, stop_takes=TAKES)
    assert restore.taken == ()
    assert next_step(restore, show(power), NOW).restore.taken == TAKES


def test_an_unobserved_stop_is_known_by_the_later_launch_time() -> None:
    restore = record(restored=R, **TOUCHED, step=S.STOP, stop_takes=TAKES)
    assert next_step(restore, show("running", launched=True), NOW).restore.taken == TAKES
    assert next_step(restore, show("running"), NOW).restore.taken == ()


def test_an_instance_that_was_stopped_before_loses_nothing() -> None:
    assert next_step(record(restored=R, touched=True, stop_takes=TAKES), show("stopped"), NOW).restore.taken == ()


def test_a_roll_back_does_not_claim_what_the_stop_took() -> None:
    facts = {**TOUCHED, **BACK, "step": S.CLEAN_UP, "stop_takes": TAKES}
    kept = show("running", displaced_flag=True, restored="gone")
    [entry] = next_step(record(**facts, restored=R, stopped=True), kept, NOW).restore.timeline
    assert entry.text == f"{TARGET} is as it was, except for what its stop removed permanently ({TAKES[0]}): why"
    [entry] = next_step(record(**facts, restored=R), kept, NOW).restore.timeline
    assert entry.text == f"{TARGET} is as it was: why"


ROLLBACK: dict[str, tuple[dict[str, Any], Observed, Any, Action | type[Requeue]]] = {
    "untouched: what was made is deleted": ({}, show("running"), NOW, DeleteVolume(R)),
    "untouched: what failed is deleted": ({}, show("running", restored="error"), NOW, DeleteVolume(R)),
    "untouched: what is being made is waited for": ({}, show("running", restored="creating"), NOW, Requeue),
    "untouched: nothing was made": ({}, show("running", restored="none"), NOW, CLOSE_BACK),
    "untouched: terminated": ({}, show("terminated", restored="none"), NOW, CLOSE_BACK),
    "being terminated": ({**TOUCHED}, show("shutting-down"), NOW, Requeue),
    "being terminated for too long": ({**TOUCHED}, show("shutting-down"), MUCH_LATER, CLOSE_FAILED),
    "terminated": ({**TOUCHED}, show("terminated", displaced="free"), NOW, CLOSE_FAILED),
    "restored volumes attached, it runs": ({**TOUCHED}, show("running", "free", "here"), NOW, STOP),
    "restored volumes attached, it is starting": ({**TOUCHED}, show("pending", "free", "here"), NOW, Requeue),
    "restored volumes attached": (
        {**TOUCHED},
        show("stopped", "free", "here"),
        NOW,
        DetachVolume(R, TARGET, "/dev/sdh"),
    ),
    "restored volumes being detached": ({**TOUCHED}, show("stopped", "free", "leaving"), NOW, Requeue),
    "displaced volume astray": ({**TOUCHED}, show("stopped", "astray"), NOW, DetachVolume(D, TARGET, "/dev/sdz")),
    "all off": ({**TOUCHED}, show("stopped", "free"), NOW, AttachVolume(D, TARGET, "/dev/sdh")),
    "displaced volume arriving": ({**TOUCHED}, show("stopped", "arriving"), NOW, Requeue),
    "flag to be set": (
        {**TOUCHED},
        show("stopped", displaced_flag=False),
        NOW,
        SetDeleteOnTermination(TARGET, "/dev/sdh", delete_on_termination=True),
    ),
    "tag to be taken off": (
        {**TOUCHED},
        show("stopped", tagged=True),
        NOW,
        UntagDisplaced(D, ("lifeboat:displaced-by", "lifeboat:displaced-from")),
    ),
    "tag may not be taken off": ({**TOUCHED, "tags_left": True}, show("stopped", tagged=True), NOW, START),
    "in place": ({**TOUCHED}, show("stopped"), NOW, START),
    "in place, was stopped": ({"touched": True}, show("stopped", restored="none"), NOW, CLOSE_BACK),
    "stopping, as was asked before": ({**TOUCHED}, show("stopping"), NOW, Requeue),
    "runs": ({**TOUCHED, "step": S.START}, show("running"), NOW, Requeue),
    "still runs": ({**TOUCHED, "step": S.VERIFY}, show("running"), LATER, DeleteVolume(R)),
    "stops while cleaned up": ({**TOUCHED, "step": S.CLEAN_UP}, show("stopped", restored="none"), NOW, CLOSE_BACK),
    "displaced volume lost": ({**TOUCHED}, show("stopped", "gone", "here"), NOW, CLOSE_FAILED),
    "displaced volume elsewhere": ({**TOUCHED}, show("stopped", "away"), NOW, STUCK),
    "the stop takes too long": ({**TOUCHED, "step": S.STOP}, show("stopping", "free"), MUCH_LATER, STUCK),
    "no capacity for too long": ({**TOUCHED, "step": S.START}, show("stopped"), MUCH_LATER, STUCK),
    "fell back too often": ({**TOUCHED, "step": S.START, "starts": MAX_STARTS}, show("stopped"), NOW, STUCK),
    "refused for good": ({**TOUCHED, "blocked": "no right"}, show("stopped", "free"), NOW, STUCK),
}
FAILED = {"status": RestoreState.FAILED, "blocked": "why", **TOUCHED}
ROLLBACK |= {
    "failed, goes on starting": ({**FAILED, "step": S.START, "starts": 3}, show("stopped"), MUCH_LATER, START),
    "failed, goes on attaching": (FAILED, show("stopped", "free"), MUCH_LATER, AttachVolume(D, TARGET, "/dev/sdh")),
    "failed, waits for the volume": ({**FAILED, "step": S.ATTACH}, show("stopped", "away"), MUCH_LATER, Requeue),
    "failed, all in place at last": ({**FAILED, "step": S.VERIFY}, show("running", restored="none"), LATER, CLOSE_BACK),
}


@pytest.mark.parametrize("name", ROLLBACK)
def test_rollback(name: str) -> None:
    facts, things, now, expected = ROLLBACK[name]
    step = next_step(record(**BACK, **facts), things, now)
    assert step.restore.direction is Direction.ROLLBACK
    if expected is Requeue:
        assert isinstance(step.action, Requeue)
    else:
        assert step.action == expected
    if isinstance(step.action, Complete):
        assert step.restore.status is step.action.outcome
        assert step.restore.closed is step.action.closes


KEPT: dict[str, tuple[dict[str, Any], Observed, Any, str]] = {
    "it ran": ({**TOUCHED, "started_on_restored": True, "step": S.VERIFY}, show("running"), LATER, "started on it"),
    "another caller attached it": ({}, show("running", restored="away"), NOW, "attached to i-other at /dev/sdh"),
    "it would not go": ({"step": S.CLEAN_UP}, show("running"), MUCH_LATER, "not be deleted within 60 minutes"),
    "it never got ready": ({"step": S.CLEAN_UP}, show("running", restored="creating"), MUCH_LATER, "not be deleted"),
    "the instance is gone": (TOUCHED, show("terminated", "free"), NOW, "a person has to decide"),
}


@pytest.mark.parametrize("name", KEPT)
def test_what_may_carry_data_is_kept_with_its_reason(name: str) -> None:
    facts, things, now, reason = KEPT[name]
    step = next_step(record(**BACK, **facts), things, now)
    assert isinstance(step.action, Complete)
    assert [item.volume_id for item in step.restore.kept] == [R]
    assert reason in step.restore.kept[0].reason
    assert any(f"{R} is kept" in entry.text for entry in step.restore.timeline)


def test_what_is_kept_already_is_not_named_twice() -> None:
    step = next_step(record(**BACK, kept=(KeptVolume(R, "no right"),)), show("running"), NOW)
    assert (step.action, len(step.restore.kept)) == (CLOSE_BACK, 1)
    gone = next_step(record(**BACK, **TOUCHED, kept=(KeptVolume(R, "no right"),)), show("terminated", "free"), NOW)
    assert len(gone.restore.kept) == 1


def test_a_volume_that_a_later_restore_displaced_is_kept() -> None:
    things = show("running")
    volume = things.volumes[R]
    things = replace(
        things, volumes={**things.volumes, R: replace(volume, tags={**volume.tags, Tag.DISPLACED_BY: "s"})}
    )
    assert "later restore" in next_step(record(**BACK), things, NOW).restore.kept[0].reason


def test_a_volume_asked_for_and_unseen_is_waited_for() -> None:
    asked = replace(record().volumes[0], asked_at=NOW)
    restore = record(**BACK, volumes=(asked,))
    assert isinstance(next_step(restore, show("running", restored="none"), NOW).action, Requeue)
    assert next_step(restore, show("running", restored="none"), LATER).action == CLOSE_BACK


@pytest.mark.parametrize(
    "change",
    [{"tags": {}}, {"tags": {Tag.RESTORE.value: "another"}}, {"snapshot_id": "snap-of-another"}],
    ids=["untagged", "of another restore", "of another snapshot"],
)
def test_a_volume_that_is_not_ours_is_never_deleted(change: dict[str, Any]) -> None:
    things = show("running")
    things = replace(things, volumes={**things.volumes, R: replace(things.volumes[R], **change)})
    assert next_step(record(**BACK), things, NOW).action == CLOSE_BACK


def test_a_displaced_volume_is_never_deleted_even_if_its_tags_are_ours() -> None:
    things = show("running", restored="none")
    like_ours = replace(
        things.volumes[D], state="available", attachments=(), snapshot_id="snap-0", tags={Tag.RESTORE: "r"}
    )
    step = next_step(record(**BACK), replace(things, volumes={D: like_ours}), NOW)
    assert step.action == CLOSE_BACK


# --- made twice


def with_extra(things: Observed, **facts: Any) -> Observed:
    extra = Volume(
        "vol-zzz", "available", 1, "gp3", "a", encrypted=True, snapshot_id="snap-0", tags={Tag.RESTORE.value: "r"}
    )
    return replace(things, volumes={**things.volumes, extra.id: replace(extra, **facts)})


def test_what_was_made_twice_is_deleted_in_the_end() -> None:
    swapped = show("running", **SWAPPED, checks="ok")
    verified = record(**TOUCHED, restored=R, step=S.VERIFY)
    assert next_step(verified, with_extra(swapped), LATER).action == DeleteVolume("vol-zzz")
    cleaning = record(**TOUCHED, restored=R, step=S.CLEAN_UP)
    assert next_step(cleaning, with_extra(swapped), NOW).action == DeleteVolume("vol-zzz")
    assert next_step(cleaning, with_extra(swapped), MUCH_LATER).action == DONE
    assert (
        next_step(verified, with_extra(swapped, tags={Tag.RESTORE: "r", Tag.DISPLACED_BY: "s"}), LATER).action == DONE
    )
    back = record(**BACK, **TOUCHED, restored=R, started_on_restored=True, step=S.VERIFY)
    assert next_step(back, with_extra(show("running")), LATER).action == DeleteVolume("vol-zzz")


# --- records


def test_the_record_is_written_before_the_act() -> None:
    step = next_step(record(), show("running"), NOW)
    assert step.action == STOP
    assert (step.restore.touched, step.restore.was_running, step.restore.step) == (True, True, S.STOP)
    assert (step.restore.asked, step.restore.asked_at) == ("StopInstance", NOW)
    assert step.restore.launched_at
    started = next_step(record(**TOUCHED, restored=R), show("stopped", **SWAPPED), NOW)
    assert (started.action, started.restore.started_on_restored, started.restore.starts) == (START, True, 1)


def test_a_start_on_the_displaced_volumes_is_not_one_on_the_restored() -> None:
    step = next_step(record(**BACK, **TOUCHED, restored=R), show("stopped"), NOW)
    assert (step.action, step.restore.started_on_restored) == (START, False)


def test_an_unobserved_start_is_known_by_the_launch_time() -> None:
    restore = record(**BACK, **TOUCHED, restored=R)
    unread = next_step(restore, show("stopped", "free", "here", launched=True), NOW)
    assert unread.restore.started_on_restored
    assert not next_step(restore, show("stopped", "free", "here"), NOW).restore.started_on_restored


def test_the_same_action_is_not_repeated_at_once() -> None:
    asked = next_step(record(), show("running"), NOW).restore
    waiting = next_step(asked, show("running"), NOW + timedelta(seconds=14))
    assert isinstance(waiting.action, Requeue)
    assert not waiting.action.check_soon
    assert waiting.restore is asked
    again = next_step(asked, show("running"), NOW + timedelta(seconds=15))
    assert again.action == STOP
    assert again.restore.timeline == asked.timeline, "a repeated call adds no line to the timeline"
    detaching = next_step(record(**TOUCHED), show("stopped"), NOW)
    assert detaching.action == DetachVolume(D, TARGET, "/dev/sdh")
    assert next_step(detaching.restore, show("stopped"), NOW).action == Requeue(
        f"called at 12:00:00, no effect yet: {detaching.reason}", check_soon=True
    )


def test_an_ended_restore_has_nothing_to_do() -> None:
    restore = record(status=RestoreState.COMPLETED, closed=True)
    step = next_step(restore, show("running"), NOW)
    assert isinstance(step.action, Requeue)
    assert step.restore is restore


def test_with_nothing_to_save_the_record_is_the_same_object() -> None:
    restore = record(restored=R, **TOUCHED, step=S.STOP, stopped=True)
    assert next_step(restore, show("stopping"), NOW).restore is restore


def test_the_timeline_keeps_its_beginning_and_its_end() -> None:
    restore = begin(record(), NOW)
    for number in range(MAX_TIMELINE + 5):
        restore = after_failure(restore, START, Refused("InsufficientInstanceCapacity", str(number)), NOW)
    assert len(restore.timeline) == MAX_TIMELINE
    assert restore.timeline[0].text.startswith("restore of ")
    assert restore.timeline[-1].text.endswith(str(MAX_TIMELINE + 4))


def test_the_first_line_of_the_timeline_has_who_requested_it_and_why() -> None:
    plan = record(requested_by="operator", reason="INC-17", ami_override="vendor said so")
    begun = begin(plan, LATER)
    assert begun.started_at == begun.step_since == LATER
    assert begun.timeline[0].text == (
        f"restore of rp onto {TARGET} requested by operator: INC-17 (AMI gate overridden: vendor said so)"
    )


def test_restore_ids_follow_the_request() -> None:
    assert restore_id("a") == restore_id("a") != restore_id("b")


def test_client_tokens_follow_what_is_asked_for() -> None:
    restore = record()
    volume = restore.volumes[0]
    token = client_token(restore, volume)
    assert token.isascii()
    assert len(token) <= 64
    assert client_token(restore, replace(volume, asked_at=NOW)) == token
    others = [replace(volume, initialization_rate=100), replace(volume, device="/dev/sdi"), replace(volume, size=2)]
    tokens = {token, client_token(replace(restore, id="s"), volume), *(client_token(restore, item) for item in others)}
    assert len(tokens) == 5


# --- cancel


def test_cancel_rolls_back_once() -> None:
    cancelled = cancel(record(), NOW, "operator", "wrong one")
    assert cancelled.failure == "cancelled by operator: wrong one"
    assert next_step(cancelled, show("running"), NOW).action == DeleteVolume(R)
    assert cancel(record(), NOW).failure == "cancelled"
    with pytest.raises(RestoreError, match="rolling back already: cancelled by operator"):
        cancel(cancelled, NOW)
    with pytest.raises(RestoreError, match="which is completed, expected a restore that has not ended"):
        cancel(record(status=RestoreState.COMPLETED, closed=True), NOW)


# --- rehearsal


def test_a_rehearsal_holds_every_call_that_may_come_in_either_direction() -> None:
    untouched = record(restored=R, was_running=True)
    forward = [StopInstance(TARGET), DetachVolume(D, TARGET, "/dev/sdh"), AttachVolume(R, TARGET, "/dev/sdh")]
    back = [DetachVolume(R, TARGET, "/dev/sdh"), AttachVolume(D, TARGET, "/dev/sdh"), DeleteVolume(R)]
    flag = SetDeleteOnTermination(TARGET, "/dev/sdh", untouched.volumes[0].displaced_delete_on_termination)
    tags = {**TAGS, Tag.DISPLACED_BY.value: untouched.id}
    marks = [TagDisplaced(D, tags), UntagDisplaced(D, tuple(tags))]
    changes = plan_rehearsal(untouched)
    assert all(change in changes for change in (*forward, *back, *marks, flag, START))
    assert len(changes) == 10
    assert [change in plan_rehearsal(record()) for change in (STOP, START)] == [False, False]
    assert [change in plan_rehearsal(record(start=True)) for change in (STOP, START)] == [True, True]


def test_a_missing_permission_rolls_back_before_anything_is_touched() -> None:
    refused = [(STOP, "UnauthorizedOperation: no"), (START, "AccessDenied: never")]
    turned = after_rehearsal(record(restored=R), refused, NOW)
    assert turned.failure == (
        f"StopInstance {TARGET} would be refused: UnauthorizedOperation: no; "
        f"StartInstance {TARGET} would be refused: AccessDenied: never"
    )
    assert next_step(turned, show("running"), NOW).action == DeleteVolume(R)


# --- failures

SAME, ROLL, BLOCK = "same", "rolls back", "blocked"

FAILURES: dict[str, tuple[Any, Any, str, str]] = {
    # action, refusal, forward, back
    "throttled": (STOP, Throttled(), SAME, SAME),
    "no answer": (STOP, Unknown("timed out"), SAME, SAME),
    "no right to stop": (STOP, Refused("UnauthorizedOperation", "no"), ROLL, BLOCK),
    "not in that state": (STOP, Refused("IncorrectInstanceState"), SAME, SAME),
    "no right to detach": (DetachVolume(D, TARGET, "/dev/sdh"), Refused("UnauthorizedOperation"), ROLL, BLOCK),
    "detached already": (DetachVolume(D, TARGET, "/dev/sdh"), Refused("InvalidAttachment.NotFound"), SAME, SAME),
    "device not free yet": (
        AttachVolume(R, TARGET, "/dev/sdh"),
        Refused(
            "InvalidParameterValue",
            "Invalid value '/dev/sdh' for unixDevice. Attachment point /dev/sdh is already in use",
        ),
        SAME,
        SAME,
    ),
    "a device that will never do": (
        AttachVolume(R, TARGET, "/dev/sdh"),
        Refused("InvalidParameterValue", "/dev/sdh is not a valid EBS device name."),
        ROLL,
        BLOCK,
    ),
    "an attachment refused without words": (
        AttachVolume(R, TARGET, "/dev/sdh"),
        Refused("InvalidParameterValue"),
        ROLL,
        BLOCK,
    ),
    "tags being changed": (TagDisplaced(D, TAGS), Refused("ConcurrentTagAccess"), SAME, SAME),
    "a wrong value": (STOP, Refused("InvalidParameterValue"), ROLL, BLOCK),
    "wrong zone": (AttachVolume(R, TARGET, "/dev/sdh"), Refused("InvalidVolume.ZoneMismatch"), ROLL, BLOCK),
    "no key to start": (START, Refused("InvalidKMSKey.InvalidState"), ROLL, BLOCK),
    "started already": (START, Refused("IncorrectInstanceState"), SAME, SAME),
    "no right to flag": (
        SetDeleteOnTermination(TARGET, "/dev/sdh", delete_on_termination=True),
        Refused("UnauthorizedOperation"),
        ROLL,
        BLOCK,
    ),
    "no right to tag": (TagDisplaced(D, TAGS), Refused("UnauthorizedOperation"), ROLL, BLOCK),
    "volume gone already": (DeleteVolume(R), Refused("InvalidVolume.NotFound"), SAME, SAME),
    "volume in use": (DeleteVolume(R), Refused("VolumeInUse"), SAME, SAME),
    "no room for a volume": (CREATE, Refused("InsufficientVolumeCapacity"), SAME, SAME),
    "a volume's server error": (CREATE, Refused("InternalError"), SAME, SAME),
    "too many volumes": (CREATE, Refused("VolumeLimitExceeded", "20 TiB"), ROLL, SAME),
}


@pytest.mark.parametrize("name", FAILURES)
def test_after_failure(name: str) -> None:
    action, refusal, forward, back = FAILURES[name]
    for facts, expected in (({}, forward), (BACK, back)):
        before = record(**facts)
        after = after_failure(before, action, refusal, NOW)
        if expected == SAME:
            assert replace(after, timeline=(), refused="") == replace(before, timeline=())
            said = refusal.message if isinstance(refusal, Unknown) else f"{refusal.code}: {refusal.message}"
            assert said.removesuffix(": ") in after.refused or after.blocked or after.failure
        elif expected == ROLL:
            assert after.direction is Direction.ROLLBACK
            assert refusal.code in (after.failure or "")
        else:
            assert refusal.code in (after.blocked or "")
            assert after_failure(after, action, refusal, NOW) == after


def test_no_capacity_is_one_line_and_not_counted_as_a_start() -> None:
    started = next_step(record(**TOUCHED, restored=R), show("stopped", **SWAPPED), NOW).restore
    refused = after_failure(started, START, Refused("InsufficientInstanceCapacity"), NOW)
    assert (started.starts, refused.starts, refused.direction) == (1, 0, Direction.FORWARD)
    assert (started.started_on_restored, refused.started_on_restored) == (True, False)
    assert after_failure(refused, START, Refused("InsufficientInstanceCapacity"), NOW).timeline == refused.timeline
    again = next_step(refused, show("stopped", **SWAPPED), LATER)
    assert again.action == START
    turned = next_step(refused, show("stopped", **SWAPPED), MUCH_LATER)
    assert turned.restore.direction is Direction.ROLLBACK
    assert turned.action == DetachVolume(R, TARGET, "/dev/sdh")
    assert not turned.restore.started_on_restored  # it rolled back without a start
    assert "EC2 said InsufficientInstanceCapacity" in (turned.restore.failure or "")


def test_a_throttled_start_is_not_counted_as_one_that_fell_back() -> None:
    started = next_step(record(**TOUCHED, restored=R), show("stopped", **SWAPPED), NOW).restore
    throttled = after_failure(started, START, Throttled(), NOW)
    assert (started.starts, throttled.starts) == (1, 0)
    assert after_failure(started, START, Unknown("timed out"), NOW).starts == 1


def test_a_volume_of_an_unanswered_start_is_kept_though_a_later_start_is_refused() -> None:
    started = next_step(record(**TOUCHED, restored=R), show("stopped", **SWAPPED), NOW).restore
    lost = after_failure(started, START, Unknown("timed out"), NOW)
    again = next_step(lost, show("stopped", **SWAPPED), LATER).restore
    refused = Refused("InsufficientInstanceCapacity")
    assert after_failure(again, START, refused, LATER).started_on_restored
    unclear = after_failure(started, START, Refused("IncorrectInstanceState"), NOW)
    assert unclear.started_on_restored


def test_a_refused_initialization_rate_is_given_up_not_the_volume() -> None:
    volume = replace(record().volumes[0], initialization_rate=300)
    step = next_step(record(volumes=(volume,)), show("running", restored="none"), NOW)
    assert isinstance(step.action, CreateVolume)
    refused = after_failure(step.restore, step.action, Refused("VolumeInitializationRateLimitExceeded"), NOW)
    again = next_step(refused, show("running", restored="none"), NOW)
    assert isinstance(again.action, CreateVolume)
    assert again.action.initialization_rate is None
    assert again.action.client_token != step.action.client_token
    denied = after_failure(step.restore, step.action, Refused("UnauthorizedOperation"), NOW)
    assert denied.direction is Direction.ROLLBACK


def test_a_tag_that_may_not_be_taken_off_is_no_failure() -> None:
    after = after_failure(record(**BACK), UntagDisplaced(D, ()), Refused("UnauthorizedOperation"), NOW)
    assert after.tags_left
    assert after.blocked is None


def test_a_volume_that_may_not_be_deleted_is_kept() -> None:
    after = after_failure(record(**BACK), DeleteVolume(R), Refused("UnauthorizedOperation", "no"), NOW)
    assert after.kept == (KeptVolume(R, f"DeleteVolume {R}: UnauthorizedOperation: no"),)


# --- unusual observations


def test_a_volume_in_use_by_nothing_is_waited_for() -> None:
    things = show("stopped", "free", tagged=True)
    between = replace(things.volumes[R], state="in-use")
    step = next_step(record(restored=R, **TOUCHED), replace(things, volumes={**things.volumes, R: between}), NOW)
    assert isinstance(step.action, Requeue)
    assert step.restore.direction is Direction.FORWARD


def test_the_instances_view_of_a_flag_counts_first() -> None:
    things = show("stopped", **{**SWAPPED, "restored_flag": False})
    assert things.instance
    flagged = Attachment(R, TARGET, "/dev/sdh", "attached", delete_on_termination=True)
    things = replace(things, instance=replace(things.instance, attachments=(flagged,)))
    assert next_step(record(restored=R, **TOUCHED), things, NOW).action == START


def test_a_free_device_needs_nothing_displaced() -> None:
    volume = replace(record().volumes[0], displaced_volume_id=None, displaced_delete_on_termination=False)
    restore = record(volumes=(volume,))
    instance = Instance(TARGET, "stopped", "a", "ami")
    made = show("stopped").volumes[R]
    attach = next_step(restore, Observed(instance, {R: made}), NOW)
    assert attach.action == AttachVolume(R, TARGET, "/dev/sdh")
    on = replace(made, state="in-use", attachments=(Attachment(R, TARGET, "/dev/sdh", "attached", False),))
    assert next_step(attach.restore, Observed(instance, {R: on}), NOW).action == DONE
    off = next_step(cancel(attach.restore, NOW), Observed(instance, {R: on}), NOW)
    assert off.action == DetachVolume(R, TARGET, "/dev/sdh")
    assert next_step(off.restore, Observed(instance, {R: made}), LATER).action == DeleteVolume(R)


@pytest.mark.parametrize("step", RestoreStep)
def test_every_step_has_a_deadline(step: RestoreStep) -> None:
    assert Deadlines().of(step) > timedelta(0)


def test_a_whole_restore_is_in_its_timeline() -> None:
    state = first(Scenario("one volume"))
    restore, world, now, actions = begin(state.restore, NOW), state.world, NOW, []
    while not restore.closed:
        step = next_step(restore, observed(world), now)
        restore = step.restore
        if isinstance(step.action, Requeue):
            now += timedelta(minutes=1)
            world = next(iter(progress(world)), world)
        elif not isinstance(step.action, Complete):
            actions.append(type(step.action).__name__)
            world = carried_out(world, step.action)
    assert actions == [
        "CreateVolume",
        "StopInstance",
        "DetachVolume",
        "TagDisplaced",
        "AttachVolume",
        "SetDeleteOnTermination",
        "StartInstance",
    ]
    assert [
        entry.text.split(":")[0].split(" ")[0] for entry in restore.timeline if entry.text.split(" ")[0] in actions
    ] == (actions)
    assert restore.timeline[-1].text == f"{TARGET} is on the restored volumes"


# --- the page


def test_the_page_is_what_the_code_says() -> None:
    page = docs_restore.PATH.read_text()
    assert docs_restore.PAGE.written(page) == page
    assert docs_restore.render().count("-->") + docs_restore.render().count("-.->") == sum(map(len, WAYS.values()))
    with pytest.raises(ValueError, match="once each"):
        docs_restore.PAGE.written("no markers")


def test_the_page_names_every_finding() -> None:
    rules = "".join(
        path.read_text()
        for path in sorted((docs_restore.ROOT / "layers/lifeboat/python/lifeboat/restore/preflight").glob("*.py"))
    )
    page = (docs_restore.ROOT / "docs/guide/restore.md").read_text()
    codes = {
        line.split('"')[1] for line in rules.splitlines() if line.strip().startswith('"') and "-" in line.split('"')[1]
    }
    assert {code for code in codes if " " not in code and f"`{code}`" not in page} == set()


def test_a_volume_on_its_way_out_is_no_longer_ours_to_delete() -> None:
    things = show("running")
    leaving = replace(things.volumes[R], state="deleting")
    step = next_step(record(**BACK, restored=R), replace(things, volumes={**things.volumes, R: leaving}), NOW)
    assert (step.action, step.restore.kept) == (CLOSE_BACK, ())


def test_terminated_halfway_is_failed_at_once() -> None:
    step = next_step(record(**TOUCHED, restored=R), show("terminated", "free"), NOW)
    assert step.action == CLOSE_FAILED
    assert step.restore.direction is Direction.ROLLBACK
    assert step.restore.failure == step.restore.blocked == f"{TARGET} was terminated"


def test_a_start_is_given_time() -> None:
    asked = next_step(record(**TOUCHED, restored=R), show("stopped", **SWAPPED), NOW).restore
    step = next_step(asked, show("stopped", **SWAPPED), NOW + timedelta(seconds=3))
    assert step.action == Requeue("StartInstance was called at 12:00:00")
    assert step.restore is asked


@pytest.mark.parametrize("way", [{}, BACK])
def test_the_end_of_the_window_is_when_to_observe_again(way: dict[str, Any]) -> None:
    verifying = {"step": S.VERIFY, "step_since": NOW, "started_on_restored": not way, "starts": 1}
    restored = {"restored": "none"} if way else SWAPPED
    step = next_step(
        record(restored=R, **TOUCHED, **way, **verifying),
        show("running", **restored),
        NOW + timedelta(seconds=30),
        Deadlines(),
    )
    assert isinstance(step.action, Requeue)
    assert step.action.again_at == NOW + Deadlines().window


def test_status_checks_after_the_window_are_observed_again_soon() -> None:
    verifying = {"step": S.VERIFY, "step_since": NOW, "started_on_restored": True, "starts": 1}
    seen = replace(show("running", **SWAPPED), status_checks="initializing")
    step = next_step(record(restored=R, **TOUCHED, **verifying), seen, LATER, Deadlines())
    assert isinstance(step.action, Requeue)
    assert step.action.again_at == LATER + max(STATUS_CHECKS_EVERY, timedelta(seconds=7.5))
