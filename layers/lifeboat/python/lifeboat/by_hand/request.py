"""Requests about a run by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from lifeboat.domain.bad_request import Expected, Fields, parse
from lifeboat.domain.fields import RunId


@dataclass(frozen=True, slots=True)
class RunStatus(Fields):
    """Answer the outcome of a run by hand, or that it is under way."""

    form = "request"

    run_id: Annotated[RunId, Field(alias="request")]


@dataclass(frozen=True, slots=True)
class HandedOver[Request = dict[str, Any]](Fields):
    """Carry out a run by hand that the invocation with `lease`, for which a person waits, has handed over."""

    form = "carry_out"

    run_id: Annotated[RunId, Field(alias="carry_out")]
    lease: Annotated[
        str, StringConstraints(min_length=1, max_length=128), Expected("the id of the invocation that handed it over")
    ]
    request: Annotated[
        Request, Expected("the request that is to be carried out, as a person sent it"), Field(alias="original_request")
    ]


def parse_handed_over[Request](
    event: Mapping[str, Any], parse_request: Callable[[Mapping[str, Any]], Request]
) -> HandedOver[Request]:
    """Parse what the function sends itself: a run by hand for this invocation to carry out. Raises BadRequest."""
    handed: HandedOver[dict[str, Any]] = parse(event, HandedOver)
    return HandedOver(handed.run_id, handed.lease, parse_request(handed.request))
