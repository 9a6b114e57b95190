"""What tests of the rules of drills share: recovery points, drills of them, and the volumes that EC2 makes of those."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.config import Config, Selector
from lifeboat.domain.ec2 import Volume
from lifeboat.domain.ec2_calls import CreateVolume
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.verify.drill_plan import plan_drills
from lifeboat.verify.drill_record import Drill
from tests.builders import ACCOUNT, DATA, PLATFORM, SLOT, attachment, point_tags, snapshot, volume

NOW = SLOT + timedelta(hours=3)
ZONES = ("eu-west-1a", "eu-west-1b", "eu-west-1c")
SECOND = "vol-0aaaaaaaaaaaaaa12"
CONFIG = Config(
    stack="lifeboat",
    region="eu-west-1",
    table="table",
    topic_arn=f"arn:aws:sns:eu-west-1:{ACCOUNT}:topic",
    selector=Selector("lifeboat:backup", "true"),
)


def point(*volume_ids: str, days: int = 0, instance_id: str = PLATFORM, **facts: Any) -> RecoveryPoint:
    """A good recovery point of these volumes, so many days after SLOT."""
    ids = volume_ids or (DATA,)
    at = SLOT + timedelta(days=days)
    volumes = [volume(id=item, attachments=(attachment(item, f"/dev/sd{'hij'[n]}"),)) for n, item in enumerate(ids)]
    name = f"rp-{at:%Y%m%dT%H%M%SZ}-{instance_id}"
    tags = point_tags(*volumes, recovery_point_id=name, slot=at, instance_id=instance_id, set_id=name)
    made = [snapshot(id=f"snap-{days:03}-{item}", volume_id=item, started_at=at, tags=tags, **facts) for item in ids]
    [found] = read_catalogue(made).points
    return found


def planned(*points: RecoveryPoint, **facts: Any) -> list[Drill]:
    """The drills of these recovery points, each under its first lineage."""
    known: dict[str, Any] = {"run": "run-1", "zones": ZONES, "last": {}, "settings": CONFIG, "stack": "lifeboat"}
    return plan_drills({item.lineages[0]: item for item in points}, **{**known, "now": NOW, **facts})


def made(call: CreateVolume, **facts: Any) -> Volume:
    """The volume that EC2 makes of a call, available, but for what is given."""
    known: dict[str, Any] = {
        "id": f"vol-of-{call.snapshot_id}",
        "state": "available",
        "size": call.size,
        "type": call.type,
        "zone": call.zone,
        "encrypted": call.encrypted,
        "iops": call.iops,
        "throughput": call.throughput,
        "kms_key_id": call.kms_key_id,
        "snapshot_id": call.snapshot_id,
        "tags": call.tags,
    }
    return Volume(**{**known, **facts})
