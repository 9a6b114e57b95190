"""What the comparison with the peers counts and calls a problem."""

from __future__ import annotations

import io
from typing import Any

import pytest

from bench import peers
from bench._peer_server import action_of, calls, counting


def row(**changed: Any) -> dict[str, Any]:
    plain = {"exit": 0, "wall_seconds": 2.0, "processor_seconds": 1.0, "peak_mb": 80.0, "snapshots": 200}
    return {**plain, "calls": {"CreateSnapshots": 200, "DescribeInstances": 4}, **changed}


def rows(first: dict[str, Any], second: dict[str, Any], theirs: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    return {"lifeboat": [first, second], "cloud-custodian": [theirs, theirs]}


def test_a_run_within_the_bars_is_no_problem() -> None:
    assert peers.too_much(200, rows(row(), row(snapshots=0), row(wall_seconds=2.1))) == []


@pytest.mark.parametrize(
    ("first", "second", "theirs", "said"),
    [
        (row(calls={"CreateSnapshots": 200, "DescribeVolumes": 13}), row(snapshots=0), row(), "213 calls of EC2"),
        (row(snapshots=199), row(snapshots=0), row(), "199 snapshots"),
        (row(exit=1), row(snapshots=0), row(), "exit 1"),
        (row(), row(snapshots=1), row(), "a second run in the slot made 1"),
        (row(wall_seconds=2.2), row(snapshots=0), row(), "Lifeboat took 2.2 s"),
        (row(), row(snapshots=0), row(snapshots=0), "its time says nothing"),
    ],
)
def test_each_bar(first: dict[str, Any], second: dict[str, Any], theirs: dict[str, Any], said: str) -> None:
    [problem] = peers.too_much(200, rows(first, second, theirs))
    assert said in problem


def test_calls_are_counted_by_action_in_both_protocols() -> None:
    assert action_of(b"Action=CreateSnapshots&Version=2016-11-15", "") == "CreateSnapshots"
    assert action_of(b"{}", "DynamoDB_20120810.PutItem") == "PutItem"


def test_the_count_begins_anew_when_it_was_asked_for() -> None:
    seen: list[bytes] = []

    def moto(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append(environ["wsgi.input"].read())
        return [b""]

    application = counting(moto)
    body = b"Action=DescribeVolumes"
    calls.clear()
    application({"PATH_INFO": "/", "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body)}, None)
    asked = [b"".join(application({"PATH_INFO": "/calls"}, lambda *_: None)) for _ in range(2)]
    assert asked == [b'{"DescribeVolumes": 1}', b"{}"]
    assert seen == [body]  # and moto still gets the whole call
