"""Pre-flight: everything that can be known before a restore touches anything, in one answer.

Nothing is guessed. Which recovery point, which line of data, which volume gives way: where more than one could be
meant, the restore is refused and they are listed.
"""

from __future__ import annotations

from datetime import datetime

from lifeboat.domain.data_volumes import root_problem
from lifeboat.restore.preflight.draft import draft_plan
from lifeboat.restore.preflight.facts import Finding, Preflight, PreflightFacts, Severity
from lifeboat.restore.preflight.findings import Report
from lifeboat.restore.preflight.instance import check_instance
from lifeboat.restore.preflight.request import check_request
from lifeboat.restore.preflight.selection import choose_source, warn_of_unread_places
from lifeboat.restore.preflight.source import check_source
from lifeboat.restore.record import Restore, RestoreVolume
from lifeboat.restore.request import RestoreRequest


def preflight(request: RestoreRequest, facts: PreflightFacts, now: datetime) -> Preflight:
    """Check a request against everything known. Every finding is there, not the first only."""
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
    if source:
        check_source(source, facts, report)
    draft = None
    if facts.instance is not None and source is not None and not root_problem(facts.instance):
        draft = draft_plan(request, facts, facts.instance, source, now, report)
    for action, said in sorted(facts.dry_runs.items()):
        if said:
            report.refuse("not-allowed", action, f"{action} would be refused: {said}")
    findings = tuple(sorted(report.findings, key=lambda item: item.severity is not Severity.REFUSE))
    plan = None if any(item.severity is Severity.REFUSE for item in findings) else draft
    return Preflight(findings, plan, _text(request, findings, plan), draft)


def _text(request: RestoreRequest, findings: tuple[Finding, ...], plan: Restore | None) -> str:
    lines = []
    if plan:
        lines.append(f"Restore {plan.recovery_point_id} onto {plan.instance_id} as {plan.id}:")
        for volume in plan.volumes:
            if volume.fetch:
                lines.append(
                    f"- copy {volume.snapshot_id} from {volume.fetch.call.origin}, which takes its time, unless a copy "
                    f"is here or on its way; {plan.instance_id} is not touched meanwhile"
                )
        for volume in plan.volumes:
            of = f"the copy of {volume.snapshot_id}" if volume.fetch else volume.snapshot_id
            lines.append(f"- make {_described(volume)} of {of} in {volume.zone}")
        lines.append("- only when all are available: " + _swap_text(plan))
        for volume in plan.volumes:
            off = (
                f"take {volume.displaced_volume_id} off {volume.device} and keep it; "
                if volume.displaced_volume_id
                else ""
            )
            flag = str(volume.displaced_delete_on_termination).lower()
            lines.append(f"- {off}attach the new volume at {volume.device}, DeleteOnTermination {flag}")
        if plan.shall_run:
            lines.append(f"- start {plan.instance_id}, see it run and keep running, and its status checks pass")
        else:
            lines.append(f"- leave {plan.instance_id} stopped")
        lines.append(f"If a step fails, everything is put back as it was{_except(plan)}.")
    else:
        lines.append(f"The restore onto {request.instance_id} is refused; nothing was touched.")
    lines += [f"{item.severity.upper()} {item.code}: {item.sentence}" for item in findings]
    return "\n".join(lines)


def _swap_text(plan: Restore) -> str:
    return f"stop {plan.instance_id}" if plan.was_running else f"{plan.instance_id} is stopped already"


def _except(plan: Restore) -> str:
    if not plan.was_running or not plan.stop_takes:
        return ""
    return f", except for what the stop takes for good: {'; '.join(plan.stop_takes)}"


def _described(volume: RestoreVolume) -> str:
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
