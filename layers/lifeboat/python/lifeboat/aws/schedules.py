"""EventBridge: the schedules of Scheduler, and rules. Reads only."""

from __future__ import annotations

from lifeboat.aws import clients
from lifeboat.aws.errors import AwsError, translated
from lifeboat.domain.stack import MISSING, StackResource, Switch

NOT_THERE = "ResourceNotFoundException"

_UPDATED = (
    *("Name", "GroupName", "ScheduleExpression", "ScheduleExpressionTimezone", "FlexibleTimeWindow", "Target"),
    *("Description", "StartDate", "EndDate", "KmsKeyArn", "ActionAfterCompletion"),
)
"""What UpdateSchedule must be given again: it keeps nothing that a call does not repeat
(https://docs.aws.amazon.com/scheduler/latest/APIReference/API_UpdateSchedule.html)."""


def find_schedule(resource: StackResource) -> Switch:
    """A schedule of the default group, with what enables it. Raises AwsError."""
    try:
        with translated():
            found = clients.scheduler().get_schedule(Name=resource.id)
    except AwsError as problem:
        if problem.code != NOT_THERE:
            raise
        return Switch(resource.logical_id, resource.id, MISSING)
    definition = {name: found[name] for name in _UPDATED if found.get(name)}
    return Switch(resource.logical_id, resource.id, found["State"], {**definition, "State": "ENABLED"})


def find_rule(resource: StackResource) -> Switch:
    """A rule of the default bus. Raises AwsError."""
    try:
        with translated():
            found = clients.events().describe_rule(Name=resource.id)
    except AwsError as problem:
        if problem.code != NOT_THERE:
            raise
        return Switch(resource.logical_id, resource.id, MISSING)
    return Switch(resource.logical_id, resource.id, found["State"])
