"""Judge the parts of the stack: does each exist, is it switched on, and does anyone get the messages? Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lifeboat.doctor import commands
from lifeboat.doctor.commands import Place
from lifeboat.doctor.facts import Machinery, Seen
from lifeboat.doctor.line import Line, fail, not_seen, ok, warn
from lifeboat.domain.message import counted
from lifeboat.domain.stack import MISSING, Alarm, Concurrency, FunctionState, NotSeen, Stack, Subscription, Switch
from lifeboat.domain.text import iso

FUNCTION = "AWS::Lambda::Function"
SCHEDULE = "AWS::Scheduler::Schedule"
RULE = "AWS::Events::Rule"
MAPPING = "AWS::Lambda::EventSourceMapping"
SUBSCRIPTION = "AWS::SNS::Subscription"
ALARM = "AWS::CloudWatch::Alarm"
TABLE = "AWS::DynamoDB::Table"

OFF_WITH = {
    "DrillRestoresFunctionDrill": ("DrillSchedule", ""),
    "VerifySnapshotsFunctionContinue": ("Verify", "off"),
}
"""Schedules that the template itself switches off, by the parameter and its value that do."""

NAMED = 5
"""Parts of one kind and one fault that have a line of their own; the last line counts the rest."""

OF_PROGRAMS = frozenset({"lambda", "sqs", "firehose"})
"""Protocols of subscriptions that no person reads."""

SPARE = 2
"""How many executions each function should find free: with fewer, one busy function throttles the others."""


def judge_machinery(found: Machinery, place: Place, topic: str) -> Iterator[Line]:
    """A line for each check of the stack's parts, and for each fault. `topic` is the ARN of the topic."""
    stack = found.stack
    again = commands.revert_drift(place, stack.parameters)
    yield from _judge_stack(stack, place)
    yield from _judge_functions(found.functions, place, again)
    yield from _judge_switches("schedules", "schedule", _without_those_off(found.schedules, stack), place, again)
    yield from _judge_switches("rules", "rule", found.rules, place, again)
    yield from _judge_switches("polling", "event source mapping", found.mappings, place, again)
    yield from _judge_subscriptions(found.subscriptions, stack, place, topic, again)
    yield from _judge_alarms(found.alarms, place, again)
    yield from _judge_failed_events(found.failed_events, place, again)
    yield from _judge_concurrency(found.concurrency, len(stack.of(FUNCTION)), place)
    yield from _judge_table(found.table_protected, stack, place, again)


def _judge_stack(stack: Stack, place: Place) -> Iterator[Line]:
    why = f": {stack.reason}" if stack.reason else ""
    if stack.status == "UPDATE_ROLLBACK_FAILED":
        text = f"The last deployment failed, and so did its roll-back{why}"
        yield fail("stack", text, commands.show_failures(place), commands.continue_rollback(place))
    elif stack.status.endswith("FAILED"):
        yield fail("stack", f"The stack is {stack.status}{why}", commands.show_failures(place))
    elif "ROLLBACK" in stack.status:
        text = f"The last deployment failed and was rolled back{why}"
        yield warn("stack", text, commands.show_failures(place))
    elif stack.status.endswith("IN_PROGRESS"):
        advice = "Run lifeboat doctor again when the deployment has ended."
        yield warn("stack", f"A deployment is under way: {stack.status}", advice=advice)
    else:
        yield ok("stack", f"The stack is {stack.status}, deployed at {iso(stack.deployed_at)}")
    if stack.drift == "DRIFTED":
        yield warn("drift", "Parts of the stack differ from its template", commands.show_drift(place))
    elif stack.drift == "IN_SYNC" and stack.drift_checked_at and stack.drift_checked_at >= stack.deployed_at:
        yield ok("drift", f"No part of the stack differed from its template at {iso(stack.drift_checked_at)}")
    else:
        advice = f"To compare all parts with the template: {commands.detect_drift(place)}"
        since = " since its deployment" if stack.drift_checked_at else ""
        text = f"Not judged, because nobody has compared the stack with its template{since}: policies, permissions, "
        yield ok("drift", f"{text}targets and filters that a person may have changed", advice)


def _judge_functions(functions: Seen[tuple[FunctionState, ...]], place: Place, again: Sequence[str]) -> Iterator[Line]:
    if isinstance(functions, NotSeen):
        yield not_seen("functions", "A function", functions.said)
        return
    faults = []
    for item in functions:
        if item.state == MISSING:
            faults.append(fail("functions", f"The function {item.name} was deleted", *again))
        elif item.reserved == 0:
            text = f"The function {item.name} never runs: its reserved concurrency is 0"
            faults.append(fail("functions", text, commands.unreserve(place, item.name)))
        elif item.state == "Failed" or item.update == "Failed":
            advice = "Deploy the stack again: sam deploy"
            text = f"The function {item.name} is {item.state}, its update {item.update}: "
            faults.append(fail("functions", text + (item.reason or item.update_reason), advice=advice))
    yield from _first(faults, "functions")
    if not faults:
        yield ok("functions", f"{counted(len(functions), 'function')} can run")


def _judge_switches(
    check: str, noun: str, switches: Seen[tuple[Switch, ...]], place: Place, again: Sequence[str]
) -> Iterator[Line]:
    if isinstance(switches, NotSeen):
        yield not_seen(check, f"A {noun}", switches.said)
        return
    faults = []
    for item in switches:
        if item.state == MISSING:
            faults.append(fail(check, f"The {noun} {item.logical_id} was deleted", *again))
        elif not item.state.startswith(("ENABL", "CREATING", "UPDATING")):
            text = f"The {noun} {item.logical_id} is {item.state}"
            faults.append(fail(check, text, _enable(check, item, place)))
    yield from _first(faults, check)
    if not faults and switches:
        yield ok(check, f"{counted(len(switches), noun)} enabled")


def _without_those_off(schedules: Seen[tuple[Switch, ...]], stack: Stack) -> Seen[tuple[Switch, ...]]:
    """Without the disabled schedules that the template itself disables, with these parameters."""
    if isinstance(schedules, NotSeen):
        return schedules
    off = {name for name, (parameter, value) in OFF_WITH.items() if stack.parameters.get(parameter) == value}
    return tuple(item for item in schedules if item.state != "DISABLED" or item.logical_id not in off)


def _enable(check: str, item: Switch, place: Place) -> str:
    if check == "schedules":
        return commands.enable_schedule(place, item.definition)
    if check == "rules":
        return commands.enable_rule(place, item.id)
    return commands.enable_mapping(place, item.id)


def _judge_subscriptions(
    subscriptions: Seen[tuple[Subscription, ...]], stack: Stack, place: Place, topic: str, again: Sequence[str]
) -> Iterator[Line]:
    check = "subscriptions"
    if isinstance(subscriptions, NotSeen):
        yield not_seen(check, "The topic's list of subscriptions", subscriptions.said, again)
        return
    known = {item.arn for item in subscriptions} | {f"{item.protocol} {item.endpoint}" for item in subscriptions}
    address = stack.parameters.get("NotificationEmail", "")
    faults = [
        fail(check, f"The subscription {item.logical_id} was deleted", *again)
        for item in stack.of(SUBSCRIPTION)
        if item.id not in known and not (item.logical_id == "EmailSubscription" and f"email {address}" in known)
    ]
    pending = [item for item in subscriptions if item.pending]
    for item in pending:
        text = f"Nobody confirmed the subscription of {item.endpoint}, so it gets no message"
        # The template's own subscription is of the topic of e-mails, which is named after the stack.
        of = f"{topic.rpartition(':')[0]}:{place.stack}-mail" if item.endpoint == address else topic
        once_more = commands.subscribe(place, of, item.protocol, item.endpoint)
        advice = "Then open the link in the message that SNS sends."
        faults.append(fail(check, text, once_more, advice=advice))
    people = [item for item in subscriptions if item.protocol not in OF_PROGRAMS and not item.pending]
    if not people and not pending:
        text = "No person gets the messages: the topic has no subscription by e-mail, SMS or HTTPS"
        faults.append(warn(check, text, commands.subscribe(place, topic, "email", "YOU@EXAMPLE.COM")))
    yield from _first(faults, check)
    if not faults:
        yield ok(check, f"{counted(len(people), 'confirmed subscription')} of people, all of the functions' are there")


def _judge_alarms(alarms: Seen[tuple[Alarm, ...]], place: Place, again: Sequence[str]) -> Iterator[Line]:
    if isinstance(alarms, NotSeen):
        yield not_seen("alarms", "The alarms", alarms.said)
        return
    faults = []
    for item in alarms:
        if item.state == MISSING:
            faults.append(fail("alarms", f"The alarm {item.name} was deleted", *again))
        elif item.state == "ALARM":
            advice = "Find its cause in docs/guide/operate.md, under the alarm's name."
            faults.append(fail("alarms", f"The alarm {item.name} is raised: {item.reason}", advice=advice))
        if item.state != MISSING and not item.notifies:
            text = f"The alarm {item.name} notifies nobody: its actions are switched off"
            faults.append(warn("alarms", text, commands.enable_alarm(place, item.name)))
    yield from _first(faults, "alarms")
    if not faults:
        yield ok("alarms", f"None of {counted(len(alarms), 'alarm')} is raised")


def _judge_failed_events(waiting: Seen[int], place: Place, again: Sequence[str]) -> Iterator[Line]:
    if isinstance(waiting, NotSeen):
        yield not_seen("failed_events", "The queue FailedEvents", waiting.said, again)
    elif waiting:
        text = f"{counted(waiting, 'event')} failed for good and {'waits' if waiting == 1 else 'wait'} in FailedEvents"
        advice = "It shows why each failed. With --replay it sends them to their functions again."
        yield fail("failed_events", text, commands.show_failed_events(place), advice=advice)
    else:
        yield ok("failed_events", "No event failed for good")


def _judge_concurrency(limits: Seen[Concurrency], functions: int, place: Place) -> Iterator[Line]:
    if isinstance(limits, NotSeen):
        yield not_seen("concurrency", "Lambda's concurrency", limits.said)
    elif limits.unreserved < SPARE * functions:
        text = (
            f"Lambda runs {limits.unreserved} executions at once that nobody reserved, of {limits.all}, and this stack "
            f"has {functions} functions: busy ones throttle the others"
        )
        yield warn("concurrency", text, commands.raise_concurrency(place, 1000))
    else:
        yield ok("concurrency", f"Lambda runs {limits.unreserved} executions at once that nobody reserved")


def _judge_table(protected: Seen[bool], stack: Stack, place: Place, again: Sequence[str]) -> Iterator[Line]:
    [table] = stack.of(TABLE) or [None]
    if isinstance(protected, NotSeen):
        yield not_seen("table", "The table", protected.said, again)
    elif not protected and table:
        text = f"The table {table.id} has no deletion protection"
        yield warn("table", text, commands.protect_table(place, table.id))
    else:
        yield ok("table", "The table has deletion protection")


def _first(faults: Sequence[Line], check: str) -> Iterable[Line]:
    """The first NAMED faults, and a line that counts the others."""
    yield from faults[:NAMED]
    if len(faults) > NAMED:
        text = f"{counted(len(faults) - NAMED, 'more fault')} of this check"
        yield Line(check, faults[NAMED].level, text, advice="Mend these first, then run lifeboat doctor again.")
