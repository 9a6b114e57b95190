"""Wakes: the stack's state machine waits until a time, then sends a function of the stack the reconcile request.

It waits to the second and costs nothing while nothing waits. EventBridge Scheduler may be 59 seconds late
(https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html). Lambda asks an idle queue for messages
650,000 times a month. A caller chooses the time and the function, not what the function is sent.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from functools import cache
from uuid import uuid4

from aws_lambda_powertools import Logger

from lifeboat.aws import clients, clock
from lifeboat.aws.errors import AwsError, translated
from lifeboat.aws.invocation import Invocation
from lifeboat.domain.text import iso

SOONEST_SECONDS = 1
"""A wake is always later than this. Its clock and ours differ a little: a function that is woken too early asks for a
wake of another name than the one that has just ended."""

LEAST_SECONDS = 5
"""A function that is woken at a full minute, a little too early, asks for the minute after it."""

RUN_SECONDS = 60
"""The time between two reconcile runs while something is open. The schedules of the template run while nothing is."""

MACHINE = "wake"
"""The name of the state machine, after the stack's (template.yaml)."""


@cache
def _logger() -> Logger:
    """Made at first use, because a logger reads the function's environment."""
    return Logger(child=True)


def wake_while_open(function: str, invocation: Invocation, every: int = RUN_SECONDS) -> None:
    """Let `function` reconcile at the next two full minutes, or every so many seconds.

    Two, because each run asks for the ones after it: if one is lost, the other one still comes. Ask before the work
    begins, so that a run that is cut short has a successor, too.
    """
    soonest = next_run(every)
    # Without an answer the second question would delay the work once more.
    if wake(function, soonest, invocation):
        wake(function, soonest + timedelta(seconds=every), invocation)


def wake(function: str, at: datetime, invocation: Invocation) -> bool:
    """Let `function`, such as `attach-volume`, reconcile at `at`, or up to two seconds later. Whether AWS answered.

    Its name makes it one wake, however often it is asked for. While it waits, Step Functions answers the same name and
    input with the same execution. It refuses the name with another input, and for 90 days after the end
    (https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html). So someone else has taken
    a refused name, or its wake came early. The wake is then asked for under a name that cannot be guessed. What AWS
    refuses otherwise is logged, and hinders nothing: the reconcile run on schedule comes all the same.
    """
    config = invocation.config
    due = _whole_second(at)
    machine = f"arn:{config.partition}:states:{config.region}:{config.account}:stateMachine:{config.stack}-{MACHINE}"
    wanted = json.dumps({"function": f"{config.stack}-{function}", "at": iso(due)})
    name = f"{function}-{due:%Y%m%dT%H%M%SZ}"
    try:
        try:
            _start(machine, name, wanted)
        except AwsError as problem:
            if problem.code != "ExecutionAlreadyExists":
                raise
            _start(machine, f"{name}-{uuid4().hex[:12]}", wanted)
    except AwsError as problem:
        _logger().warning("AWS refused a wake", extra={"wake": wanted, "said": str(problem)})
        return problem.answered
    return True


def _start(machine: str, name: str, wanted: str) -> None:
    with translated():
        clients.step_functions().start_execution(stateMachineArn=machine, name=name, input=wanted)


def next_run(every: int = RUN_SECONDS) -> datetime:
    """When open work is reconciled next: at a full minute, or every so many seconds. All that ask get the same time."""
    return datetime.fromtimestamp((math.floor((clock.now().timestamp() + LEAST_SECONDS) / every) + 1) * every, UTC)


def _whole_second(at: datetime) -> datetime:
    """Step Functions cuts the fractions of a second off, and a wake must not come too early."""
    earliest = math.floor(clock.now().timestamp()) + SOONEST_SECONDS + 1
    return datetime.fromtimestamp(max(math.ceil(at.timestamp()), earliest), UTC)
