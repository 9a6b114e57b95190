"""aws.ec2 events on the default bus, and what can go wrong with them.

They are best effort in AWS: lost, doubled, late or out of order. Here each of it happens on demand. A doubled event
keeps its id, as a redelivered one does.
"""

import itertools
import json
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from ministack.core.responses import new_uuid
from ministack.services import eventbridge

from local.emulator import lost
from local.emulator.scope import Scope
from local.emulator.sequence import next_number
from local.emulator.settings import SETTINGS
from local.emulator.timers import TIMERS

EFFECTS = ("drop", "double", "delay", "hold", "alter")
KEPT = 20_000


class EventFaultError(ValueError):
    """An event fault that cannot be set as asked."""


@dataclass
class EventFault:
    """What happens to some events.

    Attributes:
        effect: `drop`, `double`, `delay` by `seconds`, or `hold` until released.
        detail_type: only events of this detail-type.
        containing: only events whose resources or detail contain this text, such as an id or a state.
        nth: which matching event is hit first; 1 is the next one.
        count: how many are hit in a row; 0 is all of them, for ever.
        seconds: of `delay`.
        changes: of `alter`: what stands in the detail instead.
        seen: how many have matched.
        hits: how many were hit.
    """

    effect: str
    detail_type: str | None = None
    containing: str | None = None
    nth: int = 1
    count: int = 1
    seconds: float = 1.0
    changes: Mapping[str, Any] = field(default_factory=dict)
    number: int = 0
    seen: int = 0
    hits: int = 0

    def __post_init__(self) -> None:
        if self.effect not in EFFECTS:
            raise EventFaultError(f"there is no effect {self.effect!r}; there are {', '.join(EFFECTS)}")

    def matches(self, event: "Event") -> bool:
        """Whether an event is one that this fault is about."""
        if self.detail_type not in (None, event.detail_type):
            return False
        return not self.containing or self.containing in json.dumps([list(event.resources), event.detail])

    @property
    def due(self) -> bool:
        """Whether the matching event that was counted last may be hit."""
        return self.seen >= self.nth and (self.count == 0 or self.hits < self.count)


@dataclass(frozen=True)
class Event:
    """One event as it stands on the bus."""

    scope: Scope
    detail_type: str
    resources: Sequence[str]
    detail: Mapping[str, Any]
    source: str = "aws.ec2"
    event_id: str = field(default_factory=new_uuid)
    at: float = field(default_factory=time.time)


@dataclass(frozen=True)
class LoggedEvent:
    """What became of an event."""

    number: int
    at: float
    account: str
    region: str
    source: str
    detail_type: str
    resources: Sequence[str]
    detail: Mapping[str, Any]
    event_id: str
    fate: str


class Bus:
    """The way from EC2 to EventBridge's default bus."""

    def __init__(self) -> None:
        self._faults: list[EventFault] = []
        self._held: list[Event] = []
        self._log: deque[LoggedEvent] = deque(maxlen=KEPT)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def emit(self, scope: Scope, detail_type: str, resources: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Send an aws.ec2 event, unless a fault has another idea. Returns at once."""
        event = Event(scope, detail_type, resources, detail)
        fault = self._hit(event)
        if fault and fault.effect == "alter":
            event = replace(event, detail={**event.detail, **fault.changes})
        effect = fault.effect if fault else "sent"
        self._record(event, effect)
        if effect == "drop":
            return
        if effect == "hold":
            with self._lock:
                self._held.append(event)
            return
        wait = SETTINGS.delays.event + (fault.seconds if fault and effect == "delay" else 0.0)
        for _copy in range(2 if effect == "double" else 1):
            self._send_after(wait, event)

    def put(self, event: Event) -> None:
        """Send any event, past all faults."""
        self._record(event, "put")
        self._send_after(0.0, event)

    def _send_after(self, seconds: float, event: Event) -> None:
        TIMERS.after(seconds, lambda: event.scope.run(lambda: _send(event)), f"the event {event.detail_type}")

    def _record(self, event: Event, fate: str) -> None:
        self._log.append(
            LoggedEvent(
                number=next_number(),
                at=event.at,
                account=event.scope.account,
                region=event.scope.region,
                source=event.source,
                detail_type=event.detail_type,
                resources=event.resources,
                detail=event.detail,
                event_id=event.event_id,
                fate=fate,
            )
        )

    def _hit(self, event: Event) -> EventFault | None:
        with self._lock:
            matching = [fault for fault in self._faults if fault.matches(event)]
            for fault in matching:
                fault.seen += 1
            hitting = next((fault for fault in matching if fault.due), None)
            if hitting:
                hitting.hits += 1
            return hitting

    def add_fault(self, wanted: Mapping[str, Any]) -> int:
        """Set a fault; its number.

        Raises:
            EventFaultError: an unknown effect or attribute.
        """
        try:
            fault = EventFault(**{k: v for k, v in wanted.items() if k not in ("seen", "hits", "number")})
        except TypeError as error:
            raise EventFaultError(str(error)) from error
        with self._lock:
            fault.number = next(self._numbers)
            self._faults.append(fault)
            return fault.number

    def faults(self) -> list[dict[str, Any]]:
        """The faults with what they have seen."""
        return [asdict(fault) for fault in self._faults]

    def clear_faults(self) -> None:
        """Behave again; what is held stays held until it is released."""
        with self._lock:
            self._faults.clear()

    def release(self, *, newest_first: bool = False, discard: bool = False) -> int:
        """Send what is held, in its order or the other way round, or forget it; how many there were."""
        with self._lock:
            held, self._held = self._held, []
        if not discard:
            for event in reversed(held) if newest_first else held:
                self._send_after(0.0, event)
        return len(held)

    def held(self) -> int:
        """How many events are held."""
        return len(self._held)

    def since(self, mark: int = 0, detail_type: str | None = None) -> list[dict[str, Any]]:
        """The events after a mark, with their fate: sent, put, or the effect that hit them."""
        return [
            asdict(entry)
            for entry in list(self._log)
            if entry.number > mark and detail_type in (None, entry.detail_type)
        ]


def _send(event: Event) -> None:
    """As ministack's PutEvents, which would give every copy an id and a time of its own."""
    if lost.is_lost(event.scope):
        return
    record = {
        "EventId": event.event_id,
        "Source": event.source,
        "DetailType": event.detail_type,
        "Detail": json.dumps(event.detail),
        "EventBusName": "default",
        "Time": int(event.at),
        "Resources": list(event.resources),
        "Account": event.scope.account,
        "Region": event.scope.region,
    }
    eventbridge._ensure_default_bus()
    view = eventbridge._pattern_event_view(record)
    eventbridge._dispatch_event(record, view)
    eventbridge._archive_event(record, view)


BUS = Bus()
"""The bus of this process."""


def utc(moment: datetime) -> str:
    """A time as EC2's events write it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
