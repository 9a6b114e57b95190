"""Requests by hand: the same one asked again is the same run, and what takes longer can be asked for by its id.

The invocation that a person waits for hands the work over to another one of the same function, and answers what came of
it, or after some seconds its id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from lifeboat.aws import clock, functions
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.by_hand.plan import DELIVERED, PAUSES, Run, decide, is_under_way, key_of, key_of_run, take_over
from lifeboat.by_hand.request import HandedOver
from lifeboat.by_hand.store import known_run, note_heard, write_run
from lifeboat.domain.bad_request import BadRequest, shown
from lifeboat.domain.text import iso

if TYPE_CHECKING:
    pass


@cache
def _logger() -> Logger:
    """Made when it is needed: a logger reads the function's environment, and importing this module does not."""
    return Logger(child=True)


def carry_out(
    kind: str,
    request: Mapping[str, Any],
    work: Callable[[Run], dict[str, Any]],
    invocation: Invocation,
    *,
    once: bool,
) -> dict[str, Any]:
    """Have the work of a request by hand done, or answer what is known of the run that does it or has done it.

    `request` is what the person sent, in the form in which it can be sent again. `once`:
    see `lifeboat.by_hand.plan.decide`.
    Raises BadRequest when the work does. Where Lambda takes nothing over, the work is done here, and what it raises is
    raised; then the same request carries the same run out again.
    """
    key = key_of(kind, request)
    run, is_ours = _taken(key, invocation, once=once)
    if is_ours and not _hand_over(run, request, invocation):
        here = replace(run, lease=f"{run.lease} itself")
        if write_run(
            invocation.config.table, key, here, run
        ):  # if it has been handed over after all, that one finds it taken
            return _carried_out(here, work, invocation, waited_for=True)
    found = _awaited(key, run, invocation)
    if is_ours and found.id == run.id and found.answer is not None:
        note_heard(invocation.config.table, key, found)
        return dict(found.answer)
    return _told(found, invocation)


def go_on(handed: HandedOver[Any], work: Callable[[Run], dict[str, Any]], invocation: Invocation) -> dict[str, Any]:
    """Do the work of a run that another invocation has handed over, unless that is done or being done.

    Raises what `work` raises, so that Lambda tries again.
    """
    key, lease = key_of_run(handed.run_id), invocation.lease
    while True:
        now = clock.now()
        known = known_run(invocation.config.table, key)
        if known is None or known.id != handed.run_id:
            return outcome_of(handed.run_id, invocation)
        run = take_over(known, handed_by=handed.lease, lease=lease, until=invocation.ends, now=now)
        if run is None:
            return {"request": known.id, "nothing_to_do": True}
        if write_run(invocation.config.table, key, run, known):
            return _carried_out(run, work, invocation)


def outcome_of(run_id: str, invocation: Invocation) -> dict[str, Any]:
    """What is known of a run. Raises BadRequest for one that is not known, or not any more."""
    run = known_run(invocation.config.table, key_of_run(run_id))
    if run is None or run.id != run_id:
        raise BadRequest(f"request is {shown(run_id)}, expected the id that a request got within the last day")
    return _told(run, invocation)


def run_of(kind: str, request: Mapping[str, Any], invocation: Invocation) -> Run:
    """The run that a request belongs to, where whoever carries it out sees to it that it is done once."""
    run, _ = _taken(key_of(kind, request), invocation, once=True)
    return run


def begin_anew(run: Run, invocation: Invocation) -> Run:
    """Another run of the same request, because this one has come to nothing; of two who ask, one and the same."""
    key, now = key_of_run(run.id), clock.now()
    fresh = Run(f"{key}-{now:%Y%m%dT%H%M%SZ}", now, invocation.lease, invocation.ends)
    return (
        fresh
        if write_run(invocation.config.table, key, fresh, run)
        else known_run(invocation.config.table, key) or fresh
    )


def _taken(key: str, invocation: Invocation, *, once: bool) -> tuple[Run, bool]:
    """The run of a request, and whether it is ours to carry out."""
    lease = invocation.lease
    while True:
        now = clock.now()
        known = known_run(invocation.config.table, key)
        run = decide(known, key, lease=lease, until=invocation.ends, now=now, once=once)
        if run == known:
            return run, False
        if write_run(invocation.config.table, key, run, known):
            return run, True


def _hand_over(run: Run, request: Mapping[str, Any], invocation: Invocation) -> bool:
    """Whether another invocation will carry the run out, which it takes from who has the lease and from nobody else."""
    if not invocation.function_arn:
        return False
    handed = {"carry_out": run.id, "lease": run.lease, "ask": request}
    try:
        functions.invoke_later(invocation.function_arn, handed)
    except AwsError as problem:
        _logger().warning("not handed over", extra={"run": run.id, "problem": str(problem)})
        return False
    return True


def _carried_out(
    run: Run, work: Callable[[Run], dict[str, Any]], invocation: Invocation, *, waited_for: bool = False
) -> dict[str, Any]:
    """Do the work and note what comes of it; `waited_for`: a client waits for what this invocation answers."""
    key = key_of_run(run.id)
    begun = clock.now()
    try:
        answer = {**work(run), "request": run.id}
    except BadRequest as refusal:
        write_run(invocation.config.table, key, replace(run, refused=str(refusal)), run)
        raise
    except Exception as problem:
        write_run(invocation.config.table, key, replace(run, failed=str(problem) or type(problem).__name__), run)
        raise
    now = clock.now()
    heard = waited_for and now - begun <= DELIVERED
    write_run(invocation.config.table, key, replace(run, done_at=now, answer=answer, heard=heard), run)
    return answer


def _awaited(key: str, run: Run, invocation: Invocation) -> Run:
    """The run once it is done, or as it stands after some seconds."""
    for pause in (0.0, *PAUSES):
        if pause:
            clock.wait(pause)
        run = known_run(invocation.config.table, key) or run
        if not is_under_way(run, clock.now()):
            break
    return run


def _told(run: Run, invocation: Invocation) -> dict[str, Any]:
    ask = f'{{"request": "{run.id}"}}'
    if run.refused:
        raise BadRequest(run.refused)
    if run.done_at is not None and run.answer is not None:
        if not run.heard:
            note_heard(invocation.config.table, key_of_run(run.id), run)
        note = f"This is what came of the same request of {iso(run.asked_at)}; to have it done anew, add a request_id."
        return {**run.answer, "asked_at": iso(run.asked_at), "next": note}
    known = {"request": run.id, "asked_at": iso(run.asked_at)}
    if is_under_way(run, clock.now()):
        return {**known, "under_way": True, "next": f"It is being carried out; ask for its outcome with {ask}."}
    again = f"Lambda may try it again within minutes: ask for its outcome with {ask}. To have it go on at once, ask "
    return {**known, "failed": run.failed or "it was cut off", "next": f"{again}with the same words."}
