"""How often Lambda has invoked a function with one request id.

Lambda repeats a failed event with the same request id and does not say how often
(https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from lifeboat.aws import table as documents

_ATTEMPT = "attempt"

KEPT = timedelta(days=1)
"""How long attempts are counted together. Lambda drops an event after six hours at most."""


def count_attempt(table: str, request_id: str, now: datetime) -> int:
    """Count one more attempt for this request id; how many there were, with this one."""
    return documents.count(table, _ATTEMPT, request_id, expiration=now + KEPT)
