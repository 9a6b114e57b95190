"""A request by hand that is asked again: the run that it belongs to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lifeboat.by_hand.plan import PAUSES, WINDOW, Run, decide, is_under_way, key_of, key_of_run, take_over
from tests.builders import SLOT

KEY = "backup-0123456789abcdef"
MINUTE = timedelta(minutes=1)
FIRST = Run(f"{KEY}-20261123T020000Z", SLOT, "first", SLOT + 5 * MINUTE)


def asked(known, after=timedelta(0), once=True):
    now = SLOT + after
    return decide(known, KEY, lease="second", until=now + 5 * MINUTE, now=now, once=once)


def test_the_first_request_is_a_run_of_its_moment():
    run = asked(None)
    assert (run.id, run.asked_at, run.lease) == (FIRST.id, SLOT, "second")
    assert key_of_run(run.id) == KEY


@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize("after", [timedelta(0), MINUTE, timedelta(minutes=4, seconds=59)])
def test_while_it_is_under_way_the_same_request_is_that_run(once, after):
    assert asked(FIRST, after, once=once) is FIRST


def test_what_takes_longer_than_the_window_is_still_the_same_run():
    long = replace(FIRST, until=SLOT + 15 * MINUTE)
    assert asked(long, WINDOW + MINUTE) is long


@pytest.mark.parametrize("known", [replace(FIRST, until=SLOT + MINUTE), replace(FIRST, failed="EC2 refused it")])
def test_what_was_cut_off_or_failed_goes_on_as_the_same_run(known):
    run = asked(known, 2 * MINUTE)
    assert (run.id, run.asked_at) == (FIRST.id, FIRST.asked_at), "a backup's slot is when it was asked for first"
    assert (run.lease, run.failed) == ("second", "")
    assert is_under_way(run, SLOT + 2 * MINUTE)


@pytest.mark.parametrize(
    ("once", "heard", "same"), [(True, True, True), (True, False, True), (False, True, False), (False, False, True)]
)
def test_what_is_done_is_done_again_only_if_it_may_be_and_the_answer_has_arrived(once, heard, same):
    done = replace(FIRST, done_at=SLOT + MINUTE, answer={}, heard=heard)
    assert (asked(done, 2 * MINUTE, once=once) is done) is same


def taken_over(known, lease="worker", after=timedelta(0)):
    now = SLOT + after
    return take_over(known, handed_by="first", lease=lease, until=now + 5 * MINUTE, now=now)


def test_what_was_handed_over_is_taken_from_who_handed_it_over():
    run = taken_over(FIRST)
    assert (run.id, run.asked_at, run.lease) == (FIRST.id, FIRST.asked_at, "worker")


@pytest.mark.parametrize("lease", ["worker", "another"])
def test_what_failed_or_was_cut_off_is_taken_over_again(lease):
    failed = replace(FIRST, lease="worker", failed="EC2 refused it")
    assert taken_over(failed, lease) == replace(FIRST, lease=lease)
    cut_off = replace(FIRST, lease="worker", until=SLOT)
    assert taken_over(cut_off, lease, MINUTE).lease == lease


@pytest.mark.parametrize(
    "known",
    [
        replace(FIRST, lease="another"),
        replace(FIRST, done_at=SLOT, answer={}),
        replace(FIRST, refused="there is no such volume"),
    ],
)
def test_what_another_one_does_or_has_done_is_not_taken_over(known):
    assert taken_over(known) is None


def test_a_refusal_is_not_under_way_and_asked_again_it_is_looked_at_again():
    refused = replace(FIRST, refused="there is no such volume")
    assert not is_under_way(refused, SLOT)
    assert asked(refused, MINUTE) == replace(FIRST, lease="second", until=SLOT + 6 * MINUTE)


def test_a_client_waits_for_seconds_only():
    assert sum(PAUSES) < 10


@pytest.mark.parametrize("once", [True, False])
def test_after_the_window_the_same_words_are_another_run(once):
    done = replace(FIRST, done_at=SLOT + 2 * MINUTE, answer={})
    assert asked(done, WINDOW, once=once).id == f"{KEY}-20261123T021000Z"


def test_a_request_is_the_same_whatever_the_order_of_its_words():
    assert key_of("backup", {"a": 1, "b": [2]}) == key_of("backup", {"b": [2], "a": 1})
    assert key_of("backup", {"a": 1}) != key_of("backup", {"a": 2})
    assert key_of("backup", {"a": 1}) != key_of("prune", {"a": 1})
