"""A rehearsal: calls that a function's role must be able to make, each asked with DryRun or by a read, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """What AWS answered a rehearsed call."""

    ALLOWED = "allowed"
    REFUSED = "refused"  # a permission is missing, or something denies the call
    UNKNOWN = "unknown"  # AWS answered something else: the call was not judged


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """One call of EC2, to be made with DryRun. `on` names its resource; `region` is empty for the function's own.

    `action` is EC2's name of the call, such as CreateSnapshots. `arguments` are those of boto3, without DryRun.
    """

    action: str
    on: str
    arguments: Mapping[str, Any]
    region: str = ""


@dataclass(frozen=True, slots=True)
class RoleRehearsal:
    """A role of another account that the function takes on: the vault's reader."""

    role: str


@dataclass(frozen=True, slots=True)
class ReadRehearsal:
    """A snapshot of which the function lists the first blocks. That has no DryRun, and changes nothing."""

    snapshot_id: str


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """A call with its outcome. `said` is in AWS's own words unless the call is allowed."""

    action: str
    on: str
    outcome: Outcome
    said: str = ""
