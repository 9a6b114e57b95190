"""Pre-flight of the request: what its fields say together. Parsing has checked each field alone."""

from __future__ import annotations

from lifeboat.restore.preflight.findings import Report
from lifeboat.restore.request import RestoreRequest


def check_request(request: RestoreRequest, report: Report) -> None:
    """Refuse fields that contradict each other."""
    if request.volume.encrypted is False and request.volume.kms_key_id:
        report.refuse(
            "key-without-encryption",
            "volume.kms_key_id",
            "volume.kms_key_id is set though volume.encrypted is false, expected one or the other",
        )
    if request.recovery_point.lineage and request.recovery_point.instance_id:
        report.refuse(
            "ambiguous-choice",
            "recovery_point",
            "recovery_point names lineage and instance_id, expected one of them",
        )
