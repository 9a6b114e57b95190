"""Distinguish an instance's root volume from its data volumes."""

from __future__ import annotations

from collections.abc import Iterable

from lifeboat.domain.devices import same_device
from lifeboat.domain.ec2 import Attachment, Instance


def root_attachments(instance: Instance) -> tuple[Attachment, ...]:
    """The attachments at the root device, under any of its names. Size is never a criterion."""
    root = instance.root_device
    return tuple(item for item in instance.attachments if root and same_device(item.device, root))


def root_problem(instance: Instance) -> str:
    """Why root and data cannot be separated on this instance, as one sentence; empty if they can.

    They can if exactly one volume is at the root device, under exactly that name, and nowhere else. In all other cases
    any volume may be the root. Some images name their root `/dev/sda1` and map it at `/dev/sda`. A root that was
    detached for a rescue may come back under another name. EC2 may show two volumes at one device during an exchange.
    """
    if not instance.root_device:
        return f"{instance.id} shows no root device: root and data cannot be separated"
    at_root = root_attachments(instance)
    found = {item.volume_id for item in at_root}
    if instance.has_instance_store_root:
        if not found:
            return ""
        expected = "none there, because its root is an instance store volume"
    else:
        names = {item.device for item in instance.attachments if item.volume_id in found}
        if len(found) == 1 and names == {instance.root_device}:
            return ""
        expected = "its root volume, and no other, there"
    elsewhere = _places(item for item in instance.attachments if item not in at_root)
    return (
        f"{instance.id} has {_places(at_root) or 'no volume'} at its root device {instance.root_device}"
        + (f" and {elsewhere}" if elsewhere else "")
        + f", expected {expected}: root and data cannot be separated"
    )


def _places(attachments: Iterable[Attachment]) -> str:
    return ", ".join(f"{item.volume_id} ({item.device})" for item in sorted(attachments, key=lambda item: item.device))


def data_attachments(instance: Instance) -> tuple[Attachment, ...]:
    """The attachments of the data volumes, one for each volume; empty if `root_problem` finds a problem."""
    if root_problem(instance):
        return ()
    roots = {item.volume_id for item in root_attachments(instance)}
    data = {item.volume_id: item for item in reversed(instance.attachments) if item.volume_id not in roots}
    return tuple(item for item in instance.attachments if data.get(item.volume_id) is item)
