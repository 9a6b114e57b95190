"""What a person asks for and a client asks again: `sam remote invoke` is botocore, which tries a call five times."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.endpoint
import pytest
from botocore.config import Config

from local.session import HOME_ACCOUNT, REGION, SECRET
from tests.e2e.stage import Stage, events_of, tags_of

WORK = 90
"""Seconds for which EC2 keeps the work waiting: longer than a client waits for an answer."""

WAITED = 15_000
"""Milliseconds within which an answer comes."""


@pytest.fixture(autouse=True)
def _no_faults_left(stage: Stage) -> Iterator[None]:
    yield
    stage.control.reset()


def patient_client(stage: Stage) -> Any:
    """A client with the settings that botocore has by itself, which are those of `sam remote invoke`."""
    return boto3.client(
        "lambda",
        region_name=REGION,
        endpoint_url=stage.aws.endpoint,
        aws_access_key_id=HOME_ACCOUNT,
        aws_secret_access_key=SECRET,
        config=Config(retries={"mode": "legacy", "total_max_attempts": 5}, read_timeout=60),
    )


def asked(stage: Stage, function: str, event: dict[str, Any], mark: int) -> list[dict[str, Any]]:
    """The invocations that a person's request began, not those that carry it out; none has kept its client waiting."""
    found = stage.control.invocations(mark, function=stage.outputs[function])
    answered = [item for item in found if item["event"] == event]
    assert [item["milliseconds"] for item in answered if item["milliseconds"] > WAITED] == []
    return answered


def made_once(stage: Stage, volumes: set[str], mark: int) -> None:
    """There is one set of snapshots of these volumes, made by one call and published once; nothing has failed."""
    assert stage.changes(mark) == ["CreateSnapshots"]
    snapshots = [item for item in stage.recovery_point_snapshots() if item["VolumeId"] in volumes]
    assert sorted(item["VolumeId"] for item in snapshots) == sorted(volumes)
    [point] = {tags_of(item)["lifeboat:recovery-point"] for item in snapshots}
    assert events_of(stage.published_about(recovery_point=point)).count("BackupCompleted") == 1
    assert stage.failed_events() == []
    assert stage.denied(mark) == []


def test_five_attempts_at_a_backup_of_90_seconds_make_one_set_of_snapshots(stage: Stage) -> None:
    [machine] = stage.launch(disks={"/dev/sdh": {"VolumeSize": 20}, "/dev/sdi": {"VolumeSize": 20}})
    mark, event = stage.control.mark(), {"instance_ids": [machine.instance_id]}
    stage.control.fault("CreateSnapshots", "delay", seconds=WORK)
    with ThreadPoolExecutor(5) as attempts:
        answers = list(attempts.map(lambda _: stage.invoke("TakeSnapshotsFunction", event), range(5)))
    stage.control.settle()
    [request] = {answer["request"] for answer in answers}
    assert len(asked(stage, "TakeSnapshotsFunction", event, mark)) == 5
    assert any(answer.get("under_way") for answer in answers)
    published = stage.invoke("TakeSnapshotsFunction", {"request": request})
    assert [item["instance_id"] for item in published["begun"]] == [machine.instance_id]
    made_once(stage, set(machine.volumes.values()), mark)


def test_a_client_that_loses_four_answers_gets_the_fifth_and_one_set_of_snapshots(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The client's pauses between its attempts pass on the simulated clock.
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=stage.control.advance))
    [machine] = stage.launch()
    mark, event = stage.control.mark(), {"instance_ids": [machine.instance_id]}
    stage.control.fault("CreateSnapshots", "delay", seconds=WORK)
    stage.control.fault("InvokeFunction", "drop", service="lambda", count=4, caller="root")
    answer = patient_client(stage).invoke(
        FunctionName=stage.outputs["TakeSnapshotsFunction"], Payload=json.dumps(event).encode()
    )
    stage.control.settle()
    payload = json.loads(answer["Payload"].read())
    attempts = asked(stage, "TakeSnapshotsFunction", event, mark)
    assert len(attempts) == 5
    assert {item["result"]["request"] for item in attempts} == {payload["request"]}
    made_once(stage, {machine.volume_id}, mark)


def test_a_dry_run_of_retention_of_90_seconds_answers_with_an_id_and_then_with_the_plan(stage: Stage) -> None:
    mark, event = stage.control.mark(), {"dry_run": True}
    stage.control.fault("DescribeLockedSnapshots", "delay", seconds=WORK)
    answer = stage.invoke("PruneSnapshotsFunction", event)
    stage.control.settle()
    assert answer["under_way"] is True
    same = stage.invoke("PruneSnapshotsFunction", event)
    assert (same["request"], same["dry_run"]) == (answer["request"], True)
    assert "calendar" in same
    assert len(asked(stage, "PruneSnapshotsFunction", event, mark)) == 2
    assert stage.denied(mark) == []


def test_what_is_done_within_seconds_is_the_answer(stage: Stage) -> None:
    mark = stage.control.mark()
    answer = stage.invoke("PruneSnapshotsFunction", {})
    assert "notices" in answer
    assert "next" not in answer
    assert len(asked(stage, "PruneSnapshotsFunction", {}, mark)) == 1
