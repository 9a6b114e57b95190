"""Whatever goes wrong with a copy that a restore needs, it ends on the restored volume, or as if it had never begun."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from lifeboat.restore.machine.history import restore_id
from local import stack
from local.session import REGION, LocalAws
from tests.e2e.fetch_cases import COPY_SECONDS, copies
from tests.e2e.migrate_cases import AWAY, DISK, FRESH_DEVICE, SMALL
from tests.e2e.restore_cases import EFFECTS
from tests.e2e.stage import DEVICE, SETTINGS, Machine, Regions, Stage, events_of, tags_of

SNAPSHOT_EVENT = "EBS Snapshot Notification"


@pytest.fixture(scope="module")
def deployed() -> Iterator[Regions]:
    with LocalAws({**SETTINGS, "delays": {"copy": COPY_SECONDS}}) as aws:
        yield Regions(Stage(aws, {}), Stage(aws, {"RestoreFromRegions": REGION}, region=AWAY))


@dataclass
class Case:
    """What goes wrong with a fetch, and how it must end."""

    name: str
    before: Callable[[Regions, str], None]
    ends: str = "completed"
    copies: int = 1
    answered: bool = True
    said: str = ""


def of_call(name: str, **ending: Any) -> Case:
    effect, more = EFFECTS[name]

    def before(regions: Regions, source: str) -> None:
        regions.away.control.fault("CopySnapshot", effect, resource=source, **more)

    return Case(f"CopySnapshot {name}", before, **ending)


def of_event(effect: str, **more: Any) -> Case:
    def before(regions: Regions, source: str) -> None:
        regions.away.control.event_fault(effect, detail_type=SNAPSHOT_EVENT, containing=source, **more)

    return Case(f"the copy's event {effect}", before)


def key_is_of_no_use(regions: Regions, source: str) -> None:
    regions.away.control.fail_creation("copy", resource=source, cause="Given key ID is not accessible")


def twenty_are_under_way(regions: Regions, source: str) -> None:
    regions.away.control.fault("CopySnapshot", "fail", resource=source, code="ResourceLimitExceeded", count=2)


def volume_is_refused(regions: Regions, source: str) -> None:
    """Of the copy, whose id nobody knows yet: by the size of this test's own disk."""
    regions.away.control.fault("CreateVolume", "fail", resource="Size=43", **EFFECTS["refused"][1])


ROLLED_BACK = {"ends": "rolled_back", "copies": 0}
CASES = [
    of_call("throttled"),
    of_call("refused", said="UnauthorizedOperation", **ROLLED_BACK),
    of_call("failed inside AWS"),
    of_call("done but answered with an error"),
    of_call("function killed right after it", answered=False),
    of_call("function killed right before it", answered=False),
    of_event("drop"),
    of_event("double"),
    of_event("delay", seconds=1.0),
    Case("a key that may not be used", key_is_of_no_use, "rolled_back", said="Given key ID is not accessible"),
    Case("twenty copies are under way", twenty_are_under_way),
    Case("the volume is refused when the copy is here", volume_is_refused, "rolled_back", said="UnauthorizedOperation"),
]


@dataclass(frozen=True)
class Played:
    """A case that has been played: its machine before, and all that came of it."""

    target: Machine
    point: str
    launched: Any
    record: dict[str, Any]


@pytest.fixture(scope="module")
def played(deployed: Regions) -> dict[str, Played]:
    """All cases at once: each on a platform, a recovery point and a fresh machine of its own."""
    home, away = deployed.home, deployed.away
    disks = [{**DISK, "VolumeSize": 43 if case.before is volume_is_refused else 42} for case in CASES]
    platforms = [home.launch(disks={DEVICE: disk})[0] for disk in disks]
    snapshots = home.back_up(*(platform.instance_id for platform in platforms))
    targets = away.launch(len(CASES), zone=f"{AWAY}b", disks={FRESH_DEVICE: SMALL})
    launched = [away.instance(target.instance_id)["LaunchTime"] for target in targets]
    points = [tags_of(snapshots[platform.volume_id])["lifeboat:recovery-point"] for platform in platforms]
    for case, platform in zip(CASES, platforms, strict=True):
        case.before(deployed, snapshots[platform.volume_id]["SnapshotId"])

    def begin(case: Case, target: Machine, point: str) -> None:
        ask = {"instance_id": target.instance_id, "recovery_point": point, "request_id": target.instance_id}
        answer = stack.invoke(away.aws, away.outputs["RestoreVolumeFunction"], ask, region=AWAY)
        assert (answer.error is None) is case.answered, (case.name, answer)

    with ThreadPoolExecutor(2) as together:
        list(together.map(begin, CASES, targets, points))
    ours = {restore_id(target.instance_id): case for case, target in zip(CASES, targets, strict=True)}
    away.reconcile_until(lambda: not ours.keys() & away.open_restores(), what="the end of all cases")
    away.control.settle()
    hit = {fault["number"]: fault["hits"] for fault in [*away.control.faults(), *away.control.event_faults()]}
    assert all(hit.values()), "every fault was met"
    return {
        case.name: Played(target, point, at, away.status(restore_id(target.instance_id)))
        for case, target, point, at in zip(CASES, targets, points, launched, strict=True)
    }


@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_a_fetch_survives(deployed: Regions, played: dict[str, Played], name: str) -> None:
    [case] = (item for item in CASES if item.name == name)
    away, run = deployed.away, played[name]
    metadata = "\n".join(run.record["timeline"])
    assert run.record["status"] == case.ends, metadata
    assert case.said in (run.record["failure"] or ""), metadata
    found = Counter(tags_of(copy)["lifeboat:copy-of"] for copy in copies(away, run.point))
    assert found.total() == case.copies, "none lost, none doubled"
    messages = away.published_about(restore_id=run.record["restore_id"])
    ending = "RestoreCompleted" if case.ends == "completed" else "RestoreRolledBack"
    assert events_of(messages) == ["RestoreStarted", ending], metadata
    assert away.power(run.target.instance_id) == "running"
    if case.ends == "rolled_back":
        assert away.disks(run.target.instance_id)[FRESH_DEVICE][0] == run.target.volume_id
        assert away.instance(run.target.instance_id)["LaunchTime"] == run.launched, "it was never stopped"
        assert away.made_by(run.record["restore_id"]) == []
    else:
        [(volume_id, _)] = away.disks(run.target.instance_id).values()
        [copy] = copies(away, run.point)
        assert away.volume(volume_id)["SnapshotId"] == copy["SnapshotId"]


def test_no_call_was_denied_but_by_a_fault(deployed: Regions, played: dict[str, Played]) -> None:
    refused = sum(fault["hits"] for fault in deployed.away.control.faults() if fault["code"] == "UnauthorizedOperation")
    assert len(deployed.away.denied()) == refused == 2
