"""Steps `start`, `verify` and `clean-up`, forward: start the instance, see it keep running, complete."""

from __future__ import annotations

from datetime import timedelta

from lifeboat.domain.ec2_calls import DeleteVolume, StartInstance
from lifeboat.domain.tags import Tag
from lifeboat.restore.decision import Step
from lifeboat.restore.machine.actions import (
    MAX_STARTS,
    action_key,
    complete,
    describe_state,
    may_ask_again,
    requeue,
    set_delete_on_termination,
    start_instance,
    start_roll_back,
    take_action,
    wait_for_window,
)
from lifeboat.restore.machine.situation import Place, Situation, find_unexpected_volumes, is_kept
from lifeboat.restore.record import RestoreState, RestoreStep

STATUS_CHECKS_EVERY = timedelta(seconds=5)
"""The time between two observations of status checks after the window. EC2 sends no event when they pass
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitoring-system-instance-status-check.html). Where they take long
it becomes longer: a fortieth of the time that the step has taken."""


def start_and_verify(s: Situation) -> Step:
    """Step `start`, forward. An instance that shall not run completes at once."""
    flag = set_delete_on_termination(s, restored=True)
    if flag:
        return flag
    if not s.restore.shall_run or s.restore.step is RestoreStep.CLEAN_UP:
        return complete_forward(s)
    if s.power == "running":
        return _verify(s)
    if s.restore.step is RestoreStep.VERIFY and s.power != "pending":
        return start_roll_back(s, f"{s.restore.instance_id} ran and is {s.power} again")
    if s.power != "stopped":
        step = s.restore.step if s.restore.step is RestoreStep.VERIFY else RestoreStep.START
        return requeue(s, step, f"{s.restore.instance_id} is {s.power}")
    if s.restore.starts >= MAX_STARTS and may_ask_again(s, action_key(StartInstance(s.restore.instance_id))):
        return start_roll_back(
            s,
            f"{s.restore.instance_id} fell back to stopped after {MAX_STARTS} starts, as with a KMS key that may "
            f"not be used{describe_state(s)}",
        )
    return start_instance(s, "on the restored volumes")


def _verify(s: Situation) -> Step:
    """Step `verify`, forward: the instance keeps running, and its status checks pass."""
    waiting = wait_for_window(s)
    if waiting:
        return waiting
    if s.observed.status_checks == "ok":
        return complete_forward(s)
    return requeue(
        s,
        RestoreStep.VERIFY,
        f"the status checks of {s.restore.instance_id} are {s.observed.status_checks}",
        again_at=s.now + max(STATUS_CHECKS_EVERY, (s.now - s.restore.step_since) / 40),
    )


def complete_forward(s: Situation) -> Step:
    """Step `clean-up`, forward: delete a volume that EC2 made twice, then end the restore."""
    for extra in find_unexpected_volumes(s):
        free = s.place(extra, "") is Place.FREE and Tag.DISPLACED_BY not in extra.tags
        given_up = s.restore.step is RestoreStep.CLEAN_UP and s.overdue()
        if free and not given_up and not is_kept(s.restore, extra.id):
            reason = f"EC2 made {extra.id} a second time, and nothing uses it"
            return take_action(s, RestoreStep.CLEAN_UP, DeleteVolume(extra.id), reason)
    return complete(s, RestoreState.COMPLETED, f"{s.restore.instance_id} is on the restored volumes")
