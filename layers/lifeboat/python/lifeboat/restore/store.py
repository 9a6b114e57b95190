"""Restores: one document each, changed only by conditional writes, and one lock for each target instance."""

from __future__ import annotations

from lifeboat.aws import table as documents
from lifeboat.aws.table import ABSENT, Cancelled, Document, Overtaken, unchanged, unchanged_or_absent
from lifeboat.restore.record import Restore

_RECORD = "restore"
_OPEN = "restore-open"


class InstanceTaken(Exception):  # noqa: N818 - a state of affairs, not an error
    """Another restore is open on the instance; `restore_id` says which."""

    def __init__(self, restore_id: str) -> None:
        super().__init__(f"restore {restore_id} is open on this instance")
        self.restore_id = restore_id


def open_restore(table: str, restore: Restore) -> None:
    """Record a new restore and take its instance, both or neither. Raises InstanceTaken."""
    lock = Document(_OPEN, restore.instance_id, version=restore.id)  # so that only this restore can delete it
    record = documents.versioned(_RECORD, restore.id, restore)
    try:
        documents.transact(table, [documents.put(lock, ABSENT), documents.put(record, ABSENT)])
    except Cancelled as problem:
        raise InstanceTaken(open_on(table, restore.instance_id) or restore.id) from problem


def save_restore(table: str, restore: Restore) -> Restore:
    """Write the next version of a restore; answers it with its new version. Raises Overtaken."""
    return documents.save_next(table, _RECORD, restore.id, restore)


def close_restore(table: str, restore: Restore) -> Restore:
    """Write the last version of a restore and free its instance, both or neither. Raises Overtaken."""
    moved = documents.next_version(restore)
    free = documents.delete(_OPEN, restore.instance_id, unchanged_or_absent(restore.id))
    record = documents.versioned(_RECORD, restore.id, moved)
    try:
        documents.transact(table, [free, documents.put(record, unchanged(str(restore.version)))])
    except Cancelled as problem:
        raise Overtaken(restore.id) from problem
    return moved


def load_restore(table: str, restore_id: str) -> Restore | None:
    """The restore as it stands now."""
    found = documents.find(table, _RECORD, restore_id)
    return found.read(Restore) if found else None


def open_on(table: str, instance_id: str) -> str | None:
    """The id of the restore that is open on an instance."""
    lock = documents.find(table, _OPEN, instance_id)
    return lock.version if lock else None


def open_restores(table: str) -> tuple[str, ...]:
    """The ids of all open restores, in one cheap query that returns nothing when none is open."""
    return tuple(lock.version for lock in documents.find_all(table, _OPEN))


def open_by_instance(table: str) -> dict[str, Restore]:
    """All open restores, by their target instance."""
    found = (load_restore(table, restore_id) for restore_id in open_restores(table))
    return {restore.instance_id: restore for restore in found if restore and not restore.closed}


def in_use(table: str) -> dict[str, str]:
    """The snapshots that an open restore may still create a volume from, each with the restore's id."""
    found: dict[str, str] = {}
    for restore_id in open_restores(table):
        restore = load_restore(table, restore_id)
        if restore and not restore.touched:
            found.update((volume.snapshot_id, restore_id) for volume in restore.volumes)
    return found
