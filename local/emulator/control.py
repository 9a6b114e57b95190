"""The control endpoint, `/_local/...`: what a test may ask of the local AWS that it could not ask of AWS."""

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from ministack.services import lambda_svc, sqs

from local.emulator import asynchronous, cloudformation, lost, mail, queues, scheduler, sequence, throttle
from local.emulator.calls import CALLS, REQUESTS
from local.emulator.ec2 import seeds
from local.emulator.ec2.errors import Ec2Error
from local.emulator.events import BUS, Event, EventFaultError
from local.emulator.faults import FAULTS, FaultError
from local.emulator.invocations import INVOCATIONS
from local.emulator.scope import Scope
from local.emulator.settings import SETTINGS, SettingsError
from local.emulator.timers import TIMERS

PREFIX = "/_local/"
SETTLED_AFTER = 0.06
"""Seconds of nothing under way that count as settled: longer than any thread needs to start."""
POLL_SECONDS = 0.01

logger = logging.getLogger("local.control")

Body = dict[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def answer(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """Answer a request to the control endpoint: JSON in, JSON out; 400 with an `error` for what cannot be done."""
    name = scope["path"].removeprefix(PREFIX).strip("/")
    content = b""
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
    requests = REQUESTS.under_way
    return [
        *TIMERS.pending(),
        *asynchronous.QUEUE.under_way(),
        *INVOCATIONS.under_way(),
        *(["a request"] * requests),
        *_unpolled_queues(),
    ]


def _unpolled_queues() -> list[str]:
    """Queues with messages that an event source mapping will take."""
    now = time.time()
    waiting = []
    for mapping in lambda_svc._iter_all_esms():
        record = mapping[-1] if isinstance(mapping, tuple) else mapping
        arn = record.get("EventSourceArn", "")
        if record.get("State") in ("Disabled", "Disabling") or ":sqs:" not in arn:
            continue
        queue = sqs._queue_by_arn(arn)
        if queue and any(message.get("visible_at", 0) <= now for message in queue["messages"]):
            waiting.append(f"messages on {arn}")
    return waiting


async def _settle(body: Body) -> Any:
    """Wait until nothing has been under way for a moment; whether that came about in time."""
    deadline = time.monotonic() + float(body.get("timeout", 30))
    quiet_since: float | None = None
    while True:
        now, busy = time.monotonic(), under_way()
        if busy:
            quiet_since = None
        else:
            quiet_since = quiet_since or now
            if now - quiet_since >= SETTLED_AFTER:
                return {"settled": True, "under_way": []}
        if now > deadline:
            return {"settled": False, "under_way": busy}
        await asyncio.sleep(POLL_SECONDS)


ROUTES: dict[tuple[str, str], Callable[[Body], Any]] = {
    ("GET", "health"): lambda _body: {"healthy": True},
    ("GET", "settings"): lambda _body: _plain(SETTINGS),
    ("POST", "settings"): _configure,
    ("POST", "reset"): _reset,
    ("POST", "settle"): _settle,
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
    ("POST", "outcome"): lambda body: {"number": seeds.outcome(body)},
}
