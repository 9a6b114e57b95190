"""The answer of show_status as JSON. docs/reference/status.md has every field."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from lifeboat.backup.overdue import Overdue
from lifeboat.domain.message import listed
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.text import iso, one_line
from lifeboat.restore.machine.deadlines import Deadlines
from lifeboat.restore.record import Direction, Restore, RestoreState
from lifeboat.restore.report import outcome
from lifeboat.retention.record import RetentionRun
from lifeboat.status.attention import LISTED, Late, Need, Place, quote_id
from lifeboat.status.forecast import Forecast
from lifeboat.status.places import Places
from lifeboat.status.protection import InstanceView, Kept, LineageView


def describe_point(point: RecoveryPoint, places: Places, now: datetime) -> dict[str, Any]:
    """One recovery point, with its age, its state, and where else it is."""
    proof = point.proof
    return {
        "id": point.id,
        "instance_id": point.instance_id,
        "name": point.instance_name,
        "condition": point.condition.value,
        "slot": iso(point.slot),
        "taken_at": iso(point.taken_at),
        "age_seconds": _seconds(point.taken_at, now),
        "late": point.late,
        "gib": point.size,
        "lineages": list(point.lineages),
        "snapshots": {member.snapshot.id: member.metadata.device for member in point.members},
        "verified": proof.result.value if proof else "no",
        "verified_level": proof.level.value if proof else None,
        "verified_at": iso(proof.at) if proof else None,
        "suspected": point.suspected,
        "held": point.held,
        "locked": places.is_locked(point),
        "copies": places.copies(point),
        "shared_with_vault": places.is_shared(point),
    }


def describe_instance(
    view: InstanceView, places: Places, now: datetime, restore: Restore | None, forecast: Forecast | None
) -> dict[str, Any]:
    """One instance: how it stands, its lineages, and in full the recovery points that the lineages name."""
    named = {point.id: point for point in view.named()}
    newest_first = sorted(named.values(), key=lambda point: (point.taken_at, point.id), reverse=True)
    return {
        "instance_id": view.id,
        "name": view.name,
        "state": view.state,
        "standing": view.standing.value,
        "protected_since": iso(view.since) if view.since else None,
        "problem": one_line(view.problem),
        "restore": restore.id if restore else None,
        "lineages": [_describe_lineage(item, now) for item in view.lineages],
        "recovery_points": [describe_point(point, places, now) for point in newest_first],
        "retention": _describe_forecast(forecast) if forecast else None,
    }


def _describe_forecast(forecast: Forecast) -> dict[str, Any]:
    going = forecast.going
    described = [
        {"recovery_point": item.point_id, "at": iso(item.at), "why": [one_line(reason) for reason in item.reasons]}
        for item in going or ()
    ]
    return {
        "policy": forecast.policy,
        "problem": one_line(forecast.problem),
        **(list_first(described, "next_deletions") if going is not None else {"next_deletions": None}),
    }


def describe_run(run: RetentionRun) -> dict[str, Any]:
    """One run of retention."""
    return {**asdict(run), "at": iso(run.at)}


def _describe_lineage(item: LineageView, now: datetime) -> dict[str, Any]:
    kept: Kept = item.kept
    return {
        "lineage": item.lineage,
        "volume_id": item.volume_id,
        "device": item.device,
        "good": kept.good,
        "newest": kept.newest.id if kept.newest else None,
        "age_seconds": _seconds(kept.newest.taken_at, now) if kept.newest else None,
        "ages_seconds": [_seconds(taken_at, now) for taken_at in reversed(kept.taken)],
        "newest_proven": kept.proven.id if kept.proven else None,
        "proven_age_seconds": _seconds(kept.proven.taken_at, now) if kept.proven else None,
        "pending": kept.pending.id if kept.pending else None,
    }


def describe_late(item: Late, name: str) -> dict[str, Any]:
    """One overdue instance."""
    late: Overdue = item.overdue
    newest = late.oldest.newest
    return {
        "instance_id": late.instance_id,
        "name": name,
        "volumes": [age.of.volume_id for age in late.volumes if age.of.volume_id],
        "expected_slot": iso(late.expected),
        "newest": newest.recovery_point_id if newest else None,
        "age_seconds": int(late.oldest.age.total_seconds()),
        "protected_since": iso(late.oldest.of.since),
        "why": one_line(item.why),
    }


def describe_restore(restore: Restore, deadlines: Deadlines, place: Place) -> dict[str, Any]:
    """A restore as its messages describe it, with its next steps and the time that its step still has.

    A roll-back repeats what it does until it succeeds, so only a restore that goes forward has a time left.
    """
    if restore.closed and restore.timeline:  # it took until its last entry
        place = replace(place, now=restore.timeline[-1].at)
    found = outcome(restore, place.now, place.region, place.account, place.tag)
    quoted = replace(restore, recovery_point_id=quote_id(restore.recovery_point_id))
    steps = outcome(quoted, place.now, place.region, place.account, place.tag).next_steps
    forward = restore.status is RestoreState.OPEN and restore.direction is Direction.FORWARD
    left = restore.step_since + deadlines.of(restore.step) - place.now if forward else None
    facts = {key: value for key, value in found.details.items() if key not in ("ended_at", "region", "account")}
    return {
        **facts,
        "step_since": iso(restore.step_since),
        "step_seconds_left": max(0, int(left.total_seconds())) if left is not None else None,
        "asked": restore.asked,
        "refused": restore.refused,
        "next_steps": [one_line(step) for step in steps],
    }


def describe_need(need: Need, names: Mapping[str, str], place: Place) -> dict[str, Any]:
    """What needs a person, and the request that may follow: for a program, and as a command. Sentences are one line."""
    event = dict(need.event)
    command = (
        f"sam remote invoke {need.function} --stack-name {place.stack} --region {place.region} "
        f"--event '{json.dumps(event)}'"
    )
    return {
        "event": need.event_name,
        "severity": need.severity,
        "subject": dict(need.subject),
        "name": names.get(need.subject.get("instance_id", ""), ""),
        "summary": one_line(need.summary),
        "next_steps": [one_line(step) for step in need.next_steps],
        "request": {"function": need.function, "event": event} if need.function else None,
        "command": command if need.function else None,
    }


def list_first(items: Sequence[Any], key: str, count: int | None = None) -> dict[str, Any]:
    """The first LISTED entries under `key`, and how many more there are, if any."""
    return listed(items, key, count, most=LISTED)


def summarize(counts: Mapping[str, int], restores: Iterable[Restore]) -> str:
    """What a person asks first, in short sentences of numbers and ids."""
    protected, overdue = counts["instances"], counts["overdue"]
    sentences = [
        f"{protected} instance{' is' if protected == 1 else 's are'} protected.",
        "No backup is overdue." if not overdue else f"{overdue} instance{' is' if overdue == 1 else 's are'} overdue.",
    ]
    sentences += [
        f"The restore {item.id} onto {item.instance_id} is at the step {item.step}, {item.direction}."
        for item in restores
    ]
    needed = counts["needs_a_person"]
    sentences.append(f"Needs a person: {needed}." if needed else "Nothing needs a person.")
    return " ".join(sentences)


def _seconds(since: datetime, now: datetime) -> int:
    return int((now - since).total_seconds())
