"""The model check: walks every state that a restore and its instance can reach.

A state is the record as it would be in the table, and the world as EC2 has it: the instance's power, where each
displaced and restored volume is, the flags and tags on them. Time is three ages: just now, some minutes ago (longer
than every pause, shorter than every deadline), and too long ago. A move is one of

* the restore's own: what `next_step` decides is carried out, or refused for good, or refused for now, or throttled, or
  done and answered with an error, or not done because the invocation was killed after the record was saved;
* EC2's: a volume becomes available or fails, an attachment or the power gets where it was going, a start falls back;
* time's: some minutes pass, a deadline passes;
* a person's: cancel; and, in a walk of its own, everything that a person should not do during a restore.

A walk meets the same record, world and observation many times, so each is computed once. Equal records are one object
(`Record`), and what follows from a part of a state is cached. Where only a number of moves may go wrong, a state is
walked once, after the fewest: what may follow after more may follow then, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from itertools import pairwise

import pytest

from lifeboat.domain.ec2_calls import CopySnapshot, CreateVolume, Refused, Unknown
from lifeboat.restore.decision import Action, Complete, Requeue
from lifeboat.restore.machine.graph import WAYS
from lifeboat.restore.machine.refused import after_copy_begun, after_failure
from lifeboat.restore.machine.transitions import cancel, next_step
from lifeboat.restore.record import Direction, Restore, RestoreState, RestoreStep, RestoreVolume
from tests.restore.machine_world import (
    AGES,
    ATTACHED,
    NOW,
    Impossible,
    Record,
    Scenario,
    State,
    World,
    all_of,
    both_attached,
    carried_out,
    first,
    observed,
    progress,
    put,
    recorded,
    started,
    there,
    visible,
)


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What `next_step` decides, and the action in words: equal words mean equal actions."""

    action: Action
    record: Record
    words: str

    @property
    def waits(self) -> bool:
        return isinstance(self.action, Requeue)

    @property
    def changes(self) -> bool:
        return not isinstance(self.action, Requeue | Complete)


# --- what may go wrong, and what time changes


@all_of
def mishaps(world: World) -> Iterator[World]:
    """What EC2 may do instead."""
    for number, pair in enumerate(world.pairs):
        if pair.restored == "creating":
            yield put(world, number, restored="error")
        if pair.copy == "pending":
            yield put(world, number, copy="error")
            yield put(world, number, copy="gone")
    if world.power == "pending":  # a key that may not be used
        yield world._replace(power="stopped")
    if world.power == "running":
        yield world._replace(power="stopping")  # the machine shuts itself down
        if world.checks == "initializing":
            yield world._replace(checks="impaired")


@all_of
def meddling(world: World, noted: tuple[bool, ...]) -> Iterator[World]:  # noqa: C901 - one case for each thing people do
    """What people do at the wrong moment; noted: whose restored volumes the record names."""
    if world.power == "running":
        yield world._replace(power="shutting-down")
        yield world._replace(power="stopping", asleep=True)
    if world.power == "stopped":
        yield world._replace(power="shutting-down")
        yield started(world)
    for number, pair in enumerate(world.pairs):
        for which in ("restored", "displaced"):
            now = there(pair, which)
            unnoted = which == "restored" and not noted[number]
            other = pair.displaced if which == "restored" else pair.restored
            if now == "here" and world.power == "stopped":
                yield put(world, number, **{which: "leaving"})
            if now == "free" and not unnoted:
                yield put(world, number, **{which: "gone"})
            if now == "free":
                yield put(world, number, **{which: "away"})
                if world.power == "stopped" and other not in ATTACHED:
                    yield put(world, number, **{which: "astray"})
                if world.power == "stopped" and other == "here":  # both at once, by a person's hand
                    yield put(world, number, **{which: "astray"})
            if now == "away":
                yield put(world, number, **{which: "free"})


@cache
def aged(record: Record, age: int) -> Record:
    restore = record.restore
    at = AGES[age]

    def older(moment: datetime | None) -> datetime | None:
        return moment and min(moment, at)

    def older_volume(volume: RestoreVolume) -> RestoreVolume:
        fetch = volume.fetch
        if fetch and older(fetch.not_before) != fetch.not_before:
            fetch = replace(fetch, asked_at=older(fetch.asked_at), not_before=older(fetch.not_before))
            volume = replace(volume, fetch=fetch)
        at = older(volume.asked_at)
        return volume if at == volume.asked_at else replace(volume, asked_at=at)

    volumes = tuple(map(older_volume, restore.volumes))
    since = min(restore.step_since, at)
    return recorded(replace(restore, volumes=volumes, step_since=since, asked_at=older(restore.asked_at)))


@cache
def shown(world: World) -> World:
    """The world some minutes later: whatever was made is seen."""
    for number, pair in enumerate(world.pairs):
        if pair.restored == "hidden":
            world = put(world, number, restored="creating")
        if pair.copy == "hidden":
            world = put(world, number, copy="pending")
    return world


def pass_time(state: State, age: int) -> State:
    return State(aged(state.record, age), shown(state.world))


# --- the walk


def decide(state: State) -> Decision:
    return decided(state.record, visible(state.world))


@cache
def decided(record: Record, observations: World) -> Decision:
    step = next_step(record.restore, observed(observations), NOW)
    after = record if step.restore is record.restore else recorded(step.restore)
    return Decision(step.action, after, "" if isinstance(step.action, Requeue) else repr(step.action))


FAILED: dict[tuple[Record, str, Refused | Unknown], Record] = {}
COPYING: dict[tuple[Record, str], Record] = {}


def failed(record: Record, decision: Decision, refusal: Refused | Unknown) -> Record:
    key = (record, decision.words, refusal)
    if key not in FAILED:
        FAILED[key] = recorded(after_failure(record.restore, decision.action, refusal, NOW))
    return FAILED[key]


def copying(decision: Decision) -> Record:
    key, action = (decision.record, decision.words), decision.action
    if key not in COPYING:
        copy_id = action.snapshot_id.replace("snap", "copy")
        COPYING[key] = recorded(after_copy_begun(decision.record.restore, action, copy_id))
    return COPYING[key]


@cache
def cancelled(record: Record) -> Record:
    return recorded(cancel(record.restore, NOW))


def act(state: State, decision: Decision) -> State:
    """The action as it should go."""
    assert decision.changes
    try:
        world = carried_out(state.world, decision.action)
    except Impossible:
        assert state.world.meddled
        return State(failed(decision.record, decision, NOT_NOW), state.world)
    return State(copying(decision) if isinstance(decision.action, CopySnapshot) else decision.record, world)


NOT_NOW = Refused("IncorrectState")
FOR_GOOD = Refused("SomethingElse")
REFUSALS = (NOT_NOW, FOR_GOOD, Refused("InsufficientInstanceCapacity"))
UNANSWERED = Unknown("timed out")


def faults(state: State, decision: Decision) -> Iterator[State]:
    """The action in every way that it may go wrong."""
    action, world, record = decision.action, state.world, decision.record
    yield State(record, world)  # killed before it, or throttled
    for refusal in REFUSALS:
        yield State(failed(record, decision, refusal), world)
    done = act(state, decision)
    if isinstance(action, CopySnapshot):
        number = int(action.snapshot_id[-1])
        yield State(done.record, put(done.world, number, copy="hidden"))  # done, and not shown yet
        done = State(record, done.world)
        yield State(record, put(done.world, number, copy="hidden"))  # done, not answered, and not shown yet
    yield State(failed(done.record, decision, UNANSWERED), done.world)
    yield State(failed(done.record, decision, FOR_GOOD), done.world)  # done, and answered with an error
    if isinstance(action, CreateVolume) and world != done.world:
        number = int(action.snapshot_id[-1])
        yield State(done.record, put(done.world, number, restored="hidden"))  # done, and not shown yet


def moves(state: State, decision: Decision) -> Iterator[State]:
    """What comes next as long as nothing goes wrong."""
    record, world = state
    if decision.changes:
        yield act(state, decision)
    elif not decision.waits or decision.record is not record:
        yield State(decision.record, world)
    if record.restore.closed:
        return
    for next_world in progress(world):
        yield State(record, next_world)
    for age in (1, 2):
        yield pass_time(state, age)


def wrongs(state: State, decision: Decision) -> Iterator[State]:
    """What comes next when something goes wrong."""
    record, world = state
    if decision.changes:
        yield from faults(state, decision)
    for next_world in mishaps(world):
        yield State(record, next_world)
    if record.restore.direction is Direction.FORWARD:
        yield State(cancelled(record), world)


def interference(state: State) -> Iterator[State]:
    """What comes next when a person meddles."""
    noted = tuple(volume.restored_volume_id is not None for volume in state.record.restore.volumes)
    for world in meddling(state.world, noted):
        yield State(state.record, world._replace(meddled=True))


def benign(state: State, decision: Decision) -> State:
    """How it goes on when nothing goes wrong any more."""
    record, world = state
    if decision.changes:
        return act(state, decision)
    if not decision.waits or decision.record is not record:
        return State(decision.record, world)
    for next_world in progress(world):
        return State(record, next_world)
    if world.asleep and record.restore.status is RestoreState.FAILED:  # the person does what the message says
        return State(record, started(world))
    later = pass_time(state, 1)
    return later if later != state else pass_time(state, 2)


def stuck(state: State, decision: Decision) -> State:
    """How it goes on when EC2 carries nothing out any more and only time passes."""
    if isinstance(decision.action, Complete) or decision.record is not state.record:
        return State(decision.record, state.world)
    return pass_time(state, 2)


def check(state: State, decision: Decision) -> None:
    """What must hold everywhere."""
    restore, world = state.record.restore, state.world
    if not world.meddled:
        assert not any(both_attached(pair) for pair in world.pairs), "both attached"
        assert all(pair.displaced in {"here", "free", "arriving", "leaving"} for pair in world.pairs)
    if isinstance(decision.action, CopySnapshot):
        number = int(decision.action.snapshot_id[-1])
        fetch = restore.volumes[number].fetch
        # Another one's may have failed before this restore has asked; of its own it knows.
        assert world.pairs[number].copy != "error" or (fetch and fetch.asked_at is None), "copied again"
    if restore.step is RestoreStep.COPIES:
        assert all(pair.restored == "none" for pair in world.pairs), "made before its copy was here"
    for pair in world.pairs:
        assert restore.started_on_restored or not pair.ran or world.meddled
    if not restore.touched and not world.meddled:
        assert all(pair.displaced == "here" and not pair.tagged for pair in world.pairs), (
            "touched before the record says so"
        )
    if isinstance(decision.action, Complete) and not world.meddled:
        check_end(restore, decision, world)


def check_end(before: Restore, decision: Decision, world: World) -> None:
    restore, action = decision.record.restore, decision.action
    assert isinstance(action, Complete)
    kept = {item.volume_id for item in restore.kept}
    for number, pair in enumerate(world.pairs):
        flag = restore.volumes[number].displaced_delete_on_termination
        if action.outcome is RestoreState.COMPLETED:
            assert (pair.displaced, pair.restored, pair.restored_flag) == ("free", "here", flag)
            assert pair.tagged
        elif action.outcome is RestoreState.ROLLED_BACK:
            assert (pair.displaced, pair.displaced_flag) == ("here", flag)
            assert not pair.tagged or restore.tags_left
            assert pair.restored == "none" or f"vol-restored-{number}" in kept
        else:
            assert restore.blocked
            assert not action.closes
    if action.outcome is RestoreState.COMPLETED and restore.shall_run:
        assert world.power == "running"
        assert world.checks == "ok"
    if action.outcome is RestoreState.ROLLED_BACK and restore.touched and restore.was_running:
        # Seen running until the clean-up began; what it does of itself then is no longer ours.
        assert before.step is RestoreStep.CLEAN_UP or (before.step, world.power) == (RestoreStep.VERIFY, "running")
    if action.outcome is RestoreState.ROLLED_BACK and restore.touched and not restore.was_running:
        assert world.power == "stopped"


SCENARIOS = (
    Scenario("one volume, running"),
    Scenario("one volume, stopped", power="stopped"),
    Scenario("one volume, stopped, to be started", power="stopped", start=True),
    Scenario("one volume, running, to be left stopped", start=False),
    Scenario("two volumes, running, two faults", volumes=2, faults=2),
    Scenario("two volumes, stopped, to be started, two faults", volumes=2, power="stopped", start=True, faults=2),
    Scenario("one volume, running, two faults or people meddling", faults=2, people=2),
    Scenario(
        "one volume, stopped, to be started, a fault or people meddling",
        faults=1,
        people=1,
        power="stopped",
        start=True,
    ),
    Scenario("one volume of a copy, stopped", power="stopped", copy="none"),
    Scenario("two volumes of copies, stopped, two faults", volumes=2, power="stopped", copy="none", faults=2),
    Scenario("two volumes of copies that others make, stopped, a fault", 2, "stopped", copy="pending", faults=1),
)


@dataclass
class Walk:
    states: dict[State, Decision]
    edges: set[tuple[object, object]]
    moves: int = 0
    outcomes: Counter[RestoreState] = field(default_factory=Counter)

    def visit(self, state: State) -> Decision:
        decision = decide(state)
        check(state, decision)
        self.states[state] = decision
        if isinstance(decision.action, Complete):
            self.outcomes[decision.action.outcome] += 1
        return decision

    def go(self, state: State, decision: Decision, after: State, onto: list[State]) -> None:
        self.moves += 1
        if after.record is not state.record and not after.world.meddled:
            self.edges.update(ways(state, decision, after))
        if after not in self.states:
            onto.append(after)


def walk(scenario: Scenario) -> Walk:
    """Every state, each with the fewest moves gone wrong: first all that none leads to, then all that one does."""
    found = Walk({}, set())
    at_hand, later, wrong = [first(scenario)], [], 0
    while at_hand:
        state = at_hand.pop()
        if state not in found.states:
            decision = found.visit(state)
            for after in moves(state, decision):
                found.go(state, decision, after, at_hand)
            if not state.record.restore.closed:
                if scenario.faults is None or wrong < scenario.faults:
                    for after in wrongs(state, decision):
                        found.go(state, decision, after, at_hand if scenario.faults is None else later)
                if wrong < scenario.people:
                    for after in interference(state):
                        found.go(state, decision, after, later)
        if not at_hand:
            at_hand, later, wrong = later, [], wrong + 1
    return found


def ways(state: State, decision: Decision, after: State) -> Iterator[tuple[object, object]]:
    """The steps gone through between two records: what was decided, then what a failure or a person made of it."""
    way = [state.record.node, decision.record.node, after.record.node]
    if decision.waits or after.record.restore.step is state.record.restore.step:
        way.pop(1)
    return ((here, there) for here, there in pairwise(way) if here != there)


def ends(state: State) -> bool:
    return state.record.restore.closed or state.record.restore.status is RestoreState.FAILED


def all_end(found: Walk, policy: Callable[[State, Decision], State], has_ended: Callable[[State], bool]) -> None:
    """Follow one way of going on from every state: each must end, and none may run in a circle."""
    safe: set[State] = set()
    for state in found.states:
        path: list[State] = []
        on_path: set[State] = set()
        here = state
        while here not in safe and not has_ended(here):
            assert here not in on_path, f"runs in a circle: {here}"
            path.append(here)
            on_path.add(here)
            here = policy(here, found.states.get(here) or decide(here))
        safe.update(path)


WRITTEN = {(here, there) for here, ways in WAYS.items() for there in ways}


EDGES: dict[Scenario, set[tuple[object, object]]] = {}
"""What has been walked already, for the last test: a walk takes its time."""


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_path_is_safe_and_ends(scenario: Scenario, show_figure: Callable[[str], None]) -> None:
    found = walk(scenario)
    EDGES[scenario] = found.edges
    assert scenario.people or found.edges <= WRITTEN
    outcomes = ", ".join(f"{number} {outcome}" for outcome, number in sorted(found.outcomes.items()))
    show_figure(f"restore, {scenario.name}: {len(found.states)} states, {found.moves} moves; ends: {outcomes}")
    all_end(found, benign, ends)
    all_end(found, stuck, ends)


def test_the_ways_in_the_documents_are_the_ways_that_are_walked() -> None:
    # These walk them all; the others are checked to walk no other.
    these = [SCENARIOS[number] for number in (0, 2, 8)]
    walked = {way for scenario in these for way in EDGES.get(scenario) or walk(scenario).edges}
    assert walked == WRITTEN
