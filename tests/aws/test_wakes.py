"""When a wake is due, and what becomes of one that AWS refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from botocore.stub import Stubber

from lifeboat.aws import clients, clock, wakes
from lifeboat.aws.invocation import Invocation
from lifeboat.domain.config import load

NOW = datetime(2026, 11, 28, 12, 0, 3, 400_000, tzinfo=UTC)
MACHINE = "arn:aws:states:eu-west-1:111122223333:stateMachine:lifeboat-wake"


@pytest.fixture
def invocation(monkeypatch: pytest.MonkeyPatch) -> Iterator[Invocation]:
    for name, value in {
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "LIFEBOAT_STACK": "lifeboat",
        "LIFEBOAT_TABLE": "table",
        "LIFEBOAT_TOPIC": "arn:aws:sns:eu-west-1:111122223333:topic",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(clock, "now", lambda: NOW)
    clients.forget()
    yield Invocation(load())
    clients.forget()


@pytest.mark.parametrize(
    ("after", "due"),
    [
        pytest.param(timedelta(seconds=120.3), "12:02:04", id="rounded up, so that it is not too early"),
        pytest.param(timedelta(seconds=116.6), "12:02:00", id="a whole second"),
        pytest.param(timedelta(0), "12:00:05", id="at once: of another second than a wake that came too early"),
        pytest.param(timedelta(hours=-1), "12:00:05", id="long ago"),
    ],
)
def test_a_wake_is_due_at_a_whole_second_that_names_it(invocation: Invocation, after: timedelta, due: str) -> None:
    with Stubber(clients.step_functions()) as step_functions:
        step_functions.add_response(
            "start_execution",
            {"executionArn": "arn", "startDate": NOW},
            {
                "stateMachineArn": MACHINE,
                "name": f"attach-volume-20261128T{due.replace(':', '')}Z",
                "input": f'{{"function": "lifeboat-attach-volume", "at": "2026-11-28T{due}Z"}}',
            },
        )
        wakes.wake("attach-volume", NOW + after, invocation)
        step_functions.assert_no_pending_responses()


@pytest.mark.parametrize("code", ["AccessDeniedException", "StateMachineDoesNotExist"])
def test_a_refused_wake_hinders_nothing(invocation: Invocation, code: str, caplog: pytest.LogCaptureFixture) -> None:
    with Stubber(clients.step_functions()) as step_functions:
        step_functions.add_client_error("start_execution", code, "as planted", 400)
        wakes.wake("attach-volume", NOW, invocation)
    assert [vars(record)["said"] for record in caplog.records] == [f"{code}: as planted"]


def _names_asked(monkeypatch: pytest.MonkeyPatch, *codes: str) -> list[str]:
    """The names of the executions that are asked for; AWS refuses the first ones with these codes."""
    names: list[str] = []

    class StepFunctions:
        def start_execution(self, *, name: str, **_: str) -> None:
            names.append(name)
            if code := codes[len(names) - 1] if len(names) <= len(codes) else "":
                answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 400}}
                raise ClientError(answer, "StartExecution")

    monkeypatch.setattr(wakes, "clients", SimpleNamespace(step_functions=StepFunctions))
    return names


def test_a_name_that_someone_else_took_stops_no_wake(
    invocation: Invocation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With another input: a stolen role could take the names of all minutes to come, and no restore would be woken."""
    names = _names_asked(monkeypatch, "ExecutionAlreadyExists")
    wakes.wake("confirm-snapshots", NOW, invocation)
    assert names[0] == "confirm-snapshots-20261128T120005Z"
    assert re.fullmatch(names[0] + r"-[0-9a-f]{12}", names[1])
    assert len(names[1]) <= 80, "as Step Functions takes it"
    assert not caplog.records


@pytest.mark.parametrize("codes", [(), ("ThrottlingException",)], ids=["taken", "throttled"])
def test_open_work_is_woken_twice_so_that_a_lost_wake_costs_a_minute(
    invocation: Invocation, monkeypatch: pytest.MonkeyPatch, codes: tuple[str, ...]
) -> None:
    names = _names_asked(monkeypatch, *codes)
    wakes.wake_while_open("attach-volume", invocation)
    assert names == ["attach-volume-20261128T120100Z", "attach-volume-20261128T120200Z"]


def test_work_does_not_wait_twice_for_step_functions_that_do_not_answer(
    invocation: Invocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Silent:
        def start_execution(self, *, name: str, **_: str) -> None:
            asked.append(name)
            raise ConnectTimeoutError(endpoint_url="https://states.eu-west-1.amazonaws.com")

    monkeypatch.setattr(wakes, "clients", SimpleNamespace(step_functions=Silent))
    wakes.wake_while_open("attach-volume", invocation)
    assert len(asked) == 1


def test_a_wake_is_asked_of_the_stacks_own_partition(invocation: Invocation) -> None:
    topic = "arn:aws-us-gov:sns:eu-west-1:111122223333:topic"
    with Stubber(clients.step_functions()) as step_functions:
        step_functions.add_response("start_execution", {"executionArn": "arn", "startDate": NOW})
        asked: list[str] = []
        clients.step_functions().meta.events.register(
            "provide-client-params.*.StartExecution", lambda params, **_: asked.append(params["stateMachineArn"])
        )
        wakes.wake("attach-volume", NOW, replace(invocation, config=replace(invocation.config, topic_arn=topic)))
    assert asked == [MACHINE.replace("arn:aws:", "arn:aws-us-gov:")]


@pytest.mark.parametrize(
    ("second", "every", "due"),
    [
        pytest.param(3, 60, "12:01:00", id="the next full minute"),
        pytest.param(56, 60, "12:02:00", id="woken a little too early: the minute after it"),
        pytest.param(3, 300, "12:05:00", id="every five minutes"),
    ],
)
def test_all_that_leave_something_open_ask_for_one_run(
    monkeypatch: pytest.MonkeyPatch, second: int, every: int, due: str
) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW.replace(second=second))
    assert f"{wakes.next_run(every):%H:%M:%S}" == due
