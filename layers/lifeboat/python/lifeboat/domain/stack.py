"""A deployed stack and its parts, as AWS shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

MISSING = "MISSING"
"""The state of a part that CloudFormation made and that is not there any more."""

PENDING_CONFIRMATION = "PendingConfirmation"
"""What SNS shows for the ARN of a subscription that nobody confirmed
(https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html)."""


@dataclass(frozen=True, slots=True)
class NotSeen:
    """What AWS refused to show. `said` is in AWS's own words."""

    said: str


@dataclass(frozen=True, slots=True)
class StackResource:
    """A resource of the stack: its type, such as `AWS::Lambda::Function`, its logical id, and its own name or ARN."""

    type: str
    logical_id: str
    id: str


@dataclass(frozen=True, slots=True)
class Stack:
    """The stack as CloudFormation shows it.

    `deployed_at` is the last update, or the creation. `drift` is what the last drift detection found: DRIFTED, IN_SYNC,
    UNKNOWN or NOT_CHECKED.
    """

    status: str
    reason: str
    deployed_at: datetime
    drift: str
    drift_checked_at: datetime | None
    parameters: Mapping[str, str]
    resources: tuple[StackResource, ...]

    def of(self, kind: str) -> tuple[StackResource, ...]:
        """The resources of one type."""
        return tuple(item for item in self.resources if item.type == kind)


@dataclass(frozen=True, slots=True)
class Switch:
    """A schedule, a rule or an event source mapping: what can be switched off. `state` is AWS's word, or MISSING.

    `definition` is what switches it on again: the arguments of UpdateSchedule, for a schedule.
    """

    logical_id: str
    id: str
    state: str
    definition: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FunctionState:
    """A function. `state` is Pending, Active, Inactive, Failed or MISSING, `update` the outcome of its last update.

    `reserved` is the concurrency that is reserved for it; None: it shares the account's.
    """

    name: str
    state: str
    reason: str = ""
    update: str = "Successful"
    update_reason: str = ""
    reserved: int | None = None


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription of the topic."""

    arn: str
    protocol: str
    endpoint: str

    @property
    def pending(self) -> bool:
        """Whether nobody confirmed it, so that it gets no message."""
        return self.arn == PENDING_CONFIRMATION


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm: OK, ALARM, INSUFFICIENT_DATA or MISSING, why, and whether it notifies anyone."""

    name: str
    state: str
    reason: str = ""
    notifies: bool = True


@dataclass(frozen=True, slots=True)
class Key:
    """A KMS key. `state` is KMS's word, such as Enabled. `of_aws`: AWS manages it, as it does aws/ebs."""

    arn: str
    state: str
    of_aws: bool = False


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How many executions Lambda runs at once in this account and region, and how many of them nobody reserved."""

    all: int
    unreserved: int
