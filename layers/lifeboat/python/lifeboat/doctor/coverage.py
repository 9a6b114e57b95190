"""Judge what the protection does not cover: a table of gaps, each with the command that closes it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from lifeboat.doctor import commands
from lifeboat.doctor.commands import Place
from lifeboat.doctor.coverage_facts import Coverage, Instances, lineages_of, own_keys
from lifeboat.doctor.facts import Seen
from lifeboat.doctor.line import Level, Line, not_seen, ok, warn
from lifeboat.domain.config import Config
from lifeboat.domain.deploy_command import deploy_command
from lifeboat.domain.ec2 import Volume
from lifeboat.domain.file_system import FileSystem
from lifeboat.domain.message import counted
from lifeboat.domain.recovery_point import Condition, RecoveryPoint
from lifeboat.domain.stack import Key, NotSeen
from lifeboat.domain.text import clip, iso, name_first
from lifeboat.status.protection import Kept

NAMED = 5
"""Ids that a line names."""

ROWS = 20
"""Gaps of one check that have a line of their own; one more line counts the rest."""

SILENT = timedelta(days=2)
"""For how long a vault may receive nothing of an account before that is a gap."""

LEFT_OUT = frozenset({"false", "no", "off"})
"""Values of the selecting tag by which a person leaves an instance out."""

BACKED_UP = frozenset({"ENABLED", "ENABLING"})
"""Words of EFS for automatic backups that are on
(https://docs.aws.amazon.com/efs/latest/ug/API_BackupPolicy.html)."""

ANY_KEY, ANY_REGION = "KEY_ARN", "OTHER_REGION"
"""What a person replaces in a command, where only a person can choose."""


def judge_coverage(found: Coverage, config: Config, place: Place) -> Iterator[Line]:
    """A line for each gap, and for each check without one. What was not observed is a line of its own."""
    parameters: Mapping[str, str] = {} if isinstance(found.parameters, NotSeen) else found.parameters
    if isinstance(found.parameters, NotSeen):
        yield not_seen("parameters", "The stack with its parameters", found.parameters.said)
    yield from _judge_selection(found.instances, config, place)
    if isinstance(found.volumes, NotSeen):
        yield not_seen("volumes", "The data volumes of the selected instances", found.volumes.said)
    if isinstance(found.points, NotSeen):
        yield not_seen("recovery_points", "The recovery points", found.points.said)
    yield from _judge_keys(found, parameters, config, place)
    yield from _judge_regions(found, parameters, place)
    yield from _judge_vault(found, config, place)
    yield from _judge_sources(found, parameters, place)
    yield from _judge_proofs(found, parameters, place)
    yield from _judge_file_systems(found.file_systems, place)


def _judge_selection(instances: Seen[Instances], config: Config, place: Place) -> Iterator[Line]:
    check, key, value = "selection", config.selector.tag_key, config.selector.tag_value
    if isinstance(instances, NotSeen):
        yield not_seen(check, "The instances", instances.said)
        return
    left_out = [item for item in instances.unselected if (item.value or "").casefold() in LEFT_OUT]
    gaps = []
    for item in instances.unselected:
        if item in left_out:
            continue
        tagged = f"its tag {key} is {clip(item.value, 40)!r}" if item.value is not None else f"it has no tag {key}"
        text = f"{item.id} has data volumes, and this stack does not back it up: {tagged}"
        select = commands.select_instance(place, key, value, item.id)
        gaps.append(warn(check, text, select, advice=f"To leave it out and out of this report: {key}=false."))
    yield from _first(gaps, check)
    if not gaps:
        out = f", {len(left_out)} left out by the tag" if left_out else ""
        text = f"Every instance with data volumes is selected: {len(instances.selected)}{out}"
        yield ok(check, text)


def _judge_keys(found: Coverage, parameters: Mapping[str, str], config: Config, place: Place) -> Iterator[Line]:
    """Volumes under aws/ebs: no other account can copy their snapshots."""
    check = "vault_keys"
    if isinstance(found.volumes, NotSeen):
        return
    unseen = {arn: key.said for arn, key in found.keys.items() if isinstance(key, NotSeen)}
    for arn, said in unseen.items():
        yield not_seen(check, f"The key {arn} of data volumes", said)
    unasked = set(own_keys(found.volumes, place.account)) - set(found.keys)
    if unasked:
        text = f"{counted(len(unasked), 'further key')} of data volumes not judged: {len(found.keys)} were asked about"
        yield warn(check, text, advice="Find the volumes under aws/ebs in the EC2 console, by their keys.")
    managed = [item for item in found.volumes.values() if _is_of_aws(found.keys.get(item.kms_key_id or ""))]
    if managed and not config.vault_account:
        names = name_first(sorted(item.id for item in managed), NAMED)
        yield ok(check, f"Encrypted with aws/ebs, so that no vault could copy their snapshots: {names}")
    elif managed:
        newest = _kept_of(found)
        rows = [_under_aws_key(item, newest, parameters, place) for item in sorted(managed, key=lambda item: item.id)]
        yield from _first(rows, check)
    elif not unseen and not unasked:
        yield ok(check, "No data volume is encrypted with aws/ebs")


def _under_aws_key(volume: Volume, kept: Mapping[str, Kept], parameters: Mapping[str, str], place: Place) -> Line:
    text = f"{volume.id} is encrypted with aws/ebs, so no vault can copy its snapshots"
    newest = next((item.newest for item in kept.values() if item.newest and _snapshot(item.newest, volume.id)), None)
    if newest is None:
        command = commands.back_up_now(place)
        return warn("vault_keys", text, command, advice="Then copy its snapshot under a key of your own, and restore.")
    key = parameters.get("VolumeKmsKeyArn") or ANY_KEY
    command = commands.copy_under_key(place, _snapshot(newest, volume.id), key)
    advice = "Then restore the copy by its id; from then on the vault can take the snapshots."
    return warn("vault_keys", text, command, advice=advice)


def _snapshot(point: RecoveryPoint, volume_id: str) -> str:
    """The recovery point's snapshot of this volume; empty without one."""
    return next((item.snapshot.id for item in point.members if item.metadata.volume_id == volume_id), "")


def _is_of_aws(key: Seen[Key] | None) -> bool:
    return isinstance(key, Key) and key.of_aws


def _judge_regions(found: Coverage, parameters: Mapping[str, str], place: Place) -> Iterator[Line]:
    check = "second_region"
    saves_others = bool(parameters.get("VaultSourceAccounts") or parameters.get("HomeRegion"))
    if not found.copies and saves_others:
        yield ok(check, "This stack keeps the copies of others")
    elif not found.copies:
        command = deploy_command({"CopyToRegions": ANY_REGION}, stack=place.stack, region=place.region)
        yield warn(check, f"No second region: every recovery point of this stack is in {place.region} only", command)
    for region, copies in found.copies.items():
        if isinstance(copies, NotSeen):
            yield not_seen(check, f"The copies in {region}", copies.said)
        elif not isinstance(found.points, NotSeen):
            behind = _behind(found.settled, copies)
            yield _judge_region(region, behind, len(found.settled), found.settled, place)


def _judge_region(
    region: str, behind: Sequence[str], number: int, settled: Mapping[str, RecoveryPoint], place: Place
) -> Line:
    if not behind:
        return ok("second_region", f"The copies in {region} kept up: {_of_a_day(number)}")
    oldest = min(settled[name].slot for name in behind)
    text = (
        f"The copies in {region} fell behind: of {counted(len(behind), 'lineage')} it has no copy as new as the slot "
        f"{iso(oldest)}: {name_first(sorted(behind), NAMED)}"
    )
    return warn("second_region", text, commands.copy_again(place), advice="CopyFailed or the status says why.")


def _of_a_day(number: int) -> str:
    return f"{counted(number, 'lineage')} with a recovery point older than a day"


def _behind(settled: Mapping[str, RecoveryPoint], copies: Sequence[RecoveryPoint]) -> list[str]:
    """The lineages of which no good copy is as new as what must be there by now."""
    newest: dict[str, datetime] = {}
    for point in copies:
        for name in point.lineages if point.condition is Condition.GOOD else ():
            newest[name] = max(point.slot, newest.get(name, point.slot))
    return [name for name, point in settled.items() if name not in newest or newest[name] < point.slot]


def _judge_vault(found: Coverage, config: Config, place: Place) -> Iterator[Line]:
    check = "vault"
    if not config.vault_account:
        return
    if isinstance(found.shared, NotSeen):
        yield not_seen(check, f"What is shared with the vault {config.vault_account}", found.shared.said)
    elif not isinstance(found.points, NotSeen):
        behind = [
            name
            for name, point in found.settled.items()
            if not all(member.snapshot.id in found.shared for member in point.members)
        ]
        if behind:
            text = (
                f"The vault {config.vault_account} fell behind: not shared is the newest recovery point older than a "
                f"day of {name_first(sorted(behind), NAMED)}"
            )
            yield warn(check, text, commands.copy_again(place), advice="SharingFailed or the log says why.")
        else:
            text = f"The shares with the vault {config.vault_account} kept up: {_of_a_day(len(found.settled))}"
            yield ok(check, f"{text}. What it copied is in the report of its own stack")


def _judge_sources(found: Coverage, parameters: Mapping[str, str], place: Place) -> Iterator[Line]:
    """In a vault: whether the recovery points of each source account arrive."""
    if isinstance(found.points, NotSeen):
        return
    for account in filter(None, parameters.get("VaultSourceAccounts", "").split(",")):
        slots = [
            point.slot
            for point in found.points
            if point.instance_id.startswith(f"{account}/") and point.condition is Condition.GOOD
        ]
        newest = max(slots, default=None)
        said = f"the newest is of the slot {iso(newest)}" if newest else "there is none"
        if newest and found.now - newest < SILENT:
            yield ok("sources", f"Recovery points of account {account} arrive: {said}")
        else:
            text = f"This vault has no recovery point of account {account} of the last two days: {said}"
            advice = "Run lifeboat coverage in that account: it says whether they are shared."
            yield warn("sources", text, commands.copy_again(place), advice=advice)


def _judge_proofs(found: Coverage, parameters: Mapping[str, str], place: Place) -> Iterator[Line]:
    """Lineages of which nothing has ever been read back, or of which there is nothing to read."""
    check = "proofs"
    if isinstance(found.instances, NotSeen) or isinstance(found.volumes, NotSeen) or isinstance(found.points, NotSeen):
        return
    if parameters.get("Verify") == "off":
        command = deploy_command({"Verify": "read"}, stack=place.stack, region=place.region)
        yield warn(check, "No new recovery point is read back: Verify is off", command)
    lineages, kept = lineages_of(found.instances.selected, found.volumes), _kept_of(found)
    gaps = []
    for name, (instance_id, volume_id) in sorted(lineages.items()):
        newest, proven = (kept[name].newest, kept[name].proven) if name in kept else (None, None)
        what = f"Lineage {name} ({volume_id} of {instance_id})"
        if newest is None:
            gaps.append(warn(check, f"{what} has no good recovery point", commands.back_up(place, instance_id)))
        elif proven is None:
            text = f"{what} is unproven: none of its recovery points was read back"
            gaps.append(warn(check, text, commands.verify(place, newest.id)))
    yield from _first(gaps, check)
    if lineages and not gaps:
        yield ok(check, f"{counted(len(lineages), 'lineage')} with a proven recovery point")


def _judge_file_systems(file_systems: Seen[tuple[FileSystem, ...]], place: Place) -> Iterator[Line]:
    check = "file_systems"
    if isinstance(file_systems, NotSeen):
        yield not_seen(check, "The file systems of EFS", file_systems.said)
        return
    gaps = []
    for item in file_systems:
        if item.backups not in BACKED_UP:
            text = f"{item.id} is a file system of the platform, and EFS's automatic backups of it are {item.backups}"
            advice = "Whether a plan of AWS Backup has it by its tags or its id was not observed."
            gaps.append(warn(check, text, commands.back_up_file_system(place, item.id), advice=advice))
    yield from _first(gaps, check)
    if not gaps:
        yield ok(check, f"{counted(len(file_systems), 'file system')} of the platform, each with automatic backups")


def _kept_of(found: Coverage) -> dict[str, Kept]:
    """What the recovery points say of each lineage."""
    kept: dict[str, Kept] = {}
    for point in () if isinstance(found.points, NotSeen) else found.points:
        for name in point.lineages:
            kept.setdefault(name, Kept()).add(point)
    return kept


def _first(gaps: Collection[Line], check: str) -> Iterator[Line]:
    """The first ROWS gaps, and a line that counts the others."""
    rows = list(gaps)
    yield from rows[:ROWS]
    if len(rows) > ROWS:
        text = f"{counted(len(rows) - ROWS, 'more gap')} of this check"
        yield Line(check, Level.WARN, text, advice="Close these first, then run lifeboat coverage again.")
