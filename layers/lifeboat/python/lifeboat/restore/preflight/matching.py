"""Pre-flight of the devices: which volume does each restored volume displace?"""

from __future__ import annotations

from lifeboat.domain.data_volumes import root_attachments
from lifeboat.domain.devices import EXPECTED, FREE_EXAMPLES, is_reserved_for_root, is_taken_by_ec2, same_device
from lifeboat.domain.ec2 import Attachment, Instance, Volume
from lifeboat.domain.recovery_point import Member
from lifeboat.domain.tags import Tag
from lifeboat.restore.preflight.displaceable import displaceable_volumes
from lifeboat.restore.preflight.facts import PreflightFacts
from lifeboat.restore.preflight.findings import Report
from lifeboat.restore.preflight.source import Source
from lifeboat.restore.request import RestoreRequest

type Candidates = list[tuple[Attachment, Volume]]
"""Volumes that may be displaced, with their attachments."""

type Pair = tuple[Member, str, tuple[Attachment, Volume] | None]
"""What to restore, at which device, and the volume there that it displaces, if any."""


def match_volumes(
    request: RestoreRequest, facts: PreflightFacts, instance: Instance, source: Source, report: Report
) -> list[Pair]:
    """A device for each member of the source. A member without exactly one device is refused and left out."""
    candidates = displaceable_volumes(instance, facts.volumes)
    if request.device is not None:
        return _match_requested(request.device, instance, source, candidates, report)
    pairs: list[Pair] = []
    taken: dict[str, str] = {}
    for member in source.members:
        found = _match(member, candidates, len(source.members))
        if len(found) != 1:
            report.refuse("no-match", "device", _describe_no_match(member, found, candidates))
            continue
        attachment, volume = found[0]
        if volume.id in taken:
            report.refuse(
                "one-volume-twice",
                "device",
                f"{taken[volume.id]} and {member.snapshot.id} would both displace {volume.id} at {attachment.device}",
            )
            continue
        taken[volume.id] = member.snapshot.id
        pairs.append((member, attachment.device, (attachment, volume)))
    return pairs


def _match_requested(
    device: str,
    instance: Instance,
    source: Source,
    candidates: Candidates,
    report: Report,
) -> list[Pair]:
    if len(source.members) != 1:
        report.refuse(
            "device-for-several",
            "device",
            f"device is {device}, expected no device for a recovery point of {len(source.members)} volumes",
        )
        return []
    at_device = _find_at_device(device, candidates)
    if len(at_device) > 1:
        report.refuse(
            "no-match",
            "device",
            f"device is {device}, which may mean either of these; expected one of them: {_list_candidates(at_device)}",
        )
        return []
    if at_device:
        return [(source.members[0], at_device[0][0].device, at_device[0])]
    problem = _find_device_problem(device, instance, candidates)
    if problem:
        report.refuse(problem[0], "device", f"device is {device}, {problem[1]}")
        return []
    return [(source.members[0], device, None)]


def _find_device_problem(device: str, instance: Instance, candidates: Candidates) -> tuple[str, str] | None:
    """Why no volume may be attached at a device without a data volume: a finding's code and the end of its sentence."""
    roots = root_attachments(instance)
    root = instance.root_device or ""
    if device == root:
        return "root-device", f"the root device, expected {_list_candidates(candidates)}"
    if any(same_device(item.device, device) for item in instance.attachments if item not in roots):
        return "unknown-volume", "where EC2 shows a volume that it does not describe"
    if is_reserved_for_root(device, root):
        return "root-device", f"which is reserved for the root, here {root}; expected {_list_candidates(candidates)}"
    if candidates:
        # XFS refuses to mount a restored volume beside the one that it is a copy of.
        return (
            "free-device",
            f"which is free; expected the device of a volume to displace: {_list_candidates(candidates)}",
        )
    if not is_taken_by_ec2(device):
        return "no-device", f"where EC2 attaches nothing; expected {EXPECTED} that is free: {FREE_EXAMPLES}"
    return None


def _find_at_device(device: str, candidates: Candidates) -> Candidates:
    """The volume at exactly this device, else those under another name of it."""
    exact = [item for item in candidates if item[0].device == device]
    return exact or [item for item in candidates if same_device(item[0].device, device)]


def _match(member: Member, candidates: Candidates, members: int) -> Candidates:
    """The volume to displace: at the recorded device, else the only one, else by its tags. Never by size."""
    at_device = _find_at_device(member.metadata.device, candidates)
    if at_device:
        return at_device
    if len(candidates) == 1 and members == 1:
        return candidates
    lineage, name = member.metadata.lineage, member.metadata.tags.get("Name")
    by_lineage = [item for item in candidates if lineage in {item[1].tags.get(Tag.LINEAGE), item[1].id}]
    return by_lineage or [item for item in candidates if name and item[1].tags.get("Name") == name]


def _describe_no_match(member: Member, found: Candidates, candidates: Candidates) -> str:
    how_many = "more than one volume" if found else "no volume"
    was = f", which was {member.metadata.volume_id} at {member.metadata.device}," if member.metadata.device else ""
    if not candidates:
        return (
            f"the instance has no data volume that {member.snapshot.id}{was} could displace; name a free device with "
            f'"device", {FREE_EXAMPLES}'
        )
    return (
        f'{how_many} matches {member.snapshot.id}{was} by device or by tags; name one with "device": '
        f"{_list_candidates(found or candidates)}"
    )


def _list_candidates(candidates: Candidates) -> str:
    if not candidates:
        return f"a free device, {FREE_EXAMPLES}"
    return ", ".join(
        f"{attachment.device} ({volume.id}, {volume.size} GiB {volume.type}"
        + (f", Name={volume.tags['Name']})" if "Name" in volume.tags else ")")
        for attachment, volume in candidates
    )
