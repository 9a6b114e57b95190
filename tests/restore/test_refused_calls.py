"""Whatever EC2 refuses of a restore, and however often: the outcome's message has EC2's code and words.

The restore is driven through the same world as the model check. EC2 refuses one kind of call, always, with one code;
the minutes pass until the restore has ended, or its roll-back has failed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import get_args

import pytest

from lifeboat.domain import error_codes
from lifeboat.domain.copy_limits import TOO_MANY
from lifeboat.domain.ec2_calls import (
    AttachVolume,
    Change,
    CopySnapshot,
    CreateVolume,
    DeleteVolume,
    DetachVolume,
    Refusal,
    Refused,
    SetDeleteOnTermination,
    StartInstance,
    StopInstance,
    TagDisplaced,
    Throttled,
    Unknown,
    UntagDisplaced,
)
from lifeboat.domain.error_codes import MISMATCH, THROTTLED
from lifeboat.domain.message import Message
from lifeboat.restore import messages as restore_messages
from lifeboat.restore.decision import Complete, Requeue
from lifeboat.restore.machine.refused import after_copy_begun, after_failure
from lifeboat.restore.machine.transitions import begin, cancel, next_step
from lifeboat.restore.record import Direction, Restore, RestoreState, RestoreStep
from lifeboat.restore.report import outcome
from tests.restore.machine_world import NOW, Scenario, World, carried_out, first, observed, progress

KNOWN = {
    code
    for name, named in vars(error_codes).items()
    if name.isupper()
    for code in ([named] if isinstance(named, str) else named)
}
"""Every code of EC2's that the product knows."""

CODES = sorted(KNOWN | {TOO_MANY, "InvalidVolume.NotFound", "VolumeLimitExceeded"})
WORDS = "Said in EC2's own words: already in use, 4711."
LONGEST = timedelta(days=3)

type Ready = Callable[[Restore, World], bool]


@dataclass(frozen=True)
class Case:
    """The calls that EC2 refuses in one direction, and when a person cancels the restore, for a roll-back."""

    call: type[Change]
    direction: Direction = Direction.FORWARD
    copy: str = ""
    cancelled: Ready = lambda *_: False


def touched(restore: Restore, _: World) -> bool:
    return restore.step is RestoreStep.START


def made(_: Restore, world: World) -> bool:
    return world.pairs[0].restored == "free"


def verifying(restore: Restore, _: World) -> bool:
    return restore.step is RestoreStep.VERIFY


BACK = Direction.ROLLBACK
CASES = {
    "CopySnapshot": Case(CopySnapshot, copy="none"),
    "CreateVolume": Case(CreateVolume),
    "StopInstance": Case(StopInstance),
    "DetachVolume": Case(DetachVolume),
    "TagDisplaced": Case(TagDisplaced),
    "AttachVolume": Case(AttachVolume),
    "SetDeleteOnTermination": Case(SetDeleteOnTermination),
    "StartInstance": Case(StartInstance),
    "StopInstance on the way back": Case(StopInstance, BACK, cancelled=verifying),
    "DetachVolume on the way back": Case(DetachVolume, BACK, cancelled=touched),
    "AttachVolume on the way back": Case(AttachVolume, BACK, cancelled=touched),
    "SetDeleteOnTermination on the way back": Case(SetDeleteOnTermination, BACK, cancelled=touched),
    "UntagDisplaced on the way back": Case(UntagDisplaced, BACK, cancelled=touched),
    "StartInstance on the way back": Case(StartInstance, BACK, cancelled=touched),
    "DeleteVolume on the way back": Case(DeleteVolume, BACK, cancelled=made),
}


def driven(case: Case, refusal: Refusal) -> tuple[Restore, datetime, int]:
    """The restore when its outcome is published, the time of that, and how often EC2 refused."""
    scenario = Scenario("one", copy=case.copy)
    state = first(scenario)
    restore, world, now, refused = begin(state.restore, NOW), state.world, NOW, 0
    while now < NOW + LONGEST:
        if restore.direction is Direction.FORWARD and case.cancelled(restore, world):
            restore = cancel(restore, now, "operator")
        step = next_step(restore, observed(world), now)
        restore, action = step.restore, step.action
        if isinstance(action, Complete):
            return restore, now, refused
        if isinstance(action, Requeue):
            now += timedelta(minutes=20 if restore.step is RestoreStep.COPIES else 1)
            world = next(iter(progress(world)), world)
        elif isinstance(action, case.call) and restore.direction is case.direction:
            refused += 1
            restore = after_failure(restore, action, refusal, now)
            now += timedelta(seconds=1)
        else:
            world = carried_out(world, action)
            if isinstance(action, CopySnapshot):
                restore = after_copy_begun(restore, action, action.snapshot_id.replace("snap", "copy"))
    raise AssertionError(f"it did not end within {LONGEST}: {restore}")


def message(restore: Restore, now: datetime) -> Message:
    sent = outcome(restore, now, "eu-west-1", "111122223333")
    return restore_messages.restore_ended(stack="lifeboat", at=now, restore=restore, outcome=sent)


def test_every_call_of_a_restore_that_changes_something_is_refused_with_every_code_that_is_known() -> None:
    assert {case.call for case in CASES.values()} == set(get_args(Change.__value__))
    assert {"UnauthorizedOperation", "InvalidParameterCombination", "VolumeInUse", MISMATCH, "OptInRequired"} <= KNOWN
    assert len(KNOWN) > 30


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("name", CASES)
def test_the_outcome_has_ec2s_code_and_words(name: str, code: str) -> None:
    case = CASES[name]
    refusal = Throttled(code, WORDS) if code in THROTTLED else Refused(code, WORDS)
    restore, now, refused = driven(case, refusal)
    assert refused
    sent = message(restore, now)
    bodies = json.loads(sent.sns_message())
    for body in (bodies["default"], bodies["email"]):
        assert code in body
        assert WORDS in body
    if case.direction is Direction.FORWARD:
        assert restore.status is RestoreState.ROLLED_BACK
        assert f"{code}: {WORDS}" in sent.summary, "why it rolled back is in the first sentence"
    elif restore.status is RestoreState.FAILED:
        assert code in str(restore.blocked), "and why a roll-back cannot finish is in the next steps"
        assert any(WORDS in step for step in sent.next_steps)


@pytest.mark.parametrize("name", CASES)
def test_a_call_without_an_answer_is_in_the_message(name: str) -> None:
    restore, now, _ = driven(CASES[name], Unknown("ReadTimeoutError: Read timeout on endpoint"))
    assert "ReadTimeoutError: Read timeout on endpoint" in message(restore, now).sns_message()


def test_a_temporary_refusal_is_one_line_of_the_timeline_and_no_failure() -> None:
    state = first(Scenario("one"))
    restore, world, now, refused = begin(state.restore, NOW), state.world, NOW, 0
    while not restore.closed:
        step = next_step(restore, observed(world), now)
        restore, action = step.restore, step.action
        if isinstance(action, Requeue):
            now += timedelta(minutes=1)
            world = next(iter(progress(world)), world)
        elif isinstance(action, AttachVolume) and refused < 3:
            refused += 1
            restore = after_failure(restore, action, Refused("VolumeInUse", WORDS), now)
        elif not isinstance(action, Complete):
            world = carried_out(world, action)
    assert restore.status is RestoreState.COMPLETED
    assert restore.refused == ""
    said = [entry.text for entry in restore.timeline if WORDS in entry.text]
    assert len(said) == 1
    assert said[0].endswith(f"VolumeInUse: {WORDS}")


def test_a_deadline_does_not_name_a_refusal_that_has_passed() -> None:
    state = first(Scenario("one"))
    restore, world, now, refused = begin(state.restore, NOW), state.world, NOW, False
    while restore.direction is Direction.FORWARD:
        step = next_step(restore, observed(world), now)
        restore, action = step.restore, step.action
        if isinstance(action, Requeue):
            now += timedelta(minutes=1)
            if world.power != "stopping":  # it never stops
                world = next(iter(progress(world)), world)
        elif isinstance(action, StopInstance) and not refused:
            refused = True
            restore = after_failure(restore, action, Refused("IncorrectInstanceState", WORDS), now)
        elif restore.direction is Direction.FORWARD:
            world = carried_out(world, action)
    assert "is stopping, for longer than 15 minutes" in str(restore.failure)
    assert WORDS not in str(restore.failure)


# --- a volume whose key may not be used

KEY = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"


def vanishing(*, shown: bool, key: str | None = KEY, encrypted: bool = True, rate: int | None = None) -> Restore:
    """EC2 answers CreateVolume and removes the volume within a moment; the same token then is a mismatch."""
    state = first(Scenario("one"))
    [volume] = state.restore.volumes
    volume = replace(volume, kms_key_id=key, encrypted=encrypted, initialization_rate=rate)
    restore = begin(replace(state.restore, volumes=(volume,)), NOW)
    world, now, tokens = state.world, NOW, set()
    while not restore.closed:
        step = next_step(restore, observed(world), now)
        restore, action = step.restore, step.action
        if isinstance(action, CreateVolume):
            if action.client_token in tokens:
                refusal = Refused(MISMATCH, "The volume of this client token has been deleted.")
                restore = after_failure(restore, action, refusal, now)
            tokens.add(action.client_token)
            if shown:
                world = carried_out(world, action)
                restore = next_step(restore, observed(world), now).restore
                world = state.world
        elif isinstance(action, Requeue):
            now += timedelta(seconds=20)
    assert len(tokens) == 1, "nothing else is tried"
    return restore


@pytest.mark.parametrize("rate", [None, 300])
@pytest.mark.parametrize("shown", [True, False])
def test_the_failure_of_a_volume_that_vanishes_names_its_key_alone(shown: bool, rate: int | None) -> None:
    restore = vanishing(shown=shown, rate=rate)
    assert restore.status is RestoreState.ROLLED_BACK
    failure = str(restore.failure)
    assert f"when its KMS key {KEY}, or that of snap-0, may not be used" in failure
    assert "createVolume" in failure
    assert "CloudTrail" in failure
    assert (MISMATCH in failure) is not shown
    assert "initialization rate" not in message(restore, NOW).sns_message()


def test_the_accounts_default_key_is_named_as_such() -> None:
    assert "its KMS key, the account's default for EBS, or that of" in str(vanishing(shown=True, key=None).failure)


def test_the_failure_of_an_unencrypted_volume_names_no_key() -> None:
    failure = str(vanishing(shown=True, encrypted=False).failure)
    assert "is gone, though this restore has not deleted it" in failure
    assert "KMS" not in failure
