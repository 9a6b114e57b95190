"""What is compared of a recovery point and its copy, and whose digests are taken over."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.proof import Level, Proof, Result, write_proof
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.verify import comparison, plan
from lifeboat.verify.comparison import Comparison, Pair
from lifeboat.verify.digests import Difference
from tests.builders import SLOT, point_tags, snapshot, volume

NOW = SLOT + timedelta(hours=1)
PAIR = Pair("snap-1", "snap-2", "/dev/sdh", 1, NOW)
RECORD = Comparison("rp-1", "eu-central-1", Level.FULL, NOW, 0, (PAIR,))


def point(day: int, proof: Result | None = Result.PROVEN, **facts: Any) -> RecoveryPoint:
    at = SLOT + timedelta(days=day)
    tags = point_tags(volume(), recovery_point_id=f"rp-{day}", set_id=f"set-{day}", slot=at)
    tags |= write_proof(Proof(proof, Level.FULL, at)) if proof else {}
    made = snapshot(id=f"snap-{day}", volume_id=volume().id, started_at=at, completed_at=at, tags=tags, **facts)
    [found] = read_catalogue([made]).points
    return found


@pytest.mark.parametrize(
    ("lineage", "found"),
    [
        pytest.param([point(1), point(2)], ["snap-2", "snap-1"], id="the newest first"),
        pytest.param([point(1), point(2, None)], ["snap-1"], id="not read back"),
        pytest.param([point(1, Result.FAILED)], [], id="failed"),
        pytest.param([point(1, state="error")], [], id="in error"),
        pytest.param([point(3), point(4)], [], id="itself and a later one"),
    ],
)
def test_digests_are_taken_over_from_older_proven_recovery_points(lineage, found):
    assert [name for name, _ in plan.earlier_proven(point(3), "snap-3", lineage)] == found


@pytest.mark.parametrize(
    ("level", "in_both", "both_known", "compared"),
    [
        (Level.FULL, True, False, True),
        (Level.SAMPLE, True, False, False),
        (Level.SAMPLE, False, False, True),
        (Level.SAMPLE, True, True, True),
    ],
    ids=["full", "not its turn", "in one only", "it costs nothing"],
)
def test_a_block_is_compared_in_its_turn_or_where_it_shows_something(level, in_both, both_known, compared):
    assert comparison.is_compared(17, level, 0, in_both=in_both, both_known=both_known) is compared


def test_copies_that_are_missing_or_not_complete_are_not_compared():
    copy = snapshot(id="snap-c", tags={"lifeboat:copy-of": "snap-1"})
    assert comparison.find_pairs(point(1), []) == "a copy is missing"
    assert comparison.find_pairs(point(1), [replace(copy, state="pending")]) == "a copy is not complete"
    [pair] = comparison.find_pairs(point(1), [copy])
    assert (pair.source_id, pair.copy_id) == ("snap-1", "snap-c")


@pytest.mark.parametrize(
    ("code", "passes", "after", "paused"),
    [
        ("RequestThrottledException", True, timedelta(), True),
        ("RequestThrottledException", True, plan.REFUSED_FOR, False),
        (plan.NOT_FOUND, False, timedelta(minutes=1), True),
        (plan.NOT_FOUND, False, plan.READABLE_WITHIN, False),
        ("AccessDeniedException", False, timedelta(), False),
    ],
)
def test_a_refusal_that_time_mends_is_a_pause_and_any_other_the_failure(code, passes, after, paused):
    begun = replace(RECORD, refused_since=NOW) if passes else RECORD
    found = comparison.after_refusal(begun, PAIR, "said so", NOW + after, code=code, passes=passes)
    assert (found.not_before is not None, found.done) == (paused, not paused)
    assert ("said so" in found.pairs[0].failure) is not paused


def test_the_message_names_both_sides_and_equal_pairs_have_no_failure():
    other = replace(PAIR, copy_id="snap-3", found=Difference(24, 1, (17,)))
    shown = comparison.as_verification(replace(RECORD, pairs=(PAIR, other)), "eu-west-1")
    assert [item.failure for item in shown.readings] == [
        "",
        "it is not equal to snap-1 in eu-west-1: of the blocks, 1 of 24 compared blocks differs: 17",
    ]
