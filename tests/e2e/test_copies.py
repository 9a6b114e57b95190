"""Copies to another region: a hundred under EC2's cap, keys that may not be used, answers that are lost."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from math import ceil

import pytest

from lifeboat.copies.plan import IN_FLIGHT
from lifeboat.domain.text import iso
from local.session import REGION, LocalAws
from tests.e2e.copy_cases import (
    AWAY,
    COPY,
    COPY_SECONDS,
    all_there,
    at,
    at_most_at_a_time,
    copies,
    new_instance,
    point_id,
    published,
    refused,
    seed_point,
)
from tests.e2e.stage import SETTINGS, Stage, tags_of

POINTS = 100
FEW = 6
FOREIGN = 5


@pytest.fixture(scope="module")
def away_key_and_stage() -> Iterator[tuple[str, Stage]]:
    with LocalAws({**SETTINGS, "delays": {"copy": COPY_SECONDS}}) as aws:
        key = aws.client("kms", AWAY).create_key(Description="copies")["KeyMetadata"]["Arn"]
        yield key, Stage(aws, {"CopyToRegions": AWAY, "CopyKmsKeyArns": key, "CopyExisting": "true"})


@pytest.fixture
def stage(away_key_and_stage: tuple[str, Stage]) -> Iterator[Stage]:
    _, made = away_key_and_stage
    yield made
    made.control.settle()
    made.control.reset()
    made.control.set_delays(copy=COPY_SECONDS)


@pytest.fixture
def instance() -> str:
    """An instance that no other test has."""
    return new_instance()


def test_a_hundred_are_copied_under_the_cap_none_lost_none_doubled_though_no_event_comes(
    stage, away_key_and_stage, instance
):
    sources = [snapshot for number in range(POINTS) for snapshot in seed_point(stage, instance, number)]
    foreign = stage.control.seed_snapshot(size=1)
    stage.control.set_delays(copy=math.inf)
    stage.control.event_fault("drop", count=0)
    stage.control.fail_creation("copy", resource=foreign, count=0, stuck=True)
    for _ in range(FOREIGN):  # someone else's copies count, too, and these never end
        stage.aws.client("ec2", AWAY).copy_snapshot(SourceRegion=REGION, SourceSnapshotId=foreign)

    runs = 0
    while not all_there(stage, instance, POINTS):
        assert runs < POINTS
        stage.reconcile(COPY)
        stage.control.advance(COPY_SECONDS)
        stage.control.finish("copy")  # only now, so that all that a reconcile run begins is in flight at once
        stage.control.settle()
        runs += 1
    stage.reconcile(COPY)

    found = copies(stage, instance)
    assert Counter(tags_of(copy)["lifeboat:copy-of"] for copy in found) == dict.fromkeys(sources, 1)
    assert at_most_at_a_time(found) == IN_FLIGHT - FOREIGN, "the room that there is was used, and no more"
    assert refused(stage) == [], "the cap is kept by us, not by EC2's refusals"
    assert runs == ceil(POINTS / (IN_FLIGHT - FOREIGN))
    assert Counter(published(stage, instance, "SnapshotsCopied")) == dict.fromkeys(
        (point_id(instance, number) for number in range(POINTS)), 1
    )
    assert stage.denied() == []
    assert {copy["KmsKeyId"] for copy in found} == {away_key_and_stage[0]}
    begun = sorted(found, key=lambda copy: copy["StartTime"])
    assert [tags_of(copy)["lifeboat:taken-at"] for copy in begun] == [iso(at(number)) for number in range(POINTS)]


def test_answers_that_are_lost_and_wake_ups_that_come_doubled_make_no_second_copy(stage, instance):
    sources = [snapshot for number in range(FEW) for snapshot in seed_point(stage, instance, number, volumes=2)]
    for nth in (2, 7, 11):
        stage.control.fault("CopySnapshot", "drop", nth=nth)  # EC2 does it, and no one notices
    for _ in range(2 * FEW):
        if all_there(stage, instance, len(sources)):
            break
        stage.control.fire_schedule(stage.outputs[COPY])
        stage.control.fire_schedule(stage.outputs[COPY])
        stage.control.advance(COPY_SECONDS / 2)
    stage.control.settle()
    stage.reconcile(COPY)

    assert sum(fault["hits"] for fault in stage.control.faults()) == 3
    assert Counter(tags_of(copy)["lifeboat:copy-of"] for copy in copies(stage, instance)) == dict.fromkeys(sources, 1)
    assert Counter(published(stage, instance, "SnapshotsCopied")) == dict.fromkeys(
        (point_id(instance, number) for number in range(FEW)), 1
    )


def test_a_copy_that_fails_is_published_within_one_reconcile_run_and_tried_again_by_a_person_while_the_others_go_on(
    stage, instance
):
    sources = [snapshot for number in range(FEW) for snapshot in seed_point(stage, instance, number)]
    stage.control.fail_creation("copy", resource=sources[1], cause="Given key ID is not accessible")
    stage.reconcile(COPY)
    stage.reconcile(COPY)

    [failure] = [message for message in stage.messages() if message["event"] == "CopyFailed"]
    assert failure["severity"] == "critical"
    assert failure["subject"] == {"recovery_point": point_id(instance, 1), "region": AWAY}
    assert "Given key ID is not accessible" in failure["details"]["reason"]
    assert sorted(published(stage, instance, "SnapshotsCopied")) == [
        point_id(instance, number) for number in range(FEW) if number != 1
    ]
    stage.reconcile(COPY)
    assert len(published(stage, instance, "CopyFailed")) == 1, "published once"

    stage.invoke(COPY, {"retry": True})
    stage.control.settle()
    stage.reconcile(COPY)
    assert published(stage, instance, "SnapshotsCopied")[-1] == point_id(instance, 1)
    again = [copy for copy in copies(stage, instance) if tags_of(copy)["lifeboat:copy-of"] == sources[1]]
    assert sorted(copy["State"] for copy in again) == ["completed", "error"]
