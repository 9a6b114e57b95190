"""Large runs: batches of bounded duration, the id of a run, and the key of its outcome."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeboat.backup import large_run, request
from lifeboat.backup.batch import BatchResult, Run
from lifeboat.domain.rate_limit import CREATE_SNAPSHOTS_BURST, CREATE_SNAPSHOTS_REFILL

SLOT = datetime(2026, 11, 23, 2, tzinfo=UTC)
LAMBDA_TIMEOUT = 60


def ids(count: int) -> list[str]:
    return [f"i-{number:017x}" for number in range(count)]


def batches(count: int, share: int = 100):
    return large_run.batches(ids(count), share=share, run="r", slot=SLOT)


@given(st.integers(0, 12_000), st.integers(5, 100))
def test_every_instance_is_in_one_batch_and_no_batch_lasts_too_long(count, share):
    made = batches(count, share)
    assert [item for batch in made for item in batch.instance_ids] == ids(count)
    assert [batch.number for batch in made] == list(range(1, len(made) + 1))
    assert {batch.of for batch in made} <= {len(made)}
    rate = CREATE_SNAPSHOTS_REFILL * share / 100 / large_run.WORKERS
    for batch in made:
        calls = len(batch.instance_ids)
        assert calls == 1 or calls / rate <= large_run.BATCH_SECONDS + 1e-9
        assert calls / rate <= LAMBDA_TIMEOUT - 20, "what one invocation has before it must publish and return"
    sizes = {len(batch.instance_ids) for batch in made}
    assert not sizes or max(sizes) - min(sizes) <= 1, "all workers end at about the same time"


@given(st.integers(26, 12_000), st.integers(5, 100))
def test_the_batches_together_may_call_at_once_no_more_than_the_share_of_a_full_bucket(count, share):
    made = batches(count, share)
    at_once = sum(batch.at_once for batch in made)
    assert at_once <= CREATE_SNAPSHOTS_BURST * share / 100
    assert all(0 <= batch.at_once <= len(batch.instance_ids) for batch in made)


def test_a_thousand_instances_are_40_batches():
    made = batches(1000)
    assert len(made) == 40
    assert len(made) % large_run.WORKERS == 0
    assert max(len(batch.instance_ids) for batch in made) == 25


def test_a_queue_message_is_parsed_as_the_same_batch():
    for batch in (*batches(100), replace(batches(30)[0], late=True)):
        record = {
            "eventSource": "aws:sqs",
            "messageId": "m",
            "receiptHandle": "h",
            "body": large_run.message_body(batch),
        }
        assert request.parse_take({"Records": [record]}).batch == batch
        assert len(json.dumps(record)) < 20_000, "ten of them are one batch of at most 256 KB"


def test_a_run_is_known_by_its_slot_and_its_instances_in_any_order():
    run = large_run.run_id(SLOT, ids(3))
    assert run == large_run.run_id(SLOT, reversed(ids(3)))
    assert run.startswith("2026-11-23T02:00:00Z/")
    others = [
        large_run.run_id(SLOT + timedelta(days=1), ids(3)),
        large_run.run_id(SLOT, ids(4)),
        large_run.run_id(SLOT, ids(3), "asked again"),
    ]
    assert len({run, *others}) == 4


def test_a_batch_is_tried_five_times_over_some_minutes():
    delays = [large_run.retry_delay(attempt) for attempt in range(1, 7)]
    assert delays == [30, 60, 120, 240, None, None]


@pytest.mark.parametrize(("share", "workers", "expected"), [(50, 1, 2.5), (50, 4, 0.625), (5, 1, 0.25)])
def test_a_share_of_the_rate_is_held(share, workers, expected):
    pace = large_run.pace(share, workers=workers, since=0.0, at_once=0)
    at = 0.0
    for _ in range(20):
        at += pace.delay(at)
        pace.granted(at)
    assert at == pytest.approx(20 / expected)


def test_the_whole_is_taken_as_it_comes():
    pace = large_run.pace(100, workers=4, since=0.0, at_once=0)
    for _ in range(1000):
        assert pace.delay(0.0) == 0
        pace.granted(0.0)


RUN = Run("r", SLOT, late=False, planned_at=SLOT, instances=1000, batches=28)
HERE = BatchResult(begun=("i-1",))


def test_a_run_is_cut_off_when_all_its_time_has_passed_twice():
    longest = 2 * (timedelta(seconds=200) + large_run.CUT_OFF_MARGIN)
    assert not large_run.is_cut_off(RUN, SLOT + longest, share=100)
    assert large_run.is_cut_off(RUN, SLOT + longest + timedelta(seconds=1), share=100)
    assert not large_run.is_cut_off(RUN, SLOT + longest + timedelta(seconds=1), share=50)
    whole = replace(RUN, done=frozenset(range(1, 29)))
    assert not large_run.is_cut_off(whole, SLOT + timedelta(days=1), share=100)


def test_what_all_attempts_allow_is_within_the_patience():
    waited = sum(delay for attempt in range(1, large_run.ATTEMPTS) if (delay := large_run.retry_delay(attempt)))
    assert timedelta(seconds=waited + large_run.ATTEMPTS * LAMBDA_TIMEOUT) < large_run.CUT_OFF_MARGIN


def test_the_results_of_batches_are_combined():
    failed = BatchResult(begun=("i-3",), skipped=("i-4",), failed=(("i-2", "no"),))
    assert large_run.combined([failed, HERE]) == BatchResult(("i-1", "i-3"), ("i-4",), (("i-2", "no"),))


def test_the_same_failures_of_a_slot_have_one_key_and_others_another():
    def key(late=False, run="r", *failed: str) -> str:
        outcome = BatchResult(failed=tuple((item, "no") for item in failed))
        return large_run.message_key(replace(RUN, id=run, late=late), outcome)

    assert key(True, "first catch-up", "i-1") == key(True, "second catch-up", "i-1")
    assert len({key(True, "r", "i-1"), key(True, "r", "i-2"), key(False, "r", "i-1")}) == 3
    assert key(False, "a") != key(False, "b")
