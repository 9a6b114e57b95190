"""The real handlers in this process: each execution environment has its own copy of the library, and its own variables.

An environment is what Lambda makes one of: the function's module and the library imported for it alone, its boto3
clients, what it remembers from one invocation to the next. It runs one invocation at a time; while it waits, another
invocation of the same function gets another environment.
"""

import concurrent.futures
import importlib
import importlib.machinery
import importlib.util
import io
import json
import logging
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from greenlet import getcurrent, greenlet
from ministack.core import lambda_runtime

from local.emulator.clock import CLOCK
from local.emulator.timers import TIMERS
from local.simulator import calls
from local.simulator.machine import MACHINE, Killed

ROOT = Path(__file__).resolve().parent.parent.parent
LIBRARY = ROOT / "layers" / "lifeboat" / "python"
FUNCTIONS = ROOT / "functions"
CLIENTS = ("ec2_reads", "ec2_writes", "dynamodb", "sns", "sqs", "step_functions")
READERS = ("drill_restores", "verify_snapshots")
"""Functions that read blocks, and so have one client more."""

type Outcome = dict[str, Any]


class TimedOutError(Killed):
    """Lambda's timeout ended the invocation."""


@dataclass(eq=False)
class Environment:
    """One execution environment."""

    function: str
    handler: Any
    modules: dict[str, ModuleType]
    region: str
    """Of its clients, which are made before it is known whose they are."""
    variables: dict[str, str] = field(default_factory=dict)
    encoded: dict[bytes, bytes] = field(default_factory=dict)
    invocation: Any = None
    """The greenlet that it is busy with."""

    def configure(self, variables: dict[str, str]) -> None:
        """The variables that Lambda gives it."""
        self.variables = variables
        self.encoded = {name.encode(): value.encode() for name, value in variables.items()}


class Context:
    """The context object of one invocation."""

    identity = None
    client_context = None

    def __init__(self, variables: dict[str, str], request_id: str, arn: str, deadline: float) -> None:
        self.function_name = variables["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = "$LATEST"
        self.memory_limit_in_mb = variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = f"/aws/lambda/{self.function_name}"
        self.log_stream_name = "simulated"
        self.aws_request_id = request_id
        self.invoked_function_arn = arn
        self._deadline = deadline

    def get_remaining_time_in_millis(self) -> int:
        """Until Lambda ends the invocation."""
        return max(0, int((self._deadline - CLOCK.now()) * 1000))


class Inline:
    """In place of `ThreadPoolExecutor` in the library: one after the other, in this thread."""

    def __init__(self, *_most: int) -> None:
        pass

    def __enter__(self) -> "Inline":
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def map(self, work: Any, items: Iterable[Any]) -> Iterator[Any]:
        """What `work` makes of each."""
        return iter([work(item) for item in items])


class Environments:
    """All of them."""

    def __init__(self) -> None:
        self._made: dict[str, list[Environment]] = {}
        self._busy: dict[Any, Environment] = {}
        self.most_at_once = 0
        self.output = io.StringIO()

    def prepare(self, function: str, number: int) -> None:
        """Make environments before they are needed: a world forks from here, and so need not."""
        for _ in range(number):
            self._made.setdefault(function, []).append(self._make(function))

    @staticmethod
    def _make(function: str, region: str = "eu-west-1") -> Environment:
        """Import the function and the library anew, and make its clients."""
        ours = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_of_one(name)}
        of_region = {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
        variables = {**_PLAIN, **of_region, "AWS_LAMBDA_FUNCTION_NAME": function}
        with _environment(variables):
            spec = importlib.util.spec_from_file_location(f"app_{function}", FUNCTIONS / function / "app.py")
            if spec is None or spec.loader is None:
                raise ImportError(f"there is no function {function}")
            app = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(app)
            modules = {name: module for name, module in sys.modules.items() if _is_of_one(name)}
            clients: Any = modules["lifeboat.aws.clients"]
            for name in (*CLIENTS, *(("ebs",) if function in READERS else ())):
                getattr(clients, name)()
            for module in modules.values():
                if getattr(module, "ThreadPoolExecutor", None) is concurrent.futures.ThreadPoolExecutor:
                    module.ThreadPoolExecutor = Inline  # type: ignore[attr-defined]
        for name in modules:
            del sys.modules[name]
        sys.modules.update(ours)
        return Environment(function, app.handler, modules, region)

    def run(self, function: dict[str, Any], event: Any, request_id: str) -> Outcome:
        """In place of `workers.execute`: one invocation, in the current greenlet."""
        config = function.get("config") or function
        here = getcurrent()
        if here is MACHINE.hub:
            raise RuntimeError("an invocation needs a greenlet of its own")
        environment = self._free(config)
        environment.invocation = here
        self._busy[here] = environment
        self.most_at_once = max(self.most_at_once, len(self._busy))
        timeout = float(config.get("Timeout", 3))
        timer = TIMERS.after(
            timeout,
            lambda: MACHINE.go_on(here, TimedOutError(f"Task timed out after {timeout:.2f} seconds")),
            "a timeout",
        )
        context = Context(environment.variables, request_id, config.get("FunctionArn", ""), CLOCK.now() + timeout)
        self.enter(here)
        try:
            return {"body": json.loads(json.dumps(environment.handler(json.loads(json.dumps(event)), context)))}
        except Killed as ended:
            self._made[environment.function].remove(environment)  # the next one starts cold
            kind = "Sandbox.Timedout" if isinstance(ended, TimedOutError) else "Runtime.ExitError"
            return {
                "error": True,
                "function_error": "Unhandled",
                "body": {"errorType": kind, "errorMessage": str(ended)},
            }
        except Exception as error:
            body = {"errorType": type(error).__name__, "errorMessage": str(error)}
            log = traceback.format_exc()
            return {"error": True, "function_error": "Unhandled", "body": body, "log": log}
        finally:
            TIMERS.cancel(timer)
            self._leave(here, environment)

    def _free(self, config: dict[str, Any]) -> Environment:
        name = function_of(config)
        variables = _variables(config)
        region = variables["AWS_REGION"]
        known = [item for item in self._made.setdefault(name, []) if item.region == region]
        for environment in known:
            if environment.invocation is None and environment.variables in ({}, variables):
                environment.configure(variables)
                return environment
        for environment in known:
            # Configured anew, Lambda starts new environments; here the configuration is forgotten.
            if environment.invocation is None:
                environment.configure(variables)
                environment.modules["lifeboat.handler"].forget()
                return environment
        made = self._make(name, region)
        made.configure(variables)
        self._made[name].append(made)
        return made

    def enter(self, waiting: Any) -> None:
        """The process becomes what the invocation in this greenlet knows: its variables, its library."""
        environment = self._busy.get(waiting)
        if environment is not None:
            os.environ._data = environment.encoded  # type: ignore[attr-defined]
            sys.modules.update(environment.modules)

    @staticmethod
    def left() -> None:
        """The process is the emulator's again."""
        os.environ._data = _OF_THE_EMULATOR  # type: ignore[attr-defined]

    @contextmanager
    def beside(self) -> Iterator[None]:
        """The emulator works, in the middle of whatever runs here."""
        kept = os.environ._data  # type: ignore[attr-defined]
        self.left()
        try:
            yield
        finally:
            os.environ._data = kept  # type: ignore[attr-defined]

    def _leave(self, here: Any, environment: Environment) -> None:
        environment.invocation = None
        del self._busy[here]
        self.left()

    def key_of_caller(self) -> str:
        """The access key of the invocation that runs here."""
        return self._busy[getcurrent()].variables["AWS_ACCESS_KEY_ID"]

    def running_here(self) -> str:
        """The function that runs here; nothing outside of one."""
        environment = self._busy.get(getcurrent())
        return environment.function if environment else ""


def _is_of_one(module: str) -> bool:
    """Whether each environment has its own copy. Nouns, decisions and wording remember nothing, and are shared."""
    library, *inner = module.split(".")
    if library != "lifeboat":
        return False
    return len(inner) <= 1 or inner[0] == "aws" or inner[-1].endswith(("workflow", "store", "shared_snapshots"))


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    kept = os.environ._data  # type: ignore[attr-defined]
    os.environ._data = {name.encode(): value.encode() for name, value in variables.items()}  # type: ignore[attr-defined]
    try:
        yield
    finally:
        os.environ._data = kept  # type: ignore[attr-defined]


_PLAIN = {
    "PATH": "/usr/bin:/bin",
    "LANG": "en_US.UTF-8",
    "TZ": ":UTC",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": calls.ANYBODY,
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_SESSION_TOKEN": "x",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "POWERTOOLS_SERVICE_NAME": "lifeboat",
    "POWERTOOLS_LOG_LEVEL": "CRITICAL",
}


def function_of(config: dict[str, Any]) -> str:
    """The folder of a function, by its name: the stack's name, and the folder's with hyphens."""
    _stack, *words = config["FunctionName"].split("-")
    return "_".join(words)


def _variables(config: dict[str, Any]) -> dict[str, str]:
    own = config.get("Environment", {}).get("Variables", {})
    _account, region = lambda_runtime._account_region_from_function_config(config)
    return {
        **_PLAIN,
        **own,
        **lambda_runtime.execution_credentials(config),
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_LAMBDA_FUNCTION_NAME": config["FunctionName"],
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize", 128)),
        "POWERTOOLS_LOG_LEVEL": "CRITICAL",
    }


_OF_THE_EMULATOR = os.environ._data  # type: ignore[attr-defined]

_get_code = importlib.machinery.SourceFileLoader.get_code
_codes: dict[str, Any] = {}


def _code_once(loader: Any, module: str) -> Any:
    if loader.path not in _codes:
        _codes[loader.path] = _get_code(loader, module)
    return _codes[loader.path]


ENVIRONMENTS = Environments()
"""Those of this process."""


def begin() -> None:
    """Let the library be imported, compiled once for all, and what it logs stay unwritten."""
    importlib.machinery.SourceFileLoader.get_code = _code_once  # type: ignore[method-assign]
    sys.path.append(str(LIBRARY))
    logging.getLogger("lifeboat").setLevel(logging.CRITICAL)
    MACHINE.entering = ENVIRONMENTS.enter
    MACHINE.left = ENVIRONMENTS.left
    calls.WIRE.beside = ENVIRONMENTS.beside
    calls.WIRE.key_of_caller = ENVIRONMENTS.key_of_caller


__all__ = ["ENVIRONMENTS", "Environment", "TimedOutError", "begin", "greenlet"]
