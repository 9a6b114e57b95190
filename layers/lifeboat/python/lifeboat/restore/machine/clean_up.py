"""Back: what the restore made and no instance ran on is deleted."""

from __future__ import annotations

from lifeboat.domain.ec2 import Volume
from lifeboat.domain.ec2_calls import (
    DeleteVolume,
)
from lifeboat.domain.tags import Tag
from lifeboat.restore.decision import Step
from lifeboat.restore.machine.actions import complete, refusal_in_words, requeue, take_action
from lifeboat.restore.machine.history import as_it_was, in_words, with_kept_volume
from lifeboat.restore.machine.situation import Place, Situation, describe_place, is_kept, made_volumes
from lifeboat.restore.record import (
    RestoreState,
    RestoreStep,
)


def clean_up(s: Situation) -> Step:
    for made in made_volumes(s):
        if is_kept(s.restore, made.id):
            continue
        place = s.place(made, "")
        if place is Place.LOST and made.state != "error":
            continue
        why = _why_kept(s, made, place)
        if why:
            s = s.with_restore(with_kept_volume(s.restore, made.id, why, s.now))
        elif place is Place.MAKING:
            return requeue(s, RestoreStep.CLEAN_UP, f"{made.id} is still being made; it can be deleted then")
        else:
            return take_action(
                s, RestoreStep.CLEAN_UP, DeleteVolume(made.id), f"{made.id} is ours and nothing ever ran on it"
            )
    for volume in s.restore.volumes:
        unread = volume.asked_at and not volume.restored_volume_id
        if unread and volume.asked_at and s.now - volume.asked_at < s.deadlines.settle:
            return requeue(
                s, RestoreStep.CLEAN_UP, f"the volume of {volume.snapshot_id} was asked for and may yet appear"
            )
    return complete(s, RestoreState.ROLLED_BACK, f"{as_it_was(s.restore)}: {s.restore.failure}")


def _why_kept(s: Situation, made: Volume, place: Place) -> str:
    if s.restore.started_on_restored and any(item.restored_volume_id == made.id for item in s.restore.volumes):
        return "the instance was started on it: it may carry data that is nowhere else"
    if place not in {Place.MAKING, Place.FREE, Place.LOST}:
        return f"it is attached {describe_place(made)}"
    if Tag.DISPLACED_BY in made.tags:
        return "a later restore displaced it"
    if s.restore.step is RestoreStep.CLEAN_UP and s.overdue():
        return f"it could not be deleted within {in_words(s.deadlines.of(RestoreStep.CLEAN_UP))}{refusal_in_words(s)}"
    return ""
