"""What Lifeboat itself adds to the time of a restore, on the local AWS's simulated clock.

EC2 takes as long as in AWS, each call as long as `bench/_latency.py` assumes, the running window and the reconcile
schedule are the template's. EC2's times and the window are known, so they are taken off. What is left is Lifeboat's:
its calls one after the other, and the wait for the schedule. What functions compute takes no simulated time.
`python -m bench restore_overhead` prints it for two worlds: every event of EC2 arrives, and none does.

No event marks the end of the window. A wake does, in either world. The restores begin at different seconds of the
schedule's minute.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LAYER = ROOT / "layers" / "lifeboat" / "python"
if str(LAYER) not in sys.path:  # run as a program, not by pytest
    sys.path.insert(0, str(LAYER))

from bench._latency import EC2_ONE_SECONDS, slow_calls  # noqa: E402
from local.session import LocalAws  # noqa: E402
from tests.e2e.stage import PARAMETERS, Stage, id_of, tags_of  # noqa: E402

PHASES = (5, 25, 45)
"""Seconds after the full minute at which the restores are asked for."""
WINDOW = 120.0
"""Of running in the template's RestoreDeadlines."""
RECONCILE_SECONDS = 60.0
"""The time between two reconcile runs while a restore is open."""
STEPS = 6
"""volumes, stop, detach, attach, start, verify."""
BAR_UNTIL_RUNNING = 10.0
"""Seconds, every event delivered."""
BAR_UNTIL_PUBLISHED = 5.0
"""Seconds of its own for a whole restore, every event delivered, until its end is published."""
WITHIN_MINUTES = 60


@dataclass(frozen=True, slots=True)
class Figure:
    """One restore. `calls` are the API calls of the functions that restore.

    `until_running` and `until_published` are simulated seconds, without those of EC2 and of the window.
    """

    events: str
    until_running: float
    until_published: float
    calls: int


def ec2_seconds(stage: Stage) -> float:
    """What EC2 takes for one restore until the instance runs, its events included; the status checks pass within the
    window.
    """
    delays = stage.control.settings()["delays"]
    return float(sum(delays[name] + delays["event"] for name in ("volume", "stop", "detach", "attach", "start")))


def measure(stage: Stage, events: str, phase: int) -> Figure:
    """Restore a fresh machine; what it took beside EC2."""
    control = stage.control
    [machine] = stage.launch()
    point = tags_of(stage.back_up(machine.instance_id)[machine.volume_id])["lifeboat:recovery-point"]
    control.configure(schedules_fire=True)
    control.advance((phase - control.now().timestamp()) % RECONCILE_SECONDS)
    slow_calls(control, EC2_ONE_SECONDS)
    if events == "lost":
        control.event_fault("drop", count=0)
    mark, begun = control.mark(), control.now().timestamp()
    stage.restore(machine, point)
    for _minute in range(WITHIN_MINUTES):
        control.advance(RECONCILE_SECONDS)
        if id_of(machine) not in stage.open_restores():
            break
    control.configure(schedules_fire=False)
    control.settle()
    control.reset()
    record = stage.status(id_of(machine))
    if record["status"] != "completed":
        raise RuntimeError(f"the restore is {record['status']}: {record['timeline']}")
    running = max(
        event["at"]
        for event in control.events(mark)
        if event["detail"].get("instance-id") == machine.instance_id and event["detail"].get("state") == "running"
    )
    calls = [call for function in ("RestoreVolume", "AttachVolume") for call in control.calls(mark, caller=function)]
    published = max(call["at"] for call in calls if call["action"] == "Publish" and "+restored&" in call["request"])
    return Figure(
        events=events,
        until_running=round(running - begun - ec2_seconds(stage), 1),
        until_published=round(published - begun - ec2_seconds(stage) - WINDOW, 1),
        calls=len(calls),
    )


def too_slow(figures: list[Figure]) -> list[str]:
    """What breaks a bar, one sentence each."""
    published = {"delivered": BAR_UNTIL_PUBLISHED, "lost": STEPS * RECONCILE_SECONDS}
    running = {"delivered": BAR_UNTIL_RUNNING, "lost": (STEPS - 1) * RECONCILE_SECONDS}
    return [
        f"a restore, events {figure.events}: {seconds} s of its own until it {what}, expected at most {bar} s"
        for figure in figures
        for what, seconds, bar in (
            ("runs", figure.until_running, running[figure.events]),
            ("is published", figure.until_published, published[figure.events]),
        )
        if seconds > bar
    ]


def run() -> dict[str, Any]:
    """Measure, print the table, return the figures."""
    parameters = {name: value for name, value in PARAMETERS.items() if name != "RestoreDeadlines"}
    with LocalAws({"schedules_fire": False}) as aws:
        stage = Stage(aws, {**parameters, "RestoreDeadlines": f"running={WINDOW:.0f}s"})
        ec2 = ec2_seconds(stage)
        figures = [measure(stage, events, phase) for events in ("delivered", "lost") for phase in PHASES]
    print(f"EC2 takes {ec2:.0f} s, the window {WINDOW:.0f} s, the schedule fires every {RECONCILE_SECONDS:.0f} s")
    print("events     own seconds until it runs  until it is published  API calls")
    for figure in figures:
        print(f"{figure.events:10} {figure.until_running:25.1f} {figure.until_published:22.1f} {figure.calls:10}")
    running = median(f.until_running for f in figures if f.events == "delivered")
    published = {
        events: median(f.until_published for f in figures if f.events == events) for events in ("delivered", "lost")
    }
    runs = published["lost"] / RECONCILE_SECONDS
    print(f"all events delivered: {running:.1f} s of its own until it runs (median); bar {BAR_UNTIL_RUNNING:.0f} s")
    print(f"and {published['delivered']:.1f} s until it is published; bar {BAR_UNTIL_PUBLISHED:.0f} s")
    print(f"all events lost: {published['lost']:.1f} s, {runs:.1f} minutes (median); bar {STEPS}, one for each step")
    return {
        "figures": [asdict(figure) for figure in figures],
        "reconcile_seconds": RECONCILE_SECONDS,
        "own_seconds_until_running": running,
        "own_seconds_events_delivered": published["delivered"],
        "own_reconcile_periods_events_lost": round(runs, 2),
        "problems": too_slow(figures),
    }
