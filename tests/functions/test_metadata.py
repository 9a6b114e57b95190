"""Tags of a volume that do not fit on its snapshot are named when it is taken, when it is good, and in a plan."""

from __future__ import annotations

from random import Random
from string import ascii_letters

import pytest

SLOT = {"scheduled_time": "2026-11-23T02:00:00Z"}


def write(world, volume, tags):
    world.ec2.create_tags(Resources=[volume], Tags=[{"Key": key, "Value": value} for key, value in tags.items()])


@pytest.fixture
def machine(world):
    return world.launch()


def test_what_does_not_fit_is_named_at_backup(world, machine):
    letters = Random(14)
    volume = world.volume_of(machine)
    write(world, volume, {f"k{number:02}": "".join(letters.choices(ascii_letters, k=256)) for number in range(45)})

    [begun] = world.invoke("take_snapshots", SLOT)["begun"]
    world.invoke("confirm_snapshots", {"sweep": True})

    started, completed = world.messages()
    missing = begun["tags_left_out"][volume]
    assert missing
    assert started["details"]["recovery_points"][0]["tags_left_out"] == {volume: missing}
    assert completed["details"]["tags_left_out"] == {volume: f"{len(missing)} ({', '.join(missing)})"}
    assert f"{len(missing)} tags of its volumes did not fit" in completed["summary"]
    assert completed["next_steps"]


def test_where_all_fits_nothing_is_said(world, machine):
    write(world, world.volume_of(machine), {"Name": "証拠データボリューム" * 6, "team": "forensics"})
    [begun] = world.invoke("take_snapshots", SLOT)["begun"]
    world.invoke("confirm_snapshots", {"sweep": True})
    _, completed = world.messages()
    assert "tags_left_out" not in begun
    assert "tags_left_out" not in completed["details"]
    [snapshot] = world.snapshots()
    assert any("証拠データボリューム" in tag["Value"] for tag in snapshot["Tags"])


def test_the_plan_of_a_restore_names_it_too(world, machine):
    letters = Random(14)
    volume = world.volume_of(machine)
    write(world, volume, {f"k{number:02}": "".join(letters.choices(ascii_letters, k=256)) for number in range(45)})
    [begun] = world.invoke("take_snapshots", SLOT)["begun"]
    world.invoke("confirm_snapshots", {"sweep": True})
    for resource in (machine, volume):
        write(world, resource, {"lifeboat:restore-target": "true"})

    answer = world.invoke(
        "restore_volume", {"instance_id": machine, "recovery_point": "latest", "request_id": "q-1", "dry_run": True}
    )

    missing = begun["tags_left_out"][volume]
    [finding] = [item["finding"] for item in answer["findings"] if item["code"] == "tags-left-out"]
    assert f"these tags of {volume}, because they did not fit" in finding
    assert f"{len(missing)} ({missing[0]}" in finding
    assert finding in answer["plan"]
