"""As many instances as EC2 takes filter values in one call, about: each gets its recovery point, without LargeRuns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.e2e.stage import Stage, events_of, staged, tags_of

GROWING = {"2026-11-23T02:00:00Z": 198, "2026-11-23T03:00:00Z": 199, "2026-11-23T04:00:00Z": 400}
"""How many instances there are when a slot is due. EC2 takes 200 filter values a call, those of all filters, and of
the snapshots of a slot and of open backups more is asked than whose they are."""
AT_ONCE = 200
"""How many the local AWS launches in one call, at most."""


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as made:
        made.control.event_fault("drop", count=0)  # what EC2's events start is not what this is about
        yield made


def test_198_199_and_400_instances_get_their_recovery_points_without_a_large_run(stage: Stage) -> None:
    there: set[str] = set()
    for slot, wanted in GROWING.items():
        while missing := wanted - len(there):
            there |= {machine.instance_id for machine in stage.launch(min(missing, AT_ONCE))}
        stage.control.fire_schedule("TakeSnapshotsFunctionSlot", slot)
        stage.control.settle()
        made = stage.recovery_point_snapshots(("tag:lifeboat:slot", slot))
        assert Counter(tags_of(item)["lifeboat:instance"] for item in made) == dict.fromkeys(there, 1)
        assert {item["State"] for item in made} == {"completed"}
    assert "BackupFailed" not in events_of(stage.messages())
    assert stage.denied() == []
    assert stage.failed_events() == []
    refused = {call["error"] for call in stage.control.calls(service="ec2", caller="assumed-role") if call["error"]}
    assert refused == set()
