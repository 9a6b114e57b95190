"""Documents of the table: many are written in few calls, and a write that cannot be completed raises."""

from __future__ import annotations

from datetime import UTC, datetime

import boto3
import pytest
from botocore.stub import ANY, Stubber

from lifeboat.aws import clients, clock, table
from lifeboat.backup import selected_store as selected

NAME = "state"
NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)


@pytest.fixture
def state(aws):
    boto3.client("dynamodb").create_table(
        TableName=NAME,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        BillingMode="PAY_PER_REQUEST",
    )


@pytest.fixture
def pauses(monkeypatch):
    waited: list[float] = []
    monkeypatch.setattr(clock, "wait", waited.append)
    return waited


def ids(count):
    return [f"i-{number:017x}" for number in range(count)]


def test_many_documents_are_written_and_deleted_25_at_a_time(state):
    calls = []
    clients.dynamodb().meta.events.register("before-call.dynamodb", lambda model, **_: calls.append(model.name))
    selected.remember_selected(NAME, ids(51), NOW)
    assert calls == ["BatchWriteItem"] * 3
    assert selected.selected_since(NAME) == dict.fromkeys(ids(51), NOW)
    calls.clear()
    selected.forget_selected(NAME, ids(51)[1:])
    assert calls == ["BatchWriteItem"] * 2
    assert selected.selected_since(NAME) == {ids(1)[0]: NOW}


def test_no_document_costs_no_call(aws):
    with Stubber(clients.dynamodb()):
        selected.remember_selected(NAME, [], NOW)
        selected.forget_selected(NAME, [])


def test_a_batch_asks_again_for_the_unprocessed_items_only(pauses):
    first, second = ({"DeleteRequest": {"Key": {"pk": {"S": "selected"}, "sk": {"S": item}}}} for item in ids(2))
    with Stubber(clients.dynamodb()) as stub:
        stub.add_response(
            "batch_write_item", {"UnprocessedItems": {NAME: [second]}}, {"RequestItems": {NAME: [first, second]}}
        )
        stub.add_response("batch_write_item", {"UnprocessedItems": {}}, {"RequestItems": {NAME: [second]}})
        selected.forget_selected(NAME, ids(2))
        stub.assert_no_pending_responses()
    assert pauses == [table.FIRST_PAUSE]


def test_items_left_unprocessed_to_the_end_raise(pauses):
    left = {NAME: [{"DeleteRequest": {"Key": {"pk": {"S": "selected"}, "sk": {"S": "i-1"}}}}]}
    with Stubber(clients.dynamodb()) as stub:
        for _ in range(table.ATTEMPTS):
            stub.add_response("batch_write_item", {"UnprocessedItems": left}, {"RequestItems": ANY})
        with pytest.raises(table.NotWritten, match="table state left 1 items unprocessed in 8 attempts, expected none"):
            selected.forget_selected(NAME, ["i-1"])
    assert sum(pauses) == pytest.approx(6.35)


def test_numbers_are_added_once_and_the_first_document_stays(state):
    first = table.Document("run", "r", table.to_json("first"), expiration=NOW)
    assert table.add_number(NAME, 2, otherwise=first).numbers == {2}
    table.add_number(NAME, 1, otherwise=table.Document("run", "r", table.to_json("second"), version="2"))
    table.add_number(NAME, 2, otherwise=first)
    found = table.find(NAME, "run", "r")
    assert (found.numbers, found.read(str), found.version) == ({1, 2}, "first", "2")


def test_attempts_are_counted_until_the_document_expires(state):
    assert [table.count(NAME, "attempt", "request", expiration=NOW) for _ in range(3)] == [1, 2, 3]


def test_a_refused_table_is_not_taken_for_an_unmet_condition(state):
    with pytest.raises(clients.dynamodb().exceptions.ResourceNotFoundException):
        table.write("no-such-table", table.put(table.Document("run", "r"), table.ABSENT))
