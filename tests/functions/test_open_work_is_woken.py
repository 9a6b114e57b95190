"""Open work has its next reconcile run, also when Lambda ends an invocation in the midst of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from lifeboat import handler
from lifeboat.aws import clock, ec2_calls, ec2_snapshots
from lifeboat.backup import store as backups
from lifeboat.copies import regions_workflow
from lifeboat.restore import store as restores
from tests.functions.restores import RECONCILE, SLOT, ask, fresh_platform, saved, time

__all__ = ["saved", "time"]  # fixtures

TABLE = "lifeboat-state"


class Killed(BaseException):
    """Lambda ends the invocation."""


def killed_after(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> None:
    """The invocation does this once, and is over."""
    real = getattr(module, name)

    def done(*arguments: Any, **named: Any) -> None:
        monkeypatch.setattr(module, name, real)
        real(*arguments, **named)
        raise Killed

    monkeypatch.setattr(module, name, done)


def woken(world: Any, function: str) -> list[int]:
    """In how many seconds from now each wake of a function is due."""
    now = clock.now()
    return [int((at - now).total_seconds()) for name, at in world.wakes.asked if name == function and at > now]


def test_a_restore_that_was_opened_and_no_more_is_advanced(world, saved, time, monkeypatch):
    target = fresh_platform(world)
    killed_after(monkeypatch, restores, "open_restore")
    with pytest.raises(Killed):
        world.invoke("restore_volume", ask(target))
    assert len(restores.open_restores(TABLE)) == 1
    assert woken(world, "attach-volume") == [60, 120]


@pytest.mark.parametrize("name", ["perform", "rehearse"])
def test_a_restore_is_advanced_after_a_run_that_was_cut_short(world, saved, time, monkeypatch, name):
    world.invoke("restore_volume", ask(fresh_platform(world)))
    world.wakes.asked.clear()
    killed_after(monkeypatch, ec2_calls, name)
    with pytest.raises(Killed):
        world.invoke("attach_volume", RECONCILE)
    assert woken(world, "attach-volume") == [60, 120]


def test_recovery_points_are_confirmed_after_an_attempt_that_was_cut_short_before_its_wake(world, time, monkeypatch):
    world.launch()
    killed_after(monkeypatch, backups, "open_backups_for")
    with pytest.raises(Killed):
        world.invoke("take_snapshots", SLOT)
    assert woken(world, "confirm-snapshots") == []
    world.invoke("take_snapshots", SLOT)  # Lambda retries; the record is still the first attempt's
    assert woken(world, "confirm-snapshots") == [60, 120]


def test_copies_go_on_after_a_run_that_was_cut_short(world, saved, time, monkeypatch):
    monkeypatch.setenv("LIFEBOAT_COPY_TO_REGIONS", "eu-central-1")
    handler.forget()
    killed_after(monkeypatch, ec2_snapshots, "copy_snapshot")
    with pytest.raises(Killed):
        world.invoke("copy_snapshots", RECONCILE)
    assert woken(world, "copy-snapshots") == [60, 120]
    world.wakes.asked.clear()
    monkeypatch.setattr(regions_workflow, "copy", _end)
    with pytest.raises(Killed):
        world.invoke("copy_snapshots", RECONCILE)
    assert woken(world, "copy-snapshots") == [60, 120]


def _end(*_: Any) -> None:
    raise Killed


def test_nothing_is_asked_for_while_nothing_is_open(world, saved, time):
    time.wait(timedelta(hours=1).total_seconds())
    world.wakes.asked.clear()
    for function in ("confirm_snapshots", "attach_volume", "drill_restores", "copy_snapshots"):
        world.invoke(function, RECONCILE)
    assert world.wakes.asked == []
