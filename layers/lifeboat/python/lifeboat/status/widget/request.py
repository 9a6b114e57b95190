"""Requests of the page: what its buttons and its form send to show_status."""

from __future__ import annotations

from dataclasses import dataclass

from lifeboat.domain.bad_request import BadRequest, Fields, parse, shown
from lifeboat.domain.fields import InstanceId, Yes
from lifeboat.domain.widget import DESCRIBE, Call
from lifeboat.status.page import AfterInstance
from lifeboat.status.request import NEXT, InstanceOrName, Next

TYPED = "instance"
"""The name of the form's field."""


@dataclass(frozen=True, slots=True)
class OverviewRequest(Fields):
    """Show how the stack stands, with a page of its instances. `next`: only that page."""

    other_forms = ("instance", "find", "urgent")

    next: Next | None = None


@dataclass(frozen=True, slots=True)
class InstancePageRequest(Fields):
    """Show the instances of this id or Name. `onto` is the target instance of the plans that its buttons ask for."""

    form = "instance"

    instance: InstanceOrName
    onto: InstanceId | None = None


@dataclass(frozen=True, slots=True)
class FindRequest(Fields):
    """Show the instances whose id or Name was typed into the form."""

    form = "find"

    find: Yes


@dataclass(frozen=True, slots=True)
class UrgentRequest(Fields):
    """Name everything that needs a person and every open restore, without the instances."""

    form = "urgent"

    urgent: Yes


@dataclass(frozen=True, slots=True)
class DescribeRequest:
    """Describe the widget, in Markdown. The console sends it, with whatever else."""


type PageRequest = OverviewRequest | InstancePageRequest | UrgentRequest | DescribeRequest


def parse_page(call: Call) -> PageRequest:
    """Parse a request of the page. Raises BadRequest.

    An empty form asks for the first page. The parameters of the widget itself are none.
    """
    if call.asked.get(DESCRIBE) is True:
        return DescribeRequest()
    if UrgentRequest.form in call.asked:
        return parse(call.asked, UrgentRequest)
    request: OverviewRequest | InstancePageRequest | FindRequest = parse(
        call.asked, InstancePageRequest, FindRequest, OverviewRequest
    )
    if isinstance(request, FindRequest):
        typed = call.forms.get(TYPED, "").strip()
        found: InstancePageRequest | OverviewRequest = parse(
            {"instance": typed} if typed else {}, InstancePageRequest, OverviewRequest
        )
        return found
    if isinstance(request, OverviewRequest) and not isinstance(request.next, AfterInstance | None):
        raise BadRequest(f"next is {shown(call.asked['next'])}, expected {NEXT}: this request lists instances")
    return request
