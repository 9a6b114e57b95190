"""One world: made from its plan, lived to its end, judged at every step."""

import contextlib
import hashlib
import io
import json
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ConnectionClosedError

from local.emulator import lost
from local.emulator.calls import CALLS
from local.emulator.clock import CLOCK
from local.emulator.ec2 import notices
from local.emulator.ec2.actions import ACTIONS
from local.emulator.scope import Scope
from local.emulator.timers import TIMERS
from local.simulator import calls, chance, stage
from local.simulator.functions import ENVIRONMENTS
from local.simulator.judge import Judge, Violation
from local.simulator.machine import MACHINE
from local.simulator.misfortune import OURS, Misfortune, function_of
from local.simulator.people import People
from local.simulator.plan import Plan
from local.simulator.schedules import Schedules

READS = ("Describe", "Get", "List")
MOST_RESTORED_ELSEWHERE = 2
IDLE_RUNS, WAITING_RUNS = 0.02, 0.1
"""What part of the reconcile runs comes while nothing is open, and while what is open waits for a person."""


@dataclass
class Outcome:
    """What became of a world.

    Attributes:
        hours: of its clock.
        seconds: of a processor.
        happened: the numbers of the happenings that were let happen.
    """

    seed: int
    hours: float
    seconds: float
    violations: list[Violation]
    restores: int
    points: int
    calls: int
    copies: int
    proofs: int
    compared: int
    drills: int
    misfortune: dict[str, int]
    events: dict[str, int]
    states: dict[str, int]
    invocations: dict[str, int]
    most_at_once: int
    happened: int
    digest: str
    trace: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON, without the trace."""
        return {name: value for name, value in asdict(self).items() if name != "trace"}


class World:
    """See the module."""

    def __init__(self, plan: Plan, keep: Collection[int] | None = None) -> None:
        self.plan = plan
        self.kept = [item for item in plan.happenings if keep is None or item.number in keep]
        self.trace: list[str] = []
        self.invocations: Counter[str] = Counter()
        self._luck = chance.Chance(f"luck of {plan.seed}")
        self._begun = 0.0
        chance.govern(chance.Chance(f"ids of {plan.seed}"))
        MACHINE.draw = self._luck.random
        self.people = People(plan, self.publish)
        self.misfortune = Misfortune(chance.Chance(f"misfortune of {plan.seed}"), self.publish)
        self.judge = Judge(self.people, self.publish)
        self.judge.rehearsals.is_trouble_since = self.misfortune.is_trouble_since
        self.schedules = Schedules(self._luck, self.misfortune.of_slot, self._attention)

    def publish(self, sentence: str) -> None:
        """A line of the trace."""
        now = datetime.fromtimestamp(CLOCK.now(), UTC)
        self.trace.append(f"{now:%d %H:%M:%S}.{now.microsecond // 1000:03} {sentence}")

    def _attention(self, place: Scope, function: str) -> float:
        """What part of the reconcile runs of a function of the stack in this place comes."""
        if "verify-snapshots" in function:
            return 1.0 if self.judge.proofs.is_busy(place) else IDLE_RUNS
        if "drill-restores" in function:
            return 1.0 if self.judge.rehearsals.is_open(place) else IDLE_RUNS
        restores, copies, backups = (
            stage.items(name, self.people.stacks[place], place) for name in ("restore-open", "copy-open", "backup-open")
        )
        if backups or any(not _is_paused(item) for item in copies.values()):
            return 1.0
        if any(not self.judge.has_published_failure(item["version"]["S"]) for item in restores.values()):
            return 1.0
        return WAITING_RUNS if restores else IDLE_RUNS

    def live(self, *, stop_at_violation: bool = True) -> Outcome:
        """From the beginning to the end, or to the first violation."""
        with contextlib.redirect_stdout(io.StringIO()):  # what the functions print is their log
            return self._live(stop_at_violation=stop_at_violation)

    def _live(self, *, stop_at_violation: bool) -> Outcome:
        begun = time.process_time()
        stage.begin_time(self.plan.beginning)
        self.people.build()
        self._watch()
        self._begun = CLOCK.now()
        self.misfortune.install()
        calls.WIRE.on_the_way = self._on_the_way
        calls.WIRE.arrives_later = _arrives_later
        self.schedules.start()
        self.people.begin()
        for happening in self.kept:
            act = self.people.act if happening.kind in self.people._acts else self.misfortune.begin
            TIMERS.after(happening.at, lambda act=act, it=happening: act(it), f"happening {happening.number}")  # type: ignore[misc]
        end = self._begun + self.plan.life
        self._run(end, stop_at_violation=stop_at_violation)
        if not (self.judge.violations and stop_at_violation):
            self.publish("everything is calm from now on")
            self.misfortune.end_all()
            self._run(end + self.plan.calm, stop_at_violation=stop_at_violation)
        if not (self.judge.violations and stop_at_violation):
            self.judge.at_the_end(self.schedules.due, calm_since=end)
        if not self.judge.violations and self.plan.carrying.is_lost:
            self._lose_home()
        return self._outcome(time.process_time() - begun)

    def _run(self, end: float, *, stop_at_violation: bool) -> None:
        while TIMERS.run_next(end):
            if self.judge.violations and stop_at_violation:
                return

    def _lose_home(self) -> None:
        """The home region is gone, and what was copied of it comes back in the other one."""
        self.publish(f"{stage.REGION} is lost")
        lost.lose(stage.REGION)
        wanted = {point.instance_id: point for point in self.judge.carried.to_restore(stage.AWAY)}  # the newest of each
        for instance_id, point in sorted(wanted.items())[:MOST_RESTORED_ELSEWHERE]:
            devices = point.devices.values()
            answer = stage.in_background(lambda i=instance_id, d=devices: self.people.restore_elsewhere(i, d))  # type: ignore[misc]
            self.publish(f"what was {instance_id} is restored in {stage.AWAY.region}: {json.dumps(answer)[:300]}")
            self._run(CLOCK.now() + 2 * 3600, stop_at_violation=True)
            self.judge.restored_elsewhere(instance_id, answer)

    def _on_the_way(self, patience: float) -> bool:
        if not ENVIRONMENTS.running_here():
            return True
        seconds = self.misfortune.latency()
        MACHINE.sleep(min(seconds, patience))
        return seconds < patience

    def _watch(self) -> None:
        """Let the judge see what EC2 does, what is answered, published and run."""
        for action in [name for name in ACTIONS if not name.startswith(READS)]:
            ACTIONS[action] = self._watched(action, ACTIONS[action])
        changed = notices.instance_changed

        def instance_changed(scope: Any, instance: Any) -> None:
            self.judge.instance_changed(instance)
            changed(scope, instance)

        notices.instance_changed = instance_changed
        stage.sns._fanout = self._published(stage.sns._fanout)
        stage.lambda_svc._execute_function_warm = self._ran
        add = CALLS.add

        def added(**call: Any) -> None:
            add(**call)
            self.judge.answered(CALLS._calls[-1], call["answer"])

        CALLS.add = added  # type: ignore[method-assign]

    def _watched(self, action: str, handler: Any) -> Any:
        def carried_out(request: Any) -> Any:
            self.judge.before(request)
            if OURS in request.caller:
                self.publish(f"  {function_of(request.caller)}: {action} {_brief(request.parameters)}")
            answer = handler(request)
            self.judge.after(request, answer)
            return answer

        return carried_out

    def _published(self, fan_out: Any) -> Any:
        def published(topic_arn: str, msg_id: str, message: str, *rest: Any, **named: Any) -> None:
            self.publish(f"  published {self.judge.published_one(message, Scope(*_of_arn(topic_arn)))}")
            fan_out(topic_arn, msg_id, message, *rest, **named)

        return published

    def _ran(self, function: dict[str, Any], event: Any, request_id: str) -> Any:
        outcome = ENVIRONMENTS.run(function, event, request_id)
        name = (function.get("config") or function)["FunctionName"].split("-", 1)[1]
        self.invocations[name] += 1
        self.judge.ended(name, event, outcome)
        if outcome.get("error"):
            self.publish(f"  {name} failed: {str(outcome.get('body'))[:300]}")
        return outcome

    def _outcome(self, seconds: float) -> Outcome:
        text = "\n".join(self.trace)
        return Outcome(
            seed=self.plan.seed,
            hours=round((CLOCK.now() - self._begun) / 3600, 2),
            seconds=round(seconds, 2),
            violations=self.judge.violations,
            restores=len(self.judge.restores),
            points=len(self.judge.points),
            calls=self.judge.calls,
            copies=self.judge.carried.number,
            proofs=self.judge.proofs.marked,
            compared=self.judge.proofs.compared.number,
            drills=self.judge.rehearsals.number,
            misfortune=dict(self.misfortune.kinds()),
            events=dict(sorted(self.judge.events.items())),
            states=dict(sorted(self.judge.states.items())),
            invocations=dict(sorted(self.invocations.items())),
            most_at_once=ENVIRONMENTS.most_at_once,
            happened=len(self.kept),
            digest=hashlib.sha256(text.encode()).hexdigest(),
            trace=self.trace,
        )


def _is_paused(record: dict[str, Any]) -> bool:
    """Whether the next attempt at a copy is not due yet."""
    due = json.loads(record["document"]["S"])["not_before"]
    return bool(due) and datetime.fromisoformat(due).timestamp() > CLOCK.now()


def _of_arn(arn: str) -> tuple[str, str]:
    """The account and the region of what it names."""
    parts = arn.split(":")
    return parts[4], parts[3]


def _arrives_later(seconds: float, work: Callable[[], object]) -> None:
    def arrive() -> None:
        with contextlib.suppress(ConnectionClosedError):
            work()

    TIMERS.after(seconds, arrive, "a belated request")


def _brief(parameters: dict[str, Any]) -> str:
    shown = {k: v for k, v in parameters.items() if k not in ("TagSpecifications", "ClientToken", "Description")}
    return json.dumps(shown, default=str)[:200]
