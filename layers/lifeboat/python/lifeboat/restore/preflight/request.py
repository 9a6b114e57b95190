"""Is the request one that can be carried out?"""

from __future__ import annotations

from lifeboat.domain.text import is_blank
from lifeboat.restore.machine.history import RestoreError, restore_id
from lifeboat.restore.preflight.findings import Report
from lifeboat.restore.request import RestoreRequest

RATE = (100, 300)
"""VolumeInitializationRate, MiB/s (CreateVolume, EC2 API reference)."""


def check_request(request: RestoreRequest, report: Report) -> None:
    if is_blank(request.request_id):
        report.refuse("no-request-id", "request_id", "request_id is blank, expected any text that names this request")
    rate = request.volume.initialization_rate
    if rate is not None and not RATE[0] <= rate <= RATE[1]:
        report.refuse(
            "rate-out-of-range",
            "volume.initialization_rate",
            f"volume.initialization_rate is {rate}, expected {RATE[0]} to {RATE[1]} MiB/s",
        )
    for name in ("size", "iops", "throughput"):
        value = getattr(request.volume, name)
        if value is not None and value <= 0:
            report.refuse("not-positive", f"volume.{name}", f"volume.{name} is {value}, expected a number above 0")
    if request.volume.encrypted is False and request.volume.kms_key_id:
        report.refuse(
            "key-without-encryption",
            "volume.kms_key_id",
            "volume.kms_key_id is set though volume.encrypted is false, expected one or the other",
        )
    choice = request.recovery_point
    named = [name for name in ("id", "snapshot_ids", "lineage", "instance_id") if getattr(choice, name)]
    if len(named) > 1:
        report.refuse(
            "ambiguous-choice", "recovery_point", f"recovery_point names {' and '.join(named)}, expected one of them"
        )
    if choice.before is not None and choice.before.tzinfo is None:
        report.refuse(
            "no-time-zone",
            "recovery_point.before",
            f"recovery_point.before is {choice.before.isoformat()}, expected a time with a zone",
        )


def restore_id_of(request: RestoreRequest) -> str:
    try:
        return restore_id(request.request_id)
    except RestoreError:
        return ""
