"""Observe the stack and what it protects. What AWS refuses to show is a fact, too: NotSeen, with its words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from lifeboat.aws import (
    alarms,
    clock,
    ec2_instances,
    ec2_snapshots,
    ec2_volumes,
    functions,
    keys,
    queue,
    schedules,
    sharing,
    stacks,
    table,
    topic,
)
from lifeboat.aws.ec2_describe import TooMany
from lifeboat.aws.errors import AwsError, translated
from lifeboat.aws.invocation import Invocation
from lifeboat.backup import overdue
from lifeboat.backup import selected_store as selections
from lifeboat.backup.cron import ScheduleError
from lifeboat.backup.schedule import Schedule, next_slot
from lifeboat.backup.selection import ENDED_STATES
from lifeboat.doctor.facts import Backups, Machinery, Pending, Protection, Seen, count_pending
from lifeboat.doctor.machinery import ALARM, FUNCTION, MAPPING, RULE, SCHEDULE, TABLE
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.ec2 import Volume
from lifeboat.domain.recovery_point import Condition
from lifeboat.domain.stack import Key, NotSeen, Stack
from lifeboat.domain.tags import Tag
from lifeboat.status.protection import Digest, Selected, select

MOST = 20_000
"""How many snapshots are held in memory at once, some 55 MB."""

SHARED_AFTER = timedelta(hours=1)
"""How old a good recovery point is before it counts as not shared: copy_snapshots shares it within minutes."""

KEYS = 50
"""How many keys of data volumes are asked about."""

STACK_KEYS = ("KmsKeyArn", "VaultKmsKeyArn", "VolumeKmsKeyArn")
COPY_KEYS = "CopyKmsKeyArns"
"""Parameters that name keys: one each, and a list."""


def seen[Value](read: Callable[[], Value]) -> Seen[Value]:
    """What a read answers, or what AWS said where it refused."""
    try:
        return read()
    except AwsError as problem:
        return NotSeen(str(problem))
    except TooMany:
        return NotSeen(f"there are more than {MOST} snapshots, too many to be read at once")


def observe_stack(invocation: Invocation) -> Seen[Stack]:
    """The stack, as CloudFormation shows it."""
    return seen(lambda: stacks.find_stack(invocation.config.stack))


def observe_machinery(stack: Stack, invocation: Invocation) -> Machinery:
    """Every part of the stack that can be switched off or deleted."""
    config = invocation.config
    [kept] = stack.of(TABLE) or [None]
    return Machinery(
        stack=stack,
        functions=seen(lambda: tuple(functions.find_function(item.id) for item in stack.of(FUNCTION))),
        schedules=seen(lambda: tuple(map(schedules.find_schedule, stack.of(SCHEDULE)))),
        rules=seen(lambda: tuple(map(schedules.find_rule, stack.of(RULE)))),
        mappings=seen(lambda: tuple(map(functions.find_mapping, stack.of(MAPPING)))),
        subscriptions=seen(lambda: tuple(item for arn in config.topics_read for item in topic.find_subscriptions(arn))),
        alarms=seen(lambda: alarms.find_alarms(item.id for item in stack.of(ALARM))),
        failed_events=seen(lambda: queue.waiting(config.failed_events)),
        concurrency=seen(functions.find_concurrency),
        table_protected=seen(lambda: table.is_protected(kept.id if kept else config.table)),
    )


def observe_protection(parameters: Mapping[str, str], invocation: Invocation) -> Protection:
    """What the stack protects, and what it needs of the account. `parameters` are the stack's, as far as known."""
    config = invocation.config
    selected = seen(lambda: _selected(invocation))
    chosen = () if isinstance(selected, NotSeen) else selected
    volumes = seen(lambda: ec2_volumes.volumes(volume_id for item in chosen for volume_id in item.devices))
    known: Mapping[str, Volume] = {} if isinstance(volumes, NotSeen) else volumes
    users = _users_of_keys(parameters, known)
    asked = {arn: seen(partial(keys.find_key, arn)) for arn in dict.fromkeys(arn for arn, _ in users)}
    return Protection(
        selected=volumes if isinstance(volumes, NotSeen) else selected,
        volumes=known,
        backups=seen(lambda: _backups(chosen, invocation)),
        pending=seen(lambda: _pending(known, config.stack)),
        copying={item.region: seen(partial(_copies_in_flight, item.region)) for item in config.copy_to},
        encrypts_by_default=seen(ec2_volumes.encryption_by_default),
        default_key=seen(_default_key),
        keys={(arn, user): asked[arn] for arn, user in users},
    )


def _selected(invocation: Invocation) -> tuple[Selected, ...]:
    config, now = invocation.config, clock.now()
    with translated():
        since = selections.selected_since(config.table)
    return tuple(
        select(item, since.get(item.id, now))
        for item in ec2_instances.each_instance_with_tag(config.selector.tag_key, config.selector.tag_value)
        if config.selector.selects(item) and item.state not in ENDED_STATES
    )


def _backups(chosen: tuple[Selected, ...], invocation: Invocation) -> Backups:
    config, now = invocation.config, clock.now()
    with translated():
        schedule = selections.schedule_of(config)
    expected = overdue.expected_slot(schedule, now=now, grace=config.catch_up_grace)
    if expected is None:
        return Backups(None, _next(schedule, now), (), 0, ())
    slots = {f"tag:{Tag.SLOT}": overdue.slot_patterns(expected, now + timedelta(minutes=1))}
    found = read_catalogue(ec2_snapshots.recovery_point_snapshots_of(config.stack, slots, most=MOST)).points
    digest = Digest(now, expected)
    digest.add(found, kept=False)
    volumes = [volume for item in chosen for volume in item.volumes]
    late = overdue.overdue(overdue.ages(volumes, digest.good, now), expected=expected, pending=digest.pending)
    covered = sum(item.key in digest.good for item in volumes)
    shareable = [
        member.snapshot.id
        for point in found
        if point.condition is Condition.GOOD and now - point.taken_at > SHARED_AFTER
        for member in point.members
    ]
    unshared = seen(lambda: _unshared(shareable, config.vault_account, config.stack))
    return Backups(expected, _next(schedule, now), late, covered, unshared)


def _next(schedule: Schedule, now: datetime) -> datetime | None:
    with suppress(ScheduleError):
        return next_slot(schedule, now)
    return None


def _unshared(ids: list[str], vault: str, stack: str) -> tuple[str, ...]:
    if not vault or not ids:
        return ()
    shared = sharing.shared_with(vault, stack, ids)
    return tuple(item for item in ids if item not in shared)


def _pending(volumes: Mapping[str, Volume], stack: str) -> Mapping[str, Pending]:
    found = ec2_snapshots.pending_of_volumes(volumes)
    return count_pending((item.volume_id, item.tags.get(Tag.STACK) == stack) for item in found)


def _copies_in_flight(region: str) -> int:
    return len(ec2_snapshots.pending_copies_in(region))


def _default_key() -> Key | None:
    """None for aws/ebs, which AWS keeps enabled."""
    arn = ec2_volumes.default_encryption_key()
    return keys.find_key(arn) if ":key/" in arn else None


def _users_of_keys(parameters: Mapping[str, str], volumes: Mapping[str, Volume]) -> list[tuple[str, str]]:
    """The keys to ask about, each with the parameter or the volume that needs it."""
    found = [(parameters[name], name) for name in STACK_KEYS if parameters.get(name)]
    found += [(arn, COPY_KEYS) for arn in parameters.get(COPY_KEYS, "").split(",") if arn]
    return found + [(item.kms_key_id, item.id) for item in volumes.values() if item.kms_key_id][:KEYS]
