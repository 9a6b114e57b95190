"""What people and programs get to read, and what a person who imitates it brings about: nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e.stage import Machine, Stage, events_of, staged

OPERATOR = "operator@example.com"
STRANGER = "444455556666"
HOSTILE = "platform\nWhat to do next:\n  1. delete your snapshots"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged({"NotificationEmail": OPERATOR}) as made:
        yield made


@pytest.fixture(scope="module")
def machine(stage: Stage) -> Machine:
    [launched] = stage.launch(tags={"lifeboat:backup": "true", "Name": HOSTILE})
    stage.control.settle()
    return launched


@pytest.fixture(scope="module")
def urgent(stage: Stage) -> str:
    """A queue that receives warnings and worse."""
    queue: str = stage.sqs.create_queue(QueueName="urgent")["QueueUrl"]
    arn = stage.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    stage.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    stage.aws.client("sns").subscribe(
        TopicArn=stage.outputs["NotificationTopicArn"],
        Protocol="sqs",
        Endpoint=arn,
        Attributes={
            "RawMessageDelivery": "true",
            "FilterPolicy": json.dumps({"severity": ["warning", "critical"]}),
        },
    )
    return queue


def received(stage: Stage, queue: str) -> list[dict[str, Any]]:
    found = []
    while messages := stage.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            found.append(json.loads(message["Body"]))
            stage.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return found


def publish(stage: Stage, account: str | None = None) -> None:
    """What BackupCompleted looks like, from someone else."""
    stage.aws.client("sns", account=account).publish(
        TopicArn=stage.outputs["NotificationTopicArn"],
        Message=json.dumps({"version": "1", "event": "BackupCompleted", "subject": {}, "details": {}}),
        MessageAttributes={"event": {"DataType": "String", "StringValue": "BackupCompleted"}},
    )


def test_a_name_cannot_imitate_the_next_steps(stage: Stage, machine: Machine) -> None:
    mark = stage.control.mark()
    stage.invoke("TakeSnapshotsFunction", {"instance_ids": [machine.instance_id]})
    stage.control.settle()
    letters = stage.control.emails(mark)
    assert {letter["to"] for letter in letters} == {OPERATOR}
    [letter] = [letter for letter in letters if letter["subject"].endswith(" backed up")]
    assert letter["subject"].isprintable()
    assert [item for item in letters if item["subject"].startswith("[lifeboat]")] == [letter], (
        "a healthy machine sends one e-mail for a backup"
    )
    assert '"platform What to do next: 1. delete your snapshots" is good.' in letter["text"]
    assert "What to do next:" not in [line.strip() for line in letter["text"].splitlines()]


def test_programs_read_what_the_documents_promise(stage: Stage, machine: Machine) -> None:
    stage.invoke("TakeSnapshotsFunction", {"instance_ids": [machine.instance_id]})
    stage.control.settle()
    completed = [
        item for item in stage.published_about(instance_id=machine.instance_id) if item["event"] == "BackupCompleted"
    ][-1]
    assert completed["version"] == "1"
    assert list(completed["details"]["snapshots"].values()) == list(machine.volumes)


def test_a_filter_passes_only_what_needs_a_person(stage: Stage, machine: Machine, urgent: str) -> None:
    stage.invoke("TakeSnapshotsFunction", {"instance_ids": [machine.instance_id]})
    stage.ec2.delete_tags(Resources=[machine.volume_id], Tags=[{"Key": "lifeboat:restore-target"}])
    assert "refused" in stage.restore(machine, "latest")
    stage.control.settle()
    found = received(stage, urgent)
    assert events_of(found) == ["RestoreRefused"], found
    assert "BackupCompleted" in events_of(stage.messages())


def test_a_false_message_wakes_retention_and_moves_nothing(stage: Stage, machine: Machine) -> None:
    before = stage.recovery_point_snapshots()
    mark = stage.control.mark()
    publish(stage)
    stage.control.settle()
    pruned = [item for item in stage.control.invocations(mark) if "prune-snapshots" in item["function"]]
    assert len(pruned) == 1
    assert stage.changes(mark) == []
    assert stage.recovery_point_snapshots() == before
    assert stage.failed_events() == []


def test_a_stranger_cannot_publish(stage: Stage) -> None:
    mark = stage.control.mark()
    with pytest.raises(ClientError, match=r"AuthorizationError|AccessDenied"):
        publish(stage, STRANGER)
    stage.control.settle()
    assert stage.control.invocations(mark) == []


def test_a_false_event_confirms_nothing(stage: Stage) -> None:
    """It says that a snapshot is done, and EC2 says that it is not: an observation, and nothing published."""
    [slow] = stage.launch(tags={"lifeboat:backup": "true", "Name": "slow"})
    stage.control.settle()
    stage.control.fail_creation("snapshot", resource=slow.volume_id, stuck=True)
    [begun] = stage.invoke("TakeSnapshotsFunction", {"instance_ids": [slow.instance_id]})["begun"]
    stage.control.settle()
    snapshot_id = begun["snapshots"][slow.volume_id]
    mark = stage.control.mark()
    stage.control.put_event(
        {
            "source": "aws.ec2",
            "detail-type": "EBS Snapshot Notification",
            "resources": [f"arn:aws:ec2::eu-west-1:snapshot/{snapshot_id}"],
            "detail": {"event": "createSnapshot", "result": "succeeded", "snapshot_id": snapshot_id},
        }
    )
    stage.control.settle()
    [observation] = stage.control.invocations(mark, function="confirm-snapshots")
    assert observation["result"]["completed"] == []
    assert [item["recovery_point"] for item in observation["result"]["pending"]] == [begun["recovery_point"]]
    assert "BackupCompleted" not in events_of(stage.published_about(instance_id=slow.instance_id))
