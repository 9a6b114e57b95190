"""The request with which a person closes a suspicion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import StringConstraints

from lifeboat.domain.bad_request import Expected, Fields
from lifeboat.domain.fields import Flag


@dataclass(frozen=True, slots=True)
class CloseSuspicionRequest(Fields):
    """Close the suspicion against one recovery point. `expected`: the change was intended and is usual from now on."""

    form = "close_suspicion"

    close_suspicion: Annotated[
        str,
        StringConstraints(pattern=r"^rp-[0-9A-Za-z+-]{1,120}$"),
        Expected("a recovery point's id such as rp-20261123T020000Z-i-0123456789abcdef0"),
    ]
    expected: Flag = False
