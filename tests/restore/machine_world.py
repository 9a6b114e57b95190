"""The world of the model check: a restore and its instance as EC2 may have them, and what EC2 does next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from lifeboat.domain.ec2 import HIBERNATED, Attachment, Instance, Snapshot, Volume
from lifeboat.domain.ec2_calls import (
    AttachVolume,
    Change,
    CopySnapshot,
    CreateVolume,
    DeleteVolume,
    DetachVolume,
    SetDeleteOnTermination,
    StartInstance,
    StopInstance,
    TagDisplaced,
    UntagDisplaced,
)
from lifeboat.domain.tags import Tag
from lifeboat.restore.decision import Observed
from lifeboat.restore.machine.transitions import begin
from lifeboat.restore.record import Fetch, Restore, RestoreState, RestoreStep, RestoreVolume

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
AGES = (NOW, NOW - timedelta(minutes=5), NOW - timedelta(days=2))
TARGET = "i-target"
OTHER = "i-other"
DEVICES = ("/dev/sdh", "/dev/sdi")


class NoTags(dict[str, str]):
    """No tags, hashable, so that a whole record is."""

    def __hash__(self) -> int:  # type: ignore[override]
        return 0


class Pair(NamedTuple):
    """A displaced and a restored volume, and the copy that the latter is made of.

    Places: none, hidden, creating, error, free, here, arriving, leaving, away. The copy is not needed (""), or none,
    hidden, pending, completed, error, gone.
    """

    displaced: str = "here"
    restored: str = "none"
    displaced_flag: bool = True
    restored_flag: bool = False
    tagged: bool = False
    copy: str = ""
    ran: bool = False  # an instance was pending or running with the restored volume attached


class World(NamedTuple):
    power: str
    pairs: tuple[Pair, ...]
    checks: str = "initializing"
    meddled: bool = False
    launched: bool = False  # since the restore began
    asleep: bool = False  # hibernated: its memory has the file systems of what is attached


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """A record as it would be in the table: one object for each distinct one, so that comparing them costs nothing."""

    restore: Restore
    node: object


class State(NamedTuple):
    record: Record
    world: World

    @property
    def restore(self) -> Restore:
        return self.record.restore


@dataclass(frozen=True)
class Scenario:
    name: str
    volumes: int = 1
    power: str = "running"
    start: bool | None = None
    faults: int | None = None  # how many moves may go wrong; None: every one
    people: int = 0  # how many times a person may meddle
    copy: str = ""  # of the snapshots, when it begins


def first(scenario: Scenario) -> State:
    volumes = tuple(
        RestoreVolume(
            snapshot_id=f"snap-{number}",
            device=DEVICES[number],
            zone="a",
            type="gp3",
            size=1,
            encrypted=True,
            lineage="c",
            tags=NoTags(),
            displaced_volume_id=f"vol-displaced-{number}",
            displaced_delete_on_termination=number == 0,
            fetch=Fetch(CopySnapshot("elsewhere", f"snap-{number}", "", NoTags())) if scenario.copy else None,
        )
        for number in range(scenario.volumes)
    )
    step = RestoreStep.COPIES if scenario.copy else RestoreStep.VOLUMES
    plan = Restore("r", "q", TARGET, "rp", volumes, NOW, NOW, step=step, start=scenario.start)
    pairs = tuple(Pair(displaced_flag=number == 0, copy=scenario.copy) for number in range(scenario.volumes))
    return State(recorded(begin(plan, NOW)), World(scenario.power, pairs))


RECORDS: dict[Restore, Record] = {}


def recorded(restore: Restore) -> Record:
    restore = normal(restore)
    known = RECORDS.get(restore)
    if known is None:
        known = RECORDS[restore] = Record(restore, node(restore))
    return known


def normal(restore: Restore) -> Restore:
    """The record without what only people read, so that states which behave alike are one."""
    changes: dict[str, Any] = {}
    if restore.timeline:
        changes["timeline"] = ()
    if restore.refused:
        changes["refused"] = ""
    for name in ("failure", "blocked"):
        if getattr(restore, name) not in {None, "why"}:
            changes[name] = "why"
    if any(item.reason != "why" for item in restore.kept):
        changes["kept"] = tuple(replace(item, reason="why") for item in restore.kept)
    if restore.asked_at and restore.asked_at < NOW:
        changes |= {"asked": "", "asked_at": None}
    return replace(restore, **changes) if changes else restore


def node(restore: Restore) -> object:
    if restore.status is not RestoreState.OPEN and (restore.closed or restore.status is RestoreState.FAILED):
        return restore.status
    return (restore.direction, restore.step)


# --- what EC2 shows


@cache
def visible(world: World) -> World:
    """The world without what EC2 does not show, so that worlds that are alike are one."""
    return world._replace(meddled=False, pairs=tuple(pair._replace(ran=False) for pair in world.pairs))


@cache
def observed(world: World) -> Observed:
    volumes: dict[str, Volume] = {}
    for number, pair in enumerate(world.pairs):
        displaced = volume_at(f"vol-displaced-{number}", pair.displaced, DEVICES[number], pair.displaced_flag)
        if displaced:
            tags = {Tag.DISPLACED_BY.value: "r"} if pair.tagged else {}
            volumes[displaced.id] = replace(displaced, tags=tags)
        restored = volume_at(f"vol-restored-{number}", pair.restored, DEVICES[number], pair.restored_flag)
        if restored:
            tags = {Tag.RESTORE.value: "r"}
            source = f"copy-{number}" if pair.copy else f"snap-{number}"
            volumes[restored.id] = replace(restored, tags=tags, snapshot_id=source)
    instance = None
    if world.power != "terminated":
        instance = Instance(
            id=TARGET,
            state=world.power,
            zone="a",
            ami_id="ami",
            launched_at=AGES[0 if world.launched else 2],
            state_reason=HIBERNATED if world.asleep else "",
        )
    copies = {
        f"copy-{number}": Snapshot(
            f"copy-{number}",
            "",
            pair.copy,
            AGES[0],
            1,
            "",
            tags={Tag.COPY_OF: f"snap-{number}", Tag.COPIED_FROM: "elsewhere"},
        )
        for number, pair in enumerate(world.pairs)
        if pair.copy in {"pending", "completed", "error"}
    }
    return Observed(instance, volumes, world.checks if world.power == "running" else "unknown", copies)


ATTACHED = {
    "here": "attached",
    "arriving": "attaching",
    "leaving": "detaching",
    "astray": "attached",
    "away": "attached",
}
ON_TARGET = ATTACHED.keys() - {"away"}


def volume_at(volume_id: str, place: str, device: str, flag: bool) -> Volume | None:
    if place in {"none", "hidden", "gone"}:
        return None
    attachments: tuple[Attachment, ...] = ()
    state = {"creating": "creating", "error": "error", "free": "available"}.get(place, "in-use")
    if place in ATTACHED:
        where = OTHER if place == "away" else TARGET
        at = "/dev/sdz" if place == "astray" else device
        attachments = (Attachment(volume_id, where, at, ATTACHED[place], flag),)
    return Volume(volume_id, state, 1, "gp3", "a", encrypted=True, attachments=attachments)


# --- what EC2 does


class Impossible(Exception):  # noqa: N818 - a state of affairs
    """EC2 would have refused this call. The restore may ask it of a world that a person meddled with, only."""


def carried_out(world: World, action: Change) -> World:  # noqa: C901, PLR0912 - one case for each call
    match action:
        case CopySnapshot(snapshot_id=snapshot):
            number = int(snapshot[-1])
            assert world.pairs[number].copy in {"none", "gone", "error"}, "copied twice"
            return put(world, number, copy="pending")
        case CreateVolume(snapshot_id=snapshot):
            number = int(snapshot[-1])
            assert (world.pairs[number].copy, snapshot[:4]) in {("", "snap"), ("completed", "copy")}
            if world.pairs[number].restored != "none":  # the token makes it one
                return world
            return put(world, number, restored="creating")
        case StopInstance():
            return world._replace(power="stopping") if world.power in {"running", "pending"} else world
        case StartInstance():
            assert not any(both_attached(pair) for pair in world.pairs), "started with both volumes attached"
            if world.power != "stopped":
                return world
            return started(world)
        case DetachVolume(volume_id):
            number, which = named(volume_id)
            assert not world.asleep, f"detached {volume_id} while its file system is in a memory"
            assert world.power == "stopped", f"detached {volume_id} while {world.power}"
            if place(world, number, which) not in {"here", "astray"}:
                raise Impossible
            return put(world, number, **{which: "leaving"})
        case AttachVolume(volume_id, _, device):
            number, which = named(volume_id)
            other = "restored" if which == "displaced" else "displaced"
            assert device == DEVICES[number]
            assert not world.asleep, f"attached {volume_id} under a memory that has another file system"
            assert world.power == "stopped", f"attached {volume_id} while {world.power}"
            assert place(world, number, other) not in ON_TARGET, f"{volume_id} beside the other"
            if place(world, number, which) != "free":
                raise Impossible
            return put(world, number, **{which: "arriving", f"{which}_flag": False})
        case SetDeleteOnTermination(_, device, value):
            number = DEVICES.index(device)
            which = "restored" if world.pairs[number].restored == "here" else "displaced"
            assert place(world, number, which) == "here"
            return put(world, number, **{f"{which}_flag": value})
        case TagDisplaced(volume_id):
            return put(world, named(volume_id)[0], tagged=True)
        case UntagDisplaced(volume_id):
            return put(world, named(volume_id)[0], tagged=False)
        case DeleteVolume(volume_id):
            number, which = named(volume_id)
            assert which == "restored", f"deleted {volume_id}"
            assert not world.pairs[number].ran, "deleted a volume that something ran on"
            assert place(world, number, which) in {"free", "error"}
            return put(world, number, restored="none")


def named(volume_id: str) -> tuple[int, str]:
    _, which, number = volume_id.split("-")
    return int(number), which


def place(world: World, number: int, which: str) -> str:
    return there(world.pairs[number], which)


def there(pair: Pair, which: str) -> str:
    return pair.displaced if which == "displaced" else pair.restored


def put(world: World, number: int, **changes: str | bool) -> World:
    pairs = list(world.pairs)
    pairs[number] = pairs[number]._replace(**changes)
    return world._replace(pairs=tuple(pairs))


def started(world: World) -> World:
    return ran(world._replace(power="pending", checks="initializing", launched=True, asleep=False))


def ran(world: World) -> World:
    pairs = (pair._replace(ran=True) if pair.restored in {"here", "astray"} else pair for pair in world.pairs)
    return world._replace(pairs=tuple(pairs))


def both_attached(pair: Pair) -> bool:
    return pair.displaced in ON_TARGET and pair.restored in ON_TARGET


ARRIVES = {"hidden": "creating", "creating": "free", "arriving": "here", "leaving": "free"}
COMES = {"hidden": "pending", "pending": "completed"}
POWER = {"pending": "running", "stopping": "stopped", "shutting-down": "terminated"}


def all_of[**P](each: Callable[P, Iterator[World]]) -> Callable[P, tuple[World, ...]]:
    """Worked out once for each."""
    return cache(lambda *args, **kwargs: tuple(each(*args, **kwargs)))


@all_of
def progress(world: World) -> Iterator[World]:
    """What EC2 finishes by itself, well."""
    for number, pair in enumerate(world.pairs):
        if pair.copy in COMES:
            yield put(world, number, copy=COMES[pair.copy])
        for which in ("restored", "displaced"):
            to = ARRIVES.get(there(pair, which))
            if to:
                yield put(world, number, **{which: to})
    if world.power in POWER:
        world = world._replace(power=POWER[world.power])
        yield terminated(world) if world.power == "terminated" else world
    elif world.power == "running" and world.checks == "initializing":
        yield world._replace(checks="ok")


def terminated(world: World) -> World:
    for number, pair in enumerate(world.pairs):
        for which in ("restored", "displaced"):
            if there(pair, which) in ON_TARGET:
                gone = pair.displaced_flag if which == "displaced" else pair.restored_flag
                world = put(world, number, **{which: "gone" if gone else "free"})
    return world
