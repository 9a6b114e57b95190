"""Verdicts on the parts of a stack that the local AWS cannot show, and their limits."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lifeboat.doctor.commands import Place, revert_drift
from lifeboat.doctor.facts import Machinery
from lifeboat.doctor.line import Level, Line
from lifeboat.doctor.machinery import FUNCTION, SUBSCRIPTION, TABLE, judge_machinery
from lifeboat.doctor.workflow import is_due
from lifeboat.domain.stack import (
    MISSING,
    Alarm,
    Concurrency,
    FunctionState,
    NotSeen,
    Stack,
    StackResource,
    Subscription,
    Switch,
)

AT = datetime(2026, 11, 23, 2, tzinfo=UTC)
PLACE = Place("lifeboat", "eu-west-1", "111122223333")
TOPIC = "arn:aws:sns:eu-west-1:111122223333:lifeboat"
STACK = Stack(
    status="UPDATE_COMPLETE",
    reason="",
    deployed_at=AT,
    drift="NOT_CHECKED",
    drift_checked_at=None,
    parameters={"Verify": "read", "DrillSchedule": "rate(7 days)", "NotificationEmail": "ann@example.com"},
    resources=(
        StackResource(FUNCTION, "TakeSnapshotsFunction", "lifeboat-take-snapshots"),
        StackResource(SUBSCRIPTION, "EmailSubscription", "pending confirmation"),
        StackResource(TABLE, "StateTable", "lifeboat-state"),
    ),
)
HEALTHY = Machinery(
    stack=STACK,
    functions=(FunctionState("lifeboat-take-snapshots", "Active"),),
    schedules=(Switch("TakeSnapshotsFunctionSlot", "s-1", "ENABLED"),),
    rules=(Switch("ConfirmSnapshotsFunctionSnapshot", "r-1", "ENABLED"),),
    mappings=(),
    subscriptions=(Subscription(f"{TOPIC}:1", "email", "ann@example.com"),),
    alarms=(Alarm("FailedEventsAlarm", "INSUFFICIENT_DATA"),),
    failed_events=0,
    concurrency=Concurrency(1000, 1000),
    table_protected=True,
)
REFUSED = NotSeen("AccessDenied: no")


def judged(found: Machinery) -> list[Line]:
    return [line for line in judge_machinery(found, PLACE, TOPIC) if line.level is not Level.OK]


def with_stack(**more: object) -> Machinery:
    return replace(HEALTHY, stack=replace(STACK, **more))


def test_a_healthy_stack_has_no_fault() -> None:
    assert judged(HEALTHY) == []


@pytest.mark.parametrize(
    ("found", "check", "level", "text", "remedy"),
    [
        (with_stack(status="UPDATE_ROLLBACK_COMPLETE"), "stack", "warn", "rolled back", "describe-stack-events"),
        (with_stack(status="UPDATE_ROLLBACK_FAILED"), "stack", "fail", "roll-back", "continue-update-rollback"),
        (with_stack(status="DELETE_FAILED", reason="it is in use"), "stack", "fail", "it is in use", "events"),
        (with_stack(status="UPDATE_IN_PROGRESS"), "stack", "warn", "is under way", "when the deployment has ended"),
        (with_stack(drift="DRIFTED"), "drift", "warn", "differ", "describe-stack-resource-drifts"),
        (replace(HEALTHY, functions=(FunctionState("f", MISSING),)), "functions", "fail", "was deleted", "REVERT"),
        (
            replace(HEALTHY, functions=(FunctionState("f", "Failed", "no key"),)),
            "functions",
            "fail",
            "no key",
            "sam deploy",
        ),
        (
            replace(HEALTHY, functions=(FunctionState("f", "Active", "", "Failed", "no layer"),)),
            "functions",
            "fail",
            "no layer",
            "sam deploy",
        ),
        (
            replace(HEALTHY, failed_events=7),
            "failed_events",
            "fail",
            "7 events failed for good and wait",
            "lifeboat failed",
        ),
        (replace(HEALTHY, concurrency=Concurrency(10, 1)), "concurrency", "warn", "of 10", "L-B99A9384"),
    ],
)
def test_a_fault_has_its_level_and_remedy(found: Machinery, check: str, level: str, text: str, remedy: str) -> None:
    [line] = judged(found)
    assert (line.check, line.level) == (check, level)
    assert text in line.text
    assert remedy in " ".join([*line.commands, line.advice])


@pytest.mark.parametrize(
    "name",
    [
        *("functions", "schedules", "rules", "mappings", "subscriptions", "alarms", "failed_events"),
        *("concurrency", "table_protected"),
    ],
)
def test_what_aws_refuses_to_show_is_a_warning_with_its_words(name: str) -> None:
    [line] = judged(replace(HEALTHY, **{name: REFUSED}))
    assert line.level is Level.WARN
    assert "AccessDenied: no" in line.text


@pytest.mark.parametrize(
    ("drift", "at", "said"),
    [
        ("NOT_CHECKED", None, "nobody has compared the stack with its template: policies, permissions"),
        ("IN_SYNC", AT - timedelta(days=1), "nobody has compared the stack with its template since its deployment"),
        ("IN_SYNC", AT + timedelta(days=1), "No part of the stack differed"),
    ],
)
def test_what_only_a_comparison_with_the_template_shows_is_said_to_be_not_judged(
    drift: str, at: datetime | None, said: str
) -> None:
    found = judge_machinery(with_stack(drift=drift, drift_checked_at=at), PLACE, TOPIC)
    [line] = [line for line in found if line.check == "drift"]
    assert said in line.text
    assert bool(line.advice) is said.startswith("nobody")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("subscriptions", "NotFound: Topic does not exist"),
        ("failed_events", "AWS.SimpleQueueService.NonExistentQueue: The specified queue does not exist."),
        ("table_protected", "ResourceNotFoundException: Requested resource not found: Table: lifeboat-state not found"),
    ],
)
def test_a_part_that_was_deleted_is_a_fault_and_no_policy_is_blamed(name: str, said: str) -> None:
    [line] = judged(replace(HEALTHY, **{name: NotSeen(said)}))
    assert line.level is Level.FAIL
    assert said in line.text
    assert (list(line.commands), line.advice) == (list(revert_drift(PLACE, STACK.parameters)), "")


@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [
        ("DrillRestoresFunctionDrill", "DrillSchedule", ""),
        ("VerifySnapshotsFunctionContinue", "Verify", "off"),
    ],
)
def test_a_schedule_that_the_template_switches_off_is_no_fault(name: str, parameter: str, value: str) -> None:
    off = replace(HEALTHY, schedules=(Switch(name, "s-1", "DISABLED"),))
    assert [line.check for line in judged(off)] == ["schedules"]
    stack = replace(STACK, parameters={**STACK.parameters, parameter: value})
    assert judged(replace(off, stack=stack)) == []
    assert judged(replace(off, stack=stack, schedules=(Switch(name, "s-1", MISSING),))) != []


def test_many_faults_of_one_check_are_counted() -> None:
    switches = tuple(Switch(f"Rule{number}", f"r-{number}", "DISABLED") for number in range(9))
    lines = judged(replace(HEALTHY, rules=switches))
    assert len(lines) == 6
    assert lines[-1].text == "4 more faults of this check"
    assert lines[-1].level is Level.FAIL


def test_a_change_set_keeps_every_parameter() -> None:
    made, waited, executed = revert_drift(PLACE, {"B": "1", "A": "it's"})
    words = shlex.split(made)
    assert words[words.index("--parameters") + 1] == (
        '[{"ParameterKey": "A", "UsePreviousValue": true}, {"ParameterKey": "B", "UsePreviousValue": true}]'
    )
    assert words[words.index("--deployment-mode") + 1] == "REVERT_DRIFT"
    assert shlex.split(waited)[:4] == ["aws", "cloudformation", "wait", "change-set-create-complete"]
    assert "execute-change-set" in executed


@pytest.mark.parametrize("phase", [0, 1, 11, 12, 13, 23])
def test_of_each_deployment_exactly_one_daily_run_is_due(phase: int) -> None:
    runs = [AT + timedelta(hours=phase, days=day) for day in range(-1, 5)]
    assert sum(is_due(AT, at) for at in runs) == 1
