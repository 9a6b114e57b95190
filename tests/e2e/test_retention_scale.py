"""Retention on thousands of recovery points: few calls, EC2's pace, nothing lost, resumed after any cut, in 256 MB."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from math import ceil
from typing import Any

import pytest

from bench import retention_memory
from lifeboat.backup.selection import volume_metadata
from lifeboat.domain.recovery_point_tags import write_tags
from lifeboat.retention.workflow import RECHECKED
from local import stack as local_stack
from tests.builders import attachment, volume
from tests.e2e.stage import Stage, events_of, staged, tags_of

pytestmark = pytest.mark.xdist_group("retention_scale")

PRUNE = "PruneSnapshotsFunction"
KEPT = 10
"""So many of each lineage stay."""

LINEAGES, TAKEN = 24, 50
"""Twenty-four lineages of fifty: 1,200 recovery points, more than one page, of which 960 may go."""

PAGE = 1_000
OTHER_CALLS = 8
"""Of the table, for the request and the terms in force, and to publish: so many, however much goes."""
FIXED_READS = ("DescribeLockedSnapshots", "DescribeImages", "DescribeSnapshots", "DescribeInstances", "DescribeVolumes")
"""One page each here: locks, images, public snapshots, the lineage's instance, the living volumes."""

CAPACITY, REFILL = 100, 5
"""DeleteSnapshot's bucket (https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html)."""


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    parameters = {"MaximumDeletePercent": "100", "GraceHours": "0", "AllowAdoption": "true"}
    with staged({"Retention": f"last={KEPT}", **parameters}) as made:
        yield made


@pytest.fixture(autouse=True)
def _clean(stage: Stage) -> Iterator[None]:
    yield
    stage.control.reset()
    left = [snapshot["SnapshotId"] for snapshot in stage.recovery_point_snapshots()]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda snapshot: stage.ec2.delete_snapshot(SnapshotId=snapshot), left))


def seeded(stage: Stage, count: int, *, lineage: int = 1, disks: int = 1) -> list[str]:
    """So many recovery points, one an hour, of volumes long gone; their ids, newest first."""
    now = stage.now().replace(microsecond=0) - timedelta(days=8)  # so that incomplete ones may go, too
    volumes = [f"vol-{lineage:09x}{disk:08x}" for disk in range(disks)]
    all_metadata = [
        volume_metadata(volume(id=name, tags={}), attachment(name, f"/dev/sd{chr(ord('f') + number)}"))
        for number, name in enumerate(volumes)
    ]

    def seed(number: int) -> str:
        at = now - timedelta(hours=number)
        point = f"rp-{lineage:02}-{number:05}"
        tags = write_tags(
            recovery_point_id=point,
            set_id=f"set-{point}",
            stack="lifeboat",
            slot=at,
            instance_id="i-0aaaaaaaaaaaaaaa1",
            instance_name="CadoResponse",
            zone="eu-west-1a",
            ami_id="ami-0cad0000000000001",
            ami_owner="055430919509",
            all_metadata=all_metadata,
        )
        for name in volumes:
            stage.control.seed_snapshot(start_time=at, volume_id=name, size=100, tags=tags)
        return point

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(seed, range(count)))


def scheduled(stage: Stage) -> dict[str, str]:
    """What the schedule sends: what a person asks for is handed to another invocation."""
    return {"scheduled_time": f"{stage.now():%Y-%m-%dT%H:%M:%SZ}"}


def prune(stage: Stage, **more: Any) -> dict[str, Any]:
    return stage.invoke(PRUNE, {**scheduled(stage), **more})


def left(stage: Stage) -> list[str]:
    """The recovery point of each snapshot that is there, sorted."""
    return sorted(tags_of(snapshot)["lifeboat:recovery-point"] for snapshot in stage.recovery_point_snapshots())


def all_of(points: Iterable[str], disks: int = 1) -> list[str]:
    return sorted(point for point in points for _ in range(disks))


def test_960_of_1200_go_with_few_calls_at_the_buckets_pace(stage: Stage) -> None:
    kept = [point for lineage in range(LINEAGES) for point in seeded(stage, TAKEN, lineage=lineage)[:KEPT]]
    mark = stage.control.mark()
    stage.control.set_throttling(on=True)

    answer = prune(stage)

    gone = LINEAGES * (TAKEN - KEPT)
    assert left(stage) == all_of(kept), "none is lost, and none is left over"
    assert (len(answer["deleted"]), answer["refused"], answer["notices"]) == (gone, [], [])
    assert answer["saved_usd_per_month"] == gone * 100 * 0.05

    calls = stage.control.calls(mark, service="ec2", caller=PRUNE)
    # Before each batch its snapshots are read again, and the open suspicions.
    pages = ceil(LINEAGES * TAKEN / PAGE) + 2 * ceil(gone / RECHECKED) + len(FIXED_READS)
    assert len(calls) <= gone + pages + 5, stage.control.counts(mark, caller=PRUNE)

    others = [call for call in stage.control.calls(mark, caller=PRUNE) if call["service"] != "ec2"]
    assert len(others) <= OTHER_CALLS, stage.control.counts(mark, caller=PRUNE)

    deletions = [call["at"] for call in calls if call["action"] == "DeleteSnapshot"]
    bound = (gone - CAPACITY) / REFILL
    assert 0.9 * bound <= deletions[-1] - deletions[0] <= 1.15 * bound, "the bucket was enforced, and used up"
    assert stage.denied(mark) == []


CUTS = {
    "before the first deletion": ("ec2", "DeleteSnapshot", "kill_before", 1),
    "after a deletion that no one noticed": ("ec2", "DeleteSnapshot", "kill", 1),
    "within a recovery point": ("ec2", "DeleteSnapshot", "kill_before", 12),
    "at the observation before": ("ec2", "DescribeSnapshots", "kill_before", 3),
    "before it was published": ("sns", "Publish", "kill_before", 1),
}


@pytest.mark.parametrize("cut", CUTS)
def test_a_run_that_is_killed_is_resumed_by_the_next(stage: Stage, cut: str) -> None:
    points = seeded(stage, KEPT + 10, disks=2)
    service, action, effect, nth = CUTS[cut]
    stage.control.fault(action, effect, service=service, nth=nth, caller=PRUNE)
    killed = local_stack.invoke(stage.aws, stage.outputs[PRUNE], scheduled(stage))
    assert killed.error, "it was killed"
    assert set(all_of(points[:KEPT], disks=2)) <= set(left(stage))
    stage.control.reset()
    answer = prune(stage)
    assert answer["refused"] == []
    assert left(stage) == all_of(points[:KEPT], disks=2)


def test_two_runs_at_once_delete_and_publish_each_one_once(stage: Stage) -> None:
    points = seeded(stage, KEPT + 60)
    before = len(stage.messages())
    mark = stage.control.mark()
    stage.control.fault("DeleteSnapshot", "delay", count=0, seconds=0.02, caller=PRUNE)  # so that they do meet
    for _ in range(2):
        local_stack.invoke(stage.aws, stage.outputs[PRUNE], scheduled(stage), asynchronous=True)
    stage.control.settle()
    assert left(stage) == all_of(points[:KEPT])
    asked = [call["request"] for call in stage.control.calls(mark, action="DeleteSnapshot", caller=PRUNE)]
    assert len(asked) > len(set(asked)), "both have asked for some"
    details = [message["details"] for message in stage.messages()[before:]]
    published = [entry["recovery_point"] for found in details for entry in found["deleted"]]
    cut = sum(found.get("deleted_not_listed", 0) for found in details)
    assert len(published) + cut == 60
    assert len(published) == len(set(published)), "each is published by the run that deleted it"
    assert all(found["refused"] == [] for found in details)


def test_a_run_out_of_time_says_so_and_the_next_ones_finish(stage: Stage) -> None:
    points = seeded(stage, KEPT + 150)
    lambda_ = stage.aws.client("lambda")
    timeout = lambda_.get_function_configuration(FunctionName=stage.outputs[PRUNE])["Timeout"]
    lambda_.update_function_configuration(FunctionName=stage.outputs[PRUNE], Timeout=22)
    try:
        stage.control.set_throttling(on=True, speed=1)  # 100 at once, then 5 a second
        answer = prune(stage)
    finally:
        lambda_.update_function_configuration(FunctionName=stage.outputs[PRUNE], Timeout=timeout)
    gone = len(answer["deleted"])
    assert 0 < gone < 150
    assert answer["refused"] == []
    assert answer["notices"] == [f"{150 - gone} more recovery points wait for the next run: this one was cut off."]
    assert left(stage) == all_of(points[: KEPT + 150 - gone]), "the oldest go first"
    stage.control.reset()
    prune(stage)
    assert left(stage) == all_of(points[:KEPT])


def test_what_ec2_refuses_to_delete_is_published_and_delays_nothing(stage: Stage) -> None:
    points = seeded(stage, KEPT + 10)
    snapshots = {
        tags_of(item)["lifeboat:recovery-point"]: item["SnapshotId"] for item in stage.recovery_point_snapshots()
    }
    *_, public, locked, shared, stubborn = points
    stage.ec2.modify_snapshot_attribute(
        SnapshotId=snapshots[public],
        Attribute="createVolumePermission",
        OperationType="add",
        GroupNames=["all"],
    )
    stage.ec2.lock_snapshot(SnapshotId=snapshots[locked], LockMode="governance", LockDuration=1)
    stage.control.set_tags(snapshots[shared], {"lifeboat:shared": "444455556666"})
    mark = stage.control.mark()
    stage.control.fault(
        "DeleteSnapshot", "fail", count=0, resource=snapshots[stubborn], code="InvalidSnapshot.InUse", caller=PRUNE
    )

    answer = prune(stage)

    assert left(stage) == all_of([*points[:KEPT], public, locked, shared, stubborn])
    assert [entry["recovery_point"] for entry in answer["refused"]] == [stubborn]
    assert "InvalidSnapshot.InUse" in answer["refused"][0]["cause"]
    asked = [call["request"] for call in stage.control.calls(mark, action="DeleteSnapshot", caller=PRUNE)]
    assert len(asked) == 7, "six are deleted, one refuses, the others are not even asked for"
    kept = {entry["recovery_point"]: str(entry["reasons"]) for entry in prune(stage, dry_run=True)["kept"]}
    assert "public" in kept[public]
    assert "locked" in kept[locked]
    assert "lifeboat:shared" in kept[shared]
    assert stage.denied(mark) == []
    stage.ec2.unlock_snapshot(SnapshotId=snapshots[locked])


THIEF = """
import boto3, botocore
def handler(event, context):
    ec2, answers = boto3.client("ec2"), {}
    for name, (call, arguments) in event.items():
        try:
            getattr(ec2, call)(**arguments)
            answers[name] = "OK"
        except botocore.exceptions.ClientError as error:
            answers[name] = error.response["Error"]["Code"]
    return answers
"""


def test_with_the_functions_rights_nothing_else_can_be_tagged_or_deleted(stage: Stage) -> None:
    [ours] = seeded(stage, 1)
    [point] = [item["SnapshotId"] for item in stage.recovery_point_snapshots()]
    seed = stage.control.seed_snapshot
    bare, backup, life_cycle, other = seed(), seed(), seed(), seed(tags={"lifeboat:stack": "another"})
    stage.control.set_tags(backup, {"aws:backup:source-resource": "arn"})
    stage.control.set_tags(life_cycle, {"aws:dlm:lifecycle-policy-id": "policy-1"})
    held = seed(tags={"lifeboat:stack": "lifeboat", "lifeboat:hold": "court order"})
    shared = seed(tags={"lifeboat:stack": "lifeboat", "lifeboat:shared": "444455556666"})
    machine = stage.launch()[0]

    def tagging(resource: str, **tags: str) -> tuple[str, dict[str, object]]:
        wanted = [{"Key": key.replace("__", ":"), "Value": value} for key, value in tags.items()]
        return "create_tags", {"Resources": [resource], "Tags": wanted}

    def deleting(snapshot: str) -> tuple[str, dict[str, object]]:
        return "delete_snapshot", {"SnapshotId": snapshot}

    denied = {
        "a tag that is not ours": tagging(bare, lifeboat__stack="lifeboat", Name="mine"),
        "not as ours": tagging(bare, lifeboat__set="x"),
        "as another stack's": tagging(bare, lifeboat__stack="another"),
        "an instance": tagging(machine.instance_id, lifeboat__stack="lifeboat"),
        "a volume": tagging(machine.volume_id, lifeboat__stack="lifeboat"),
        "AWS Backup's": tagging(backup, lifeboat__stack="lifeboat"),
        "Data Lifecycle Manager's": tagging(life_cycle, lifeboat__stack="lifeboat"),
        "another stack's": tagging(other, lifeboat__stack="lifeboat"),
        "a recovery point": tagging(point, lifeboat__stack="lifeboat"),
        "deleting a bare one": deleting(bare),
        "deleting another stack's": deleting(other),
        "deleting a held one": deleting(held),
        "deleting a shared one": deleting(shared),
    }
    allowed = {"adopting": tagging(bare, lifeboat__stack="lifeboat"), "deleting ours": deleting(point)}

    answers = as_the_function(stage, {**denied, **allowed})

    assert answers == {**dict.fromkeys(denied, "UnauthorizedOperation"), **dict.fromkeys(allowed, "OK")}
    assert ours not in left(stage)
    for snapshot in (bare, backup, life_cycle, other, held, shared):
        stage.ec2.delete_snapshot(SnapshotId=snapshot)


def as_the_function(stage: Stage, calls: Mapping[str, tuple[str, Mapping[str, object]]]) -> dict[str, str]:
    """What EC2 answers to calls with the role of prune_snapshots: OK, or the error's code."""
    lambda_ = stage.aws.client("lambda")
    role = lambda_.get_function_configuration(FunctionName=stage.outputs[PRUNE])["Role"]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", THIEF)
    lambda_.create_function(
        FunctionName="thief",
        Runtime="python3.13",
        Handler="index.handler",
        Role=role,
        Code={"ZipFile": packed.getvalue()},
    )
    try:
        answers: dict[str, str] = local_stack.invoke(stage.aws, "thief", calls).payload
    finally:
        lambda_.delete_function(FunctionName="thief")
    return answers


def test_adopted_snapshots_are_governed(stage: Stage) -> None:
    machine = stage.launch()[0]
    now = stage.now().replace(microsecond=0)
    ids = [
        stage.control.seed_snapshot(
            start_time=now - timedelta(hours=hours), volume_id=machine.volume_id, size=20, tags={"Name": "nightly"}
        )
        for hours in range(1, KEPT + 4)
    ]
    managed = stage.control.seed_snapshot(start_time=now, volume_id=machine.volume_id, tags={"Name": "nightly"})
    stage.control.set_tags(managed, {"aws:dlm:lifecycle-policy-id": "policy-1"})
    ask = {"adopt": {"volume_id": machine.volume_id}}
    mark = stage.control.mark()

    preview = stage.invoke(PRUNE, ask)
    assert [entry["then"] for entry in preview["adopt"]] == ["deleted"] * 3 + ["kept"] * KEPT
    assert stage.changes(mark) == []

    answer = stage.invoke(PRUNE, {**ask, "confirm": True})
    assert {entry["snapshot"] for entry in answer["adopted"]} == set(ids)
    assert [entry["snapshot"] for entry in answer["refused"]] == [managed]
    assert stage.changes(mark) == ["CreateTags"] * len(ids)
    stage.control.settle()
    assert events_of(stage.published_about(volume_id=machine.volume_id)) == ["RecoveryPointsAdopted"]

    gone = {entry["recovery_point"] for entry in prune(stage)["deleted"]}
    assert gone == {entry["recovery_point"] for entry in preview["adopt"][:3]}
    assert stage.denied(mark) == []

    plan = stage.restore(machine, {"lineage": machine.volume_id}, dry_run=True)
    assert "refused" not in plan, plan
    stage.ec2.delete_snapshot(SnapshotId=managed)


def test_20000_snapshots_fit_into_the_functions_memory() -> None:
    """In a run, which does all that a dry run does, and more. The bench measures both."""
    figure = retention_memory.measure_alone("run")
    assert figure.deletable > 5_000, "the plan was made"
    assert retention_memory.too_much([figure]) == []
    assert figure.answer_mb < 6, "Lambda answers with 6 MB at most"
