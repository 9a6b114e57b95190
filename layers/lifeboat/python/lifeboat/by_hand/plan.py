"""Repeated requests by hand: which run a request belongs to, and which invocation carries that run out.

A client repeats its request after 60 seconds, up to five times, while the first invocation still runs. `sam remote
invoke` does so by botocore's defaults (https://docs.aws.amazon.com/boto3/latest/guide/retries.html). So an equal
request within WINDOW belongs to the same run. Another `request_id` makes it a new request.

The invocation that the client waits for hands the run over to another invocation, and waits some seconds for its
result.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

WINDOW = timedelta(minutes=10)
"""Longer than five attempts of 60 seconds each, with the pauses between them."""

DELIVERED_WITHIN = timedelta(seconds=50)
"""An answer given within this time reached the client, which waits for 60 seconds."""

PAUSES = (0.25, 0.5, *(1.0,) * 7)
"""Seconds between reads of a run that was handed over. After eight seconds in all, the answer is the run's id."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run by hand. `requested_at` is when it was first requested.

    `lease` names the invocation that carries it out or handed it over; the lease ends at `until`. `answer` is None
    until the run is done; `delivered` says that a client has received it. `failed` says why the run failed, `refused`
    why the request is impossible.
    """

    id: str
    requested_at: datetime
    lease: str
    until: datetime
    done_at: datetime | None = None
    answer: Mapping[str, Any] | None = None
    failed: str = ""
    refused: str = ""
    delivered: bool = False


def key_of(kind: str, request: Mapping[str, Any]) -> str:
    """The key of all equal requests, such as `backup-0123456789abcdef`."""
    text = json.dumps(request, sort_keys=True, default=str)
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def key_of_run(run_id: str) -> str:
    """The key that a run's id begins with."""
    return run_id.rsplit("-", 1)[0]


def new_run(key: str, now: datetime, *, lease: str, until: datetime) -> Run:
    """A run that begins now. Its id is the key and the time."""
    return Run(f"{key}-{now:%Y%m%dT%H%M%SZ}", now, lease, until)


def is_under_way(run: Run, now: datetime) -> bool:
    return run.done_at is None and not run.failed and not run.refused and run.until > now


def decide(known: Run | None, key: str, *, lease: str, until: datetime, now: datetime, once: bool) -> Run:
    """The run that a request belongs to: the known one if it is under way or done, else one to carry out.

    A run that is done answers equal requests within WINDOW: with `once` all of them, without only until a client has
    received the answer. A run that failed, was refused or was cut off is carried out again as the same run. The holder
    of the `lease` carries the run out or hands it over.
    """
    if known is None or now - known.requested_at >= WINDOW:
        if known is not None and is_under_way(known, now):
            return known
        return new_run(key, now, lease=lease, until=until)
    if is_under_way(known, now):
        return known
    if known.done_at is None:
        return Run(known.id, known.requested_at, lease, until)
    if once or not known.delivered:
        return known
    return new_run(key, now, lease=lease, until=until)


def take_over(known: Run, *, handed_by: str, lease: str, until: datetime, now: datetime) -> Run | None:
    """The run under the lease of the invocation that it was handed to. None if it is done, refused or taken by another.

    Lambda may deliver a handed-over run more than once: after a failure, and sometimes without one.
    """
    if known.done_at is not None or known.refused:
        return None
    if is_under_way(known, now) and known.lease not in (handed_by, lease):
        return None
    return replace(known, lease=lease, until=until, failed="")
