"""The request for what came of a run by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import StringConstraints

from lifeboat.domain.bad_request import Expected, read
from lifeboat.domain.fields import Fields, RunId


@dataclass(frozen=True, slots=True)
class RunStatus:
    """Tell what came of a run by hand."""

    run_id: str


@dataclass(frozen=True, slots=True)
class HandedOver[Request]:
    """Carry out a run by hand that another invocation, which a person waits for, has handed over by its `lease`."""

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
    ask: Annotated[dict[str, Any], Expected("the request that is to be carried out, as a person sent it")]


def parse_handed_over[Request](
    event: Mapping[str, Any], read_ask: Callable[[Mapping[str, Any]], Request]
) -> HandedOver[Request]:
    """What the function itself sends: a run by hand for this invocation to carry out."""
    told = read(HandedOverFields, event)
    return HandedOver(told.carry_out, told.lease, read_ask(told.ask))
