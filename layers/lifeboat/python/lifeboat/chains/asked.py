"""Requests by hand: the same one asked again is the same run, and what takes longer can be asked for by its id."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from lifeboat.aws import clock
from lifeboat.aws.asked import known_run, write_run
from lifeboat.config import Config
from lifeboat.refusals import BadRequest, shown
from lifeboat.rules.asked import Run, decide, is_under_way, key_of, key_of_run
from lifeboat.rules.catalogue import iso

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

LONGEST = timedelta(minutes=15)
"""How long an invocation lasts at the most, where no context says how long this one does."""


def carry_out(
    kind: str,
    request: Mapping[str, Any],
    work: Callable[[Run], dict[str, Any]],
    config: Config,
    context: LambdaContext | None,
    *,
    once: bool,
) -> dict[str, Any]:
    """Do the work of a request by hand, or answer what is known of the run that does it or has done it.

    `once`: see `rules/asked.decide`. Raises what `work` raises; then the same request carries the same run out again.
    """
    key = key_of(kind, request)
    run, is_ours = _taken(key, config, context, once=once)
    if not is_ours:
        return _told(run, clock.now())
    try:
        answer = {**work(run), "request": run.id}
    except Exception as problem:
        write_run(config.table, key, replace(run, failed=f"{type(problem).__name__}: {problem}"), run)
        raise
    write_run(config.table, key, replace(run, done_at=clock.now(), answer=answer), run)
    return answer


def outcome_of(run_id: str, config: Config) -> dict[str, Any]:
    """What is known of a run. Raises BadRequest for one that is not known, or not any more."""
    run = known_run(config.table, key_of_run(run_id))
    if run is None or run.id != run_id:
        raise BadRequest(f"request is {shown(run_id)}, expected the id that a request got within the last day")
    return _told(run, clock.now())


def run_of(kind: str, request: Mapping[str, Any], config: Config, context: LambdaContext | None) -> Run:
    """The run that a request belongs to, where whoever carries it out sees to it that it is done once."""
    run, _ = _taken(key_of(kind, request), config, context, once=True)
    return run


def begin_anew(run: Run, config: Config, context: LambdaContext | None) -> Run:
    """Another run of the same request, because this one has come to nothing; of two who ask, one and the same."""
    key, now = key_of_run(run.id), clock.now()
    fresh = Run(f"{key}-{now:%Y%m%dT%H%M%SZ}", now, _lease(context), _until(context, now))
    return fresh if write_run(config.table, key, fresh, run) else known_run(config.table, key) or fresh


def _taken(key: str, config: Config, context: LambdaContext | None, *, once: bool) -> tuple[Run, bool]:
    """The run of a request, and whether it is ours to carry out."""
    lease = _lease(context)
    while True:
        now = clock.now()
        known = known_run(config.table, key)
        run = decide(known, key, lease=lease, until=_until(context, now), now=now, once=once)
        if run == known:
            return run, False
        if write_run(config.table, key, run, known):
            return run, True


def _lease(context: LambdaContext | None) -> str:
    return context.aws_request_id if context else str(uuid4())


def _until(context: LambdaContext | None, now: datetime) -> datetime:
    return now + (timedelta(milliseconds=context.get_remaining_time_in_millis()) if context else LONGEST)


def _told(run: Run, now: datetime) -> dict[str, Any]:
    ask = f'{{"request": "{run.id}"}}'
    if run.done_at is not None and run.answer is not None:
        note = f"This is what came of the same request of {iso(run.asked_at)}; to have it done anew, add a request_id."
        return {**run.answer, "asked_at": iso(run.asked_at), "next": note}
    known = {"request": run.id, "asked_at": iso(run.asked_at)}
    if run.failed:
        return {**known, "failed": run.failed, "next": "Ask with the same words to have it go on."}
    if is_under_way(run, now):
        return {**known, "under_way": True, "next": f"It is being carried out; ask for its outcome with {ask}."}
    return {**known, "failed": "it was cut off", "next": "Ask with the same words to have it go on."}
