"""The canary's records: blocks picked evenly from a list of unknown length, and a history that stays small."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from lifeboat.verify.canary import BASELINE, SAMPLED, Observation
from lifeboat.verify.canary_record import History, Picked
from tests.verify.histories import FIRST


def pick(count: int, page: int = 1000) -> Picked:
    """From a list of so many blocks, read in parts."""
    picked = Picked()
    for start in range(0, count, page):
        end = min(count, start + page)
        picked = picked.after(((index, f"token-{index}") for index in range(start, end)), end if end < count else None)
    return picked


class TestPicked:
    @pytest.mark.parametrize("count", [1, SAMPLED, 2 * SAMPLED, 2 * SAMPLED + 1, 1000, 12_345, 200_000])
    def test_few_blocks_are_kept_spread_over_the_whole_list(self, count):
        picked = pick(count)
        indexes = [index for index, _ in picked.blocks]
        assert picked.count == count
        assert picked.next_block is None
        assert len(picked.kept) <= 2 * SAMPLED
        assert len(indexes) == min(count, SAMPLED)
        gaps = [after - before for before, after in pairwise(indexes)]
        assert max(gaps, default=0) <= 3 * count / SAMPLED
        assert indexes[0] <= 2 * count / SAMPLED
        assert indexes[-1] >= count - 1 - 4 * count / SAMPLED

    def test_the_parts_in_which_the_list_is_read_do_not_matter(self):
        assert pick(5000, page=7) == pick(5000, page=4999)

    def test_each_block_keeps_its_own_token(self):
        assert all(token == f"token-{index}" for index, token in pick(10_000).kept)

    def test_an_empty_list_has_nothing_to_sample(self):
        assert Picked().after((), None).blocks == []


def observed(number: int, *, suspected: bool = False) -> Observation:
    return Observation(f"rp-{number}", FIRST + timedelta(days=number), 0.1, 6.0, 0.0, 6.5, 0.1, suspected)


class TestHistory:
    def test_it_keeps_the_newest_and_as_many_suspected_ones(self):
        history = History("vol-1")
        for number in range(60):
            history = history.with_observation(observed(number, suspected=number % 3 == 0))
        usual = [item for item in history.observations if not item.suspected]
        suspected = [item for item in history.observations if item.suspected]
        assert [len(usual), len(suspected)] == [BASELINE, BASELINE]
        assert [item.point_id for item in usual[-2:]] == ["rp-58", "rp-59"] or usual[-1].point_id == "rp-59"
        assert list(history.observations) == sorted(history.observations, key=lambda item: item.taken_at)

    def test_one_that_is_observed_again_takes_the_place_of_the_first(self):
        history = History("vol-1").with_observation(observed(1)).with_observation(replace(observed(1), changed=0.5))
        assert [item.changed for item in history.observations] == [0.5]

    def test_an_older_one_that_comes_late_is_put_in_its_place(self):
        history = History("vol-1").with_observation(observed(2)).with_observation(observed(1))
        assert [item.point_id for item in history.observations] == ["rp-1", "rp-2"]

    def test_an_expected_one_is_no_longer_suspected(self):
        history = History("vol-1").with_observation(observed(1, suspected=True)).with_expected("rp-1")
        assert not history.of("rp-1").suspected
        assert history.with_expected("rp-2") is history
