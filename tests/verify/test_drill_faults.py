"""A drill ends and leaves nothing, whatever EC2 answers, whoever is killed and whenever a restore comes in between."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from lifeboat.domain.ec2 import Volume
from lifeboat.domain.ec2_calls import CreateVolume, DeleteVolume
from lifeboat.restore.machine.deadlines import Deadlines
from lifeboat.verify.drill import Complete, ReadBlocks, Requeue, after_refusal, after_unread, begin, next_step
from lifeboat.verify.drill_record import Drill, DrillState
from tests.builders import DATA
from tests.verify.drills import NOW, SECOND, made, planned, point

ANSWERS = st.sampled_from(["done", "done", "done", "lost", "throttled", "denied", "killed before", "killed after"])
FATES = st.sampled_from(["available", "available", "available", "late", "stuck", "vanishes", "error", "differs"])
READS = st.sampled_from(["done", "done", "not yet", "denied"])
MINUTES = st.sampled_from([1, 5, 5, 30])
STEPS_A_RUN = 20
"""More steps than one invocation ever takes with two volumes: a loop without an end is a fault of the rules."""


@dataclass
class World:
    """EC2 and one drill. `killed`: the invocation ends after this step."""

    drill: Drill
    now: datetime = NOW
    volumes: dict[str, Volume] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)
    shown_from: dict[str, datetime] = field(default_factory=dict)
    most: int = 0
    killed: bool = False

    def observed(self) -> dict[str, Volume]:
        """What EC2 shows: a new volume perhaps only after a minute."""
        return {name: item for name, item in self.volumes.items() if self.now >= self.shown_from.get(name, self.now)}

    def create(self, call: CreateVolume, fate: str) -> str:
        """EC2's code, empty if it made the volume or knows its token."""
        if call.client_token in self.known:
            return "" if self.known[call.client_token] in self.volumes else "IdempotentParameterMismatch"
        self.known[call.client_token] = name = f"vol-{len(self.known)}"
        state = {"stuck": "creating", "error": "error"}.get(fate, "available")
        if fate == "late":
            self.shown_from[name] = self.now + timedelta(minutes=1)
        volume = made(call, id=name, state=state, **({"size": call.size + 1} if fate == "differs" else {}))
        if fate != "vanishes":
            self.volumes[name] = volume
        self.most = max(self.most, len(self.volumes))
        return ""


def answer(world: World, action: CreateVolume | DeleteVolume, how: str, fate: str) -> None:
    code = "RequestLimitExceeded" if how == "throttled" else "UnauthorizedOperation" if how == "denied" else ""
    if how in {"throttled", "denied"}:
        # A deletion that is denied for ever is a test of its own: here the permission comes back.
        passes = how == "throttled"
        world.drill = after_refusal(world.drill, action, code, how, world.now, passes=passes)
        return
    if how == "killed before":
        world.killed = True
        return
    if isinstance(action, CreateVolume):
        code = world.create(action, fate)
    else:
        code = "" if world.volumes.pop(action.volume_id, None) else "InvalidVolume.NotFound"
    if how == "killed after":
        world.killed = True
    elif code or how == "lost":
        world.drill = after_refusal(world.drill, action, code or "Timeout", how, world.now, passes=not code)


def run(world: World, data: st.DataObject, blocked: str) -> bool:
    """One invocation. Whether the drill is complete."""
    world.killed = False
    for _ in range(STEPS_A_RUN):
        step = next_step(world.drill, world.observed(), world.now, Deadlines(), blocked=blocked)
        world.drill = step.drill
        match step.action:
            case Complete():
                return True
            case Requeue():
                return False
            case ReadBlocks(snapshot_ids):
                how = data.draw(READS)
                if how == "done":
                    world.drill = replace(world.drill, read=True)
                    continue
                code = "SNAPSHOT_NOT_FOUND" if how == "not yet" else "AccessDeniedException"
                world.drill = after_unread(world.drill, snapshot_ids[0], code, how, world.now, passes=False)
                if not world.drill.failure:
                    return False
            case CreateVolume() | DeleteVolume():
                answer(world, step.action, data.draw(ANSWERS), data.draw(FATES))
                if world.killed:
                    return False
    raise AssertionError(f"more than {STEPS_A_RUN} steps in one invocation: {world.drill}")


@settings(max_examples=80)
@given(st.data())
def test_a_drill_ends_and_leaves_nothing_whatever_happens(data):
    [drill] = planned(point(DATA, SECOND))
    world = World(begin(drill, NOW))
    for _ in range(400):
        blocked = data.draw(st.sampled_from(["", "", "", "restore-1 is open"])) if world.now < NOW + LONG else ""
        if world.drill.state is DrillState.WAITING and not blocked:
            world.drill = begin(world.drill, world.now)
        if run(world, data, blocked):
            break
        world.now += timedelta(minutes=data.draw(MINUTES))
    else:
        raise AssertionError(f"it does not end: {world.drill}")
    left = [name for name in world.volumes if name not in world.drill.failure]
    assert left == [], "nothing is left that the outcome does not name"
    assert world.most <= 2, "no second volume of a snapshot"
    assert world.drill.failure or world.drill.read, "no drill passes whose snapshots were not read"
    if not world.drill.failure:
        assert world.drill.seconds is not None


LONG = timedelta(hours=6)
"""Restores come only within this time: a drill that always makes room never ends."""
