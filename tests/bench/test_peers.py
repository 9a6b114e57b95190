"""What the comparison with the peers calls a problem."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from bench import peers

SIZES = {
    "1000": {
        "Lifeboat": {
            "wall_seconds": 3.0,
            "made": 1_000,
            "made_again": 0,
            "calls": {"CreateSnapshots": 1_000, "DescribeInstances": 16, "TransactWriteItems": 20},
        },
        "cloud-custodian": {"wall_seconds": 3.1},
    }
}
REFUSED = {"Lifeboat": {"made": 4, "made_once_allowed": 1, "named": True}}
THROTTLED = {"Lifeboat": {"made": peers.UNDER_BUCKETS}}


def test_within_the_bars_there_is_no_problem() -> None:
    assert peers.problems_of(SIZES, REFUSED, THROTTLED) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"wall_seconds": 3.2}, "3.2 s for 1000 instances"),
        ({"made": 999}, "999 made of 1000"),
        ({"made_again": 1}, "1 made again in the same slot"),
        ({"calls": {"CreateSnapshots": 1_011}}, "1011 API calls"),
    ],
)
def test_each_bar(changed: dict[str, Any], said: str) -> None:
    sizes = copy.deepcopy(SIZES)
    sizes["1000"]["Lifeboat"].update(changed)
    [problem] = peers.problems_of(sizes, REFUSED, THROTTLED)
    assert said in problem


def test_one_that_is_lost_or_not_named_is_a_problem() -> None:
    refused = {"Lifeboat": {"made": 4, "made_once_allowed": 1, "named": False}}
    assert len(peers.problems_of(SIZES, refused, THROTTLED)) == 1
    assert len(peers.problems_of(SIZES, REFUSED, {"Lifeboat": {"made": 299}})) == 1


def test_only_calls_of_ec2_count_for_the_bar_and_all_are_shown() -> None:
    figure = peers.Figure("x", 1, 1.0, 1.0, 1.0, {"CreateSnapshots": 2, "DescribeVolumes": 3, "PutItem": 5}, 1, 0)
    assert (figure.creates, figure.describes, figure.ec2_calls) == (2, 3, 5)
