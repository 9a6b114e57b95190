"""Builders for the pre-flight: a fresh instance, the facts about it, and a request to restore onto it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from lifeboat.ami.verdict import AmiVerdict, Trust
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.ec2 import Volume
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.tags import Tag
from lifeboat.restore.preflight.facts import Preflight, PreflightFacts, Severity
from lifeboat.restore.record import RestoreVolume
from lifeboat.restore.request import RecoveryPointChoice, RestoreRequest
from tests.builders import ACCOUNT, SLOT, attachment, instance, point_tags, snapshot, volume

NOW = SLOT + timedelta(days=1)
CONSENT = {Tag.RESTORE_TARGET.value: "true"}
FRESH = "i-0bbbbbbbbbbbbbbb1"
FRESH_DATA = "vol-0bbbbbbbbbbbbbb11"
SECOND = "vol-0aaaaaaaaaaaaaa12"
TRUSTED = AmiVerdict(Trust.TRUSTED, "owner", "it belongs to the vendor")


def attached(volume_id: str = FRESH_DATA, device: str = "/dev/sdh", **facts: Any) -> Any:
    return attachment(volume_id, device, instance_id=FRESH, **facts)


def data_volume(volume_id: str = FRESH_DATA, device: str = "/dev/sdh", **facts: Any) -> Volume:
    known = {"id": volume_id, "attachments": (attached(volume_id, device),), "tags": CONSENT}
    return volume(**{**known, **facts})


def fresh(*others: Any, **facts: Any) -> Any:
    """The fresh platform that a restore goes to, with its root and its data volumes."""
    known = {
        "id": FRESH,
        "tags": {"Name": "CadoResponse", **CONSENT},
        "attachments": (attached("vol-0bbbbbbbbbbbbbb10", "/dev/xvda"), *(others or (attached(),))),
    }
    return instance(**{**known, **facts})


def points(*snapshots: Any) -> tuple[RecoveryPoint, ...]:
    return read_catalogue(snapshots or (snapshot(),)).points


def another(number: int, at: datetime = SLOT, **facts: Any) -> Any:
    """A snapshot of a recovery point of its own; `metadata` goes into its tags."""
    metadata = {"recovery_point_id": f"rp-{number}", "set_id": f"set-{number}", **facts.pop("metadata", {})}
    volumes = facts.pop("volumes", ())
    return snapshot(id=f"snap-{number}", started_at=at, tags=point_tags(*volumes, **metadata), **facts)


def known(**facts: Any) -> PreflightFacts:
    found: dict[str, Any] = {
        "instance": fresh(),
        "volumes": {FRESH_DATA: data_volume()},
        "points": points(),
        "account": ACCOUNT,
        "region": "eu-west-1",
        "stack": "lifeboat",
        "ami": TRUSTED,
    }
    return PreflightFacts(**{**found, **facts})


def asked(**facts: Any) -> RestoreRequest:
    known = {"instance_id": FRESH, "recovery_point": RecoveryPointChoice(), "request_id": "q-1"}
    return RestoreRequest(**{**known, **facts})


def codes(found: Preflight, severity: Severity = Severity.REFUSE) -> list[str]:
    return [item.code for item in found.findings if item.severity is severity]


def planned(found: Preflight) -> RestoreVolume:
    assert found.plan, found.text
    return found.plan.volumes[0]
