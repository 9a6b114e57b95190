"""One invocation at a time takes a recovery point, and it is made once. Very many are taken in few calls."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.stub import ANY, Stubber

from lifeboat.aws import clients, clock
from lifeboat.backup import store as backups

NAME = "state"
NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MANY = [f"rp-20261123T020000Z-i-{number:017x}" for number in range(120)]


@pytest.fixture
def state(aws):
    boto3.client("dynamodb").create_table(
        TableName=NAME,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        BillingMode="PAY_PER_REQUEST",
    )


def take(*ids, at=NOW, until=None):
    return backups.open_backups_for(NAME, ids, begun_at=at, until=until or at + MINUTE)


def test_very_many_are_taken_in_few_calls(state):
    calls = []
    clients.dynamodb().meta.events.register("before-call.dynamodb.*", lambda model, **_: calls.append(model.name))
    assert take(*MANY) == frozenset(MANY)
    assert calls == ["TransactWriteItems"] * 3
    assert backups.open_backups(NAME) == dict.fromkeys(MANY, NOW)


def test_one_that_another_invocation_has_is_not_taken_and_the_rest_is(state):
    assert take("rp-1", "rp-2") == {"rp-1", "rp-2"}
    assert take("rp-2", "rp-3", at=NOW + MINUTE / 2) == {"rp-3"}
    assert take("rp-1", "rp-2", "rp-3", at=NOW + MINUTE / 2) == frozenset()


def test_workers_that_take_at_the_same_moment_each_get_different_ones(state):
    patience = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # so that their transactions conflict
    try:
        with ThreadPoolExecutor(4) as workers:
            taken = list(workers.map(lambda first: take(*MANY[first : first + 60]), (0, 20, 40, 60)))
    finally:
        sys.setswitchinterval(patience)
    assert frozenset().union(*taken) == frozenset(MANY)
    assert sum(map(len, taken)) == len(MANY), "no two workers took the same one"


def test_when_a_lease_has_run_out_another_invocation_gets_it(state):
    take("rp-1")
    later = NOW + 2 * MINUTE
    assert take("rp-1", at=later) == {"rp-1"}
    assert backups.open_backups(NAME) == {"rp-1": later}


def test_a_released_one_may_be_taken_at_once_and_stays_open(state):
    take("rp-1")
    backups.release(NAME, "rp-1")
    assert "rp-1" in backups.open_backups(NAME)
    assert take("rp-1", at=NOW + timedelta(seconds=1)) == {"rp-1"}
    backups.release(NAME, "rp-unknown")
    assert "rp-unknown" not in backups.open_backups(NAME)


def test_one_that_ec2_refused_is_closed_unless_an_earlier_attempt_had_no_answer(state):
    take("rp-1", "rp-2")
    backups.withdraw(NAME, "rp-1")
    backups.release(NAME, "rp-2")
    assert take("rp-2", at=NOW + timedelta(seconds=1)) == {"rp-2"}
    backups.withdraw(NAME, "rp-2")
    assert set(backups.open_backups(NAME)) == {"rp-2"}
    assert take("rp-1", "rp-2", at=NOW + timedelta(seconds=2)) == {"rp-1", "rp-2"}


def test_one_that_was_made_is_not_taken_again_even_if_it_was_closed(state):
    take(*MANY)
    backups.remember_made(NAME, MANY, NOW)
    for point_id in MANY[:2]:
        backups.close_backup(NAME, point_id)
    assert take(*MANY, "rp-new", at=NOW + 5 * MINUTE) == {"rp-new"}


@pytest.mark.parametrize("then", [backups.mark_decided, backups.release, backups.withdraw])
def test_one_that_was_found_good_is_not_taken(state, then):
    take("rp-1")
    take("rp-1", at=NOW + 2 * MINUTE)
    backups.mark_decided(NAME, "rp-1")
    then(NAME, "rp-1")
    assert take("rp-1", at=NOW + 5 * MINUTE) == frozenset()
    assert not backups.undecided_beside(NAME, "rp-2", "rp-")


def test_one_in_conflict_with_another_transaction_is_asked_for_again(state, monkeypatch):
    waited = []
    monkeypatch.setattr(clock, "wait", waited.append)
    client = clients.dynamodb()
    meets = [{"Code": "TransactionConflict"}, {"Code": "None"}, {"Code": "ConditionalCheckFailed"}, {"Code": "None"}]
    with Stubber(client) as stub:
        stub.add_client_error(
            "transact_write_items",
            "TransactionCanceledException",
            modeled_fields={"CancellationReasons": meets},
        )
        stub.add_response("transact_write_items", {}, {"TransactItems": [ANY, ANY]})
        assert take("rp-1", "rp-2") == {"rp-1"}
    assert waited == [backups.PAUSE]


def test_any_other_refusal_raises(state):
    with Stubber(clients.dynamodb()) as stub:
        stub.add_client_error(
            "transact_write_items",
            "TransactionCanceledException",
            modeled_fields={"CancellationReasons": [{"Code": "ThrottlingError"}, {"Code": "None"}]},
        )
        with pytest.raises(clients.dynamodb().exceptions.TransactionCanceledException):
            take("rp-1")
