"""What the coverage report observes, before anything is judged."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from lifeboat.doctor.facts import Seen
from lifeboat.domain.config import Selector
from lifeboat.domain.data_volumes import data_attachments, root_problem
from lifeboat.domain.ec2 import Instance, Volume
from lifeboat.domain.file_system import FileSystem
from lifeboat.domain.recovery_point import Condition, RecoveryPoint
from lifeboat.domain.stack import Key
from lifeboat.status.protection import Selected, lineage_of

BEHIND = timedelta(days=1)
"""How old a good recovery point is before a copy or a share of it that is not there counts as a gap."""


@dataclass(frozen=True, slots=True)
class Unselected:
    """An instance with data volumes that this stack does not select. `value` is that of the selecting tag, if any."""

    id: str
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Instances:
    """The instances of this region that have not ended, as far as they concern backups."""

    selected: tuple[Selected, ...] = ()
    unselected: tuple[Unselected, ...] = ()


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was observed at `now`. `parameters` are the stack's.

    `volumes` are the data volumes of the selected instances, and `keys` the keys that encrypt them. `points` are the
    recovery points here, `copies` those in each region of CopyToRegions. `settled` is what must be elsewhere, too, and
    `shared` are those of its snapshots that the vault may copy. `file_systems` are the platform's.
    """

    now: datetime
    parameters: Seen[Mapping[str, str]]
    instances: Seen[Instances]
    volumes: Seen[Mapping[str, Volume]]
    keys: Mapping[str, Seen[Key]]
    points: Seen[tuple[RecoveryPoint, ...]]
    settled: Mapping[str, RecoveryPoint]
    copies: Mapping[str, Seen[tuple[RecoveryPoint, ...]]]
    shared: Seen[Collection[str]]
    file_systems: Seen[tuple[FileSystem, ...]]


def find_unselected(instance: Instance, selector: Selector) -> Unselected | None:
    """The instance, if the stack does not select it and it has data volumes, or volumes that may be."""
    if selector.selects(instance):
        return None
    unclear = bool(root_problem(instance)) and len(instance.attachments) > 1
    if not unclear and not data_attachments(instance):
        return None
    return Unselected(instance.id, instance.tags.get(selector.tag_key))


def lineages_of(selected: Iterable[Selected], volumes: Mapping[str, Volume]) -> dict[str, tuple[str, str]]:
    """The lineages of the selected instances' data volumes, each with its instance and volume."""
    return {lineage_of(volume_id, volumes): (item.id, volume_id) for item in selected for volume_id in item.devices}


def own_keys(volumes: Mapping[str, Volume], account: str) -> list[str]:
    """The keys of this account that encrypt these volumes. One of another account is never aws/ebs."""
    found = {item.kms_key_id for item in volumes.values() if item.kms_key_id}
    return sorted(arn for arn in found if arn.split(":")[4:5] == [account])


def find_settled(points: Iterable[RecoveryPoint], lineages: Collection[str], now: datetime) -> dict[str, RecoveryPoint]:
    """Of each lineage the newest good recovery point that was taken BEHIND ago or earlier."""
    found: dict[str, RecoveryPoint] = {}
    for point in sorted(points, key=lambda item: (item.taken_at, item.id)):
        if point.condition is Condition.GOOD and now - point.taken_at >= BEHIND:
            found.update((name, point) for name in point.lineages if name in lineages)
    return found
