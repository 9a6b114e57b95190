"""What tests of restores through the handlers share: a clock, a saved platform, a fresh one, and a request."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from lifeboat.aws import clock
from tests.functions.conftest import TODAY

SLOT = {"scheduled_time": "2026-11-23T02:00:00Z"}
RECONCILE = {"sweep": True}


class Clock:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.began = TODAY

    def now(self) -> datetime:
        return (self.began + timedelta(seconds=self.seconds)).replace(microsecond=0)

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def time(monkeypatch):
    made = Clock()
    for name in ("now", "monotonic", "wait"):
        monkeypatch.setattr(clock, name, getattr(made, name))
    return made


@pytest.fixture
def saved(world):
    """A platform with one good recovery point."""
    instance = world.launch()
    world.invoke("take_snapshots", SLOT)
    world.invoke("confirm_snapshots", RECONCILE)
    world.messages()
    return instance


def fresh_platform(world, **tags):
    """A new deployment in another zone; a person has consented to a restore onto it."""
    instance = world.launch(zone="eu-west-1b", device="/dev/sdb", Name="fresh", **tags)
    consent(world, instance, world.volume_of(instance, "/dev/sdb"))
    return instance


def consent(world, *resources):
    world.ec2.create_tags(Resources=list(resources), Tags=[{"Key": "lifeboat:restore-target", "Value": "true"}])


def ask(instance, **more):
    return {"instance_id": instance, "recovery_point": "latest", "request_id": "incident-1", **more}


def restored(world, time, restore_id, within=40):
    """Reconcile, minute by minute, until the restore has ended."""
    for _ in range(within):
        world.invoke("attach_volume", RECONCILE)
        report = world.invoke("restore_volume", {"status": restore_id})
        if report["status"] != "open":
            return report
        time.wait(60)
    raise AssertionError(report)
