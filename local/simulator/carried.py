"""What must never be where recovery points are carried to: another region, a vault account.

What a copy is of is taken from the call that made it, and what became of it from EC2's own state.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.emulator.clock import CLOCK
from local.emulator.ec2.model import WORLD, Request
from local.emulator.scope import Scope
from local.simulator import stage
from local.simulator.misfortune import function_of

if TYPE_CHECKING:
    from local.simulator.judge import Point
    from local.simulator.people import People

HOUR = 3600.0
SEEN_AFTER = 5 * HOUR
"""What was published good so long ago has been seen where it is to be carried to, when all is calm: few reconcile
runs come."""
ALIVE = ("pending", "completed")
NEVER_DELETED = ("lifeboat:hold", "lifeboat:shared")


@dataclass(frozen=True)
class Copy:
    """A copy that one of our functions has begun: of what, and the set that it belongs to."""

    source: str
    set_id: str
    by: str


class Carried:
    """The rules about copies, and what they have to know."""

    def __init__(self, people: People, points: Mapping[str, Point], must_not: Callable[[str, str], None]) -> None:
        self._people = people
        self._points = points
        self._must_not = must_not
        self._copies: dict[Scope, dict[str, Copy]] = defaultdict(dict)
        self._published: dict[tuple[Scope, str], list[dict[str, Any]]] = defaultdict(list)
        """What was published about a recovery point and a place."""

    @property
    def number(self) -> int:
        """How many copies were begun."""
        return sum(len(made) for made in self._copies.values())

    def _state(self, place: Scope, copy_id: str) -> str:
        found = WORLD.region(place.region).snapshots.get(copy_id)
        return found.state if found else "gone"

    def is_good(self, place: Scope, point: Point, *, without: str = "") -> bool:
        """Whether all of a recovery point is there, copied in one set and completed; also without one snapshot."""
        sets: dict[str, set[str]] = defaultdict(set)
        for copy_id, copy in self._copies[place].items():
            if copy_id != without and self._state(place, copy_id) == "completed":
                sets[copy.set_id].add(copy.source)
        return any(set(point.snapshots.values()) <= sources for sources in sets.values())

    def made(self, request: Request, answer: Mapping[str, Any]) -> None:
        """CopySnapshot was carried out for one of our functions."""
        if answer.get("DryRun") or "SnapshotId" not in answer:
            return
        tags = {tag["Key"]: tag["Value"] for tag in answer["Tags"]}
        copy = Copy(request.parameters["SourceSnapshotId"], tags.get("lifeboat:set", ""), function_of(request.caller))
        there = self._copies[request.scope]
        twins = [
            name
            for name, other in there.items()
            if other == copy and copy.by == "CopySnapshots" and self._state(request.scope, name) in ALIVE
        ]
        if twins:
            self._must_not(
                "at most one copy of a snapshot in a place",
                f"{answer['SnapshotId']} is one of {copy.source} in {_name(request.scope)}, as {twins} is",
            )
        there[answer["SnapshotId"]] = copy

    def delete(self, request: Request) -> None:
        """One of our functions deletes a snapshot in a place that is not home."""
        place, snapshot_id = request.scope, request.parameters["SnapshotId"]
        snapshot = WORLD.region(place.region).snapshots.get(snapshot_id)
        if snapshot is None:
            return
        kept = [key for key in NEVER_DELETED if key in snapshot.tags]
        if kept or snapshot.tags.get("lifeboat:stack") != stage.STACK_NAME or snapshot.owner != place.account:
            self._must_not(
                "nothing held, locked, foreign or in use is deleted",
                f"{snapshot_id} in {_name(place)}, which is not ours or carries {kept}, was deleted",
            )
        for point in self._of_copy(place, snapshot_id):
            # A copy that belongs to no whole set, or to one of two, leaves its recovery point as good as it was.
            if self.is_good(place, point) and not self.is_good(place, point, without=snapshot_id):
                self._floor(place, point, snapshot_id)

    def _of_copy(self, place: Scope, copy_id: str) -> Iterator[Point]:
        copy = self._copies[place].get(copy_id)
        return (point for point in self._points.values() if copy and copy.source in point.snapshots.values())

    def _floor(self, place: Scope, point: Point, snapshot_id: str) -> None:
        floor = int(self._people.parameters_of[place]["MinimumKept"])
        for lineage in sorted(set(point.lineages.values())):
            others = [p for p in self._points.values() if p is not point and lineage in p.lineages.values()]
            left = [p for p in others if self.is_good(place, p)]
            if len(left) < floor and not self._people.touched_since(CLOCK.now() - HOUR, place):
                self._must_not(
                    "never fewer good ones in a lineage than the floor",
                    f"{snapshot_id} in {_name(place)} was deleted, and of {lineage} {len(left)} good ones are left "
                    f"there; the floor is {floor}",
                )

    def published(self, account: str, message: Mapping[str, Any]) -> None:
        """A message was published on the topic of a stack of this account."""
        subject = message.get("subject", {})
        event = message.get("event")
        if event not in ("SnapshotsCopied", "CopyFailed", "SharingFailed"):
            return
        point_id = subject["recovery_point"].removesuffix(f"-{stage.HOME_ACCOUNT}")
        in_vault = account == stage.VAULT.account or event == "SharingFailed"
        place = stage.VAULT if in_vault else Scope(stage.HOME_ACCOUNT, subject["region"])
        before = [item["event"] for item in self._published[place, point_id]]
        self._published[place, point_id].append(dict(message))
        point = self._points.get(point_id)
        if event != "SnapshotsCopied" or point is None or event in before:
            return
        if not self.is_good(place, point) and not self._people.touched_since(point.taken_at, place):
            self._must_not(
                "what is published is true",
                f"{point_id} is published as copied to {_name(place)}, where it is not whole",
            )

    def at_the_end(self, is_good_at_home: Callable[[Point], bool], completed: Mapping[str, float | None]) -> None:
        """All has been calm for long: what is good at home is where it is to be, or it was published that it is not."""
        for place in self._people.parameters_of:
            if place == stage.HOME:
                continue
            firsts = self._firsts(place)
            for point in self._points.values():
                completed_at = completed.get(point.id)
                if completed_at is None or CLOCK.now() - completed_at < SEEN_AFTER or not is_good_at_home(point):
                    continue
                if self._people.touched_since(0, point.id, *point.snapshots.values()):
                    continue
                earlier = all(point.taken_at < firsts.get(lineage, 0.0) for lineage in point.lineages.values())
                if not (earlier or self.is_good(place, point) or self._published[place, point.id]):
                    self._must_not(
                        "copies and vault never fall behind without a message",
                        f"{point.id} is good since {(CLOCK.now() - completed_at) / HOUR:.1f} h and not in "
                        f"{_name(place)}, and nothing was published",
                    )

    def _firsts(self, place: Scope) -> dict[str, float]:
        """By lineage, when the first recovery point was taken of which anything was copied there.

        What is older than that need not be copied, unless CopyExisting says so.
        """
        sources = {copy.source for copy in self._copies[place].values()}
        firsts: dict[str, float] = {}
        for point in self._points.values():
            if sources.intersection(point.snapshots.values()):
                for lineage in point.lineages.values():
                    firsts[lineage] = min(point.taken_at, firsts.get(lineage, point.taken_at))
        return firsts

    def to_restore(self, place: Scope) -> list[Point]:
        """The recovery points that are whole there."""
        return [point for point in self._points.values() if self.is_good(place, point)]


def _name(place: Scope) -> str:
    return "the vault" if place == stage.VAULT else place.region
