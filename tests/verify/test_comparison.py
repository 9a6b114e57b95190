"""What is compared of a recovery point and its copy, and whose digests are taken over."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.proof import Level, Proof, Result, write_proof
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.domain.tags import Tag
from lifeboat.verify import comparison, plan
from lifeboat.verify.comparison import Comparison, Pair
from lifeboat.verify.digests import Difference
from lifeboat.verify.record import Phase, Reading, Verification
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


def kept(day: int, proof: Proof | None = None, state: str = "completed") -> RecoveryPoint:
    """A vault's copy of snap-source-<day>."""
    at = SLOT + timedelta(days=day)
    found = point_tags(volume(), recovery_point_id=f"rp-{day}", set_id=f"set-{day}", slot=at)
    found |= {Tag.COPY_OF: f"snap-source-{day}", Tag.SOURCE_ACCOUNT: "222233334444"}
    found |= write_proof(proof) if proof else {}
    made = snapshot(id=f"snap-{day}", volume_id=volume().id, started_at=at, completed_at=at, tags=found, state=state)
    [point_] = read_catalogue([made]).points
    return point_


def test_a_vaults_copy_is_compared_with_the_snapshot_that_its_tag_names():
    [pair] = comparison.find_kept_pairs(kept(1))
    assert (pair.source_id, pair.copy_id) == ("snap-source-1", "snap-1")
    assert comparison.source_account(kept(1)) == "222233334444"
    assert "no copy in a vault" in str(comparison.find_kept_pairs(point(1)))
    assert comparison.find_kept_pairs(kept(1, state="pending")) == "the copy is pending"


def test_the_digests_of_a_vaults_source_are_those_of_the_sources_of_older_proven_copies():
    proven = Proof(Result.PROVEN, Level.FULL, NOW)
    lineage = [kept(1, proven), kept(2, proven), kept(3)]
    assert [name for name, _ in comparison.earlier_sources(kept(4), "snap-4", [*lineage, kept(4)])] == [
        "snap-source-2",
        "snap-source-1",
    ]


def test_what_is_unequal_fails_whatever_reading_it_back_shows():
    unequal = Proof(Result.FAILED, Level.FULL, NOW, unequal=True)
    reading = Reading("snap-1", "/dev/sdh", 1, NOW, Phase.DONE)
    record = Verification("rp-1", Level.READ, NOW, 0, readings=(reading,))
    for copy, failure in (
        (kept(1, unequal), comparison.UNEQUAL),
        (kept(1, replace(unequal, unequal=False)), ""),
        (kept(1), ""),
    ):
        assert comparison.fail_unequal(record, copy).readings[0].failure == failure
    known = replace(record, readings=(replace(reading, failure="damaged"),))
    assert comparison.fail_unequal(known, kept(1, unequal)) == known


def test_a_sample_has_as_many_turns_as_there_are_parts_and_no_other_level_has_a_second_one():
    done = replace(RECORD, level=Level.SAMPLE, turn=11, pairs=(replace(PAIR, next_block=9, done=True),))
    following = comparison.next_turn(done, NOW)
    assert following == replace(done, turn=0, turns_done=1, pairs=(), not_before=NOW + comparison.TURN_EVERY)
    assert comparison.next_turn(replace(done, turns_done=plan.PARTS - 1), NOW) is None
    assert comparison.next_turn(RECORD, NOW) is None


def test_newer_are_the_good_ones_of_all_its_lineages():
    lineage = [point(1), point(2), point(3), point(4, state="error")]
    assert [item.id for item in comparison.newer_of_lineages(point(2), lineage)] == ["rp-3"]
    assert comparison.newer_of_lineages(point(3), lineage) == []


def test_what_is_wrong_with_a_copy_stands_before_what_was_refused():
    refused = replace(PAIR, copy_id="snap-0", failure="AWS refused", refused=True)
    wrong = replace(PAIR, found=Difference(24, 1, (17,)))
    shown = comparison.as_verification(replace(RECORD, pairs=(refused, wrong)), "account 222233334444")
    assert [item.snapshot_id for item in shown.readings] == ["snap-2", "snap-0"]


def test_the_message_names_both_sides_and_equal_pairs_have_no_failure():
    other = replace(PAIR, copy_id="snap-3", found=Difference(24, 1, (17,)))
    shown = comparison.as_verification(replace(RECORD, pairs=(PAIR, other)), "eu-west-1")
    assert [item.failure for item in shown.readings] == [
        "",
        "it is not equal to snap-1 in eu-west-1: of the blocks, 1 of 24 compared blocks differs: 17",
    ]
