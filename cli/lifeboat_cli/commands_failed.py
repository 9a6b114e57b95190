"""failed: read, replay and delete the events that failed for good, with the person's own rights."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import batched
from typing import Annotated, Any

import typer

from lifeboat_cli.functions import translated
from lifeboat_cli.outcome import Exit, Problem
from lifeboat_cli.session import Session, YesOption, command
from lifeboat_cli.words import shown

MOST = 1000
"""Events that one command reads."""

HIDDEN_SECONDS = 300
"""How long nobody else receives what this command reads; what it leaves is visible again when it ends."""

EVENT_LENGTH = 600
SHORT_ID = 8


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    command(app)(failed)


@dataclass(frozen=True)
class FailedEvent:
    """One message of the queue. `function` is empty where nothing says, for sure, which one it was for."""

    id: str
    receipt: str
    sent_at: datetime
    function: str
    event: Any
    reason: str

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "sent_at": f"{self.sent_at:%Y-%m-%dT%H:%M:%SZ}",
            "function": self.function,
            "reason": self.reason,
            "event": self.event,
        }

    def lines(self) -> Iterator[str]:
        """For a person."""
        yield f"{self.id[:SHORT_ID]}  {self.sent_at:%Y-%m-%d %H:%M:%S} UTC  {shown(self.function) or 'not replayable'}"
        yield f"    {shown(self.reason)}"
        text = shown(json.dumps(self.event))
        yield f"    {text if len(text) <= EVENT_LENGTH else text[:EVENT_LENGTH] + ' ... (--json shows all)'}"


def failed(
    session: Session,
    *,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Only these events; the first signs do.")
    ] = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="Send them to their functions again, then delete them.")
    ] = False,
    delete: Annotated[bool, typer.Option("--delete", help="Delete them.")] = False,
    yes: YesOption = False,
) -> Exit:
    """Read the events that failed for good; replay or delete them. Exit code 1: there are some."""
    if replay and delete:
        raise Problem("expected --replay or --delete, not both", Exit.USAGE)
    clients = session.functions.client
    queue = _queue(session)
    with translated("the queue FailedEvents"):
        read = _receive(clients("sqs"), queue, session.functions.stack)
    chosen = [item for item in read if not ids or item.id.startswith(tuple(ids))]
    done: list[FailedEvent] = []
    try:
        if ids and not chosen:
            raise Problem(f"no failed event has the id {shown(ids[0])}", Exit.FAILED)
        session.say(line for item in chosen for line in item.lines())
        doable = [item for item in chosen if item.function or not replay]
        if doable and (replay or delete):
            count = f"{len(doable)} event{'s'[: len(doable) != 1]}"
            session.confirm(f"{'Replay' if replay else 'Delete'} {count}?", yes=yes)
            with translated("AWS"):
                for item in doable:
                    if replay:
                        event = json.dumps(item.event).encode()
                        clients("lambda").invoke(FunctionName=item.function, InvocationType="Event", Payload=event)
                    clients("sqs").delete_message(QueueUrl=queue, ReceiptHandle=item.receipt)
                    done.append(item)
    finally:
        _release(clients("sqs"), queue, [item for item in read if item not in done])
    left = [item for item in chosen if item not in done]
    verb = "replayed" if replay else "deleted"
    answer = {"failed": [item.as_json() for item in left], verb: [item.as_json() for item in done]}
    session.give(answer, [_outcome(len(done), len(left), verb)])
    return Exit.FAILED if left else Exit.DONE


def _outcome(done: int, left: int, verb: str) -> str:
    if not (done or left):
        return "No event failed for good."
    said = [f"{done} {verb}."] if done else []
    said += [f"{left} left in the queue. Fix the cause, then add --replay or --delete."] if left else []
    return " ".join(said)


def _queue(session: Session) -> str:
    """The queue's URL, from the stack's outputs."""
    name = session.functions.stack
    with translated("CloudFormation"):
        [stack] = session.functions.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    urls = [item["OutputValue"] for item in stack.get("Outputs", ()) if item["OutputKey"] == "FailedEventsUrl"]
    if not urls:
        raise Problem(f"the stack {shown(name)} has no output FailedEventsUrl", Exit.FAILED)
    return str(urls[0])


def _receive(sqs: Any, queue: str, stack: str) -> list[FailedEvent]:
    """All events, or the first MOST; the oldest first."""
    found: list[FailedEvent] = []
    while len(found) < MOST:
        messages = sqs.receive_message(
            QueueUrl=queue,
            MaxNumberOfMessages=10,
            VisibilityTimeout=HIDDEN_SECONDS,
            WaitTimeSeconds=1,  # asks all of the queue's servers
            AttributeNames=["SentTimestamp"],
            MessageAttributeNames=["All"],
        ).get("Messages", [])
        if not messages:
            break
        found += [_read(message, stack) for message in messages]
    return sorted(found, key=lambda item: item.sent_at)


def _release(sqs: Any, queue: str, left: Sequence[FailedEvent]) -> None:
    """Let others receive what stays: the alarm and the next command count only what is visible."""
    for batch in batched(left, 10, strict=False):
        entries = [
            {"Id": str(at), "ReceiptHandle": item.receipt, "VisibilityTimeout": 0} for at, item in enumerate(batch)
        ]
        with translated("the queue FailedEvents"):
            sqs.change_message_visibility_batch(QueueUrl=queue, Entries=entries)


def _read(message: dict[str, Any], stack: str) -> FailedEvent:
    """What a message says, whoever put it there: Lambda its record, a rule or a schedule the event and attributes."""
    attributes = {name: item.get("StringValue", "") for name, item in message.get("MessageAttributes", {}).items()}
    try:
        body = json.loads(message["Body"])
    except ValueError:
        body = message["Body"]
    record = body if isinstance(body, dict) and isinstance(body.get("requestContext"), dict) else None
    if record is not None:
        context, answer = record["requestContext"], record.get("responsePayload")
        arn, event = str(context.get("functionArn", "")), record.get("requestPayload")
        why = answer.get("errorMessage", "") if isinstance(answer, dict) else answer
        reason = f"{context.get('condition', '')} after {context.get('approximateInvokeCount', '?')} attempts: {why}"
    else:
        arn, event = attributes.get("TARGET_ARN", ""), body
        reason = f"not delivered: {attributes.get('ERROR_CODE', '')} {attributes.get('ERROR_MESSAGE', '')}".rstrip(": ")
    parts = arn.split(":")
    name = parts[6] if len(parts) > 6 and parts[5] == "function" else ""
    sent = datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC)
    ours = name if name.startswith(f"{stack}-") else ""
    return FailedEvent(message["MessageId"], message["ReceiptHandle"], sent, ours, event, reason)
