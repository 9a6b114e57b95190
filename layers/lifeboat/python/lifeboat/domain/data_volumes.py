"""Which of an instance's volumes is the root, and which hold data."""

from __future__ import annotations

from collections.abc import Iterable

from lifeboat.domain.devices import same_device
from lifeboat.domain.ec2 import Attachment, Instance


def root_attachments(instance: Instance) -> tuple[Attachment, ...]:
    """What is at the root device, under any name of it. Never by size."""
    root = instance.root_device
    return tuple(item for item in instance.attachments if root and same_device(item.device, root))


def root_problem(instance: Instance) -> str:
    """Why root and data cannot be told apart on this instance, as one sentence; empty if they can.

    They can if one volume, and no other, is at the root device by its very name, and nowhere else. Images exist that
    name their root `/dev/sda1` and map it at `/dev/sda`; a root is taken off for a rescue, and comes back at another
    name; two volumes are shown at one device while one takes the other's place. In all of these cases any volume may
    be the root.
    """
    if not instance.root_device:
        return f"{instance.id} shows no root device: root and data cannot be told apart"
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
        + f", expected {expected}: root and data cannot be told apart"
    )


def _places(attachments: Iterable[Attachment]) -> str:
    return ", ".join(f"{item.volume_id} ({item.device})" for item in sorted(attachments, key=lambda item: item.device))


def data_attachments(instance: Instance) -> tuple[Attachment, ...]:
    """The attachments of the data volumes, one of each: all but the root. None, if these cannot be told apart."""
    if root_problem(instance):
        return ()
    roots = {item.volume_id for item in root_attachments(instance)}
    data = {item.volume_id: item for item in reversed(instance.attachments) if item.volume_id not in roots}
    return tuple(item for item in instance.attachments if data.get(item.volume_id) is item)
