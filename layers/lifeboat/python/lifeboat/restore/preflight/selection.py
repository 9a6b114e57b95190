"""Pre-flight of the choice: which recovery point does the request mean?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from lifeboat.copies.plan import original_set
from lifeboat.domain.data_volumes import data_attachments
from lifeboat.domain.ec2 import Snapshot
from lifeboat.domain.recovery_point import Condition, RecoveryPoint
from lifeboat.domain.tags import Tag
from lifeboat.domain.text import iso
from lifeboat.restore.preflight.facts import PreflightFacts
from lifeboat.restore.preflight.findings import Report
from lifeboat.restore.preflight.source import Source, build_source, choose_set_id
from lifeboat.restore.request import RecoveryPointChoice, RestoreRequest

MAX_LISTED = 20
"""How many lineages a finding names, because a person reads it."""


def group_lineages(points: Iterable[RecoveryPoint]) -> tuple[tuple[RecoveryPoint, ...], ...]:
    """Recovery points grouped by lineage, oldest first in each: those that share a volume's lineage or an instance.

    A new deployment changes the instance's id, and a restore carries the lineage of a volume on. So one group may have
    several of either. The groups are in the order of their newest recovery points.
    """
    ordered = sorted(points, key=lambda item: (item.taken_at, item.id))
    above: dict[str, str] = {}

    def first(name: str) -> str:
        while above[name] != name:
            above[name] = above[above[name]]
            name = above[name]
        return name

    for point in ordered:
        names = _list_names(point)
        for name in names:
            above[first(above.setdefault(name, name))] = first(above.setdefault(names[0], names[0]))
    groups: dict[str, list[RecoveryPoint]] = {}
    for point in ordered:
        groups.setdefault(first(_list_names(point)[0]), []).append(point)
    return tuple(sorted((tuple(line) for line in groups.values()), key=lambda line: (line[-1].taken_at, line[-1].id)))


def _list_names(point: RecoveryPoint) -> tuple[str, ...]:
    """What a recovery point shares with others of its lineage: at least one name."""
    return (*point.lineages, point.instance_id) if point.instance_id else point.lineages


def build_tag_filter(choice: RecoveryPointChoice, shown: Iterable[Snapshot]) -> Mapping[str, tuple[str, ...]] | None:
    """The tags, each with its values, of the recovery points that the request may mean.

    Empty: it may mean any. None: it means none. `shown` are the snapshots whose ids the request names.
    """
    if choice.id:  # the id of a second set of a slot ends with a number that no tag has
        return {Tag.RECOVERY_POINT: tuple(dict.fromkeys((choice.id, choice.id.rpartition("+")[0] or choice.id)))}
    if choice.snapshot_ids:
        ids = {snapshot.tags[Tag.RECOVERY_POINT] for snapshot in shown if Tag.RECOVERY_POINT in snapshot.tags}
        return {Tag.RECOVERY_POINT: tuple(sorted(ids))} if ids else None
    if choice.instance_id:
        return {Tag.INSTANCE: (choice.instance_id,)}
    return {}


def may_be_elsewhere(choice: RecoveryPointChoice, facts: PreflightFacts) -> bool:
    """Whether to read other regions and accounts. Not if the request names what is ours and in this region."""
    if choice.id:
        return not any(point.id == choice.id and point.condition is Condition.GOOD for point in facts.points)
    here = {name for name, snapshot in facts.snapshots.items() if snapshot.owner_id == facts.account}
    return not choice.snapshot_ids or not here.issuperset(choice.snapshot_ids)


def may_be_shared_by(account: str, choice: RecoveryPointChoice) -> bool:
    """Whether another account may share what the request means: names in a vault have the id of their account."""
    if choice.id:
        return f"-{account}" in choice.id
    named = choice.lineage or choice.instance_id
    return named is None or named.startswith(f"{account}/")


def select_named(choice: RecoveryPointChoice, points: Iterable[RecoveryPoint]) -> tuple[RecoveryPoint, ...]:
    """The recovery points of the snapshots that the request names, or all if it names none."""
    named = set(choice.snapshot_ids)
    return tuple(point for point in points if not named or named & {member.snapshot.id for member in point.members})


def merge_places(facts: PreflightFacts, *, proven: bool = False) -> tuple[RecoveryPoint, ...]:
    """Every recovery point once, oldest first. Of its copies a good one comes first, then one in this region.

    `proven`: only those that were read back where they are, and are not suspect anywhere.
    """
    best: dict[tuple[str, str], RecoveryPoint] = {}
    everywhere = (*facts.points, *facts.elsewhere)
    suspected = {_identify_original(point) for point in everywhere if point.suspected}  # a copy lacks the tag
    for point in everywhere:
        if proven and (not point.proven or _identify_original(point) in suspected):
            continue
        known = best.setdefault(_identify_original(point), point)
        if point.condition is Condition.GOOD and known.condition is not Condition.GOOD:
            best[_identify_original(point)] = point
    return tuple(sorted(best.values(), key=lambda point: (point.taken_at, point.id)))


def _identify_original(point: RecoveryPoint) -> tuple[str, str]:
    return original_set(point.members[0].snapshot)


def warn_of_unread_places(facts: PreflightFacts, report: Report) -> None:
    """Warn of regions and accounts whose recovery points could not be considered."""
    for region, why in facts.unread_regions.items():
        report.warn(
            "region-not-read",
            "recovery_point",
            f"recovery points that are only in {region} are not considered, because it could not be read: {why}",
        )
    for account, why in facts.unread_accounts.items():
        report.warn(
            "account-not-read",
            "recovery_point",
            f"snapshots of account {account} that are not copied yet are not considered, because it could not be "
            f"read: {why}",
        )


def choose_source(request: RestoreRequest, facts: PreflightFacts, report: Report) -> Source | None:
    """What to restore. Refuses a request that means no recovery point, or that may mean several lineages."""
    choice = request.recovery_point
    if facts.too_many:
        report.refuse(
            "too-many-recovery-points",
            "recovery_point",
            f"recovery_point may be any of more than {facts.too_many:,} snapshots, too many to read; name the "
            'backed-up instance, {"instance_id": "i-..."}, a recovery point\'s id or its snapshots',
        )
        return None
    if choice.snapshot_ids:
        return build_source(choice.snapshot_ids, facts, report)
    catalogue = merge_places(facts, proven=choice.proven)
    if choice.id:
        return _choose_by_id(choice.id, catalogue, facts, report)
    points = [point for point in catalogue if choice.before is None or point.taken_at < choice.before]
    wanted, called = _select_wanted(choice, facts, points)
    good = [point for point in wanted if point.condition is Condition.GOOD]
    if not good:
        _refuse_none(choice, called, wanted, report)
        return None
    lines = group_lineages(good)
    if not (choice.lineage or choice.instance_id) and len(lines) > 1:
        own = _find_own(facts, lines)
        others = [line for line in lines if line != own]
        if not own:
            report.refuse(
                "several-lineages",
                "recovery_point",
                f'recovery_point is "{_name(choice)}", and several lineages have a good one; name one: '
                f"{_list_lineages(lines)}",
            )
            return None
        report.warn(
            "other-lineages",
            "recovery_point",
            f"the restore takes the latest of this instance's own lineage, not {_list_lineages(others)}",
        )
        good = list(own)
    return _build_source(max(good, key=lambda point: (point.taken_at, point.id)), facts)


def _choose_by_id(
    name: str, catalogue: tuple[RecoveryPoint, ...], facts: PreflightFacts, report: Report
) -> Source | None:
    # A copy that is not good here may be good in another region, or in another attempt.
    named = next((point for point in (*facts.points, *facts.elsewhere) if point.id == name), None)
    if named is None:
        regions = [facts.region, *(region for region in facts.restore_from if region not in facts.unread_regions)]
        report.refuse(
            "no-recovery-point",
            "recovery_point",
            f"recovery_point is {name}, expected the id of one that is in {' or '.join(regions)}",
        )
        return None
    return _build_source(
        next(point for point in catalogue if _identify_original(point) == _identify_original(named)), facts
    )


def _build_source(point: RecoveryPoint, facts: PreflightFacts) -> Source:
    return Source(point.id, point.members, point, point.region, point.account, choose_set_id(point, facts))


def _select_wanted(
    choice: RecoveryPointChoice, facts: PreflightFacts, points: list[RecoveryPoint]
) -> tuple[list[RecoveryPoint], str]:
    if choice.lineage:
        return [point for point in points if choice.lineage in point.lineages], f"of the lineage {choice.lineage}"
    if choice.instance_id:
        wanted = [point for point in points if point.instance_id == choice.instance_id]
        return wanted, f"of the instance {choice.instance_id}"
    return [point for point in points if point.stack == facts.stack], f"of the stack {facts.stack}"


def _find_own(facts: PreflightFacts, lines: Iterable[tuple[RecoveryPoint, ...]]) -> tuple[RecoveryPoint, ...]:
    """The recovery points of the target instance's own lineage, if it has any."""
    if facts.instance is None:
        return ()
    mine = {facts.instance.id}
    for attachment in data_attachments(facts.instance):
        volume = facts.volumes.get(attachment.volume_id)
        mine |= {attachment.volume_id, volume.tags.get(Tag.LINEAGE, "") if volume else ""} - {""}
    # The target's volume and the target itself may be of different lineages: the newer one is the instance's.
    own = [line for line in lines if any(mine & {*point.lineages, point.instance_id} for point in line)]
    return max(own, key=lambda line: line[-1].taken_at, default=())


def _name(choice: RecoveryPointChoice) -> str:
    return "latest-proven" if choice.proven else "latest"


def _refuse_none(choice: RecoveryPointChoice, called: str, wanted: list[RecoveryPoint], report: Report) -> None:
    if choice.proven:
        when = f" before {iso(choice.before)}" if choice.before else ""
        report.refuse(
            "no-proven-recovery-point",
            "recovery_point",
            f'no good recovery point {called}{when} is proven; verify one by hand, or restore "latest" all the same',
        )
        return
    report.refuse("no-good-recovery-point", "recovery_point", _describe_none_good(called, wanted, choice.before))


def _describe_none_good(called: str, wanted: list[RecoveryPoint], before: datetime | None) -> str:
    when = f" before {iso(before)}" if before else ""
    if not wanted:
        return f"there is no recovery point {called}{when}"
    states = ", ".join(f"{point.id} is {point.condition}" for point in wanted[-5:])
    return f"there is no good recovery point {called}{when}: {states}"


def _list_lineages(lines: Sequence[tuple[RecoveryPoint, ...]]) -> str:
    """The newest lineages, because there may be thousands, in the order of their last recovery points."""
    left_out = len(lines) - MAX_LISTED
    more = f"{left_out} with older recovery points; " if left_out > 0 else ""
    return more + "; ".join(map(_describe_lineage, lines[-MAX_LISTED:]))


def _describe_lineage(line: tuple[RecoveryPoint, ...]) -> str:
    last = line[-1]
    name = f" ({last.instance_name})" if last.instance_name else ""
    return (
        f'{{"instance_id": "{last.instance_id}"}}{name}, {len(line)} good, the last of {iso(last.taken_at)}, '
        f"lineage {', '.join(last.lineages)}"
    )
