"""The request with which a person closes a suspicion."""

from __future__ import annotations

from dataclasses import dataclass

from lifeboat.domain.bad_request import Fields
from lifeboat.domain.fields import Flag, RecoveryPointId


@dataclass(frozen=True, slots=True)
class CloseSuspicionRequest(Fields):
    """Close the suspicion against one recovery point. `expected`: the change was intended and is usual from now on."""

    form = "close_suspicion"

    close_suspicion: RecoveryPointId
    expected: Flag = False
