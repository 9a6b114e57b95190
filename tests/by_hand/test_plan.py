"""Repeated requests by hand: the run that each belongs to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lifeboat.by_hand.plan import PAUSES, WINDOW, Run, decide, is_under_way, key_of, key_of_run, take_over
from tests.builders import SLOT

KEY = "backup-0123456789abcdef"
MINUTE = timedelta(minutes=1)
FIRST = Run(f"{KEY}-20261123T020000Z", SLOT, "first", SLOT + 5 * MINUTE)


def decided(known, after=timedelta(0), once=True):
    now = SLOT + after
    return decide(known, KEY, lease="second", until=now + 5 * MINUTE, now=now, once=once)


def test_the_first_request_begins_a_run():
    run = decided(None)
    assert (run.id, run.requested_at, run.lease) == (FIRST.id, SLOT, "second")
    assert key_of_run(run.id) == KEY


@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize("after", [timedelta(0), MINUTE, timedelta(minutes=4, seconds=59)])
def test_an_equal_request_belongs_to_the_run_under_way(once, after):
    assert decided(FIRST, after, once=once) is FIRST


def test_a_run_longer_than_the_window_stays_the_same_run():
    long = replace(FIRST, until=SLOT + 15 * MINUTE)
    assert decided(long, WINDOW + MINUTE) is long


@pytest.mark.parametrize("known", [replace(FIRST, until=SLOT + MINUTE), replace(FIRST, failed="EC2 refused it")])
def test_a_run_that_failed_or_was_cut_off_continues_as_the_same_run(known):
    run = decided(known, 2 * MINUTE)
    assert (run.id, run.requested_at) == (FIRST.id, FIRST.requested_at), "a backup's slot is its first request"
    assert (run.lease, run.failed) == ("second", "")
    assert is_under_way(run, SLOT + 2 * MINUTE)


@pytest.mark.parametrize(
    ("once", "delivered", "same"), [(True, True, True), (True, False, True), (False, True, False), (False, False, True)]
)
def test_a_run_is_repeated_only_after_its_answer_was_delivered(once, delivered, same):
    done = replace(FIRST, done_at=SLOT + MINUTE, answer={}, delivered=delivered)
    assert (decided(done, 2 * MINUTE, once=once) is done) is same


def taken_over(known, lease="worker", after=timedelta(0)):
    now = SLOT + after
    return take_over(known, handed_by="first", lease=lease, until=now + 5 * MINUTE, now=now)


def test_a_handed_over_run_gets_the_lease_of_its_new_invocation():
    run = taken_over(FIRST)
    assert (run.id, run.requested_at, run.lease) == (FIRST.id, FIRST.requested_at, "worker")


@pytest.mark.parametrize("lease", ["worker", "another"])
def test_a_run_that_failed_or_was_cut_off_is_taken_over_again(lease):
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
def test_a_run_that_is_done_refused_or_under_way_elsewhere_is_not_taken_over(known):
    assert taken_over(known) is None


def test_a_refused_run_is_carried_out_again_when_requested_again():
    refused = replace(FIRST, refused="there is no such volume")
    assert not is_under_way(refused, SLOT)
    assert decided(refused, MINUTE) == replace(FIRST, lease="second", until=SLOT + 6 * MINUTE)


def test_a_client_waits_for_a_few_seconds_only():
    assert sum(PAUSES) < 10


@pytest.mark.parametrize("once", [True, False])
def test_after_the_window_an_equal_request_begins_another_run(once):
    done = replace(FIRST, done_at=SLOT + 2 * MINUTE, answer={})
    assert decided(done, WINDOW, once=once).id == f"{KEY}-20261123T021000Z"


def test_the_order_of_fields_does_not_change_a_requests_key():
    assert key_of("backup", {"a": 1, "b": [2]}) == key_of("backup", {"b": [2], "a": 1})
    assert key_of("backup", {"a": 1}) != key_of("backup", {"a": 2})
    assert key_of("backup", {"a": 1}) != key_of("prune", {"a": 1})
