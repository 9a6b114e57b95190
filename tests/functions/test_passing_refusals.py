"""What EC2 refuses for a reason that passes is waited out, and published only when the last attempt has failed."""

from __future__ import annotations

import importlib

import pytest

from lifeboat.aws import clock, ec2_snapshots
from lifeboat.aws.errors import AwsError
from lifeboat.backup.batch_workflow import RETRY_AFTER_SECONDS
from lifeboat.backup.workflow import ATTEMPTS, BackupIncomplete
from lifeboat.domain.error_codes import SNAPSHOT_LIMITS, THROTTLED, TRANSIENT
from tests.functions.conftest import Context

SLOT = {"scheduled_time": "2026-11-23T02:00:00Z"}
PASSING = sorted(TRANSIENT - THROTTLED)  # a throttled call goes out again by itself


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, without waiting."""
    made: list[float] = []
    monkeypatch.setattr(clock, "wait", lambda seconds: made.append(seconds) if seconds else None)
    return made


class Refusing:
    """EC2 refuses CreateSnapshots so many times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 0
        self.code = ""
        self.answered = True
        self.real = ec2_snapshots.create_snapshots
        monkeypatch.setattr(ec2_snapshots, "create_snapshots", self.call)

    def call(self, *asked):
        if self.left:
            self.left -= 1
            raise AwsError(self.code, "in EC2's words", answered=self.answered)
        return self.real(*asked)


@pytest.fixture
def refusing(monkeypatch):
    return Refusing(monkeypatch)


def invoke(context: Context, event: dict = SLOT) -> dict:
    return importlib.import_module("functions.take_snapshots.app").handler(event, context)


def events(world):
    return [message["event"] for message in world.messages()]


@pytest.mark.parametrize("code", PASSING)
def test_it_is_waited_out_within_the_invocation(world, waits, refusing, code):
    world.launch()
    refusing.code, refusing.left = code, 1
    answer = invoke(Context())
    assert (len(answer["begun"]), answer["failed"]) == (1, [])
    assert waits == [RETRY_AFTER_SECONDS]
    assert waits[0] > 15, "for so long EC2 refuses a second snapshot of a volume"
    assert events(world) == ["BackupStarted"]


@pytest.mark.parametrize("code", PASSING)
def test_it_is_published_only_after_the_last_attempt(world, waits, refusing, code):
    instance = world.launch()
    refusing.code, refusing.left = code, 100
    event = Context()
    for attempt in range(1, ATTEMPTS + 1):
        with pytest.raises(BackupIncomplete, match=f"{code}: in EC2's words"):
            invoke(event)
        published = world.messages()
        assert [message["event"] for message in published] == (["BackupFailed"] if attempt == ATTEMPTS else [])
    assert f"{code}: in EC2's words" in published[0]["summary"]
    assert published[0]["subject"]["instance_id"] == instance
    refusing.left = 0
    assert len(invoke(Context())["begun"]) == 1, "the next observation finds it missing, and makes it"


def test_a_run_by_hand_is_answered_at_once_and_published_after_the_last_attempt(world, waits, refusing):
    world.launch()
    refusing.code, refusing.left = "ConcurrentSnapshotLimitExceeded", 100
    answer = world.invoke("take_snapshots", {})
    assert "ConcurrentSnapshotLimitExceeded: in EC2's words" in answer["error"]
    assert waits == [RETRY_AFTER_SECONDS]
    for attempt in range(2, ATTEMPTS + 1):
        assert events(world) == []
        assert isinstance(world.functions.run(), BackupIncomplete), attempt
    assert events(world) == ["BackupFailed"]


def test_of_a_run_by_hand_that_lambda_does_not_take_over_the_only_attempt_is_the_last(world, waits, refusing):
    world.launch()
    world.functions.refuses = "TooManyRequestsException"
    refusing.code, refusing.left = "ConcurrentSnapshotLimitExceeded", 100
    with pytest.raises(BackupIncomplete):
        world.invoke("take_snapshots", {})
    assert events(world) == ["BackupFailed"]


def test_nothing_is_published_if_the_last_attempt_succeeds(world, waits, refusing):
    world.launch()
    refusing.code, refusing.left = "ConcurrentSnapshotLimitExceeded", 2 * (ATTEMPTS - 1)
    event = Context()
    for _ in range(ATTEMPTS - 1):
        with pytest.raises(BackupIncomplete):
            invoke(event)
    assert len(invoke(event)["begun"]) == 1
    assert events(world) == ["BackupStarted"]


def test_without_an_answer_it_is_not_asked_again_at_once_and_published_after_the_last_attempt(world, waits, refusing):
    world.launch()
    refusing.code, refusing.answered, refusing.left = "ReadTimeoutError", False, 100
    event = Context()
    for attempt in range(1, ATTEMPTS + 1):
        with pytest.raises(BackupIncomplete):
            invoke(event)
        assert events(world) == (["BackupFailed"] if attempt == ATTEMPTS else [])
    assert waits == []


def test_what_does_not_pass_is_published_at_once(world, waits, refusing):
    world.launch()
    refusing.code, refusing.left = "UnauthorizedOperation", 1
    with pytest.raises(BackupIncomplete):
        invoke(Context())
    assert events(world) == ["BackupFailed"]
    assert waits == []


def test_an_invocation_without_time_waits_for_nothing(world, waits, refusing, monkeypatch):
    world.launch()
    monkeypatch.setattr(Context, "get_remaining_time_in_millis", lambda _: 30_000)
    refusing.code, refusing.left = "SnapshotCreationPerVolumeRateExceeded", 1
    with pytest.raises(BackupIncomplete):
        invoke(Context())
    assert waits == []
    assert len(invoke(Context())["begun"]) == 1


def test_one_that_must_wait_keeps_no_other_waiting(world, waits, monkeypatch):
    instances = sorted(world.launch() for _ in range(3))
    real, asked = ec2_snapshots.create_snapshots, []

    def call(instance_id, *more):
        asked.append(instance_id)
        if instance_id == instances[0] and asked.count(instance_id) == 1:
            raise AwsError("SnapshotCreationPerVolumeRateExceeded", "as planted", answered=True)
        assert instance_id == instances[0] or not waits
        return real(instance_id, *more)

    monkeypatch.setattr(ec2_snapshots, "create_snapshots", call)
    assert len(invoke(Context())["begun"]) == 3
    assert sorted(asked) == sorted([*instances, instances[0]])


def test_the_codes_that_the_volume_limits_come_with_are_known():
    assert {"SnapshotCreationPerVolumeRateExceeded", "ConcurrentSnapshotLimitExceeded"} <= SNAPSHOT_LIMITS
