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

    scheduled_time: Moment | None = None


@dataclass(frozen=True, slots=True)
class RehearseRequest(Fields):
    """Let the function rehearse the calls that its role must be able to make."""

    rehearse: Yes


def parse_check(event: Mapping[str, Any]) -> CheckRequest:
    """Parse a request of check_stack: its schedule, or a person. Raises BadRequest."""
    return parse(event, CheckRequest)


def parse_rehearsal(event: Mapping[str, Any]) -> RehearseRequest:
    """Parse `{"rehearse": true}`, by the command line or a person. Raises BadRequest."""
    return parse(event, RehearseRequest)
