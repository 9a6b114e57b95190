"""Find one recovery point by its id."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lifeboat_cli.functions import Functions
from lifeboat_cli.outcome import Exit, Problem
from lifeboat_cli.words import shown

INSTANCE_IN_ID = re.compile(r"-(i-[0-9a-f]{8,17})")


def find_point(functions: Functions, point_id: str) -> Mapping[str, Any]:
    """What show_status has of a recovery point. Raises Problem if the stack does not have it."""
    named = INSTANCE_IN_ID.search(point_id)
    request: dict[str, Any] = {"list": True, "limit": 500} | ({"instance": named.group(1)} if named else {})
    while True:
        answer = functions.invoke("show-status", request)
        for point in answer["recovery_points"]:
            if point["id"] == point_id:
                found: Mapping[str, Any] = point
                return found
        if not answer["next"]:
            raise Problem(f"{shown(point_id)} is no recovery point of the stack {functions.stack}", Exit.FAILED)
        request["next"] = answer["next"]
