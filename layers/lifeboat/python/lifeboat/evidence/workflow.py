"""Guard the evidence bucket: read its settings, count its versions, judge, and publish what has changed.

One invocation at a time does it. A listing that takes longer goes on in the next one, from its checkpoint. Nothing here
writes to the bucket. The same listing writes the manifest, into a bucket of the stack's own.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from lifeboat.aws import clock, evidence_bucket
from lifeboat.aws.errors import AwsError
from lifeboat.aws.evidence_bucket import NO_BUCKET, REFUSED
from lifeboat.aws.invocation import Invocation
from lifeboat.domain.evidence import NotRead
from lifeboat.domain.text import iso
from lifeboat.evidence import messages, store
from lifeboat.evidence.commands import Place
from lifeboat.evidence.compare_workflow import compare_manifests
from lifeboat.evidence.expiry import Tally
from lifeboat.evidence.findings import Finding, judge, judge_missing, judge_region, judge_unseen
from lifeboat.evidence.listing_workflow import count_versions
from lifeboat.evidence.manifest_workflow import answer_of, judge_manifest, prune_manifests
from lifeboat.evidence.record import compare
from lifeboat.evidence.request import CompareManifests, ContinueGuard, GuardRequest

LISTING = "the listing goes on in the next reconcile run, and EvidenceAtRisk reports what it finds"


def run(request: GuardRequest | ContinueGuard | CompareManifests, invocation: Invocation) -> dict[str, Any]:
    """Judge the bucket, or go on where the last invocation was cut off, or compare manifests.

    Raises BadRequest, and AwsError for what passes.
    """
    if isinstance(request, CompareManifests):
        return compare_manifests(request, invocation)
    table, bucket, now = invocation.config.table, invocation.config.evidence_bucket, clock.now()
    if isinstance(request, GuardRequest):
        store.open_guard(table, bucket, now)
    elif not store.is_open(table, bucket):
        return {}
    until = invocation.ends + timedelta(seconds=1)
    if not store.become_guard(table, invocation.lease, now=now, until=until):
        return {"waits_for": "the invocation that judges now, or the next reconcile run"}
    try:
        return _guard(invocation)
    finally:
        store.cease_guarding(table)


def _guard(invocation: Invocation) -> dict[str, Any]:
    bucket = invocation.config.evidence_bucket
    place, region_refused = _find_place(invocation)
    if isinstance(place, Finding):
        return _publish_and_close((place,), None, invocation)
    settings = evidence_bucket.read_settings(bucket, account=place.account)
    rules = settings.lifecycle if isinstance(settings.lifecycle, tuple) else ()
    try:
        listed = count_versions(bucket, rules, invocation)
    except AwsError as problem:
        if problem.passes or problem.code == NO_BUCKET:
            raise
        unseen = judge(settings, NotRead(str(problem)), place, region_refused=region_refused)
        return _publish_and_close(unseen, None, invocation)
    if listed is None:
        return {"bucket": bucket, "waits_for": LISTING}
    found = judge(settings, listed.tally, place, region_refused=region_refused)
    if listed.written is None:
        return _publish_and_close(found, listed.tally, invocation)
    answer = _publish_and_close((*found, *judge_manifest(listed.written)), listed.tally, invocation)
    prune_manifests(invocation)
    return {**answer, **answer_of(listed.written)}


def _find_place(invocation: Invocation) -> tuple[Place | Finding, str]:
    """Where the bucket is, or why it is not guarded; and AWS's words, if it does not say. Raises AwsError for what
    passes.

    If S3 refuses to say where the bucket is, it may still show the settings.
    """
    config, refused = invocation.config, ""
    bucket, account, region = config.evidence_bucket, config.account, config.region
    try:
        region = evidence_bucket.find_region(bucket, account=account)
    except AwsError as problem:
        if problem.passes:
            raise
        if problem.code == NO_BUCKET:
            return judge_missing(bucket), ""
        if problem.code not in REFUSED:
            return judge_unseen(bucket, account, str(problem)), ""
        refused = str(problem)
    if region != config.region:
        return judge_region(bucket, region, config.region), ""
    copy_region = config.copy_to[0].region if config.copy_to else region
    return Place(bucket, region, account, config.partition, copy_region), refused


def _publish_and_close(findings: tuple[Finding, ...], counted: Tally | None, invocation: Invocation) -> dict[str, Any]:
    """Publish a change once, note what is known now, and answer with all findings. Raises Overtaken."""
    table, bucket, now = invocation.config.table, invocation.config.evidence_bucket, clock.now()
    record = store.find_record(table, bucket)
    change = compare(record, findings, now)
    if change.new or change.gone:
        build = messages.evidence_at_risk if change.new else messages.evidence_risk_removed
        message = build(**invocation.stamp(), bucket=bucket, findings=findings, change=change, tally=counted)
        if not invocation.publish_once("published-evidence", f"{bucket} {record.version} {change.key}", message):
            return {"bucket": bucket, "waits_for": "the invocation that publishes now, or the next reconcile run"}
    store.save_risks(table, bucket, record, change.risks, now)
    store.close_guard(table, bucket)
    return {
        "bucket": bucket,
        "findings": [_describe(item) for item in findings],
        # Once for all that they mend: Lambda takes an answer of 6 MB.
        "commands": [
            {"mends": [messages.label(item) for item in mended], "run": list(lines)}
            for lines, mended in messages.by_commands(findings).items()
        ],
        "new": [messages.label(item) for item in change.new],
        "gone": [messages.label(item) for item in change.gone],
        **(messages.count_facts(counted) if counted else {}),
    }


def _describe(finding: Finding) -> dict[str, Any]:
    return {
        "risk": finding.risk,
        "subject": finding.subject,
        "critical": finding.critical,
        "text": finding.text,
        "at": iso(finding.at) if finding.at else "",
    }
