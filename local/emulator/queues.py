"""Putting a message on an SQS queue as an AWS service does, past the API."""

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from ministack.core.concurrency import esm_wake
from ministack.core.responses import get_account_id, new_uuid
from ministack.services import lambda_svc, sqs

from local.emulator.activity import ACTIVITY
from local.emulator.clock import CLOCK
from local.emulator.scope import Scope
from local.emulator.timers import TIMERS

QUEUE_URL = re.compile(rb'QueueUrl"?\s*[:=]\s*"?([^"&]+)')

_poll_sqs = lambda_svc._poll_sqs


class QueueMissingError(LookupError):
    """There is no such queue."""


def send(queue_arn: str, body: str, attributes: Mapping[str, str] | None = None) -> None:
    """Put a message with string attributes on a queue.

    Raises:
        QueueMissingError: there is no such queue.
    """
    queue = sqs._queue_by_arn(queue_arn)
    if queue is None:
        raise QueueMissingError(queue_arn)
    typed = {name: {"DataType": "String", "StringValue": value} for name, value in (attributes or {}).items()}
    now = CLOCK.now()
    message = {
        "id": new_uuid(),
        "body": body,
        "md5_body": hashlib.md5(body.encode()).hexdigest(),  # noqa: S324 the protocol says MD5
        "md5_attrs": sqs._md5_msg_attrs(typed),
        "message_attributes": typed,
        "receipt_handle": None,
        "sent_at": now,
        "visible_at": now + sqs.queue_delay(queue),
        "receive_count": 0,
        "first_receive_at": None,
        "sys": {"SenderId": get_account_id(), "SentTimestamp": str(int(now * 1000))},
        "group_id": None,
        "dedup_id": None,
        "dedup_cache_key": None,
        "seq": None,
    }
    sqs._ensure_msg_fields(message)
    queue["messages"].append(message)
    esm_wake.set()


def _polled() -> Iterator[tuple[Scope, dict[str, Any], dict[str, Any]]]:
    """The mappings that take messages off a queue, where they are, and their queues."""
    for account, region, mapping in lambda_svc._iter_all_esms():
        arn = mapping.get("EventSourceArn", "")
        if mapping.get("State") not in ("Disabled", "Disabling") and ":sqs:" in arn:
            scope = Scope(account, region)
            queue = scope.run(lambda arn=arn: sqs._queue_by_arn(arn))  # type: ignore[misc]
            if queue:
                yield scope, mapping, queue


def named_in(body: bytes) -> dict[str, Any] | None:
    """The queue that a request to SQS names by its URL."""
    found = QUEUE_URL.search(body)
    return sqs._queues.get(unquote(found[1].decode())) if found else None


def visible(queue: dict[str, Any], now: float) -> bool:
    """Whether a message on it can be received."""
    return any(message.get("visible_at", 0) <= now for message in list(queue["messages"]))


def next_visible(queue: dict[str, Any]) -> float:
    """When a message on it can be received next, in seconds since 1970; infinite if it has none."""
    return min((float(message.get("visible_at", 0)) for message in list(queue["messages"])), default=math.inf)


def under_way() -> list[str]:
    """Queues with messages that Lambda takes off them at this moment, in words."""
    now = CLOCK.now()
    found = [
        f"messages on {mapping['EventSourceArn']}"
        for scope, mapping, queue in _polled()
        if visible(queue, now) and not _full(scope, mapping, queue) and _rests_until(mapping) <= now
    ]
    if found:
        esm_wake.set()
    return found


def _full(scope: Scope, mapping: dict[str, Any], queue: dict[str, Any]) -> bool:
    """Whether as many of its batches run as may; then Lambda takes the next when one of them ends."""
    running = lambda_svc._esm_inflight.get(mapping["UUID"], 0)
    if not running:
        return False
    name, qualifier = mapping["FunctionName"], mapping.get("Qualifier")
    function, config = scope.run(lambda: lambda_svc._get_func_record_for_qualifier(name, qualifier))
    return function is None or running >= lambda_svc._sqs_esm_concurrency(mapping, function, config, queue)


def _rests_until(mapping: dict[str, Any]) -> float:
    """After a batch that failed."""
    return float(lambda_svc._esm_backoff_until.get(mapping["UUID"], 0))


class Polls:
    """When messages on polled queues become visible."""

    def due(self) -> float | None:
        """When Lambda will find a message next, in seconds since 1970."""
        now = CLOCK.now()
        times = [
            max(message.get("visible_at", 0), _rests_until(mapping))
            for _scope, mapping, queue in _polled()
            for message in list(queue["messages"])
        ]
        return min((at for at in times if at > now), default=None)

    def run(self) -> None:
        """Nothing is done at that time: `under_way` shows it then, until Lambda has taken it."""


def start() -> None:
    """Let the simulated clock stop where a message becomes visible."""
    if CLOCK.simulated:
        TIMERS.sources.append(Polls())


def poll_counted() -> bool:
    """In place of ministack's `_poll_sqs`: between taking a message and working on it something is under way."""
    with ACTIVITY.under_way("the poller of queues"):
        return bool(_poll_sqs())


def release(url_part: str) -> int:
    """Let all messages be received now that are delayed, held back or being worked on; how many there were.

    The last are so delivered twice. Only of queues whose URL has this in it.
    """
    now = CLOCK.now()
    held = [
        message
        for url, queue in list(sqs._queues.items())
        if url_part in url
        for message in queue["messages"]
        if message.get("visible_at", 0) > now
    ]
    for message in held:
        message["visible_at"] = now
    esm_wake.set()
    return len(held)
