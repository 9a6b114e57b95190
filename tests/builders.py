"""Nouns for tests of rules: the protected platform as Terraform makes it, and what may be around it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lifeboat.backup.selection import volume_metadata
from lifeboat.domain.ec2 import Attachment, Instance, Snapshot, Volume
from lifeboat.domain.recovery_point_tags import write_tags

ACCOUNT = "111122223333"
VENDOR = "055430919509"
SLOT = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
PLATFORM = "i-0aaaaaaaaaaaaaaa1"
ROOT = "vol-0aaaaaaaaaaaaaa10"
DATA = "vol-0aaaaaaaaaaaaaa11"
KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"


def attachment(volume_id: str = DATA, device: str = "/dev/sdh", **facts: Any) -> Attachment:
    known = {"instance_id": PLATFORM, "state": "attached", "delete_on_termination": False}
    return Attachment(volume_id=volume_id, device=device, **{**known, **facts})


def instance(**facts: Any) -> Instance:
    known: dict[str, Any] = {
        "id": PLATFORM,
        "state": "running",
        "zone": "eu-west-1a",
        "ami_id": "ami-0cad0000000000001",
        "root_device": "/dev/xvda",
        "attachments": (attachment(ROOT, "/dev/xvda", delete_on_termination=True), attachment()),
        "tags": {"Name": "CadoResponse", "lifeboat:backup": "true"},
    }
    return Instance(**{**known, **facts})


def volume(**facts: Any) -> Volume:
    known: dict[str, Any] = {
        "id": DATA,
        "state": "in-use",
        "size": 100,
        "type": "gp3",
        "zone": "eu-west-1a",
        "encrypted": True,
        "iops": 4000,
        "throughput": 200,
        "kms_key_id": KEY,
        "attachments": (attachment(),),
        "tags": {"Name": "CadoResponseDataVolume"},
    }
    return Volume(**{**known, **facts})


def snapshot(**facts: Any) -> Snapshot:
    known: dict[str, Any] = {
        "id": "snap-0aaaaaaaaaaaaaa01",
        "volume_id": DATA,
        "state": "completed",
        "started_at": SLOT,
        "size": 100,
        "owner_id": ACCOUNT,
        "encrypted": True,
        "kms_key_id": KEY,
        "tags": point_tags(),
    }
    return Snapshot(**{**known, **facts})


def point_tags(*volumes: Volume, **facts: Any) -> dict[str, str]:
    """The tags of a recovery point's snapshots, of the platform's one data volume by default."""
    all_metadata = [volume_metadata(item, item.attachments[0]) for item in volumes or (volume(),)]
    known: dict[str, Any] = {
        "recovery_point_id": f"rp-20261123T020000Z-{PLATFORM}",
        "set_id": "set-1",
        "stack": "lifeboat",
        "slot": SLOT,
        "instance_id": PLATFORM,
        "instance_name": "CadoResponse",
        "zone": "eu-west-1a",
        "ami_id": "ami-0cad0000000000001",
        "ami_owner": VENDOR,
        "all_metadata": all_metadata,
    }
    return write_tags(**{**known, **facts})
