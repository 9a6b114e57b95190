"""Steps `stop` to `verify`, roll-back: put the displaced volumes back, and restore the instance's power state."""

from __future__ import annotations

from dataclasses import replace

from lifeboat.domain.ec2_calls import AttachVolume, UntagDisplaced
from lifeboat.domain.tags import Tag
from lifeboat.restore.decision import Step
from lifeboat.restore.machine.actions import (
    MAX_STARTS,
    complete,
    describe_state,
    detach_volume,
    requeue,
    set_delete_on_termination,
    start_instance,
    stop_instance,
    take_action,
    wait_for_window,
)
from lifeboat.restore.machine.clean_up import clean_up
from lifeboat.restore.machine.history import describe_hibernation, with_kept_volume, with_roll_back
from lifeboat.restore.machine.situation import ON_INSTANCE, Place, Situation, describe_place, find_made_volumes, is_kept
from lifeboat.restore.record import Direction, RestoreState, RestoreStep


def roll_back(s: Situation) -> Step:
    """The next step back, from wherever the volumes are."""
    if not s.restore.touched:
        return clean_up(s)
    lost = [
        volume for volume in s.restore.volumes if volume.displaced_volume_id and s.of_displaced(volume) is Place.LOST
    ]
    if lost:
        # Nothing can be put back, and the volume at the device may have the only data. Every call could lose it.
        names = ", ".join(volume.displaced_volume_id or "" for volume in lost)
        return give_up(s, f"the displaced volume {names} is gone or broken, so nothing can be put back")
    if _is_out_of_place(s):
        return _put_volumes_back(s)
    away = [volume for volume in s.restore.volumes if s.of_displaced(volume) is Place.AWAY]
    if away:
        names = ", ".join(f"{item.displaced_volume_id} {describe_place(s.displaced(item))}" for item in away)
        blocked = f"a displaced volume is attached elsewhere: {names}"
        return requeue(
            s.with_restore(replace(s.restore, blocked=s.restore.blocked or blocked)), RestoreStep.ATTACH, blocked
        )
    return set_delete_on_termination(s, restored=False) or _untag_displaced(s) or _restore_power(s) or clean_up(s)


def _is_out_of_place(s: Situation) -> bool:
    return any(
        s.of_restored(volume) in ON_INSTANCE
        or (volume.displaced_volume_id and s.of_displaced(volume) not in {Place.HERE, Place.AWAY})
        for volume in s.restore.volumes
    )


def _put_volumes_back(s: Situation) -> Step:
    """Steps `stop` and `detach`, roll-back: free the devices. Then attach the displaced volumes."""
    if s.power != "stopped":
        return stop_instance(s, "so that the displaced volumes can be put back")
    if s.hibernated:
        blocked = describe_hibernation(s.restore.instance_id)
        return requeue(s.with_restore(replace(s.restore, blocked=blocked)), RestoreStep.STOP, blocked)
    for volume in s.restore.volumes:
        for found in (s.restored(volume), s.displaced(volume)):
            place = s.place(found, volume.device)
            displaced = found is not None and found.id == volume.displaced_volume_id
            if place is Place.ASTRAY or (place is Place.HERE and not displaced):
                why = "it is at the wrong device" if displaced else "to make room for the displaced volume"
                return detach_volume(s, found, why)
            if place in {Place.ARRIVING, Place.LEAVING} and not (displaced and place is Place.ARRIVING):
                reason = f"{found.id if found else ''} is being {'attached' if place is Place.ARRIVING else 'detached'}"
                return requeue(s, RestoreStep.DETACH, reason, check_soon=True)
    return _attach_displaced(s)


def _attach_displaced(s: Situation) -> Step:
    """Step `attach`, roll-back."""
    for volume in s.restore.volumes:
        found = s.displaced(volume)
        if found and s.of_displaced(volume) is Place.FREE:
            action = AttachVolume(found.id, s.restore.instance_id, volume.device)
            return take_action(s, RestoreStep.ATTACH, action, f"{found.id} goes back to {volume.device}")
    return requeue(s, RestoreStep.ATTACH, "the displaced volumes are being attached", check_soon=True)


def _untag_displaced(s: Situation) -> Step | None:
    """Step `attach`, roll-back: the displaced volumes are in use again."""
    for volume in s.restore.volumes:
        found = s.displaced(volume)
        if found and found.tags.get(Tag.DISPLACED_BY) == s.restore.id and not s.restore.tags_left:
            action = UntagDisplaced(found.id, (Tag.DISPLACED_BY.value, Tag.DISPLACED_FROM.value))
            return take_action(s, RestoreStep.ATTACH, action, f"{found.id} is back at {volume.device}")
    return None


def _restore_power(s: Situation) -> Step | None:
    """Steps `start` and `verify`, roll-back: run the instance again if it ran before."""
    if not s.restore.was_running or s.restore.step is RestoreStep.CLEAN_UP:
        return None
    if s.power == "stopped":
        if s.restore.starts >= MAX_STARTS and not s.restore.blocked:
            blocked = f"{s.restore.instance_id} fell back to stopped after {MAX_STARTS} starts{describe_state(s)}"
            s = s.with_restore(replace(s.restore, blocked=blocked))
        return start_instance(s, "it was running before")
    if s.power != "running":
        return requeue(s, RestoreStep.START, f"{s.restore.instance_id} is {s.power}")
    # An earlier stop may still take effect, and a start may still fall back to `stopped`.
    return wait_for_window(s)


def give_up(s: Situation, reason: str) -> Step:
    """End the roll-back as failed and keep every volume, because nothing can be put back."""
    if s.restore.direction is Direction.FORWARD:
        s = s.with_restore(with_roll_back(s.restore, s.now, reason))
    kept = s.restore
    for made in find_made_volumes(s):
        if s.place(made, "") is not Place.LOST and not is_kept(kept, made.id):
            kept = with_kept_volume(kept, made.id, "a person has to decide what to do with the instance", s.now)
    return complete(s.with_restore(replace(kept, blocked=reason)), RestoreState.FAILED, reason)
