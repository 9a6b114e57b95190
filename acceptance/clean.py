"""Deletes all that a run has made, found by tags and names and not by memory, until nothing is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from acceptance.run import POLL_SECONDS, Run
from acceptance.state import STACK_NAME, TAG
from acceptance.steps import find_key

ROUNDS = 120
"""Of ten seconds: a stack is deleted in some minutes, an instance in one or two."""
KEY_DAYS = 7
"""The shortest time after which KMS deletes a key; it costs nothing meanwhile."""


@dataclass(frozen=True)
class Kind:
    """A kind of resource.

    Attributes:
        find: the ids of what is there.
        delete: asks AWS to delete one; what AWS refuses now is asked again.
        command: what a person types to delete one.
    """

    name: str
    find: Callable[[Run], list[str]]
    delete: Callable[[Run, str], object]
    command: str


@dataclass(frozen=True, slots=True)
class Left:
    """What could not be deleted, why, and what a person types."""

    kind: str
    resource: str
    why: str
    command: str


def clean(run: Run) -> list[Left]:
    """Delete everything; what is left after all rounds, and nothing if all is gone."""
    run.state.facts["cleaning"] = True
    run.state.save()
    _mailbox(run)
    refused: dict[tuple[str, str], str] = {}
    for _round in range(ROUNDS):
        found = list(_found(run, KINDS)) or list(_found(run, LAST))
        if not found:
            break
        for kind, resource in found:
            try:
                kind.delete(run, resource)
            except ClientError as refusal:
                refused[kind.name, resource] = str(refusal)
        run.listen(POLL_SECONDS)
    left = [
        Left(kind.name, resource, refused.get((kind.name, resource), ""), _command(run, kind, resource))
        for kind, resource in _found(run, (*KINDS, *LAST))
    ]
    if not left:
        for queue in _queues(run):
            run.sqs.delete_queue(QueueUrl=queue)
        run.state.ended = True
        run.state.save()
    return left


def _command(run: Run, kind: Kind, resource: str) -> str:
    return f"aws {kind.command.format(resource)} --region {run.state.region}"


def _found(run: Run, kinds: Iterable[Kind]) -> Iterable[tuple[Kind, str]]:
    return ((kind, resource) for kind in kinds for resource in kind.find(run))


def _mailbox(run: Run) -> None:
    """The queue by which a run waits; one of its own if that of the run is not there, or not any more."""
    queues = _queues(run)
    if run.mailbox not in queues:
        made: str = run.sqs.create_queue(QueueName=f"{run.state.name}-clean", tags=run.state.tags("queue"))["QueueUrl"]
        run.mailbox = next(iter(queues), made)


def _queues(run: Run) -> list[str]:
    return list(run.sqs.list_queues(QueueNamePrefix=run.state.name).get("QueueUrls", []))


# --- where each kind is found, and how it goes


def _mine(run: Run) -> list[dict[str, Any]]:
    return [{"Name": f"tag:{TAG}", "Values": [run.state.run]}]


def _stacks(run: Run) -> list[str]:
    """The run's stack. Any other of that name stays. One that `sam deploy` has only reviewed has no tags yet."""
    try:
        [stack] = run.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
    except ClientError as refusal:
        if refusal.response["Error"]["Code"] == "ValidationError":  # there is none
            return []
        raise
    reviewed = stack["StackStatus"] == "REVIEW_IN_PROGRESS" and "stack" in run.state.intended
    of_run = reviewed or {"Key": TAG, "Value": run.state.run} in stack.get("Tags", [])
    return [STACK_NAME] if of_run and stack["StackStatus"] != "DELETE_COMPLETE" else []


def _delete_stack(run: Run, name: str) -> None:
    cloudformation = run.client("cloudformation")
    [stack] = cloudformation.describe_stacks(StackName=name)["Stacks"]
    if stack["StackStatus"] != "DELETE_IN_PROGRESS":
        cloudformation.delete_stack(StackName=name)


def _instances(run: Run) -> list[str]:
    groups = run.ec2.describe_instances(Filters=_mine(run))["Reservations"]
    return [
        item["InstanceId"] for group in groups for item in group["Instances"] if item["State"]["Name"] != "terminated"
    ]


def _images(run: Run) -> list[str]:
    return [item["ImageId"] for item in run.ec2.describe_images(Owners=["self"], Filters=_mine(run))["Images"]]


def _volumes(run: Run) -> list[str]:
    found = run.ec2.describe_volumes(Filters=_mine(run))["Volumes"]
    return [item["VolumeId"] for item in found if item["State"] != "deleting"]


def _snapshots(run: Run) -> list[str]:
    """The run's, and the recovery points of its stack."""
    of_stack = [{"Name": "tag:lifeboat:stack", "Values": [STACK_NAME]}]
    pages = [
        run.ec2.describe_snapshots(OwnerIds=["self"], Filters=filters)["Snapshots"]
        for filters in (_mine(run), of_stack)
    ]
    return list(dict.fromkeys(item["SnapshotId"] for page in pages for item in page))


def _delete_unattached(run: Run, volume_id: str) -> None:
    """An attached volume goes with the next round, when its instance is gone."""
    [volume] = run.ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"]
    if not volume["Attachments"]:
        run.ec2.delete_volume(VolumeId=volume_id)


def _delete_unused(run: Run, snapshot_id: str) -> None:
    """The image of which it is part goes first."""
    if not _images(run):
        run.ec2.delete_snapshot(SnapshotId=snapshot_id)


def _keys(run: Run) -> list[str]:
    found = find_key(run) if "key" in run.state.intended else None
    return [found] if found else []


def _tables(run: Run) -> list[str]:
    """The stack leaves its table, on purpose."""
    if "stack" not in run.state.intended or _stacks(run):
        return []
    pages = run.client("dynamodb").get_paginator("list_tables").paginate()
    return [name for page in pages for name in page["TableNames"] if name.startswith(f"{STACK_NAME}-StateTable")]


def _delete_table(run: Run, name: str) -> None:
    dynamodb = run.client("dynamodb")
    table = dynamodb.describe_table(TableName=name)["Table"]
    if table.get("DeletionProtectionEnabled"):
        dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
    elif table["TableStatus"] == "ACTIVE":
        dynamodb.delete_table(TableName=name)


def _log_groups(run: Run) -> list[str]:
    """A function that still ran while the stack was deleted has made its log group again."""
    if "stack" not in run.state.intended or _stacks(run):
        return []
    found = run.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{STACK_NAME}-")["logGroups"]
    return [item["logGroupName"] for item in found]


def _rules(run: Run) -> list[str]:
    return [item["Name"] for item in run.client("events").list_rules(NamePrefix=run.state.name)["Rules"]]


def _delete_rule(run: Run, name: str) -> None:
    events = run.client("events")
    targets = [item["Id"] for item in events.list_targets_by_rule(Rule=name)["Targets"]]
    if targets:
        events.remove_targets(Rule=name, Ids=targets)
    events.delete_rule(Name=name)


def _buckets(run: Run) -> list[str]:
    return [item["Name"] for item in run.client("s3").list_buckets()["Buckets"] if item["Name"] == run.state.bucket]


def _delete_bucket(run: Run, name: str) -> None:
    s3 = run.client("s3")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
        for item in page.get("Contents", []):
            s3.delete_object(Bucket=name, Key=item["Key"])
    s3.delete_bucket(Bucket=name)


KINDS = (
    Kind("stack", _stacks, _delete_stack, "cloudformation delete-stack --stack-name {}"),
    Kind(
        "instance",
        _instances,
        lambda run, one: run.ec2.terminate_instances(InstanceIds=[one]),
        "ec2 terminate-instances --instance-ids {}",
    ),
    Kind(
        "image", _images, lambda run, one: run.ec2.deregister_image(ImageId=one), "ec2 deregister-image --image-id {}"
    ),
    Kind("volume", _volumes, _delete_unattached, "ec2 delete-volume --volume-id {}"),
    Kind("snapshot", _snapshots, _delete_unused, "ec2 delete-snapshot --snapshot-id {}"),
    Kind(
        "key",
        _keys,
        lambda run, one: run.client("kms").schedule_key_deletion(KeyId=one, PendingWindowInDays=KEY_DAYS),
        "kms schedule-key-deletion --pending-window-in-days 7 --key-id {}",
    ),
    Kind("table", _tables, _delete_table, "dynamodb delete-table --table-name {}"),
    Kind(
        "log group",
        _log_groups,
        lambda run, one: run.client("logs").delete_log_group(logGroupName=one),
        "logs delete-log-group --log-group-name {}",
    ),
)
"""In the order in which they are asked to go."""

LAST = (
    Kind("rule", _rules, _delete_rule, "events delete-rule --name {}"),
    Kind("bucket", _buckets, _delete_bucket, "s3 rb --force s3://{}"),
)
"""When all else is gone: until then the rule delivers the events of the deletions."""
