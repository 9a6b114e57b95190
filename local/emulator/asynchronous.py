"""Asynchronous invocation as Lambda does it: queued, retried on a function's error, and then given up visibly.

A function's error is retried MaximumRetryAttempts times, after a minute and then two (`retry_seconds`). A throttle
(reserved concurrency) is retried until MaximumEventAgeInSeconds and is not an attempt. What fails for good goes to the
on-failure destination as an invocation record, and to the function's dead-letter queue as the bare event with
attributes, if there is one; both with the execution role's rights.
"""

import json
import logging
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ministack.core.responses import new_uuid
from ministack.services import lambda_svc, sns

from local.emulator import activity, permissions, queues
from local.emulator.clock import CLOCK
from local.emulator.invocations import accepted_as
from local.emulator.scope import Scope
from local.emulator.settings import SETTINGS
from local.emulator.timers import TIMERS

logger = logging.getLogger("local.asynchronous")

DEFAULT_RETRIES = 2
DEFAULT_AGE_SECONDS = 21_600
THROTTLE_BACKOFF_SECONDS = (1.0, 300.0)
"""Lambda waits a second after the first throttle, up to five minutes after many (Lambda Developer Guide)."""


@dataclass(frozen=True)
class _Terms:
    """How a function wants its failures handled."""

    retries: int
    age_seconds: int
    on_failure: str
    on_success: str
    dead_letter: str


called_with: ContextVar[str] = ContextVar("called_with", default="")
"""The request id of the Invoke that is being answered here; nothing if an event or a message invokes."""


def invoke(record: dict[str, Any], event: Any) -> None:
    """In place of ministack's `invoke_async_with_retry`: whoever hands an event over does not wait."""
    _Handed(record, event, called_with.get() or new_uuid()).attempt()


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


class _Handed:
    """One event that was handed over, until its function has dealt with it or it is given up."""

    def __init__(self, record: dict[str, Any], event: Any, request_id: str) -> None:
        self._record = record
        self._event = event
        self._request_id = request_id
        config = record.get("config") or record
        arn = config["FunctionArn"].split(":")
        self._scope = Scope(arn[4], arn[3])
        self._what = f"an event for {config.get('FunctionName')}"
        self._terms = self._scope.run(lambda: _terms(record))
        self._deadline = CLOCK.monotonic() + self._terms.age_seconds
        self._attempts = 0
        self._throttles = 0

    def attempt(self) -> None:
        """Invoke, on a thread of its own."""
        activity.spawn(lambda: self._scope.run(self._run), self._what)

    def _run(self) -> None:
        try:
            self._attempt()
        except Exception:
            logger.exception("%s failed", self._what)

    def _attempt(self) -> None:
        token = accepted_as.set(self._request_id)
        try:
            outcome = lambda_svc._execute_function(self._record, self._event)
        finally:
            accepted_as.reset(token)
        if outcome.get("throttle"):
            shortest, longest = THROTTLE_BACKOFF_SECONDS
            self._later(outcome, min(shortest * 2**self._throttles, longest))
            self._throttles += 1
            return
        self._attempts += 1
        if not outcome.get("error"):
            if self._terms.on_success:
                _deliver(self._record, self._terms.on_success, self._outcome(outcome, "Success"))
        elif self._attempts > self._terms.retries:
            self._give_up(outcome, "RetriesExhausted")
        else:
            self._later(outcome, SETTINGS.retry_seconds * self._attempts)

    def _later(self, outcome: dict[str, Any], seconds: float) -> None:
        if CLOCK.monotonic() + seconds > self._deadline:
            self._give_up(outcome, "EventAgeExceeded")
        else:
            TIMERS.after(seconds, self.attempt, self._what)

    def _give_up(self, outcome: dict[str, Any], condition: str) -> None:
        if self._terms.on_failure:
            _deliver(self._record, self._terms.on_failure, self._outcome(outcome, condition))
        if self._terms.dead_letter:
            _dead_letter(self._record, self._terms.dead_letter, self._event, outcome, self._request_id)

    def _outcome(self, outcome: dict[str, Any], condition: str) -> dict[str, Any]:
        """What a destination gets."""
        config = self._record.get("config") or self._record
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
                "requestId": self._request_id,
                "functionArn": qualified,
                "condition": condition,
                "approximateInvokeCount": self._attempts,
            },
            "requestPayload": self._event,
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


def _dead_letter(record: dict[str, Any], target: str, event: Any, outcome: dict[str, Any], request_id: str) -> None:
    body = json.dumps(event)
    message = outcome.get("body") if isinstance(outcome.get("body"), dict) else {}
    attributes = {
        "RequestID": request_id,
        "ErrorCode": "200",
        "ErrorMessage": str((message or {}).get("errorMessage", ""))[:1024],
    }
    if target.split(":")[2] == "sqs" and _may(record, "sqs:SendMessage", target):
        queues.send(target, body, attributes)
    elif target.split(":")[2] == "sns" and _may(record, "sns:Publish", target):
        sns._fanout(target, new_uuid(), body, "")
