"""A run of retention, whatever refuses: never more than the cap, never below the floor, and nothing is hindered."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from math import floor
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from lifeboat.aws import clock
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.domain.catalogue import Catalogue
from lifeboat.domain.config import Config, Selector
from lifeboat.retention import workflow as retention
from lifeboat.retention.inventory_workflow import Inventory
from tests.examples import examples
from tests.retention.builders import NOW, point

SHARES = (0.01, 0.1, 0.34, 0.5, 1.0)
SNAPSHOT = "snap-{}-0"


def run(points, config, undeletable=(), lost=(), suspects=()):
    """One run; the points that are left afterwards, and the run.

    `undeletable` refuse, the calls of `lost` time out, and `suspects` are found after the plan was made.
    """
    there = {member.snapshot.id: member.snapshot for item in points for member in item.members}

    def delete(snapshot_id):
        if snapshot_id in {SNAPSHOT.format(name) for name in undeletable}:
            raise AwsError("InvalidSnapshot.InUse", "no", answered=True)
        if snapshot_id in {SNAPSHOT.format(name) for name in lost}:
            raise AwsError("ReadTimeoutError", "no answer", answered=False)
        del there[snapshot_id]

    def snapshots(ids):
        return {name: there[name] for name in ids if name in there}

    with (
        patch.object(retention.ec2_snapshots, "delete_snapshot", delete),
        patch.object(retention.ec2_snapshots, "own_snapshots", snapshots),
        patch.object(clock, "now", lambda: NOW),
        patch.object(retention, "suspected_points", lambda: tuple(suspects)),
        patch.object(retention, "remembered_terms", lambda _: {}),
        patch.object(retention, "inventories", lambda _: iter([Inventory(Catalogue(tuple(points)), {}, None)])),
    ):
        done = retention._Run(Invocation(config))
        done.carry_out()
    left = [item for item in points if all(member.snapshot.id in there for member in item.members)]
    return left, done


def test_a_run_during_which_a_suspicion_is_found_deletes_nothing_older():
    points = [point(f"-{age}d", name=str(age)) for age in range(9, 0, -1)]
    config = Config(
        stack="lifeboat",
        region="eu-west-1",
        table="table",
        topic_arn="arn:aws:sns:eu-west-1:111122223333:messages",
        selector=Selector("lifeboat:backup", "true"),
        retention="last=1",
        min_keep=1,
        max_delete_share=1.0,
    )
    suspect = point("-4.5d", name="suspect", suspect="state=open")
    left, done = run(points, config, suspects=[suspect])
    assert [item.id for item in left] == ["9", "8", "7", "6", "5", "1"]
    assert [entry["recovery_point"] for entry in done.refused] == ["9", "8", "7", "6", "5"]
    assert all("recovery point suspect is suspect" in entry["cause"] for entry in done.refused)
    assert len(run(points, config)[0]) == 1


@settings(max_examples=examples(200), deadline=None)
@given(
    ages=st.lists(st.integers(2, 2_000), min_size=1, max_size=40, unique=True),
    refused=st.sets(st.integers(0, 39)),
    lost=st.sets(st.integers(0, 39), max_size=3),
    share=st.sampled_from(SHARES),
    min_keep=st.integers(1, 5),
    policy=st.sampled_from(["last=1", "daily=3 weekly=2", "within=20d yearly=2"]),
)
def test_a_run_with_refusals(*, ages, refused, lost, share, min_keep, policy):
    points = [point(NOW - timedelta(hours=age * 7), name=str(number)) for number, age in enumerate(sorted(ages))]
    config = Config(
        stack="lifeboat",
        region="eu-west-1",
        table="table",
        topic_arn="arn:aws:sns:eu-west-1:111122223333:notifications",
        selector=Selector("lifeboat:backup", "true"),
        retention=policy,
        min_keep=min_keep,
        max_delete_share=share,
        grace=timedelta(0),
    )
    left, done = run(points, config, map(str, refused), map(str, lost - refused))

    cap = max(1, floor(share * len(points) + 1e-9))
    gone = len(points) - len(left)
    assert gone == len(done.deleted) <= cap
    # Those that were never answered may be gone as well, so they count for the cap.
    unknown = [entry for entry in done.refused if "ReadTimeoutError" in entry["cause"]]
    assert gone + len(unknown) <= cap
    assert not any("was cut off" in notice for notice in done.notices)

    newest = points[:min_keep]
    assert all(item in left for item in newest)
    # Whatever goes then would have gone without any cap and refusal, too.
    unlimited, _ = run(points, replace(config, max_delete_share=1.0))
    assert all(item in left for item in unlimited)

    # Refusals never make it stop: with as many willing ones, as many go, as far as the lineage that is left allows.
    deletable = [item for item in points if item not in unlimited]
    free = [item for item in deletable if item.id not in map(str, refused | lost)]
    if free:
        smaller = max(1, floor(share * (len(points) - len(done.undeletable)) + 1e-9))
        assert gone >= min(len(free), smaller) - len(unknown)
