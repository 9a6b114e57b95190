"""A restore is a transaction: it ends with the instance on the restored data, or with everything as it was.

`next_step` is asked again and again, by every event and by the sweep, with the record and with how things stand. It
never asks how they came to stand so. Three facts in the record are all it must remember beyond what EC2 shows:

* `direction`. A restore turns back once and never forward again, so it cannot swing between two plans.
* `touched`, written before the first call that changes the instance. A restore that turns back earlier only deletes
  what it made; one that turns back later puts everything in its place, whatever was or was not carried out.
* `started_on_restored`, written before the first start on the restored volumes. From then on they may carry data that
  is nowhere else, and are kept.

The record is saved before the action is carried out, so an invocation may be killed anywhere. The same action is asked
for again only `Deadlines.again` later: what EC2 has accepted may take a moment to show, and two invocations that look
at the same moment shall not both act.

A displaced and a restored volume are never attached at once: XFS refuses two file systems of one UUID, and the fresh
platform would write to either. Restored volumes go to the very device that the displaced one had, so EC2, too, would
refuse the second.

A volume is ours to delete if it carries this restore's tag, was made of one of its snapshots, nothing ever ran on it,
and nobody has attached it.

A recovery point that is only in another region, or that another account shares, is copied here first. The copies are
recovery points like all others: a restore that turns back leaves them, and the next one takes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any

from lifeboat.model import (
    Action,
    Attachment,
    AttachVolume,
    Change,
    CopySnapshot,
    CreateVolume,
    DeleteVolume,
    DetachVolume,
    Direction,
    Fetch,
    Finish,
    KeptVolume,
    Refusal,
    Refused,
    Restore,
    RestoreState,
    RestoreStep,
    RestoreVolume,
    Seen,
    SetDeleteOnTermination,
    Snapshot,
    StartInstance,
    Step,
    StopInstance,
    Tag,
    TagDisplaced,
    Throttled,
    TimelineEntry,
    Unknown,
    UntagDisplaced,
    Volume,
    Wait,
)
from lifeboat.rules.catalogue import iso
from lifeboat.rules.copies import TOO_MANY
from lifeboat.rules.devices import same_device
from lifeboat.rules.error_codes import CAPACITY, MISMATCH, NOT_ALLOWED, NOT_NOW, SNAPSHOT_LIMITS
from lifeboat.rules.words import is_blank

MAX_STARTS = 3
"""A start that EC2 accepted and that ended `stopped` again (a key it may not use, for one) is asked this many times."""

MAX_TIMELINE = 200
"""Lines of the timeline that are kept: an item of the table has 400 KB."""

CLOCK_SKEW = timedelta(seconds=5)
"""How far EC2's clock and ours may be apart."""


class RestoreError(ValueError):
    """What was asked of a restore cannot be done; the message is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each step may take before the restore turns back; `swap` counts for detach and attach, each.

    `window`: how long a started instance must be seen running, because EC2 accepts a start that fails on a KMS key and
    lets the instance fall back to `stopped` (StartInstances, EC2 API reference). `again`: how long after an action the
    same one may be asked for again. `settle`: how long a volume or a copy that was asked for may stay unseen.
    """

    copies: timedelta = timedelta(hours=24)
    volumes: timedelta = timedelta(hours=1)
    stop: timedelta = timedelta(minutes=15)
    swap: timedelta = timedelta(minutes=10)
    start: timedelta = timedelta(minutes=20)
    verify: timedelta = timedelta(minutes=20)
    window: timedelta = timedelta(minutes=2)
    again: timedelta = timedelta(seconds=15)
    settle: timedelta = timedelta(minutes=2)

    def of(self, step: RestoreStep) -> timedelta:
        """The deadline of one step."""
        return {
            RestoreStep.COPIES: self.copies,
            RestoreStep.VOLUMES: self.volumes,
            RestoreStep.STOP: self.stop,
            RestoreStep.DETACH: self.swap,
            RestoreStep.ATTACH: self.swap,
            RestoreStep.START: self.start,
            RestoreStep.VERIFY: self.verify,
            RestoreStep.CLEAN_UP: self.volumes,
            RestoreStep.DONE: timedelta.max,
        }[step]


@dataclass(frozen=True, slots=True)
class StepFact:
    """What docs/restore.md says of a step: what happens in each direction, and which deadline bounds it."""

    step: RestoreStep
    deadline: str
    forward: str
    rollback: str


STEP_FACTS = (
    StepFact(
        RestoreStep.COPIES,
        "copies",
        "Only for snapshots that are not in this region and account: CopySnapshot of each that nobody is copying yet, "
        "until all copies are `completed`. Nothing is touched.",
        "The copies stay.",
    ),
    StepFact(
        RestoreStep.VOLUMES,
        "volumes",
        "CreateVolume for each snapshot, until all are `available`. Nothing else is touched.",
        "-",
    ),
    StepFact(
        RestoreStep.STOP,
        "stop",
        "StopInstance, until `stopped`.",
        "The same, if anything has to be put back.",
    ),
    StepFact(
        RestoreStep.DETACH,
        "swap",
        "DetachVolume of every displaced volume; when it is off, TagDisplaced.",
        "DetachVolume of every restored volume.",
    ),
    StepFact(
        RestoreStep.ATTACH,
        "swap",
        "AttachVolume of every restored volume at the device of the displaced one; SetDeleteOnTermination as it was.",
        "AttachVolume of every displaced volume at its device; SetDeleteOnTermination as it was; UntagDisplaced.",
    ),
    StepFact(
        RestoreStep.START,
        "start",
        "StartInstance, if it was running or `start` says so; again while EC2 has no capacity.",
        "StartInstance, if it was running before; for ever, once the roll-back has been told as failed.",
    ),
    StepFact(
        RestoreStep.VERIFY,
        "verify",
        "Running, still running after the window, and the status checks are `ok`.",
        "Running, and still running after the window.",
    ),
    StepFact(
        RestoreStep.CLEAN_UP,
        "volumes",
        "DeleteVolume of what was made twice, which happens only if EC2 forgot a client token.",
        "DeleteVolume of what the restore made and nothing ever ran on; all else is kept and named.",
    ),
)
"""The steps in their order; the source of the table in docs/restore.md."""

_S = RestoreStep


type Node = tuple[Direction, RestoreStep] | RestoreState


def _on(step: RestoreStep) -> Node:
    return (Direction.FORWARD, step)


def _off(step: RestoreStep) -> Node:
    return (Direction.ROLLBACK, step)


_COMPLETED, _ROLLED_BACK, _FAILED = RestoreState.COMPLETED, RestoreState.ROLLED_BACK, RestoreState.FAILED

WAYS: Mapping[Node, tuple[Node, ...]] = {
    _on(_S.COPIES): (_on(_S.VOLUMES), _off(_S.COPIES), _ROLLED_BACK),
    _on(_S.VOLUMES): (_on(_S.STOP), _on(_S.DETACH), _off(_S.VOLUMES), _off(_S.CLEAN_UP)),
    _on(_S.STOP): (_on(_S.DETACH), _off(_S.STOP), _off(_S.START), _off(_S.VERIFY)),
    _on(_S.DETACH): (_on(_S.ATTACH), _off(_S.DETACH), _off(_S.ATTACH), _off(_S.START), _off(_S.CLEAN_UP)),
    _on(_S.ATTACH): (_on(_S.START), _COMPLETED, _off(_S.DETACH), _off(_S.ATTACH)),
    _on(_S.START): (_on(_S.VERIFY), _off(_S.STOP), _off(_S.DETACH), _off(_S.START)),
    _on(_S.VERIFY): (_COMPLETED, _off(_S.STOP), _off(_S.DETACH), _off(_S.VERIFY)),
    _off(_S.COPIES): (_ROLLED_BACK,),
    _off(_S.VOLUMES): (_off(_S.CLEAN_UP), _ROLLED_BACK),
    _off(_S.STOP): (_off(_S.DETACH), _off(_S.START), _off(_S.VERIFY), _FAILED),
    _off(_S.DETACH): (_off(_S.ATTACH), _off(_S.START), _off(_S.CLEAN_UP), _FAILED),
    _off(_S.ATTACH): (_off(_S.DETACH), _off(_S.START), _off(_S.CLEAN_UP), _ROLLED_BACK, _FAILED),
    _off(_S.START): (_off(_S.STOP), _off(_S.DETACH), _off(_S.VERIFY), _FAILED),
    _off(_S.VERIFY): (_off(_S.STOP), _off(_S.DETACH), _off(_S.START), _off(_S.CLEAN_UP), _ROLLED_BACK, _FAILED),
    _off(_S.CLEAN_UP): (_ROLLED_BACK,),
    _FAILED: (_ROLLED_BACK,),
}
"""Every way that a restore goes, as long as no person takes its volumes or its instance away.

The source of the diagram in docs/restore.md. The model check walks every path and compares: none more, none fewer.
"""


class _Place(Enum):
    """Where a volume is, as far as this restore is concerned."""

    LOST = auto()  # not there, being deleted, or in state error
    MAKING = auto()
    FREE = auto()
    HERE = auto()  # at its device of the target instance
    ASTRAY = auto()  # at another device of the target instance
    ARRIVING = auto()
    LEAVING = auto()
    AWAY = auto()  # attached to another instance


@dataclass(frozen=True, slots=True)
class _Situation:
    """Everything a decision rests on."""

    restore: Restore
    seen: Seen
    now: datetime
    deadlines: Deadlines

    @property
    def power(self) -> str:
        return self.seen.instance.state if self.seen.instance else "terminated"

    @property
    def hibernated(self) -> bool:
        return self.power == "stopped" and self.seen.instance is not None and self.seen.instance.hibernated

    def with_restore(self, restore: Restore) -> _Situation:
        return replace(self, restore=restore)

    def displaced(self, volume: RestoreVolume) -> Volume | None:
        return self.seen.volumes.get(volume.displaced_volume_id or "")

    def restored(self, volume: RestoreVolume) -> Volume | None:
        return self.seen.volumes.get(volume.restored_volume_id or "")

    def place(self, volume: Volume | None, device: str) -> _Place:
        if volume is None or volume.state in {"deleting", "deleted", "error"}:
            return _Place.LOST
        if volume.state == "creating":
            return _Place.MAKING
        attachment = _attachment(volume)
        if attachment is None:
            # In use and attached to nothing is how a volume looks for a moment between two states.
            return _Place.FREE if volume.state == "available" else _Place.LEAVING
        if attachment.instance_id != self.restore.instance_id:
            return _Place.AWAY
        if attachment.state == "attaching":
            return _Place.ARRIVING
        if attachment.state in {"detaching", "busy"}:
            return _Place.LEAVING
        return _Place.HERE if attachment.device == device else _Place.ASTRAY

    def of_displaced(self, volume: RestoreVolume) -> _Place:
        return self.place(self.displaced(volume), volume.device)

    def of_restored(self, volume: RestoreVolume) -> _Place:
        return self.place(self.restored(volume), volume.device)

    def flag(self, volume: Volume) -> bool:
        """DeleteOnTermination; ModifyInstanceAttribute changes the instance's view, so that one counts first."""
        views = (self.seen.instance.attachments if self.seen.instance else (), volume.attachments)
        return next(
            (item.delete_on_termination for view in views for item in view if item.volume_id == volume.id), False
        )

    def overdue(self) -> bool:
        return self.now - self.restore.step_since > self.deadlines.of(self.restore.step)


def _attachment(volume: Volume) -> Attachment | None:
    return next((item for item in volume.attachments if item.state != "detached"), None)


_ON = {_Place.HERE, _Place.ASTRAY, _Place.ARRIVING, _Place.LEAVING}


# --- what a person asks


def restore_id(request_id: str) -> str:
    """The id of the restore that a request makes: asking twice makes one. Raises RestoreError without a request id."""
    if is_blank(request_id):
        raise RestoreError("request_id is blank, expected any text that is the same when the same thing is asked twice")
    return f"restore-{hashlib.sha256(request_id.encode()).hexdigest()[:16]}"


def hibernation(instance_id: str) -> str:
    """Why a hibernated instance's volumes are not swapped, and what to do."""
    return (
        f"{instance_id} is hibernated: its memory still has the file systems of the volumes that are attached now, and "
        "would write to whatever takes their place; start it, shut it down without hibernation"
    )


def client_token(restore: Restore, volume: RestoreVolume) -> str:
    """The CreateVolume token of one volume: the same while the same thing is asked for, 64 ASCII characters.

    EC2 refuses a token that comes again with other parameters
    (https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html).
    """
    asked = (restore.id, volume.device, volume.snapshot_id, volume.zone, volume.type, volume.size, volume.iops)
    asked += (volume.throughput, volume.encrypted, volume.kms_key_id, volume.initialization_rate)  # type: ignore[assignment]
    return hashlib.sha256(repr(asked).encode()).hexdigest()


def begin(plan: Restore, now: datetime) -> Restore:
    """The record of a restore that starts now, from the plan that the pre-flight made."""
    return replace(
        plan,
        started_at=now,
        step_since=now,
        timeline=(TimelineEntry(now, plan.step, _opening(plan)),),
    )


def _opening(plan: Restore) -> str:
    text = f"asked to restore {plan.recovery_point_id} onto {plan.instance_id}"
    if plan.requested_by:
        text += f" by {plan.requested_by}"
    if plan.reason:
        text += f": {plan.reason}"
    if plan.ami_override:
        text += f" (AMI gate overridden: {plan.ami_override})"
    return text


def cancel(restore: Restore, now: datetime, requested_by: str = "", reason: str = "") -> Restore:
    """Turn the restore back. Raises RestoreError when it has ended, or is turning back already."""
    if restore.closed:
        raise RestoreError(
            f"cancel is {restore.id}, which is {restore.status}, expected a restore that is still going on"
        )
    if restore.direction is Direction.ROLLBACK:
        raise RestoreError(
            f"cancel is {restore.id}, expected a restore that is not rolling back already: {restore.failure}"
        )
    by = f" by {requested_by}" if requested_by else ""
    return _turned(restore, now, f"cancelled{by}" + (f": {reason}" if reason else ""))


# --- what comes next


def next_step(restore: Restore, seen: Seen, now: datetime, deadlines: Deadlines | None = None) -> Step:
    """What to do now. Total: any record and anything seen has an answer, and each is safe to carry out twice."""
    if restore.closed:
        return Step(Wait(f"it is {restore.status}"), restore, f"{restore.id} has ended: {restore.status}")
    step = _decide(_Situation(_noted(restore, seen), seen, now, deadlines or Deadlines()))
    # The very record when nothing has changed: that is how the caller knows that there is nothing to save.
    return replace(step, restore=restore) if step.restore == restore else step


def _decide(s: _Situation) -> Step:
    if s.power == "shutting-down" and not s.overdue():
        return _wait(s, s.restore.step, f"{s.restore.instance_id} is being terminated")
    if s.power in {"shutting-down", "terminated"}:
        return _without_instance(s)
    return _forward(s) if s.restore.direction is Direction.FORWARD else _back(s)


def rehearsal(restore: Restore) -> tuple[Change, ...]:
    """Everything that may be asked of EC2 from the moment on at which the instance is touched, on the way back, too.

    Asked with DryRun before that moment: a right that is missing is better missed while nothing has stopped.
    """
    instance = restore.instance_id
    changes: list[Change] = []
    if restore.was_running or restore.shall_run:
        changes += [StopInstance(instance), StartInstance(instance)]
    for volume in restore.volumes:
        flag = SetDeleteOnTermination(instance, volume.device, volume.displaced_delete_on_termination)
        if volume.displaced_volume_id:
            tags = _marks(restore, volume)
            changes += [
                DetachVolume(volume.displaced_volume_id, instance, volume.device),
                TagDisplaced(volume.displaced_volume_id, tags),
                AttachVolume(volume.displaced_volume_id, instance, volume.device),
                UntagDisplaced(volume.displaced_volume_id, tuple(tags)),
            ]
        if volume.restored_volume_id:
            changes += [
                AttachVolume(volume.restored_volume_id, instance, volume.device),
                flag,
                DetachVolume(volume.restored_volume_id, instance, volume.device),
                DeleteVolume(volume.restored_volume_id),
            ]
    return tuple(changes)


def after_rehearsal(restore: Restore, refused: Sequence[tuple[Change, str]], now: datetime) -> Restore:
    """The record of a restore some of whose calls would be refused: it turns back before it has touched anything."""
    said = "; ".join(f"{_verb(change)} would be refused: {why}" for change, why in refused)
    return _turned(restore, now, said)


def after_failure(restore: Restore, action: Change, refusal: Refusal, now: datetime) -> Restore:
    """The record after an action was not carried out, or perhaps was. Save it, then look and ask `next_step` again."""
    if isinstance(action, CopySnapshot):
        return _after_failed_copy(restore, action, refusal, now)
    said = _refused(action, refusal)
    if not isinstance(refusal, Refused):
        # Nothing is known but that it was asked: look, and ask again in a moment.
        not_started = isinstance(refusal, Throttled) and isinstance(action, StartInstance)
        return _heard(_not_started(restore) if not_started else restore, said, now)
    match action:
        case CreateVolume():
            return _after_refused_volume(restore, action, refusal, said, now)
        case DeleteVolume(volume_id):
            not_now = _is_not_now(action, refusal) or refusal.code == "InvalidVolume.NotFound"
            return _heard(restore, said, now) if not_now else _keep(restore, volume_id, said, now)
        case UntagDisplaced():
            # A tag too many is no reason to call a roll-back failed.
            return _told(replace(restore, tags_left=True), now, said)
        case StartInstance():
            restore = _not_started(restore, surely=refusal.code in CAPACITY | NOT_ALLOWED)
        case _:
            pass
    if _is_not_now(action, refusal):
        return _heard(restore, said, now)
    if restore.blocked == said:
        return restore
    if restore.direction is Direction.FORWARD:
        return _turned(restore, now, said)
    return replace(_told(restore, now, said), blocked=said)


def _refused(action: Change, refusal: Refusal) -> str:
    """What EC2 said to an action, in its own words."""
    if isinstance(refusal, Unknown):
        return f"{_verb(action)}: no answer" + (f": {refusal.message}" if refusal.message else "")
    return f"{_verb(action)}: {refusal.code}" + (f": {refusal.message}" if refusal.message else "")


def _heard(restore: Restore, said: str, now: datetime) -> Restore:
    """The record with what EC2 said, once however often it says so: if that does not pass, it is the reason."""
    if restore.timeline and restore.timeline[-1].text == said:
        return restore if restore.refused == said else replace(restore, refused=said)
    return _told(replace(restore, refused=said), now, said)


def _not_started(restore: Restore, *, surely: bool = True) -> Restore:
    """The record after EC2 did not start the instance. Only starts that it accepted tell that the instance falls back.

    If all were refused, and that in words that leave no doubt, nothing ran on the restored volumes. Should somebody
    else have started the instance, the next look tells.
    """
    starts = max(0, restore.starts - 1)
    forward = restore.direction is Direction.FORWARD
    started = restore.started_on_restored and not (forward and surely and not starts)
    return replace(restore, starts=starts, started_on_restored=started)


def _is_not_now(action: Change, refusal: Refused) -> bool:
    # A device that has just been freed may be reported in use for a moment, under EC2's most general code ("Invalid
    # value '/dev/sdh' for unixDevice. Attachment point /dev/sdh is already in use"). All else under it stays so.
    general = isinstance(action, AttachVolume) and refusal.code == "InvalidParameterValue"
    in_use = general and "in use" in refusal.message.lower()
    no_room = isinstance(action, StartInstance) and refusal.code in CAPACITY
    return refusal.code in NOT_NOW or in_use or no_room


def after_copy_begun(restore: Restore, action: CopySnapshot, copy_id: str) -> Restore:
    """The record after EC2 has told the id of a copy that was asked for: from now on it is known if it vanishes."""
    return _of_fetch(restore, action, copy_id=copy_id)


def _of_fetch(restore: Restore, action: CopySnapshot, **changes: Any) -> Restore:
    """The record with this changed of what the action fetches."""
    volumes = []
    for volume in restore.volumes:
        fetch = volume.fetch
        if fetch and fetch.call.snapshot_id == action.snapshot_id and fetch.copy_id is None:
            copy_id = changes.get("copy_id") or volume.snapshot_id
            volume = replace(volume, fetch=replace(fetch, **changes), snapshot_id=copy_id)  # noqa: PLW2901
        volumes.append(volume)
    return replace(restore, volumes=tuple(volumes))


def _after_failed_copy(restore: Restore, action: CopySnapshot, refusal: Refusal, now: datetime) -> Restore:
    said = _refused(action, refusal)
    if isinstance(refusal, Unknown):
        return _heard(restore, said, now)  # it may have begun: nobody asks again before it would be seen
    if isinstance(refusal, Throttled) or refusal.code in NOT_NOW | CAPACITY | SNAPSHOT_LIMITS | {TOO_MANY}:
        return _heard(_of_fetch(restore, action, not_before=now + Deadlines().again), said, now)
    if action.completion_minutes and refusal.code not in NOT_ALLOWED:
        # How EC2 refuses a time is not documented, and late is better than never; another reason comes again.
        restore = _of_fetch(restore, action, call=replace(action, completion_minutes=0), not_before=None)
        return _told(restore, now, f"{said}; once more without a time")
    return _turned(restore, now, said) if restore.direction is Direction.FORWARD else restore


def _after_refused_volume(
    restore: Restore, action: CreateVolume, refusal: Refused, said: str, now: datetime
) -> Restore:
    if refusal.code == MISMATCH:
        # Each token is made of all that is asked for, so EC2 knows it from the same request: it has made the volume.
        gone = f"{said.rstrip('.')}. EC2 had made a volume of {action.snapshot_id}, and it is gone" + _unless_its_key(
            action.encrypted, action.kms_key_id, action.snapshot_id
        )
        forward = restore.direction is Direction.FORWARD
        return _turned(restore, now, gone) if forward else _heard(restore, said, now)
    if action.initialization_rate is not None and refusal.code not in NOT_ALLOWED:
        # Over the quota of initialization, or none to be had, the whole request fails
        # (https://docs.aws.amazon.com/ebs/latest/userguide/initalize-volume.html): a slower volume is better than none.
        volumes = _changed(restore, action, initialization_rate=None)
        return _told(replace(restore, volumes=volumes), now, f"{said}; once more without an initialization rate")
    if refusal.code in NOT_NOW | CAPACITY:
        return _heard(restore, said, now)
    restore = replace(restore, volumes=_changed(restore, action, action.initialization_rate))
    return _turned(restore, now, said) if restore.direction is Direction.FORWARD else restore


def _changed(restore: Restore, action: CreateVolume, initialization_rate: int | None) -> tuple[RestoreVolume, ...]:
    return tuple(
        replace(volume, asked_at=None, initialization_rate=initialization_rate)
        if volume.snapshot_id == action.snapshot_id
        else volume
        for volume in restore.volumes
    )


# --- forward


def _forward(s: _Situation) -> Step:
    if not s.restore.touched:
        return _fetch(s) if s.restore.step is _S.COPIES else _make_volumes(s)
    trouble = _trouble_with_restored(s)
    if trouble:
        return _turn(s, trouble)
    swapped = all(s.of_restored(volume) is _Place.HERE for volume in s.restore.volumes)
    swapped = swapped and not any(s.of_displaced(volume) in _ON for volume in s.restore.volumes)
    return _finish_forward(s) if swapped else _swap(s)


def _trouble_with_restored(s: _Situation) -> str:
    for volume in s.restore.volumes:
        place = s.of_restored(volume)
        name = volume.restored_volume_id
        if place in {_Place.LOST, _Place.MAKING}:
            found = s.restored(volume)
            return f"the restored volume {name} is {found.state if found else 'gone'}"
        if place in {_Place.AWAY, _Place.ASTRAY}:
            return f"somebody attached the restored volume {name} {_whereabouts(s.restored(volume))}"
    return ""


def _fetch(s: _Situation) -> Step:
    """What is only elsewhere comes here first. Once all of it has, nothing is asked about copies any more."""
    for volume in s.restore.volumes:
        trouble = _trouble_with_copy(s, volume.fetch) if volume.fetch else ""
        if trouble and volume.fetch and volume.fetch.asked_at:
            return _turn(s, trouble)
        if trouble:
            s = _without_others_copy(s, volume, trouble)
    fetches = [(volume, volume.fetch) for volume in s.restore.volumes if volume.fetch]
    for volume, fetch in fetches:
        if fetch.copy_id is None and (fetch.not_before is None or s.now >= fetch.not_before):
            return _copy(s, volume, fetch)
    coming = [fetch for _, fetch in fetches if not _has_come(s, fetch)]
    if not coming:
        return _make_volumes(s)
    names = ", ".join(f"{fetch.call.snapshot_id} from {fetch.call.origin}" for fetch in coming)
    return _wait(s, _S.COPIES, f"EC2 is copying {names}")


def _has_come(s: _Situation, fetch: Fetch) -> bool:
    found = s.seen.copies.get(fetch.copy_id or "")
    return found is not None and found.state == "completed"


def _trouble_with_copy(s: _Situation, fetch: Fetch) -> str:
    if fetch.copy_id is None:
        return ""
    name = f"the copy {fetch.copy_id} of {fetch.call.snapshot_id} from {fetch.call.origin}"
    found = s.seen.copies.get(fetch.copy_id)
    if found is None:
        if fetch.asked_at and s.now - fetch.asked_at < s.deadlines.settle:
            return ""
        return f"{name} has vanished, as it does when a KMS key may not be used"
    if found.state in {"pending", "completed"}:
        return ""
    why = f": {found.state_message}" if found.state_message else ", as it does when a KMS key may not be used"
    return f"{name} is in state {found.state}{why}"


def _without_others_copy(s: _Situation, volume: RestoreVolume, trouble: str) -> _Situation:
    """A copy that others began, maybe for a key that only they may use, came to nothing: that is no answer to ours."""
    if volume.fetch is None:  # pragma: no cover - asked only of a volume that is fetched
        return s
    fetch = replace(volume.fetch, copy_id=None)
    anew = replace(volume, fetch=fetch, snapshot_id=fetch.call.snapshot_id, kms_key_id=fetch.call.kms_key_id)
    volumes = tuple(_with_copy(anew, s.seen.copies) if item is volume else item for item in s.restore.volumes)
    text = f"{trouble}; others had begun it, and this restore does without it"
    return s.with_restore(_told(replace(s.restore, volumes=volumes), s.now, text))


def _copy(s: _Situation, volume: RestoreVolume, fetch: Fetch) -> Step:
    # Nothing makes two of these calls one copy, so the next is not made before a lost answer's copy would be seen.
    asked = replace(fetch, asked_at=s.now, not_before=s.now + s.deadlines.settle)
    volumes = tuple(replace(item, fetch=asked) if item is volume else item for item in s.restore.volumes)
    reason = f"{volume.size} GiB for {volume.device} that are not here"
    call = replace(fetch.call, tags={**fetch.call.tags, Tag.COPIED_AT.value: iso(s.now)})
    return _do(s.with_restore(replace(s.restore, volumes=volumes)), _S.COPIES, call, reason)


def _make_volumes(s: _Situation) -> Step:
    trouble = _trouble_with_new(s)
    if trouble:
        return _turn(s, trouble)
    for volume in s.restore.volumes:
        if s.restored(volume) is None and (volume.asked_at is None or s.now - volume.asked_at >= s.deadlines.again):
            return _create(s, volume)
    making = [volume.snapshot_id for volume in s.restore.volumes if s.of_restored(volume) is not _Place.FREE]
    if making:
        return _wait(s, _S.VOLUMES, f"EC2 is making the volumes of {', '.join(making)}")
    for volume in s.restore.volumes:
        if volume.displaced_volume_id and s.of_displaced(volume) is not _Place.HERE:
            return _turn(
                s, f"the volume to be displaced, {volume.displaced_volume_id}, is not at {volume.device} any more"
            )
    if s.hibernated:
        return _turn(s, hibernation(s.restore.instance_id))
    if s.power not in {"running", "stopped"}:
        return _wait(s, _S.VOLUMES, f"{s.restore.instance_id} is {s.power}")
    return _touch(s)


def _trouble_with_new(s: _Situation) -> str:
    for volume in s.restore.volumes:
        found = s.restored(volume)
        if found is None and volume.restored_volume_id:
            why = _unless_its_key(volume.encrypted, volume.kms_key_id, volume.snapshot_id)
            return f"the restored volume {volume.restored_volume_id} is gone{why}"
        if found is not None and found.state != "creating" and s.of_restored(volume) is not _Place.FREE:
            where = _whereabouts(found) if _attachment(found) else ""
            return f"the restored volume {found.id} is {found.state} {where}".rstrip()
    return ""


def _touch(s: _Situation) -> Step:
    """From here on the instance is changed.

    What its power state was is taken now, not at the pre-flight: making the volumes may have taken an hour.
    """
    launched_at = s.seen.instance.launched_at if s.seen.instance else None
    was_running = s.power == "running"
    s = s.with_restore(replace(s.restore, touched=True, was_running=was_running, launched_at=launched_at))
    return _swap(s)


def _unless_its_key(encrypted: bool, key: str | None, snapshot_id: str) -> str:
    """What a volume that EC2 had begun to make, and that is gone, most likely went for.

    EC2 answers CreateVolume, and removes the volume within a second when a key may not be used. No state tells it, only
    the event createVolume, and CloudTrail.
    """
    if not encrypted:
        return ", though this restore has not deleted it"
    name = f"its KMS key {key}" if key else "its KMS key, the account's default for EBS"
    return (
        f", as a new volume is when {name}, or that of {snapshot_id}, may not be used: the volume's event createVolume "
        "and CloudTrail have the cause"
    )


def beginnings(restore: Restore) -> tuple[CopySnapshot | CreateVolume, ...]:
    """The calls that a restore begins with: for each volume the copy that it needs, or else the volume itself."""
    return tuple(volume.fetch.call if volume.fetch else _creation(restore, volume) for volume in restore.volumes)


def _creation(restore: Restore, volume: RestoreVolume) -> CreateVolume:
    return CreateVolume(
        client_token=client_token(restore, volume),
        snapshot_id=volume.snapshot_id,
        zone=volume.zone,
        type=volume.type,
        size=volume.size,
        encrypted=volume.encrypted,
        tags={**volume.tags, Tag.RESTORE.value: restore.id, Tag.CHAIN.value: volume.chain},
        iops=volume.iops,
        throughput=volume.throughput,
        kms_key_id=volume.kms_key_id,
        initialization_rate=volume.initialization_rate,
    )


def _create(s: _Situation, volume: RestoreVolume) -> Step:
    volumes = tuple(replace(item, asked_at=s.now) if item is volume else item for item in s.restore.volumes)
    action = _creation(s.restore, volume)
    reason = f"a {volume.size} GiB {volume.type} volume of {volume.snapshot_id} in {volume.zone} for {volume.device}"
    return _do(s.with_restore(replace(s.restore, volumes=volumes)), _S.VOLUMES, action, reason)


def _swap(s: _Situation) -> Step:
    if s.power in {"pending", "running"} and s.restore.step not in {_S.VOLUMES, _S.STOP}:
        return _turn(s, f"{s.restore.instance_id} is {s.power} though its volumes are not in place")
    if s.power != "stopped":
        return _stop(s, "so that its volumes can be swapped")
    if s.hibernated:
        return _turn(s, hibernation(s.restore.instance_id))
    return _displace(s) or _place_restored(s)


def _displace(s: _Situation) -> Step | None:
    for volume in s.restore.volumes:
        place = s.of_displaced(volume)
        if place in {_Place.HERE, _Place.ASTRAY}:
            return _detach(s, s.displaced(volume), "to be displaced")
        if place in {_Place.ARRIVING, _Place.LEAVING}:
            return _wait(s, _S.DETACH, f"{volume.displaced_volume_id} is being detached", look_again=True)
    for volume in s.restore.volumes:
        found = s.displaced(volume)
        if found and s.of_displaced(volume) is _Place.FREE and found.tags.get(Tag.DISPLACED_BY) != s.restore.id:
            action = TagDisplaced(found.id, _marks(s.restore, volume))
            return _do(s, _S.DETACH, action, "it is kept until a person deletes it")
    return None


def _marks(restore: Restore, volume: RestoreVolume) -> dict[str, str]:
    """What the displaced volume is tagged with."""
    return {
        Tag.DISPLACED_BY.value: restore.id,
        Tag.DISPLACED_FROM.value: f"{restore.instance_id} {volume.device}",
    }


def _place_restored(s: _Situation) -> Step:
    for volume in s.restore.volumes:
        restored = s.restored(volume)
        if restored and s.of_restored(volume) is _Place.FREE:
            stranger = _stranger(s, volume)
            if stranger:
                return _turn(s, f"somebody attached {stranger} at {volume.device}")
            action = AttachVolume(restored.id, s.restore.instance_id, volume.device)
            return _do(s, _S.ATTACH, action, f"{restored.id} takes the place at {volume.device}")
    return _wait(s, _S.ATTACH, "the restored volumes are being attached", look_again=True)


def _stranger(s: _Situation, volume: RestoreVolume) -> str | None:
    ours = {volume.displaced_volume_id, volume.restored_volume_id}
    attachments = s.seen.instance.attachments if s.seen.instance else ()
    here = (item for item in attachments if same_device(item.device, volume.device) and item.state != "detached")
    return next((item.volume_id for item in here if item.volume_id not in ours), None)


def _finish_forward(s: _Situation) -> Step:
    flag = _set_flag(s, restored=True)
    if flag:
        return flag
    if not s.restore.shall_run or s.restore.step is _S.CLEAN_UP:
        return _complete(s)
    if s.power == "running":
        return _verify(s)
    if s.restore.step is _S.VERIFY and s.power != "pending":
        return _turn(s, f"{s.restore.instance_id} ran and is {s.power} again")
    if s.power != "stopped":
        return _wait(
            s, s.restore.step if s.restore.step is _S.VERIFY else _S.START, f"{s.restore.instance_id} is {s.power}"
        )
    if s.restore.starts >= MAX_STARTS and _may_ask_again(s, _key(StartInstance(s.restore.instance_id))):
        return _turn(
            s,
            f"{s.restore.instance_id} fell back to stopped after {MAX_STARTS} starts, as it does when a KMS key may "
            f"not be used{_state_reason(s)}",
        )
    return _start(s, "on the restored volumes")


def _verify(s: _Situation) -> Step:
    since = s.now if s.restore.step is not _S.VERIFY else s.restore.step_since
    if s.now - since < s.deadlines.window:
        return _wait(s, _S.VERIFY, f"{s.restore.instance_id} runs; it must still do so in {_span(s.deadlines.window)}")
    if s.seen.status_checks == "ok":
        return _complete(s)
    return _wait(s, _S.VERIFY, f"the status checks of {s.restore.instance_id} are {s.seen.status_checks}")


def _complete(s: _Situation) -> Step:
    for extra in _extras(s):
        free = s.place(extra, "") is _Place.FREE and Tag.DISPLACED_BY not in extra.tags
        given_up = s.restore.step is _S.CLEAN_UP and s.overdue()
        if free and not given_up and not _is_kept(s.restore, extra.id):
            return _do(s, _S.CLEAN_UP, DeleteVolume(extra.id), f"{extra.id} was made twice and never used")
    return _finish(s, RestoreState.COMPLETED, f"{s.restore.instance_id} is on the restored volumes")


# --- back


def _turned(restore: Restore, now: datetime, reason: str) -> Restore:
    restore = _told(restore, now, f"turns back: {reason}")
    return replace(
        restore,
        direction=Direction.ROLLBACK,
        failure=reason,
        step_since=now,
        starts=0,
        asked="",
        asked_at=None,
        refused="",
    )


def _turn(s: _Situation, reason: str) -> Step:
    return _back(s.with_restore(_turned(s.restore, s.now, reason)))


def _back(s: _Situation) -> Step:
    if not s.restore.touched:
        return _clean_up(s)
    lost = [
        volume for volume in s.restore.volumes if volume.displaced_volume_id and s.of_displaced(volume) is _Place.LOST
    ]
    if lost:
        # There is no way back, and what sits at the device may be all there is. Anything done now could make it worse.
        names = ", ".join(volume.displaced_volume_id or "" for volume in lost)
        return _give_up(s, f"the displaced volume {names} is gone or broken, so nothing can be put back")
    if _out_of_place(s):
        return _put_back(s)
    away = [volume for volume in s.restore.volumes if s.of_displaced(volume) is _Place.AWAY]
    if away:
        names = ", ".join(f"{item.displaced_volume_id} {_whereabouts(s.displaced(item))}" for item in away)
        blocked = f"somebody attached the displaced volume {names}"
        return _wait(s.with_restore(replace(s.restore, blocked=s.restore.blocked or blocked)), _S.ATTACH, blocked)
    return _set_flag(s, restored=False) or _untag(s) or _power_back(s) or _clean_up(s)


def _out_of_place(s: _Situation) -> bool:
    return any(
        s.of_restored(volume) in _ON
        or (volume.displaced_volume_id and s.of_displaced(volume) not in {_Place.HERE, _Place.AWAY})
        for volume in s.restore.volumes
    )


def _put_back(s: _Situation) -> Step:
    if s.power != "stopped":
        return _stop(s, "so that the displaced volumes can be put back")
    if s.hibernated:
        blocked = hibernation(s.restore.instance_id)
        return _wait(s.with_restore(replace(s.restore, blocked=blocked)), _S.STOP, blocked)
    for volume in s.restore.volumes:
        for found in (s.restored(volume), s.displaced(volume)):
            place = s.place(found, volume.device)
            displaced = found is not None and found.id == volume.displaced_volume_id
            if place is _Place.ASTRAY or (place is _Place.HERE and not displaced):
                return _detach(s, found, "to make room for the displaced volume" if not displaced else "it is astray")
            if place in {_Place.ARRIVING, _Place.LEAVING} and not (displaced and place is _Place.ARRIVING):
                return _wait(s, _S.DETACH, f"{found.id if found else ''} is {place.name.lower()}", look_again=True)
    for volume in s.restore.volumes:
        found = s.displaced(volume)
        if found and s.of_displaced(volume) is _Place.FREE:
            action = AttachVolume(found.id, s.restore.instance_id, volume.device)
            return _do(s, _S.ATTACH, action, f"{found.id} goes back to {volume.device}")
    return _wait(s, _S.ATTACH, "the displaced volumes are being attached", look_again=True)


def _untag(s: _Situation) -> Step | None:
    for volume in s.restore.volumes:
        found = s.displaced(volume)
        if found and found.tags.get(Tag.DISPLACED_BY) == s.restore.id and not s.restore.tags_left:
            action = UntagDisplaced(found.id, (Tag.DISPLACED_BY.value, Tag.DISPLACED_FROM.value))
            return _do(s, _S.ATTACH, action, f"{found.id} is back at {volume.device}")
    return None


def _power_back(s: _Situation) -> Step | None:
    if not s.restore.was_running or s.restore.step is _S.CLEAN_UP:
        return None
    if s.power == "stopped":
        if s.restore.starts >= MAX_STARTS and not s.restore.blocked:
            blocked = f"{s.restore.instance_id} fell back to stopped after {MAX_STARTS} starts{_state_reason(s)}"
            s = s.with_restore(replace(s.restore, blocked=blocked))
        return _start(s, "as it was running before")
    if s.power != "running":
        return _wait(s, _S.START, f"{s.restore.instance_id} is {s.power}")
    since = s.now if s.restore.step is not _S.VERIFY else s.restore.step_since
    if s.now - since < s.deadlines.window:
        # A stop that was asked for may still be on its way; a start may still fall back.
        return _wait(s, _S.VERIFY, f"{s.restore.instance_id} runs; it must still do so in {_span(s.deadlines.window)}")
    return None


def _clean_up(s: _Situation) -> Step:
    for made in _made(s):
        if _is_kept(s.restore, made.id):
            continue
        place = s.place(made, "")
        if place is _Place.LOST and made.state != "error":
            continue
        why = _why_kept(s, made, place)
        if why:
            s = s.with_restore(_keep(s.restore, made.id, why, s.now))
        elif place is _Place.MAKING:
            return _wait(s, _S.CLEAN_UP, f"{made.id} is still being made; it can be deleted then")
        else:
            return _do(s, _S.CLEAN_UP, DeleteVolume(made.id), f"{made.id} is ours and nothing ever ran on it")
    for volume in s.restore.volumes:
        unseen = volume.asked_at and not volume.restored_volume_id
        if unseen and volume.asked_at and s.now - volume.asked_at < s.deadlines.settle:
            return _wait(s, _S.CLEAN_UP, f"the volume of {volume.snapshot_id} was asked for and may yet appear")
    return _finish(s, RestoreState.ROLLED_BACK, f"{as_it_was(s.restore)}: {s.restore.failure}")


def as_it_was(restore: Restore) -> str:
    """That the instance is as it was, but for what its stop has taken for good."""
    taken = f", except for what its stop took for good ({'; '.join(restore.taken)})" if restore.taken else ""
    return f"{restore.instance_id} is as it was{taken}"


def _why_kept(s: _Situation, made: Volume, place: _Place) -> str:
    if s.restore.started_on_restored and any(item.restored_volume_id == made.id for item in s.restore.volumes):
        return "the instance was started on it: it may carry data that is nowhere else"
    if place not in {_Place.MAKING, _Place.FREE, _Place.LOST}:
        return f"it is attached {_whereabouts(made)}"
    if Tag.DISPLACED_BY in made.tags:
        return "a later restore displaced it"
    if s.restore.step is _S.CLEAN_UP and s.overdue():
        return f"it could not be deleted within {_span(s.deadlines.of(_S.CLEAN_UP))}{_said(s)}"
    return ""


def _without_instance(s: _Situation) -> Step:
    reason = f"{s.restore.instance_id} was terminated by somebody else"
    if s.restore.touched:
        return _give_up(s, reason)
    if s.restore.direction is Direction.FORWARD:
        return _turn(s, reason)
    return _clean_up(s)


def _give_up(s: _Situation, reason: str) -> Step:
    if s.restore.direction is Direction.FORWARD:
        s = s.with_restore(_turned(s.restore, s.now, reason))
    kept = s.restore
    for made in _made(s):
        if s.place(made, "") is not _Place.LOST and not _is_kept(kept, made.id):
            kept = _keep(kept, made.id, "a person has to decide what becomes of the instance", s.now)
    return _finish(s.with_restore(replace(kept, blocked=reason)), RestoreState.FAILED, reason)


# --- steps that both directions take


def _stop(s: _Situation, why: str) -> Step:
    if s.power == "running":
        return _do(s, _S.STOP, StopInstance(s.restore.instance_id), why)
    return _wait(s, _S.STOP, f"{s.restore.instance_id} is {s.power}")


def _start(s: _Situation, why: str) -> Step:
    action = StartInstance(s.restore.instance_id)
    if not _may_ask_again(s, _key(action)):
        return _wait(s, _S.START, f"a start was asked for at {s.restore.asked_at:%H:%M:%S}")
    started = s.restore.started_on_restored or any(s.of_restored(item) is _Place.HERE for item in s.restore.volumes)
    # Beyond MAX_STARTS only a failed roll-back goes on, and its count tells nobody anything.
    starts = min(s.restore.starts + 1, MAX_STARTS)
    step = _do(s, _S.START, action, why)
    if step.action != action:  # too late: it turns back without having asked
        return step
    return replace(step, restore=replace(step.restore, started_on_restored=started, starts=starts))


def _state_reason(s: _Situation) -> str:
    said = s.seen.instance.state_message if s.seen.instance else ""
    return f"; EC2 says {said}" if said else ""


def _detach(s: _Situation, volume: Volume | None, why: str) -> Step:
    attachment = _attachment(volume) if volume else None
    if attachment is None:  # pragma: no cover - asked only of a volume that has one
        return _wait(s, _S.DETACH, "it is off")
    return _do(s, _S.DETACH, DetachVolume(attachment.volume_id, attachment.instance_id, attachment.device), why)


def _set_flag(s: _Situation, *, restored: bool) -> Step | None:
    for volume in s.restore.volumes:
        found = s.restored(volume) if restored else s.displaced(volume)
        if found and s.flag(found) != volume.displaced_delete_on_termination:
            action = SetDeleteOnTermination(
                s.restore.instance_id, volume.device, volume.displaced_delete_on_termination
            )
            return _do(s, _S.ATTACH, action, "as it was for the displaced volume")
    return None


# --- deciding


def _do(s: _Situation, step: RestoreStep, action: Change, why: str) -> Step:
    key = _key(action)
    reason = f"{_verb(action)}: {why}"
    if not _may_ask_again(s, key):
        quick = not isinstance(action, CopySnapshot | CreateVolume | StopInstance | StartInstance)
        return _wait(s, step, f"asked at {s.restore.asked_at:%H:%M:%S}, not seen yet: {reason}", look_again=quick)
    late = _late(
        s, step, f"{reason} (asked before, and not done within {_span(s.deadlines.of(step))}{_said(s, action)})"
    )
    if late:
        return late
    repeated = s.restore.asked == key and s.restore.step is step
    restore = replace(_entered(s.restore, step, s.now), asked=key, asked_at=s.now, refused="")
    return Step(action, restore if repeated else _told(restore, s.now, reason), reason)


def _said(s: _Situation, action: Change | None = None) -> str:
    """What EC2 said to the last action, if it refused it: why there was no capacity, for one."""
    said = s.restore.refused.removeprefix(f"{_verb(action)}: " if action else "")
    return f"; EC2 said {said}" if said else ""


def _wait(s: _Situation, step: RestoreStep, reason: str, *, look_again: bool = False) -> Step:
    late = _late(s, step, f"{reason}, for longer than {_span(s.deadlines.of(step))}{_said(s)}")
    if late:
        return late
    # A failed roll-back is looked at by the sweep alone: it may take days.
    quick = look_again and s.restore.status is RestoreState.OPEN
    restore = s.restore
    if restore.step is not step:
        restore = _told(_entered(restore, step, s.now), s.now, reason)
    return Step(Wait(reason, quick), restore, reason)


def _late(s: _Situation, step: RestoreStep, reason: str) -> Step | None:
    """The way out of a step that has taken too long: back, or, on the way back, told as failed."""
    if s.restore.status is not RestoreState.OPEN or step is _S.CLEAN_UP:
        return None
    overdue = s.restore.step is step and s.overdue()
    if s.restore.direction is Direction.FORWARD:
        return _turn(s, reason) if overdue else None
    if s.restore.blocked or overdue:
        blocked = s.restore.blocked or reason
        restore = _told(replace(s.restore, status=RestoreState.FAILED, blocked=blocked), s.now, f"stuck: {blocked}")
        action = Finish(RestoreState.FAILED, closes=False)
        return Step(action, _entered(restore, step, s.now), f"the roll-back cannot finish: {blocked}")
    return None


def _finish(s: _Situation, outcome: RestoreState, reason: str) -> Step:
    restore = replace(_told(_entered(s.restore, _S.DONE, s.now), s.now, reason), status=outcome, closed=True)
    return Step(Finish(outcome), restore, reason)


def _may_ask_again(s: _Situation, key: str) -> bool:
    asked_at = s.restore.asked_at
    return s.restore.asked != key or asked_at is None or s.now - asked_at >= s.deadlines.again


def _entered(restore: Restore, step: RestoreStep, now: datetime) -> Restore:
    return restore if restore.step is step else replace(restore, step=step, step_since=now, refused="")


def _told(restore: Restore, now: datetime, text: str) -> Restore:
    line = TimelineEntry(now, restore.step, text)
    timeline = restore.timeline
    if len(timeline) >= MAX_TIMELINE:  # the beginning tells more than the middle
        timeline = (*timeline[: MAX_TIMELINE // 2], *timeline[1 - MAX_TIMELINE // 2 :])
    return replace(restore, timeline=(*timeline, line))


def _keep(restore: Restore, volume_id: str, reason: str, now: datetime) -> Restore:
    kept = (*restore.kept, KeptVolume(volume_id, reason))
    return _told(replace(restore, kept=kept), now, f"{volume_id} is kept: {reason}")


def _is_kept(restore: Restore, volume_id: str) -> bool:
    return any(item.volume_id == volume_id for item in restore.kept)


def _key(action: Action) -> str:
    match action:
        case CopySnapshot(region, snapshot, completion_minutes=minutes):
            return f"CopySnapshot {region} {snapshot} {minutes}"
        case CreateVolume(client_token=token):
            return f"CreateVolume {token}"
        case DetachVolume(volume, instance, device) | AttachVolume(volume, instance, device):
            return f"{type(action).__name__} {volume} {instance} {device}"
        case SetDeleteOnTermination(instance, device, value):
            return f"SetDeleteOnTermination {instance} {device} {value}"
        case TagDisplaced(volume) | UntagDisplaced(volume) | DeleteVolume(volume):
            return f"{type(action).__name__} {volume}"
        case _:
            return type(action).__name__


def _verb(action: Change) -> str:
    match action:
        case CopySnapshot(snapshot_id=snapshot):
            return f"CopySnapshot of {snapshot} from {action.origin}"
        case CreateVolume(snapshot_id=snapshot):
            return f"CreateVolume of {snapshot}"
        case StopInstance(instance) | StartInstance(instance):
            return f"{type(action).__name__} {instance}"
        case DetachVolume(volume, instance, device):
            return f"DetachVolume {volume} from {device} of {instance}"
        case AttachVolume(volume, instance, device):
            return f"AttachVolume {volume} at {device} of {instance}"
        case SetDeleteOnTermination(instance, device, value):
            return f"SetDeleteOnTermination {str(value).lower()} at {device} of {instance}"
        case _:
            return f"{type(action).__name__} {action.volume_id}"


def _whereabouts(volume: Volume | None) -> str:
    attachment = _attachment(volume) if volume else None
    return f"to {attachment.instance_id} at {attachment.device}" if attachment else "to nothing"


def _span(time: timedelta) -> str:
    seconds = time.total_seconds()
    if seconds % 60:
        return f"{seconds:g} seconds"
    minutes = seconds / 60
    return f"{minutes:g} minute{'' if minutes == 1 else 's'}"


# --- which volumes are this restore's


def _is_ours(restore: Restore, volume: Volume) -> bool:
    return volume.tags.get(Tag.RESTORE) == restore.id and volume.snapshot_id in {
        item.snapshot_id for item in restore.volumes
    }


def _noted(restore: Restore, seen: Seen) -> Restore:
    """The record with what only a look can tell: the restored volumes' ids, and whether anything ran on them."""
    volumes = []
    for volume in restore.volumes:
        volume = _with_copy(volume, seen.copies)  # noqa: PLW2901
        if volume.restored_volume_id is None:
            found = sorted(
                item.id
                for item in seen.volumes.values()
                if _is_ours(restore, item) and item.snapshot_id == volume.snapshot_id and item.state != "deleted"
            )
            volume = replace(volume, restored_volume_id=found[0]) if found else volume  # noqa: PLW2901
        volumes.append(volume)
    on_target = {
        attachment.volume_id
        for item in seen.volumes.values()
        if (attachment := _attachment(item)) and attachment.instance_id == restore.instance_id
    }
    # The launch time is that of the last start, so it tells of one that came and went between two looks.
    ran = seen.instance is not None and (
        seen.instance.state in {"pending", "running"}
        or (restore.touched and seen.instance.launched_at != restore.launched_at)
    )
    started = ran and any(volume.restored_volume_id in on_target for volume in volumes)
    return replace(
        restore,
        volumes=tuple(volumes),
        started_on_restored=restore.started_on_restored or started,
        stopped=restore.stopped or _was_stopped(restore, seen),
    )


def _was_stopped(restore: Restore, seen: Seen) -> bool:
    """Whether the instance, which ran when it was touched, has been stopped since, if only between two looks."""
    if not restore.touched or not restore.was_running or seen.instance is None:
        return False
    return seen.instance.state in {"stopping", "stopped"} or seen.instance.launched_at != restore.launched_at


def _with_copy(volume: RestoreVolume, copies: Mapping[str, Snapshot]) -> RestoreVolume:
    """The volume with the copy that it is to be made of, as soon as there is one: a completed one before all others."""
    fetch = volume.fetch
    if fetch is None:
        return volume
    found = copies.get(fetch.copy_id or "")
    if fetch.copy_id is None:
        source = (fetch.call.snapshot_id, fetch.call.region)
        of_it = (
            copy for copy in copies.values() if (copy.tags.get(Tag.COPY_OF), copy.tags.get(Tag.COPIED_FROM)) == source
        )
        found = min((copy for copy in of_it if _is_usable(copy, fetch)), key=_readiest, default=None)
        if found is None:
            return volume
        volume = replace(volume, fetch=replace(fetch, copy_id=found.id), snapshot_id=found.id)
    if found and volume.encrypted and volume.kms_key_id is None:
        # The source's key is of no use here. Which one the copy has, only the copy tells.
        volume = replace(volume, kms_key_id=found.kms_key_id)
    return volume


def _is_usable(copy: Snapshot, fetch: Fetch) -> bool:
    """Whether it is the one: it is, or may become, good; or it is what came of our own asking, whatever that is."""
    if copy.state in {"pending", "completed"}:
        return copy.tier == "standard"
    return fetch.asked_at is not None and copy.started_at >= fetch.asked_at - CLOCK_SKEW


def _readiest(copy: Snapshot) -> tuple[int, datetime, str]:
    return {"completed": 0, "pending": 1}.get(copy.state, 2), copy.started_at, copy.id


def _made(s: _Situation) -> Iterator[Volume]:
    displaced = {volume.displaced_volume_id for volume in s.restore.volumes}
    for volume_id in sorted(s.seen.volumes):
        volume = s.seen.volumes[volume_id]
        if _is_ours(s.restore, volume) and volume_id not in displaced:
            yield volume


def _extras(s: _Situation) -> Iterator[Volume]:
    used = {volume.restored_volume_id for volume in s.restore.volumes}
    return (volume for volume in _made(s) if volume.id not in used)
