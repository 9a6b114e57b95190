"""The log of AWS API calls, so that a test can say how many a function made, and as whom."""

import re
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

from local.emulator.sequence import next_number

KEPT = 50_000
REQUEST_CHARACTERS = 4000
_ERROR_CODE = re.compile(rb'<Code>([^<]+)</Code>|"__type"\s*:\s*"(?:[^"#]*#)?([^"]+)"')


@dataclass(frozen=True)
class Call:
    """One API call.

    Attributes:
        number: its place in the order of everything logged.
        at: epoch seconds when it arrived.
        service: as in an IAM action, such as `ec2`.
        action: the operation, such as `CreateSnapshots`.
        account: whose resources it acted on.
        region: where.
        caller: the ARN that signed it; the account's root for a 12-digit access key.
        status: the HTTP status answered.
        error: the error code answered, or nothing.
        request: the beginning of the body, or if there is none the path and the query.
        milliseconds: how long it took here, by the machine's clock.
    """

    number: int
    at: float
    service: str
    action: str
    account: str
    region: str
    caller: str
    status: int
    error: str | None
    request: str
    milliseconds: float


class CallLog:
    """The last calls, oldest first."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque(maxlen=KEPT)

    def add(
        self,
        *,
        service: str,
        action: str,
        account: str,
        region: str,
        caller: str,
        status: int,
        body: bytes,
        answer: object,
        at: float,
        took: float,
        error: str | None = None,
    ) -> None:
        """Record a call that was answered; its error is read from the answer if it is not given."""
        self._calls.append(
            Call(
                number=next_number(),
                at=at,
                service=service,
                action=action,
                account=account,
                region=region,
                caller=caller,
                status=status,
                error=(error or error_code(answer)) if status >= 300 else None,
                request=body[:REQUEST_CHARACTERS].decode(errors="replace"),
                milliseconds=round(took * 1000, 2),
            )
        )

    def since(
        self, mark: int = 0, service: str | None = None, action: str | None = None, caller: str | None = None
    ) -> list[dict[str, Any]]:
        """The calls after a mark; `caller` matches any part of the ARN."""
        return [
            asdict(call)
            for call in list(self._calls)
            if call.number > mark
            and (service is None or call.service == service)
            and (action is None or call.action == action)
            and (caller is None or caller in call.caller)
        ]


def error_code(answer: object) -> str | None:
    """The error code in an answer of any AWS protocol that this emulator speaks."""
    if not isinstance(answer, bytes | str):
        return None
    found = _ERROR_CODE.search(answer.encode() if isinstance(answer, str) else answer)
    return (found[1] or found[2]).decode() if found else None


CALLS = CallLog()
"""The log of this process."""
