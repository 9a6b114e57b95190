"""Pre-flight of the proof: latest-proven, and what the plan says of a proven, a failed and an unread recovery point."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from lifeboat.domain.proof import Level, Proof, Result, write_proof
from lifeboat.restore import request
from lifeboat.restore.preflight.check import preflight
from lifeboat.restore.preflight.facts import Severity
from lifeboat.restore.request import RecoveryPointChoice
from tests.builders import DATA, PLATFORM, SLOT
from tests.restore.preflight_cases import FRESH, NOW, another, asked, codes, known, points

DAY = timedelta(days=1)
PROVEN = RecoveryPointChoice(proven=True)


def verified(number: int, at: datetime = SLOT, result: Result = Result.PROVEN, **facts: Any) -> Any:
    made = another(number, at, **facts)
    return replace(made, tags={**made.tags, **write_proof(Proof(result, Level.READ, at + timedelta(hours=1)))})


LINEAGE = points(
    verified(1),
    verified(2, SLOT + DAY),
    verified(3, SLOT + 2 * DAY, Result.FAILED),
    another(4, SLOT + 3 * DAY),
    verified(5, SLOT + 4 * DAY, state="error"),
)


@pytest.mark.parametrize(
    ("choice", "chosen"),
    [
        (RecoveryPointChoice(), "rp-4"),
        (PROVEN, "rp-2"),
        (RecoveryPointChoice(proven=True, instance_id=PLATFORM), "rp-2"),
        (RecoveryPointChoice(proven=True, lineage=DATA, before=SLOT + DAY), "rp-1"),
    ],
    ids=["latest", "latest-proven", "of an instance", "of a lineage, before a time"],
)
def test_latest_proven_is_the_newest_good_one_that_was_read_back(choice, chosen):
    found = preflight(asked(recovery_point=choice), known(points=LINEAGE), NOW + 9 * DAY)
    assert found.plan is not None, found.text
    assert found.plan.recovery_point_id == chosen


def suspect(made: Any, value: str = "state=open") -> Any:
    return replace(made, tags={**made.tags, "lifeboat:suspect": value})


@pytest.mark.parametrize(("value", "chosen"), [("state=open", "rp-1"), ("state=closed", "rp-2")])
def test_latest_proven_is_not_suspect_and_a_suspect_one_is_named_in_the_plan(value, chosen):
    catalogue = points(verified(1), suspect(verified(2, SLOT + DAY), value))
    found = preflight(asked(recovery_point=PROVEN), known(points=catalogue), NOW + 9 * DAY)
    assert found.plan is not None, found.text
    assert found.plan.recovery_point_id == chosen
    newest = preflight(asked(recovery_point=RecoveryPointChoice(id="rp-2")), known(points=catalogue), NOW + 9 * DAY)
    assert codes(newest, Severity.WARN) == (["suspect"] if chosen == "rp-1" else [])
    assert (": rp-2 is suspect: its data may have been encrypted; the newest proven one is rp-1" in newest.text) == (
        chosen == "rp-1"
    )


def test_a_copy_of_a_suspect_one_is_not_latest_proven():
    here = points(verified(1), suspect(verified(2, SLOT + DAY)))
    away = tuple(replace(point, region="eu-central-1") for point in points(verified(2, SLOT + DAY)))
    found = preflight(asked(recovery_point=PROVEN), known(points=here, elsewhere=away), NOW + 9 * DAY)
    assert found.plan is not None, found.text
    assert found.plan.recovery_point_id == "rp-1"


@pytest.mark.parametrize("catalogue", [points(another(1)), points(verified(1, result=Result.FAILED)), ()])
def test_latest_proven_is_refused_with_one_sentence_if_none_is(catalogue):
    found = preflight(asked(recovery_point=PROVEN), known(points=catalogue), NOW)
    assert codes(found) == ["no-proven-recovery-point"]
    assert found.findings[0].sentence.startswith("No good recovery point of the stack lifeboat is proven; verify one")


def test_a_proven_copy_elsewhere_is_found():
    here = points(another(1))
    away = tuple(replace(point, region="eu-central-1") for point in points(verified(1)))
    found = preflight(asked(recovery_point=PROVEN), known(points=here, elsewhere=away), NOW)
    assert found.plan is not None, found.text
    assert found.plan.volumes[0].fetch is not None


@pytest.mark.parametrize(
    ("named", "line"),
    [
        ("rp-2", "- rp-2 is proven: it was read back at the level read, at 2026-11-24T03:00:00Z"),
        ("rp-4", "- rp-4 is not proven; the newest proven one is rp-2, taken at 2026-11-24T02:00:00Z"),
        (
            "rp-3",
            "WARN verification-failed: rp-3 failed its verification at 2026-11-25T03:00:00Z; the newest proven one",
        ),
    ],
)
def test_the_plan_says_what_is_known_of_the_chosen_one(named, line):
    facts = known(points=[point for point in LINEAGE if point.id == named], same_instance=LINEAGE)
    found = preflight(asked(recovery_point=RecoveryPointChoice(id=named)), facts, NOW + 9 * DAY)
    assert [item for item in found.text.splitlines() if item.startswith(line)] != []
    standing = {"rp-2": "proven", "rp-3": "VERIFICATION FAILED", "rp-4": "not proven"}[named]
    assert found.text.splitlines()[0].endswith(f", {standing}.")
    assert codes(found, Severity.WARN) == (["verification-failed"] if named == "rp-3" else [])


@pytest.mark.parametrize(
    ("typed", "choice"),
    [
        ("latest-proven", PROVEN),
        ({"instance_id": PLATFORM, "proven": True}, RecoveryPointChoice(instance_id=PLATFORM, proven=True)),
        ({"lineage": DATA}, RecoveryPointChoice(lineage=DATA)),
    ],
)
def test_a_request_may_ask_for_a_proven_one(typed, choice):
    parsed: Any = request.parse_restore({"instance_id": FRESH, "recovery_point": typed})
    assert parsed.recovery_point == choice
