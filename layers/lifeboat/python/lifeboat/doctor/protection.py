"""Judge what the stack protects, and what it needs of the account for that. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lifeboat.doctor import commands
from lifeboat.doctor.commands import Place
from lifeboat.doctor.facts import Backups, Pending, Protection, Seen
from lifeboat.doctor.line import Line, fail, not_seen, ok, warn
from lifeboat.domain.config import Config
from lifeboat.domain.ec2 import Volume
from lifeboat.domain.message import counted
from lifeboat.domain.stack import Key, NotSeen
from lifeboat.domain.text import iso, name_first
from lifeboat.status.protection import Selected

NAMED = 5
"""Ids that a line names."""

MOST_PENDING = 5
MOST_PENDING_OF_HDD = 1
HDD = frozenset({"st1", "sc1"})
"""EC2 makes at most five snapshots of a volume at once, one of a volume on hard disks
(https://docs.aws.amazon.com/ebs/latest/userguide/ebs-resource-quotas.html)."""

MOST_COPIES = 20
"""Copies in flight into one region, of all that anyone in the account requested
(https://docs.aws.amazon.com/ebs/latest/userguide/ebs-copy-snapshot.html)."""

NOT_ENABLED = ("OptInRequired", "AuthFailure", "UnrecognizedClientException")
"""What a region that the account has not enabled answers."""

ENABLED, DISABLED, PENDING_DELETION = "Enabled", "Disabled", "PendingDeletion"


def judge_protection(found: Protection, config: Config, place: Place, *, saves_others: bool) -> Iterator[Line]:
    """A line for each check, and for each fault. `saves_others`: this stack is a vault or a destination region, which
    need not select an instance of its own."""
    yield from _judge_selection(found.selected, config, place, saves_others=saves_others)
    yield from _judge_backups(found.backups, found.selected, config, place)
    yield from _judge_keys(found.keys)
    yield from _judge_encryption(found, config, place)
    yield from _judge_pending(found.pending, found.volumes)
    yield from _judge_copies(found.copying)
    yield from _judge_vault(found, config)


def _judge_selection(
    selected: Seen[tuple[Selected, ...]], config: Config, place: Place, *, saves_others: bool
) -> Iterator[Line]:
    tag = f"{config.selector.tag_key}={config.selector.tag_value}"
    if isinstance(selected, NotSeen):
        yield not_seen("selection", "The selected instances", selected.said)
        return
    if not selected and saves_others:
        yield ok("selection", f"No instance here has the tag {tag}; this stack keeps the copies of others")
    elif not selected:
        text = f"No instance has the tag {tag}, so nothing is backed up"
        yield fail(
            "selection", text, commands.select_instance(place, config.selector.tag_key, config.selector.tag_value)
        )
    without = [item for item in selected if item.problem]
    for item in without[:NAMED]:
        advice = f"Attach a data volume, or remove the tag {config.selector.tag_key} from {item.id}."
        yield fail("selection", f"A selected instance cannot be backed up: {item.problem}", advice=advice)
    if len(without) > NAMED:
        text = f"{counted(len(without) - NAMED, 'more selected instance')} cannot be backed up"
        yield fail("selection", text, advice="lifeboat status shows the problem of each.")
    if selected and not without:
        yield ok("selection", f"{counted(len(selected), 'instance')} with the tag {tag}, each with data volumes")


def _judge_backups(
    backups: Seen[Backups], selected: Seen[tuple[Selected, ...]], config: Config, place: Place
) -> Iterator[Line]:
    if isinstance(backups, NotSeen):
        yield not_seen("backups", "The recovery points", backups.said)
        return
    if isinstance(selected, NotSeen) or not selected:
        return
    if backups.late:
        late = name_first([item.instance_id for item in backups.late], NAMED)
        text = f"No good recovery point of the slot {iso(backups.late[0].expected)} or later of {late}"
        advice = "lifeboat status says why each is overdue."
        yield fail("backups", text, commands.back_up_now(place), advice=advice)
    elif backups.good:
        text = f"{counted(backups.good, 'data volume')} with a good recovery point of the last slot or later"
        yield ok("backups", text)
    else:
        due = f"the next is due at {iso(backups.next_slot)}" if backups.next_slot else f"it runs {config.schedule}"
        yield ok("backups", f"No backup of the selected instances was due so far: {due}")


def _judge_keys(keys: Mapping[tuple[str, str], Seen[Key]]) -> Iterator[Line]:
    faults = [line for (arn, user), key in keys.items() if (line := _judge_key(arn, user, key))]
    yield from faults
    if not faults and keys:
        yield ok("keys", f"{counted(len({arn for arn, _ in keys}), 'KMS key')} enabled")


def _judge_key(arn: str, user: str, key: Seen[Key]) -> Line | None:
    if isinstance(key, NotSeen):
        if key.said.startswith("NotFoundException"):
            advice = "Name another key in the parameter, and deploy the stack again."
            return fail("keys", f"The key {arn} of {user} does not exist", advice=advice)
        return not_seen("keys", f"The key {arn} of {user}", key.said)
    if key.state == PENDING_DELETION:
        text = f"KMS will delete the key {arn} of {user}: what it encrypted is lost then"
        return fail("keys", text, commands.keep_key(arn), commands.enable_key(arn))
    if key.state == DISABLED:
        text = f"The key {arn} of {user} is disabled: nothing that it encrypts can be backed up or restored"
        return fail("keys", text, commands.enable_key(arn))
    if key.state != ENABLED:
        advice = "Find in the KMS console what this state needs. Lifeboat cannot use the key before."
        return fail("keys", f"The key {arn} of {user} is {key.state}", advice=advice)
    return None


def _judge_encryption(found: Protection, config: Config, place: Place) -> Iterator[Line]:
    check, on = "encryption", found.encrypts_by_default
    if isinstance(on, NotSeen):
        yield not_seen(check, "EBS encryption by default", on.said)
        return
    plain = sorted(item.id for item in found.volumes.values() if not item.encrypted)
    default = found.default_key
    if isinstance(default, NotSeen):
        yield not_seen(check, "The default key of EBS", default.said)
    elif default and default.state != ENABLED:
        mend = [commands.enable_key(default.arn)]
        mend[:0] = [commands.keep_key(default.arn)] if default.state == PENDING_DELETION else []
        text = f"The default key of EBS, {default.arn}, is {default.state}: volumes and copies without a key fail"
        yield fail(check, text, *mend)
    elif plain:
        advice = "A restore encrypts what it creates." if config.encrypt_restored else ""
        text = (
            f"Not encrypted, and so are their snapshots: {name_first(plain, NAMED)}. EBS encryption by default is "
            f"{'on' if on else 'off'}, which concerns new volumes only"
        )
        mend = [] if on else [commands.encrypt_by_default(place)]
        advice = "Replace each volume: copy its newest snapshot encrypted, and restore it." if on else advice
        yield warn(check, text, *mend, advice=advice)
    else:
        state = "on" if on else "off, and every data volume is encrypted all the same"
        yield ok(check, f"EBS encryption by default is {state}")


def _judge_pending(pending: Seen[Mapping[str, Pending]], volumes: Mapping[str, Volume]) -> Iterator[Line]:
    check = "snapshots_per_volume"
    if isinstance(pending, NotSeen):
        yield not_seen(check, "The pending snapshots of the data volumes", pending.said)
        return
    full: list[str] = []
    for volume_id, item in sorted(pending.items()):
        disk = volume_id in volumes and volumes[volume_id].type in HDD
        if item.others >= MOST_PENDING_OF_HDD if disk else item.all >= MOST_PENDING:
            full.append(f"{volume_id} ({item.all} pending, {item.others} of them not this stack's)")
    if full:
        text = f"EC2 takes no further snapshot now of {name_first(full, NAMED)}"
        advice = "Find what else snapshots them: aws ec2 describe-snapshots --owner-ids self --filters "
        advice += "Name=status,Values=pending. Move its time away from the stack's Schedule."
        yield warn(check, text, advice=advice)
    elif volumes:
        yield ok(check, f"EC2 takes snapshots of {counted(len(volumes), 'data volume')}: none has too many pending")


def _judge_copies(copying: Mapping[str, Seen[int]]) -> Iterator[Line]:
    reached = []
    for region, number in copying.items():
        if isinstance(number, NotSeen):
            mend = [commands.enable_region(region)] if number.said.startswith(NOT_ENABLED) else []
            advice = "" if mend else "Recovery points are not copied until EC2 answers there."
            text = f"The region {region} of CopyToRegions cannot be used. AWS said: {number.said}"
            yield fail("regions", text, *mend, advice=advice)
            continue
        reached.append(region)
        if number >= MOST_COPIES:
            text = f"{number} copies to {region} in flight, which is EC2's limit: others wait"
            advice = "Wait, or ask AWS Support to raise the concurrent copies into that region."
            yield warn("copies_in_flight", text, advice=advice)
        else:
            yield ok("copies_in_flight", f"{number} of {MOST_COPIES} copies to {region} in flight")
    if reached:
        yield ok("regions", f"EC2 answers in {', '.join(reached)}")


def _judge_vault(found: Protection, config: Config) -> Iterator[Line]:
    if not config.vault_account:
        return
    managed = sorted(
        item.id
        for item in found.volumes.values()
        if isinstance(key := found.keys.get((item.kms_key_id or "", item.id)), Key) and key.of_aws
    )
    if managed:
        text = (
            f"Encrypted with aws/ebs, so that no other account can copy their snapshots: {name_first(managed, NAMED)}"
        )
        advice = "Copy a snapshot of each under a key of your own, and restore it: docs/guide/migrate.md."
        yield fail("vault", text, advice=advice)
    unshared: Seen[Sequence[str]] = found.backups if isinstance(found.backups, NotSeen) else found.backups.unshared
    if isinstance(unshared, NotSeen):
        yield not_seen("vault", f"What is shared with {config.vault_account}", unshared.said)
    elif unshared and not managed:
        text = f"Not shared with the vault {config.vault_account}: {name_first(unshared, NAMED)}"
        advice = "The log of CopySnapshotsFunction says why; SharingFailed was published if EC2 refused it."
        yield fail("vault", text, advice=advice)
    elif not managed:
        yield ok("vault", f"The recovery points of the last slot are shared with the vault {config.vault_account}")
