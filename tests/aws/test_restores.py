"""Restores in the table: conditional writes, one open restore for each instance."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

from lifeboat.aws import clients
from lifeboat.aws.table import Overtaken
from lifeboat.restore import store as restores
from lifeboat.restore.record import Restore, RestoreState, RestoreStep, RestoreVolume, TimelineEntry
from lifeboat.restore.store import InstanceTaken

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


def a_restore(restore_id: str = "restore-1", instance_id: str = "i-0a") -> Restore:
    return Restore(
        id=restore_id,
        request_id="request-1",
        instance_id=instance_id,
        recovery_point_id="rp-1",
        volumes=(
            RestoreVolume(
                snapshot_id="snap-1",
                device="/dev/sdb",
                zone="eu-west-1b",
                type="gp3",
                size=100,
                encrypted=True,
                lineage="vol-0origin",
                iops=4000,
                throughput=200,
                tags={"team": "forensics"},
                displaced_volume_id="vol-0old",
            ),
        ),
        started_at=NOW,
        step_since=NOW,
        timeline=(TimelineEntry(NOW, RestoreStep.VOLUMES, "asked"),),
    )


def test_a_record_comes_back_as_it_was_written(table):
    restores.open_restore(table, a_restore())
    assert restores.load_restore(table, "restore-1") == a_restore()
    assert restores.open_restores(table) == ("restore-1",)
    assert restores.open_on(table, "i-0a") == "restore-1"


def test_a_restore_that_was_never_asked_for_is_not_found(table):
    assert restores.load_restore(table, "restore-1") is None
    assert restores.open_on(table, "i-0a") is None
    assert restores.open_restores(table) == ()


def test_one_open_restore_for_each_instance(table):
    restores.open_restore(table, a_restore())
    with pytest.raises(InstanceTaken) as taken:
        restores.open_restore(table, a_restore("restore-2"))
    assert taken.value.restore_id == "restore-1"
    assert restores.load_restore(table, "restore-2") is None, "the transaction wrote nothing"
    restores.open_restore(table, a_restore("restore-3", instance_id="i-0b"))
    assert set(restores.open_restores(table)) == {"restore-1", "restore-3"}


def test_a_record_is_written_only_over_the_version_that_was_read(table):
    restores.open_restore(table, a_restore())
    moved = restores.save_restore(table, replace(a_restore(), step=RestoreStep.STOP))
    assert moved.version == 1
    with pytest.raises(Overtaken):
        restores.save_restore(table, replace(a_restore(), step=RestoreStep.ATTACH))
    with pytest.raises(Overtaken):
        restores.close_restore(table, a_restore())
    assert restores.load_restore(table, "restore-1") == moved


def test_closing_frees_the_instance(table):
    restores.open_restore(table, a_restore())
    closed = restores.close_restore(table, replace(a_restore(), status=RestoreState.COMPLETED, closed=True))
    assert restores.open_restores(table) == ()
    assert restores.load_restore(table, "restore-1") == closed
    restores.open_restore(table, a_restore("restore-2"))


def test_closing_a_restore_does_not_free_an_instance_that_another_took(table):
    restores.open_restore(table, a_restore())
    clients.dynamodb().update_item(
        TableName=table,
        Key={"pk": {"S": "restore-open"}, "sk": {"S": "i-0a"}},
        UpdateExpression="SET version = :other",
        ExpressionAttributeValues={":other": {"S": "restore-9"}},
    )
    with pytest.raises(Overtaken):
        restores.close_restore(table, replace(a_restore(), closed=True))
    assert restores.open_on(table, "i-0a") == "restore-9"


@pytest.mark.parametrize("write", [restores.open_restore, restores.save_restore, restores.close_restore])
def test_other_refusals_are_not_mistaken_for_a_race(aws, write):
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        write("no-such-table", a_restore())
