"""verify_snapshots: recovery points are read back, proven or failed once, from a checkpoint, and never changed."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from botocore.exceptions import ClientError

from lifeboat import handler
from lifeboat.aws import clients, clock, ec2_snapshots
from lifeboat.aws.errors import AwsError
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.proof import Level, read_proof
from lifeboat.domain.recovery_point_tags import LINEAGE_TAG
from lifeboat.domain.tags import Tag
from lifeboat.verify import canary_workflow, missed_workflow, plan, points_workflow, reading_workflow, workflow
from lifeboat.verify import store as verifications
from lifeboat.verify.contents.found import Contents, FileSystem, PartitionTable
from lifeboat.verify.record import Phase
from tests.functions.conftest import TABLE, TODAY, Context
from tests.functions.written_blocks import BLOCK, flip_a_byte, in_pages, load_image, write_blocks
from tools import cost_model
from tools.images.sparse import load

RECONCILE = {"sweep": True}
SLOT = {"scheduled_time": "2026-11-27T02:00:00Z"}
__all__ = ["in_pages"]


def completed(point_id: str, event: str = "BackupCompleted", **subject: str) -> dict[str, Any]:
    message = {"event": event, "subject": {"recovery_point": point_id, **subject}}
    return {"Records": [{"Sns": {"Message": json.dumps(message)}}]}


class Saved:
    """A recovery point of some disks, each with some written blocks."""

    def __init__(self, world: Any, disks: int = 1, blocks: int = 12) -> None:
        self.world = world
        world.launch(disks=disks)
        world.invoke("take_snapshots", SLOT)
        world.invoke("confirm_snapshots", RECONCILE)
        self.snapshots = [item["SnapshotId"] for item in world.snapshots()]
        self.bytes = {
            name: write_blocks(name, {3 * index: b"data" for index in range(blocks)}) for name in self.snapshots
        }
        self.id = self.point.id
        world.messages()

    @property
    def point(self) -> Any:
        [found] = read_catalogue(ec2_snapshots.recovery_point_snapshots()).points
        return found

    def verify(self, event: Any = None) -> dict[str, Any]:
        return self.world.invoke("verify_snapshots", event or {"recovery_point": self.id})

    def events(self) -> list[str]:
        return [item["event"] for item in self.world.messages()]


@pytest.fixture
def saved(world, in_pages, monkeypatch) -> Saved:
    # Past the first minutes of the hour, in which what was missed is found.
    monkeypatch.setattr(clock, "now", lambda: TODAY + timedelta(minutes=30))
    monkeypatch.setattr(clock, "wait", lambda _: None)
    return Saved(world)


def refuse(monkeypatch: pytest.MonkeyPatch, call: str, code: str, reason: str = "", times: int = 10**6) -> None:
    """The EBS direct APIs answer a call with a refusal, so many times."""
    asked, left = getattr(clients.ebs(), call), [times]

    def answer(**arguments: Any) -> Any:
        if not left[0]:
            return asked(**arguments)
        left[0] -= 1
        status = {"HTTPStatusCode": 404 if code == "ResourceNotFoundException" else 400}
        said: Any = {"Error": {"Code": code, "Message": "said so"}, "ResponseMetadata": status}
        raise ClientError(said | ({"Reason": reason} if reason else {}), call)

    monkeypatch.setattr(clients.ebs(), call, answer)


def test_a_backup_is_read_back_and_proven_quietly(saved):
    answer = saved.verify(completed(saved.id))
    assert answer["proven"] == [{"recovery_point": saved.id}]
    assert saved.point.proven
    assert saved.point.proof.level is Level.READ
    assert saved.events() == []
    assert verifications.open_verifications(TABLE) == ()
    saved.verify(completed(saved.id))
    assert saved.verify(RECONCILE) == {}, "a repeated message reads nothing"


def test_nothing_but_one_tag_is_changed(saved):
    before = {item["SnapshotId"]: item for item in saved.world.snapshots()}
    saved.verify()
    for item in saved.world.snapshots():
        new = [tag for tag in item["Tags"] if tag not in before[item["SnapshotId"]]["Tags"]]
        assert [tag["Key"] for tag in new] == ["lifeboat:verified"]
        assert {**item, "Tags": None} == {**before[item["SnapshotId"]], "Tags": None}


def test_all_volumes_of_a_set_are_read(world, in_pages, monkeypatch):
    saved = Saved(world, disks=3)
    flip_a_byte(saved.bytes[saved.snapshots[1]].blocks[0])
    [failed] = saved.verify({"recovery_point": saved.id, "level": "full"})["failed"]
    assert saved.snapshots[1] in failed["reason"]
    proofs = {item.snapshot.id: read_proof(item.snapshot.tags) for item in saved.point.members}
    assert [proofs[name].result for name in saved.snapshots] == ["proven", "failed", "proven"]
    assert not saved.point.proven
    assert saved.point.proof.result == "failed"


@pytest.mark.parametrize(("level", "found"), [("read", False), ("sample", True), ("full", True)])
def test_a_block_that_is_not_its_checksum_is_found_where_it_is_read(saved, monkeypatch, level, found):
    turn = plan.turn_of(clock.now().date())
    damaged = next(index for index in range(3, 36, 3) if index % plan.PARTS == turn - turn % 3)
    monkeypatch.setattr(plan, "turn_of", lambda _: damaged % plan.PARTS)
    flip_a_byte(saved.bytes[saved.snapshots[0]].blocks[damaged])
    answer = saved.verify({"recovery_point": saved.id, "level": level})
    assert (len(answer["failed"]), len(answer["proven"])) == (int(found), int(not found))
    if found:
        assert f"block {damaged} of {saved.snapshots[0]} has the SHA-256" in answer["failed"][0]["reason"]


def test_a_sample_reads_another_twelfth_on_each_day_and_all_in_twelve(saved, monkeypatch):
    reads: list[int] = []
    ask = clients.ebs().get_snapshot_block
    monkeypatch.setattr(
        clients.ebs(), "get_snapshot_block", lambda **what: (reads.append(what["BlockIndex"]), ask(**what))[1]
    )
    monkeypatch.setattr(reading_workflow, "inspect", lambda _: contents())
    counts = []
    for day in range(plan.PARTS):
        monkeypatch.setattr(clock, "now", lambda day=day: TODAY + timedelta(days=day, minutes=30))
        before = len(reads)
        saved.verify({"recovery_point": saved.id, "level": "sample"})
        counts.append(len(reads) - before)
    assert sorted(reads) == [3 * index for index in range(12)]
    assert max(counts) <= 3


def contents(*problems: str, log_dirty: bool | None = False) -> Contents:
    system = FileSystem(0, 20 * 2**30, "xfs", uuid="u-1", log_dirty=log_dirty, problems=problems)
    return Contents(PartitionTable("none"), (system,), True, 1, BLOCK)


def test_damage_is_published_once_with_what_to_hold(saved, monkeypatch):
    saved.verify()
    saved.world.messages()
    first = saved.point
    saved.world.invoke("take_snapshots", {"scheduled_time": "2026-11-28T02:00:00Z"})
    saved.world.invoke("confirm_snapshots", RECONCILE)
    [second] = {item["SnapshotId"] for item in saved.world.snapshots()} - set(saved.snapshots)
    write_blocks(second, {0: b"x"})
    saved.world.messages()
    point_id = first.id.replace("20261127", "20261128")
    monkeypatch.setattr(reading_workflow, "inspect", lambda _: contents("the superblock's magic is wrong."))
    saved.verify(completed(point_id))
    saved.verify(completed(point_id))
    [message] = saved.world.messages()
    assert (message["event"], message["severity"]) == ("VerificationFailed", "critical")
    assert "the superblock's magic is wrong" in message["summary"]
    assert message["details"]["newest_proven"] == first.id
    assert f"--resources {first.members[0].snapshot.id} --tags Key=lifeboat:hold" in message["next_steps"][0]


def test_a_dirty_log_is_normal_and_unknown_contents_are_no_failure(saved, monkeypatch):
    monkeypatch.setattr(reading_workflow, "inspect", lambda _: contents(log_dirty=True))
    saved.verify()
    [message] = saved.world.messages()
    assert message["event"] == "RecoveryPointVerified"
    assert message["details"]["snapshots"][0]["holds"] == "xfs (dirty log, normal)"


def test_the_newest_proven_one_may_be_of_the_instance_that_had_the_data_before(saved, monkeypatch):
    saved.verify()
    [first], again = saved.point.members, retag(saved, {"lifeboat:instance": "i-00000000000000002"})
    monkeypatch.setattr(reading_workflow, "inspect", lambda _: contents("the superblock's magic is wrong."))
    saved.world.messages()
    saved.verify(completed(again))
    [message] = saved.world.messages()
    assert message["details"]["newest_proven"] == saved.id
    assert f"--resources {first.snapshot.id} --tags" in message["next_steps"][0]


def test_one_that_failed_is_not_named_as_the_newest_proven_one_when_ec2_refuses_the_tag(saved, monkeypatch):
    saved.verify()
    saved.world.messages()
    refused = AwsError("UnauthorizedOperation", "no", answered=True)
    monkeypatch.setattr(ec2_snapshots, "tag_snapshot", raises(refused))
    monkeypatch.setattr(reading_workflow, "inspect", lambda _: contents("the superblock's magic is wrong."))
    monkeypatch.setattr(clock, "now", lambda: TODAY + timedelta(hours=2, minutes=30))
    saved.verify()
    [message] = saved.world.messages()
    assert message["details"]["newest_proven"] == "none"
    assert "UnauthorizedOperation: no" in message["next_steps"][0]


def retag(saved: Saved, changed: dict[str, str]) -> str:
    """A later backup of the same volume, with some other tags. Its id."""
    [first] = saved.world.snapshots()
    return backed_up(saved, first["VolumeId"], 28, {tag["Key"]: tag["Value"] for tag in first["Tags"]} | changed)


def backed_up(saved: Saved, volume_id: str, day: int, tags: dict[str, str]) -> str:
    """A later backup of a volume, on a day in November, with these tags but for its date. Its id."""
    point_id = saved.id.replace("20261127", f"202611{day}")
    tags |= {
        "lifeboat:recovery-point": point_id,
        "lifeboat:set": f"set-{day}",
        "lifeboat:slot": f"2026-11-{day}T02:00:00Z",
    }
    kept = [{"Key": key, "Value": value} for key, value in tags.items() if key != "lifeboat:verified"]
    with time_machine.travel(TODAY + timedelta(days=day - 27), tick=False):
        made = saved.world.ec2.create_snapshot(
            VolumeId=volume_id, TagSpecifications=[{"ResourceType": "snapshot", "Tags": kept}]
        )
    write_blocks(made["SnapshotId"], {0: b"x"})
    return point_id


def raises(problem: Exception) -> Any:
    def answer(*_: Any, **__: Any) -> Any:
        raise problem

    return answer


def test_a_file_system_that_is_gone_is_published_and_a_person_says_whether_that_was_intended(saved, monkeypatch):
    load_image(saved.snapshots[0], load("xfs-v5-100-gib"))
    saved.verify()
    later = retag(saved, {})
    saved.world.messages()
    assert saved.verify(completed(later))["failed"]
    [message] = saved.world.messages()
    assert f"xfs was on it in the last proven recovery point, {saved.id}, and now" in message["summary"]
    assert any(f'{{"recovery_point": "{later}", "expected": true}}' in step for step in message["next_steps"])
    assert saved.verify({"recovery_point": later, "expected": True})["proven"]
    assert saved.verify({"recovery_point": later})["proven"], "said once, it holds"


def test_after_the_restore_of_an_older_state_its_own_contents_are_what_it_is_compared_with(saved):
    """The older state is from before the file system was made, so nothing is lost."""
    [first] = saved.world.snapshots()
    saved.verify()
    later = retag(saved, {})
    [newest] = [item["SnapshotId"] for item in saved.world.snapshots() if item["SnapshotId"] != first["SnapshotId"]]
    load_image(newest, load("xfs-v5-100-gib"))
    assert saved.verify(completed(later))["proven"]
    restored = saved.world.ec2.create_volume(AvailabilityZone="eu-west-1a", SnapshotId=first["SnapshotId"])["VolumeId"]
    lineage = first["VolumeId"]
    tags = {tag["Key"]: tag["Value"].replace(lineage, restored) for tag in first["Tags"]}
    moved = {key.replace(lineage, restored): value for key, value in tags.items()}
    moved |= {Tag.LINEAGE: lineage, LINEAGE_TAG + restored: lineage}
    assert saved.verify(completed(backed_up(saved, restored, 29, moved)))["proven"]


@pytest.mark.parametrize("name", ["xfs-v5-100-gib", "ext4-100-gib"])
def test_a_file_system_of_100_gib_is_read_with_few_blocks_and_a_damaged_one_is_found(
    saved, monkeypatch, show_figure, name
):
    image = load(name)
    load_image(saved.snapshots[0], image)
    saved.verify()
    [message] = saved.world.messages()
    [item] = message["details"]["snapshots"]
    show_figure(f"read of {name}: {item['blocks_read']} of {item['blocks_written']} written blocks")
    assert item["holds"] == name.split("-")[0]
    assert item["blocks_read"] < cost_model.READ_BAR

    superblock = 0 if name.startswith("xfs") else 1024
    image.write(superblock + 40, b"\xff" * 16)
    load_image(saved.snapshots[0], image)
    [failed] = saved.verify()["failed"]
    assert "what is on it is damaged" in failed["reason"]
    assert not saved.point.proven


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("ResourceNotFoundException", "SNAPSHOT_NOT_FOUND"),
        ("InternalError", ""),
    ],
)
def test_what_time_mends_is_tried_again_and_not_published(saved, monkeypatch, code, reason):
    monkeypatch.setattr(clock, "now", lambda: TODAY + timedelta(minutes=2))
    refuse(monkeypatch, "list_snapshot_blocks", code, reason, times=1)
    [left] = saved.verify(completed(saved.id))["open"]
    assert "said so" in left["reason"]
    assert saved.verify(RECONCILE) == {}, "not before the pause is over"
    later = clock.now() + plan.FIRST_PAUSE
    monkeypatch.setattr(clock, "now", lambda: later)
    assert saved.verify(RECONCILE)["proven"]
    assert saved.events() == []


def test_a_throttled_read_waits_for_its_turn(saved, monkeypatch):
    waits: list[float] = []
    monkeypatch.setattr(clock, "wait", waits.append)
    refuse(monkeypatch, "get_snapshot_block", "RequestThrottledException", "ACCOUNT_THROTTLED", times=3)
    assert saved.verify({"recovery_point": saved.id, "level": "full"})["proven"]


def test_a_key_that_cannot_be_used_is_published_once_in_awss_words(saved, monkeypatch):
    refuse(monkeypatch, "list_snapshot_blocks", "AccessDeniedException", "DEPENDENCY_ACCESS_DENIED")
    saved.verify(completed(saved.id))
    saved.verify(RECONCILE)
    [message] = saved.world.messages()
    assert message["event"] == "VerificationFailed"
    assert "DEPENDENCY_ACCESS_DENIED: said so" in message["summary"]
    assert message["details"]["newest_proven"] == "none"


def test_a_recovery_point_deleted_meanwhile_is_published_once_calmly(saved, monkeypatch):
    refuse(monkeypatch, "list_snapshot_blocks", "InternalError", times=1)
    saved.verify(completed(saved.id))
    saved.world.ec2.delete_snapshot(SnapshotId=saved.snapshots[0])
    later = clock.now() + plan.LONGEST_PAUSE
    monkeypatch.setattr(clock, "now", lambda: later)
    [stopped] = saved.verify(RECONCILE)["stopped"]
    assert stopped["reason"] == "it was deleted"
    saved.verify(RECONCILE)
    [message] = saved.world.messages()
    assert (message["event"], message["severity"]) == ("VerificationStopped", "info")


def test_one_deleted_while_it_is_read_is_no_failure(saved, monkeypatch):
    def delete(image: Any) -> Contents:
        saved.world.ec2.delete_snapshot(SnapshotId=saved.snapshots[0])
        return contents()

    monkeypatch.setattr(reading_workflow, "inspect", delete)
    assert saved.verify(completed(saved.id))["stopped"]
    assert saved.events() == ["VerificationStopped"]


def test_a_run_that_ends_anywhere_goes_on_from_its_checkpoint(saved, monkeypatch):
    """Each run is cut off after so many reads; in the end every block was read, few of them twice."""
    monkeypatch.setattr(reading_workflow, "BLOCKS_A_CHECKPOINT", 100)
    monkeypatch.setattr(reading_workflow, "inspect", lambda _: contents())
    write_blocks(saved.snapshots[0], dict.fromkeys(range(210), b"data"))
    reads: list[int] = []
    ask = clients.ebs().get_snapshot_block
    budget = [0]

    class Killed(BaseException):
        pass

    def answer(**what: Any) -> Any:
        if not budget[0]:
            raise Killed
        budget[0] -= 1
        reads.append(what["BlockIndex"])
        return ask(**what)

    monkeypatch.setattr(clients.ebs(), "get_snapshot_block", answer)
    event: Any = {"recovery_point": saved.id, "level": "full"}
    runs = 0
    while event:
        budget[0] = 120
        try:
            event = None if saved.verify(event).get("proven") else RECONCILE
        except Killed:
            event = RECONCILE
        runs += 1
        assert runs < 9
        [*left] = verifications.open_verifications(TABLE)
        assert all(item.phase is Phase.DATA for record in left for item in record.readings)
    assert set(reads) == set(range(210))
    assert len(reads) <= 210 + 20 * runs
    assert saved.point.proof.level is Level.FULL


def test_while_one_invocation_reads_another_leaves(saved):
    now = clock.now()
    assert verifications.become_reader(TABLE, "another", now=now, until=now + timedelta(minutes=5))
    assert "reads now" in saved.verify(completed(saved.id))["waits_for"]
    verifications.cease_reading(TABLE)
    assert saved.verify(RECONCILE)["proven"]


def test_without_time_the_work_stays_open(saved, monkeypatch):
    monkeypatch.setattr(Context, "get_remaining_time_in_millis", lambda _: 15_000)
    answer = saved.verify(completed(saved.id))
    assert not any(answer.values())
    monkeypatch.undo()
    assert len(verifications.open_verifications(TABLE)) == 1


def test_a_proof_without_room_for_its_tag_is_published_and_not_recorded(saved):
    tags = saved.world.snapshots()[0]["Tags"]
    more = [{"Key": f"mine-{number}", "Value": "x"} for number in range(50 - len(tags))]
    saved.world.ec2.create_tags(Resources=saved.snapshots, Tags=more)
    saved.verify(completed(saved.id))
    [message] = saved.world.messages()
    assert message["event"] == "RecoveryPointVerified"
    assert "TagLimitExceeded" in message["details"]["not_recorded"]
    assert not saved.point.proven


def test_with_verified_messages_each_success_is_published(saved, monkeypatch):
    monkeypatch.setenv("LIFEBOAT_VERIFIED_MESSAGES", "true")
    handler.forget()
    saved.verify(completed(saved.id))
    assert saved.events() == ["RecoveryPointVerified"]


def test_switched_off_nothing_is_read_and_a_person_is_refused(saved, monkeypatch):
    monkeypatch.setenv("LIFEBOAT_VERIFY", "off")
    handler.forget()
    assert saved.verify(completed(saved.id)) == {}
    monkeypatch.setattr(clock, "now", lambda: TODAY)
    assert saved.verify(RECONCILE) == {}
    assert "the stack's Verify is off, expected one of read, sample, full" in saved.verify()["refused"]
    assert not saved.point.proven


def test_the_copy_in_this_region_is_read_and_another_regions_is_not(saved):
    assert saved.verify(completed(saved.id, "SnapshotsCopied", region="eu-central-1")) == {}
    assert saved.verify(completed(saved.id, "SnapshotsCopied", region="eu-west-1"))["proven"]


def test_what_was_missed_is_found_in_the_first_minutes_of_an_hour(saved, monkeypatch, capsys):
    assert saved.verify(RECONCILE) == {}
    now = TODAY + timedelta(hours=1)
    monkeypatch.setattr(clock, "now", lambda: now)
    capsys.readouterr()
    assert saved.verify(RECONCILE)["proven"]
    age = (now - saved.point.taken_at).total_seconds()
    assert json.loads(capsys.readouterr().out)["ProvenRecoveryPointAge"] == [age]
    assert saved.verify(RECONCILE) == {}


def test_very_many_recovery_points_are_searched_in_parts(saved, monkeypatch, capsys):
    monkeypatch.setattr(missed_workflow, "MOST_SNAPSHOTS", 0)
    now = TODAY + timedelta(hours=1)
    monkeypatch.setattr(clock, "now", lambda: now)
    assert saved.verify(RECONCILE)["proven"]
    age = (now - saved.point.taken_at).total_seconds()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["ProvenRecoveryPointAge"] for line in lines if "ProvenRecoveryPointAge" in line] == [[age]]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"recovery_point": "rp-1"}, "recovery_point is rp-1, expected the id of a good one of the stack lifeboat"),
        ({"recovery_point": "snap-1"}, "recovery_point is 'snap-1', expected a recovery point's id"),
        ({"recovery_point": "rp-1", "level": "all"}, "level is 'all', expected one of read, sample, full"),
    ],
)
def test_what_cannot_be_read_is_refused(saved, request_, words):
    assert saved.verify(request_)["refused"].startswith(words)


def test_a_person_does_not_wait_for_a_pause_and_gets_the_result(saved, monkeypatch):
    refuse(monkeypatch, "list_snapshot_blocks", "InternalError", times=1)
    [left] = saved.verify(completed(saved.id))["open"]
    assert "said so" in left["reason"]
    assert saved.verify()["proven"]
    assert saved.events() == ["RecoveryPointVerified"]


def test_a_person_who_asks_while_it_is_read_to_the_end_gets_the_result(saved, monkeypatch):
    def observe(*_: Any) -> bool:
        assert "reads now" in saved.verify()["waits_for"]
        return True

    monkeypatch.setattr(canary_workflow, "observe", observe)
    assert saved.verify(completed(saved.id))["proven"]
    assert saved.events() == ["RecoveryPointVerified"]
    assert verifications.open_verifications(TABLE) == ()


def test_one_that_comes_back_from_the_archive_is_found_and_read(saved, monkeypatch):
    shown = ec2_snapshots.snapshot_of
    monkeypatch.setattr(ec2_snapshots, "snapshot_of", lambda item: shown({**item, "StorageTier": "archive"}))
    assert saved.verify(completed(saved.id))["stopped"]
    saved.verify(completed(saved.id))
    assert saved.events() == ["VerificationStopped"]
    monkeypatch.setattr(ec2_snapshots, "snapshot_of", shown)
    monkeypatch.setattr(clock, "now", lambda: TODAY + timedelta(hours=1))
    assert saved.verify(RECONCILE)["proven"]


def test_another_level_is_refused_while_one_is_read(saved, monkeypatch):
    refuse(monkeypatch, "list_snapshot_blocks", "InternalError", times=1)
    saved.verify(completed(saved.id))
    refused = saved.verify({"recovery_point": saved.id, "level": "full"})["refused"]
    assert "is being read at the level read" in refused


def test_ec2s_refusal_to_describe_one_is_raised_after_the_others(saved, monkeypatch):
    verifications.open_verification(TABLE, plan.new_verification("rp-9", Level.READ, clock.now()))
    describe = points_workflow.points_named

    def answer(point_ids: list[str], invocation: Any) -> Any:
        if point_ids == ["rp-9"]:
            raise AwsError("UnauthorizedOperation", "no", answered=True)
        return describe(point_ids, invocation)

    monkeypatch.setattr(points_workflow, "points_named", answer)
    with pytest.raises(workflow.VerificationIncomplete, match="rp-9: UnauthorizedOperation: no"):
        saved.verify(completed(saved.id))
    assert saved.point.proven


def test_what_ec2_does_not_show_in_the_hour_keeps_no_open_one_from_being_read(saved, monkeypatch):
    verifications.open_verification(TABLE, plan.new_verification(saved.id, Level.READ, clock.now()))
    monkeypatch.setattr(clock, "now", lambda: TODAY + timedelta(hours=1))
    describe = ec2_snapshots.recovery_point_snapshots_of

    def answer(stack: str, filters: Any, **more: Any) -> Any:
        if "tag:lifeboat:slot" in filters:
            raise AwsError("UnauthorizedOperation", "no", answered=True)
        return describe(stack, filters, **more)

    monkeypatch.setattr(ec2_snapshots, "recovery_point_snapshots_of", answer)
    with pytest.raises(workflow.VerificationIncomplete, match="the recovery points of the last days: Unauth"):
        saved.verify(RECONCILE)
    assert saved.point.proven
