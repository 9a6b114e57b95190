"""Which recovery point is meant?"""

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
from lifeboat.restore.preflight.source import Source, set_id_of, source_of_snapshots
from lifeboat.restore.request import RecoveryPointChoice, RestoreRequest

LINES_LISTED = 20
"""How many lines of data a finding names: a finding is read by a person."""


def lineages(points: Iterable[RecoveryPoint]) -> tuple[tuple[RecoveryPoint, ...], ...]:
    """Recovery points that belong to one line of data, oldest first in each: they share a chain or an instance.

    The instance's id changes when a platform is deployed afresh, the chain is carried on by a restore; so a line of
    data may run through many of either.
    """
    ordered = sorted(points, key=lambda item: (item.taken_at, item.id))
    above: dict[str, str] = {}

    def first(name: str) -> str:
        while above[name] != name:
            above[name] = above[above[name]]
            name = above[name]
        return name

    for point in ordered:
        names = _names(point)
        for name in names:
            above[first(above.setdefault(name, name))] = first(above.setdefault(names[0], names[0]))
    lines: dict[str, list[RecoveryPoint]] = {}
    for point in ordered:
        lines.setdefault(first(_names(point)[0]), []).append(point)
    return tuple(sorted((tuple(line) for line in lines.values()), key=lambda line: (line[-1].taken_at, line[-1].id)))


def _names(point: RecoveryPoint) -> tuple[str, ...]:
    """What ties a recovery point to others; at least one, for it is of at least one volume."""
    return (*point.lineages, point.instance_id) if point.instance_id else point.lineages


def sought(choice: RecoveryPointChoice, shown: Iterable[Snapshot]) -> Mapping[str, tuple[str, ...]] | None:
    """The tags, each with its values, by which the recovery points that may be meant are found among all others.

    None of them: all may be meant. None at all: none is. `shown` are the snapshots of the ids that were named.
    """
    if choice.id:  # that of a further set of the same slot ends with its number, which no tag has
        return {Tag.RECOVERY_POINT: tuple(dict.fromkeys((choice.id, choice.id.rpartition("+")[0] or choice.id)))}
    if choice.snapshot_ids:
        ids = {snapshot.tags[Tag.RECOVERY_POINT] for snapshot in shown if Tag.RECOVERY_POINT in snapshot.tags}
        return {Tag.RECOVERY_POINT: tuple(sorted(ids))} if ids else None
    if choice.instance_id:
        return {Tag.INSTANCE: (choice.instance_id,)}
    return {}


def may_be_elsewhere(choice: RecoveryPointChoice, facts: PreflightFacts) -> bool:
    """Whether other regions and accounts have a say in what is meant: not if it is named, and is ours and here."""
    if choice.id:
        return not any(point.id == choice.id and point.condition is Condition.GOOD for point in facts.points)
    here = {name for name, snapshot in facts.snapshots.items() if snapshot.owner_id == facts.account}
    return not choice.snapshot_ids or not here.issuperset(choice.snapshot_ids)


def may_be_shared_by(account: str, choice: RecoveryPointChoice) -> bool:
    """Whether what is meant may be another account's: the names that those have in a vault carry its id."""
    if choice.id:
        return f"-{account}" in choice.id
    named = choice.lineage or choice.instance_id
    return named is None or named.startswith(f"{account}/")


def of_the_named(choice: RecoveryPointChoice, points: Iterable[RecoveryPoint]) -> tuple[RecoveryPoint, ...]:
    """If snapshots are named by their ids, the recovery points that these are of, else all."""
    named = set(choice.snapshot_ids)
    return tuple(point for point in points if not named or named & {member.snapshot.id for member in point.members})


def everywhere(facts: PreflightFacts) -> tuple[RecoveryPoint, ...]:
    """Every recovery point once, oldest first, with all its copies: a good one before all others, then what is here."""
    best: dict[tuple[str, str], RecoveryPoint] = {}
    for point in (*facts.points, *facts.elsewhere):
        known = best.setdefault(_original(point), point)
        if point.condition is Condition.GOOD and known.condition is not Condition.GOOD:
            best[_original(point)] = point
    return tuple(sorted(best.values(), key=lambda point: (point.taken_at, point.id)))


def _original(point: RecoveryPoint) -> tuple[str, str]:
    return original_set(point.members[0].snapshot)


def warn_of_unread_places(facts: PreflightFacts, report: Report) -> None:
    for region, why in facts.unread.items():
        report.warn(
            "region-not-seen",
            "recovery_point",
            f"what is only in {region} is not known, because {region} could not be looked at: {why}",
        )
    for account, why in facts.unread_accounts.items():
        report.warn(
            "account-not-heard",
            "recovery_point",
            f"what account {account} shares and is not copied yet is not known: {why}",
        )


def choose_source(request: RestoreRequest, facts: PreflightFacts, report: Report) -> Source | None:
    choice = request.recovery_point
    if facts.too_many:
        report.refuse(
            "too-many-recovery-points",
            "recovery_point",
            f"recovery_point may be any of more than {facts.too_many:,} snapshots, too many to look through; name the "
            'instance that was saved, {"instance_id": "i-..."}, a recovery point\'s id or its snapshots',
        )
        return None
    if choice.snapshot_ids:
        return source_of_snapshots(choice.snapshot_ids, facts, report)
    catalogue = everywhere(facts)
    points = [point for point in catalogue if choice.before is None or point.taken_at < choice.before]
    if choice.id:
        # A copy that failed here, or is not whole yet, may be good elsewhere, or in another attempt.
        named = next((item for item in (*facts.points, *facts.elsewhere) if item.id == choice.id), None)
        point = next((item for item in catalogue if named and _original(item) == _original(named)), None)
        if point is None:
            regions = [facts.region, *(region for region in facts.restore_from if region not in facts.unread)]
            report.refuse(
                "no-recovery-point",
                "recovery_point",
                f"recovery_point is {choice.id}, expected the id of one that is in {' or '.join(regions)}",
            )
        return _of(point, facts)
    wanted, called = _asked_for(choice, facts, points)
    good = [point for point in wanted if point.condition is Condition.GOOD]
    if not good:
        report.refuse("no-good-recovery-point", "recovery_point", _none_good(called, wanted, choice.before))
        return None
    lines = lineages(good)
    if not (choice.lineage or choice.instance_id) and len(lines) > 1:
        own = _own(facts, lines)
        others = [line for line in lines if line != own]
        if not own:
            report.refuse(
                "several-lineages",
                "recovery_point",
                f'recovery_point is "latest", and any of these could be meant; name one: {_listed_lines(lines)}',
            )
            return None
        report.warn(
            "other-lineages",
            "recovery_point",
            f"the latest of this instance's own line of data is taken, not {_listed_lines(others)}",
        )
        good = list(own)
    return _of(max(good, key=lambda point: (point.taken_at, point.id)), facts)


def _of(point: RecoveryPoint | None, facts: PreflightFacts) -> Source | None:
    if point is None:
        return None
    return Source(point.id, point.members, point, point.region, point.account, set_id_of(point, facts))


def _asked_for(
    choice: RecoveryPointChoice, facts: PreflightFacts, points: list[RecoveryPoint]
) -> tuple[list[RecoveryPoint], str]:
    if choice.lineage:
        return [point for point in points if choice.lineage in point.lineages], f"of the chain {choice.lineage}"
    if choice.instance_id:
        wanted = [point for point in points if point.instance_id == choice.instance_id]
        return wanted, f"of the instance {choice.instance_id}"
    return [point for point in points if point.stack == facts.stack], f"of the stack {facts.stack}"


def _own(facts: PreflightFacts, lines: Iterable[tuple[RecoveryPoint, ...]]) -> tuple[RecoveryPoint, ...]:
    """The recovery points of the target's own line of data, if it has any."""
    if facts.instance is None:
        return ()
    mine = {facts.instance.id}
    for attachment in data_attachments(facts.instance):
        volume = facts.volumes.get(attachment.volume_id)
        mine |= {attachment.volume_id, volume.tags.get(Tag.LINEAGE, "") if volume else ""} - {""}
    # An old chain and a younger instance may have lines of their own: the instance's came later.
    own = [line for line in lines if any(mine & {*point.lineages, point.instance_id} for point in line)]
    return max(own, key=lambda line: line[-1].taken_at, default=())


def _none_good(called: str, wanted: list[RecoveryPoint], before: datetime | None) -> str:
    when = f" before {iso(before)}" if before else ""
    if not wanted:
        return f"there is no recovery point {called}{when}"
    states = ", ".join(f"{point.id} is {point.condition}" for point in wanted[-5:])
    return f"there is no good recovery point {called}{when}: {states}"


def _listed_lines(lines: Sequence[tuple[RecoveryPoint, ...]]) -> str:
    """The newest of them, as a fleet has thousands, in the order of their last recovery points."""
    left_out = len(lines) - LINES_LISTED
    more = f"{left_out} whose last is older; " if left_out > 0 else ""
    return more + "; ".join(map(_line_of, lines[-LINES_LISTED:]))


def _line_of(line: tuple[RecoveryPoint, ...]) -> str:
    last = line[-1]
    name = f" ({last.instance_name})" if last.instance_name else ""
    return (
        f'{{"instance_id": "{last.instance_id}"}}{name}, {len(line)} good, the last of {iso(last.taken_at)}, '
        f"chain {', '.join(last.lineages)}"
    )
