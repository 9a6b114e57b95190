"""What must never be where restores are rehearsed: on the volumes of drills, and in what is published about them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from local.emulator.clock import CLOCK
from local.emulator.ec2.model import WORLD, Request
from local.emulator.scope import Scope
from local.simulator import stage
from local.simulator.contents import find_damage
from local.simulator.misfortune import OURS, function_of

if TYPE_CHECKING:
    from local.simulator.judge import Point
    from local.simulator.people import People

HOUR = 3600.0
DRILLS = "DrillRestoresFunction"
DRILL = "lifeboat:drill"
OVER_WITHIN = 3 * HOUR
"""When all is calm, a drill that no open restore keeps waiting is over in less."""
OUTCOMES = {"DrillPassed", "DrillFailed"}
TRUE = "what is published about drills is true"
ONLY = "drills change nothing but their own volumes, which are never attached"


class Rehearsals:
    """The rules, and what they have to know."""

    def __init__(self, people: People, points: Mapping[str, Point], must_not: Callable[[str, str], None]) -> None:
        self._people = people
        self._points = points
        self._must_not = must_not
        self._made: dict[str, dict[str, str]] = defaultdict(dict)
        """Of each drill the volumes that EC2 made for it, each with its snapshot."""
        self._was_available: set[str] = set()
        self._began: dict[str, float] = {}
        self._published: dict[str, list[str]] = defaultdict(list)
        self.is_trouble_since: Callable[[float], bool] = lambda _since: True
        """Whether anything has gone wrong since a moment."""

    @property
    def number(self) -> int:
        """How many drills were seen."""
        return len(self._began)

    def before(self, request: Request) -> None:
        """One of our functions is about to change something."""
        function, named = function_of(request.caller), request.parameters
        volume = WORLD.region(request.scope.region).volumes.get(str(named.get("VolumeId", "")))
        is_of_drill = volume is not None and DRILL in volume.tags
        if function != DRILLS:
            if is_of_drill and not self._people.touched_since(0, named["VolumeId"]):
                self._must_not(ONLY, f"{function}: {request.action} {named['VolumeId']}, which is a drill's")
            return
        if request.action == "CreateVolume":
            return
        made = any(named.get("VolumeId") in volumes for volumes in self._made.values())
        if request.action != "DeleteVolume" or (volume is not None and not (made and is_of_drill)):
            self._must_not(ONLY, f"{request.action} {json.dumps(named, default=str)[:300]}")
        elif volume is not None and not volume.attachment and volume.state == "available":
            self._was_available.add(volume.volume_id)

    def after(self, request: Request, answer: Mapping[str, Any]) -> None:
        """A drill's volume was made."""
        if OURS not in request.caller or function_of(request.caller) != DRILLS or request.action != "CreateVolume":
            return
        given = [tag for spec in request.parameters["TagSpecifications"] for tag in spec["Tags"]]
        tags = {tag["Key"]: tag["Value"] for tag in given}
        if DRILL not in tags or "lifeboat:restore" in tags:
            self._must_not(ONLY, f"{answer.get('VolumeId')} is made with the tags {sorted(tags)}")
            return
        self._made[tags[DRILL]][answer["VolumeId"]] = request.parameters["SnapshotId"]

    def note_drills(self) -> None:
        """Read which drills the tables have."""
        for place, outputs in self._people.stacks.items():
            for item in stage.items("drill-open", outputs, place).values():
                self._began.setdefault(json.loads(item["document"]["S"])["id"], CLOCK.now())

    def published(self, place: Scope, message: Mapping[str, Any]) -> None:
        """A message was published on the topic of a stack in this place."""
        event, drill_id = str(message.get("event")), str(message.get("subject", {}).get("drill", ""))
        if event not in OUTCOMES:
            return
        self._published[drill_id].append(event)
        if place != stage.HOME:
            return
        made = self._made.get(drill_id, {})
        if event == "DrillPassed":
            self._check_passed(drill_id, self._points.get(message["subject"]["recovery_point"]), made)
            return
        began = self._began.get(drill_id, 0.0)
        changed = any(at >= began for at in self._people.touched.values())
        point = self._points.get(message["subject"].get("recovery_point", ""))
        found = (
            [WORLD.region(place.region).snapshots.get(item) for item in point.snapshots.values()] if point else [None]
        )
        damaged = any(item is None or find_damage(item, all_blocks=True) for item in found)
        if not (changed or damaged or self.is_trouble_since(began - HOUR)):
            self._must_not(TRUE, f"{drill_id} is published as failed, {message['details']['reason']}; all was well")

    def _check_passed(self, drill_id: str, point: Point | None, made: Mapping[str, str]) -> None:
        volumes = WORLD.region(stage.REGION).volumes
        rehearsed = {snapshot for volume, snapshot in made.items() if volume in self._was_available}
        wanted = set(point.snapshots.values()) if point else set()
        left = [v for v in made if v in volumes and volumes[v].state not in ("deleting", "deleted")]
        if not made or wanted - rehearsed:
            self._must_not(TRUE, f"{drill_id} passed, and {sorted(wanted - rehearsed)} never became a volume")
        if left and not self._people.touched_since(0, *left):
            self._must_not(TRUE, f"{drill_id} passed, and {left} are left")

    def is_open(self, place: Scope) -> bool:
        """Whether a drill of a place is open, or has left something behind."""
        if any(stage.items("drill-open", self._people.stacks[place], place)):
            return True
        volumes = WORLD.region(place.region).volumes.values()
        return any(DRILL in item.tags and item.owner == place.account for item in volumes)

    def at_the_end(self) -> None:
        """All has been calm for long: nothing of a drill is left, and each has its outcome."""
        self.note_drills()
        now, waiting = CLOCK.now(), set()
        for place, outputs in self._people.stacks.items():
            restores = stage.items("restore-open", outputs, place)
            for item in stage.items("drill-open", outputs, place).values():
                record = json.loads(item["document"]["S"])
                waiting.add(record["id"])
                is_old = now - datetime.fromisoformat(record["requested_at"]).timestamp() > OVER_WITHIN
                if is_old and not (restores and record["state"] == "waiting"):
                    self._must_not(
                        "no drill is open for long when all is calm",
                        f"{record['id']} is {record['state']} since {record['since']}: "
                        f"{record['failure'] or record['refused']}",
                    )
        for region in WORLD.regions():
            for volume in region.volumes.values():
                young = now - volume.create_time.timestamp() < OVER_WITHIN
                if DRILL in volume.tags and not young and not self._people.touched_since(0, volume.volume_id):
                    self._must_not(
                        "nothing of a drill is left when all is calm",
                        f"{volume.volume_id} of {volume.tags[DRILL]} is {volume.state}",
                    )
        for drill_id in self._began:
            if drill_id not in waiting and not self._published[drill_id]:
                self._must_not("every drill's outcome is published", f"{drill_id} has ended, and nothing was published")
