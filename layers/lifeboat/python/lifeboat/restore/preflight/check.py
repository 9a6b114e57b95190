"""Pre-flight, all checks: find everything that forbids a restore before it touches anything, in one answer.

Lifeboat does not guess. Where a request fits several recovery points, lineages or volumes, it is refused and the
findings list them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from lifeboat.domain.data_volumes import root_problem
from lifeboat.restore.preflight.draft import draft_plan
from lifeboat.restore.preflight.facts import Finding, Preflight, PreflightFacts, Severity
from lifeboat.restore.preflight.findings import Report, whole
from lifeboat.restore.preflight.instance import check_instance
from lifeboat.restore.preflight.platform_version import check_platform
from lifeboat.restore.preflight.proof import check_proof
from lifeboat.restore.preflight.request import check_request
from lifeboat.restore.preflight.selection import choose_source, warn_of_unread_places
from lifeboat.restore.preflight.source import check_source
from lifeboat.restore.preflight.summary import describe_data
from lifeboat.restore.record import Restore, RestoreVolume
from lifeboat.restore.request import RestoreRequest


def preflight(request: RestoreRequest, facts: PreflightFacts, now: datetime) -> Preflight:
    """Check a request against the observed facts. The answer has every finding, and the plan if none refuses."""
    report = Report()
    check_request(request, report)
    if facts.instance is not None:
        check_instance(request, facts, facts.instance, now, report)
    else:
        report.refuse(
            "no-instance",
            "instance_id",
            f"instance_id is {request.instance_id}, expected an instance that exists in {facts.region}",
        )
    source = choose_source(request, facts, report)
    warn_of_unread_places(facts, report)
    known: list[str] = []
    data = describe_data(source, now) if source else ""
    if source:
        check_source(source, facts, report)
        known.append(check_proof(source, facts, report))
    if source and facts.instance:
        known.append(check_platform(request, facts, facts.instance, source, report))
    draft = None
    if facts.instance is not None and source is not None and not root_problem(facts.instance):
        draft = draft_plan(request, facts, facts.instance, source, now, report)
    for action, said in sorted(facts.dry_runs.items()):
        if said:
            report.refuse("not-allowed", "recovery_point", f"{action} would be refused: {said}")
    findings = _choose(report.findings)
    plan = None if any(item.severity is Severity.REFUSE for item in findings) else draft
    name = facts.instance.name if facts.instance else ""
    return Preflight(findings, plan, _describe_plan(request, findings, plan, known, data), draft, name)


def _choose(found: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings that matter now, those that refuse first. While another restore is open, that one alone: what it
    changes decides the others."""
    of_open = tuple(item for item in found if item.code == "restore-open")
    return of_open or tuple(sorted(found, key=lambda item: item.severity is not Severity.REFUSE))


def _describe_plan(
    request: RestoreRequest, findings: tuple[Finding, ...], plan: Restore | None, known: list[str], data: str
) -> str:
    lines = []
    if plan:
        lines.append(f"{data}.")
        lines.append(f"Restore {plan.recovery_point_id} onto {plan.instance_id} as {plan.id}:")
        warned = {item.sentence for item in findings}
        lines += [f"- {said}" for said in known if whole(said) not in warned]
        for volume in plan.volumes:
            if volume.fetch:
                lines.append(
                    f"- copy {volume.snapshot_id} from {volume.fetch.call.origin}, unless a copy is here or under way; "
                    f"this may take hours, and {plan.instance_id} is not touched meanwhile"
                )
        for volume in plan.volumes:
            of = f"the copy of {volume.snapshot_id}" if volume.fetch else volume.snapshot_id
            lines.append(f"- create {_describe_volume(volume)} of {of} in {volume.zone}")
        lines.append("- only when all are available: " + _describe_stop(plan))
        for volume in plan.volumes:
            off = (
                f"detach {volume.displaced_volume_id} from {volume.device} and keep it; "
                if volume.displaced_volume_id
                else ""
            )
            flag = str(volume.displaced_delete_on_termination).lower()
            lines.append(f"- {off}attach the new volume at {volume.device}, DeleteOnTermination {flag}")
        if plan.shall_run:
            lines.append(f"- start {plan.instance_id}, and verify that it keeps running and its status checks pass")
        else:
            lines.append(f"- leave {plan.instance_id} stopped")
        lines.append(f"If a step fails, everything is put back as before{_describe_stop_loss(plan)}.")
    else:
        lines.append(f"The restore onto {request.instance_id} is refused; nothing was touched.")
        if data:
            lines.append(f"The data: {data}.")
    lines += [f"{item.severity.upper()} {item.code}: {item.sentence}" for item in findings]
    return "\n".join(lines)


def _describe_stop(plan: Restore) -> str:
    return f"stop {plan.instance_id}" if plan.was_running else f"{plan.instance_id} is stopped already"


def _describe_stop_loss(plan: Restore) -> str:
    if not plan.was_running or not plan.stop_takes:
        return ""
    return f", except for what the stop removes permanently: {'; '.join(plan.stop_takes)}"


def _describe_volume(volume: RestoreVolume) -> str:
    parts = [f"a {volume.size} GiB {volume.type} volume"]
    if volume.iops is not None:
        parts.append(f"{volume.iops} IOPS")
    if volume.throughput is not None:
        parts.append(f"{volume.throughput} MiB/s")
    if volume.encrypted:
        parts.append(f"encrypted with {volume.kms_key_id or 'the default key'}")
    else:
        parts.append("not encrypted")
    return ", ".join(parts)
