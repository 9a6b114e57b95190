"""Wakes on the local AWS: a function that waits for a time goes on at that time. What a lost wake costs.

Schedules fire by themselves here, and every delay is AWS's, on the simulated clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from local.session import LocalAws
from tests.e2e.stage import Machine, Stage, id_of
from tools.cost_model import DAYS, month

WINDOW = 120
"""Seconds: the default of running in the parameter RestoreDeadlines."""

BAR = 5.0
"""Seconds from the end of the window until the end of the restore is published."""

IDLE_HOURS = 3

RECONCILE = 900
"""Seconds between two reconcile runs by the schedule."""


STEPS = 6
"""volumes, stop, detach, attach, start, verify."""


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with LocalAws({"schedules_fire": False}) as aws:
        yield Stage(aws, {"Verify": "read"})


def seconds_after_window(stage: Stage, machine: Machine, *, minutes: int = 40) -> float:
    """Restore, with schedules that fire; seconds from the end of the running window until RestoreCompleted."""
    control = stage.control
    point = stage.point_of(machine)
    control.configure(schedules_fire=True)
    control.advance((20 - stage.now().timestamp()) % 60)
    mark = control.mark()
    stage.restore(machine, point)
    for _minute in range(minutes):
        control.advance(60)
        if id_of(machine) not in stage.open_restores():
            break
    control.configure(schedules_fire=False)
    assert stage.status(id_of(machine))["status"] == "completed"
    states = control.events(mark, detail_type="EC2 Instance State-change Notification")
    [running] = [event["at"] for event in states if event["detail"]["state"] == "running"]
    [published] = [
        call["at"]
        for call in control.calls(mark, service="sns")
        if call["action"] == "Publish" and "+restored&" in call["request"]
    ]
    return float(published) - float(running) - WINDOW


def test_the_end_of_the_window_is_published_within_seconds(stage: Stage, machine: Machine, show_figure) -> None:
    late = seconds_after_window(stage, machine)
    show_figure(f"RestoreCompleted {late:.1f} s after the running window")
    assert 0 <= late <= BAR


def test_status_checks_that_take_longer_are_noticed_within_seconds(stage: Stage, machine: Machine) -> None:
    stage.control.set_delays(status=200)
    late = seconds_after_window(stage, machine)
    stage.control.set_delays(status=120)
    assert 0 <= late - (200 - WINDOW) <= BAR


def test_a_lost_wake_costs_at_most_a_reconcile_period(stage: Stage, machine: Machine) -> None:
    stage.control.fault("StartExecution", service="states", code="AccessDeniedException", count=0)
    late = seconds_after_window(stage, machine)
    stage.control.reset()
    assert 0 < late <= RECONCILE + BAR


def test_each_step_takes_a_period_of_the_schedule_when_every_event_and_every_wake_is_lost(
    stage: Stage, machine: Machine
) -> None:
    """No step is late enough to roll back: what EC2 shows counts before what a deadline says."""
    point = stage.point_of(machine)
    stage.control.configure(schedules_fire=True, waits_end=False)
    stage.control.event_fault("drop", count=0)
    stage.restore(machine, point)
    for _period in range(STEPS):
        stage.control.advance(RECONCILE)
    stage.control.configure(schedules_fire=False, waits_end=True)
    stage.control.reset()
    assert stage.status(id_of(machine))["status"] == "completed"


def test_names_of_wakes_that_someone_else_took_delay_no_step(stage: Stage, machine: Machine) -> None:
    """What a stolen role of one function may do to the restores of another: each minute's name, with another input."""
    point, minutes = stage.point_of(machine), 15
    functions = stage.aws.client("stepfunctions", stage.region, stage.account)
    [wake] = [item["stateMachineArn"] for item in functions.list_state_machines()["stateMachines"]]
    first = stage.now().replace(second=0, microsecond=0)
    for number in range(1, minutes + 1):
        name = f"attach-volume-{first + timedelta(minutes=number):%Y%m%dT%H%M%SZ}"
        functions.start_execution(stateMachineArn=wake, name=name, input='{"at": "2099-01-01T00:00:00Z"}')
    stage.control.event_fault("drop", count=0)
    stage.restore(machine, point)
    stage.control.advance(60 * minutes)
    stage.control.reset()
    assert stage.status(id_of(machine))["status"] == "completed"


def test_an_idle_stack_is_invoked_as_often_as_the_cost_model_says(stage: Stage, show_figure) -> None:
    """Hours of simulated time in which nothing is open; the schedules of a day are added."""
    control = stage.control
    control.settle()
    control.configure(schedules_fire=True)
    control.advance(930)
    mark = control.mark()
    control.advance(3600 * IDLE_HOURS)
    control.configure(schedules_fire=False)
    counted = len(control.invocations(mark))
    asked = [call for call in control.calls(mark, service="states") if call["action"] == "StartExecution"]
    assert asked == [], "nothing is open"
    each_day = 2
    a_month = DAYS * (counted * 24 / IDLE_HOURS + each_day)
    show_figure(f"idle stack: {counted} invocations in {IDLE_HOURS} hours, {a_month:,.0f} a month")
    assert a_month <= 15_000
    assert a_month == pytest.approx(month(0).units["Lambda requests"], rel=0.02)


def test_wakes_are_allowed_and_none_fails(stage: Stage, machine: Machine) -> None:
    mark = stage.control.mark()
    seconds_after_window(stage, machine)
    assert stage.denied(mark) == []
    asked = stage.control.calls(mark, service="states")
    assert {call["action"] for call in asked} == {"StartExecution"}
    functions = {name for call in asked for name in ("attach-volume", "confirm-snapshots") if name in call["request"]}
    assert functions == {"attach-volume", "confirm-snapshots"}
    assert stage.failed_events() == []
