"""Recovery points as tests of the status have them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.recovery_point import RecoveryPoint
from tests.builders import SLOT, point_tags, snapshot

PROVEN = {"lifeboat:verified": "result=proven level=read at=2026-11-23T03:00:00Z"}
FAILED = {"lifeboat:verified": "result=failed level=read at=2026-11-23T03:00:00Z"}
SUSPECT = {"lifeboat:suspect": "state=open"}


def point(slot: datetime = SLOT, *, tags: dict[str, str] | None = None, **facts: Any) -> RecoveryPoint:
    """A recovery point of the platform's data volume; facts that are none of the tags' are its snapshot's."""
    of_tags = {key: facts.pop(key) for key in ("instance_id", "instance_name") if key in facts}
    named = {"slot": slot, "recovery_point_id": f"rp-{slot:%Y%m%dT%H%M%SZ}-x", "set_id": f"set {slot}", **of_tags}
    written = {**point_tags(**named), **(tags or {})}
    return read_catalogue(
        [snapshot(**{"id": f"snap-{slot:%d%H}", "started_at": slot, **facts, "tags": written})]
    ).points[0]
