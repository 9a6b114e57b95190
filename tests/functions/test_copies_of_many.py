"""Copies of very many recovery points: all are checked every hour and in parts, the oldest that wait every minute."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import boto3

from lifeboat.aws import clock
from lifeboat.copies import regions_workflow as regions
from lifeboat.copies import store as table_of_copies
from lifeboat.copies.record import CopyRecord, CopyState
from tests.functions.conftest import TABLE
from tests.functions.many_copies import AWAY, many, reconcile

__all__ = ["many"]  # fixtures


def copied():
    found = boto3.client("ec2", AWAY).describe_snapshots(
        OwnerIds=["self"], Filters=[{"Name": "tag-key", "Values": ["lifeboat:copy-of"]}]
    )["Snapshots"]
    return sorted(tag["Value"] for item in found for tag in item["Tags"] if tag["Key"] == "lifeboat:recovery-point")


def asked(world, count):
    """The pages of snapshots that are asked for at home and in the destination while reconcile runs go on."""
    observed = []
    for region in ("eu-west-1", AWAY):
        regions.ec2_snapshots.clients.ec2_reads(region).meta.events.register(
            "provide-client-params.ec2.DescribeSnapshots", lambda params, **_: observed.append(params)
        )
    for _ in range(count):
        reconcile(world)
    return observed


def test_the_oldest_come_first_and_all_are_copied_once(world, many):
    first = reconcile(world)
    assert copied() == sorted(many[:3])
    assert first["more_waiting"] == 9
    for _ in range(10):
        reconcile(world)
    assert copied() == sorted(many)
    published = [message["subject"]["recovery_point"] for message in world.messages()]
    assert sorted(published) == sorted(many)
    assert table_of_copies.open_records(TABLE, AWAY) == {}
    states = {record.state for record in table_of_copies.records(TABLE, AWAY).values()}
    assert states == {CopyState.COPIED}


def test_between_two_full_runs_only_those_that_wait_are_asked_for(world, many):
    reconcile(world)
    for params in asked(world, 2):
        names = {item["Name"]: item["Values"] for item in params["Filters"]}
        narrow = {"tag:lifeboat:recovery-point", "tag:lifeboat:copy-of"} & names.keys()
        assert narrow or names.get("status") == ["pending"]


def test_what_is_new_is_seen_within_the_hour(world, many, monkeypatch):
    for _ in range(10):
        reconcile(world)
    assert asked(world, 1) == [], "nothing waits, so nothing is checked"
    late = clock.now() + regions.ALL_EVERY
    monkeypatch.setattr(clock, "now", lambda: late)
    table_of_copies.forget(TABLE, table_of_copies.records(TABLE, AWAY)[many[0]])
    assert asked(world, 1)
    assert len(copied()) == len(many), "a copy that is there is not made again, though its record was lost"


def test_what_is_gone_at_home_is_forgotten(world, many):
    for _ in range(6):
        reconcile(world)
    at_home = world.ec2.describe_snapshots(
        OwnerIds=["self"], Filters=[{"Name": "tag:lifeboat:recovery-point", "Values": [many[0]]}]
    )["Snapshots"]
    world.ec2.delete_snapshot(SnapshotId=at_home[0]["SnapshotId"])
    assert many[0] in table_of_copies.records(TABLE, AWAY)
    world.invoke("copy_snapshots", {"retry": True})
    assert many[0] not in table_of_copies.records(TABLE, AWAY)
    assert many[1] in table_of_copies.records(TABLE, AWAY)


def test_few_again_are_observed_together_again(world, many, monkeypatch):
    reconcile(world)
    assert table_of_copies.many_observed_at(TABLE)
    monkeypatch.setattr(regions, "SNAPSHOTS_LISTED", 10_000)
    late = clock.now() + regions.ALL_EVERY
    monkeypatch.setattr(clock, "now", lambda: late)
    assert "more_waiting" not in reconcile(world)
    assert table_of_copies.many_observed_at(TABLE) is None
    assert len(copied()) == len(many)


def test_a_record_moves_only_from_where_it_stands(world):
    opened = CopyRecord(AWAY, "rp-1", ("vol-1",), datetime(2026, 11, 23, tzinfo=UTC))
    assert table_of_copies.save(TABLE, opened, None)
    assert not table_of_copies.save(TABLE, opened, None), "another invocation was first"
    done = replace(opened, state=CopyState.COPIED)
    assert table_of_copies.save(TABLE, done, opened)
    assert not table_of_copies.save(TABLE, done, opened), "it does not stand there any more"
    assert table_of_copies.records(TABLE, AWAY) == {"rp-1": done}
    assert table_of_copies.open_records(TABLE, AWAY) == {}
    table_of_copies.forget(TABLE, done)
    assert table_of_copies.records(TABLE, AWAY) == {}
