"""Pre-flight: everything that can be known before a restore touches anything, in one answer.

Nothing is guessed. Which recovery point, which line of data, which volume gives way: where more than one could be
meant, the restore is refused and they are listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lifeboat.model import (
    Attachment,
    Condition,
    CopySnapshot,
    Direction,
    Fetch,
    Finding,
    Instance,
    Member,
    Preflight,
    PreflightFacts,
    RecoveryPoint,
    RecoveryPointChoice,
    Restore,
    RestoreRequest,
    RestoreStep,
    RestoreVolume,
    Severity,
    Snapshot,
    Tag,
    Tags,
    Trust,
    Volume,
    VolumeOverrides,
    VolumeStory,
    origin,
)
from lifeboat.rules.catalogue import (
    COPIED_VOLUME,
    MAX_TAGS,
    StoryError,
    iso,
    made_by_others,
    name_left_out,
    read_story,
    tags_of_copy,
    without_reserved,
)
from lifeboat.rules.copies import completion_minutes, original_set, set_id_for
from lifeboat.rules.devices import EXPECTED, FREE_EXAMPLES, is_reserved_for_root, is_taken_by_ec2, same_device
from lifeboat.rules.restore import RestoreError, hibernation, restore_id
from lifeboat.rules.selection import data_attachments, root_attachments, root_problem
from lifeboat.rules.words import is_blank

FIRST_BOOT = timedelta(minutes=10)
"""How long the protected platform's first boot takes; a restore before its end meets a half-made installation."""

RATE = (100, 300)
"""VolumeInitializationRate, MiB/s (CreateVolume, EC2 API reference)."""

LINES_LISTED = 20
"""How many lines of data a finding names: a finding is read by a person."""


@dataclass(frozen=True, slots=True)
class TypeLimits:
    """What a volume type allows: GiB, IOPS and MiB/s as least and most; None where the type takes no such parameter.

    `iops_per_gib` bounds IOPS by the size; `iops_needed`: the type does not come without.
    """

    size: tuple[int, int]
    iops: tuple[int, int] | None = None
    throughput: tuple[int, int] | None = None
    iops_per_gib: int | None = None
    iops_needed: bool = False


LIMITS: Mapping[str, TypeLimits] = {
    "gp3": TypeLimits((1, 65536), (3000, 80000), (125, 2000), iops_per_gib=500),
    "gp2": TypeLimits((1, 16384)),
    "io1": TypeLimits((4, 16384), (100, 64000), iops_per_gib=50, iops_needed=True),
    "io2": TypeLimits((4, 65536), (100, 256000), iops_per_gib=1000, iops_needed=True),
    "st1": TypeLimits((125, 16384)),
    "sc1": TypeLimits((125, 16384)),
    "standard": TypeLimits((1, 1024)),
}
"""https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html, gp3 as of 26 September 2025."""

GP3_FREE_IOPS = 3000
GP3_IOPS_PER_MIBPS = 4
"""gp3 gives at most 0.25 MiB/s for each of its IOPS."""


@dataclass(frozen=True, slots=True)
class _Source:
    """What is to be restored: the members, and how the choice is called.

    `point` is the recovery point, if they are all of it. Of what is not here, `region` says where it is, `account`
    whose it is if not ours, and `set_id` what its copies carry.
    """

    id: str
    members: tuple[Member, ...]
    point: RecoveryPoint | None = None
    region: str = ""
    account: str = ""
    set_id: str = ""


class _Report:
    """The findings as they come."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def refuse(self, code: str, field: str, sentence: str) -> None:
        self.findings.append(Finding(code, Severity.REFUSE, field, sentence))

    def warn(self, code: str, field: str, sentence: str) -> None:
        self.findings.append(Finding(code, Severity.WARN, field, sentence))


def preflight(request: RestoreRequest, facts: PreflightFacts, now: datetime) -> Preflight:
    """Check a request against everything known. Every finding is there, not the first only."""
    report = _Report()
    _check_request(request, report)
    if facts.instance is not None:
        _check_instance(request, facts, facts.instance, now, report)
    else:
        report.refuse(
            "no-instance",
            "instance_id",
            f"instance_id is {request.instance_id}, expected an instance that exists in {facts.region}",
        )
    source = _source(request, facts, report)
    _warn_of_unseen(facts, report)
    if source:
        _check_source(source, facts, report)
    draft = None
    if facts.instance is not None and source is not None and not root_problem(facts.instance):
        draft = _draft(request, facts, facts.instance, source, now, report)
    for action, said in sorted(facts.dry_runs.items()):
        if said:
            report.refuse("not-allowed", action, f"{action} would be refused: {said}")
    findings = tuple(sorted(report.findings, key=lambda item: item.severity is not Severity.REFUSE))
    plan = None if any(item.severity is Severity.REFUSE for item in findings) else draft
    return Preflight(findings, plan, _text(request, findings, plan), draft)


# --- the request itself, and the instance


def _check_request(request: RestoreRequest, report: _Report) -> None:
    if is_blank(request.request_id):
        report.refuse("no-request-id", "request_id", "request_id is blank, expected any text that names this request")
    rate = request.volume.initialization_rate
    if rate is not None and not RATE[0] <= rate <= RATE[1]:
        report.refuse(
            "rate-out-of-range",
            "volume.initialization_rate",
            f"volume.initialization_rate is {rate}, expected {RATE[0]} to {RATE[1]} MiB/s",
        )
    for name in ("size", "iops", "throughput"):
        value = getattr(request.volume, name)
        if value is not None and value <= 0:
            report.refuse("not-positive", f"volume.{name}", f"volume.{name} is {value}, expected a number above 0")
    if request.volume.encrypted is False and request.volume.kms_key_id:
        report.refuse(
            "key-without-encryption",
            "volume.kms_key_id",
            "volume.kms_key_id is set though volume.encrypted is false, expected one or the other",
        )
    choice = request.recovery_point
    named = [name for name in ("id", "snapshot_ids", "chain", "instance_id") if getattr(choice, name)]
    if len(named) > 1:
        report.refuse(
            "ambiguous-choice", "recovery_point", f"recovery_point names {' and '.join(named)}, expected one of them"
        )
    if choice.before is not None and choice.before.tzinfo is None:
        report.refuse(
            "no-time-zone",
            "recovery_point.before",
            f"recovery_point.before is {choice.before.isoformat()}, expected a time with a zone",
        )


def _check_instance(
    request: RestoreRequest, facts: PreflightFacts, instance: Instance, now: datetime, report: _Report
) -> None:
    field = "instance_id"
    if instance.state not in {"running", "stopped"}:
        report.refuse("wrong-state", field, f"{instance.id} is {instance.state}, expected running or stopped")
    if instance.auto_scaling_group:
        report.refuse(
            "auto-scaling",
            field,
            f"{instance.id} is a member of the Auto Scaling group {instance.auto_scaling_group}, which replaces a "
            "stopped instance: take it out of the group first",
        )
    if instance.lifecycle:
        report.refuse(
            "spot", field, f"{instance.id} is a {instance.lifecycle} instance, expected one on demand: it may not start"
        )
    if facts.stop_protected:
        report.refuse(
            "stop-protected",
            field,
            f"{instance.id} is protected from being stopped: aws ec2 modify-instance-attribute --region {facts.region} "
            f"--instance-id {instance.id} --no-disable-api-stop",
        )
    _check_the_stop(facts, instance, report)
    unclear = root_problem(instance)
    if unclear and instance.state not in {"shutting-down", "terminated"}:
        report.refuse("root-unclear" if instance.root_device else "no-root-device", field, unclear)
    if facts.open_restore and facts.open_restore != _id_of(request):
        report.refuse(
            "restore-open",
            field,
            f"the restore {facts.open_restore} is open on {instance.id}: wait for it, or cancel it",
        )
    _check_image(request, facts, instance, report)
    if instance.state == "running" and instance.launched_at and now - instance.launched_at < FIRST_BOOT:
        minutes = int((now - instance.launched_at).total_seconds() // 60)
        report.warn(
            "first-boot",
            field,
            f"{instance.id} was launched {minutes} minutes ago: a fresh platform's first boot takes about "
            f"{int(FIRST_BOOT.total_seconds() // 60)}; let it finish",
        )


def _check_the_stop(facts: PreflightFacts, instance: Instance, report: _Report) -> None:
    """What forbids to stop the instance and swap its volumes, and what a stop takes whatever comes of the restore."""
    field = "instance_id"
    if instance.hibernated and instance.state == "stopped":
        report.refuse("hibernated", field, f"{hibernation(instance.id)}, and ask again")
    if instance.outpost:
        report.refuse(
            "outpost",
            field,
            f"{instance.id} is on the Outpost {instance.outpost}, expected an instance in a zone of {facts.region}: "
            "EC2 attaches there only what was made there, and Lifeboat makes no volume on an Outpost",
        )
    if instance.has_instance_store_root:
        report.refuse(
            "instance-store-root",
            field,
            f"{instance.id} has its root on an instance store volume, expected one on EBS: EC2 cannot stop it",
        )
    elif instance.state == "running":
        for code, phrase in _taken_by_a_stop(facts, instance):
            report.warn(code, field, f"stopping {instance.id} takes {phrase} for good, whatever comes of the restore")


def _taken_by_a_stop(facts: PreflightFacts, instance: Instance) -> list[tuple[str, str]]:
    """What the instance has only as long as it runs: a finding's code and a phrase
    (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/how-ec2-instance-stop-start-works.html)."""
    taken = []
    if facts.instance_store is None:
        phrase = f"what is on its instance store volumes, if {instance.type or 'its type'} has any (EC2 did not tell),"
        taken.append(("instance-store", phrase))
    elif facts.instance_store:
        taken.append(("instance-store", f"what is on its {facts.instance_store} GB of instance store volumes"))
    taken += [
        ("public-address", f"its public address {address}, which is no Elastic IP address,")
        for address in instance.given_addresses
    ]
    return taken


def _check_image(request: RestoreRequest, facts: PreflightFacts, instance: Instance, report: _Report) -> None:
    if facts.ami.verdict is Trust.TRUSTED:
        return
    said = f"the image {instance.ami_id} of {instance.id} is {facts.ami.verdict}: {facts.ami.reason}"
    if request.ami_override_reason and not is_blank(request.ami_override_reason):
        report.warn("ami-overridden", "ami_override", f"{said}; overridden: {request.ami_override_reason}")
    else:
        report.refuse(
            f"ami-{facts.ami.verdict}",
            "instance_id",
            f'{said}; to restore all the same, ask with "ami_override": {{"reason": "..."}}',
        )


def _id_of(request: RestoreRequest) -> str:
    try:
        return restore_id(request.request_id)
    except RestoreError:
        return ""


# --- which recovery point


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
    return (*point.chains, point.instance_id) if point.instance_id else point.chains


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
    named = choice.chain or choice.instance_id
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


def _warn_of_unseen(facts: PreflightFacts, report: _Report) -> None:
    for region, why in facts.unseen.items():
        report.warn(
            "region-not-seen",
            "recovery_point",
            f"what is only in {region} is not known, because {region} could not be looked at: {why}",
        )
    for account, why in facts.unheard.items():
        report.warn(
            "account-not-heard",
            "recovery_point",
            f"what account {account} shares and is not copied yet is not known: {why}",
        )


def _source(request: RestoreRequest, facts: PreflightFacts, report: _Report) -> _Source | None:
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
        return _from_snapshots(choice.snapshot_ids, facts, report)
    catalogue = everywhere(facts)
    points = [point for point in catalogue if _is_before(point, choice.before)]
    if choice.id:
        # A copy that failed here, or is not whole yet, may be good elsewhere, or in another attempt.
        named = next((item for item in (*facts.points, *facts.elsewhere) if item.id == choice.id), None)
        point = next((item for item in catalogue if named and _original(item) == _original(named)), None)
        if point is None:
            regions = [facts.region, *(region for region in facts.restore_from if region not in facts.unseen)]
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
    if not (choice.chain or choice.instance_id) and len(lines) > 1:
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


def _is_before(point: RecoveryPoint, before: datetime | None) -> bool:
    # A time without a zone cannot be compared, and has been refused already.
    return before is None or before.tzinfo is None or point.taken_at < before


def _of(point: RecoveryPoint | None, facts: PreflightFacts) -> _Source | None:
    if point is None:
        return None
    return _Source(point.id, point.members, point, point.region, point.account, _set_id(point, facts))


def _set_id(point: RecoveryPoint, facts: PreflightFacts) -> str:
    if not point.region:
        return ""
    return set_id_for(point, (member.snapshot for item in facts.points for member in item.members))


def _asked_for(
    choice: RecoveryPointChoice, facts: PreflightFacts, points: list[RecoveryPoint]
) -> tuple[list[RecoveryPoint], str]:
    if choice.chain:
        return [point for point in points if choice.chain in point.chains], f"of the chain {choice.chain}"
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
        mine |= {attachment.volume_id, volume.tags.get(Tag.CHAIN, "") if volume else ""} - {""}
    # An old chain and a younger instance may have lines of their own: the instance's came later.
    own = [line for line in lines if any(mine & {*point.chains, point.instance_id} for point in line)]
    return max(own, key=lambda line: line[-1].taken_at, default=())


def _none_good(called: str, wanted: list[RecoveryPoint], before: datetime | None) -> str:
    when = f" before {iso(before)}" if before and before.tzinfo else ""
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
        f"chain {', '.join(last.chains)}"
    )


def _from_snapshots(ids: tuple[str, ...], facts: PreflightFacts, report: _Report) -> _Source | None:
    catalogue = (*facts.elsewhere, *facts.points)
    known = {member.snapshot.id: (point, member) for point in catalogue for member in point.members}
    members: list[Member] = []
    points: dict[tuple[str, str], RecoveryPoint] = {}
    for snapshot_id in dict.fromkeys(ids):
        if snapshot_id in known:
            point, member = known[snapshot_id]
            points[point.id, origin(point.region or facts.region, point.account)] = point
            members.append(member)
        elif snapshot_id in facts.snapshots:
            _warn_of_others_copy(facts.snapshots[snapshot_id], report)
            members.append(Member(facts.snapshots[snapshot_id], _story_of(facts.snapshots[snapshot_id], facts)))
        else:
            report.refuse(
                "no-snapshot",
                "recovery_point",
                f"recovery_point names {snapshot_id}, expected a snapshot that this account sees in {facts.region}",
            )
    if len(points) > 1:
        names = (f"{name} in {where}" for name, where in sorted(points))
        report.refuse(
            "several-recovery-points",
            "recovery_point",
            f"recovery_point names snapshots of {', '.join(names)}, expected those of one: volumes of "
            "different moments do not belong together",
        )
    if not members:
        return None
    whole = next(iter(points.values())) if len(points) == 1 else None
    if whole and whole.region and any(member not in whole.members for member in members):
        report.refuse(
            "several-recovery-points",
            "recovery_point",
            f"recovery_point names snapshots of {whole.id} in {origin(whole.region, whole.account)} and others that "
            "are here, expected those of one",
        )
        return None
    if whole and len(members) < whole.expected:
        report.warn(
            "part-of-a-set",
            "recovery_point",
            f"only {len(members)} of the {whole.expected} volumes of {whole.id} are asked for; the others stay as they "
            "are now",
        )
    if whole is None:
        return _Source("+".join(member.snapshot.id for member in members), tuple(members))
    all_of_it = whole if len(members) == len(whole.members) else None
    return _Source(whole.id, tuple(members), all_of_it, whole.region, whole.account, _set_id(whole, facts))


def _warn_of_others_copy(snapshot: Snapshot, report: _Report) -> None:
    if Tag.RECOVERY_POINT in snapshot.tags and (reason := made_by_others(snapshot)):
        of = f"{snapshot.tags[Tag.RECOVERY_POINT]}, of the slot {snapshot.tags.get(Tag.SLOT, 'that it does not tell')}"
        report.warn("others-copy", "recovery_point", f"{reason}; by its tags its data is that of {of}")


def _story_of(snapshot: Snapshot, facts: PreflightFacts) -> VolumeStory:
    """A snapshot that tells no story is restored as what it displaces, if that is plain, else as gp3."""
    try:
        return read_story(snapshot)
    except StoryError:
        pass
    data = _candidates(facts.instance, facts.volumes) if facts.instance else []
    model = data[0][1] if len(data) == 1 else None
    # The volume id of a copied snapshot is arbitrary, so it would tie unrelated lines of data together.
    copied = snapshot.volume_id in {"", COPIED_VOLUME}
    # On a snapshot that carries our tags but is of another volume, the chain is that of the volume it is not of.
    tagged = "" if Tag.RECOVERY_POINT in snapshot.tags else snapshot.tags.get(Tag.CHAIN)
    return VolumeStory(
        volume_id=snapshot.volume_id,
        chain=tagged or (snapshot.id if copied else snapshot.volume_id),
        device="",
        type=model.type if model else "gp3",
        size=max(snapshot.size, model.size if model else 0),
        encrypted=snapshot.encrypted,
        delete_on_termination=False,
        iops=model.iops if model else None,
        throughput=model.throughput if model else None,
        kms_key_id=snapshot.kms_key_id,
        tags=model.tags if model else {},
    )


def _check_source(source: _Source, facts: PreflightFacts, report: _Report) -> None:
    field = "recovery_point"
    if source.point and source.point.condition is not Condition.GOOD:
        point = source.point
        report.refuse(
            "not-good",
            field,
            f"{point.id} is {point.condition} ({len(point.members)} of {point.expected} snapshots), expected a good "
            "one",
        )
    # What a source shares is what the vault is there to copy; the copy is the vault's own.
    trusted = {facts.account, *facts.trusted_snapshot_owners, source.account or facts.account}
    for member in source.members:
        snapshot = member.snapshot
        if snapshot.state != "completed":
            why = f" ({snapshot.state_message})" if snapshot.state_message else ""
            report.refuse("not-completed", field, f"{snapshot.id} is {snapshot.state}{why}, expected completed")
        if snapshot.tier != "standard":
            report.refuse(
                "archived",
                field,
                f"{snapshot.id} is in the {snapshot.tier} tier: aws ec2 restore-snapshot-tier "
                f"--region {source.region or facts.region} "
                f"--snapshot-id {snapshot.id} --permanent-restore takes up to 72 hours",
            )
        if snapshot.owner_id not in trusted:
            report.refuse(
                "foreign-snapshot",
                field,
                f"{snapshot.id} belongs to {snapshot.owner_id or 'nobody known'}, expected {facts.account} or a "
                "trusted owner",
            )


# --- which volumes give way


def _candidates(instance: Instance, volumes: Mapping[str, Volume]) -> list[tuple[Attachment, Volume]]:
    return [
        (attachment, volumes[attachment.volume_id])
        for attachment in sorted(data_attachments(instance), key=lambda item: item.device)
        if attachment.volume_id in volumes
    ]


def _draft(  # noqa: PLR0917 - what was asked, what is known, where to tell
    request: RestoreRequest,
    facts: PreflightFacts,
    instance: Instance,
    source: _Source,
    now: datetime,
    report: _Report,
) -> Restore | None:
    pairs = _matched(request, facts, instance, source, report)
    _check_consent(facts, instance, pairs, report)
    volumes = []
    for member, device, displaced in pairs:
        volume = _restored(request.volume, facts, instance.zone, (member, device, displaced))
        if source.region:
            try:
                volume = _fetched(volume, member, source, request, facts, now)
            except StoryError as problem:
                report.refuse("too-many-tags", "recovery_point", str(problem))
                continue
        _check_volume(volume, member, request.volume, facts, report)
        volumes.append(volume)
    if len(volumes) != len(source.members):
        return None
    _warn_of_the_rest(instance, pairs, report)
    point = source.point
    return Restore(
        id=_id_of(request),
        request_id=request.request_id,
        instance_id=instance.id,
        recovery_point_id=source.id,
        volumes=tuple(volumes),
        started_at=now,
        step_since=now,
        direction=Direction.FORWARD,
        step=RestoreStep.COPIES if source.region else RestoreStep.VOLUMES,
        was_running=instance.state == "running",
        start=request.start,
        requested_by=request.requested_by,
        reason=request.reason,
        ami_override=request.ami_override_reason if facts.ami.verdict is not Trust.TRUSTED else None,
        source_instance_id=point.instance_id if point else source.members[0].snapshot.tags.get(Tag.INSTANCE, ""),
        crossed=_crossed(facts, instance, source),
        cloudformation_stack=_cloudformation_stack(instance, pairs),
        stop_takes=tuple(phrase.rstrip(",") for _, phrase in _taken_by_a_stop(facts, instance)),
    )


type _Pair = tuple[Member, str, tuple[Attachment, Volume] | None]


def _matched(
    request: RestoreRequest, facts: PreflightFacts, instance: Instance, source: _Source, report: _Report
) -> list[_Pair]:
    candidates = _candidates(instance, facts.volumes)
    if request.device is not None:
        return _matched_by_request(request.device, instance, source, candidates, report)
    pairs: list[_Pair] = []
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
    source: _Source,
    candidates: list[tuple[Attachment, Volume]],
    report: _Report,
) -> list[_Pair]:
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
    root = roots[0].device if roots else instance.root_device or ""
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
    at_device = _at_device(member.story.device, candidates)
    if at_device:
        return at_device
    if len(candidates) == 1 and members == 1:
        return candidates
    chain, name = member.story.chain, member.story.tags.get("Name")
    by_chain = [item for item in candidates if chain in {item[1].tags.get(Tag.CHAIN), item[1].id}]
    return by_chain or [item for item in candidates if name and item[1].tags.get("Name") == name]


def _no_match(
    member: Member, found: list[tuple[Attachment, Volume]], candidates: list[tuple[Attachment, Volume]]
) -> str:
    how_many = "more than one volume" if found else "no volume"
    was = f", which was {member.story.volume_id} at {member.story.device}," if member.story.device else ""
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


def _check_consent(facts: PreflightFacts, instance: Instance, pairs: list[_Pair], report: _Report) -> None:
    wanted = [(instance.id, instance.tags)]
    for _, device, displaced in pairs:
        if displaced is None:
            continue
        attachment, volume = displaced
        wanted.append((volume.id, volume.tags))
        if attachment.state != "attached" or volume.state != "in-use":
            report.refuse("not-attached", "device", f"{volume.id} at {device} is {attachment.state}, expected attached")
        codes = facts.product_codes.get(volume.id)
        if codes:
            report.warn(
                "product-codes",
                "device",
                f"{volume.id} at {device} carries the Marketplace product code {', '.join(codes)}: EC2 attaches it "
                "again only while this account is subscribed to the product and the instance supports it, or else a "
                f"roll-back cannot put it back and {instance.id} stays stopped",
            )
        if not is_taken_by_ec2(device):
            report.warn(
                "odd-device",
                "device",
                f"{volume.id} is at {device}, which is not on AWS's list of device names: EC2 may refuse to attach a "
                "volume there again, the restored one and, in a roll-back, this one",
            )
        if volume.multi_attach:
            report.refuse(
                "multi-attach", "device", f"{volume.id} at {device} may be attached to several instances: not supported"
            )
        own = [key for key in volume.tags if not key.startswith("aws:")]
        new = {Tag.DISPLACED_BY.value, Tag.DISPLACED_FROM.value} - set(own)
        if len(own) + len(new) > MAX_TAGS:
            report.refuse(
                "too-many-tags",
                "device",
                f"{volume.id} has {len(own)} tags; {len(new)} more are needed and EC2 takes {MAX_TAGS}",
            )
    missing = [resource for resource, tags in wanted if tags.get(Tag.RESTORE_TARGET) != "true"]
    if missing:
        # The one command tags all that is needed, so nothing has to be thought about.
        ids = " ".join(resource for resource, _ in wanted)
        report.refuse(
            "no-consent",
            "instance_id",
            f"{', '.join(missing)} lack{'s' if len(missing) == 1 else ''} the tag {Tag.RESTORE_TARGET}=true, expected "
            f"on the instance and on each volume that gives way: aws ec2 create-tags --region {facts.region} "
            f"--resources {ids} --tags Key={Tag.RESTORE_TARGET},Value=true",
        )


def _warn_of_the_rest(instance: Instance, pairs: list[_Pair], report: _Report) -> None:
    displaced = {pair[2][1].id for pair in pairs if pair[2]}
    rest = [item for item in data_attachments(instance) if item.volume_id not in displaced]
    if rest:
        names = ", ".join(f"{item.volume_id} at {item.device}" for item in sorted(rest, key=lambda item: item.device))
        report.warn("volumes-left", "instance_id", f"{names} stay as they are")


# --- what is made


def _restored(
    overrides: VolumeOverrides,
    facts: PreflightFacts,
    zone: str,
    pair: _Pair,
) -> RestoreVolume:
    member, device, displaced = pair
    story, snapshot = member.story, member.snapshot
    kind = overrides.type or story.type
    limits = LIMITS.get(kind)
    same = kind == story.type
    iops = overrides.iops if overrides.iops is not None else story.iops if same else None
    throughput = overrides.throughput if overrides.throughput is not None else story.throughput if same else None
    encrypted_source = story.encrypted or snapshot.encrypted
    encrypted = (
        overrides.encrypted
        if overrides.encrypted is not None
        else encrypted_source or facts.encrypt_restored or bool(overrides.kms_key_id)
    )
    kept_key = (story.kms_key_id or snapshot.kms_key_id) if encrypted_source else facts.kms_key_id
    tags, left_out = _first_tags(story.tags)
    return RestoreVolume(
        snapshot_id=snapshot.id,
        device=device,
        zone=zone,
        type=kind,
        size=overrides.size or max(story.size, snapshot.size),
        encrypted=encrypted,
        chain=story.chain,
        # EC2 shows IOPS for gp2, too, and refuses them when the volume is made.
        iops=iops if overrides.iops is not None or (limits and limits.iops) else None,
        throughput=throughput if overrides.throughput is not None or (limits and limits.throughput) else None,
        kms_key_id=(overrides.kms_key_id or kept_key) if encrypted else None,
        initialization_rate=overrides.initialization_rate,
        tags=tags,
        displaced_volume_id=displaced[1].id if displaced else None,
        displaced_delete_on_termination=(
            displaced[0].delete_on_termination if displaced else story.delete_on_termination
        ),
        tags_left_out=story.tags_left_out + len(left_out),
        left_out=(*story.left_out, *left_out),
    )


def _fetched(  # noqa: PLR0917 - what was asked, what is known
    volume: RestoreVolume,
    member: Member,
    source: _Source,
    request: RestoreRequest,
    facts: PreflightFacts,
    now: datetime,
) -> RestoreVolume:
    """The same volume of a copy. A key of where the source is is of no use here: it has the one that is asked for or
    the stack's, or else the one that the copy gets or has.

    Raises StoryError when the copy would have too many tags.
    """
    key = (request.volume.kms_key_id or _key_of_copies(source, facts)) if volume.encrypted else None
    call = CopySnapshot(
        region=source.region,
        snapshot_id=member.snapshot.id,
        description=f"Lifeboat: {source.id}, copied from {origin(source.region, source.account)} for {_id_of(request)}",
        tags=tags_of_copy(member, region=source.region, set_id=source.set_id, now=now, restore_id=_id_of(request)),
        kms_key_id=key,
        completion_minutes=completion_minutes(facts.completion_minutes, member.snapshot.size),
        account=source.account,
    )
    return replace(volume, kms_key_id=key, fetch=Fetch(call))


def _key_of_copies(source: _Source, facts: PreflightFacts) -> str | None:
    return facts.vault_key if source.account else facts.kms_key_id


def _first_tags(tags: Tags) -> tuple[dict[str, str], tuple[str, ...]]:
    """As many of the volume's own tags as fit beside the restore's two, its Name first, and the keys of the rest."""
    own = sorted(without_reserved(tags).items(), key=lambda tag: (tag[0] != "Name", tag))
    return dict(own[: MAX_TAGS - 2]), tuple(key for key, _ in own[MAX_TAGS - 2 :])


def _check_volume(
    volume: RestoreVolume, member: Member, overrides: VolumeOverrides, facts: PreflightFacts, report: _Report
) -> None:
    snapshot = member.snapshot
    if volume.size < snapshot.size:
        report.refuse(
            "too-small",
            "volume.size",
            f"volume.size is {volume.size} GiB, expected at least the {snapshot.size} GiB of {snapshot.id}",
        )
    if snapshot.encrypted and not volume.encrypted:
        report.refuse(
            "cannot-decrypt",
            "volume.encrypted",
            f"volume.encrypted is false, and {snapshot.id} is encrypted: EBS cannot undo that",
        )
    if overrides.encrypted is False and facts.encryption_by_default and not snapshot.encrypted:
        report.warn(
            "encrypted-by-default",
            "volume.encrypted",
            "volume.encrypted is false, and this account encrypts every new "
            f"volume in {facts.region}: it will be encrypted",
        )
    _check_limits(volume, report)
    _check_key(volume, facts, report)
    if volume.tags_left_out:
        named = name_left_out(volume.tags_left_out, volume.left_out)
        report.warn(
            "tags-left-out",
            "recovery_point",
            f"tags of {member.story.volume_id} that did not fit, and that the new volume does not get: {named}",
        )


def _check_key(volume: RestoreVolume, facts: PreflightFacts, report: _Report) -> None:
    parts = (volume.kms_key_id or "").split(":")
    if len(parts) < 6:  # an id, an alias, or none: of this account and region by its nature
        return
    region, account = parts[3], parts[4]
    if region != facts.region:
        report.refuse(
            "key-of-another-region",
            "volume.kms_key_id",
            f"the key {volume.kms_key_id} is of {region}, expected one of {facts.region}",
        )
    if account != facts.account:
        report.warn(
            "key-of-another-account",
            "volume.kms_key_id",
            f"the key {volume.kms_key_id} belongs to {account}: its policy must let this account use it and make "
            "grants, or the volume ends in error",
        )


def _check_limits(volume: RestoreVolume, report: _Report) -> None:
    limits = LIMITS.get(volume.type)
    if limits is None:
        report.refuse(
            "unknown-type", "volume.type", f"volume.type is {volume.type}, expected one of {', '.join(LIMITS)}"
        )
        return
    for name, value, bounds, unit in (
        ("size", volume.size, limits.size, "GiB"),
        ("iops", volume.iops, limits.iops, "IOPS"),
        ("throughput", volume.throughput, limits.throughput, "MiB/s"),
    ):
        if value is None:
            continue
        if bounds is None:
            report.refuse("not-for-type", f"volume.{name}", f"volume.{name} is {value}, and {volume.type} takes none")
        elif not bounds[0] <= value <= bounds[1]:
            report.refuse(
                "beyond-type",
                f"volume.{name}",
                f"volume.{name} is {value}, expected {bounds[0]} to {bounds[1]} {unit} for {volume.type}",
            )
    _check_ratios(volume, limits, report)


def _check_ratios(volume: RestoreVolume, limits: TypeLimits, report: _Report) -> None:
    if limits.iops_needed and volume.iops is None:
        report.refuse("iops-needed", "volume.iops", f"volume.iops is missing, expected a number for {volume.type}")
    # gp3 has its first 3,000 at any size.
    most = max(volume.size * (limits.iops_per_gib or 0), GP3_FREE_IOPS if volume.type == "gp3" else 0)
    if volume.iops and limits.iops_per_gib and volume.iops > most:
        report.refuse(
            "iops-for-size",
            "volume.iops",
            f"volume.iops is {volume.iops}, expected at most {most} for {volume.size} GiB of {volume.type}",
        )
    if (
        volume.type == "gp3"
        and volume.throughput
        and volume.throughput * GP3_IOPS_PER_MIBPS > (volume.iops or GP3_FREE_IOPS)
    ):
        report.refuse(
            "throughput-for-iops",
            "volume.throughput",
            f"volume.throughput is {volume.throughput}, expected at most a quarter of the "
            f"{volume.iops or GP3_FREE_IOPS} IOPS",
        )


def _crossed(facts: PreflightFacts, instance: Instance, source: _Source) -> tuple[str, ...]:
    """Borders that the data crosses on its way, each a phrase."""
    owners = sorted({member.snapshot.owner_id for member in source.members} - {facts.account, ""})
    found = [f"account {owner} to {facts.account}" for owner in owners]
    tags = source.members[0].snapshot.tags
    zone = source.point.zone if source.point else tags.get(Tag.ZONE, "")
    # A zone is its region and a letter, local zones and wavelength zones have more behind.
    if zone and not zone.startswith(facts.region):
        found.append(f"zone {zone} to region {facts.region}")
    before = source.point.instance_id if source.point else tags.get(Tag.INSTANCE, "")
    if before and before != instance.id:
        found.append(f"instance {before} to {instance.id}")
    return tuple(found)


def _cloudformation_stack(instance: Instance, pairs: list[_Pair]) -> str | None:
    key = "aws:cloudformation:stack-name"
    tags = [pair[2][1].tags for pair in pairs if pair[2]] + [instance.tags]
    return next((item[key] for item in tags if key in item), None)


# --- for people


def _text(request: RestoreRequest, findings: tuple[Finding, ...], plan: Restore | None) -> str:
    lines = []
    if plan:
        lines.append(f"Restore {plan.recovery_point_id} onto {plan.instance_id} as {plan.id}:")
        for volume in plan.volumes:
            if volume.fetch:
                lines.append(
                    f"- copy {volume.snapshot_id} from {volume.fetch.call.origin}, which takes its time, unless a copy "
                    f"is here or on its way; {plan.instance_id} is not touched meanwhile"
                )
        for volume in plan.volumes:
            of = f"the copy of {volume.snapshot_id}" if volume.fetch else volume.snapshot_id
            lines.append(f"- make {_described(volume)} of {of} in {volume.zone}")
        lines.append("- only when all are available: " + _swap_text(plan))
        for volume in plan.volumes:
            off = (
                f"take {volume.displaced_volume_id} off {volume.device} and keep it; "
                if volume.displaced_volume_id
                else ""
            )
            flag = str(volume.displaced_delete_on_termination).lower()
            lines.append(f"- {off}attach the new volume at {volume.device}, DeleteOnTermination {flag}")
        if plan.shall_run:
            lines.append(f"- start {plan.instance_id}, see it run and keep running, and its status checks pass")
        else:
            lines.append(f"- leave {plan.instance_id} stopped")
        lines.append(f"If a step fails, everything is put back as it was{_except(plan)}.")
    else:
        lines.append(f"The restore onto {request.instance_id} is refused; nothing was touched.")
    lines += [f"{item.severity.upper()} {item.code}: {item.sentence}" for item in findings]
    return "\n".join(lines)


def _swap_text(plan: Restore) -> str:
    return f"stop {plan.instance_id}" if plan.was_running else f"{plan.instance_id} is stopped already"


def _except(plan: Restore) -> str:
    if not plan.was_running or not plan.stop_takes:
        return ""
    return f", except for what the stop takes for good: {'; '.join(plan.stop_takes)}"


def _described(volume: RestoreVolume) -> str:
    parts = [f"a {volume.size} GiB {volume.type} volume"]
    if volume.iops is not None:
        parts.append(f"{volume.iops} IOPS")
    if volume.throughput is not None:
        parts.append(f"{volume.throughput} MiB/s")
    if volume.encrypted:
        parts.append(f"encrypted with {volume.kms_key_id or 'the default key'}")
    else:
        parts.append("not encrypted")
    return ", ".join(parts)
