"""Rehearse restores: open a drill for each recovery point, advance the open ones, and delete what was left behind.

`verify/drill.py` decides each step. The record is saved before each action, and only if no other invocation has moved
it. So Lambda may end an invocation at any point: the next event or reconcile run continues from what EC2 shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

from aws_lambda_powertools import Logger

from lifeboat.aws import (
    clock,
    ebs_direct,
    ec2_calls,
    ec2_describe,
    ec2_snapshots,
    ec2_volumes,
    ec2_zones,
    metrics,
    wakes,
)
from lifeboat.aws.ec2_describe import LAST_CHARACTERS
from lifeboat.aws.errors import AwsError, translated
from lifeboat.aws.invocation import Invocation
from lifeboat.aws.table import Overtaken
from lifeboat.domain.bad_request import BadRequest, shown
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.ec2 import Volume
from lifeboat.domain.ec2_calls import CreateVolume, DeleteVolume
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.tags import Tag
from lifeboat.domain.text import iso
from lifeboat.restore import store as restores
from lifeboat.restore.machine.deadlines import Deadlines
from lifeboat.verify import drill_messages, drill_store
from lifeboat.verify.drill import (
    Complete,
    ReadBlocks,
    Requeue,
    after_refusal,
    after_unread,
    begin,
    fail,
    find_leftovers,
    next_step,
)
from lifeboat.verify.drill_plan import (
    choose_points,
    choose_to_start,
    find_open_restore,
    newest_points,
    plan_drills,
    waited_too_long,
)
from lifeboat.verify.drill_record import Drill, DrillState
from lifeboat.verify.drill_request import AdvanceDrills, DrillRequest, VolumeChanged

RUN_SECONDS = 300
"""The time between two reconcile runs while a drill is open."""

SNAPSHOTS_HELD = 20_000
"""How many snapshots are held in memory at once, as in a retention run."""


@cache
def _logger() -> Logger:
    """Made at first use, because a logger reads the function's environment."""
    return Logger(child=True)


def run(request: DrillRequest | AdvanceDrills | VolumeChanged, invocation: Invocation) -> dict[str, Any]:
    """Open the drills of a request, or advance the open ones.

    Raises AwsError, BadRequest for an unknown lineage, and RuntimeError after all drills were tried, if some of them
    could not be observed or published.
    """
    table = invocation.config.table
    if isinstance(request, VolumeChanged):
        return _advance_all(invocation) if drill_store.open_drills(table) else {}
    if isinstance(request, DrillRequest):
        opened = _open(request, invocation)
        return {"opened": opened, **_advance_all(invocation)}
    # Observed before the table is read: the record of a drill is always written before its first volume.
    made = ec2_volumes.volumes_of_drills(invocation.config.stack)
    deleted = _delete_leftovers(made, invocation)
    return {**_advance_all(invocation), "deleted": deleted}


def _open(request: DrillRequest, invocation: Invocation) -> list[str]:
    """Record a drill for each recovery point to rehearse, unless one of its lineage is open. Returns their ids."""
    config = invocation.config
    newest = _observe_newest(config.stack)
    if request.lineage is not None and request.lineage not in newest:
        raise BadRequest(
            f"lineage is {shown(request.lineage)}, expected one with a good recovery point of this stack in "
            f"{config.region}"
        )
    chosen = choose_points(newest, request.lineage)
    drills = plan_drills(
        chosen,
        run=iso(request.slot) if request.slot else invocation.lease,
        zones=ec2_zones.available_zones() if chosen else (),
        last=drill_store.last_drills(config.table),
        settings=config,
        stack=config.stack,
        now=clock.now(),
    )
    return [drill.id for drill in drills if drill_store.open_drill(config.table, drill)]


def _observe_newest(stack: str) -> dict[str, RecoveryPoint]:
    """The newest good recovery point of each lineage. Very many snapshots are read in parts, to bound memory."""
    try:
        return _newest_of(ec2_snapshots.recovery_point_snapshots_of(stack, {}, most=SNAPSHOTS_HELD))
    except ec2_describe.TooMany:
        found: list[RecoveryPoint] = []
        for character in LAST_CHARACTERS:
            ending = {f"tag:{Tag.INSTANCE}": [f"*{character}"]}
            found += _newest_of(ec2_snapshots.recovery_point_snapshots_of(stack, ending)).values()
        return newest_points(found)


def _newest_of(snapshots: Iterable[Any]) -> dict[str, RecoveryPoint]:
    return newest_points(read_catalogue(snapshots).points)


# --- advancing


def _advance_all(invocation: Invocation) -> dict[str, Any]:
    """Advance the open drills, and start waiting ones as room permits. Returns how they stand, and how many wait."""
    deadlines = replace(Deadlines(), **invocation.config.deadlines)
    drills = {drill.id: drill for drill in drill_store.open_drills(invocation.config.table)}
    if drills:  # before the work, so that a run that is cut short is followed by another
        wakes.wake_while_open("drill-restores", invocation, RUN_SECONDS)
    blocked = _observe_blocked(drills.values(), invocation) if drills else {}
    failed: list[str] = []

    def advance(drill: Drill) -> None:
        try:
            with translated():  # the table and the topic raise botocore's own errors
                drills[drill.id] = _advance(drill, blocked.get(drill.id, ""), deadlines, invocation)
        except AwsError as problem:  # the other drills go on
            failed.append(f"{drill.id}: {problem}")

    for drill in list(drills.values()):
        if drill.holds_volumes:
            advance(drill)
        elif why := waited_too_long(drill, blocked.get(drill.id, ""), clock.now()):
            advance(fail(drill, why, clock.now()))
    for drill in choose_to_start(drills.values(), blocked):
        advance(begin(drill, clock.now()))
    if failed:
        raise RuntimeError("; ".join(failed))
    waiting = [drill for drill in drills.values() if drill.state is DrillState.WAITING]
    return {
        "drills": [_describe(drill) for drill in drills.values() if drill not in waiting],
        "waiting": len(waiting),
    }


def _observe_blocked(drills: Iterable[Drill], invocation: Invocation) -> dict[str, str]:
    """The drills that must not go on because of an open restore, each with the reason."""
    opened = restores.open_by_instance(invocation.config.table).values()
    found = {drill.id: find_open_restore(drill, opened) for drill in drills}
    return {drill_id: why for drill_id, why in found.items() if why}


def _advance(drill: Drill, blocked: str, deadlines: Deadlines, invocation: Invocation) -> Drill:
    """Take steps until the drill has to wait for EC2, or is over. Raises AwsError and ClientError."""
    table = invocation.config.table
    try:
        while True:
            step = next_step(drill, _observe(drill, invocation), clock.now(), deadlines, blocked=blocked)
            if step.drill is not drill:
                drill = drill_store.save_drill(table, step.drill)
            match step.action:
                case Requeue():
                    return drill
                case Complete():
                    return _publish_and_close(drill, invocation)
                case ReadBlocks():
                    drill = drill_store.save_drill(table, _read_blocks(drill, step.action))
                    if not (drill.read or drill.failure):
                        return drill
                case CreateVolume() | DeleteVolume():
                    drill = _perform(drill, step.action, invocation)
    except Overtaken:
        return drill


def _observe(drill: Drill, invocation: Invocation) -> dict[str, Volume]:
    made = ec2_volumes.volumes_of_drills(invocation.config.stack)
    return {volume_id: volume for volume_id, volume in made.items() if volume.tags.get(Tag.DRILL) == drill.id}


def _perform(drill: Drill, action: CreateVolume | DeleteVolume, invocation: Invocation) -> Drill:
    try:
        ec2_calls.perform(action)
    except AwsError as problem:
        after = after_refusal(drill, action, problem.code, str(problem), clock.now(), passes=problem.passes)
        return drill if after is drill else drill_store.save_drill(invocation.config.table, after)
    return drill


def _read_blocks(drill: Drill, action: ReadBlocks) -> Drill:
    """The record after the first written block of each snapshot was read, or one could not be read.

    That the rest is readable is what verify_snapshots shows. Raises nothing.
    """
    for snapshot_id in action.snapshot_ids:
        try:
            ask = partial(ebs_direct.list_blocks, snapshot_id, 0, ebs_direct.LEAST_PAGE, None)
            page = ebs_direct.first_not_empty(ask)
            for index, token in list(page.tokens.items())[:1]:  # a snapshot of an empty volume has no block
                ebs_direct.read_block(snapshot_id, index, token)
        except ebs_direct.WrongChecksumError as problem:
            return fail(drill, str(problem), clock.now())
        except AwsError as problem:
            return after_unread(drill, snapshot_id, problem.code, str(problem), clock.now(), passes=problem.passes)
    return replace(drill, read=True)


def _publish_and_close(drill: Drill, invocation: Invocation) -> Drill:
    """Publish the outcome once, then close the record. A drill that is not published stays open and is retried."""
    if drill.failure:
        message = drill_messages.drill_failed(**invocation.stamp(), drill=drill)
    else:
        message = drill_messages.drill_passed(**invocation.stamp(), drill=drill)
    if not invocation.publish_once("published-drill", drill.id, message):
        return drill
    drill_store.close_drill(invocation.config.table, drill)
    if drill.seconds is not None and not drill.failure:
        facts = {"drill": drill.id, "recovery_point": drill.recovery_point_id, "parts": {"volume": drill.seconds}}
        metrics.seconds("RecoveryTime", drill.seconds, config=invocation.config, facts=facts)
    return replace(drill, state=DrillState.DONE)


# --- leftovers


def _delete_leftovers(made: Mapping[str, Volume], invocation: Invocation) -> list[str]:
    """Delete the volumes of drills that are not open any more. Publishes each such drill once, unless it was."""
    if not made:
        return []
    still = [drill.id for drill in drill_store.open_drills(invocation.config.table)]
    by_drill: dict[str, list[Volume]] = {}
    for volume in find_leftovers(made.values(), still):
        by_drill.setdefault(volume.tags[Tag.DRILL], []).append(volume)
    deleted: list[str] = []
    for drill_id, volumes in by_drill.items():
        refused = "; ".join(_delete_each(volumes))
        deleted += [volume.id for volume in volumes]
        message = drill_messages.drill_cut_off(
            **invocation.stamp(), drill_id=drill_id, volume_ids=[volume.id for volume in volumes], refused=refused
        )
        invocation.publish_once("published-drill", drill_id, message)
    return deleted


def _delete_each(volumes: Sequence[Volume]) -> Iterator[str]:
    """Delete volumes. Yields why one could not be deleted."""
    for volume in volumes:
        try:
            ec2_calls.perform(DeleteVolume(volume.id))
        except AwsError as problem:
            if problem.code != "InvalidVolume.NotFound":
                _logger().warning("volume of a drill not deleted", extra={"volume": volume.id, "problem": str(problem)})
                yield f"{volume.id}: {problem}"


def _describe(drill: Drill) -> dict[str, str]:
    known = {"id": drill.id, "recovery_point": drill.recovery_point_id, "zone": drill.zone, "state": drill.state.value}
    return {**known, **({"failure": drill.failure} if drill.failure else {})}
