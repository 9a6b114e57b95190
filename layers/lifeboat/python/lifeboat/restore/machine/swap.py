"""Forward: stop, detach the displaced volumes, attach the restored ones."""

from __future__ import annotations

from lifeboat.domain.devices import same_device
from lifeboat.domain.ec2_calls import (
    AttachVolume,
    TagDisplaced,
)
from lifeboat.domain.tags import Tag
from lifeboat.restore.decision import Step
from lifeboat.restore.machine.actions import detach_volume, requeue, stop_instance, take_action, turn_back
from lifeboat.restore.machine.history import hibernation
from lifeboat.restore.machine.situation import Place, Situation
from lifeboat.restore.record import (
    Restore,
    RestoreStep,
    RestoreVolume,
)


def swap_volumes(s: Situation) -> Step:
    if s.power in {"pending", "running"} and s.restore.step not in {RestoreStep.VOLUMES, RestoreStep.STOP}:
        return turn_back(s, f"{s.restore.instance_id} is {s.power} though its volumes are not in place")
    if s.power != "stopped":
        return stop_instance(s, "so that its volumes can be swapped")
    if s.hibernated:
        return turn_back(s, hibernation(s.restore.instance_id))
    return _displace(s) or _place_restored(s)


def _displace(s: Situation) -> Step | None:
    for volume in s.restore.volumes:
        place = s.of_displaced(volume)
        if place in {Place.HERE, Place.ASTRAY}:
            return detach_volume(s, s.displaced(volume), "to be displaced")
        if place in {Place.ARRIVING, Place.LEAVING}:
            return requeue(s, RestoreStep.DETACH, f"{volume.displaced_volume_id} is being detached", check_soon=True)
    for volume in s.restore.volumes:
        found = s.displaced(volume)
        if found and s.of_displaced(volume) is Place.FREE and found.tags.get(Tag.DISPLACED_BY) != s.restore.id:
            action = TagDisplaced(found.id, displaced_tags(s.restore, volume))
            return take_action(s, RestoreStep.DETACH, action, "it is kept until a person deletes it")
    return None


def displaced_tags(restore: Restore, volume: RestoreVolume) -> dict[str, str]:
    """What the displaced volume is tagged with."""
    return {
        Tag.DISPLACED_BY.value: restore.id,
        Tag.DISPLACED_FROM.value: f"{restore.instance_id} {volume.device}",
    }


def _place_restored(s: Situation) -> Step:
    for volume in s.restore.volumes:
        restored = s.restored(volume)
        if restored and s.of_restored(volume) is Place.FREE:
            stranger = _stranger(s, volume)
            if stranger:
                return turn_back(s, f"somebody attached {stranger} at {volume.device}")
            action = AttachVolume(restored.id, s.restore.instance_id, volume.device)
            return take_action(s, RestoreStep.ATTACH, action, f"{restored.id} takes the place at {volume.device}")
    return requeue(s, RestoreStep.ATTACH, "the restored volumes are being attached", check_soon=True)


def _stranger(s: Situation, volume: RestoreVolume) -> str | None:
    ours = {volume.displaced_volume_id, volume.restored_volume_id}
    attachments = s.observed.instance.attachments if s.observed.instance else ()
    here = (item for item in attachments if same_device(item.device, volume.device) and item.state != "detached")
    return next((item.volume_id for item in here if item.volume_id not in ours), None)
