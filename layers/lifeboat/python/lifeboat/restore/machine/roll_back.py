"""Back: the displaced volumes return, the instance gets its power state."""

from __future__ import annotations

from dataclasses import replace

from lifeboat.domain.ec2_calls import (
    AttachVolume,
    UntagDisplaced,
)
from lifeboat.domain.tags import Tag
from lifeboat.restore.decision import Step
from lifeboat.restore.machine.actions import (
    MAX_STARTS,
    complete,
    detach_volume,
    requeue,
    set_delete_on_termination,
    start_instance,
    state_reason,
    stop_instance,
    take_action,
)
from lifeboat.restore.machine.clean_up import clean_up
from lifeboat.restore.machine.history import hibernation, in_words, turned_back, with_kept_volume
from lifeboat.restore.machine.situation import ON_INSTANCE, Place, Situation, describe_place, is_kept, made_volumes
from lifeboat.restore.record import (
    Direction,
    RestoreState,
    RestoreStep,
)


def roll_back(s: Situation) -> Step:
    if not s.restore.touched:
        return clean_up(s)
    lost = [
        volume for volume in s.restore.volumes if volume.displaced_volume_id and s.of_displaced(volume) is Place.LOST
    ]
    if lost:
        # There is no way back, and what sits at the device may be all there is. Anything done now could make it worse.
        names = ", ".join(volume.displaced_volume_id or "" for volume in lost)
        return give_up(s, f"the displaced volume {names} is gone or broken, so nothing can be put back")
    if _out_of_place(s):
        return _put_back(s)
    away = [volume for volume in s.restore.volumes if s.of_displaced(volume) is Place.AWAY]
    if away:
        names = ", ".join(f"{item.displaced_volume_id} {describe_place(s.displaced(item))}" for item in away)
        blocked = f"somebody attached the displaced volume {names}"
        return requeue(
            s.with_restore(replace(s.restore, blocked=s.restore.blocked or blocked)), RestoreStep.ATTACH, blocked
        )
    return set_delete_on_termination(s, restored=False) or _untag(s) or _power_back(s) or clean_up(s)


def _out_of_place(s: Situation) -> bool:
    return any(
        s.of_restored(volume) in ON_INSTANCE
        or (volume.displaced_volume_id and s.of_displaced(volume) not in {Place.HERE, Place.AWAY})
        for volume in s.restore.volumes
    )


def _put_back(s: Situation) -> Step:
    if s.power != "stopped":
        return stop_instance(s, "so that the displaced volumes can be put back")
    if s.hibernated:
        blocked = hibernation(s.restore.instance_id)
        return requeue(s.with_restore(replace(s.restore, blocked=blocked)), RestoreStep.STOP, blocked)
    for volume in s.restore.volumes:
        for found in (s.restored(volume), s.displaced(volume)):
            place = s.place(found, volume.device)
            displaced = found is not None and found.id == volume.displaced_volume_id
            if place is Place.ASTRAY or (place is Place.HERE and not displaced):
                return detach_volume(
                    s, found, "to make room for the displaced volume" if not displaced else "it is astray"
                )
            if place in {Place.ARRIVING, Place.LEAVING} and not (displaced and place is Place.ARRIVING):
                return requeue(
                    s, RestoreStep.DETACH, f"{found.id if found else ''} is {place.name.lower()}", check_soon=True
                )
    for volume in s.restore.volumes:
        found = s.displaced(volume)
        if found and s.of_displaced(volume) is Place.FREE:
            action = AttachVolume(found.id, s.restore.instance_id, volume.device)
            return take_action(s, RestoreStep.ATTACH, action, f"{found.id} goes back to {volume.device}")
    return requeue(s, RestoreStep.ATTACH, "the displaced volumes are being attached", check_soon=True)


def _untag(s: Situation) -> Step | None:
    for volume in s.restore.volumes:
        found = s.displaced(volume)
        if found and found.tags.get(Tag.DISPLACED_BY) == s.restore.id and not s.restore.tags_left:
            action = UntagDisplaced(found.id, (Tag.DISPLACED_BY.value, Tag.DISPLACED_FROM.value))
            return take_action(s, RestoreStep.ATTACH, action, f"{found.id} is back at {volume.device}")
    return None


def _power_back(s: Situation) -> Step | None:
    if not s.restore.was_running or s.restore.step is RestoreStep.CLEAN_UP:
        return None
    if s.power == "stopped":
        if s.restore.starts >= MAX_STARTS and not s.restore.blocked:
            blocked = f"{s.restore.instance_id} fell back to stopped after {MAX_STARTS} starts{state_reason(s)}"
            s = s.with_restore(replace(s.restore, blocked=blocked))
        return start_instance(s, "as it was running before")
    if s.power != "running":
        return requeue(s, RestoreStep.START, f"{s.restore.instance_id} is {s.power}")
    since = s.now if s.restore.step is not RestoreStep.VERIFY else s.restore.step_since
    if s.now - since < s.deadlines.window:
        # A stop that was asked for may still be on its way; a start may still fall back.
        return requeue(
            s,
            RestoreStep.VERIFY,
            f"{s.restore.instance_id} runs; it must still do so in {in_words(s.deadlines.window)}",
        )
    return None


def give_up(s: Situation, reason: str) -> Step:
    if s.restore.direction is Direction.FORWARD:
        s = s.with_restore(turned_back(s.restore, s.now, reason))
    kept = s.restore
    for made in made_volumes(s):
        if s.place(made, "") is not Place.LOST and not is_kept(kept, made.id):
            kept = with_kept_volume(kept, made.id, "a person has to decide what becomes of the instance", s.now)
    return complete(s.with_restore(replace(kept, blocked=reason)), RestoreState.FAILED, reason)
