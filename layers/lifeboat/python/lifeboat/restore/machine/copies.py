"""Step `copies`, forward: copy the snapshots that are only in another region or account. Nothing is changed yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from lifeboat.domain.ec2 import Snapshot
from lifeboat.domain.tags import Tag
from lifeboat.domain.text import iso
from lifeboat.restore.decision import Step
from lifeboat.restore.machine.actions import requeue, start_roll_back, take_action
from lifeboat.restore.machine.deadlines import CLOCK_SKEW
from lifeboat.restore.machine.history import with_entry
from lifeboat.restore.machine.situation import Situation
from lifeboat.restore.machine.volumes import make_volumes
from lifeboat.restore.record import Fetch, RestoreStep, RestoreVolume


def make_copies(s: Situation) -> Step:
    """Copy each snapshot once, and wait until all copies are completed. Then continue with the volumes."""
    for volume in s.restore.volumes:
        problem = _find_copy_problem(s, volume.fetch) if volume.fetch else ""
        if problem and volume.fetch and volume.fetch.asked_at:
            return start_roll_back(s, problem)
        if problem:
            s = _drop_foreign_copy(s, volume, problem)
    fetches = [(volume, volume.fetch) for volume in s.restore.volumes if volume.fetch]
    for volume, fetch in fetches:
        if fetch.copy_id is None and (fetch.not_before is None or s.now >= fetch.not_before):
            return _copy_snapshot(s, volume, fetch)
    coming = [fetch for _, fetch in fetches if not _is_copied(s, fetch)]
    if not coming:
        return make_volumes(s)
    names = ", ".join(f"{fetch.call.snapshot_id} from {fetch.call.origin}" for fetch in coming)
    return requeue(s, RestoreStep.COPIES, f"EC2 is copying {names}")


def _is_copied(s: Situation, fetch: Fetch) -> bool:
    found = s.observed.copies.get(fetch.copy_id or "")
    return found is not None and found.state == "completed"


def _find_copy_problem(s: Situation, fetch: Fetch) -> str:
    if fetch.copy_id is None:
        return ""
    name = f"the copy {fetch.copy_id} of {fetch.call.snapshot_id} from {fetch.call.origin}"
    found = s.observed.copies.get(fetch.copy_id)
    if found is None:
        if fetch.asked_at and s.now - fetch.asked_at < s.deadlines.settle:
            return ""
        return f"{name} has vanished, as it does when a KMS key may not be used"
    if found.state in {"pending", "completed"}:
        return ""
    why = f": {found.state_message}" if found.state_message else ", as it does when a KMS key may not be used"
    return f"{name} is in state {found.state}{why}"


def _drop_foreign_copy(s: Situation, volume: RestoreVolume, problem: str) -> Situation:
    """Replace a failed copy that another caller started, maybe with a key that this account may not use."""
    if volume.fetch is None:  # pragma: no cover - callers pass a volume with a copy
        return s
    fetch = replace(volume.fetch, copy_id=None)
    anew = replace(volume, fetch=fetch, snapshot_id=fetch.call.snapshot_id, kms_key_id=fetch.call.kms_key_id)
    volumes = tuple(with_copy(anew, s.observed.copies) if item is volume else item for item in s.restore.volumes)
    text = f"{problem}; this restore did not start that copy and does not use it"
    return s.with_restore(with_entry(replace(s.restore, volumes=volumes), s.now, text))


def _copy_snapshot(s: Situation, volume: RestoreVolume, fetch: Fetch) -> Step:
    # CopySnapshot has no client token. After a lost answer, wait until the copy would be visible.
    asked = replace(fetch, asked_at=s.now, not_before=s.now + s.deadlines.settle)
    volumes = tuple(replace(item, fetch=asked) if item is volume else item for item in s.restore.volumes)
    reason = f"{volume.size} GiB for {volume.device} that are not in this region and account"
    call = replace(fetch.call, tags={**fetch.call.tags, Tag.COPIED_AT.value: iso(s.now)})
    return take_action(s.with_restore(replace(s.restore, volumes=volumes)), RestoreStep.COPIES, call, reason)


def with_copy(volume: RestoreVolume, copies: Mapping[str, Snapshot]) -> RestoreVolume:
    """The volume with the copy to create it from, once EC2 shows one. A completed copy comes first."""
    fetch = volume.fetch
    if fetch is None:
        return volume
    found = copies.get(fetch.copy_id or "")
    if fetch.copy_id is None:
        source = (fetch.call.snapshot_id, fetch.call.region)
        of_it = (
            copy for copy in copies.values() if (copy.tags.get(Tag.COPY_OF), copy.tags.get(Tag.COPIED_FROM)) == source
        )
        found = min((copy for copy in of_it if _is_usable(copy, fetch)), key=_rank_copy, default=None)
        if found is None:
            return volume
        volume = replace(volume, fetch=replace(fetch, copy_id=found.id), snapshot_id=found.id)
    if found and volume.encrypted and volume.kms_key_id is None:
        # The source's key does not work here. EC2 shows the key of the copy on the copy alone.
        volume = replace(volume, kms_key_id=found.kms_key_id)
    return volume


def _is_usable(copy: Snapshot, fetch: Fetch) -> bool:
    """Whether to use a copy: it is or may become good, or this restore started it."""
    if copy.state in {"pending", "completed"}:
        return copy.tier == "standard"
    return fetch.asked_at is not None and copy.started_at >= fetch.asked_at - CLOCK_SKEW


def _rank_copy(copy: Snapshot) -> tuple[int, datetime, str]:
    return {"completed": 0, "pending": 1}.get(copy.state, 2), copy.started_at, copy.id
