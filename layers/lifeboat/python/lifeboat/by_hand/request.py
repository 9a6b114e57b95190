"""Requests about runs by hand: to read a run's outcome, and to carry out a run that was handed over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import StringConstraints

from lifeboat.domain.bad_request import Expected, read
from lifeboat.domain.fields import Fields, RunId


@dataclass(frozen=True, slots=True)
class RunStatus:
    """Return the outcome of a run by hand."""

    run_id: str


@dataclass(frozen=True, slots=True)
class HandedOver[Request]:
    """Carry out a run by hand. The invocation that the client waits for, named by `lease`, handed it over."""

    run_id: str
    lease: str
    request: Request


class RunStatusFields(Fields):
    form: ClassVar = "request"

    request: RunId


class HandedOverFields(Fields):
    form: ClassVar = "carry_out"

    carry_out: RunId
    lease: Annotated[
        str, StringConstraints(min_length=1, max_length=128), Expected("the id of the invocation that handed it over")
    ]
    original_request: Annotated[dict[str, Any], Expected("the request that is to be carried out, as a person sent it")]


def parse_handed_over[Request](
    event: Mapping[str, Any], parse_request: Callable[[Mapping[str, Any]], Request]
) -> HandedOver[Request]:
    """The function's own event: a run by hand that this invocation is to carry out."""
    fields = read(HandedOverFields, event)
    return HandedOver(fields.carry_out, fields.lease, parse_request(fields.original_request))
