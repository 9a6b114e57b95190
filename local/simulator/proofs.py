"""What must never be where recovery points are read back, and while a suspicion is open.

That a snapshot was read is taken from the calls that were answered, and what it holds from EC2's own state.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from local.emulator.calls import Call
from local.emulator.clock import CLOCK
from local.emulator.ec2.blocks import Block
from local.emulator.ec2.model import WORLD, Request, Snapshot
from local.emulator.scope import Scope
from local.simulator import stage
from local.simulator.compared import Compared, find_snapshot
from local.simulator.contents import HEADER, find_damage
from local.simulator.misfortune import function_of

if TYPE_CHECKING:
    from local.simulator.judge import Point
    from local.simulator.people import People

HOUR = 3600.0
READER = "VerifySnapshotsFunction"
PROOF, SUSPICION = "lifeboat:verified", "lifeboat:suspect"
READ_WITHIN = 4 * HOUR
"""When all is calm, what is good for so long was read back: what no event announced is found within an hour."""
RACE_SECONDS = 15 * 60.0
"""A deletion may have been decided before a suspicion that is younger than this."""
NAMED = re.compile(r"/snapshots/(snap-[0-9a-f]+)/blocks(?:/(\d+))?")
THROTTLED = ("RequestThrottledException", "ServiceQuotaExceededException", "ThrottlingException")
TRUE = "what is published about proofs is true"


class Proofs:
    """The rules, and what they have to know."""

    def __init__(self, people: People, points: Mapping[str, Point], must_not: Callable[[str, str], None]) -> None:
        self._people = people
        self._points = points
        self._must_not = must_not
        self._listed: set[str] = set()
        self._read: dict[str, dict[int, float]] = defaultdict(dict)
        """When each block of a snapshot was read last."""
        self._known: set[int] = set()
        """The writes of all blocks that were read, of any snapshot."""
        self._refused: dict[str, float] = {}
        """When a read of a snapshot was refused last, for another reason than that there are too many."""
        self._suspected: dict[str, float] = {}
        """Since when a suspicion against a snapshot is open."""
        self._published: dict[str, list[str]] = defaultdict(list)
        self.compared = Compared(people, self._refused, must_not)
        self.marked = 0
        """How many snapshots were marked proven."""

    # --- calls

    def before(self, request: Request) -> None:
        """A function is about to change something: what reads does nothing but record what it has read."""
        if function_of(request.caller) != READER:
            return
        keys = {tag["Key"] for tag in request.parameters.get("Tags", ())}
        named = request.parameters.get("Resources", ())
        only_tags = request.action == "CreateTags" and keys and keys <= {PROOF, SUSPICION}
        if not (only_tags and all(str(item).startswith("snap-") for item in named)):
            self._must_not(
                "verification changes nothing but the tags of the proof and the suspicion",
                f"{request.action} {json.dumps(request.parameters, default=str)[:300]}",
            )

    def after(self, request: Request) -> None:
        """Tags were written, by whomever."""
        if request.action != "CreateTags":
            return
        tags = {tag["Key"]: tag.get("Value", "") for tag in request.parameters.get("Tags", ())}
        for resource in request.parameters.get("Resources", ()):
            snapshot = WORLD.region(request.scope.region).snapshots.get(resource)
            if snapshot is None:
                continue
            if SUSPICION in tags:
                self._note_suspicion(snapshot)
            if PROOF in tags and READER in request.caller:
                self._marked(snapshot, tags[PROOF])

    def _note_suspicion(self, snapshot: Snapshot) -> None:
        if is_open(snapshot):
            self._suspected.setdefault(snapshot.snapshot_id, CLOCK.now())
        else:
            self._suspected.pop(snapshot.snapshot_id, None)

    def answered(self, call: Call, text: bytes) -> None:
        """A read of a snapshot, of a verification or of a drill, has its answer."""
        found = NAMED.search(call.request)
        if call.service != "ebs" or not found:
            return
        snapshot_id, index = found[1], found[2]
        if call.status == 0 or call.error:
            if call.error not in THROTTLED:
                self._refused[snapshot_id] = CLOCK.now()
            if b"KMS key not found" in text:
                self._must_not("no call is denied but by a fault", f"{call.action} of {call.caller}: {text[:300]!r}")
        elif call.action == "ListSnapshotBlocks":
            self._listed.add(snapshot_id)
        elif index:
            self._read[snapshot_id][int(index)] = CLOCK.now()
            if block := _find_block(snapshot_id, int(index)):
                self._known.add(block.write)

    # --- marks

    def _marked(self, snapshot: Snapshot, value: str) -> None:
        """A snapshot was marked: with what it has shown, by what it holds."""
        self.compared.marked(snapshot, value)
        name = f"{snapshot.snapshot_id} of {snapshot.tags.get('lifeboat:recovery-point')} is marked {value}"
        if "result=proven" not in value:
            if not self._has_cause(snapshot):
                self._must_not("what fails a verification has a cause", f"{name}, and nothing is wrong with it")
            return
        self.marked += 1
        if problem := self._why_unproven(snapshot, every_block="level=full" in value):
            self._must_not("what is marked proven was read back and is sound", f"{name}: {problem}")

    def _why_unproven(self, snapshot: Snapshot, *, every_block: bool) -> str:
        if snapshot.state != "completed" or snapshot.storage_tier != "standard":
            return f"it is {snapshot.state} in the tier {snapshot.storage_tier}"
        if snapshot.snapshot_id not in self._listed:
            return "the list of its blocks was not read"
        read = self._read[snapshot.snapshot_id]
        needed = set(snapshot.blocks) if every_block else set(snapshot.blocks) & {HEADER}
        # What has not changed since it was read of an earlier snapshot is not read again, but for the header.
        unread = [i for i in needed - set(read) if i == HEADER or snapshot.blocks[i].write not in self._known]
        if unread:
            return f"its blocks {sorted(unread)} were not read"
        damaged_at = self._people.touched.get(("damage", snapshot.snapshot_id), 0.0)
        damaged = [i for i in find_damage(snapshot, all_blocks=every_block) if read.get(i, 0.0) > damaged_at]
        return f"its blocks {damaged} are damaged" if damaged else ""

    def _has_cause(self, snapshot: Snapshot | None, snapshot_id: str = "") -> bool:
        snapshot = snapshot or find_snapshot(snapshot_id)
        name = snapshot.snapshot_id if snapshot else snapshot_id
        damaged = snapshot is not None and find_damage(snapshot, all_blocks=True)
        lost = snapshot is not None and self._may_have_lost(snapshot)
        return name in self._refused or bool(damaged) or lost or self.compared.has_cause(name)

    def _may_have_lost(self, snapshot: Snapshot) -> bool:
        """Whether a volume without a file system may come from one that had it: nobody erases one in a world."""
        if HEADER in snapshot.blocks:
            return False
        region = WORLD.region(stage.REGION)
        volume = region.volumes.get(snapshot.volume_id)
        if volume is None or not volume.snapshot_id:
            return volume is None
        source = region.snapshots.get(volume.snapshot_id)
        return source is None or HEADER in source.blocks or "result=proven" not in source.tags.get(PROOF, "")

    def restored(self, snapshot_ids: Sequence[str]) -> None:
        """A restore of the newest proven recovery point has begun."""
        for snapshot_id in snapshot_ids:
            snapshot = WORLD.region(stage.REGION).snapshots.get(snapshot_id)
            if snapshot is None or self._people.touched_since(0, snapshot_id):
                continue
            if "result=proven" not in snapshot.tags.get(PROOF, "") or is_open(snapshot):
                self._must_not(
                    "latest-proven restores what is proven and not suspect",
                    f"{snapshot_id} is restored; its tags are {snapshot.tags}",
                )

    # --- suspicions

    def delete(self, point: Point, name: str) -> None:
        """One of our functions deletes a snapshot of a recovery point."""
        for suspect_id, since in self._suspected.items():
            suspect = WORLD.region(stage.REGION).snapshots.get(suspect_id)
            if suspect is None or not is_open(suspect) or CLOCK.now() - since < RACE_SECONDS:
                continue
            of = self._points.get(suspect.tags.get("lifeboat:recovery-point", ""))
            if of and point.taken_at <= of.taken_at and set(of.lineages.values()) & set(point.lineages.values()):
                self._must_not(
                    "while a suspicion is open nothing older of its lineage is deleted",
                    f"{name} was deleted; {suspect_id} of {of.id} is suspect for {CLOCK.now() - since:.0f} seconds",
                )

    def delete_good(self, point: Point, others: Sequence[Point], name: str) -> None:
        """One of our functions deletes a snapshot of a good recovery point. `others` are the good ones of the stack."""
        if not self._is_proven(point):
            return
        for lineage in sorted(set(point.lineages.values())):
            same = [item for item in others if lineage in item.lineages.values()]
            newer = [item for item in same if item.taken_at > point.taken_at]
            all_of_it = [thing for item in same for thing in (item.id, *item.snapshots.values())]
            if not any(map(self._is_proven, newer)) and not self._people.touched_since(CLOCK.now() - HOUR, *all_of_it):
                self._must_not(
                    "the newest proven one of a lineage is not deleted",
                    f"{name} was deleted, and of {lineage} no newer one is proven",
                )

    def _is_proven(self, point: Point) -> bool:
        found = [WORLD.region(stage.REGION).snapshots.get(item) for item in point.snapshots.values()]
        return all(s is not None and "result=proven" in s.tags.get(PROOF, "") and not is_open(s) for s in found)

    # --- what is published

    def published(self, place: Scope, message: Mapping[str, Any]) -> None:
        """A message was published on the topic of a stack in this place."""
        event, subject = str(message.get("event")), message.get("subject", {})
        self.compared.published(message)
        if not event.startswith(("Verification", "RecoveryPoint")):
            return
        point_id, known = str(subject.get("recovery_point", "")), WORLD.region(place.region).snapshots
        self._published[point_id].append(event)
        details = message["details"]
        if event == "VerificationFailed":
            for item in details["failures"]:
                if not self._has_cause(known.get(item["snapshot_id"]), item["snapshot_id"]):
                    self._must_not(TRUE, f"{point_id}: {item}, and nothing is wrong with it")
            self._check_newest(str(details["newest_proven"]))
        elif event == "RecoveryPointVerified":
            for item in details["snapshots"]:
                snapshot = known.get(item["snapshot_id"])
                problem = snapshot and self._why_unproven(snapshot, every_block=details["level"] == "full")
                if problem:
                    self._must_not(TRUE, f"{point_id} is published as proven, and {item['snapshot_id']}: {problem}")
        elif event == "VerificationStopped" and place == stage.HOME:
            self._check_stopped(point_id, str(details["reason"]))

    def _check_newest(self, point_id: str) -> None:
        point = self._points.get(point_id)
        found = [WORLD.region(stage.REGION).snapshots.get(item) for item in point.snapshots.values()] if point else []
        unproven = [s.snapshot_id for s in found if s and "result=proven" not in s.tags.get(PROOF, "")]
        if unproven:
            self._must_not(TRUE, f"{point_id} is published as the newest proven one, and {unproven} are not proven")

    def _check_stopped(self, point_id: str, reason: str) -> None:
        point = self._points.get(point_id)
        if point is None or self._people.touched_since(0, point.id, *point.snapshots.values()):
            return
        found = [WORLD.region(stage.REGION).snapshots.get(item) for item in point.snapshots.values()]
        if all(item is not None and item.state == "completed" for item in found):
            self._must_not(TRUE, f"the verification of {point_id} is published as stopped, {reason}: it is all there")

    # --- at the end

    def at_the_end(self, completed: Mapping[str, float | None]) -> None:
        """All has been calm for long: what is good was read back, and what has failed was published."""
        for place, outputs in self._people.stacks.items():
            for name, item in stage.items("verify-open", outputs, place).items():
                record = json.loads(item["document"]["S"])
                if CLOCK.now() - _seconds(record["opened_at"]) > READ_WITHIN:
                    self._must_not(
                        "no verification is open for long when all is calm",
                        f"{name} in {place} is open since {record['opened_at']}: {record['reason']}",
                    )
        self.compared.at_the_end()
        if self._people.parameters.get("Verify", "read") == "off":
            return
        for point_id, published_at in completed.items():
            if published_at is not None and CLOCK.now() - published_at > READ_WITHIN:
                self._check_outcome(self._points[point_id])

    def _check_outcome(self, point: Point) -> None:
        snapshots = WORLD.region(stage.REGION).snapshots
        found = [snapshots.get(item) for item in point.snapshots.values()]
        if self._people.touched_since(0, point.id, *point.snapshots.values()):
            return
        if any(item is None or item.state != "completed" for item in found):
            return
        marks = [item.tags.get(PROOF, "") for item in found if item]
        published = self._published[point.id]
        failed = [mark for mark in marks if mark and "result=proven" not in mark]
        if (failed and "VerificationFailed" not in published) or (not all(marks) and not published):
            self._must_not(
                "every recovery point is read back, and every failure is published",
                f"{point.id} is marked {marks}, and published {published}",
            )

    def is_owed(self, place: Scope) -> bool:
        """Whether a good snapshot of a place was not read back yet. Costs a check of each."""
        known = WORLD.region(place.region).snapshots.values()
        return any(
            item.state == "completed" and "lifeboat:recovery-point" in item.tags and PROOF not in item.tags
            for item in known
            if item.owner == place.account
        )

    def is_busy(self, place: Scope) -> bool:
        """Whether a stack has something to read. Its reconcile runs then all come."""
        return any(self.open_ones(place)) or self.is_owed(place) or any(self.compared.may_go_on(place))

    def open_ones(self, place: Scope) -> Iterator[dict[str, Any]]:
        """The verifications that the table of a place says are open."""
        for item in stage.items("verify-open", self._people.stacks[place], place).values():
            yield json.loads(item["document"]["S"])


def _find_block(snapshot_id: str, index: int) -> Block | None:
    """A block of a snapshot in any region."""
    held = (region.snapshots[snapshot_id].blocks for region in WORLD.regions() if snapshot_id in region.snapshots)
    return next((blocks.get(index) for blocks in held), None)


def is_open(snapshot: Snapshot) -> bool:
    """Whether a snapshot carries a suspicion that no person has closed."""
    return SUSPICION in snapshot.tags and "state=closed" not in snapshot.tags[SUSPICION].split()


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
