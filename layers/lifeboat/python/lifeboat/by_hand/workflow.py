"""Requests by hand: an equal request belongs to the same run, and the outcome of a long run is read by its id.

The invocation that the client waits for hands the work over to another invocation of the same function. It answers with
the outcome, or after some seconds with the run's id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from lifeboat.aws import clock, functions
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.by_hand.plan import (
    DELIVERED_WITHIN,
    PAUSES,
    Run,
    decide,
    is_under_way,
    key_of,
    key_of_run,
    new_run,
    take_over,
)
from lifeboat.by_hand.request import HandedOver
from lifeboat.by_hand.store import known_run, note_delivered, write_run
from lifeboat.domain.bad_request import BadRequest, shown
from lifeboat.domain.text import iso


@cache
def _logger() -> Logger:
    """Made at first use, because a logger reads the function's environment."""
    return Logger(child=True)


def carry_out(
    kind: str,
    request: Mapping[str, Any],
    work: Callable[[Run], dict[str, Any]],
    invocation: Invocation,
    *,
    once: bool,
) -> dict[str, Any]:
    """Have the work of a request by hand done. Returns its answer, or the state of the run that does it.

    `request` is the person's request as it can be sent again. `once`: see `lifeboat.by_hand.plan.decide`.

    Raises BadRequest when the work does. If Lambda does not accept the handed-over run, this invocation does the work
    and raises what `work` raises; an equal request then carries the same run out again.
    """
    key = key_of(kind, request)
    run, is_ours = _claim(key, invocation, once=once)
    if is_ours and not _hand_over(run, request, invocation):
        here = replace(run, lease=f"{run.lease} itself")
        # Should Lambda deliver the run all the same, that invocation finds this lease and does nothing.
        if write_run(invocation.config.table, key, here, run):
            return _execute(here, work, invocation, waited_for=True)
    found = _wait_for(key, run, invocation)
    if is_ours and found.id == run.id and found.answer is not None:
        note_delivered(invocation.config.table, key, found)
        return dict(found.answer)
    return _answer_of(found, invocation)


def continue_run(
    handed: HandedOver[Any], work: Callable[[Run], dict[str, Any]], invocation: Invocation
) -> dict[str, Any]:
    """Do the work of a run that another invocation handed over, unless it is done or under way.

    Raises what `work` raises, so that Lambda retries.
    """
    key, lease = key_of_run(handed.run_id), invocation.lease
    while True:
        now = clock.now()
        known = known_run(invocation.config.table, key)
        if known is None or known.id != handed.run_id:
            return read_outcome(handed.run_id, invocation)
        run = take_over(known, handed_by=handed.lease, lease=lease, until=invocation.ends, now=now)
        if run is None:
            return {"request": known.id, "nothing_to_do": True}
        if write_run(invocation.config.table, key, run, known):
            return _execute(run, work, invocation)


def read_outcome(run_id: str, invocation: Invocation) -> dict[str, Any]:
    """The outcome or state of a run. Raises BadRequest if the table does not have the run, or not any more."""
    run = known_run(invocation.config.table, key_of_run(run_id))
    if run is None or run.id != run_id:
        raise BadRequest(f"request is {shown(run_id)}, expected the id of a request within the last day")
    return _answer_of(run, invocation)


def find_or_create_run(kind: str, request: Mapping[str, Any], invocation: Invocation) -> Run:
    """The run that a request belongs to. The caller makes sure that the work is done once."""
    run, _ = _claim(key_of(kind, request), invocation, once=True)
    return run


def replace_run(run: Run, invocation: Invocation) -> Run:
    """A new run of the same request, after this one was rolled back. Two concurrent callers get the same one."""
    key, now = key_of_run(run.id), clock.now()
    fresh = new_run(key, now, lease=invocation.lease, until=invocation.ends)
    if write_run(invocation.config.table, key, fresh, run):
        return fresh
    return known_run(invocation.config.table, key) or fresh


def _claim(key: str, invocation: Invocation, *, once: bool) -> tuple[Run, bool]:
    """The run of a request, and whether this invocation claimed it and carries it out."""
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
    """Hand the run over, with the lease that proves it. Returns whether Lambda accepted the event."""
    if not invocation.function_arn:
        return False
    handed = {"carry_out": run.id, "lease": run.lease, "original_request": request}
    try:
        functions.invoke_later(invocation.function_arn, handed)
    except AwsError as problem:
        _logger().warning("run not handed over", extra={"run": run.id, "problem": str(problem)})
        return False
    return True


def _execute(
    run: Run, work: Callable[[Run], dict[str, Any]], invocation: Invocation, *, waited_for: bool = False
) -> dict[str, Any]:
    """Do the work and record its outcome. `waited_for`: a client waits for this invocation's answer."""
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
    delivered = waited_for and now - begun <= DELIVERED_WITHIN
    write_run(invocation.config.table, key, replace(run, done_at=now, answer=answer, delivered=delivered), run)
    return answer


def _wait_for(key: str, run: Run, invocation: Invocation) -> Run:
    """The run when it is done, or its state after some seconds."""
    for pause in (0.0, *PAUSES):
        if pause:
            clock.wait(pause)
        run = known_run(invocation.config.table, key) or run
        if not is_under_way(run, clock.now()):
            break
    return run


def _answer_of(run: Run, invocation: Invocation) -> dict[str, Any]:
    """The answer to a client: the outcome of the run, or its state. Raises BadRequest if the run was refused."""
    event = f'{{"request": "{run.id}"}}'
    if run.refused:
        raise BadRequest(run.refused)
    if run.done_at is not None and run.answer is not None:
        if not run.delivered:
            note_delivered(invocation.config.table, key_of_run(run.id), run)
        note = f"This is the outcome of an equal request of {iso(run.requested_at)}. To repeat it, add a request_id."
        return {**run.answer, "requested_at": iso(run.requested_at), "next": note}
    known = {"request": run.id, "requested_at": iso(run.requested_at)}
    if is_under_way(run, clock.now()):
        return {**known, "under_way": True, "next": f"The run is under way. To read its outcome, send {event}."}
    retry = f"Lambda may retry within minutes: read the outcome with {event}. To continue now, repeat the request."
    return {**known, "error": run.failed or "it was cut off", "next": retry}
