"""The gateway: every HTTP request passes here, on its way to the control endpoint or to AWS.

What belongs to calls and not to a service is done here once, for all services: the log, faults, throttling.
"""

import contextvars
import os
import re
import socket
import stat
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ministack import app as ministack_app
from ministack.core import iam_actions, router
from ministack.services import sts

from local.emulator import activity, asynchronous, control, lost, queues, throttle, workers
from local.emulator.activity import ACTIVITY
from local.emulator.calls import CALLS
from local.emulator.clock import CLOCK
from local.emulator.ebs import answers
from local.emulator.ebs import endpoint as ebs
from local.emulator.faults import FAULTS, Fault
from local.emulator.scope import Scope
from local.emulator.timers import TIMERS

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Answer = tuple[int, dict[str, str], Any]

MOST_DESCRIPTORS = 4096

_ports: contextvars.ContextVar[tuple[int, int]] = contextvars.ContextVar("ports", default=(0, 0))
"""The client's port of this request, and ours."""

AFTERWARDS = 0.001
"""Seconds of the simulated clock."""
WAIT = re.compile(rb"(WaitTimeSeconds\D{1,3})(\d+)")

_dispatch = ministack_app._dispatch_service_request


class ConnectionCutError(Exception):
    """The answer of this call shall not arrive."""


async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """The ASGI application."""
    if scope["type"] != "http":
        await ministack_app.app(scope, receive, send)
        return
    if scope["path"].startswith(control.PREFIX):
        await control.answer(scope, receive, send)
        return
    _ports.set(((scope.get("client") or ("", 0))[1], (scope.get("server") or ("", 0))[1]))
    with ACTIVITY.under_way("a request") as work:
        activity.request.set(work)
        try:
            await ministack_app.app(scope, receive, send)
        except ConnectionCutError:
            _cut(_ports.get()[0])
            while (await receive())["type"] != "http.disconnect":  # else the server answers in our stead
                pass


def _cut(port: int) -> None:
    """Close the connection to a client's port without an answer, as a lost network does; ASGI has no way to."""
    for descriptor in range(3, MOST_DESCRIPTORS):
        try:
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            with socket.socket(fileno=os.dup(descriptor)) as connection:
                if connection.family == socket.AF_INET and connection.getpeername()[1] == port:
                    connection.shutdown(socket.SHUT_RDWR)
        except OSError:  # not open, not connected, or just closed
            continue


async def dispatch(  # noqa: PLR0917 ministack calls it so
    method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any], request_id: str
) -> Answer:
    """In place of ministack's: the same, with log, throttling and faults around it."""
    begun = time.monotonic()
    at = CLOCK.now()
    service, action = _operation(method, path, headers, body, query)
    scope = Scope.current()
    caller = _caller(headers, query, scope)
    request = f"{path} {query} {body.decode(errors='replace')}"
    fault = FAULTS.hit(service, action, caller, request)
    answer: Answer | None = None
    try:
        answer = await _answer(service, action, (method, path, headers, body, query, request_id), fault)
        return answer
    finally:
        CALLS.add(
            service=service,
            action=action,
            account=scope.account,
            region=scope.region,
            caller=caller,
            status=answer[0] if answer else 0,
            body=body or f"{path} {query}".encode(),
            answer=answer[2] if answer else b"",
            error=_error_type(answer),
            at=at,
            took=time.monotonic() - begun,
        )


async def _answer(
    service: str,
    action: str,
    request: tuple[str, str, dict[str, str], bytes, dict[str, Any], str],
    fault: Fault | None,
) -> Answer:
    _method, _path, headers, body, _query, request_id = request
    if lost.is_lost(Scope.current()):
        raise ConnectionCutError
    if fault and fault.effect in ("fail", "throttle"):
        return _refusal(service, action, headers, request_id, (fault.code, fault.message, fault.status))
    if fault and fault.effect == "kill_before":
        workers.kill_caller(*_ports.get())
        raise ConnectionCutError
    if service == "ec2" and throttle.refuses(Scope.current(), action, body):
        message = "Request limit exceeded."
        return _refusal(service, action, headers, request_id, ("RequestLimitExceeded", message, 503))
    if fault and fault.effect == "delay":
        await TIMERS.pause(fault.seconds, f"a slow {action}", workers.running_caller(*_ports.get()))
    asynchronous.called_with.set(request_id if service == "lambda" else "")
    if action == "ReceiveMessage" and CLOCK.simulated:
        answer: Answer = await _receive_messages(request)
    else:
        answer = await _dispatch(*request)
    if fault and fault.effect == "answer_error":
        return _refusal(service, action, headers, request_id, (fault.code, fault.message, fault.status))
    if fault and fault.effect == "kill":
        workers.kill_caller(*_ports.get())
    if fault and fault.effect in ("drop", "kill"):
        raise ConnectionCutError
    return answer


async def _receive_messages(request: tuple[str, str, dict[str, str], bytes, dict[str, Any], str]) -> Answer:
    """Whoever waits for a message waits for the clock. It must not run past the message, nor past the time to wait, as
    it would while ministack polls its queue again and again. A message comes of something that is due, so the queue is
    read again a millisecond after that: then all that follows at that moment has been done."""
    method, path, headers, body, query, request_id = request
    found = WAIT.search(body)
    ends = CLOCK.now() + (int(found[2]) if found else 0)
    queue = queues.named_in(body)
    while CLOCK.now() < ends and not (queue and queues.visible(queue, CLOCK.now())):
        due = [ends, TIMERS.next_due() + AFTERWARDS, queues.next_visible(queue) if queue else ends]
        await TIMERS.pause(max(AFTERWARDS, min(due) - CLOCK.now()), "waiting for a message", counted=False)
    at_once = WAIT.sub(rb"\g<1>0", body)
    answer: Answer = await _dispatch(method, path, headers, at_once, query, request_id)
    return answer


def _operation(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> tuple[str, str]:
    parameters = ministack_app._routing_params(method, path, headers, body, query)
    service = router.detect_service(method, path, headers, parameters)
    named = parameters.get("Action")
    if named:
        return service, named[0] if isinstance(named, list) else named
    action = iam_actions.extract_iam_action(service, method, path, headers, body, parameters)
    return (action.split(":", 1)[0], action.split(":", 1)[1]) if action else (service, f"{method} {path}")


def _caller(headers: dict[str, str], query: dict[str, Any], scope: Scope) -> str:
    key = router.extract_access_key_id(headers, query)
    session = sts._sessions.get(key) if key else None
    return str(session["Arn"]) if session else f"arn:aws:iam::{scope.account}:root"


def _error_type(answer: Answer | None) -> str | None:
    """The code of a refusal where it stands in the header alone."""
    named = answer[1].get("x-amzn-ErrorType") if answer else None
    return named.split(":", 1)[0] if named else None


def _refusal(
    service: str, action: str, headers: dict[str, str], request_id: str, error: tuple[str, str, int]
) -> Answer:
    """An error (code, message, status) in the service's protocol; ministack's formatter says 403 to everything."""
    code, message, status = error
    if service == ebs.SIGNED_AS:
        return answers.asked_for(code, message, status)
    _, answer_headers, body = iam_actions.access_denied_response(
        service, f"{service}:{action}", "", request_id, error_code=code, message=message, headers=headers
    )
    return status, {**answer_headers, "x-amzn-requestid": request_id}, body
