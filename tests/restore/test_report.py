"""What is told of a restore's end: facts, and the exact commands of what a person has to do next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lifeboat.domain.ec2_calls import CopySnapshot
from lifeboat.restore import messages
from lifeboat.restore.machine.history import hibernation
from lifeboat.restore.record import (
    Direction,
    Fetch,
    KeptVolume,
    Restore,
    RestoreState,
    RestoreStep,
    RestoreVolume,
    TimelineEntry,
)
from lifeboat.restore.report import outcome, seconds_per_step

BEGAN = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
REGION, ACCOUNT = "eu-west-1", "111122223333"
TARGET, DISPLACED, RESTORED = "i-0target", "vol-0displaced", "vol-0restored"

VOLUME = RestoreVolume(
    snapshot_id="snap-0",
    device="/dev/sdb",
    zone="eu-west-1b",
    type="gp3",
    size=100,
    encrypted=True,
    lineage="vol-0first",
    displaced_volume_id=DISPLACED,
    restored_volume_id=RESTORED,
)
RESTORE = Restore(
    id="restore-0",
    request_id="incident-1",
    instance_id=TARGET,
    recovery_point_id="rp-0",
    volumes=(VOLUME,),
    started_at=BEGAN,
    step_since=BEGAN,
    was_running=True,
    timeline=(TimelineEntry(BEGAN, RestoreStep.VOLUMES, "asked"),),
)


def after(seconds, step, text="on"):
    return TimelineEntry(BEGAN + timedelta(seconds=seconds), step, text)


def steps(**facts):
    return outcome(replace(RESTORE, **facts), BEGAN + timedelta(minutes=4), REGION, ACCOUNT).next_steps


def commands(told):
    return [step for step in told if step.startswith(("aws ", "terraform "))]


def test_a_completed_restore_names_what_terraform_must_learn():
    told = steps(status=RestoreState.COMPLETED)
    assert commands(told) == [
        "terraform state rm 'aws_volume_attachment.data'",
        "terraform state rm 'aws_ebs_volume.data'",
        f"terraform import 'aws_ebs_volume.data' {RESTORED}",
        f"terraform import 'aws_volume_attachment.data' /dev/sdb:{RESTORED}:{TARGET}",
    ]
    assert any(step.startswith("CloudFormation, stack STACK: ") for step in told)


def test_the_stack_is_named_where_it_is_known():
    told = steps(status=RestoreState.COMPLETED, cloudformation_stack="platform")
    assert any("--stack-name platform --change-set-type IMPORT" in step for step in told)


@pytest.mark.parametrize(("key", "said"), [("arn:key", 'kms_key_id = "arn:key"'), (None, "")])
def test_terraform_s_arguments_are_those_that_replace_a_volume(key, said):
    told = " ".join(steps(status=RestoreState.COMPLETED, volumes=(replace(VOLUME, kms_key_id=key),)))
    assert 'snapshot_id = "snap-0", encrypted = true' in told
    assert ("kms_key_id" in told) is bool(said)
    assert said in told


def test_the_displaced_volume_is_never_deleted_but_the_command_is_told():
    told = steps(status=RestoreState.COMPLETED)
    assert f"aws ec2 delete-volume --region {REGION} --volume-id {DISPLACED}" in told[-1]
    assert "is kept" in told[-1]


def test_a_free_device_displaced_nothing():
    told = steps(status=RestoreState.COMPLETED, volumes=(replace(VOLUME, displaced_volume_id=None),))
    assert not any("delete-volume" in step for step in told)


def test_secrets_are_mentioned_only_when_the_data_crossed_something():
    assert not any("secrets" in step for step in steps(status=RestoreState.COMPLETED))
    assert any("secrets" in step for step in steps(status=RestoreState.COMPLETED, crossed=("zone a to b",)))


def test_a_restore_that_was_rolled_back_says_why_and_what_is_kept():
    told = steps(
        status=RestoreState.ROLLED_BACK, failure="no room", kept=(KeptVolume(RESTORED, "an instance ran on it"),)
    )
    assert told == (
        f"Nothing has changed on {TARGET}. Mend this, and ask again: no room",
        f"{RESTORED} is kept: an instance ran on it",
    )


def test_a_roll_back_that_cannot_finish_gives_every_command_in_its_order():
    told = steps(status=RestoreState.FAILED, direction=Direction.ROLLBACK, failure="late", blocked="No capacity.")
    assert "goes on trying" in told[0]
    assert "No capacity." in told[0]
    assert [step.split(" --region")[0] for step in commands(told)] == [
        "aws ec2 describe-instances",
        "aws ec2 stop-instances",
        "aws ec2 wait instance-stopped",
        "aws ec2 detach-volume",
        "aws ec2 attach-volume",
        "aws ec2 modify-instance-attribute",
        "aws ec2 start-instances",
    ]
    assert '"DeleteOnTermination":false' in told[-2]


def test_what_was_stopped_is_not_started_and_what_is_not_there_is_not_moved():
    told = steps(
        status=RestoreState.FAILED,
        was_running=False,
        volumes=(replace(VOLUME, displaced_volume_id=None, restored_volume_id=None),),
    )
    assert [step.split(" --region")[0] for step in commands(told)] == [
        "aws ec2 describe-instances",
        "aws ec2 stop-instances",
        "aws ec2 wait instance-stopped",
    ]


def test_when_lifeboat_stops_trying_it_says_how_to_save_the_data():
    told = steps(status=RestoreState.FAILED, closed=True, failure="late", blocked="the instance is gone")
    assert told[0] == "Lifeboat has stopped trying: the instance is gone."
    assert f"--volume-ids {DISPLACED} {RESTORED}" in told[2]
    assert "rp-0" in told[3]
    assert told[4].startswith("aws ec2 attach-volume")
    assert DISPLACED in told[4]


def test_an_open_restore_is_to_be_waited_for():
    assert steps(status=RestoreState.OPEN) == ("Wait: restore-0 is at the step volumes, forward",)


def test_the_seconds_of_each_step_are_told_and_those_of_the_way_back_apart():
    restore = replace(
        RESTORE,
        timeline=(
            *RESTORE.timeline,
            after(60, RestoreStep.STOP),
            after(90, RestoreStep.DETACH),
            after(95, RestoreStep.ATTACH, "turns back: refused"),
            after(100, RestoreStep.START),
            after(130, RestoreStep.DONE),
        ),
    )
    assert seconds_per_step(restore, BEGAN + timedelta(seconds=140)) == {
        "volumes": 60,
        "stop": 30,
        "detach": 5,
        "rollback attach": 5,
        "rollback start": 30,
    }


def test_the_details_are_facts_for_programs():
    told = outcome(RESTORE, BEGAN + timedelta(seconds=5), REGION, ACCOUNT).details
    assert told["seconds"] == 5
    assert told["region"] == REGION
    assert told["volumes"][0]["displaced_volume_id"] == DISPLACED  # type: ignore[index]


class TestFetched:
    FETCHED = replace(VOLUME, fetch=Fetch(CopySnapshot("eu-central-1", "snap-9", "", {}), copy_id="snap-0"))

    def test_the_facts_say_where_it_came_from(self):
        told = outcome(replace(RESTORE, volumes=(self.FETCHED,)), BEGAN, REGION, ACCOUNT).details
        [volume] = told["volumes"]
        assert (volume["snapshot_id"], volume["copied_from"], volume["copy_of"]) == ("snap-0", "eu-central-1", "snap-9")

    @pytest.mark.parametrize(("copy_id", "named"), [("snap-0", True), (None, False)])
    def test_turned_back_it_names_the_copies_that_stay(self, copy_id, named):
        volume = replace(self.FETCHED, fetch=replace(self.FETCHED.fetch, copy_id=copy_id))
        told = steps(status=RestoreState.ROLLED_BACK, failure="no", volumes=(volume,))
        assert any("for the next try to take" in step and "snap-0" in step for step in told) is named


TOOK = {
    "stop_takes": ("what is on its 900 GB of instance store volumes", "its public address 203.0.113.7"),
    "stopped": True,
}


@pytest.mark.parametrize("status", [RestoreState.COMPLETED, RestoreState.ROLLED_BACK, RestoreState.FAILED])
def test_what_the_stop_took_is_told_whatever_became_of_it(status):
    told = steps(status=status, failure="no room", blocked="no room", **TOOK)
    assert (
        "The stop took for good: what is on its 900 GB of instance store volumes; its public address 203.0.113.7. What "
        f"it has now: aws ec2 describe-instances --region {REGION} --instance-ids {TARGET}"
    ) in told
    assert not any("Nothing has changed" in step for step in told)


def test_a_roll_back_after_a_stop_does_not_claim_that_all_is_as_it_was():
    told = steps(status=RestoreState.ROLLED_BACK, failure="no room", **TOOK)
    assert told[0].startswith(f"{TARGET} is as it was, except for what its stop took for good (what is on its 900 GB")
    message = messages.restore_ended(
        stack="s",
        at=BEGAN,
        restore=replace(RESTORE, status=RestoreState.ROLLED_BACK, failure="no room", **TOOK),
        outcome=outcome(replace(RESTORE, **TOOK), BEGAN, REGION, ACCOUNT),
    )
    assert "the instance is as it was, except for what its stop took for good: what is on its 900 GB" in message.summary
    assert message.details["stop_took"] == list(TOOK["stop_takes"])


def test_without_a_stop_nothing_was_taken():
    restore = replace(RESTORE, status=RestoreState.ROLLED_BACK, failure="no room", **{**TOOK, "stopped": False})
    told = outcome(restore, BEGAN, REGION, ACCOUNT)
    assert told.next_steps == (f"Nothing has changed on {TARGET}. Mend this, and ask again: no room",)
    assert told.details["stop_took"] == []


def test_by_hand_a_hibernated_instance_is_woken_before_its_volumes_are_swapped():
    told = steps(status=RestoreState.FAILED, failure="no room", blocked=hibernation(TARGET))
    assert "is hibernated: its memory still has the file systems" in told[0]
    verbs = [command.split()[2] for command in commands(told)]
    assert verbs[:6] == ["describe-instances", "start-instances", "wait", "stop-instances", "wait", "detach-volume"]
    awake = commands(steps(status=RestoreState.FAILED, failure="no room", blocked="no room"))
    assert [command.split()[2] for command in awake][:3] == ["describe-instances", "stop-instances", "wait"]
