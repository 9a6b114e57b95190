"""The steps of a restore and the ways between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lifeboat.restore.record import (
    Direction,
    RestoreState,
    RestoreStep,
)


@dataclass(frozen=True, slots=True)
class StepFact:
    """What restore-machine.md says of a step: what happens in each direction, and which deadline bounds it."""

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
"""The steps in their order; the source of the table in docs/design/restore-machine.md."""


type Node = tuple[Direction, RestoreStep] | RestoreState


def _on(step: RestoreStep) -> Node:
    return (Direction.FORWARD, step)


def _off(step: RestoreStep) -> Node:
    return (Direction.ROLLBACK, step)


_COMPLETED, _ROLLED_BACK, _FAILED = RestoreState.COMPLETED, RestoreState.ROLLED_BACK, RestoreState.FAILED


WAYS: Mapping[Node, tuple[Node, ...]] = {
    _on(RestoreStep.COPIES): (_on(RestoreStep.VOLUMES), _off(RestoreStep.COPIES), _ROLLED_BACK),
    _on(RestoreStep.VOLUMES): (
        _on(RestoreStep.STOP),
        _on(RestoreStep.DETACH),
        _off(RestoreStep.VOLUMES),
        _off(RestoreStep.CLEAN_UP),
    ),
    _on(RestoreStep.STOP): (
        _on(RestoreStep.DETACH),
        _off(RestoreStep.STOP),
        _off(RestoreStep.START),
        _off(RestoreStep.VERIFY),
    ),
    _on(RestoreStep.DETACH): (
        _on(RestoreStep.ATTACH),
        _off(RestoreStep.DETACH),
        _off(RestoreStep.ATTACH),
        _off(RestoreStep.START),
        _off(RestoreStep.CLEAN_UP),
    ),
    _on(RestoreStep.ATTACH): (_on(RestoreStep.START), _COMPLETED, _off(RestoreStep.DETACH), _off(RestoreStep.ATTACH)),
    _on(RestoreStep.START): (
        _on(RestoreStep.VERIFY),
        _off(RestoreStep.STOP),
        _off(RestoreStep.DETACH),
        _off(RestoreStep.START),
    ),
    _on(RestoreStep.VERIFY): (_COMPLETED, _off(RestoreStep.STOP), _off(RestoreStep.DETACH), _off(RestoreStep.VERIFY)),
    _off(RestoreStep.COPIES): (_ROLLED_BACK,),
    _off(RestoreStep.VOLUMES): (_off(RestoreStep.CLEAN_UP), _ROLLED_BACK),
    _off(RestoreStep.STOP): (_off(RestoreStep.DETACH), _off(RestoreStep.START), _off(RestoreStep.VERIFY), _FAILED),
    _off(RestoreStep.DETACH): (_off(RestoreStep.ATTACH), _off(RestoreStep.START), _off(RestoreStep.CLEAN_UP), _FAILED),
    _off(RestoreStep.ATTACH): (
        _off(RestoreStep.DETACH),
        _off(RestoreStep.START),
        _off(RestoreStep.CLEAN_UP),
        _ROLLED_BACK,
        _FAILED,
    ),
    _off(RestoreStep.START): (_off(RestoreStep.STOP), _off(RestoreStep.DETACH), _off(RestoreStep.VERIFY), _FAILED),
    _off(RestoreStep.VERIFY): (
        _off(RestoreStep.STOP),
        _off(RestoreStep.DETACH),
        _off(RestoreStep.START),
        _off(RestoreStep.CLEAN_UP),
        _ROLLED_BACK,
        _FAILED,
    ),
    _off(RestoreStep.CLEAN_UP): (_ROLLED_BACK,),
    _FAILED: (_ROLLED_BACK,),
}
"""Every way that a restore goes, as long as no person takes its volumes or its instance away.

The source of the diagram in docs/design/restore-machine.md. The model check walks every path and compares: none more,
none fewer.
"""
