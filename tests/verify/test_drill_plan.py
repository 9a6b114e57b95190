"""Which recovery points are rehearsed, in which zones, and which drills begin now."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lifeboat.domain.tags import Tag
from lifeboat.restore.record import Restore, RestoreStep
from lifeboat.verify import drill_plan
from lifeboat.verify.drill_plan import (
    MAX_VOLUMES,
    MAX_WAIT,
    LastDrill,
    choose_points,
    choose_to_start,
    find_open_restore,
    newest_points,
    next_zone,
    waited_too_long,
)
from lifeboat.verify.drill_record import DrillState
from tests.builders import DATA, KEY, PLATFORM
from tests.verify.drills import NOW, SECOND, ZONES, planned, point

OTHER = "i-0bbbbbbbbbbbbbbb2"


def chosen(*points):
    return {lineage: item.id for lineage, item in choose_points(newest_points(points)).items()}


def test_the_newest_good_recovery_point_of_each_lineage_is_rehearsed():
    old, new, pending = point(), point(days=1), point(days=2, state="pending")
    other = point("vol-0other", instance_id=OTHER)
    assert chosen(new, pending, old, other) == {DATA: new.id, "vol-0other": other.id}


def test_a_set_of_several_volumes_is_one_drill():
    both = point(DATA, SECOND)
    assert chosen(both) == {DATA: both.id}
    [drill] = planned(both)
    assert [volume.lineage for volume in drill.volumes] == [DATA, SECOND]


def test_a_lineage_that_the_newest_set_lacks_is_rehearsed_from_its_own_newest():
    both, alone = point(DATA, SECOND), point(DATA, days=1)
    assert chosen(both, alone) == {DATA: alone.id, SECOND: both.id}


def test_a_set_that_is_named_by_any_of_its_lineages_is_the_same_drill():
    newest = newest_points([point(DATA, SECOND), point("vol-0other", instance_id=OTHER)])
    assert choose_points(newest, SECOND) == choose_points(newest, DATA) == {DATA: newest[DATA]}


def test_a_recovery_point_in_another_region_is_not_rehearsed_here():
    here, away = point(), replace(point(days=1), region="eu-central-1")
    assert chosen(here, away) == {DATA: here.id}


def test_a_volume_is_as_a_restore_would_create_it_with_the_tags_of_the_drill_and_without_a_lineage():
    [drill] = planned(point())
    [volume] = drill.volumes
    assert (volume.type, volume.size, volume.iops, volume.throughput) == ("gp3", 100, 4000, 200)
    assert (volume.encrypted, volume.kms_key_id, volume.zone) == (True, KEY, "eu-west-1a")
    assert volume.tags == {
        "Name": "CadoResponseDataVolume",
        Tag.DRILL: drill.id,
        Tag.STACK: "lifeboat",
    }


@pytest.mark.parametrize(
    ("last", "own", "zone"),
    [
        ("", "eu-west-1b", "eu-west-1b"),
        ("", "eu-west-1z", "eu-west-1a"),
        ("eu-west-1a", "eu-west-1a", "eu-west-1b"),
        ("eu-west-1c", "eu-west-1a", "eu-west-1a"),
        ("eu-west-1b5", "eu-west-1a", "eu-west-1c"),
    ],
    ids=["first: its own", "first: own one is closed", "the next", "from the last to the first", "one that is gone"],
)
def test_the_zones_take_turns(last, own, zone):
    assert next_zone(ZONES, last, own) == zone


def test_without_a_zone_there_is_no_drill():
    with pytest.raises(ValueError, match="no availability zone"):
        next_zone((), "", "eu-west-1a")


def test_a_run_that_is_retried_rehearses_nothing_twice_and_the_next_one_everything():
    [first] = planned(point())
    last = {DATA: LastDrill(first.run, first.zone)}
    assert planned(point(), last=last) == []
    [second] = planned(point(), run="run-2", last=last)
    assert second.zone == "eu-west-1b"
    assert second.id != first.id


def test_a_run_of_very_many_rehearses_first_what_was_rehearsed_longest_ago(monkeypatch):
    monkeypatch.setattr(drill_plan, "MOST_OPENED", 2)
    points = [point(f"vol-0{name}", instance_id=f"i-0000000{name}") for name in "abcd"]
    days = {"vol-0a": 1, "vol-0b": 3, "vol-0c": 2}
    last = {name: LastDrill("run-0", ZONES[0], NOW - timedelta(days=day)) for name, day in days.items()}
    first = planned(*points, last=last)
    assert [drill.lineage for drill in first] == ["vol-0d", "vol-0b"]
    last["vol-0d"] = LastDrill("run-1", ZONES[0], NOW)
    assert [drill.lineage for drill in planned(*points, last=last)] == ["vol-0b"], "a retry opens no further one"
    last["vol-0b"] = LastDrill("run-1", ZONES[0], NOW)
    assert planned(*points, last=last) == []
    assert [drill.lineage for drill in planned(*points, last=last, run="run-2")] == ["vol-0c", "vol-0a"]


def restore(**facts):
    known = {
        "id": "restore-1",
        "request_id": "r",
        "instance_id": "i-target",
        "recovery_point_id": "rp",
        "volumes": (),
        "started_at": NOW,
        "step_since": NOW,
        "step": RestoreStep.VOLUMES,
    }
    return Restore(**{**known, **facts})


@pytest.mark.parametrize(
    ("facts", "blocks"),
    [
        ({"instance_id": PLATFORM}, True),
        ({"source_instance_id": PLATFORM}, True),
        ({"volumes": planned(point())[0].volumes}, True),
        ({}, False),
    ],
    ids=["onto the instance", "of the instance", "of the lineage", "of another one"],
)
def test_a_restore_of_the_same_instance_or_data_blocks_a_drill(facts, blocks):
    [drill] = planned(point())
    assert bool(find_open_restore(drill, [restore(**facts)])) == blocks


def many(count, volumes=1):
    ids = [f"vol-0{number:03}" for number in range(count)]
    return [
        replace(planned(point(item, instance_id=f"i-{item}"))[0], volumes=planned(point(item))[0].volumes * volumes)
        for item in ids
    ]


def test_few_volumes_exist_at_one_time():
    drills = many(MAX_VOLUMES + 3)
    first = choose_to_start(drills, ())
    assert first == drills[:MAX_VOLUMES]
    busy = [replace(drill, state=DrillState.CREATING) if drill in first[1:] else drill for drill in drills]
    assert choose_to_start(busy, {drills[0].id}) == [drills[MAX_VOLUMES]]


def test_a_large_set_is_rehearsed_alone_and_is_not_overtaken():
    [large] = many(1, volumes=MAX_VOLUMES + 2)
    small = replace(many(2)[1], requested_at=NOW + timedelta(seconds=1))
    assert choose_to_start([small, large], ()) == [large]
    busy = replace(small, state=DrillState.DELETING)
    later = replace(small, id="later", requested_at=NOW + timedelta(seconds=2))
    assert choose_to_start([busy, large, later], ()) == []


def test_a_drill_waits_for_a_day_and_then_fails():
    [drill] = planned(point())
    assert waited_too_long(drill, "restore-1 is open", NOW + MAX_WAIT) == ""
    late = waited_too_long(drill, "restore-1 is open", NOW + MAX_WAIT + timedelta(seconds=1))
    assert late == "it could not begin within 24 hours: restore-1 is open"
    assert waited_too_long(replace(drill, state=DrillState.CREATING), "", NOW + 2 * MAX_WAIT) == ""
