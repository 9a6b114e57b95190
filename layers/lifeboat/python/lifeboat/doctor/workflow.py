"""Check the stack: observe, judge, answer, and the day after a deployment publish. Nothing else is written."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from lifeboat.aws import clock
from lifeboat.aws.invocation import Invocation
from lifeboat.doctor import messages
from lifeboat.doctor.commands import Place
from lifeboat.doctor.coverage_workflow import report
from lifeboat.doctor.line import Line, count, fail
from lifeboat.doctor.machinery import FUNCTION, judge_machinery
from lifeboat.doctor.observation_workflow import observe_machinery, observe_protection, observe_stack
from lifeboat.doctor.protection import judge_protection
from lifeboat.doctor.rehearsal import REHEARSING
from lifeboat.doctor.request import CheckRequest, CoverageRequest
from lifeboat.domain.stack import NotSeen, Stack
from lifeboat.domain.text import iso

DUE_AFTER = timedelta(hours=12)
DUE_FOR = timedelta(days=1)
"""The check runs each day. Of a deployment, it is published once: by the run that falls into this day."""


def check(request: CheckRequest | CoverageRequest, invocation: Invocation) -> dict[str, Any]:
    """Answer a request of check_stack. By its schedule the check works only on the day after a deployment.

    Raises AwsError for what passes, and ClientError where a message cannot be published.
    """
    if isinstance(request, CoverageRequest):
        return report(request, invocation)
    stack = observe_stack(invocation)
    if request.scheduled_time and isinstance(stack, Stack) and not is_due(stack.deployed_at, request.scheduled_time):
        return {}
    lines = _lines(stack, invocation)
    if request.scheduled_time and isinstance(stack, Stack):
        message = messages.stack_checked(**invocation.stamp(), deployed_at=stack.deployed_at, lines=lines)
        invocation.publish_once("published-check", iso(stack.deployed_at), message)
    return _answer(lines, stack, invocation)


def is_due(deployed_at: datetime, at: datetime) -> bool:
    """Whether the daily run at this time is the one that checks a deployment."""
    return DUE_AFTER <= at - deployed_at < DUE_AFTER + DUE_FOR


def _lines(stack: Stack | NotSeen, invocation: Invocation) -> list[Line]:
    config = invocation.config
    place = Place(config.stack, config.region, config.account)
    found: list[Line] = []
    if isinstance(stack, NotSeen):
        text = f"The stack was not seen, so none of its parts is judged. AWS said: {stack.said}"
        advice = "Find the policy that denies it: the role of CheckStackFunction reads it with rights of its own."
        found.append(fail("stack", text, advice=advice))
    else:
        machinery = observe_machinery(stack, invocation)
        found += judge_machinery(machinery, place, config.topic_arn)
    parameters = stack.parameters if isinstance(stack, Stack) else {}
    saves_others = bool(parameters.get("VaultSourceAccounts") or parameters.get("HomeRegion"))
    protection = observe_protection(parameters, invocation)
    return [*found, *judge_protection(protection, config, place, saves_others=saves_others)]


def _answer(lines: list[Line], stack: Stack | NotSeen, invocation: Invocation) -> dict[str, Any]:
    config = invocation.config
    functions = [item.id for item in stack.of(FUNCTION)] if isinstance(stack, Stack) else []
    return {
        "at": iso(clock.now()),
        "stack": config.stack,
        "region": config.region,
        "account": config.account,
        "deployed_at": iso(stack.deployed_at) if isinstance(stack, Stack) else None,
        "counts": count(lines),
        "lines": [line.as_dict() for line in lines],
        "rehearse": [name for name in REHEARSING if f"{config.stack}-{name}" in functions],
    }
