"""failed: read, replay and delete the events that failed for good, with the person's own rights."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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

ANSWER_SECONDS = 240
"""How long the question may wait for its answer: a minute later, another command may receive the events, too."""

_HIDDEN = "Another command reads the queue, or read it and was killed: try again in 5 minutes"

RESTORES = "restore-volume"
"""Its requests are a person's, for their moment: one that is replayed days later would stop an instance then."""

WAIT_SECONDS = 1
"""A receive that waits asks all of the queue's servers; one that does not may miss some."""

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
    if not all(ids or ()):
        raise Problem("an ID is empty, expected the id of an event, or none for all of them", Exit.USAGE)
    sqs, queue = session.functions.client("sqs"), _queue(session)
    verb = "replayed" if replay else "deleted"
    read: dict[str, FailedEvent] = {}
    done: list[FailedEvent] = []
    try:
        began = time.monotonic()
        with translated("the queue FailedEvents"):
            _receive(sqs, queue, session.functions.stack, read)
            hidden = _hidden(sqs, queue, len(read))
        chosen = _chosen(list(read.values()), ids or (), hidden)
        session.say(line for item in chosen for line in item.lines())
        doable = [item for item in chosen if item.function or not replay]
        if doable and (replay or delete):
            count = f"{len(doable)} event{'s'[: len(doable) != 1]}"
            session.confirm(f"{'Replay' if replay else 'Delete'} {count}?", yes=yes)
            if time.monotonic() - began > ANSWER_SECONDS:
                sentence = "nothing was done: the answer came so late that another command may have read the events"
                raise Problem(f"{sentence}. Run it again", Exit.NEEDS_A_PERSON)
            for item in doable:
                with _counted(len(done), verb):
                    if replay:
                        _invoke(session, item)
                    sqs.delete_message(QueueUrl=queue, ReceiptHandle=item.receipt)
                done.append(item)
    finally:
        _release(sqs, queue, [item for item in read.values() if item not in done])
    left = [item for item in chosen if item not in done]
    answer = {"failed": [item.as_json() for item in left], verb: [item.as_json() for item in done]}
    session.give({**answer, "hidden": hidden}, [_outcome(len(done), len(left), hidden, verb)])
    return Exit.FAILED if left or hidden else Exit.DONE


def _chosen(read: Sequence[FailedEvent], ids: Sequence[str], hidden: int) -> list[FailedEvent]:
    """The events that were named, all of them without names; the oldest first. Raises Problem for a name of none."""
    for wanted in ids:
        if not any(item.id.startswith(wanted) for item in read):
            sentence = f"no failed event has the id {shown(wanted)}, and nothing was done"
            raise Problem(f"{sentence}. {_HIDDEN}" if hidden else sentence, Exit.FAILED)
    found = [item for item in read if not ids or item.id.startswith(tuple(ids))]
    return sorted(found, key=lambda item: item.sent_at)


def _invoke(session: Session, item: FailedEvent) -> None:
    event = json.dumps(item.event).encode()
    session.functions.client("lambda").invoke(FunctionName=item.function, InvocationType="Event", Payload=event)


@contextmanager
def _counted(done: int, verb: str) -> Iterator[None]:
    """What failed says how many events were carried out before."""
    try:
        with translated("AWS"):
            yield
    except Problem as problem:
        raise Problem(f"{problem}. Before this, {done} {verb}", problem.code) from None


def _outcome(done: int, left: int, hidden: int, verb: str) -> str:
    if not (done or left or hidden):
        return "No event failed for good."
    said = [f"{done} {verb}."] if done else []
    said += [f"{left} left in the queue. Fix the cause, then add --replay or --delete."] if left else []
    said += [f"{hidden} not shown. {_HIDDEN}."] if hidden else []
    return " ".join(said)


def _hidden(sqs: Any, queue: str, read: int) -> int:
    """How many events another reader has received, as SQS estimates it."""
    name = "ApproximateNumberOfMessagesNotVisible"
    found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[name])["Attributes"]
    return max(0, int(found[name]) - read)


def _queue(session: Session) -> str:
    """The queue's URL, from the stack's outputs."""
    name = session.functions.stack
    with translated("CloudFormation"):
        [stack] = session.functions.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    urls = [item["OutputValue"] for item in stack.get("Outputs", ()) if item["OutputKey"] == "FailedEventsUrl"]
    if not urls:
        raise Problem(f"the stack {shown(name)} has no output FailedEventsUrl", Exit.FAILED)
    return str(urls[0])


def _receive(sqs: Any, queue: str, stack: str, found: dict[str, FailedEvent]) -> None:
    """All events by their ids, or the first MOST. SQS may deliver one twice; only the last receipt counts then."""
    while len(found) < MOST:
        messages = sqs.receive_message(
            QueueUrl=queue,
            MaxNumberOfMessages=10,
            VisibilityTimeout=HIDDEN_SECONDS,
            WaitTimeSeconds=WAIT_SECONDS,
            AttributeNames=["SentTimestamp"],
            MessageAttributeNames=["All"],
        ).get("Messages", [])
        if not messages:
            break
        found |= {message["MessageId"]: _read(message, stack) for message in messages}


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
    if ours == f"{stack}-{RESTORES}":
        ours, reason = "", f"{reason}. A restore of days ago is not for now: request it again with lifeboat restore"
    return FailedEvent(message["MessageId"], message["ReceiptHandle"], sent, ours, event, reason)
