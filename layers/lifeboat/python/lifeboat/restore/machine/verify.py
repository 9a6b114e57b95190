"""Forward: start, watch the instance run, complete."""

from __future__ import annotations

from lifeboat.domain.ec2_calls import (
    DeleteVolume,
    StartInstance,
)
from lifeboat.domain.tags import Tag
from lifeboat.restore.decision import Step
from lifeboat.restore.machine.actions import (
    MAX_STARTS,
    action_key,
    complete,
    may_ask_again,
    requeue,
    set_delete_on_termination,
    start_instance,
    state_reason,
    take_action,
    turn_back,
)
from lifeboat.restore.machine.history import in_words
from lifeboat.restore.machine.situation import Place, Situation, is_kept, unexpected_volumes
from lifeboat.restore.record import (
    RestoreState,
    RestoreStep,
)


def start_and_verify(s: Situation) -> Step:
    flag = set_delete_on_termination(s, restored=True)
    if flag:
        return flag
    if not s.restore.shall_run or s.restore.step is RestoreStep.CLEAN_UP:
        return complete_forward(s)
    if s.power == "running":
        return _verify(s)
    if s.restore.step is RestoreStep.VERIFY and s.power != "pending":
        return turn_back(s, f"{s.restore.instance_id} ran and is {s.power} again")
    if s.power != "stopped":
        return requeue(
            s,
            s.restore.step if s.restore.step is RestoreStep.VERIFY else RestoreStep.START,
            f"{s.restore.instance_id} is {s.power}",
        )
    if s.restore.starts >= MAX_STARTS and may_ask_again(s, action_key(StartInstance(s.restore.instance_id))):
        return turn_back(
            s,
            f"{s.restore.instance_id} fell back to stopped after {MAX_STARTS} starts, as it does when a KMS key may "
            f"not be used{state_reason(s)}",
        )
    return start_instance(s, "on the restored volumes")


def _verify(s: Situation) -> Step:
    since = s.now if s.restore.step is not RestoreStep.VERIFY else s.restore.step_since
    if s.now - since < s.deadlines.window:
        return requeue(
            s,
            RestoreStep.VERIFY,
            f"{s.restore.instance_id} runs; it must still do so in {in_words(s.deadlines.window)}",
        )
    if s.observed.status_checks == "ok":
        return complete_forward(s)
    return requeue(
        s, RestoreStep.VERIFY, f"the status checks of {s.restore.instance_id} are {s.observed.status_checks}"
    )


def complete_forward(s: Situation) -> Step:
    for extra in unexpected_volumes(s):
        free = s.place(extra, "") is Place.FREE and Tag.DISPLACED_BY not in extra.tags
        given_up = s.restore.step is RestoreStep.CLEAN_UP and s.overdue()
        if free and not given_up and not is_kept(s.restore, extra.id):
            return take_action(
                s, RestoreStep.CLEAN_UP, DeleteVolume(extra.id), f"{extra.id} was made twice and never used"
            )
    return complete(s, RestoreState.COMPLETED, f"{s.restore.instance_id} is on the restored volumes")
