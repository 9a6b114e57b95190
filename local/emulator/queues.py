"""Putting a message on an SQS queue as an AWS service does, past the API."""

import hashlib
import time
from collections.abc import Mapping

from ministack.core.concurrency import esm_wake
from ministack.core.responses import get_account_id, new_uuid
from ministack.services import sqs


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
    now = time.time()
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


def release(url_part: str) -> int:
    """Let all messages be received now that are delayed, held back or being worked on; how many there were.

    The last are so delivered twice. Only of queues whose URL has this in it.
    """
    now = time.time()
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
