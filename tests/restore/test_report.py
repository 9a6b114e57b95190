"""The outcome of a restore: facts, and the exact commands that a person runs next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lifeboat.domain.ec2_calls import CopySnapshot
from lifeboat.restore import messages
from lifeboat.restore.machine.history import describe_hibernation
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


def commands(found):
    return [step for step in found if step.startswith(("aws ", "terraform "))]


def test_a_completed_restore_has_the_commands_for_terraform():
    found = steps(status=RestoreState.COMPLETED)
    assert [command for command in commands(found) if command.startswith("terraform")] == [
        "terraform state rm 'aws_volume_attachment.data'",
        "terraform state rm 'aws_ebs_volume.data'",
        f"terraform import 'aws_ebs_volume.data' {RESTORED}",
        f"terraform import 'aws_volume_attachment.data' /dev/sdb:{RESTORED}:{TARGET}",
    ]
    assert any(step.startswith("CloudFormation, stack STACK: ") for step in found)


def test_the_stack_is_named_where_it_is_known():
    found = steps(status=RestoreState.COMPLETED, cloudformation_stack="platform")
    assert any("--stack-name platform --change-set-type IMPORT" in step for step in found)


@pytest.mark.parametrize(("key", "said"), [("arn:key", 'kms_key_id = "arn:key"'), (None, "")])
def test_terraform_s_arguments_are_those_that_replace_a_volume(key, said):
    found = " ".join(steps(status=RestoreState.COMPLETED, volumes=(replace(VOLUME, kms_key_id=key),)))
    assert 'snapshot_id = "snap-0", encrypted = true' in found
    assert ("kms_key_id" in found) is bool(said)
    assert said in found


def test_the_command_that_deletes_the_displaced_volume_is_the_last_step():
    found = steps(status=RestoreState.COMPLETED)
    assert f"aws ec2 delete-volume --region {REGION} --volume-id {DISPLACED}" in found[-1]
    assert "is kept" in found[-1]


def test_a_free_device_displaced_nothing():
    found = steps(status=RestoreState.COMPLETED, volumes=(replace(VOLUME, displaced_volume_id=None),))
    assert not any("delete-volume" in step for step in found)


def test_secrets_are_mentioned_only_when_the_data_crossed_something():
    assert not any("secrets" in step for step in steps(status=RestoreState.COMPLETED))
    assert any("secrets" in step for step in steps(status=RestoreState.COMPLETED, crossed=("zone a to b",)))


def test_a_restore_that_was_rolled_back_says_why_and_what_is_kept():
    found = steps(
        status=RestoreState.ROLLED_BACK, failure="no room", kept=(KeptVolume(RESTORED, "an instance ran on it"),)
    )
    assert found == (
        f"Nothing has changed on {TARGET}. Fix this, then send the request again: no room",
        f"{RESTORED} is kept: an instance ran on it",
    )


def test_a_roll_back_that_cannot_finish_gives_every_command_in_its_order():
    found = steps(status=RestoreState.FAILED, direction=Direction.ROLLBACK, failure="late", blocked="No capacity.")
    assert "retries every minute" in found[0]
    assert "No capacity." in found[0]
    assert [step.split(" --region")[0] for step in commands(found)] == [
        "aws ec2 describe-instances",
        "aws ec2 stop-instances",
        "aws ec2 wait instance-stopped",
        "aws ec2 detach-volume",
        "aws ec2 attach-volume",
        "aws ec2 modify-instance-attribute",
        "aws ec2 start-instances",
    ]
    assert '"DeleteOnTermination":false' in found[-2]


def test_what_was_stopped_is_not_started_and_what_is_not_there_is_not_moved():
    found = steps(
        status=RestoreState.FAILED,
        was_running=False,
        volumes=(replace(VOLUME, displaced_volume_id=None, restored_volume_id=None),),
    )
    assert [step.split(" --region")[0] for step in commands(found)] == [
        "aws ec2 describe-instances",
        "aws ec2 stop-instances",
        "aws ec2 wait instance-stopped",
    ]


def test_when_lifeboat_stops_trying_it_says_how_to_save_the_data():
    found = steps(status=RestoreState.FAILED, closed=True, failure="late", blocked="the instance is gone")
    assert found[0] == "Lifeboat has stopped trying: the instance is gone."
    assert f"--volume-ids {DISPLACED} {RESTORED}" in found[2]
    assert "rp-0" in found[3]
    assert found[4].startswith("aws ec2 attach-volume")
    assert DISPLACED in found[4]


def test_the_next_step_of_an_open_restore_is_to_wait():
    assert steps(status=RestoreState.OPEN) == ("Wait: restore-0 is at the step volumes, forward",)


def test_the_seconds_of_each_step_are_separate_for_each_direction():
    restore = replace(
        RESTORE,
        timeline=(
            *RESTORE.timeline,
            after(60, RestoreStep.STOP),
            after(90, RestoreStep.DETACH),
            after(95, RestoreStep.ATTACH, "rolls back: refused"),
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
    found = outcome(RESTORE, BEGAN + timedelta(seconds=5), REGION, ACCOUNT).details
    assert found["seconds"] == 5
    assert found["region"] == REGION
    assert found["volumes"][0]["displaced_volume_id"] == DISPLACED  # type: ignore[index]


class TestFetched:
    FETCHED = replace(VOLUME, fetch=Fetch(CopySnapshot("eu-central-1", "snap-9", "", {}), copy_id="snap-0"))

    def test_the_facts_say_where_it_came_from(self):
        found = outcome(replace(RESTORE, volumes=(self.FETCHED,)), BEGAN, REGION, ACCOUNT).details
        [volume] = found["volumes"]
        assert (volume["snapshot_id"], volume["copied_from"], volume["copy_of"]) == ("snap-0", "eu-central-1", "snap-9")

    @pytest.mark.parametrize(("copy_id", "named"), [("snap-0", True), (None, False)])
    def test_a_roll_back_names_the_copies_that_stay(self, copy_id, named):
        volume = replace(self.FETCHED, fetch=replace(self.FETCHED.fetch, copy_id=copy_id))
        found = steps(status=RestoreState.ROLLED_BACK, failure="no", volumes=(volume,))
        assert any("The next restore uses the copies" in step and "snap-0" in step for step in found) is named


TOOK = {
    "stop_takes": ("the data on its 900 GB of instance store volumes", "its public address 203.0.113.7"),
    "stopped": True,
}


@pytest.mark.parametrize("status", [RestoreState.COMPLETED, RestoreState.ROLLED_BACK, RestoreState.FAILED])
def test_every_outcome_has_what_the_stop_removed(status):
    found = steps(status=status, failure="no room", blocked="no room", **TOOK)
    assert (
        "The stop removed permanently: the data on its 900 GB of instance store volumes; its public address "
        "203.0.113.7. To see what the instance has now: "
        f"aws ec2 describe-instances --region {REGION} --instance-ids {TARGET}"
    ) in found
    assert not any("Nothing has changed" in step for step in found)


def test_a_roll_back_after_a_stop_does_not_claim_that_nothing_changed():
    found = steps(status=RestoreState.ROLLED_BACK, failure="no room", **TOOK)
    assert found[0].startswith(
        f"{TARGET} is as it was, except for what its stop removed permanently (the data on its 900 GB"
    )
    message = messages.restore_ended(
        stack="s",
        at=BEGAN,
        restore=replace(RESTORE, status=RestoreState.ROLLED_BACK, failure="no room", **TOOK),
        outcome=outcome(replace(RESTORE, **TOOK), BEGAN, REGION, ACCOUNT),
    )
    assert (
        "the instance is as it was, except for what its stop removed permanently: the data on its 900 GB"
        in message.summary
    )
    assert message.details["stop_took"] == list(TOOK["stop_takes"])


def test_without_a_stop_nothing_was_removed():
    restore = replace(RESTORE, status=RestoreState.ROLLED_BACK, failure="no room", **{**TOOK, "stopped": False})
    found = outcome(restore, BEGAN, REGION, ACCOUNT)
    assert found.next_steps == (f"Nothing has changed on {TARGET}. Fix this, then send the request again: no room",)
    assert found.details["stop_took"] == []


def test_the_commands_start_a_hibernated_instance_before_they_swap_its_volumes():
    found = steps(status=RestoreState.FAILED, failure="no room", blocked=describe_hibernation(TARGET))
    assert "is hibernated: its memory has the file systems" in found[0]
    verbs = [command.split()[2] for command in commands(found)]
    assert verbs[:6] == ["describe-instances", "start-instances", "wait", "stop-instances", "wait", "detach-volume"]
    awake = commands(steps(status=RestoreState.FAILED, failure="no room", blocked="no room"))
    assert [command.split()[2] for command in awake][:3] == ["describe-instances", "stop-instances", "wait"]
