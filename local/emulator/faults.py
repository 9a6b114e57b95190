"""Misbehaviour on demand: the n-th call of an action fails, is throttled, is lost on the way back, kills its caller."""

import itertools
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

EFFECTS = {
    "fail": "refuse the call with `code`, without carrying it out",
    "throttle": "refuse the call as the service does when it throttles",
    "answer_error": "carry the call out, then answer with `code` all the same",
    "drop": "carry the call out, then cut the connection in the middle of the answer",
    "kill": "carry the call out, then kill the Lambda worker that made it",
    "kill_before": "kill the Lambda worker that made the call, without carrying it out",
    "delay": "carry the call out after `seconds`",
}

THROTTLED_CODES = {
    "ec2": "RequestLimitExceeded",
    "dynamodb": "ProvisionedThroughputExceededException",
    "ebs": "RequestThrottledException",
}
STATUS_OF = {"RequestLimitExceeded": 503, "InternalError": 500, "InternalFailure": 500, "ServiceUnavailable": 503}


class FaultError(ValueError):
    """A fault that cannot be set as asked."""


@dataclass
class Fault:
    """One fault.

    Attributes:
        action: the operation, such as `CreateSnapshots`.
        effect: a key of `EFFECTS`.
        service: as in an IAM action.
        nth: which matching call is hit first; 1 is the next one.
        count: how many calls are hit in a row; 0 is all of them, for ever.
        resource: only calls that name this anywhere in the request.
        caller: only calls whose caller's ARN contains this.
        code: the error code of `fail` and `answer_error`.
        message: its message.
        seconds: of `delay`.
        dry_run: only calls with DryRun; without it, only calls without.
        seen: how many calls have matched.
        hits: how many were hit.
    """

    action: str
    effect: str = "fail"
    service: str = "ec2"
    nth: int = 1
    count: int = 1
    resource: str | None = None
    caller: str | None = None
    code: str = "InternalError"
    message: str = "An internal error has occurred"
    seconds: float = 0.0
    dry_run: bool = False
    number: int = 0
    seen: int = field(default=0)
    hits: int = field(default=0)

    def __post_init__(self) -> None:
        if self.effect not in EFFECTS:
            raise FaultError(f"there is no effect {self.effect!r}; there are {', '.join(EFFECTS)}")
        if self.effect == "throttle":
            self.code = THROTTLED_CODES.get(self.service, "ThrottlingException")
            self.message = "Request limit exceeded."

    @property
    def status(self) -> int:
        """The HTTP status that goes with the code."""
        return STATUS_OF.get(self.code, 400)

    def matches(self, service: str, action: str, caller: str, request: str) -> bool:
        """Whether a call is one that this fault is about."""
        return (
            self.service == service
            and self.action in (action, "*")
            and (self.resource is None or self.resource in request)
            and (self.caller is None or self.caller in caller)
            and self.dry_run == ("DryRun=true" in request)
        )

    @property
    def due(self) -> bool:
        """Whether the matching call that was counted last may be hit."""
        return self.seen >= self.nth and (self.count == 0 or self.hits < self.count)


class Faults:
    """The faults that are set."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def add(self, wanted: Mapping[str, Any]) -> int:
        """Set a fault; its number.

        Raises:
            FaultError: an unknown effect or attribute.
        """
        try:
            fault = Fault(**{name: value for name, value in wanted.items() if name not in ("seen", "hits", "number")})
        except TypeError as error:
            raise FaultError(str(error)) from error
        with self._lock:
            fault.number = next(self._numbers)
            self._faults.append(fault)
            return fault.number

    def hit(self, service: str, action: str, caller: str, request: str) -> Fault | None:
        """The fault that hits this call, the one set first if several could; every matching one counts it."""
        with self._lock:
            matching = [fault for fault in self._faults if fault.matches(service, action, caller, request)]
            for fault in matching:
                fault.seen += 1
            hitting = next((fault for fault in matching if fault.due), None)
            if hitting:
                hitting.hits += 1
            return hitting

    def all(self) -> list[dict[str, Any]]:
        """The faults with what they have seen."""
        return [asdict(fault) for fault in self._faults]

    def clear(self) -> None:
        """Behave again."""
        with self._lock:
            self._faults.clear()


FAULTS = Faults()
"""The faults of this process."""
