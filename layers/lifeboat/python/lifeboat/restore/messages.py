"""The wording of the messages that restores publish."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from lifeboat.domain.message import Message, listed, sentence
from lifeboat.restore.afterwards import describe_cancelled
from lifeboat.restore.record import Restore, RestoreState
from lifeboat.restore.report import RestoreOutcome


def restore_started(*, stack: str, at: datetime, restore: Restore, plan: str) -> Message:
    """RestoreStarted: a restore was checked and recorded, and begins."""
    return Message(
        event="RestoreStarted",
        at=at,
        stack=stack,
        subject=_restore(restore),
        name=restore.source_name,
        summary=f"The restore of {restore.recovery_point_id} onto {restore.instance_id} has begun.",
        details={
            "requested_by": restore.requested_by,
            "reason": restore.reason,
            "ami_override": restore.ami_override,
            **listed(plan.splitlines(), "plan"),
        },
        next_steps=(f'To cancel it: invoke RestoreVolumeFunction with {{"cancel": "{restore.id}"}}.',),
    )


def restore_refused(
    *, stack: str, at: datetime, instance_id: str, reasons: Sequence[str], asked_by: str, name: str = ""
) -> Message:
    """RestoreRefused: the pre-flight refused a restore. Nothing was touched."""
    return Message(
        event="RestoreRefused",
        at=at,
        stack=stack,
        subject={"instance_id": instance_id},
        name=name,
        summary=f"A restore onto {instance_id} was refused; nothing was touched.",
        details={"requested_by": asked_by, **listed(reasons, "reasons")},
        next_steps=("Fix what the reasons name. Then send the request again, with dry_run first.",),
    )


def restore_ended(*, stack: str, at: datetime, restore: Restore, outcome: RestoreOutcome) -> Message:
    """The outcome of a restore.

    RestoreCompleted: the instance is on the restored volumes.
    RestoreRolledBack: a step failed, or a person cancelled the restore; the instance is as before, except for what a
        stop removes.
    RestoreFailed: the roll-back cannot finish by itself; the next steps have the commands. If Lifeboat retries with
        success, RestoreRolledBack follows.
    """
    event = {
        RestoreState.COMPLETED: "RestoreCompleted",
        RestoreState.ROLLED_BACK: "RestoreRolledBack",
        RestoreState.FAILED: "RestoreFailed",
    }[restore.status]
    return Message(
        event=event,
        at=at,
        stack=stack,
        subject=_restore(restore),
        name=restore.source_name,
        summary=_summarize(restore),
        verdict=_CALLED_OFF if _is_called_off(restore) else "",
        details=outcome.details,
        next_steps=outcome.next_steps,
    )


_CALLED_OFF = "restore called off"


def _is_called_off(restore: Restore) -> bool:
    return restore.status is RestoreState.ROLLED_BACK and restore.cancelled_by is not None


def _summarize(restore: Restore) -> str:
    but = f", except for what its stop removed permanently: {'; '.join(restore.taken)}" if restore.taken else ""
    if _is_called_off(restore):
        return (
            f"The restore of {restore.recovery_point_id} onto {restore.instance_id} was {describe_cancelled(restore)} "
            f"The instance is as it was{but}."
        )
    ending = _ENDINGS[restore.status].format(point=restore.recovery_point_id, instance=restore.instance_id, but=but)
    return ending + (f" {sentence(restore.failure)}" if restore.failure else "")


_ENDINGS = {
    RestoreState.COMPLETED: "{instance} is on the restored data of {point}.",
    RestoreState.ROLLED_BACK: "The restore of {point} onto {instance} was rolled back; the instance is as it was{but}.",
    RestoreState.FAILED: "The restore of {point} onto {instance} failed, and so did its roll-back: a person is needed.",
}


def _restore(restore: Restore) -> dict[str, str]:
    return {
        "restore_id": restore.id,
        "instance_id": restore.instance_id,
        "recovery_point": restore.recovery_point_id,
    }
