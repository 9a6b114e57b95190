"""Requests by hand that are asked again: whether it is the same run, who carries it out, and what is answered.

A client that has waited for 60 seconds asks again, up to five times (`sam remote invoke` does, by botocore's defaults:
https://docs.aws.amazon.com/boto3/latest/guide/retries.html), while the first invocation goes on. So the same request
within WINDOW is the same run. Another `request_id` makes it another request.

The invocation that a person waits for hands the run over to another one, and waits for it for a few seconds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

WINDOW = timedelta(minutes=10)
"""Longer than five attempts of 60 seconds each, with the pauses between."""

DELIVERED = timedelta(seconds=50)
"""What the invocation that a person waits for did itself within this has reached the client, which waits 60 seconds."""

PAUSES = (0.25, 0.5, *(1.0,) * 7)
"""Seconds between the looks at a run that was handed over; after eight seconds in all its id is the answer."""

_STAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class Run:
    """One run by hand: its id, since when, who carries it out until when at the latest, and what came of it.

    `lease` is the invocation that carries it out, or has handed it over. `answer` is None until it is done, and `heard`
    says that a client has had it. `failed` says why it is not done, `refused` why it cannot be.
    """

    id: str
    asked_at: datetime
    lease: str
    until: datetime
    done_at: datetime | None = None
    answer: Mapping[str, Any] | None = None
    failed: str = ""
    refused: str = ""
    heard: bool = False


def key_of(kind: str, request: Mapping[str, Any]) -> str:
    """What is the same for the same request: `backup-0123456789abcdef`."""
    text = json.dumps(request, sort_keys=True, default=str)
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def key_of_run(run_id: str) -> str:
    """The key that a run's id begins with."""
    return run_id.rsplit("-", 1)[0]


def is_under_way(run: Run, now: datetime) -> bool:
    return run.done_at is None and not run.failed and not run.refused and run.until > now


def decide(known: Run | None, key: str, *, lease: str, until: datetime, now: datetime, once: bool) -> Run:
    """The run that a request belongs to: the one that is known, if it is under way or done, else one to carry out.

    With `once` what was done is not done again within WINDOW; without, only if no client has heard what came of it.
    What failed, was refused or was cut off is carried out again as the same run. To carry it out, or to hand it over,
    is up to who has the `lease`.
    """
    if known is None or now - known.asked_at >= WINDOW:
        if known is not None and is_under_way(known, now):
            return known
        return Run(f"{key}-{now:{_STAMP}}", now, lease, until)
    if is_under_way(known, now):
        return known
    if known.done_at is None:
        return Run(known.id, known.asked_at, lease, until)
    if once or not known.heard:
        return known
    return Run(f"{key}-{now:{_STAMP}}", now, lease, until)


def take_over(known: Run, *, handed_by: str, lease: str, until: datetime, now: datetime) -> Run | None:
    """The run as whoever it was handed to carries it out; None if there is nothing to do, or another one does it.

    Lambda delivers what was handed over more than once: after a failure, and sometimes without one.
    """
    if known.done_at is not None or known.refused:
        return None
    if is_under_way(known, now) and known.lease not in (handed_by, lease):
        return None
    return replace(known, lease=lease, until=until, failed="")
