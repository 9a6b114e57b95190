"""Retention of very many recovery points goes in parts, so that it never needs more memory than it has."""

from __future__ import annotations

import json

from lifeboat.aws.invocation import LEFT_FOR_RETURN
from lifeboat.retention import inventory_workflow as inventory
from tests.functions.conftest import Context
from tests.functions.many_recovery_points import DAYS, INSTANCES, in_parts, large_run, left

__all__ = ["in_parts", "large_run"]  # fixtures


def plain(answer):
    return {key: sorted(json.dumps(item) for item in answer[key]) for key in ("kept", "delete")}


def test_the_preview_in_parts_is_the_preview_of_all(world, large_run, monkeypatch):
    whole = world.invoke("prune_snapshots", {"dry_run": True})
    monkeypatch.setattr(inventory, "SNAPSHOTS_HELD", 10)
    parts = world.invoke("prune_snapshots", {"dry_run": True})
    assert plain(parts) == plain(whole)
    assert parts["saved_gib"] == whole["saved_gib"]
    assert set(parts["calendar"].splitlines()) == set(whole["calendar"].splitlines()), "each part has a heading"


def test_a_run_in_parts_deletes_the_same_and_publishes_it_once(world, large_run, in_parts):
    answer = world.invoke("prune_snapshots", {})
    # last=3 daily=14: six of each lineage's twenty.
    assert (answer["kept_count"], answer["delete_count"], len(answer["deleted"])) == (56, 24, 24)
    assert left(world) == {snapshot for made in large_run.values() for snapshot in made[:14]}
    [published] = world.messages()
    assert published["summary"].startswith("24 recovery points deleted, 56 kept")
    assert len(published["details"]["kept"]) + published["details"]["kept_not_listed"] == 56


def test_no_more_is_held_at_once_than_a_part(world, large_run, in_parts, monkeypatch):
    held = []
    real = inventory.read_catalogue
    monkeypatch.setattr(
        inventory, "read_catalogue", lambda found: held.append(len(observed := list(found))) or real(observed)
    )
    world.invoke("prune_snapshots", {"dry_run": True})
    assert held == [0, DAYS, 2 * DAYS, DAYS], "the suspected ones, then those of the last characters 1, a and f"


def test_a_run_cut_off_in_a_part_goes_on_with_the_next_run(world, large_run, in_parts, monkeypatch):
    left_ms = iter([60_000] * 20 + [1000 * LEFT_FOR_RETURN - 1] * 100)
    with monkeypatch.context() as short:
        short.setattr(Context, "get_remaining_time_in_millis", lambda _: next(left_ms))
        first = world.invoke("prune_snapshots", {})
    assert 0 < len(first["deleted"]) < 24
    assert any("wait for the next run" in notice for notice in first["notices"])
    world.invoke("prune_snapshots", {})
    assert left(world) == {snapshot for made in large_run.values() for snapshot in made[:14]}


def test_what_is_in_no_part_stays(world, large_run, in_parts):
    stray = large_run[INSTANCES[0]][-1]
    world.ec2.delete_tags(Resources=[stray], Tags=[{"Key": "lifeboat:instance"}])
    world.invoke("prune_snapshots", {})
    assert stray in left(world)
