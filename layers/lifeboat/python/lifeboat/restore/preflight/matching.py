"""Which volume displaces which?"""

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

type Pair = tuple[Member, str, tuple[Attachment, Volume] | None]


def match_volumes(
    request: RestoreRequest, facts: PreflightFacts, instance: Instance, source: Source, report: Report
) -> list[Pair]:
    candidates = displaceable_volumes(instance, facts.volumes)
    if request.device is not None:
        return _matched_by_request(request.device, instance, source, candidates, report)
    pairs: list[Pair] = []
    taken: dict[str, str] = {}
    for member in source.members:
        found = _match(member, candidates, len(source.members))
        if len(found) != 1:
            report.refuse("no-match", "device", _no_match(member, found, candidates))
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


def _matched_by_request(
    device: str,
    instance: Instance,
    source: Source,
    candidates: list[tuple[Attachment, Volume]],
    report: Report,
) -> list[Pair]:
    if len(source.members) != 1:
        report.refuse(
            "device-for-several",
            "device",
            f"device is {device}, expected no device for a recovery point of {len(source.members)} volumes",
        )
        return []
    at_device = _at_device(device, candidates)
    if len(at_device) > 1:
        report.refuse(
            "no-match",
            "device",
            f"device is {device}, which may be either of these; expected one of their names: {_listed(at_device)}",
        )
        return []
    if at_device:
        return [(source.members[0], at_device[0][0].device, at_device[0])]
    problem = _not_free(device, instance, candidates)
    if problem:
        report.refuse(problem[0], "device", f"device is {device}, {problem[1]}")
        return []
    return [(source.members[0], device, None)]


def _not_free(device: str, instance: Instance, candidates: list[tuple[Attachment, Volume]]) -> tuple[str, str] | None:
    """Why no volume may come to a device where no data volume is: a finding's code, and how its sentence goes on."""
    roots = root_attachments(instance)
    root = instance.root_device or ""
    if device == root:
        return "root-device", f"the root device, expected {_listed(candidates)}"
    if any(same_device(item.device, device) for item in instance.attachments if item not in roots):
        return "unknown-volume", "where EC2 shows a volume it does not describe"
    if is_reserved_for_root(device, root):
        return "root-device", f"which is kept for the root, here {root}; expected {_listed(candidates)}"
    if candidates:
        # A restored volume beside the one it is a copy of is what XFS refuses to mount.
        return "free-device", f"which is free; expected the volume that gives way: {_listed(candidates)}"
    if not is_taken_by_ec2(device):
        return "no-device", f"where EC2 attaches nothing; expected {EXPECTED} that is free: {FREE_EXAMPLES}"
    return None


def _at_device(device: str, candidates: list[tuple[Attachment, Volume]]) -> list[tuple[Attachment, Volume]]:
    """What is at this very device, else what is there under another name of it."""
    exact = [item for item in candidates if item[0].device == device]
    return exact or [item for item in candidates if same_device(item[0].device, device)]


def _match(
    member: Member, candidates: list[tuple[Attachment, Volume]], members: int
) -> list[tuple[Attachment, Volume]]:
    """The volume that gives way: at the recorded device, else the only one, else by its tags; never by size."""
    at_device = _at_device(member.metadata.device, candidates)
    if at_device:
        return at_device
    if len(candidates) == 1 and members == 1:
        return candidates
    lineage, name = member.metadata.lineage, member.metadata.tags.get("Name")
    by_lineage = [item for item in candidates if lineage in {item[1].tags.get(Tag.LINEAGE), item[1].id}]
    return by_lineage or [item for item in candidates if name and item[1].tags.get("Name") == name]


def _no_match(
    member: Member, found: list[tuple[Attachment, Volume]], candidates: list[tuple[Attachment, Volume]]
) -> str:
    how_many = "more than one volume" if found else "no volume"
    was = f", which was {member.metadata.volume_id} at {member.metadata.device}," if member.metadata.device else ""
    if not candidates:
        return (
            f"the instance has no data volume that {member.snapshot.id}{was} could displace; name a free device with "
            f'"device", {FREE_EXAMPLES}'
        )
    return (
        f'{how_many} matches {member.snapshot.id}{was} by device or by tags; say which with "device": '
        f"{_listed(found or candidates)}"
    )


def _listed(candidates: list[tuple[Attachment, Volume]]) -> str:
    if not candidates:
        return f"a free device, {FREE_EXAMPLES}"
    return ", ".join(
        f"{attachment.device} ({volume.id}, {volume.size} GiB {volume.type}"
        + (f", Name={volume.tags['Name']})" if "Name" in volume.tags else ")")
        for attachment, volume in candidates
    )
