"""The change canary: mass encryption is found within one backup, and ordinary days are not taken for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from lifeboat.aws.table import to_json
from lifeboat.verify import canary
from lifeboat.verify.canary import BASELINE, LEAST, RANDOM, Sample, Verdict, judge
from tests.verify.histories import DAYS, FIRST, History

HISTORIES = 50


def verdicts(samples: Iterable[Sample]) -> list[Verdict]:
    """One after another, each with the observations before it."""
    found: list[Verdict] = []
    for sample in samples:
        found.append(judge(sample, [verdict.observation for verdict in found[-2 * BASELINE :]]))
    return found


class TestHistories:
    """The seeds are not those with which the numbers of the rule were chosen."""

    def test_encryption_of_a_fifth_of_the_files_is_found_at_once_in_all(self, show_figure):
        found = early = 0
        for number in range(HISTORIES):
            history = History(f"test {number}", encrypted=True)
            suspect = [verdict.suspect for verdict in verdicts(history.days())]
            found += suspect[history.encrypted_on]
            early += any(suspect[: history.encrypted_on])
        show_figure(
            f"canary: {found} of {HISTORIES} encryptions found in the first backup, {early} false alarms before"
        )
        assert found == HISTORIES
        assert early <= 1

    def test_at_most_one_of_the_others_raises_a_false_alarm(self, show_figure):
        false = 0
        for number in range(HISTORIES):
            false += any(verdict.suspect for verdict in verdicts(History(f"test {number}", encrypted=False).days()))
        show_figure(f"canary: {false} false alarms in {HISTORIES} histories of {DAYS} days")
        assert false <= 1


def day(number: int, changed: float = 0.03, entropy: float = 5.0, held: float = 5.5, pieces: int = 64) -> Sample:
    """A day's sample in which all changed data has one entropy, and all data but a fifth another."""
    return Sample(
        point_id=f"rp-{number}",
        taken_at=FIRST + timedelta(days=number),
        changed_blocks=round(1000 * changed),
        written_blocks=1000,
        changed=(entropy,) * pieces,
        held=(held,) * 64,
    )


USUAL = [day(number, changed=0.02 + 0.001 * (number % 5)) for number in range(20)]


def after(samples: Iterable[Sample], last: Sample) -> Verdict:
    return verdicts([*samples, last])[-1]


class TestJudge:
    @pytest.mark.parametrize(
        ("changed", "entropy", "suspect"),
        [
            pytest.param(0.2, RANDOM, True, id="a fifth became random"),
            pytest.param(0.9, RANDOM, True, id="nearly all became random"),
            pytest.param(0.9, 5.4, False, id="nearly all changed, with data as before"),
            pytest.param(0.04, RANDOM, False, id="little changed, all of it random"),
            pytest.param(0.0, 0.0, False, id="nothing changed"),
        ],
    )
    def test_both_the_share_and_the_randomness_must_be_unusual(self, changed, entropy, suspect):
        assert after(USUAL, day(20, changed, entropy)).suspect is suspect

    def test_the_verdict_has_the_numbers_and_what_is_usual(self):
        verdict = after(USUAL, day(20, 0.25, RANDOM))
        assert verdict.observation.changed == 0.25
        assert verdict.observation.scrambled == pytest.approx(0.25)
        assert verdict.usual.changed == pytest.approx(0.022)
        assert verdict.usual.entropy == 5.0
        assert verdict.reason == "the scrambled share is 25.0%, more than the lineage's own limit of 7.0%"

    def test_too_short_a_history_gives_no_verdict_and_says_so(self):
        verdict = after(USUAL[: LEAST - 1], day(20, 0.9, RANDOM))
        assert not verdict.suspect
        assert verdict.reason == "no verdict: 6 earlier observations, expected at least 7"

    def test_data_that_is_already_random_gives_no_verdict_and_says_so(self):
        verdict = after([day(number, held=7.9999) for number in range(20)], day(20, 0.9, 7.9999))
        assert verdict.reason == "no verdict: the lineage's data is as random as encrypted data"

    def test_what_is_usual_in_a_lineage_is_not_suspect_there(self):
        dumps = [day(number, changed=0.15, entropy=RANDOM) if number % 7 == 6 else day(number) for number in range(27)]
        assert not any(verdict.suspect for verdict in verdicts([*dumps, day(27, 0.16, RANDOM)])[8:])
        assert after(dumps, day(27, 0.3, RANDOM)).suspect

    def test_a_suspected_one_never_becomes_usual(self):
        attack = [day(number, 0.2, RANDOM) for number in range(20, 30)]
        assert all(verdict.suspect for verdict in verdicts([*USUAL, *attack])[20:])

    def test_one_that_a_person_called_expected_becomes_usual(self):
        history = [verdict.observation for verdict in verdicts([*USUAL, day(20, 0.2, RANDOM)])]
        history[-1] = replace(history[-1], suspected=False)
        assert not judge(day(21, 0.2, RANDOM), history).suspect

    def test_only_earlier_ones_count_and_never_the_same_recovery_point(self):
        history = [verdict.observation for verdict in verdicts([*USUAL, day(20, 0.2, RANDOM)])]
        first = judge(day(20, 0.2, RANDOM), history[:-1])
        later = [replace(item, taken_at=item.taken_at + timedelta(days=60), scrambled=0.9) for item in history]
        assert judge(day(20, 0.2, RANDOM), [*later, *history][::-1]) == first

    def test_an_empty_volume_is_no_suspicion(self):
        nothing = replace(day(20), changed_blocks=0, written_blocks=0, changed=(), held=())
        assert after([replace(item, held=()) for item in USUAL], nothing).suspect is False


class TestEntropies:
    def test_random_bytes_reach_the_limit_and_text_does_not(self):
        block = Random("block").randbytes(512 * 1024)
        assert canary.entropies(block) == pytest.approx((RANDOM, RANDOM), abs=0.002)
        assert max(canary.entropies(b"the same words again " * 30_000)) < 4
        assert canary.entropies(bytes(512 * 1024)) == (0, 0)

    def test_the_two_pieces_are_different_parts_of_the_block(self):
        half = Random("block").randbytes(256 * 1024)
        assert canary.entropies(half + bytes(256 * 1024)) == pytest.approx((RANDOM, 0), abs=0.002)

    def test_a_short_block_has_fewer_pieces(self):
        assert canary.entropies(b"") == ()


def test_an_observation_is_small():
    """Fourteen of them and what is suspected lie in one document."""
    observed = replace(after(USUAL, day(20, 0.25, 7.123456789)).observation, point_id=f"rp-{'0' * 36}")
    assert len(to_json(observed)) * BASELINE < 4_000
