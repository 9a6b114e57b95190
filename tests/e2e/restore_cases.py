"""Restores that something goes wrong with, all under way at once on one stage, each on an instance of its own.

All cases are begun, then reconciled in common until all have ended; only then does each test check its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from lifeboat.restore.machine.history import restore_id
from local import stack
from tests.e2e.stage import DEVICE, Machine, Stage, both_attached, events_of, tags_of

VOLUME_EVENT = "EBS Volume Notification"
INSTANCE_EVENT = "EC2 Instance State-change Notification"
AT_ONCE = 2
"""How many restores are asked for at the same moment."""
IN_FLIGHT = 4
"""How many are under way at once: each invocation checks all of them."""
CONCURRENCY = 10
"""How many invocations of attach_volume there may be at once; further ones wait, as under load in AWS."""
MINUTE = 60.0
RECONCILE_RUNS = 3000
"""By when all restores have ended, on the way back as well, after all their deadlines."""
DISK = {"VolumeSize": 20, "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": True}
"""AttachVolume leaves DeleteOnTermination false, so that a restore has a flag to set, forward and on the way back."""


class Made(Enum):
    """What becomes of the volume that a restore made."""

    IN_PLACE = "at the device of the displaced volume"
    DELETED = "deleted"
    KEPT = "kept, and named"


@dataclass
class Run:
    """One case while it runs: its machine, its snapshot, and the restored volume once it is known."""

    stage: Stage
    machine: Machine
    snapshot: dict[str, Any]
    launched: datetime
    restored: str = ""

    @property
    def id(self) -> str:
        return restore_id(self.machine.instance_id)

    @property
    def point(self) -> str:
        return tags_of(self.snapshot)["lifeboat:recovery-point"]

    def has_published(self, event: str) -> bool:
        return event in events_of(self.stage.published_about(restore_id=self.id))


type Act = Callable[[Run], None]


@dataclass(frozen=True)
class Case:
    """A restore, what goes wrong with it, and how it must end.

    Attributes:
        before: makes things go wrong before the restore is asked for.
        once_made: the same, as soon as the restored volume's id is known.
        meanwhile: called after each reconcile run.
        published: the messages about its end, in their order.
        made: what becomes of the restored volume.
        power: the instance's state, before as after.
        tags_left: whether the displaced volume keeps its tags although it is back.
        answered: whether the person who asked got an answer.
        stops: whether the instance is stopped at all; if not, it must not be.
    """

    name: str
    before: Act | None = None
    once_made: Act | None = None
    meanwhile: Act | None = None
    published: tuple[str, ...] = ("RestoreCompleted",)
    made: Made = Made.IN_PLACE
    power: str = "running"
    tags_left: bool = False
    answered: bool = True
    stops: bool = True

    @property
    def completes(self) -> bool:
        return self.published == ("RestoreCompleted",)


class Matrix:
    """All cases of a module, run together; the reconcile run comes every `between` seconds of simulated time."""

    def __init__(self, stage: Stage, cases: Iterable[Case], between: float = MINUTE) -> None:
        self.stage = stage
        self._between = between
        self.cases = {case.name: case for case in cases}
        self.runs: dict[str, Run] = {}
        self.begun: set[str] = set()
        self.calls: list[dict[str, Any]] = []
        self._begun = stage.control.mark()

    def play(self) -> None:
        """Run all cases to their ends, or for `RECONCILE_RUNS`; what is open then fails its own test."""
        self._prepare()
        waiting = list(self.cases.values())
        with ThreadPoolExecutor(AT_ONCE) as together:
            for _run in range(RECONCILE_RUNS):
                going_on = self.stage.open_restores() & {run.id for run in self.runs.values()}
                if not waiting and not going_on:
                    break
                some = waiting[: max(0, IN_FLIGHT - len(going_on))]
                waiting = waiting[len(some) :]
                list(together.map(self._begin, some))
                self.stage.control.fire_schedule(self.stage.target_of("AttachVolumeFunction"))
                self.stage.control.advance(self._between)
                self._meanwhile()
        self.stage.control.settle()
        self.calls = [
            call
            for action in ("AttachVolume", "DetachVolume")
            for call in self.stage.control.calls(self._begun, service="ec2", action=action)
        ]
        self.calls.sort(key=lambda call: call["number"])

    def _meanwhile(self) -> None:
        for name, case in self.cases.items():
            if case.meanwhile and name in self.begun:
                case.meanwhile(self.runs[name])

    def _prepare(self) -> None:
        # As many at once as an account under load would have; the machine that runs the tests thanks for it.
        self.stage.aws.client("lambda").put_function_concurrency(
            FunctionName=self.stage.outputs["AttachVolumeFunction"], ReservedConcurrentExecutions=CONCURRENCY
        )
        with self.stage.silence():
            machines = self.stage.launch(len(self.cases), disks={DEVICE: DISK})
            stopped = [
                machine.instance_id
                for machine, case in zip(machines, self.cases.values(), strict=True)
                if case.power == "stopped"
            ]
            if stopped:
                self.stage.ec2.stop_instances(InstanceIds=stopped)
        snapshots = self.stage.back_up()
        for machine, name in zip(machines, self.cases, strict=True):
            launched = self.stage.instance(machine.instance_id)["LaunchTime"]
            self.runs[name] = Run(self.stage, machine, snapshots[machine.volume_id], launched)

    def _begin(self, case: Case) -> None:
        run = self.runs[case.name]
        if case.before:
            case.before(run)
        ask = {
            "instance_id": run.machine.instance_id,
            "recovery_point": run.point,
            "request_id": run.machine.instance_id,
        }
        answer = stack.invoke(self.stage.aws, self.stage.outputs["RestoreVolumeFunction"], ask)
        assert (answer.error is None) is case.answered, (case.name, answer)
        assert not case.answered or answer.payload.get("restore_id") == run.id, (case.name, answer.payload)
        run.restored = next(iter(self.stage.made_by(run.id)), "")
        if case.once_made:
            case.once_made(run)
        self.begun.add(case.name)

    # --- what each case must have come to

    def check(self, name: str) -> None:
        """Everything that must be so at the end of a case, whatever went wrong."""
        case, run = self.cases[name], self.runs[name]
        record = self.stage.status(run.id)
        metadata = "\n".join(record["timeline"])
        machine = run.machine
        displaced = self.stage.volume(machine.volume_id)

        ending = "completed" if case.completes else "rolled_back"
        assert record["status"] == ending, metadata
        assert run.id not in self.stage.open_restores()
        assert record["step"] == "done"
        assert (record["failure"] is None) is case.completes, metadata
        messages = self.stage.published_about(restore_id=run.id)
        assert tuple(events_of(messages)) == ("RestoreStarted", *case.published), metadata

        [restored] = {volume["restored_volume_id"] for volume in record["volumes"]}
        in_place = restored if case.completes else machine.volume_id
        assert self.stage.disks(machine.instance_id) == {DEVICE: (in_place, True)}, metadata
        assert self.stage.power(machine.instance_id) == case.power, metadata
        assert case.stops or self.stage.instance(machine.instance_id)["LaunchTime"] == run.launched
        assert both_attached(self.calls, machine.instance_id, machine.volume_id) == []

        assert displaced["State"] == ("available" if case.completes else "in-use")
        tags = tags_of(displaced)
        marks = {key: value for key, value in tags.items() if key.startswith("lifeboat:displaced")}
        expected = {"lifeboat:displaced-by": run.id, "lifeboat:displaced-from": f"{machine.instance_id} {DEVICE}"}
        assert marks == (expected if case.completes or case.tags_left else {}), metadata

        made = self.stage.made_by(run.id)
        assert made == ([] if case.made is Made.DELETED else [restored]), metadata
        if case.made is Made.KEPT:
            assert self.stage.volume(restored)["State"] in {"available", "creating"}
            named = [item["volume_id"] for item in messages[-1]["details"]["kept"]]
            assert named == [restored]
            assert any(restored in step for step in messages[-1]["next_steps"])


# --- what can go wrong


def call(action: str, effect: str, resource: Callable[[Run], str], **more: Any) -> Act:
    """A call that names a resource goes wrong, once by default."""

    def act(run: Run) -> None:
        run.stage.control.fault(action, effect, resource=resource(run), **more)

    return act


def event(effect: str, kind: str, containing: Callable[[Run], str], **more: Any) -> Act:
    """An event goes wrong."""

    def act(run: Run) -> None:
        run.stage.control.event_fault(effect, detail_type=kind, containing=containing(run), **more)

    return act


def flags(**wanted: Any) -> Act:
    """The instance goes wrong, as `Control.set_instance` has it."""

    def act(run: Run) -> None:
        run.stage.control.set_instance(run.machine.instance_id, **wanted)

    return act


def all_of(*acts: Act | None) -> Act:
    """One after the other."""

    def act(run: Run) -> None:
        for one in acts:
            if one:
                one(run)

    return act


def once(condition: Callable[[Run], bool], then: Act) -> Act:
    """Do something the first time that a condition holds."""
    done: set[str] = set()

    def act(run: Run) -> None:
        if run.id not in done and condition(run):
            done.add(run.id)
            then(run)

    return act


def instance(run: Run) -> str:
    return run.machine.instance_id


def displaced(run: Run) -> str:
    return run.machine.volume_id


def restored(run: Run) -> str:
    assert run.restored, "the restored volume is not known yet"
    return run.restored


def record(run: Run) -> str:
    return run.id


def snapshot(run: Run) -> str:
    identifier: str = run.snapshot["SnapshotId"]
    return identifier


REFUSED: Mapping[str, Any] = {"code": "UnauthorizedOperation", "message": "You are not authorized to do this."}
EFFECTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "throttled": ("throttle", {}),
    "refused": ("fail", REFUSED),
    "failed inside AWS": ("fail", {"code": "InternalError"}),
    "done but answered with an error": ("answer_error", {}),
    "function killed right after it": ("kill", {}),
    "function killed right before it": ("kill_before", {}),
}
"""What can go wrong with a call; all but `refused` leave it open whether it was carried out, or pass."""
