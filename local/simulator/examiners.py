"""The people of a world who care for what recovery points hold: they write, damage, verify, rehearse and suspect."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from local.emulator.clock import CLOCK
from local.emulator.ec2.model import WORLD, Snapshot, Volume
from local.simulator import contents, stage
from local.simulator.chance import Chance
from local.simulator.machine import MACHINE
from local.simulator.plan import Happening
from local.simulator.proofs import SUSPICION, is_open

if TYPE_CHECKING:
    from local.simulator.people import People

FORMATTED = 0.7
"""What part of the volumes has a file system; the others hold nothing at first."""
LEVELS = (None, None, "read", "sample", "full")


class Examiners:
    """What they do, by the kind of happening."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._chance = Chance(f"contents of {people.plan.seed}")
        self.acts: dict[str, Callable[[Happening], object]] = {
            "write": self._write,
            "encrypt files": self._encrypt_files,
            "damage volume": self._damage_volume,
            "damage snapshot": self._damage_snapshot,
            "verify": self._verify,
            "drill": self._drill,
            "suspect": self._suspect,
            "close suspicion": self._close_suspicion,
            "delete amid reading": self._delete_amid_reading,
            "restore proven": self._restore_proven,
        }

    def begin(self) -> None:
        """Most data volumes have a file system, and data behind it."""
        for volume in self._data_volumes():
            if self._chance.happens(FORMATTED):
                contents.format_volume(volume)
                contents.write_data(volume, self._chance.random(), self._chance)

    def _data_volumes(self) -> list[Volume]:
        known = WORLD.region(stage.REGION).instances.values()
        ids = [v for item in known for d, v in sorted(item.devices.items()) if d != item.root_device_name]
        return [WORLD.region(stage.REGION).volumes[volume_id] for volume_id in ids]

    def _write(self, happening: Happening) -> str:
        volume = happening.pick(self._data_volumes())
        if volume is None:
            return ""
        if not volume.blocks and happening.which[2] < FORMATTED:
            contents.format_volume(volume)
        return f"{contents.write_data(volume, happening.which[1], self._chance)} block of {volume.volume_id}"

    def _encrypt_files(self, happening: Happening) -> str:
        """What an intruder does to the data of a volume."""
        volume = happening.pick(self._data_volumes())
        if volume is None:
            return ""
        number = contents.write_data(volume, 0.0, self._chance, encrypted=True)
        return f"{number} blocks of {volume.volume_id}"

    def _damage_volume(self, happening: Happening) -> str:
        volume = happening.pick(self._data_volumes())
        if volume is None or not contents.damage_header(volume.blocks, happening.which[1]):
            return ""
        if happening.which[2] < 0.7:  # and a person repairs it

            def repair() -> None:
                MACHINE.sleep(happening.which[3] * 12 * 3600)
                contents.format_volume(volume)

            MACHINE.spawn(repair, "a repair")
        return volume.volume_id

    def _damage_snapshot(self, happening: Happening) -> str:
        """A block of a snapshot rots, or of a copy; or it is other bytes whenever it arrives."""
        place = happening.pick(sorted(self._people.stacks, key=str))
        if place is None:
            return ""
        known = [item for item in WORLD.region(place.region).snapshots.values() if item.owner == place.account]
        snapshot = happening.pick([item for item in known if "lifeboat:recovery-point" in item.tags], 1)
        if snapshot is None:
            return ""
        damage = contents.damage_header if happening.which[2] < 0.6 else contents.damage_on_the_way
        if not damage(snapshot.blocks, happening.which[3]):
            return ""
        self._people.touched["damage", snapshot.snapshot_id] = CLOCK.now()
        return snapshot.snapshot_id

    def _snapshots(self) -> list[Snapshot]:
        return [item for item in self._people._snapshots() if item.state == "completed"]

    def _verify(self, happening: Happening) -> str:
        snapshot, level = happening.pick(self._snapshots()), happening.pick(LEVELS, 1)
        if snapshot is None:
            return ""
        request = {"recovery_point": snapshot.tags["lifeboat:recovery-point"], **({"level": level} if level else {})}
        return f"{request}: {str(self._people.invoke('VerifySnapshotsFunction', request))[:150]}"

    def _drill(self, happening: Happening) -> str:
        snapshot = happening.pick(self._snapshots())
        known = {} if snapshot is None or happening.which[1] < 0.5 else {"lineage": _lineage(snapshot)}
        return f"{known}: {str(self._people.invoke('DrillRestoresFunction', known))[:150]}"

    def _suspect(self, happening: Happening) -> str:
        """A person finds a recovery point suspect, and tags it as the change canary does."""
        snapshot = happening.pick(self._snapshots())
        if snapshot is None:
            return ""
        value = "state=open at=2027-01-01T00:00:00Z changed=20.0% entropy=7.999"
        return self._people._tag(snapshot.snapshot_id, SUSPICION, value)

    def _close_suspicion(self, happening: Happening) -> str:
        suspected = [item for item in self._snapshots() if is_open(item)]
        snapshot = happening.pick(suspected)
        if snapshot is None:
            return ""
        request = {"close_suspicion": snapshot.tags["lifeboat:recovery-point"], "expected": happening.which[1] < 0.5}
        return f"{request}: {str(self._people.invoke('VerifySnapshotsFunction', request))[:150]}"

    def _delete_amid_reading(self, happening: Happening) -> str:
        """A person waits until a snapshot is being read back, for a quarter of an hour at most, and deletes it."""
        for _ in range(90):
            read = [item for record in self._open_ones() for item in record["readings"]]
            chosen = happening.pick(read)
            snapshot = WORLD.region(stage.REGION).snapshots.get(chosen["snapshot_id"]) if chosen else None
            if snapshot is not None:
                self._people._touch(snapshot.snapshot_id, snapshot.tags["lifeboat:recovery-point"])
                stage.client("ec2").delete_snapshot(SnapshotId=snapshot.snapshot_id)
                return snapshot.snapshot_id
            MACHINE.sleep(10)
        return ""

    def _restore_proven(self, happening: Happening) -> str:
        target = self._people._target(happening)
        return self._people._ask(happening, target, "latest-proven") if target else ""

    def _open_ones(self) -> list[dict[str, Any]]:
        items = stage.items("verify-open", self._people.outputs).values()
        return [json.loads(item["document"]["S"]) for item in items]


def _lineage(snapshot: Snapshot) -> str:
    volume = WORLD.region(stage.REGION).volumes.get(snapshot.volume_id)
    return (volume.tags.get("lifeboat:chain") if volume else None) or snapshot.volume_id
