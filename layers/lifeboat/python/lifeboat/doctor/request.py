"""Requests of check_stack, and the rehearsal that other functions answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lifeboat.domain.bad_request import Fields, parse
from lifeboat.domain.fields import Moment, Yes


@dataclass(frozen=True, slots=True)
class CheckRequest(Fields):
    """Check the stack. `scheduled_time` is the schedule's due time, None by hand."""

    other_forms = ("coverage",)

    scheduled_time: Moment | None = None


@dataclass(frozen=True, slots=True)
class CoverageRequest(Fields):
    """Report what the protection does not cover. `scheduled_time` is the schedule's due time, None by hand."""

    form = "coverage"

    coverage: Yes
    scheduled_time: Moment | None = None


@dataclass(frozen=True, slots=True)
class RehearseRequest(Fields):
    """Let the function rehearse the calls that its role must be able to make."""

    rehearse: Yes


def parse_check(event: Mapping[str, Any]) -> CheckRequest | CoverageRequest:
    """Parse a request of check_stack: its schedules, or a person. Raises BadRequest."""
    return parse(event, CoverageRequest, CheckRequest)


def parse_rehearsal(event: Mapping[str, Any]) -> RehearseRequest:
    """Parse `{"rehearse": true}`, by the command line or a person. Raises BadRequest."""
    return parse(event, RehearseRequest)
