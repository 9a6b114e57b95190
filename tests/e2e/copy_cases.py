"""Recovery points that are there to be copied, and what is seen of their copies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import accumulate, count
from typing import Any

from lifeboat.domain.text import iso
from tests.e2e.stage import Stage

AWAY = "eu-central-1"
COPY = "CopySnapshotsFunction"
COPY_SECONDS = 180
FIRST = datetime(2026, 8, 1, 2, tzinfo=UTC)
_instances = count(1)


def new_instance() -> str:
    """An instance that no other test of the process has."""
    return f"i-0{next(_instances):016x}"


def at(number: int) -> datetime:
    return FIRST + timedelta(days=number)


def point_id(instance: str, number: int) -> str:
    return f"rp-{at(number):%Y%m%dT%H%M%SZ}-{instance}"


def seed_point(stage: Stage, instance: str, number: int, volumes: int = 1) -> list[str]:
    """A good recovery point of one instance, `number` days after the first; its snapshots."""
    slot = at(number)
    ids = [f"vol-0{instance[-4:]}{number:04x}{place:08x}" for place in range(volumes)]
    facts = "type=gp3 size=8 iops=3000 throughput=125 encrypted=false delete-on-termination=false"
    all_metadata = {
        f"lifeboat:volume/{name}": f"device=/dev/sd{chr(102 + place)} {facts}" for place, name in enumerate(ids)
    }
    return [
        stage.control.seed_snapshot(
            start_time=slot,
            volume_id=name,
            tags={
                "Name": f"lifeboat {instance} {iso(slot)}",
                "lifeboat:recovery-point": point_id(instance, number),
                "lifeboat:set": f"set-{number}",
                "lifeboat:stack": "lifeboat",
                "lifeboat:slot": iso(slot),
                "lifeboat:instance": instance,
                "lifeboat:volumes": str(volumes),
                **all_metadata,
                **{f"lifeboat:chain/{item}": f"{instance}-{place}" for place, item in enumerate(ids)},
            },
        )
        for name in ids
    ]


def copies(stage: Stage, instance: str) -> list[dict[str, Any]]:
    """Our copies in the other region."""
    found: list[dict[str, Any]] = stage.aws.client("ec2", AWAY).describe_snapshots(
        OwnerIds=["self"],
        Filters=[
            {"Name": "tag-key", "Values": ["lifeboat:copy-of"]},
            {"Name": "tag:lifeboat:instance", "Values": [instance]},
        ],
    )["Snapshots"]
    return found


def at_most_at_a_time(found: list[dict[str, Any]]) -> int:
    """How many of these copies were being made at the busiest moment."""
    turns = [(copy["StartTime"], 1) for copy in found] + [(copy["CompletionTime"], -1) for copy in found]
    return max(accumulate(change for _, change in sorted(turns)))


def refused(stage: Stage) -> list[str]:
    """The errors that CopySnapshot was answered with."""
    calls = stage.control.calls(service="ec2")
    return [call["error"] for call in calls if call["action"] == "CopySnapshot" and call["error"]]


def all_there(stage: Stage, instance: str, number: int) -> bool:
    found = copies(stage, instance)
    return len(found) == number and all(copy["State"] == "completed" for copy in found)


def published(stage: Stage, instance: str, event: str) -> list[str]:
    """The recovery points of which this has been published."""
    points = [message["subject"]["recovery_point"] for message in stage.messages() if message["event"] == event]
    return [point for point in points if point.endswith(instance)]
