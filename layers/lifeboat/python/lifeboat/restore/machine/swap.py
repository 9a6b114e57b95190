"""Steps `stop`, `detach` and `attach`, forward: replace the displaced volumes by the restored ones."""

from __future__ import annotations

from lifeboat.domain.devices import same_device
from lifeboat.domain.ec2_calls import AttachVolume, TagDisplaced
from lifeboat.domain.tags import Tag
from lifeboat.restore.decision import Step
from lifeboat.restore.machine.actions import detach_volume, requeue, start_roll_back, stop_instance, take_action
from lifeboat.restore.machine.history import describe_hibernation
from lifeboat.restore.machine.situation import Place, Situation
from lifeboat.restore.record import Restore, RestoreStep, RestoreVolume


def swap_volumes(s: Situation) -> Step:
    """Step `stop`, forward, then the steps that need a stopped instance."""
    if s.power in {"pending", "running"} and s.restore.step not in {RestoreStep.VOLUMES, RestoreStep.STOP}:
        return start_roll_back(s, f"{s.restore.instance_id} is {s.power}, and its volumes are not in place")
    if s.power != "stopped":
        return stop_instance(s, "so that its volumes can be swapped")
    if s.hibernated:
        return start_roll_back(s, describe_hibernation(s.restore.instance_id))
    return _detach_displaced(s) or _attach_restored(s)


def _detach_displaced(s: Situation) -> Step | None:
    """Step `detach`, forward: detach the displaced volumes and tag them."""
    for volume in s.restore.volumes:
        place = s.of_displaced(volume)
        if place in {Place.HERE, Place.ASTRAY}:
            return detach_volume(s, s.displaced(volume), "the restored volume takes its place")
        if place in {Place.ARRIVING, Place.LEAVING}:
            return requeue(s, RestoreStep.DETACH, f"{volume.displaced_volume_id} is being detached", check_soon=True)
    for volume in s.restore.volumes:
        found = s.displaced(volume)
        if found and s.of_displaced(volume) is Place.FREE and found.tags.get(Tag.DISPLACED_BY) != s.restore.id:
            action = TagDisplaced(found.id, build_displaced_tags(s.restore, volume))
            return take_action(s, RestoreStep.DETACH, action, "it is kept until a person deletes it")
    return None


def build_displaced_tags(restore: Restore, volume: RestoreVolume) -> dict[str, str]:
    """The tags of a displaced volume: which restore displaced it, and where it was."""
    return {
        Tag.DISPLACED_BY.value: restore.id,
        Tag.DISPLACED_FROM.value: f"{restore.instance_id} {volume.device}",
    }


def _attach_restored(s: Situation) -> Step:
    """Step `attach`, forward."""
    for volume in s.restore.volumes:
        restored = s.restored(volume)
        if restored and s.of_restored(volume) is Place.FREE:
            foreign = _find_foreign_volume(s, volume)
            if foreign:
                return start_roll_back(s, f"another volume, {foreign}, is attached at {volume.device}")
            action = AttachVolume(restored.id, s.restore.instance_id, volume.device)
            return take_action(s, RestoreStep.ATTACH, action, f"{restored.id} belongs at {volume.device}")
    return requeue(s, RestoreStep.ATTACH, "the restored volumes are being attached", check_soon=True)


def _find_foreign_volume(s: Situation, volume: RestoreVolume) -> str | None:
    """A volume of another owner at the device, under any name of it."""
    ours = {volume.displaced_volume_id, volume.restored_volume_id}
    attachments = s.observed.instance.attachments if s.observed.instance else ()
    here = (item for item in attachments if same_device(item.device, volume.device) and item.state != "detached")
    return next((item.volume_id for item in here if item.volume_id not in ours), None)
