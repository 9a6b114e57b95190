"""What goes wrong: calls, events, schedules, EC2 itself, keys; each for a while, and never without the seed's say."""

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError
from ministack.services import kms

from local.emulator import asynchronous, events, gateway, throttle
from local.emulator.clock import CLOCK
from local.emulator.ec2 import outcomes
from local.emulator.ec2.model import WORLD, Misbehaviour
from local.emulator.events import EventFault
from local.emulator.faults import Fault
from local.emulator.settings import SETTINGS
from local.emulator.timers import TIMERS
from local.simulator import stage
from local.simulator.calls import AT_ONCE, Belated
from local.simulator.chance import Chance
from local.simulator.machine import MACHINE
from local.simulator.plan import Happening

OURS = "role/lifeboat-"
"""What the ARN of each of our functions has in it."""
SPOILED = (
    ("no capacity", "capacity_refusals", -1),
    ("starts fall back", "falls_back", -1),
    ("impaired", "impaired", True),
    ("stuck stopping", "stuck_stopping", True),
)
"""A kind of misfortune, what of an instance goes wrong, and how."""
READ_TIMEOUT = {"ec2": 60.0, "dynamodb": 10.0, "sns": 10.0, "sqs": 10.0, "ebs": 30.0}
"""Seconds after which the library's clients give an answer up; of reads of EC2 it is the half."""
LATEST_REQUEST = {"ec2": 55.0}
"""Seconds that a request is under way at most, where it must not arrive after its client has given up: EC2 has nothing
by which a caller could make a forgotten call void."""
QUICKEST, SLOWEST = 0.005, 0.15
"""Seconds that a call or its answer is on the way when all is well."""


class Misfortune:
    """All that is wrong at this moment."""

    def __init__(self, chance: Chance, publish: Callable[[str], None]) -> None:
        self._chance = chance
        self._publish = publish
        self._open: dict[int, Happening] = {}
        self._delays: dict[str, float] = {}
        self._last_ended = 0.0
        self.hits: Counter[str] = Counter()
        """How often each kind has struck."""
        self.slow = 0.0
        """Seconds that the answer of the call under way comes late."""

    def install(self) -> None:
        """Put this in the way of calls, events, invocations and creations."""
        self._delays = dict(vars(SETTINGS.delays))
        gateway.FAULTS = self  # type: ignore[assignment]
        events.BUS._hit = self._event  # type: ignore[method-assign]
        outcomes.take = self._creation
        self._invoke = asynchronous.invoke
        asynchronous.invoke = self._hand_over

    # --- windows

    def begin(self, happening: Happening) -> None:
        """Something goes wrong from now on."""
        self._open[happening.number] = happening
        words = _words(happening)
        self._publish(f"misfortune {happening.number} begins: {words}, for {happening.seconds / 60:.0f} minutes")
        TIMERS.after(happening.seconds, lambda: self.end(happening), f"the end of misfortune {happening.number}")
        self._apply()

    def end(self, happening: Happening) -> None:
        """It goes right again."""
        if self._open.pop(happening.number, None):
            self._last_ended = CLOCK.now()
            self._publish(f"misfortune {happening.number} ends: {happening.kind}")
            self._apply()
            if happening.kind == "stuck stopping":
                MACHINE.spawn(self._stop_at_last, "a stop with force")

    def end_all(self) -> None:
        """Everything goes right from now on."""
        for happening in list(self._open.values()):
            self.end(happening)

    def _of(self, kind: str) -> list[Happening]:
        return [happening for happening in self._open.values() if happening.kind == kind]

    def _strikes(self, kind: str) -> bool:
        """Whether a kind of misfortune that is open strikes now."""
        struck = any(self._chance.happens(happening.more["probability"]) for happening in self._of(kind))
        self.hits[kind] += struck
        return struck

    def _apply(self) -> None:
        """What is not asked for at each occasion, but stands in the emulator's state."""
        slower = 20.0 if self._of("EC2 slow") else 1.0
        for name, seconds in self._delays.items():
            setattr(SETTINGS.delays, name, seconds * slower if name != "event" else seconds)
        if self._of("EC2 very slow"):
            SETTINGS.delays.snapshot, SETTINGS.delays.volume = 5 * 3600, 2 * 3600
        SETTINGS.busy_detach = bool(self._of("busy detach"))
        if SETTINGS.throttling != bool(self._of("EC2 throttles")):
            SETTINGS.throttling = not SETTINGS.throttling
            SETTINGS.throttle_speed = 0.2
            throttle.clear()
        self._spoil_instances()
        keys = [key for key in kms._keys._data.values() if key.get("KeyManager", "CUSTOMER") == "CUSTOMER"]
        disabled = {int(happening.which[0] * len(keys)) for happening in self._of("key disabled")}
        self.hits["key disabled"] += len(disabled)
        for place, key in enumerate(keys):
            key["KeyState"], key["Enabled"] = ("Disabled", False) if place in disabled else ("Enabled", True)

    def _spoil_instances(self) -> None:
        known = [instance for region in WORLD.regions() for instance in region.instances.values()]
        for instance in known:
            instance.misbehaviour = Misbehaviour()
        for kind, flag, value in SPOILED:
            for happening in self._of(kind):
                self.hits[kind] += 1
                for place, instance in enumerate(known):
                    if happening.more["probability"] == 1.0 or (place + happening.number) % 2:
                        setattr(instance.misbehaviour, flag, value)

    def _stop_at_last(self) -> None:
        """Instances that do not stop are stopped with force, as AWS advises."""
        ec2 = stage.client("ec2")
        for instance in list(WORLD.region(stage.REGION).instances.values()):
            if instance.state == "stopping":
                with contextlib.suppress(ClientError):
                    ec2.stop_instances(InstanceIds=[instance.instance_id], Force=True)

    # --- calls

    def hit(self, service: str, action: str, caller: str, request: str) -> Fault | None:
        """In place of `Faults.hit`: what becomes of this call.

        Raises:
            Belated: it has not arrived yet.
        """
        if OURS not in caller or "DryRun=true" in request or AT_ONCE.get():
            return None
        for happening in self._of("calls"):
            wanted = happening.more
            if wanted["service"] != service or wanted["action"] not in ("*", action):
                continue
            if not self._chance.happens(wanted["probability"]):
                continue
            effect = wanted["effect"]
            self.hits[f"call: {effect}"] += 1
            patience = READ_TIMEOUT.get(service, 10.0)
            if effect == "slow":
                self.slow = self._chance.uniform(0.5, 1.5 * patience)
                return None
            if effect == "late":
                raise Belated(self._chance.uniform(0.5, LATEST_REQUEST.get(service, 1.5 * patience)))
            self._publish(f"  {effect} strikes {service} {action} of {function_of(caller)}")
            if effect == "throttle":
                return Fault(action, "throttle", service)
            return Fault(action, effect, service, code=wanted["code"], message="a misfortune")
        return None

    def latency(self) -> float:
        """Seconds that a request, or its answer, is on the way."""
        seconds, self.slow = self.slow, 0.0
        return self._chance.uniform(QUICKEST, SLOWEST) + seconds

    # --- events, invocations, schedules, creations

    def _event(self, event: Any) -> EventFault | None:
        del event
        if self._strikes("events lost"):
            return EventFault("drop")
        if self._strikes("events doubled"):
            return EventFault("double")
        if self._strikes("events late"):
            return EventFault("delay", seconds=self._chance.choice((5.0, 60.0, 600.0, 7200.0)))
        # Even when all is well no two events take the same time.
        return EventFault("delay", seconds=self._chance.uniform(0.0, 3.0))

    def _hand_over(self, record: dict[str, Any], event: Any) -> None:
        self._invoke(record, event)
        if self._strikes("invocations doubled"):
            again = json.loads(json.dumps(event))
            TIMERS.after(self._chance.uniform(0, 5), lambda: self._invoke(record, again), "a doubled invocation")

    def is_trouble_since(self, since: float) -> bool:
        """Whether something is wrong, or was at any time since this moment."""
        return bool(self._open) or self._last_ended >= since

    def of_slot(self) -> tuple[float, ...]:
        """After how many seconds a schedule's slot is handed over, once for each time that it is."""
        if self._strikes("schedules lost"):
            return ()
        late = self._chance.choice((20.0, 300.0, 1800.0)) if self._strikes("schedules late") else 0.0
        first = late + self._chance.uniform(0.0, 2.0)
        if not self._strikes("schedules doubled"):
            return (first,)
        return (first, first + self._chance.uniform(0.0, self._chance.choice((0.1, 1.0, 30.0))))

    def _creation(self, kind: str, *involved: str) -> outcomes.Outcome | None:
        del involved
        if self._strikes("creations fail"):
            return outcomes.Outcome(kind, cause="Internal error")
        if self._strikes("creations hang"):
            return outcomes.Outcome(kind, stuck=True)
        return None

    def kinds(self) -> Mapping[str, int]:
        """How often each kind has struck."""
        return {kind: number for kind, number in sorted(self.hits.items()) if number}


def _words(happening: Happening) -> str:
    more = happening.more
    if happening.kind != "calls":
        return f"{happening.kind} ({more['probability']:.0%})"
    code = f" with {more['code']}" if more["effect"] in ("fail", "answer_error") else ""
    return f"{more['probability']:.0%} of our calls {more['service']} {more['action']}: {more['effect']}{code}"


def function_of(caller: str) -> str:
    """The function that an ARN of ours belongs to."""
    return caller.split(OURS)[1].split("-", maxsplit=1)[0].removesuffix("Role")
