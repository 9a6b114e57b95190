"""The decision of a drill: what it does next, for what EC2 shows and says."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lifeboat.domain.ec2 import Attachment
from lifeboat.domain.ec2_calls import CreateVolume, DeleteVolume
from lifeboat.domain.tags import Tag
from lifeboat.restore.machine.deadlines import Deadlines
from lifeboat.verify.drill import (
    Complete,
    ReadBlocks,
    Requeue,
    after_refusal,
    after_unread,
    begin,
    build_create_call,
    compare,
    fail,
    find_leftovers,
    is_attached,
    next_step,
)
from lifeboat.verify.drill_record import DrillState
from tests.builders import DATA, KEY
from tests.verify.drills import NOW, SECOND, made, planned, point

LIMITS = Deadlines()
ATTACHED = (Attachment("vol-1", "i-1", "/dev/sdz", "attached", delete_on_termination=False),)


def begun(*volume_ids):
    [drill] = planned(point(*volume_ids))
    return begin(drill, NOW)


def step(drill, observed=(), seconds=0, **more):
    return next_step(drill, {item.id: item for item in observed}, NOW + timedelta(seconds=seconds), LIMITS, **more)


def call_of(drill, number=0):
    return build_create_call(drill, drill.volumes[number])


def available():
    """A drill of one volume that EC2 has made, and the volume."""
    asked = step(begun()).drill
    return asked, made(call_of(asked))


def test_a_drill_from_its_beginning_to_its_end():
    drill, seconds, observed, seen = begun(DATA, SECOND), 0, {}, []
    while seconds < 60:
        found = step(drill, observed.values(), seconds)
        drill = found.drill
        seen.append(type(found.action).__name__)
        match found.action:
            case CreateVolume() as call:
                observed[made(call).id] = made(call, state="creating")
            case DeleteVolume(volume_id):
                observed[volume_id] = replace(observed[volume_id], state="deleting")
            case ReadBlocks(snapshot_ids):
                assert len(snapshot_ids) == 2
                drill = replace(drill, read=True)
            case Requeue():
                seconds += 10
                observed = {
                    name: replace(item, state="available")
                    for name, item in observed.items()
                    if item.state == "creating"
                }
            case Complete():
                break
    assert seen == [
        "CreateVolume",
        "CreateVolume",
        "Requeue",
        "ReadBlocks",
        "DeleteVolume",
        "DeleteVolume",
        "Complete",
    ]
    assert (drill.failure, drill.seconds) == ("", 10)


def test_a_waiting_drill_does_nothing():
    [drill] = planned(point())
    assert step(drill).action == Requeue("other drills are in front of it")
    assert step(drill).drill is drill


def test_a_volume_that_another_invocation_created_is_found_by_its_tag_and_not_created_again():
    drill = begun()
    found = step(drill, [made(call_of(drill), state="creating")])
    assert isinstance(found.action, Requeue)
    assert found.drill.volumes[0].restored_volume_id


def test_a_call_without_an_answer_is_repeated_with_its_token_after_some_seconds():
    first = step(begun())
    assert isinstance(step(first.drill, (), 10).action, Requeue)
    again = step(first.drill, (), 15)
    assert again.action == first.action


DIFFERENCES = {
    "type": ({"type": "gp2"}, "type is gp2, expected gp3"),
    "size": ({"size": 99}, "size is 99, expected 100"),
    "zone": ({"zone": "eu-west-1z"}, "zone is eu-west-1z, expected eu-west-1a"),
    "iops": ({"iops": 3000}, "iops is 3000, expected 4000"),
    "throughput": ({"throughput": 125}, "throughput is 125, expected 200"),
    "encryption": ({"encrypted": False}, "encrypted is false, expected true"),
    "key": (
        {"kms_key_id": "arn:aws:kms:eu-west-1:1:key/9"},
        f"kms_key_id is arn:aws:kms:eu-west-1:1:key/9, expected {KEY}",
    ),
    "tag": ({"tags": {}}, "tag Name is None, expected 'CadoResponseDataVolume'"),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_volume_that_differs_fails_the_drill_and_is_deleted(name):
    facts, words = DIFFERENCES[name]
    drill, volume = available()
    found = step(drill, [replace(volume, **facts)], 5)
    assert words in found.drill.failure
    assert found.action == DeleteVolume(volume.id)
    end = step(found.drill, (), 10)
    assert isinstance(end.action, Complete)


ALIKE = {
    "more tags": ({}, {"tags": {"Name": "CadoResponseDataVolume", "auto": "tagged"}}),
    "the id of the key": ({"kms_key_id": KEY.rpartition("/")[2]}, {}),
    "the alias of the key": ({"kms_key_id": "alias/backup"}, {"kms_key_id": "arn:aws:kms:eu-west-1:1:key/9"}),
    "encrypted by default": ({"encrypted": False, "kms_key_id": None}, {"encrypted": True}),
    "iops that nobody asked for": ({"iops": None}, {"iops": 3000}),
}


@pytest.mark.parametrize("name", ALIKE)
def test_what_is_no_difference(name):
    wanted, facts = ALIKE[name]
    drill, volume = available()
    asked = replace(drill.volumes[0], tags={"Name": "CadoResponseDataVolume"}, **wanted)
    assert compare(asked, replace(volume, **facts)) == []


def test_a_volume_that_never_becomes_available_fails_at_the_deadline_in_ec2s_words_and_is_deleted():
    asked, volume = available()
    asked = replace(asked, refused="InsufficientVolumeCapacity: no room")
    creating = replace(volume, state="creating")
    assert isinstance(step(asked, [creating], 3600).action, Requeue)
    late = step(asked, [creating], 3601)
    assert late.action == DeleteVolume(volume.id)
    assert late.drill.failure == (
        f"the volume of {volume.snapshot_id} did not become available within 60 minutes; EC2 said "
        "InsufficientVolumeCapacity: no room"
    )


def test_a_volume_that_vanishes_fails_the_drill_and_names_its_key():
    drill, volume = available()
    known = step(drill, [replace(volume, state="creating")]).drill
    found = step(known, ())
    assert isinstance(found.action, Complete)
    assert f"volume {volume.id} of {volume.snapshot_id} is gone" in found.drill.failure
    assert KEY in found.drill.failure


@pytest.mark.parametrize("state", ["error", "in-use"])
def test_a_volume_in_another_state_fails_the_drill(state):
    drill, volume = available()
    found = step(drill, [replace(volume, state=state)])
    assert f"is {state}, expected available and never attached" in found.drill.failure


def test_a_volume_that_someone_attached_is_never_deleted():
    drill, volume = available()
    used = replace(volume, state="in-use", attachments=ATTACHED)
    found = step(drill, [used])
    assert isinstance(found.action, Complete)
    assert "never attached" in found.drill.failure
    assert is_attached(used)
    assert is_attached(replace(volume, attachments=ATTACHED))


REFUSALS = {
    "a throttled call": ("RequestLimitExceeded", True, DrillState.CREATING, "", "said"),
    "a denied call": ("UnauthorizedOperation", False, DrillState.DELETING, "was refused: said", ""),
    "the token of a volume that is gone": ("IdempotentParameterMismatch", False, DrillState.DELETING, "it is gone", ""),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refused_creation(name):
    code, passes, state, failure, refused = REFUSALS[name]
    first = step(begun())
    after = after_refusal(first.drill, first.action, code, "said", NOW, passes=passes)
    assert (after.state, after.refused) == (state, refused)
    assert failure in after.failure
    assert bool(after.failure) == bool(failure)


def test_after_a_denied_creation_nothing_is_waited_for():
    first = step(begun())
    after = after_refusal(first.drill, first.action, "UnauthorizedOperation", "said", NOW, passes=False)
    assert isinstance(step(after).action, Complete)


def test_a_volume_that_may_still_appear_is_waited_for_and_deleted():
    asked = step(begun()).drill
    failed = fail(asked, "why", NOW)
    assert isinstance(step(failed, (), 119).action, Requeue)
    assert isinstance(step(failed, (), 120).action, Complete)
    volume = made(call_of(asked))
    assert step(failed, [volume], 60).action == DeleteVolume(volume.id)


def test_a_deletion_is_repeated_until_the_deadline_and_then_the_drill_fails_with_ec2s_words():
    drill, volume = available()
    deleting = step(replace(step(drill, [volume]).drill, read=True), [volume])
    assert deleting.action == DeleteVolume(volume.id)
    refused = after_refusal(deleting.drill, deleting.action, "UnauthorizedOperation", "no", NOW, passes=False)
    assert isinstance(step(refused, [volume], 10).action, Requeue)
    assert step(refused, [volume], 15).action == DeleteVolume(volume.id)
    late = step(refused, [volume], 3601)
    assert isinstance(late.action, Complete)
    assert late.drill.failure == f"volume {volume.id} could not be deleted; EC2 said no"


def test_a_volume_that_is_deleted_already_is_no_failure():
    drill, _ = available()
    assert after_refusal(drill, DeleteVolume("vol-1"), "InvalidVolume.NotFound", "gone", NOW, passes=False) is drill


def test_an_open_restore_postpones_a_drill_whose_volumes_are_deleted_first():
    drill, volume = available()
    found = step(drill, [volume], blocked="restore-1 is open")
    assert found.action == DeleteVolume(volume.id)
    again = step(found.drill, (), 5)
    assert again.action == Requeue("restore-1 is open")
    assert again.drill.state is DrillState.WAITING
    assert step(again.drill, (), 5, blocked="restore-1 is open").action == Requeue("restore-1 is open")
    second = step(begin(again.drill, NOW))
    assert second.action.client_token != call_of(drill).client_token
    assert second.action.snapshot_id == volume.snapshot_id


def test_an_open_restore_does_not_hinder_the_deletion():
    drill, volume = available()
    failed = fail(drill, "why", NOW)
    assert step(failed, [volume], blocked="restore-1 is open").action == DeleteVolume(volume.id)


@pytest.mark.parametrize(
    ("code", "passes", "failure"),
    [
        ("SNAPSHOT_NOT_FOUND", False, ""),
        ("ACCOUNT_THROTTLED", True, ""),
        ("AccessDeniedException", False, "a block of snap-1 could not be read: said"),
    ],
)
def test_a_block_that_cannot_be_read_yet_is_read_later(code, passes, failure):
    drill, _ = available()
    after = after_unread(drill, "snap-1", code, "said", NOW, passes=passes)
    assert (after.failure, after.read) == (failure, False)
    assert after.refused == ("" if failure else "said")


def test_a_block_that_cannot_be_read_before_the_deadline_fails_the_drill():
    drill, volume = available()
    reading = step(drill, [volume], 5)
    assert reading.action == ReadBlocks((volume.snapshot_id,))
    late = step(replace(reading.drill, refused="SNAPSHOT_NOT_FOUND: not yet"), [volume], 3601)
    assert late.drill.failure == "no block could be read within 60 minutes; EC2 said SNAPSHOT_NOT_FOUND: not yet"
    assert late.action == DeleteVolume(volume.id)


def test_leftovers_are_volumes_of_drills_that_are_not_open_and_that_nobody_uses():
    drill, volume = available()
    cut_off = replace(volume, id="vol-left", tags={Tag.DRILL: "drill-gone", Tag.STACK: "lifeboat"})
    observed = [
        volume,
        cut_off,
        replace(cut_off, id="vol-used", state="in-use", attachments=ATTACHED),
        replace(cut_off, id="vol-deleting", state="deleting"),
    ]
    assert find_leftovers(observed, [drill.id]) == [cut_off]
