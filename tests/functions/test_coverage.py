"""The coverage report through its handler: on moto, with the gaps of one account."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lifeboat.aws import ec2_instances, stacks
from lifeboat.aws.errors import AwsError
from lifeboat.domain.stack import Stack
from tests.functions.conftest import TODAY, client
from tests.functions.saved import saved_snapshot

WEEK = {"coverage": True, "scheduled_time": "2026-11-28T02:00:00Z"}


@pytest.fixture(autouse=True)
def stack(monkeypatch):
    """The stack, which moto cannot show without packages that are not here."""
    made = Stack("CREATE_COMPLETE", "", TODAY, "NOT_CHECKED", None, {"Verify": "read"}, ())
    monkeypatch.setattr(stacks, "find_stack", lambda _name: made)


def saved(world, instance):
    """A recovery point of three days ago, which nothing has read back."""
    point = f"rp-20261125T000000Z-{instance}"
    taken = TODAY - timedelta(days=3)
    saved_snapshot(world, world.volume_of(instance), instance_id=instance, recovery_point_id=point, taken_at=taken)
    return point


def gaps(answer):
    return {line["check"]: line for line in answer["lines"] if line["level"] != "ok"}


def test_each_gap_is_reported_with_its_command(world, monkeypatch):
    monkeypatch.setenv("LIFEBOAT_COPY_TO_REGIONS", "eu-central-1")
    point = saved(world, world.launch())
    forgotten = world.launch(Name="Forgotten")
    world.launch(disks=0, Name="Boot only")
    found = gaps(world.invoke("check_stack", {"coverage": True}))
    assert sorted(found) == ["proofs", "second_region", "selection"]
    assert found["selection"]["text"].startswith(forgotten)
    assert found["proofs"]["commands"] == [f"lifeboat verify {point} --stack lifeboat --region eu-west-1"]
    assert "fell behind" in found["second_region"]["text"]
    assert world.messages() == []


def test_it_is_published_once_in_a_week(world):
    world.launch()
    for event in (WEEK, WEEK, {**WEEK, "scheduled_time": "2026-11-29T23:00:00Z"}):
        world.invoke("check_stack", event)
    [message] = world.messages()
    assert (message["event"], message["severity"]) == ("CoverageReport", "warning")
    assert any("No second region" in step for step in message["next_steps"])
    world.invoke("check_stack", {**WEEK, "scheduled_time": "2026-11-30T02:00:00Z"})
    assert len(world.messages()) == 1


def test_what_ec2_refuses_to_show_is_in_the_report(world, monkeypatch):
    def refuse():
        raise AwsError("UnauthorizedOperation", "no", answered=True)

    monkeypatch.setattr(ec2_instances, "each_instance", refuse)
    found = gaps(world.invoke("check_stack", {"coverage": True}))
    assert "UnauthorizedOperation: no" in found["selection"]["text"]


@pytest.mark.parametrize(("backup", "found"), [(False, True), (True, False)])
def test_a_file_system_of_the_platform_without_backups_is_reported(world, backup, found):
    tagged = {"Tags": [{"Key": "Cado", "Value": "CadoResponse"}], "Backup": backup}
    client("efs").create_file_system(CreationToken="platform", **tagged)
    client("efs").create_file_system(CreationToken="another")
    assert ("file_systems" in gaps(world.invoke("check_stack", {"coverage": True}))) is found
