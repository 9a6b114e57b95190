"""What the judge says when a copy is deleted, by name. `test_copies.py` runs it in the local AWS's own environment."""

from local.emulator.ec2.model import WORLD, Request, Snapshot
from local.simulator import plan, stage
from local.simulator.carried import Carried
from local.simulator.judge import Point
from local.simulator.people import People

OURS = {"lifeboat:stack": stage.STACK_NAME}
CASES = {
    "the only whole set loses a copy": ({"a": "1", "b": "1"}, "a"),
    "one of two whole sets loses a copy": ({"a": "1", "b": "1", "a twin": "2", "b twin": "2"}, "a"),
    "a set that is not whole loses its copy": ({"a": "1", "b": "1", "a twin": "2"}, "a twin"),
}
"""The copies of snapshots `a` and `b` with their sets, and the one that is deleted."""


def violations(copies: dict[str, str], deleted: str) -> list[str]:
    """The rules that the judge says are broken."""
    people = People(plan.draw(1), print)
    people.parameters_of[stage.AWAY] = {"MinimumKept": "1"}
    point = Point("rp", "i", "slot", 0.0, frozenset({"va", "vb"}), snapshots={"va": "a", "vb": "b"})
    point.lineages = {"a": "va", "b": "vb"}
    broken: list[str] = []
    carried = Carried(people, {point.id: point}, lambda rule, _sentence: broken.append(rule))
    there = WORLD.region(stage.AWAY.region).snapshots
    there.clear()
    for name, set_id in copies.items():
        tags = {**OURS, "lifeboat:set": set_id}
        copy = Snapshot(stage.HOME_ACCOUNT, tags, snapshot_id=f"copy of {name}", state="completed")
        there[copy.snapshot_id] = copy
        asked = Request(stage.AWAY, "CopySnapshot", {"SourceSnapshotId": name[0]}, "request", "role/lifeboat-Copy-1")
        tagged = [{"Key": key, "Value": value} for key, value in tags.items()]
        carried.made(asked, {"SnapshotId": copy.snapshot_id, "Tags": tagged})
    carried.delete(
        Request(stage.AWAY, "DeleteSnapshot", {"SnapshotId": f"copy of {deleted}"}, "request", "role/lifeboat-P")
    )
    return sorted(set(broken))


if __name__ == "__main__":
    for name, (copies, deleted) in CASES.items():
        print(f"{name}: {violations(copies, deleted)}")
