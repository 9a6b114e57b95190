"""Pre-flight of the target instance: which of its volumes a restore may displace."""

from __future__ import annotations

from collections.abc import Mapping

from lifeboat.domain.data_volumes import data_attachments
from lifeboat.domain.ec2 import Attachment, Instance, Volume


def displaceable_volumes(instance: Instance, volumes: Mapping[str, Volume]) -> list[tuple[Attachment, Volume]]:
    """The data volumes that EC2 describes, with their attachments, by device. Never the root."""
    return [
        (attachment, volumes[attachment.volume_id])
        for attachment in sorted(data_attachments(instance), key=lambda item: item.device)
        if attachment.volume_id in volumes
    ]
