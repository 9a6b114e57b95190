"""Step Functions: an execution that waits until a time and then invokes a function asynchronously.

In place of ministack's interpreter, which waits by the machine's clock, on a thread for each execution. Other states
are not done here: an execution fails that comes to one. A wait is not under way, or nothing would ever settle: a
function may ask for the next wake each time it is woken.
"""

import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from ministack.core.responses import json_response, now_iso
from ministack.services import stepfunctions

from local.emulator import asynchronous, lost, permissions
from local.emulator.clock import CLOCK
from local.emulator.scope import Scope
from local.emulator.settings import SETTINGS
from local.emulator.timers import TIMERS

logger = logging.getLogger("local.executions")


def arrives(_scope: Scope, _function: str, wake: Callable[[], None]) -> None:
    """A wake at its time. A world may put something in the place of this, so that it comes later, twice or never."""
    wake()


INVOKE = "states:::lambda:invoke"
"""The end of the only resource of a task that is done here."""


class ExecutionError(Exception):
    """An execution fails; `error` is the name that Step Functions gives to it."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(cause)
        self.error = error


class _Thread:
    """In place of a thread of ministack's for an execution: its first state begins at once, and no state lasts."""

    def __init__(self, target: Callable[..., Any], args: tuple[Any, ...], daemon: bool) -> None:
        del daemon
        self._work = lambda: target(*args)

    def start(self) -> None:
        """See the class."""
        self._work()


class _Threading:
    """In place of the module `threading` in ministack's Step Functions."""

    Thread = _Thread


def install() -> None:
    """Put this in the place of ministack's parts."""
    stepfunctions.threading = _Threading()
    stepfunctions._run_execution = _run
    stepfunctions._start_execution = _start_execution(stepfunctions._start_execution)


def _start_execution(start: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    """In place of ministack's: a running execution of the same name and input is the same one
    (https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html).
    """

    def started(data: dict[str, Any]) -> Any:
        scope = Scope.current()
        machine = str(data.get("stateMachineArn", "")).rsplit(":", 1)[-1]
        arn = f"arn:aws:states:{scope.region}:{scope.account}:execution:{machine}:{data.get('name')}"
        known = stepfunctions._executions.get(arn)
        if known and known["status"] == "RUNNING" and known["input"] == data.get("input", "{}"):
            return json_response({"executionArn": arn, "startDate": known["startDate"]})
        return start(data)

    return started


def _run(arn: str) -> None:
    """In place of ministack's `_run_execution`: go through the states of a new execution."""
    execution = stepfunctions._executions[arn]
    machine = stepfunctions._state_machines[execution["stateMachineArn"]]
    definition = json.loads(machine["definition"])
    _enter(execution, machine["roleArn"], definition["States"], definition["StartAt"])


def _enter(execution: dict[str, Any], role: str, states: Mapping[str, Any], name: str) -> None:
    scope = Scope.current()
    if execution["status"] != "RUNNING" or lost.is_lost(scope):
        return
    state = states[name]
    given = json.loads(execution["input"])
    try:
        seconds = _seconds_of(state, given)
    except ExecutionError as error:
        stepfunctions._fail_execution(execution, error.error, str(error))
        return

    def leave() -> None:
        scope.run(lambda: _leave(execution, role, states, state))

    if seconds and not SETTINGS.waits_end:
        return
    if seconds:
        TIMERS.after(seconds, leave, f"a wait of {execution['name']}", counted=False)
    else:
        leave()


def _seconds_of(state: Mapping[str, Any], given: Mapping[str, Any]) -> float:
    """How long a state lasts. Raises ExecutionError."""
    if state["Type"] == "Task":
        return 0.0
    if state["Type"] != "Wait" or not str(state.get("TimestampPath", "")).startswith("$."):
        raise ExecutionError("States.Runtime", f"the local AWS does not do a state such as {json.dumps(state)}")
    text = given.get(state["TimestampPath"].removeprefix("$."))
    try:
        until = datetime.fromisoformat(str(text)).replace(microsecond=0)
    except ValueError:
        raise ExecutionError("States.Runtime", f"{text!r} is no timestamp") from None
    return max(0.0, until.timestamp() - CLOCK.now())


def _leave(execution: dict[str, Any], role: str, states: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    if execution["status"] != "RUNNING" or lost.is_lost(Scope.current()):
        return
    try:
        if state["Type"] == "Task":
            _invoke(state, json.loads(execution["input"]), role)
    except ExecutionError as error:
        logger.warning("execution %s failed: %s", execution["name"], error)
        stepfunctions._fail_execution(execution, error.error, str(error))
        return
    if not state.get("End"):
        _enter(execution, role, states, state["Next"])
        return
    execution |= {"status": "SUCCEEDED", "stopDate": now_iso(), "output": "{}"}
    stepfunctions._add_event(execution, "ExecutionSucceeded")


def _invoke(state: Mapping[str, Any], given: Mapping[str, Any], role: str) -> None:
    """Hand the payload over to the function, with the rights of the machine's role. Raises ExecutionError."""
    parameters = state.get("Parameters", {})
    if not str(state.get("Resource", "")).endswith(INVOKE) or parameters.get("InvocationType") != "Event":
        raise ExecutionError("States.Runtime", f"the local AWS does not do a task such as {json.dumps(state)}")
    scope = Scope.current()
    named = given.get(str(parameters.get("FunctionName.$", "")).removeprefix("$."), parameters.get("FunctionName"))
    arn = f"arn:aws:lambda:{scope.region}:{scope.account}:function:{named}"
    trusted = permissions.role_trusts(role, "states.amazonaws.com")
    if not trusted or not permissions.role_may(role, "lambda:InvokeFunction", arn):
        raise ExecutionError(
            "Lambda.AWSLambdaException", f"{role} is not authorized to perform: lambda:InvokeFunction on {arn}"
        )
    _base, record = permissions.function_of(arn)
    if not record:
        raise ExecutionError("Lambda.ResourceNotFoundException", f"Function not found: {arn}")
    arrives(scope, arn, lambda: scope.run(lambda: asynchronous.invoke(record, parameters["Payload"])))
