"""What counts as a difference from the local AWS, what does not, and how much each matters."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from acceptance import cost
from acceptance.event_forms import load_fixtures
from acceptance.recorder import Recorder
from acceptance.truth import BREAKS, MISLEADS, WORDS, Observed, compare

BEGAN = datetime(2031, 3, 3, tzinfo=UTC)
TARGET, OTHERS = "i-0123456789abcdef0", "i-0fedcba9876543210"
STOPPED = {
    "version": "0",
    "id": "01234567-0123-0123-0123-000000000099",
    "detail-type": "EC2 Instance State-change Notification",
    "source": "aws.ec2",
    "account": "111122223333",
    "time": "2031-03-03T00:00:00Z",
    "region": "eu-west-1",
    "resources": [f"arn:aws:ec2:eu-west-1:111122223333:instance/{TARGET}"],
    "detail": {"instance-id": TARGET, "state": "stopped"},
}
LOCAL = Observed(
    codes={"ec2:DeleteVolume": ["VolumeInUse", "ok"]},
    states={"i target": [["pending", 15], ["running", 600], ["stopping", 30], ["stopped", 5], ["terminated", 0]]},
    events={"i target": {"instance stopped": 1}},
    steps={},
)
USUAL = ("pending", "running", "stopping", "stopped", "terminated")


def seen(
    tmp_path: Path,
    states: tuple[str, ...] = USUAL,
    events: tuple[Mapping[str, Any], ...] = (STOPPED,),
    codes: tuple[str, ...] = ("ok", "VolumeInUse"),
) -> Recorder:
    recorder = Recorder(tmp_path / "observed.jsonl", BEGAN)
    for state in states:
        recorder.now += timedelta(seconds=30)
        recorder.seen(TARGET, "target", state)
    for event in events:
        recorder.delivered(event)
    for code in codes:
        recorder.answered("ec2:DeleteVolume", {} if code == "ok" else {"Error": {"Code": code}})
    return Recorder.load(recorder.path, BEGAN)


def differences(recorder: Recorder, *, whole: bool = True) -> list[tuple[int, str]]:
    return [(item.rank, item.about) for item in compare(recorder, LOCAL, load_fixtures(), whole=whole)]


def changed(**detail: Any) -> dict[str, Any]:
    event = copy.deepcopy(STOPPED)
    event["detail"] |= detail
    return event


def test_what_is_as_on_the_local_aws_is_no_difference(tmp_path: Path) -> None:
    assert differences(seen(tmp_path)) == []


@pytest.mark.parametrize(
    ("observed", "wanted"),
    [
        pytest.param({"states": ("running", "stopping", "terminated")}, [], id="brief states that no poll saw"),
        pytest.param({"states": USUAL[:2] + USUAL[3:]}, [(MISLEADS, "i target: stopping")], id="a state was skipped"),
        pytest.param({"states": (*USUAL, "zombie")}, [(BREAKS, "i target: zombie")], id="an unknown state"),
        pytest.param(
            {"states": ("stopping", "running", "terminated")}, [(MISLEADS, "i target: the order")], id="another order"
        ),
        pytest.param({"events": ()}, [(BREAKS, "i target: instance stopped")], id="an event did not come"),
        pytest.param({"events": (STOPPED, STOPPED)}, [], id="one event that was delivered twice"),
        pytest.param(
            {"events": (STOPPED, {**STOPPED, "id": "another"})},
            [(BREAKS, "i target: instance stopped"), (WORDS, "instance stopped: id")],
            id="two events where one is known",
        ),
        pytest.param({"events": (changed(reason="why"),)}, [(WORDS, "instance stopped: detail.reason")], id="a field"),
        pytest.param(
            {"events": (changed(**{"instance-id": "arn"}),)},
            [(BREAKS, "instance stopped: detail.instance-id")],
            id="a field that Lifeboat reads",
        ),
        pytest.param(
            {"events": (STOPPED, {**STOPPED, "id": "x", "resources": [f"arn:aws:ec2:::instance/{OTHERS}"]})},
            [],
            id="an event of another's instance",
        ),
        pytest.param({"codes": ("ok", "Busy")}, [(MISLEADS, "ec2:DeleteVolume")], id="another error code"),
    ],
)
def test_differences(tmp_path: Path, observed: dict[str, Any], wanted: list[tuple[int, str]]) -> None:
    assert differences(seen(tmp_path, **observed)) == wanted


def test_of_a_part_of_a_run_what_is_missing_is_no_difference(tmp_path: Path) -> None:
    assert differences(seen(tmp_path, states=("pending",), events=(), codes=()), whole=False) == []


def test_nothing_of_it_knows_of_the_local_aws() -> None:
    for module in Path(cost.__file__).parent.glob("*.py"):
        assert not re.search(r"^\s*(from|import) local\b", module.read_text(), re.MULTILINE), module.name


def test_a_run_costs_less_than_a_dollar() -> None:
    assert 0 < cost.at_most() < 1
    assert cost.at_most(6) > cost.at_most(3)
