"""Plan restore drills: which recovery points to rehearse, in which zones, and which drills to start now."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from lifeboat.domain.recovery_point import Condition, RecoveryPoint
from lifeboat.domain.tags import Tag, Tags
from lifeboat.restore.preflight.volumes import EncryptionSettings, plan_restored_volume
from lifeboat.restore.record import Restore, RestoreVolume
from lifeboat.restore.request import VolumeOverrides
from lifeboat.verify.drill_record import FAILED, SUSPECT, Drill, DrillState

MAX_VOLUMES = 4
"""Volumes of all drills at one time. Drills share the account's quota of GiB and EC2's rate of CreateVolume (5 a
second, 100 at once) with restores, and are to leave nearly all of both. A larger recovery point is rehearsed alone."""

MAX_WAIT = timedelta(days=1)
"""How long a drill waits for its turn or for the end of a restore. A weekly drill is over before the next one."""


MOST_OPENED = 500
"""Drills that one run opens. Even if each takes ten minutes, all begin within MAX_WAIT. Few documents are read at each
event of a volume. In a larger stack, those whose last drill is longest ago have their turn."""


@dataclass(frozen=True, slots=True)
class LastDrill:
    """What is remembered of the last drill of a lineage: its run, the zone it was in, and when it ended."""

    run: str
    zone: str
    at: datetime | None = None


def newest_points(points: Iterable[RecoveryPoint]) -> dict[str, RecoveryPoint]:
    """The newest good recovery point of each lineage, in this region and account."""
    newest: dict[str, RecoveryPoint] = {}
    for point in sorted(points, key=lambda item: (item.taken_at, item.id)):
        if point.condition is Condition.GOOD and not point.region:
            newest.update(dict.fromkeys(point.lineages, point))
    return newest


def choose_points(newest: Mapping[str, RecoveryPoint], only: str | None = None) -> dict[str, RecoveryPoint]:
    """Each recovery point to rehearse once, under the first of the lineages whose newest it is.

    A set of several volumes is one drill, as it is one restore. A lineage that the newest set does not have any more
    has an older newest one. `only`: nothing but the newest recovery point of this lineage, under the same name.
    """
    chosen: dict[str, RecoveryPoint] = {}
    known: set[tuple[str, datetime]] = set()
    for lineage, point in sorted(newest.items()):
        if (point.id, point.taken_at) not in known:
            known.add((point.id, point.taken_at))
            chosen[lineage] = point
    return chosen if only is None else {name: point for name, point in chosen.items() if point == newest[only]}


def plan_drills(
    chosen: Mapping[str, RecoveryPoint],
    *,
    run: str,
    zones: Sequence[str],
    last: Mapping[str, LastDrill],
    settings: EncryptionSettings,
    stack: str,
    now: datetime,
) -> list[Drill]:
    """A drill for each recovery point, in the next zone of its lineage, for at most MOST_OPENED.

    None for what this run has done already.
    """
    done = [lineage for lineage in chosen if lineage in last and last[lineage].run == run]
    longest_ago = sorted(chosen.keys() - set(done), key=lambda lineage: (_ended_at(last.get(lineage)), lineage))
    drills = []
    for lineage in longest_ago[: max(0, MOST_OPENED - len(done))]:
        point, before = chosen[lineage], last.get(lineage)
        drill_id = f"drill-{hashlib.sha256(f'{run} {lineage}'.encode()).hexdigest()[:16]}"
        zone = next_zone(zones, before.zone if before else "", point.zone)
        drills.append(
            Drill(
                id=drill_id,
                run=run,
                lineage=lineage,
                recovery_point_id=point.id,
                taken_at=point.taken_at,
                instance_id=point.instance_id,
                instance_name=point.instance_name,
                lineages=point.lineages,
                zone=zone,
                volumes=_plan_volumes(point, zone, settings, {Tag.DRILL.value: drill_id, Tag.STACK.value: stack}),
                requested_at=now,
                since=now,
                verification=_describe_verification(point),
            )
        )
    return drills


def _describe_verification(point: RecoveryPoint) -> str:
    if point.suspected:
        return SUSPECT
    return "proven" if point.proven else FAILED if point.proof else "not proven"


def _ended_at(last: LastDrill | None) -> datetime:
    return last.at if last and last.at else datetime.min.replace(tzinfo=UTC)


def _plan_volumes(
    point: RecoveryPoint, zone: str, settings: EncryptionSettings, marks: Tags
) -> tuple[RestoreVolume, ...]:
    """The volumes as a restore would create them, with these tags in the place of a restore's two.

    So no restore takes one for its own, and retention does not take one for the volume of its lineage.
    """
    as_restored = (
        plan_restored_volume(VolumeOverrides(), settings, zone, (member, member.metadata.device, None))
        for member in point.members
    )
    return tuple(replace(volume, tags={**volume.tags, **marks}) for volume in as_restored)


def next_zone(zones: Sequence[str], last: str, own: str) -> str:
    """The zone after the last one, in turn. The first drill is in the instance's own zone, if volumes can be there.

    Raises ValueError without zones.
    """
    if not zones:
        raise ValueError("EC2 shows no availability zone, expected at least one")
    if not last:
        return own if own in zones else zones[0]
    return next((zone for zone in zones if zone > last), zones[0])


def find_open_restore(drill: Drill, restores: Iterable[Restore]) -> str:
    """Why a drill must not go on: an open restore of its instance or of its data. Empty if there is none."""
    for restore in restores:
        same = drill.instance_id in {restore.instance_id, restore.source_instance_id}
        if same or set(drill.lineages) & {volume.lineage for volume in restore.volumes}:
            return f"{restore.id} is open"
    return ""


def choose_to_start(drills: Collection[Drill], blocked: Collection[str]) -> list[Drill]:
    """The waiting drills to start now, oldest first: as many as MAX_VOLUMES leaves, but at least one at a time.

    `blocked` are the ids of those that an open restore keeps waiting.
    """
    room = MAX_VOLUMES - sum(len(drill.volumes) for drill in drills if drill.holds_volumes)
    chosen: list[Drill] = []
    for drill in sorted(drills, key=lambda item: (item.requested_at, item.lineage)):
        if drill.state is not DrillState.WAITING or drill.id in blocked:
            continue
        if len(drill.volumes) > room and room < MAX_VOLUMES:
            break  # a large one is not overtaken for ever
        chosen.append(drill)
        room -= len(drill.volumes)
    return chosen


def waited_too_long(drill: Drill, why: str, now: datetime) -> str:
    """Why a waiting drill fails without a volume. Empty while it may still wait."""
    if drill.state is not DrillState.WAITING or now - drill.requested_at <= MAX_WAIT:
        return ""
    hours = int(MAX_WAIT.total_seconds() // 3600)
    return f"it could not begin within {hours} hours: {why or 'other drills were in front of it'}"
