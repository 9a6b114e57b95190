"""Pre-flight, the plan: combine source, devices and volumes into the restore that would start."""

from __future__ import annotations

from datetime import datetime

from lifeboat.ami.verdict import Trust
from lifeboat.ami.version import Comparison
from lifeboat.domain.ec2 import Instance
from lifeboat.domain.recovery_point_tags import MetadataError
from lifeboat.domain.tags import Tag
from lifeboat.restore.machine.history import restore_id
from lifeboat.restore.preflight.consent import check_consent, warn_of_other_volumes
from lifeboat.restore.preflight.facts import PreflightFacts
from lifeboat.restore.preflight.findings import Report
from lifeboat.restore.preflight.instance import find_cloudformation_stack, find_crossings, list_stop_losses
from lifeboat.restore.preflight.matching import match_volumes
from lifeboat.restore.preflight.platform_version import compare_with_target
from lifeboat.restore.preflight.source import Source
from lifeboat.restore.preflight.volumes import check_volume, plan_fetch, plan_restored_volume
from lifeboat.restore.record import Direction, Restore, RestoreStep
from lifeboat.restore.request import RestoreRequest


def draft_plan(  # noqa: PLR0917 - the request, the facts, the report
    request: RestoreRequest,
    facts: PreflightFacts,
    instance: Instance,
    source: Source,
    now: datetime,
    report: Report,
) -> Restore | None:
    """The restore as planned, or None if a volume cannot be planned. Findings may still refuse it."""
    pairs = match_volumes(request, facts, instance, source, report)
    check_consent(facts, instance, pairs, report)
    volumes = []
    for member, device, displaced in pairs:
        volume = plan_restored_volume(request.volume, facts, instance.zone, (member, device, displaced))
        if source.region:
            try:
                volume = plan_fetch(volume, member, source, request, facts, now)
            except MetadataError as problem:
                report.refuse("too-many-tags", "recovery_point", str(problem))
                continue
        check_volume(volume, member, request.volume, facts, report)
        volumes.append(volume)
    if len(volumes) != len(source.members):
        return None
    warn_of_other_volumes(instance, pairs, report)
    point = source.point
    older = compare_with_target(source, facts, instance).result is Comparison.OLDER
    return Restore(
        id=restore_id(request.request_id),
        request_id=request.request_id,
        instance_id=instance.id,
        recovery_point_id=source.id,
        volumes=tuple(volumes),
        started_at=now,
        step_since=now,
        direction=Direction.FORWARD,
        step=RestoreStep.COPIES if source.region else RestoreStep.VOLUMES,
        was_running=instance.state == "running",
        start=request.start,
        requested_by=request.requested_by,
        reason=request.reason,
        ami_override=request.ami_override_reason if facts.ami.verdict is not Trust.TRUSTED or older else None,
        source_instance_id=point.instance_id if point else source.members[0].snapshot.tags.get(Tag.INSTANCE, ""),
        source_name=(point.instance_name if point else source.members[0].snapshot.tags.get(Tag.INSTANCE_NAME, "")),
        crossed=find_crossings(facts, instance, source),
        cloudformation_stack=find_cloudformation_stack(instance, pairs),
        stop_takes=tuple(phrase for _, phrase in list_stop_losses(facts, instance)),
    )
