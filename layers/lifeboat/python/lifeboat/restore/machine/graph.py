"""All steps, both directions: what each does, and which step may follow which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lifeboat.restore.record import Direction, RestoreState, RestoreStep


@dataclass(frozen=True, slots=True)
class StepFact:
    """One row of the table in docs/design/restore-machine.md: what a step does in each direction, and its deadline."""

    step: RestoreStep
    deadline: str
    forward: str
    rollback: str


STEP_FACTS = (
    StepFact(
        RestoreStep.COPIES,
        "copies",
        "Only for snapshots that are not in this region and account: CopySnapshot of each that has no copy yet, until "
        "all copies are `completed`. Nothing is changed.",
        "The copies stay.",
    ),
    StepFact(
        RestoreStep.VOLUMES,
        "volumes",
        "CreateVolume for each snapshot, until all are `available`. Nothing else is changed.",
        "-",
    ),
    StepFact(
        RestoreStep.STOP,
        "stop",
        "StopInstance, until `stopped`.",
        "The same, if a volume has to be put back.",
    ),
    StepFact(
        RestoreStep.DETACH,
        "swap",
        "DetachVolume of every displaced volume; once it is detached, TagDisplaced.",
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
        "StartInstance, if it was running or `start` is true; repeated while EC2 has no capacity.",
        "StartInstance, if it was running before; repeated without end after RestoreFailed.",
    ),
    StepFact(
        RestoreStep.VERIFY,
        "verify",
        "The instance runs, still runs after the window, and its status checks are `ok`.",
        "The instance runs, and still runs after the window.",
    ),
    StepFact(
        RestoreStep.CLEAN_UP,
        "volumes",
        "DeleteVolume of a volume that EC2 made twice, which needs a client token that EC2 forgot.",
        "DeleteVolume of what the restore made and no instance ran on. The rest is kept and named.",
    ),
)
"""The steps in their order: the source of the table in docs/design/restore-machine.md."""


type Node = tuple[Direction, RestoreStep] | RestoreState


_Step, _FORWARD, _BACK = RestoreStep, Direction.FORWARD, Direction.ROLLBACK
_COMPLETED, _ROLLED_BACK, _FAILED = RestoreState.COMPLETED, RestoreState.ROLLED_BACK, RestoreState.FAILED


def _forward(*steps: RestoreStep) -> tuple[Node, ...]:
    return tuple((_FORWARD, step) for step in steps)


def _back(*steps: RestoreStep) -> tuple[Node, ...]:
    return tuple((_BACK, step) for step in steps)


WAYS: Mapping[Node, tuple[Node, ...]] = {
    (_FORWARD, _Step.COPIES): (*_forward(_Step.VOLUMES), *_back(_Step.COPIES), _ROLLED_BACK),
    (_FORWARD, _Step.VOLUMES): (*_forward(_Step.STOP, _Step.DETACH), *_back(_Step.VOLUMES, _Step.CLEAN_UP)),
    (_FORWARD, _Step.STOP): (*_forward(_Step.DETACH), *_back(_Step.STOP, _Step.START, _Step.VERIFY)),
    (_FORWARD, _Step.DETACH): (
        *_forward(_Step.ATTACH),
        *_back(_Step.DETACH, _Step.ATTACH, _Step.START, _Step.CLEAN_UP),
    ),
    (_FORWARD, _Step.ATTACH): (*_forward(_Step.START), _COMPLETED, *_back(_Step.DETACH, _Step.ATTACH)),
    (_FORWARD, _Step.START): (*_forward(_Step.VERIFY), *_back(_Step.STOP, _Step.DETACH, _Step.START)),
    (_FORWARD, _Step.VERIFY): (_COMPLETED, *_back(_Step.STOP, _Step.DETACH, _Step.VERIFY)),
    (_BACK, _Step.COPIES): (_ROLLED_BACK,),
    (_BACK, _Step.VOLUMES): (*_back(_Step.CLEAN_UP), _ROLLED_BACK),
    (_BACK, _Step.STOP): (*_back(_Step.DETACH, _Step.START, _Step.VERIFY), _FAILED),
    (_BACK, _Step.DETACH): (*_back(_Step.ATTACH, _Step.START, _Step.CLEAN_UP), _FAILED),
    (_BACK, _Step.ATTACH): (*_back(_Step.DETACH, _Step.START, _Step.CLEAN_UP), _ROLLED_BACK, _FAILED),
    (_BACK, _Step.START): (*_back(_Step.STOP, _Step.DETACH, _Step.VERIFY), _FAILED),
    (_BACK, _Step.VERIFY): (*_back(_Step.STOP, _Step.DETACH, _Step.START, _Step.CLEAN_UP), _ROLLED_BACK, _FAILED),
    (_BACK, _Step.CLEAN_UP): (_ROLLED_BACK,),
    _FAILED: (_ROLLED_BACK,),
}
"""Every transition of a restore whose volumes and instance no person changes.

The source of the diagram in docs/design/restore-machine.md. The model check compares it with the transitions it walks.
"""
