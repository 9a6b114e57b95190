"""Step `clean-up`, roll-back: delete the volumes that the restore made and no instance ran on. The last step."""

from __future__ import annotations

from lifeboat.domain.ec2 import Volume
from lifeboat.domain.ec2_calls import DeleteVolume
from lifeboat.domain.tags import Tag
from lifeboat.restore.decision import Step
from lifeboat.restore.machine.actions import complete, describe_refusal, requeue, take_action
from lifeboat.restore.machine.history import describe_as_before, describe_duration, with_kept_volume
from lifeboat.restore.machine.situation import Place, Situation, describe_place, find_made_volumes, is_kept
from lifeboat.restore.record import RestoreState, RestoreStep


def clean_up(s: Situation) -> Step:
    """Delete what the restore made, keep with its reason what may hold data, and end the roll-back."""
    for made in find_made_volumes(s):
        if is_kept(s.restore, made.id):
            continue
        place = s.place(made, "")
        if place is Place.LOST and made.state != "error":
            continue
        why = _find_keep_reason(s, made, place)
        if why:
            s = s.with_restore(with_kept_volume(s.restore, made.id, why, s.now))
        elif place is Place.MAKING:
            return requeue(s, RestoreStep.CLEAN_UP, f"EC2 is still making {made.id}, and deletes it only after that")
        else:
            reason = f"this restore made {made.id}, and no instance ran on it"
            return take_action(s, RestoreStep.CLEAN_UP, DeleteVolume(made.id), reason)
    for volume in s.restore.volumes:
        unseen = volume.asked_at and not volume.restored_volume_id
        if unseen and volume.asked_at and s.now - volume.asked_at < s.deadlines.settle:
            reason = f"CreateVolume of {volume.snapshot_id} was called, and the volume may still appear"
            return requeue(s, RestoreStep.CLEAN_UP, reason)
    return complete(s, RestoreState.ROLLED_BACK, f"{describe_as_before(s.restore)}: {s.restore.failure}")


def _find_keep_reason(s: Situation, made: Volume, place: Place) -> str:
    if s.restore.started_on_restored and any(item.restored_volume_id == made.id for item in s.restore.volumes):
        return "the instance was started on it: it may hold data that is nowhere else"
    if place not in {Place.MAKING, Place.FREE, Place.LOST}:
        return f"it is attached {describe_place(made)}"
    if Tag.DISPLACED_BY in made.tags:
        return "a later restore displaced it"
    if s.restore.step is RestoreStep.CLEAN_UP and s.overdue():
        limit = describe_duration(s.deadlines.of(RestoreStep.CLEAN_UP))
        return f"it could not be deleted within {limit}{describe_refusal(s)}"
    return ""
