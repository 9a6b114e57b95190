"""What the judge says of marks, suspicions and drills. `test_proofs.py` runs it in the local AWS's own environment."""

from collections.abc import Callable
from typing import Any

from local.emulator.calls import Call
from local.emulator.clock import CLOCK
from local.emulator.ec2.blocks import Block
from local.emulator.ec2.model import WORLD, Request, Snapshot, Volume
from local.simulator import contents, plan, stage
from local.simulator.judge import Judge, Point
from local.simulator.people import People

STACK = {"lifeboat:stack": stage.STACK_NAME}
READER, DRILLS, PRUNER = "VerifySnapshotsFunction", "DrillRestoresFunction", "PruneSnapshotsFunction"


class World:
    """A recovery point of one volume that has a file system, an older one, and a judge."""

    def __init__(self) -> None:
        CLOCK.simulate("2031-03-03T00:00:00+00:00")
        people = People(plan.draw(1), lambda _text: None)
        people.outputs = {"StateTableName": "none"}
        people.parameters.update(MinimumKept="1", GraceHours="0")
        self.judge = Judge(people, lambda _text: None)
        region = WORLD.region(stage.REGION)
        region.snapshots.clear()
        self.volume = Volume(stage.HOME_ACCOUNT, volume_id="vol-1", size=4)
        contents.format_volume(self.volume)
        for number, name in enumerate(("old", "new")):
            tags = {**STACK, "lifeboat:recovery-point": name}
            held = dict(self.volume.blocks)
            region.snapshots[f"snap-{number}"] = Snapshot(
                stage.HOME_ACCOUNT, tags, snapshot_id=f"snap-{number}", state="completed", blocks=held
            )
            point = Point(
                name, "i-1", name, CLOCK.now() + number, frozenset({"vol-1"}), snapshots={"vol-1": f"snap-{number}"}
            )
            point.lineages = {f"snap-{number}": "vol-1"}
            self.judge.points[name] = point
        self.old, self.new = region.snapshots["snap-0"], region.snapshots["snap-1"]

    def call(self, function: str, action: str, **parameters: Any) -> None:
        """A function changes something in EC2."""
        caller = f"arn:aws:sts::{stage.HOME_ACCOUNT}:assumed-role/lifeboat-{function}Role-1/x" if function else "root"
        request = Request(stage.HOME, action, parameters, "request", caller)
        self.judge.before(request)
        if action == "CreateTags":
            self.new.tags.update({tag["Key"]: tag["Value"] for tag in parameters["Tags"]})
        self.judge.after(request, {})

    def tag(self, function: str, key: str, value: str) -> None:
        """A tag is written on the newer snapshot."""
        self.call(function, "CreateTags", Resources=["snap-1"], Tags=[{"Key": key, "Value": value}])

    def read(self, error: str | None = None) -> None:
        """The newer snapshot's list and first block are read."""
        self.answer("ListSnapshotBlocks", "snap-1/blocks", error)
        self.answer("GetSnapshotBlock", "snap-1/blocks/0", error)

    def answer(self, action: str, path: str, error: str | None = None) -> None:
        """A read of a snapshot is answered."""
        caller = f"role/lifeboat-{READER}Role-1"
        call = Call(1, CLOCK.now(), "ebs", action, "", "", caller, 200, error, f"/snapshots/{path} {{}}", 0.0)
        self.judge.proofs.answered(call, b"")

    def suspect(self) -> None:
        """A person tags the newer snapshot as suspect, long ago."""
        self.tag("", "lifeboat:suspect", "state=open")
        CLOCK.simulate("2031-03-03T02:00:00+00:00")


FULLY = ("lifeboat:verified", "result=proven level=full")
PROVEN, FAILED = ("lifeboat:verified", "result=proven level=read"), ("lifeboat:verified", "result=failed level=read")


def _read_and_marked(world: World) -> None:
    world.read()
    world.tag(READER, *PROVEN)


def _damaged_and_marked(world: World) -> None:
    contents.damage_header(world.new.blocks, 0.5)
    CLOCK.simulate("2031-03-03T00:00:01+00:00")
    _read_and_marked(world)


def _refused_and_marked(world: World) -> None:
    world.read("AccessDeniedException")
    world.tag(READER, *FAILED)


def _read_of_the_older_one(world: World) -> None:
    world.old.blocks[70] = world.new.blocks[70] = Block.written(b"data")
    world.answer("GetSnapshotBlock", "snap-0/blocks/70")
    world.read()
    world.tag(READER, *FULLY)


def _written_since(world: World) -> None:
    world.old.blocks[70], world.new.blocks[70] = Block.written(b"data"), Block.written(b"data")
    world.answer("GetSnapshotBlock", "snap-0/blocks/70")
    world.read()
    world.tag(READER, *FULLY)


def _suspect_and_pruned(world: World) -> None:
    world.suspect()
    world.call(PRUNER, "DeleteSnapshot", SnapshotId="snap-0")


def _closed_and_pruned(world: World) -> None:
    world.suspect()
    world.tag("", "lifeboat:suspect", "state=closed")
    world.call(PRUNER, "DeleteSnapshot", SnapshotId="snap-0")


def _proven_and_pruned(world: World) -> None:
    _read_and_marked(world)
    world.call(PRUNER, "DeleteSnapshot", SnapshotId="snap-1")


def _restored_and_failed(world: World, source_held: bool) -> None:
    """The newer snapshot is the first one of a restored volume, and shows no file system."""
    if not source_held:
        del world.old.blocks[contents.HEADER]
    world.old.tags["lifeboat:verified"] = "result=proven"
    del world.new.blocks[contents.HEADER]
    world.new.volume_id = "vol-2"
    restored = Volume(stage.HOME_ACCOUNT, volume_id="vol-2", snapshot_id="snap-0")
    WORLD.region(stage.REGION).volumes["vol-2"] = restored
    world.tag(READER, *FAILED)


UNEQUAL = ("lifeboat:verified", "result=failed level=full unequal=yes")
NOT_COMPARED = {
    "event": "CopyNotCompared",
    "subject": {"recovery_point": "new"},
    "details": {"not_compared": [{"snapshot_id": "snap-1", "reason": "AWS refused"}]},
}


def _is_a_copy(world: World) -> None:
    """The newer snapshot is a copy of the older one, and was read."""
    world.new.tags["lifeboat:copy-of"] = "snap-0"
    world.read()


def _differs_and_marked(world: World) -> None:
    _is_a_copy(world)
    world.new.blocks[70] = Block.written(b"other data")
    world.tag(READER, *UNEQUAL)


def _equal_and_marked(world: World) -> None:
    _is_a_copy(world)
    world.tag(READER, *UNEQUAL)


def _unequal_and_proven(world: World) -> None:
    _differs_and_marked(world)
    world.answer("GetSnapshotBlock", "snap-1/blocks/70")
    world.tag(READER, *FULLY)


def _not_compared(world: World) -> None:
    _is_a_copy(world)
    world.judge.proofs.published(stage.VAULT, NOT_COMPARED)


def _refused_and_not_compared(world: World) -> None:
    _is_a_copy(world)
    world.answer("ListSnapshotBlocks", "snap-0/blocks", "AccessDeniedException")
    world.judge.proofs.published(stage.VAULT, NOT_COMPARED)


CASES: dict[str, Callable[[World], None]] = {
    "read and marked proven": _read_and_marked,
    "marked proven unread": lambda world: world.tag(READER, *PROVEN),
    "marked proven with a damaged superblock": _damaged_and_marked,
    "marked proven at full, a block read of the older one alone": _read_of_the_older_one,
    "marked proven at full, a block written since it was read": _written_since,
    "marked failed after a refusal": _refused_and_marked,
    "marked failed without a cause": lambda world: world.tag(READER, *FAILED),
    "marked failed, restored from one with a file system": lambda world: _restored_and_failed(world, True),
    "marked failed, restored from one without a file system": lambda world: _restored_and_failed(world, False),
    "verification writes another tag": lambda world: world.tag(READER, "Name", "x"),
    "verification deletes a snapshot": lambda world: world.call(READER, "DeleteSnapshot", SnapshotId="snap-7"),
    "an older one deleted while a suspicion is open": _suspect_and_pruned,
    "an older one deleted after the suspicion was closed": _closed_and_pruned,
    "the newest proven one deleted": _proven_and_pruned,
    "a copy that differs marked as unequal": _differs_and_marked,
    "a copy with the bytes of its source marked as unequal": _equal_and_marked,
    "an unequal copy marked proven": _unequal_and_proven,
    "not compared without a cause": _not_compared,
    "not compared after a refusal": _refused_and_not_compared,
    "a drill stops an instance": lambda world: world.call(DRILLS, "StopInstances", InstanceIds=["i-1"]),
}

if __name__ == "__main__":
    for name, live in CASES.items():
        world = World()
        live(world)
        rules = {violation.rule for violation in world.judge.violations}
        print(f"{name}: {sorted(rules)}")
