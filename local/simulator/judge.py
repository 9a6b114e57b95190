"""What must never be, judged on what the emulator did and on what was published; never by the product's own code.

Each rule gets what has just been carried out, whoever was answered what, and says a sentence if that must not be.
What a person did to the very thing since is taken into account: a restored volume that a person deletes is not lost by
the product.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from local.emulator.calls import Call
from local.emulator.clock import CLOCK
from local.emulator.ec2.model import WORLD, Instance, Region, Request, Snapshot
from local.emulator.scope import Scope
from local.simulator import stage
from local.simulator.carried import Carried
from local.simulator.misfortune import OURS, function_of
from local.simulator.people import People
from local.simulator.proofs import Proofs
from local.simulator.rehearsals import Rehearsals

HOUR = 3600.0
IDS = re.compile(r"\b(?:vol|snap|i)-[0-9a-f]{17}\b")
DENIALS = ("UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthFailure")
CRASHES = (
    "KeyError",
    "IndexError",
    "AttributeError",
    "TypeError",
    "AssertionError",
    "ValueError",
    "ValidationError",
    "RecursionError",
    "UnboundLocalError",
    "NameError",
    "ConfigError",
    "StopIteration",
    "BadRequest",
)
RACE_SECONDS = 15 * 60.0
"""What has begun later than this before a deletion was carried out, the deleting invocation may not have seen."""


@dataclass(frozen=True)
class Violation:
    """What must never be, and was."""

    rule: str
    sentence: str
    at: float


@dataclass
class Point:
    """A recovery point as EC2 made it: of each data volume that the instance had, its snapshot and its lineage.

    `unplanned` are snapshots of volumes that were attached when the product may have observed already. EC2 made
    them with
    the others, and they are no part of the recovery point: no backup, no member of a lineage, nothing to delete.
    `amid` is the restore that was exchanging the volumes: what it holds is no state that the instance ever had.
    """

    id: str
    instance_id: str
    slot: str
    taken_at: float
    volumes: frozenset[str]
    devices: dict[str, str] = field(default_factory=dict)
    unplanned: frozenset[str] = frozenset()
    amid: str = ""
    snapshots: dict[str, str] = field(default_factory=dict)
    lineages: dict[str, str] = field(default_factory=dict)


@dataclass
class Asked:
    """A restore as a person asked for it."""

    id: str
    instance_id: str
    at: float
    was_running: bool
    start: bool | None
    devices: dict[str, str]


class Judge:
    """All rules, and what they have to know."""

    def __init__(self, people: People, publish: Callable[[str], None]) -> None:
        self._people = people
        self._publish = publish
        self.violations: list[Violation] = []
        self.points: dict[str, Point] = {}
        self.restores: dict[str, Asked] = {}
        self.published: dict[str, list[tuple[float, dict[str, Any]]]] = defaultdict(list)
        self.events: Counter[str] = Counter()
        self.states: Counter[str] = Counter()
        self.calls = 0
        self._ran: set[str] = set()
        self._made: set[str] = set()
        self._strays: set[str] = set()
        self._displaced: dict[str, set[str]] = {}
        self._of_restore: dict[str, dict[str, str]] = {}
        self._floors: list[tuple[float, int, float]] = []
        people.asked = self._was_asked
        self.carried = Carried(people, self.points, self._must_not)
        self.proofs = Proofs(people, self.points, self._must_not)
        self.rehearsals = Rehearsals(people, self.points, self._must_not)
        self._away: dict[str, set[str]] = defaultdict(set)
        """What was published of restores that are not at home."""

    @property
    def region(self) -> Region:
        """Where all of it is."""
        return WORLD.region(stage.REGION)

    def _must_not(self, rule: str, sentence: str) -> None:
        self.violations.append(Violation(rule, sentence, CLOCK.now()))
        self._publish(f"VIOLATION {rule}: {sentence}")

    # --- what people ask

    def _was_asked(self, restore_id: str, request: Mapping[str, Any]) -> None:
        self.note_restores()
        if request["recovery_point"] == "latest-proven":
            document = stage.items("restore", self._people.outputs)[restore_id]["document"]["S"]
            self.proofs.restored([volume["snapshot_id"] for volume in json.loads(document)["volumes"]])
        self._publish(f"  {restore_id} is open")

    def note_restores(self) -> None:
        """Read the records of restores that are new in the table: what each displaces, and onto what."""
        for restore_id, item in stage.items("restore", self._people.outputs).items():
            if restore_id in self._of_restore:
                continue
            document = json.loads(item["document"]["S"])
            by_device = {v["device"]: v["displaced_volume_id"] for v in document["volumes"] if v["displaced_volume_id"]}
            self._of_restore[restore_id] = by_device
            self._displaced[restore_id] = set(by_device.values())
            instance = self.region.instances[document["instance_id"]]
            others = [item for item in self.restores.values() if item.instance_id == instance.instance_id]
            for other in others:
                if not json.loads(stage.items("restore", self._people.outputs)[other.id]["document"]["S"])["closed"]:
                    self._must_not(
                        "one open restore for an instance",
                        f"{restore_id} began on {instance.instance_id}, on which {other.id} is open",
                    )
            self.restores[restore_id] = Asked(
                id=restore_id,
                instance_id=instance.instance_id,
                at=CLOCK.now(),
                was_running=instance.state == "running",
                start=document["start"],
                devices=dict(instance.devices),
            )
            for device, volume_id in by_device.items():
                if instance.devices.get(device) != volume_id and not self._touched_since(
                    0, instance.instance_id, volume_id
                ):
                    self._must_not(
                        "the volume that gives way is the one at its device",
                        f"{restore_id} is to displace {volume_id} at {device}, where {instance.devices.get(device)} is",
                    )

    def _touched_since(self, since: float, *ids: str) -> bool:
        return any(self._people.touched.get(item, -1.0) >= since for item in ids)

    # --- what EC2 carries out

    def before(self, request: Request) -> None:
        """A call is about to be carried out."""
        if OURS not in request.caller:
            return
        self.proofs.before(request)
        self.rehearsals.before(request)
        if request.scope != stage.HOME:
            if request.action == "DeleteSnapshot":
                self.carried.delete(request)
            return
        rule = {"DeleteVolume": self._delete_volume, "DeleteSnapshot": self._delete_snapshot}.get(request.action)
        if rule:
            rule(request)

    def after(self, request: Request, answer: Mapping[str, Any]) -> None:
        """A call was carried out."""
        ours = OURS in request.caller
        if ours and request.action == "CopySnapshot":
            self.carried.made(request, answer)
        self.proofs.after(request)
        self.rehearsals.after(request, answer)
        if request.scope != stage.HOME:
            return
        if request.action == "CreateSnapshots" and ours:
            self._create_snapshots(request, answer)
        elif request.action == "CreateVolume" and ours:
            self._made.add(answer["VolumeId"])
        elif request.action == "AttachVolume":
            self._attach_volume(request, ours=ours)

    def instance_changed(self, instance: Instance) -> None:
        """An instance is in a new state."""
        if instance.state == "running":
            self._ran |= set(instance.devices.values())

    def _attach_volume(self, request: Request, *, ours: bool) -> None:
        volume_id, instance_id = request.parameters["VolumeId"], request.parameters["InstanceId"]
        instance = self.region.instances[instance_id]
        if instance.state == "running":
            self._ran.add(volume_id)
        if not ours:
            return
        self.note_restores()
        attached = set(instance.devices.values())
        for restore_id, displaced in self._displaced.items():
            asked = self.restores[restore_id]
            if asked.instance_id != instance_id or not self._is_open(restore_id):
                continue
            restored = {
                v.volume_id for v in self.region.volumes.values() if v.tags.get("lifeboat:restore") == restore_id
            }
            both = (displaced - restored) & attached, restored & attached
            involved = [*both[0], *both[1]]
            if (
                all(both)
                and volume_id in involved
                and self._share_a_device(restore_id, *both)
                and not self._touched_since(asked.at, *involved)
            ):
                self._must_not(
                    "never a displaced and a restored volume attached at once",
                    f"{restore_id} attached {volume_id} to {instance_id}, which has displaced {sorted(both[0])} and "
                    f"restored {sorted(both[1])}",
                )

    def _is_open(self, restore_id: str) -> bool:
        return any(i["version"]["S"] == restore_id for i in stage.items("restore-open", self._people.outputs).values())

    def _delete_volume(self, request: Request) -> None:
        self.note_restores()
        volume = self.region.volumes.get(request.parameters["VolumeId"])
        if volume is None or volume.attachment:
            return
        why = [
            f"it was displaced by {restore_id}"
            for restore_id, ids in self._displaced.items()
            if volume.volume_id in ids
        ]
        if volume.volume_id in self._ran:
            why.append("an instance ran on it")
        if volume.volume_id not in self._made:
            why.append("it was not made by a restore")
        if why:
            self._must_not(
                "a displaced volume, and one that ever ran, is never deleted",
                f"{volume.volume_id} was deleted: {'; '.join(why)}",
            )

    def _create_snapshots(self, request: Request, answer: Mapping[str, Any]) -> None:
        instance = self.region.instances[request.parameters["InstanceSpecification"]["InstanceId"]]
        made = [self.region.snapshots[item["SnapshotId"]] for item in answer["Snapshots"]]
        tags = made[0].tags
        point_id = tags["lifeboat:recovery-point"]
        tagged = {item for key in tags for item in IDS.findall(key)} or {snapshot.volume_id for snapshot in made}
        if tagged - {snapshot.volume_id for snapshot in made}:
            # The volumes were swapped since the product observed them: the snapshot is not of those that its tags name.
            self._strays |= {snapshot.snapshot_id for snapshot in made}
            self._publish(f"  no recovery point: the tags name {sorted(tagged)}")
            return
        self._once_per_slot(point_id, instance.instance_id, tags["lifeboat:slot"])
        if point_id in self.points:
            return
        unplanned = {volume_id for volume_id in self._just_attached(instance) if volume_id not in tagged}
        devices = {v: device for device, v in instance.devices.items() if device != instance.root_device_name}
        planned = {v: device for v, device in devices.items() if v not in unplanned}
        point = Point(
            point_id,
            instance.instance_id,
            tags["lifeboat:slot"],
            CLOCK.now(),
            frozenset(planned),
            planned,
            frozenset(snapshot.snapshot_id for snapshot in made if snapshot.volume_id in unplanned),
        )
        for snapshot in made:
            if snapshot.snapshot_id in point.unplanned:
                continue
            volume = self.region.volumes[snapshot.volume_id]
            point.snapshots[snapshot.volume_id] = snapshot.snapshot_id
            point.lineages[snapshot.snapshot_id] = volume.tags.get("lifeboat:chain") or volume.volume_id
        point.amid = self._exchanging(instance.instance_id, set(point.snapshots))
        self.points[point_id] = point

    def _exchanging(self, instance_id: str, held: set[str]) -> str:
        """The restore that is open on an instance, if what a recovery point holds is neither what the instance has
        without it nor what it has with it. What a person did to the volumes is not the restore's.
        """
        self.note_restores()
        for restore_id, by_device in self._of_restore.items():
            asked, displaced = self.restores[restore_id], set(by_device.values())
            if asked.instance_id != instance_id or not self._is_open(restore_id):
                continue
            document = json.loads(stage.items("restore", self._people.outputs)[restore_id]["document"]["S"])
            known = self.region.volumes.values()
            restored = {v.volume_id for v in known if v.tags.get("lifeboat:restore") == restore_id}
            old, new = held & displaced, held & restored
            whole = (old == displaced and not new) or (len(new) == len(document["volumes"]) and not old)
            if not whole and not self._touched_since(asked.at - RACE_SECONDS, instance_id, *displaced, *restored):
                return restore_id
        return ""

    def _just_attached(self, instance: Instance) -> list[str]:
        """The volumes that an invocation under way may not have seen on the instance: they came after it observed.

        What is attached for longer it must have seen, whatever its tags say of.
        """
        attachments = {v: self.region.volumes[v].attachment for v in instance.devices.values()}
        return [v for v, a in attachments.items() if a and CLOCK.now() - a.attach_time.timestamp() < RACE_SECONDS]

    def _once_per_slot(self, point_id: str, instance_id: str, slot: str) -> None:
        """A recovery point was just made: no other is of its slot, by what was made and by EC2's own state."""
        rule = "at most one recovery point for an instance and slot"
        twins = [p for p in self.points.values() if (p.instance_id, p.slot) == (instance_id, slot)]
        for twin in twins:
            self._must_not(rule, f"{point_id} is of the slot of {twin.id}, made at {_time(twin.taken_at)}")
        for volume_id, snapshot_ids in self._of_slot(instance_id, slot).items():
            if len(snapshot_ids) > 1:
                self._must_not(rule, f"{sorted(snapshot_ids)} of {volume_id} are there for {slot}")

    def _of_slot(self, instance_id: str, slot: str) -> Mapping[str, list[str]]:
        """EC2's own snapshots of an instance's volumes for a slot, by volume."""
        found = defaultdict(list)
        for snapshot in self.region.snapshots.values():
            tags = snapshot.tags
            if snapshot.snapshot_id in self._strays:
                continue
            if tags.get("lifeboat:instance") == instance_id and tags.get("lifeboat:slot") == slot:
                found[snapshot.volume_id].append(snapshot.snapshot_id)
        return found

    def _is_good(self, point: Point) -> bool:
        found = [self.region.snapshots.get(snapshot_id) for snapshot_id in point.snapshots.values()]
        whole = frozenset(point.snapshots) == point.volumes
        return whole and all(s is not None and s.state == "completed" and s.storage_tier == "standard" for s in found)

    def _may_become_good(self, point: Point) -> bool:
        states = {self._state(snapshot_id) for snapshot_id in point.snapshots.values()}
        return (
            frozenset(point.snapshots) == point.volumes and "pending" in states and states <= {"pending", "completed"}
        )

    def floor(self) -> tuple[int, float]:
        """The floor and the grace, in seconds, that any invocation under way may go by."""
        parameters = self._people.parameters
        now = (int(parameters["MinimumKept"]), float(parameters["GraceHours"]) * HOUR)
        self._floors = [item for item in self._floors if CLOCK.now() - item[0] < HOUR or item[1:] == now]
        if not self._floors or self._floors[-1][1:] != now:
            self._floors.append((CLOCK.now(), *now))
        else:
            self._floors[-1] = (CLOCK.now(), *now)
        return min(item[1] for item in self._floors), min(item[2] for item in self._floors)

    def _delete_snapshot(self, request: Request) -> None:
        snapshot = self.region.snapshots.get(request.parameters["SnapshotId"])
        if snapshot is None:
            return
        rule = "nothing held, locked, foreign or in use is deleted"
        name = f"{snapshot.snapshot_id} of {snapshot.tags.get('lifeboat:recovery-point', 'no recovery point')}"
        if snapshot.tags.get("lifeboat:stack") != stage.STACK_NAME:
            self._must_not(rule, f"{name}, which is not ours, was deleted")
        for key in ("lifeboat:hold", "lifeboat:shared"):
            if key in snapshot.tags:
                self._must_not(rule, f"{name}, which carries {key}, was deleted")
        if user := self._in_use(snapshot):
            self._must_not(rule, f"{name}, of which {user} is to make a volume, was deleted")
        point = self.points.get(snapshot.tags.get("lifeboat:recovery-point", ""))
        if point is not None:
            self.proofs.delete(point, name)
        if point is not None and snapshot.snapshot_id in point.unplanned:
            self._must_not(rule, f"{name}, which is of a volume that its tags do not name, was deleted")
            return
        if point is not None and self._may_become_good(point):
            self._must_not(rule, f"{name}, which EC2 is still making, was deleted")
        if point is not None and self._is_good(point):
            self._delete_good(point, name)

    def _delete_good(self, point: Point, name: str) -> None:
        floor, grace = self.floor()
        if CLOCK.now() - point.taken_at < grace - 5:
            self._must_not(
                "what is younger than the grace is never deleted",
                f"{name} is {(CLOCK.now() - point.taken_at) / HOUR:.1f} h old",
            )
        good = [item for item in self.points.values() if item is not point and self._is_good(item)]
        self.proofs.delete_good(point, good, name)
        for lineage in sorted(set(point.lineages.values())):
            left = [
                p
                for p in self.points.values()
                if p is not point and lineage in p.lineages.values() and self._is_good(p)
            ]
            others = [p for p in self.points.values() if lineage in p.lineages.values()]
            if len(left) < floor and not self._touched_since(CLOCK.now() - HOUR, *(p.id for p in others)):
                self._must_not(
                    "never fewer good ones in a lineage than the floor",
                    f"{name} was deleted, and of {lineage} there are {len(left)} good ones left; the floor is {floor}",
                )

    def _in_use(self, snapshot: Snapshot) -> str:
        for item in stage.items("restore-open", self._people.outputs).values():
            restore_id = item["version"]["S"]
            self.note_restores()
            document = json.loads(stage.items("restore", self._people.outputs)[restore_id]["document"]["S"])
            needed = {volume["snapshot_id"] for volume in document["volumes"]}
            old_enough = CLOCK.now() - self.restores[restore_id].at > RACE_SECONDS
            open_to_it = not document["touched"] and document["direction"] == "forward"
            if snapshot.snapshot_id in needed and old_enough and open_to_it:
                return restore_id
        return ""

    # --- what is answered and published

    def answered(self, call: Call, answer: object) -> None:
        """A call has its answer."""
        if OURS not in call.caller:
            return
        self.calls += 1
        self.proofs.answered(call, _bytes(answer))
        if call.action == "TransactWriteItems" and "restore-open" in call.request:
            self.note_restores()
        if call.error in DENIALS and b"a misfortune" not in _bytes(answer):
            named = IDS.findall(call.request)
            if any(
                item in self._people.tagged or item in self._people.touched or self._is_gone(item) for item in named
            ):
                return  # what is not there has no tags that would allow it
            self._must_not(
                "no call is denied but by a fault",
                f"{call.service} {call.action} of {function_of(call.caller)}: {call.request[:300]} "
                f"{_bytes(answer)[:600]!r}",
            )

    def _is_gone(self, resource: str) -> bool:
        regions = WORLD.regions()
        return not any(resource in kind for r in regions for kind in (r.snapshots, r.volumes, r.instances))

    def ended(self, function: str, event: Any, outcome: Mapping[str, Any]) -> None:
        """An invocation has ended."""
        del event
        if function == "drill-restores":
            self.rehearsals.note_drills()
        body = outcome.get("body") or {}
        for report in (
            (body.get("restores") or {}).values()
            if isinstance(body, dict) and isinstance(body.get("restores"), dict)
            else ()
        ):
            self.states[
                f"{report['direction']} {report['step']}" if report["status"] == "open" else report["status"]
            ] += 1
        if outcome.get("error") and isinstance(body, dict) and body.get("errorType") in CRASHES:
            self._must_not(
                "no handler crashes",
                f"{function}: {body['errorType']}: {body.get('errorMessage')} {outcome.get('log', '')[-1500:]}",
            )

    def published_one(self, text: str, place: Scope) -> str:
        """A message was published by the stack in a place; its event."""
        message = json.loads(text)
        if isinstance(message, dict) and "default" in message:
            message = json.loads(message["default"])
        event, subject = str(message.get("event")), message.get("subject", {})
        self.events[event] += 1
        self.carried.published(place.account, message)
        self.proofs.published(place, message)
        self.rehearsals.published(place, message)
        if place != stage.HOME:
            self._away[subject.get("restore_id", "")].add(event)
            return f"in {place.account} {place.region} {event} {json.dumps(subject)[:200]}"
        key = subject.get("restore_id") or subject.get("recovery_point") or subject.get("instance_id") or ""
        self.published[key].append((CLOCK.now(), message))
        rule = {
            "BackupCompleted": self._backup_completed,
            "RestoreCompleted": self._restore_completed,
            "RestoreRolledBack": self._restore_rolled_back,
        }.get(event)
        if rule:
            rule(message)
        return f"{event} {key}"

    def _backup_completed(self, message: Mapping[str, Any]) -> None:
        point = self.points.get(message["subject"]["recovery_point"])
        rule = "no recovery point is good that does not hold every data volume"
        if point is None:
            self._must_not(rule, f"{message['subject']['recovery_point']} was never made")
            return
        if self._touched_since(0, point.id, *point.snapshots.values()):
            return
        if not self._is_good(point) and not self._deleted_since(point):
            states = {v: self._state(s) for v, s in point.snapshots.items()}
            self._must_not(
                rule,
                f"{point.id} is published as good; its volumes were {sorted(point.volumes)}, "
                f"its snapshots are {states}",
            )
        if point.amid:
            self._must_not(
                rule, f"{point.id} is published as good; {point.amid} was exchanging the volumes when it was made"
            )
        published, made = set(message["details"]["snapshots"]), set(point.snapshots.values())
        if published != made:
            self._must_not(rule, f"{point.id} is published with {sorted(published)}, EC2 made {sorted(made)}")

    def _deleted_since(self, point: Point) -> bool:
        """Whether it was published before, so that retention may have deleted it meanwhile."""
        return len([m for _at, m in self.published[point.id] if m["event"] == "BackupCompleted"]) > 1

    def _state(self, snapshot_id: str) -> str:
        found = self.region.snapshots.get(snapshot_id)
        return found.state if found else "gone"

    def _undisturbed(self, message: Mapping[str, Any]) -> tuple[Asked, Instance] | None:
        self.note_restores()
        asked = self.restores[message["subject"]["restore_id"]]
        instance = self.region.instances[asked.instance_id]
        volumes = [v.volume_id for v in self.region.volumes.values() if v.tags.get("lifeboat:restore") == asked.id]
        if self._touched_since(asked.at, asked.instance_id, *asked.devices.values(), *volumes):
            return None
        return asked, instance

    def _restore_completed(self, message: Mapping[str, Any]) -> None:
        found = self._undisturbed(message)
        if found is None:
            return
        asked, instance = found
        for volume in message["details"]["volumes"]:
            if instance.devices.get(volume["device"]) != volume["restored_volume_id"]:
                self._must_not(
                    "what is published is true",
                    f"{asked.id} is published as completed, and at {volume['device']} of {instance.instance_id} is "
                    f"{instance.devices.get(volume['device'])}, not {volume['restored_volume_id']}",
                )
        displaced = self._displaced[asked.id] & set(instance.devices.values())
        if displaced:
            self._must_not(
                "what is published is true",
                f"{asked.id} is published as completed, and {sorted(displaced)} are attached",
            )
        self._power(asked, instance, "completed", wanted=asked.was_running if asked.start is None else asked.start)

    def _restore_rolled_back(self, message: Mapping[str, Any]) -> None:
        found = self._undisturbed(message)
        if found is None:
            return
        asked, instance = found
        if instance.devices != asked.devices:
            self._must_not(
                "what is published is true",
                f"{asked.id} is published as rolled back; "
                f"{instance.instance_id} had {asked.devices}, has {instance.devices}",
            )
        self._power(asked, instance, "rolled back", wanted=asked.was_running)

    def _power(self, asked: Asked, instance: Instance, published: str, *, wanted: bool) -> None:
        if wanted and instance.state != "running":
            self._must_not(
                "what is published is true",
                f"{asked.id} is published as {published}, and {instance.instance_id} is {instance.state}",
            )

    # --- when all has been calm for long

    def at_the_end(self, slots: list[datetime], *, calm_since: float) -> None:
        """Everything has had the time that it may take."""
        self.note_restores()
        now = CLOCK.now()
        open_ones = {item["version"]["S"] for item in stage.items("restore-open", self._people.outputs).values()}
        for restore_id, asked in self.restores.items():
            published = [message["event"] for _at, message in self.published[restore_id]]
            if restore_id in open_ones:
                if "RestoreFailed" not in published:
                    document = json.loads(stage.items("restore", self._people.outputs)[restore_id]["document"]["S"])
                    self._must_not(
                        "every restore ends, or says what it waits for",
                        f"{restore_id} of {_time(asked.at)} is open, published {published}: {document['direction']} {document['step']}, "  # noqa: E501
                        f"{document['failure']}, {document['blocked']}, {document['timeline'][-3:]}",
                    )
            elif not {"RestoreCompleted", "RestoreRolledBack", "RestoreFailed"} & set(published):
                self._must_not("every outcome is published", f"{restore_id} has ended, and published {published}")
        for point in self.points.values():
            published = [message["event"] for _at, message in self.published[point.id]]
            ended = all(self._state(s) != "pending" for s in point.snapshots.values())
            if ended and now - point.taken_at > 2 * HOUR and not {"BackupCompleted", "BackupFailed"} & set(published):
                self._must_not("every outcome is published", f"{point.id} has ended, and published {published}")
            if "BackupCompleted" in published and "UnplannedSnapshotTaken" not in published and self._is_owed(point):
                self._must_not(
                    "every outcome is published",
                    f"{point.id} is good, and nothing was published about {sorted(point.unplanned)}",
                )
        self._slots(slots, calm_since)
        completed = {point_id: self._completed_at(point_id) for point_id in self.points}
        self.carried.at_the_end(self._is_good, completed)
        self.proofs.at_the_end(completed)
        self.rehearsals.at_the_end()

    def has_published_failure(self, restore_id: str) -> bool:
        """Whether it was published that this restore waits for a person."""
        return any(m["event"] == "RestoreFailed" for _at, m in self.published[restore_id])

    def _is_owed(self, point: Point) -> bool:
        """Whether a person has to know of what EC2 made with a recovery point, and no person has taken it away."""
        return bool(point.unplanned) and not self._touched_since(0, point.id)

    def _completed_at(self, point_id: str) -> float | None:
        """When it was published as good first; None if it was not."""
        return next((at for at, m in self.published[point_id] if m["event"] == "BackupCompleted"), None)

    def restored_elsewhere(self, instance_id: str, answer: Mapping[str, Any]) -> None:
        """Home is lost, nothing goes wrong, and the restore in the other region has had its time."""
        published = self._away[str(answer.get("restore_id", ""))]
        if "refused" not in answer and "RestoreCompleted" not in published:
            self._must_not(
                "what was copied can be restored when home is lost",
                f"what was {instance_id}: {json.dumps(answer)[:500]}, published {sorted(published)}",
            )

    def _slots(self, slots: list[datetime], calm_since: float) -> None:
        """Each slot that came when all was calm has its recovery point, or it was published that it has not."""
        now = CLOCK.now()
        grace = float(self._people.parameters["CatchUpGraceMinutes"]) * 60
        due = [s for s in slots if s.timestamp() > calm_since + HOUR and s.timestamp() + grace + HOUR < now]
        for instance in self.region.instances.values():
            protected = instance.tags.get("lifeboat:backup") == "true" and instance.state not in (
                "terminated",
                "shutting-down",
            )
            if not protected or len(instance.devices) < 2:
                continue
            for slot in due:
                text = slot.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                if any(p.instance_id == instance.instance_id and p.slot == text for p in self.points.values()):
                    continue
                published = [m["event"] for m in self._about(instance.instance_id, slot.timestamp())]
                if not {"BackupFailed", "BackupOverdue", "BackupIncomplete"} & set(published):
                    self._must_not(
                        "every missed slot is caught up or published",
                        f"{instance.instance_id} has nothing of {text}, and nothing was published: {published}",
                    )

    def _about(self, instance_id: str, since: float) -> list[dict[str, Any]]:
        return [
            m
            for published in self.published.values()
            for at, m in published
            if at >= since and instance_id in json.dumps(m)
        ]


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%d %H:%M:%S")


def _bytes(answer: object) -> bytes:
    return answer.encode() if isinstance(answer, str) else answer if isinstance(answer, bytes) else b""
