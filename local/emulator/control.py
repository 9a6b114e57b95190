"""The control endpoint, `/_local/...`: what a test may ask of the local AWS that it could not ask of AWS."""

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from local.emulator import cloudformation, lost, mail, processes, queues, scheduler, sequence, throttle
from local.emulator.activity import ACTIVITY, CHANGED
from local.emulator.calls import CALLS
from local.emulator.clock import CLOCK
from local.emulator.ec2 import contents, seeds
from local.emulator.ec2.errors import Ec2Error
from local.emulator.events import BUS, Event, EventFaultError
from local.emulator.faults import FAULTS, FaultError
from local.emulator.invocations import INVOCATIONS
from local.emulator.scope import Scope
from local.emulator.settings import SETTINGS, SettingsError
from local.emulator.timers import TIMERS

PREFIX = "/_local/"
POLL_SECONDS = 0.01

logger = logging.getLogger("local.control")

Body = dict[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def answer(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """Answer a request to the control endpoint: JSON in, JSON out; 400 with an `error` for what cannot be done."""
    name = scope["path"].removeprefix(PREFIX).strip("/")
    content = bytearray()
    while True:
        message = await receive()
        content += message.get("body", b"")
        if not message.get("more_body"):
            break
    body: Body = dict(parse_qsl(scope.get("query_string", b"").decode()))
    status, result = 200, None
    try:
        body |= json.loads(content) if content else {}
        route = ROUTES.get((scope["method"], name))
        if route is None:
            status, result = 404, {"error": f"there is no {scope['method']} {scope['path']}"}
        else:
            result = route(body)
            if asyncio.iscoroutine(result):
                result = await result
    except (
        SettingsError,
        FaultError,
        EventFaultError,
        scheduler.ScheduleError,
        Ec2Error,
        KeyError,
        ValueError,
    ) as error:
        status, result = 400, {"error": str(error) or repr(error), "kind": type(error).__name__}
    except Exception as error:
        logger.exception("%s failed", name)
        status, result = 500, {"error": repr(error)}
    payload = json.dumps(result, default=str).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(payload)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": payload})
    if name == "sleep" and _waking:
        ACTIVITY.end(_waking.pop())


def _plain(value: Any) -> Any:
    return {name: _plain(getattr(value, name)) for name in vars(value)} if hasattr(value, "__dict__") else value


def _configure(body: Body) -> Any:
    SETTINGS.update(body)
    if "throttling" in body:
        throttle.clear()
    return _plain(SETTINGS)


def _since(body: Body) -> int:
    return int(body.get("since", 0))


def _calls(body: Body) -> Any:
    return CALLS.since(_since(body), body.get("service"), body.get("action"), body.get("caller"))


def _counts(body: Body) -> Any:
    """Calls by `service:Action`."""
    calls = CALLS.since(_since(body), body.get("service"), None, body.get("caller"))
    return dict(Counter(f"{call['service']}:{call['action']}" for call in calls))


def _put_event(body: Body) -> Any:
    here = _scope(body)
    event = Event(
        scope=Scope(body.get("account", here.account), body.get("region", here.region)),
        detail_type=body["detail-type"],
        resources=body.get("resources", []),
        detail=body.get("detail", {}),
        source=body.get("source", "aws.ec2"),
        **({"event_id": body["id"]} if "id" in body else {}),
    )
    BUS.put(event)
    return {"id": event.event_id}


def _scope(body: Body) -> Scope:
    return Scope(body.get("account") or seeds.HOME.account, body.get("region") or seeds.HOME.region)


def _reset(_body: Body) -> Any:
    """All misbehaviour off: faults, outcomes, event faults, held events, instance flags, throttling."""
    FAULTS.clear()
    BUS.clear_faults()
    BUS.release(discard=True)
    seeds.clear_misbehaviour()
    SETTINGS.throttling = False
    throttle.clear()
    return {}


def _lose_region(body: Body) -> Any:
    lost.lose(body["region"])
    return {}


def under_way() -> list[str]:
    """What is under way, in words."""
    found = [*TIMERS.pending(), *INVOCATIONS.under_way(), *ACTIVITY.words(), *queues.under_way()]
    return [*dict.fromkeys(found)]


async def _settle(_body: Body) -> Any:
    """Wait until nothing is under way; or until nothing moves any more, although something is."""
    settling = asyncio.ensure_future(_until_settled())
    seen, since = _movement(), time.monotonic()
    while not settling.done():
        await asyncio.wait([settling], timeout=1.0)
        now = _movement()
        if now != seen or (TIMERS.pending() and not CLOCK.simulated):
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > SETTINGS.stuck_seconds:
            settling.cancel()
            return {"settled": False, "under_way": under_way()}
    return {"settled": True, "under_way": []}


async def _until_settled() -> None:
    if CLOCK.simulated:
        await TIMERS.wait()
        return
    while under_way():
        await asyncio.sleep(POLL_SECONDS)


def _movement() -> tuple[object, ...]:
    """Something that changes for as long as anything moves, however slowly."""
    return (TIMERS.moves, ACTIVITY.ended, sequence.mark(), processes.movement(INVOCATIONS.pids()))


async def _advance(body: Body) -> Any:
    """Move the simulated clock by seconds or to a time, with all that is due by then."""
    if not CLOCK.simulated:
        raise ValueError("this local AWS runs on the machine's clock, which cannot be moved; start it with --simulated")
    to = datetime.fromisoformat(body["to"]).timestamp() if "to" in body else CLOCK.now() + float(body["seconds"])
    await TIMERS.wait(to)
    return _clock(body)


def _clock(_body: Body) -> Any:
    return {"now": datetime.fromtimestamp(CLOCK.now(), UTC).isoformat(), "simulated": CLOCK.simulated}


async def _sleep(body: Body) -> Any:
    """A thread of a function sleeps on the simulated clock."""
    running = INVOCATIONS.of_process(int(body["pid"]))
    loop = asyncio.get_running_loop()
    over = asyncio.Event()

    def wake() -> None:
        with CHANGED:
            running.wake()
            _waking.append(ACTIVITY.begin(f"{running.function} goes on")[0])
        loop.call_soon_threadsafe(over.set)

    with CHANGED:
        running.fall_asleep()
        TIMERS.after(float(body["seconds"]), wake, f"{running.function} waits")
    await over.wait()
    return {}


_waking: list[int] = []
"""Sleepers whose time has come, until the answer is on its way to them."""


ROUTES: dict[tuple[str, str], Callable[[Body], Any]] = {
    ("GET", "health"): lambda _body: {"healthy": True},
    ("GET", "settings"): lambda _body: _plain(SETTINGS),
    ("POST", "settings"): _configure,
    ("POST", "reset"): _reset,
    ("POST", "settle"): _settle,
    ("POST", "advance"): _advance,
    ("POST", "sleep"): _sleep,
    ("GET", "clock"): _clock,
    ("POST", "finish"): lambda body: {"finished": TIMERS.finish(body.get("what", ""), body.get("most"))},
    ("GET", "under-way"): lambda _body: under_way(),
    ("POST", "mark"): lambda _body: {"mark": sequence.mark()},
    ("GET", "calls"): _calls,
    ("GET", "calls/counts"): _counts,
    ("GET", "invocations"): lambda body: INVOCATIONS.since(_since(body), body.get("function")),
    ("GET", "emails"): lambda body: mail.MAILBOX.since(_since(body)),
    ("GET", "events"): lambda body: BUS.since(_since(body), body.get("detail-type")),
    ("POST", "events"): _put_event,
    ("POST", "events/faults"): lambda body: {"number": BUS.add_fault(body)},
    ("GET", "events/faults"): lambda _body: BUS.faults(),
    ("POST", "events/release"): lambda body: {
        "released": BUS.release(newest_first=bool(body.get("newest_first")), discard=bool(body.get("discard")))
    },
    ("GET", "events/held"): lambda _body: {"held": BUS.held()},
    ("POST", "messages/release"): lambda body: {"released": queues.release(body.get("queue", ""))},
    ("POST", "faults"): lambda body: {"number": FAULTS.add(body)},
    ("GET", "faults"): lambda _body: FAULTS.all(),
    ("GET", "schedules"): lambda body: scheduler.all_schedules(body.get("after")),
    ("POST", "schedules/fire"): lambda body: scheduler.fire_now(
        body["schedule"], body.get("scheduled_time"), body.get("region")
    ),
    ("GET", "cloudformation"): lambda _body: cloudformation.RECORDED,
    ("POST", "seed/snapshot"): lambda body: seeds.snapshot(_scope(body), body),
    ("POST", "seed/image"): lambda body: seeds.image(_scope(body), body),
    ("POST", "tags"): lambda body: seeds.tags(_scope(body), body),
    ("POST", "image"): lambda body: seeds.image_state(_scope(body), body),
    ("POST", "instance"): lambda body: seeds.instance_flags(_scope(body), body),
    ("POST", "region/lose"): _lose_region,
    ("POST", "volume/write"): lambda body: contents.write(_scope(body), body),
    ("POST", "volume/load"): lambda body: contents.load(_scope(body), body),
    ("POST", "volume/read"): lambda body: contents.read(_scope(body), body),
    ("POST", "snapshot/damage"): lambda body: contents.damage(_scope(body), body),
    ("POST", "outcome"): lambda body: {"number": seeds.outcome(body)},
}
