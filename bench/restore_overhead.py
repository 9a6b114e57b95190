"""What Lifeboat itself adds to the time of a restore, on the local AWS.

EC2's own times are configured there, so they can be taken off the wall time, and so can the window in which the started
instance must be seen running. What is left is Lifeboat's: its functions, their calls, and the wait for an event or for
the sweep. `python -m bench restore_overhead` prints it for two worlds: every event of EC2 arrives, and none does.

No event marks the end of the window, so the end of a restore is seen by the sweep in either world. The sweep is faster
here than in the template; the bars are counted in sweep periods where they depend on it.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LAYER = ROOT / "layers" / "lifeboat" / "python"
if str(LAYER) not in sys.path:  # run as a program, not by pytest
    sys.path.insert(0, str(LAYER))

from tests.e2e.stage import PARAMETERS, Stage, id_of, staged, tags_of  # noqa: E402

RUNS = 3
DELAYS = {"volume": 1.0, "stop": 1.0, "detach": 0.3, "attach": 0.3, "start": 1.0, "status": 1.0}
"""Seconds that EC2 takes here. The status checks pass within the window, so they cost nothing of their own."""
EC2_SECONDS = sum(seconds for name, seconds in DELAYS.items() if name != "status")
WINDOW = float(PARAMETERS["RunningWindowSeconds"])
SWEEP_SECONDS = 3.0
"""The sweep's period here; the template's is 60."""
STEPS = 6
"""volumes, stop, detach, attach, start, verify."""
BAR_WITH_EVENTS = 10.0
"""Seconds."""
WITHIN = 120.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One restore. Seconds: `until_running` and `until_told` are Lifeboat's own up to then, EC2's and the window off;
    `calls` are the API calls of all functions."""

    events: str
    until_running: float
    until_told: float
    calls: int


@contextmanager
def sweeping(stage: Stage) -> Iterator[None]:
    """The sweep fires as a clock would fire it, whatever else happens."""
    over = threading.Event()

    def sweep() -> None:
        while not over.wait(SWEEP_SECONDS):
            stage.control.fire_schedule(stage.outputs["AttachVolumeFunction"])

    thread = threading.Thread(target=sweep, daemon=True)
    thread.start()
    yield
    over.set()
    thread.join()


def measure(stage: Stage, events: str) -> Figure:
    """Restore a fresh machine; what it took beside EC2."""
    [machine] = stage.launch()
    point = tags_of(stage.back_up(machine.instance_id)[machine.volume_id])["lifeboat:recovery-point"]
    if events == "lost":
        stage.control.event_fault("drop", count=0)
    mark, begun = stage.control.mark(), time.time()
    with sweeping(stage):
        stage.restore(machine, point)
        while id_of(machine) in stage.open_restores():
            if time.time() - begun > WITHIN:
                raise RuntimeError(f"the restore did not end: {stage.status(id_of(machine))['timeline']}")
            time.sleep(0.2)
    stage.control.settle()
    stage.control.reset()
    record = stage.status(id_of(machine))
    if record["status"] != "completed":
        raise RuntimeError(f"the restore is {record['status']}: {record['timeline']}")
    running = max(
        event["at"]
        for event in stage.control.events(mark)
        if event["detail"].get("instance-id") == machine.instance_id and event["detail"].get("state") == "running"
    )
    calls = stage.control.calls(mark, caller="assumed-role")
    told = max(call["at"] for call in calls if call["action"] == "Publish" and "RestoreCompleted" in call["request"])
    return Figure(
        events=events,
        until_running=round(running - begun - EC2_SECONDS, 2),
        until_told=round(told - begun - EC2_SECONDS - WINDOW, 2),
        calls=len(calls),
    )


def too_slow(figures: list[Figure]) -> list[str]:
    """What breaks a bar, one sentence each."""
    bars = {"delivered": BAR_WITH_EVENTS, "lost": STEPS * SWEEP_SECONDS}
    return [
        f"a restore, events {figure.events}: {figure.until_told} s of its own, expected at most {bars[figure.events]} s"
        for figure in figures
        if figure.until_told > bars[figure.events]
    ]


def run() -> dict[str, Any]:
    """Measure, print the table, return the figures."""
    with staged(**DELAYS) as stage:
        figures = [measure(stage, events) for events in ("delivered", "lost") for _ in range(RUNS)]
    print(f"EC2 takes {EC2_SECONDS:.1f} s, the window {WINDOW:.0f} s, the sweep comes every {SWEEP_SECONDS:.0f} s")
    print("events     own seconds until it runs  until it is told  API calls")
    for figure in figures:
        print(f"{figure.events:10} {figure.until_running:25.2f} {figure.until_told:17.2f} {figure.calls:10}")
    told = {events: median(f.until_told for f in figures if f.events == events) for events in ("delivered", "lost")}
    sweeps = told["lost"] / SWEEP_SECONDS
    print(f"all events delivered: {told['delivered']:.2f} s of its own (median); bar {BAR_WITH_EVENTS:.0f} s")
    print(
        "the end is seen by the sweep, which the template lets come every 60 s: up to 60 s more until it is told there"
    )
    print(f"all events lost: {told['lost']:.2f} s, {sweeps:.1f} sweep periods (median); bar {STEPS}, one for each step")
    return {
        "figures": [asdict(figure) for figure in figures],
        "sweep_seconds": SWEEP_SECONDS,
        "own_seconds_events_delivered": told["delivered"],
        "own_sweep_periods_events_lost": round(sweeps, 2),
        "problems": too_slow(figures),
    }
