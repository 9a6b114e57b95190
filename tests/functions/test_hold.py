"""prune_snapshots with `hold`: the tag that retention keeps, on every snapshot of one recovery point."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.functions.conftest import ROOT

POINT = "rp-20261128T000000Z-{}"


@pytest.fixture
def instance(world):
    found = world.launch(disks=2)
    world.invoke("take_snapshots", {})
    world.invoke("confirm_snapshots", {"sweep": True})
    return found


def holds(world) -> dict[str, Any]:
    tags = {item["SnapshotId"]: {tag["Key"]: tag["Value"] for tag in item["Tags"]} for item in world.snapshots()}
    return {name: found.get("lifeboat:hold") for name, found in tags.items()}


@pytest.mark.parametrize(
    ("reason", "written"),
    [
        ({}, "a request"),
        ({"reason": "INC-17"}, "INC-17"),
        ({"reason": "a\u202e\nb" + "c" * 300}, "a b" + "c" * 250 + "..."),
    ],
    ids=["none", "words", "hostile and long"],
)
def test_every_snapshot_of_the_recovery_point_is_held(world, instance, reason, written):
    other = world.launch()
    world.invoke("take_snapshots", {"instance_ids": [other]})
    answer = world.invoke("prune_snapshots", {"hold": POINT.format(instance), **reason})
    assert answer["held"] == POINT.format(instance)
    assert len(answer["snapshots"]) == 2
    assert {name for name, value in holds(world).items() if value == written} == set(answer["snapshots"])


def test_the_reason_of_an_earlier_hold_stays(world, instance):
    first = min(holds(world))
    world.ec2.create_tags(Resources=[first], Tags=[{"Key": "lifeboat:hold", "Value": "INC-1"}])
    answer = world.invoke("prune_snapshots", {"hold": POINT.format(instance), "reason": "INC-2"})
    assert answer["already"] == [first]
    assert sorted(holds(world).values()) == ["INC-1", "INC-2"]


def test_another_stacks_recovery_point_is_refused(world, instance):
    for name in holds(world):
        world.ec2.create_tags(Resources=[name], Tags=[{"Key": "lifeboat:stack", "Value": "other"}])
    for point in (POINT.format(instance), POINT.format("i-0ffffffffffffffff")):
        refused = world.invoke("prune_snapshots", {"hold": point})["refused"]
        assert refused == f"hold is '{point}', expected the id of a recovery point of this stack"
    assert set(holds(world).values()) == {None}


def test_the_test_event_is_a_request_that_names_a_recovery_point(world):
    event = json.loads((ROOT / "events" / "prune_snapshots" / "hold.json").read_text())
    assert "expected the id of a recovery point of this stack" in world.invoke("prune_snapshots", event)["refused"]
