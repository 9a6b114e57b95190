"""The change canary, through verify_snapshots: encryption is published once, retention stops, a person closes it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import cache
from random import Random
from typing import Any

import pytest
import time_machine
from botocore.exceptions import ClientError
from moto.core.responses import ActionResult
from moto.ebs.responses import EBSResponse

from lifeboat import handler
from lifeboat.aws import clients, clock, ec2_snapshots
from lifeboat.verify import canary, canary_store, canary_workflow
from lifeboat.verify.canary import Observation
from tests.functions.conftest import TABLE, TODAY, Context, World
from tests.functions.saved import saved_snapshot
from tests.functions.written_blocks import BLOCK, in_pages, write_blocks

__all__ = ["in_pages"]

WRITTEN = 10
"""Written blocks of the volume."""


ENTROPIES = cache(canary.entropies)
"""Most blocks are the same in all tests."""


@cache
def text(number: int, version: int) -> bytes:
    return (f"block {number} in its version {version}, " * 20_000).encode()[:BLOCK]


@cache
def random(number: int) -> bytes:
    return Random(number).randbytes(BLOCK)


class Volume:
    """An instance whose one data volume has bytes, and a backup of it each day."""

    def __init__(self, world: World, traveller: Any) -> None:
        self.world, self.traveller, self.day = world, traveller, 0
        self.contents: dict[str, Mapping[int, bytes]] = {}
        self.blocks = {number: text(number, 0) for number in range(WRITTEN)}
        self.instance_id = world.launch()
        self.lineage = world.volume_of(self.instance_id)

    def back_up(self, changed: Mapping[int, bytes] | None = None, *, verify: bool = True) -> str:
        """Change some blocks, take the next day's backup and have it read back. Its recovery point's id."""
        self.day += 1
        now = TODAY + timedelta(days=self.day, minutes=40)
        self.traveller.move_to(now)
        if changed is None:
            changed = {self.day % WRITTEN: text(self.day, self.day)}
        self.blocks |= changed
        point_id = f"rp-{now:%Y%m%dT%H%M%SZ}-{self.instance_id}"
        self.snapshot = saved_snapshot(
            self.world, self.lineage, instance_id=self.instance_id, recovery_point_id=point_id, taken_at=now
        )
        self.contents[self.snapshot] = dict(self.blocks)
        write_blocks(self.snapshot, self.blocks)
        if verify:
            self.verify(point_id)
        return point_id

    def verify(self, point_id: str) -> dict[str, Any]:
        message = {"event": "BackupCompleted", "subject": {"recovery_point": point_id}}
        return self.world.invoke("verify_snapshots", {"Records": [{"Sns": {"Message": json.dumps(message)}}]})

    def encrypt(self) -> str:
        """Three tenths of the blocks."""
        return self.back_up({number: random(number) for number in range(3)})

    def tags(self, snapshot_id: str = "") -> list[dict[str, str]]:
        asked = [snapshot_id or self.snapshot]
        return self.world.ec2.describe_snapshots(SnapshotIds=asked)["Snapshots"][0].get("Tags", [])

    def suspicion(self, snapshot_id: str = "") -> str:
        return next((tag["Value"] for tag in self.tags(snapshot_id) if tag["Key"] == "lifeboat:suspect"), "")

    def published(self) -> list[dict[str, Any]]:
        return [item for item in self.world.messages() if item["event"] == "RecoveryPointSuspect"]


@pytest.fixture
def volume(world: World, in_pages: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Volume]:
    monkeypatch.setattr(ec2_snapshots, "locked_snapshot_ids", frozenset)  # moto knows no locks; the local AWS does
    monkeypatch.setattr(ec2_snapshots, "public_snapshot_ids", frozenset)  # moto knows no shares and would list all
    monkeypatch.setattr(canary, "entropies", ENTROPIES)
    monkeypatch.setattr(clock, "wait", lambda _: None)
    with time_machine.travel(TODAY, tick=False) as traveller:
        made = Volume(world, traveller)

        def changed(self: EBSResponse) -> ActionResult:
            """As EBS: what differs, with the token of each side that has the block; a part of at most so many."""
            first, second = self._get_param("FirstSnapshotId"), self._get_param("SecondSnapshotId")
            start, most = int(self._get_param("StartingBlockIndex") or 0), int(self._get_param("MaxResults"))
            old, new = made.contents[first], made.contents[second]
            blocks = self.ebs_backend.list_snapshot_blocks(snapshot_id=second)
            differ = [index for index in sorted(new | old) if index >= start and old.get(index) != new.get(index)]
            listed = [
                {"BlockIndex": index, "SecondBlockToken": blocks.blocks[index].block_token} for index in differ[:most]
            ]
            answer: dict[str, Any] = {"ChangedBlocks": listed}
            if listed:  # of two equal snapshots EBS says nothing more (tests/fixtures/captures)
                answer |= {"VolumeSize": blocks.volume_size, "BlockSize": BLOCK}
            return ActionResult(answer | ({"NextToken": "more"} if differ[most:] else {}))

        monkeypatch.setattr(EBSResponse, "list_changed_blocks", changed)
        yield made


@pytest.fixture
def usual(volume: Volume) -> Volume:
    """A week on which little changed, of recovery points that are deleted by now, and two days more."""
    for number in range(7):
        past = Observation(f"rp-{number}", TODAY - timedelta(days=7 - number), 0.1, 4.0, 0.0, 4.2, 0.1)
        canary_store.record_observation(TABLE, canary_store.find_history(TABLE, volume.lineage), past)
    volume.back_up(verify=False)
    volume.back_up()
    return volume


def refuse(monkeypatch: pytest.MonkeyPatch, client: Any, call: str, code: str, reason: str = "") -> None:
    def answer(**arguments: Any) -> Any:
        said: Any = {"Error": {"Code": code, "Message": "said so"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
        raise ClientError(said | ({"Reason": reason} if reason else {}), call)

    monkeypatch.setattr(client, call, answer)


def test_days_as_usual_are_observed_and_raise_no_suspicion(usual):
    history = canary_store.find_history(TABLE, usual.lineage)
    assert [item.changed for item in history.observations] == [0.1] * 8
    assert usual.suspicion() == ""
    assert usual.published() == []


def test_a_day_without_a_change_is_observed(usual):
    point_id = usual.back_up({})
    assert canary_store.find_history(TABLE, usual.lineage).of(point_id).changed == 0.0


def test_mass_encryption_is_published_once_with_the_numbers_and_what_to_do(usual):
    before, good = usual.snapshot, canary_store.find_history(TABLE, usual.lineage).observations[-1].point_id
    point_id = usual.encrypt()
    [message] = usual.published()
    assert message["severity"] == "critical"
    assert message["subject"]["recovery_point"] == point_id
    assert message["details"]["before"] == good
    [numbers] = message["details"]["volumes"]
    assert numbers["changed_percent"] == 30
    assert numbers["changed_percent_usual"] == 10
    assert numbers["bits_per_byte"] > 7.9 > numbers["bits_per_byte_usual"]
    hold = f"aws ec2 create-tags --region eu-west-1 --resources {before} --tags Key=lifeboat:hold,Value=suspect"
    assert any(hold in step for step in message["next_steps"])
    assert usual.suspicion().startswith("state=open at=2026-12-01T00:40:00Z changed=30.0% entropy=7.99")
    usual.verify(point_id)
    usual.world.invoke("verify_snapshots", {"recovery_point": point_id})
    usual.back_up()
    assert usual.published() == []


def test_a_rewrite_with_data_like_the_old_is_no_suspicion(usual):
    usual.back_up({number: text(number, 99) for number in range(9)})
    assert usual.published() == []
    assert canary_store.find_history(TABLE, usual.lineage).observations[-1].changed == 0.9


def test_while_it_is_open_retention_deletes_nothing_older_and_goes_on_when_it_is_closed(usual, monkeypatch):
    monkeypatch.setenv("LIFEBOAT_RETENTION", "last=1")
    monkeypatch.setenv("LIFEBOAT_MIN_KEEP", "1")
    point_id = usual.encrypt()
    for _ in range(3):
        usual.back_up()
    handler.forget()
    answer = usual.world.invoke("prune_snapshots", {})
    assert [item["recovery_point"] > point_id for item in answer["deleted"]] == [True, True]
    assert len(usual.world.snapshots()) == 4
    monkeypatch.setenv("LIFEBOAT_VERIFY", "off")  # also then a person can close it
    handler.forget()
    closed = usual.world.invoke("verify_snapshots", {"close_suspicion": point_id})
    assert closed["closed"] == point_id
    assert usual.suspicion(closed["snapshots"][0]).startswith("state=closed at=2026-12-01T00:40:00Z changed=30.0%")
    assert len(usual.world.invoke("prune_snapshots", {})["deleted"]) > 1


def test_a_closed_suspicion_is_not_raised_again(usual):
    point_id = usual.encrypt()
    usual.world.invoke("verify_snapshots", {"close_suspicion": point_id})
    usual.world.messages()
    usual.world.invoke("verify_snapshots", {"recovery_point": point_id})
    assert usual.published() == []
    assert usual.suspicion().startswith("state=closed")


@pytest.mark.parametrize(("expected", "published"), [(False, 1), (True, 0)])
def test_only_a_change_that_a_person_expected_is_usual_later(usual, expected, published):
    point_id = usual.encrypt()
    usual.world.invoke("verify_snapshots", {"close_suspicion": point_id, "expected": expected})
    usual.world.messages()
    usual.back_up({number: random(1000 + number) for number in range(6, 9)})
    assert len(usual.published()) == published


def closed(usual: Volume) -> str:
    point_id = usual.encrypt()
    usual.world.invoke("verify_snapshots", {"close_suspicion": point_id})
    return point_id


@pytest.mark.parametrize(
    "named",
    [
        pytest.param(lambda _: "rp-20260101T020000Z-i-0123456789abcdef0", id="one that does not exist"),
        pytest.param(Volume.back_up, id="one that is not suspected"),
        pytest.param(closed, id="one that was closed"),
    ],
)
def test_closing_where_none_is_open_is_refused_in_one_sentence(usual, named):
    wanted = named(usual)
    answer = usual.world.invoke("verify_snapshots", {"close_suspicion": wanted})
    assert answer == {
        "refused": f"close_suspicion is {wanted}, expected the id of a recovery point of the stack lifeboat in "
        "eu-west-1 against which a suspicion is open"
    }


@pytest.mark.parametrize("reason", ["UNRELATED_SNAPSHOTS", "SNAPSHOT_NOT_FOUND"])
def test_what_cannot_be_compared_is_no_observation_and_no_failure(usual, monkeypatch, reason):
    seen = canary_store.find_history(TABLE, usual.lineage)
    with monkeypatch.context() as refused:
        refuse(refused, clients.ebs(), "list_changed_blocks", "ValidationException", reason)
        usual.encrypt()
    assert any(tag["Key"] == "lifeboat:verified" and "proven" in tag["Value"] for tag in usual.tags())
    assert canary_store.find_history(TABLE, usual.lineage) == seen
    usual.back_up()
    [message] = usual.published()
    assert message["details"]["before"] == seen.observations[-1].point_id, "the last that was observed"


def test_one_that_was_deleted_is_not_compared_with(usual):
    usual.world.ec2.delete_snapshot(SnapshotId=usual.snapshot)
    usual.encrypt()
    assert len(usual.published()) == 1


def test_a_lost_table_loses_the_baseline_and_not_the_suspicion(usual):
    usual.encrypt()
    documents = clients.dynamodb().query(
        TableName=TABLE, KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": {"S": "canary"}}
    )["Items"]
    for item in documents:
        clients.dynamodb().delete_item(TableName=TABLE, Key={"pk": item["pk"], "sk": item["sk"]})
    suspected = usual.suspicion()
    usual.back_up()
    assert len(canary_store.find_history(TABLE, usual.lineage).observations) == 1
    assert suspected.startswith("state=open")
    assert len(usual.published()) == 1, "that of the encryption"


def test_a_suspicion_that_cannot_be_recorded_is_published_with_ec2s_words(usual, monkeypatch):
    tag = ec2_snapshots.tag_snapshot

    def refused(snapshot_id: str, tags: Mapping[str, str]) -> None:
        if "lifeboat:suspect" in tags:
            raise canary_workflow.AwsError("TagLimitExceeded", "said so", answered=True)
        tag(snapshot_id, tags)

    monkeypatch.setattr(ec2_snapshots, "tag_snapshot", refused)
    usual.encrypt()
    [message] = usual.published()
    assert message["details"]["not_recorded"] == f"{usual.snapshot}: TagLimitExceeded: said so"
    assert any(step.startswith("RETENTION GOES ON") for step in message["next_steps"])


def test_a_run_that_is_cut_off_goes_on_from_its_checkpoint(usual, monkeypatch):
    """Each invocation has time for a few calls. In the end the observation is the same, and published once."""
    monkeypatch.setattr(canary_workflow, "PAGES_A_CHECKPOINT", 1)
    point_id = usual.back_up({number: random(number) for number in range(3)}, verify=False)
    for calls in (12, 14, 16, 18, 20, 22, 25, 30, 40, 60):
        left = iter([60_000] * calls)
        with monkeypatch.context() as short:
            short.setattr(Context, "get_remaining_time_in_millis", lambda _, left=left: next(left, 1_000))
            usual.verify(point_id) if calls == 12 else usual.world.invoke("verify_snapshots", {"sweep": True})
    assert canary_store.find_history(TABLE, usual.lineage).observations[-1].changed == 0.3
    assert len(usual.published()) == 1
    assert usual.suspicion().startswith("state=open")


def test_an_invocation_that_ends_after_the_observation_leaves_the_rest_to_the_next(usual, monkeypatch):
    def killed(*arguments: Any) -> None:
        raise canary_workflow.AwsError("ReadTimeoutError", "no answer", answered=False)

    point_id = usual.back_up({number: random(number) for number in range(3)}, verify=False)
    with monkeypatch.context() as cut:
        cut.setattr(canary_workflow, "_tag", killed)
        with pytest.raises(Exception, match="no answer"):
            usual.verify(point_id)
    assert usual.published() == []
    usual.world.invoke("verify_snapshots", {"sweep": True})
    [message] = usual.published()
    assert message["details"]["volumes"][0]["changed_percent_usual"] == 10


def test_the_work_is_bounded(usual, monkeypatch):
    reads: list[int] = []
    ask = clients.ebs().get_snapshot_block
    monkeypatch.setattr(
        clients.ebs(), "get_snapshot_block", lambda **what: (reads.append(what["BlockIndex"]), ask(**what))[1]
    )
    usual.back_up({number: text(number, 77) for number in range(WRITTEN)})
    assert len(reads) <= 2 * canary.SAMPLED + 10


def test_the_time_of_the_observation_is_that_of_the_data(usual):
    observed = canary_store.find_history(TABLE, usual.lineage).observations[-1]
    [made] = [item for item in usual.world.snapshots() if item["SnapshotId"] == usual.snapshot]
    assert isinstance(made["StartTime"], datetime)
    assert observed.taken_at == made["StartTime"]


def test_what_the_reading_has_listed_is_not_listed_again(usual, monkeypatch):
    asked: list[str] = []
    lists = clients.ebs().list_snapshot_blocks
    monkeypatch.setattr(
        clients.ebs(), "list_snapshot_blocks", lambda **what: (asked.append(what["SnapshotId"]), lists(**what))[1]
    )
    usual.back_up()
    assert asked == [usual.snapshot]
