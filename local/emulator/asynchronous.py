"""Asynchronous invocation as Lambda does it: queued, retried on a function's error, and then given up visibly.

A function's error is retried MaximumRetryAttempts times, after a minute and then two (here `retry_seconds`). A throttle
(reserved concurrency) is retried until MaximumEventAgeInSeconds and is not an attempt. What fails for good goes to the
on-failure destination as an invocation record, and to the function's dead-letter queue as the bare event with
attributes, if there is one; both with the execution role's rights.
"""

import itertools
import json
import logging
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ministack.core.responses import new_uuid
from ministack.services import lambda_svc, sns

from local.emulator import permissions, queues
from local.emulator.scope import Scope
from local.emulator.settings import SETTINGS

logger = logging.getLogger("local.asynchronous")

DEFAULT_RETRIES = 2
DEFAULT_AGE_SECONDS = 21_600
THROTTLE_BACKOFF_SECONDS = 0.2


@dataclass(frozen=True)
class _Terms:
    """How a function wants its failures handled."""

    retries: int
    age_seconds: int
    on_failure: str
    on_success: str
    dead_letter: str


class Queue:
    """The asynchronous invocations that are not over, waits between retries included."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[int, str] = {}
        self._numbers = itertools.count()

    def under_way(self) -> list[str]:
        """What is not over, in words."""
        with self._lock:
            return list(self._open.values())

    def start(self, record: dict[str, Any], event: Any) -> None:
        """Invoke, on a thread of its own; whoever hands an event over does not wait."""
        config = record.get("config") or record
        number = next(self._numbers)
        with self._lock:
            self._open[number] = f"an event for {config.get('FunctionName')}"
        arn = config["FunctionArn"].split(":")
        scope = Scope(arn[4], arn[3])

        def run() -> None:
            try:
                scope.run(lambda: _run(record, event))
            except Exception:
                logger.exception("an asynchronous invocation of %s failed", config.get("FunctionName"))
            finally:
                with self._lock:
                    self._open.pop(number, None)

        threading.Thread(target=run, daemon=True, name="asynchronous").start()


QUEUE = Queue()
"""The queue of this process."""


def invoke(record: dict[str, Any], event: Any) -> None:
    """In place of ministack's `invoke_async_with_retry`."""
    QUEUE.start(record, event)


def _terms(record: dict[str, Any]) -> _Terms:
    config = record.get("config") or record
    arn_parts = config.get("FunctionArn", "").split(":")
    qualifier = arn_parts[7] if len(arn_parts) > 7 else None
    base, _config, _name = lambda_svc._get_base_func_record_for_ref(":".join(arn_parts[:7]))
    wanted = _invoke_config(base or record, qualifier)
    destinations = wanted.get("DestinationConfig") or {}
    retries = wanted.get("MaximumRetryAttempts")
    return _Terms(
        retries=DEFAULT_RETRIES if retries is None else int(retries),
        age_seconds=int(wanted.get("MaximumEventAgeInSeconds") or DEFAULT_AGE_SECONDS),
        on_failure=(destinations.get("OnFailure") or {}).get("Destination", ""),
        on_success=(destinations.get("OnSuccess") or {}).get("Destination", ""),
        dead_letter=(config.get("DeadLetterConfig") or {}).get("TargetArn", ""),
    )


def _run(record: dict[str, Any], event: Any) -> None:
    terms = _terms(record)
    deadline = time.monotonic() + terms.age_seconds
    condition = "RetriesExhausted"
    attempt = 1
    while True:
        outcome = lambda_svc._execute_function(record, event)
        if outcome.get("throttle"):
            wait = THROTTLE_BACKOFF_SECONDS
        elif not outcome.get("error"):
            if terms.on_success:
                _deliver(record, terms.on_success, _record(record, event, outcome, "Success", attempt))
            return
        elif attempt > terms.retries:
            break
        else:
            wait = SETTINGS.retry_seconds * attempt
            attempt += 1
        if time.monotonic() + wait > deadline:
            condition = "EventAgeExceeded"
            break
        time.sleep(wait)
    if terms.on_failure:
        _deliver(record, terms.on_failure, _record(record, event, outcome, condition, attempt))
    if terms.dead_letter:
        _dead_letter(record, terms.dead_letter, event, outcome)


def _record(
    record: dict[str, Any], event: Any, outcome: dict[str, Any], condition: str, attempts: int
) -> dict[str, Any]:
    config = record.get("config") or record
    qualified = config["FunctionArn"]
    if len(qualified.split(":")) == 7:
        qualified += ":$LATEST"
    response: dict[str, Any] = {"statusCode": 200, "executedVersion": config.get("Version", "$LATEST")}
    if outcome.get("error"):
        response["functionError"] = outcome.get("function_error") or "Unhandled"
    return {
        "version": "1.0",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "requestContext": {
            "requestId": new_uuid(),
            "functionArn": qualified,
            "condition": condition,
            "approximateInvokeCount": attempts,
        },
        "requestPayload": event,
        "responseContext": response,
        "responsePayload": outcome.get("body"),
    }


def _invoke_config(function: dict[str, Any], qualifier: str | None) -> dict[str, Any]:
    """What was configured for asynchronous invocations. Unqualified is $LATEST, and SAM configures it by that name."""
    names: tuple[str | None, ...] = (None, "$LATEST") if qualifier in (None, "$LATEST") else (qualifier,)
    return next((found for name in names if (found := lambda_svc._event_invoke_config(function, name))), {})


def _may(record: dict[str, Any], action: str, target: str) -> bool:
    role = (record.get("config") or record).get("Role", "")
    allowed = permissions.role_may(role, action, target)
    if not allowed:
        logger.error("%s may not %s on %s: a failed event is lost", role, action, target)
    return allowed


def _deliver(record: dict[str, Any], target: str, message: dict[str, Any]) -> None:
    service = target.split(":")[2]
    body = json.dumps(message)
    if service == "sqs" and _may(record, "sqs:SendMessage", target):
        queues.send(target, body)
    elif service == "sns" and _may(record, "sns:Publish", target):
        sns._fanout(target, new_uuid(), body, "")
    elif service == "lambda" and _may(record, "lambda:InvokeFunction", target):
        _base, execution = permissions.function_of(target)
        if execution:
            invoke(execution, message)
    elif service not in ("sqs", "sns", "lambda"):
        logger.error("a destination of service %s is not done here: %s", service, target)


def _dead_letter(record: dict[str, Any], target: str, event: Any, outcome: dict[str, Any]) -> None:
    body = json.dumps(event)
    message = outcome.get("body") if isinstance(outcome.get("body"), dict) else {}
    attributes = {
        "RequestID": new_uuid(),
        "ErrorCode": "200",
        "ErrorMessage": str((message or {}).get("errorMessage", ""))[:1024],
    }
    if target.split(":")[2] == "sqs" and _may(record, "sqs:SendMessage", target):
        queues.send(target, body, attributes)
    elif target.split(":")[2] == "sns" and _may(record, "sns:Publish", target):
        sns._fanout(target, new_uuid(), body, "")
