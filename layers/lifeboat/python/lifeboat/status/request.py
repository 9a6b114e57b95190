"""Requests of show_status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PlainValidator, StringConstraints

from lifeboat.domain.bad_request import INTERNAL, BadRequest, Expected, Fields, not_expected, parse, shown
from lifeboat.domain.fields import Flag, Yes
from lifeboat.domain.text import is_blank
from lifeboat.status.page import INSTANCE_ID, MOST, USUAL, AfterInstance, BeforePoint, Position, read_position

INSTANCE = "an instance's id such as i-0123456789abcdef0, or its Name"
NEXT = "the field next of the answer before, unchanged"


def _check_name(text: str) -> str:
    if is_blank(text):
        raise not_expected(INSTANCE)
    return text


def _parse_next(text: Any) -> Position:
    position = read_position(text) if isinstance(text, str) else None
    if position is None:
        raise not_expected(NEXT)
    return position


InstanceOrName = Annotated[
    str, StringConstraints(min_length=1, max_length=256), AfterValidator(_check_name), Expected(INSTANCE)
]

Limit = Annotated[int, Field(strict=True, ge=1, le=MOST), Expected(f"a whole number from 1 to {MOST}")]

Next = Annotated[Position, PlainValidator(_parse_next), Expected(NEXT)]


@dataclass(frozen=True, slots=True)
class StatusRequest(Fields):
    """Show how the stack stands, with a page of its instances. `next`: only that page."""

    other_forms = ("instance", "list")

    limit: Limit = USUAL
    next: Next | None = None


@dataclass(frozen=True, slots=True)
class InstanceRequest(Fields):
    """Show the instances of this id or Name, or with `list` a page of their recovery points.

    `points`: how many of their recovery points are shown beside them, of the same observation.
    """

    form = "instance"

    instance: InstanceOrName
    list: Flag = False
    limit: Limit = USUAL
    next: Next | None = None
    points: Annotated[int, INTERNAL] = 0

    @property
    def is_id(self) -> bool:
        """Whether it names the instance by its id. In a vault, its account precedes it."""
        return bool(INSTANCE_ID.fullmatch(self.instance))


@dataclass(frozen=True, slots=True)
class ListRequest(Fields):
    """Show a page of all of the stack's recovery points."""

    form = "list"

    list: Yes
    limit: Limit = USUAL
    next: Next | None = None


def parse_status(event: Mapping[str, Any]) -> StatusRequest | InstanceRequest | ListRequest:
    """Parse a request of show_status. A person sends it, the page or the command line. Raises BadRequest."""
    request: StatusRequest | InstanceRequest | ListRequest = parse(event, InstanceRequest, ListRequest, StatusRequest)
    kind = AfterInstance if isinstance(request, StatusRequest) or not request.list else BeforePoint
    if request.next is not None and not isinstance(request.next, kind):
        what = "recovery points" if kind is BeforePoint else "instances"
        raise BadRequest(f"next is {shown(event['next'])}, expected {NEXT}: this request lists {what}")
    return request
