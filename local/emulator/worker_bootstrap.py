"""What runs inside a Lambda worker process: Lambda's Python runtime, spoken over pipes.

The parent sends one JSON object a line: first the initialisation, then an invocation each; the answers go back the same
way. Before an answer, a mark goes to standard error: what the invocation wrote ends there. The process is a new one, or
a fork of `fork_server`.

The path is Lambda's: the function's code, then the layers, then the runtime. Of the emulator's own packages a function
sees only those that Lambda's runtime has, after everything of its own, so that a package missing from the layer is
missing here as well.
"""

import importlib
import importlib.machinery
import json
import mmap
import os
import struct
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from types import ModuleType
from typing import Any

RUNTIME_PACKAGES = {"boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3"}


class RuntimePackages:
    """Finds the packages that Lambda's Python runtime brings, and no other, in the emulator's environment."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Answer for the top-level packages of the runtime; the import system finds what is inside them."""
        del target
        if path is not None or name not in RUNTIME_PACKAGES:
            return None
        return importlib.machinery.PathFinder.find_spec(name, [self._folder])


class Context:
    """The context object of one invocation."""

    identity = None
    client_context = None

    def __init__(self, request_id: str, arn: str, deadline: float) -> None:
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.aws_request_id = request_id
        self.invoked_function_arn = arn
        self._deadline = deadline

    def get_remaining_time_in_millis(self) -> int:
        """Until Lambda ends the process."""
        return max(0, int((self._deadline - time.time()) * 1000))


def describe(error: BaseException) -> dict[str, Any]:
    """An error as Lambda reports it."""
    return {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "stackTrace": traceback.format_tb(error.__traceback__)[1:],
    }


def import_time_machine(packages: str) -> Any:
    """Import time-machine from the emulator's packages, which the function does not see.

    What it imports itself is forgotten again: a function may have a module of the same name.
    """
    before = set(sys.modules)
    sys.path.append(packages)
    import time_machine

    sys.path.remove(packages)
    for name in set(sys.modules) - before - {"time_machine", "_time_machine"}:
        del sys.modules[name]
    return time_machine


def install_clock(path: str, packages: str) -> None:
    """Let the function read the simulated clock, and wait for it.

    `time.time`, `datetime.now` and their like come from time-machine, `time.monotonic` and `time.sleep` from here.

    Args:
        path: the file that holds the time; see `local/emulator/clock.py`.
        packages: the folder that has time-machine.
    """
    time_machine = import_time_machine(packages)
    form = struct.Struct("q")
    with open(path, "rb") as file:  # noqa: PTH123 pathlib is the function's to import
        mapped = mmap.mmap(file.fileno(), form.size, access=mmap.ACCESS_READ)

    def nanoseconds() -> int:
        return int(form.unpack_from(mapped, 0)[0])

    traveller = time_machine.travel(0, tick=False).start()
    traveller.time_ns = nanoseconds  # type: ignore[method-assign]
    sleep = time.sleep

    def wait(seconds: float) -> None:
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        if seconds == 0:
            sleep(0)
            return
        from http.client import HTTPConnection  # not before the function, which may have a module of one of its names

        connection = HTTPConnection(os.environ["AWS_ENDPOINT_URL"].removeprefix("http://"))
        body = json.dumps({"pid": os.getpid(), "seconds": seconds})
        connection.request("POST", "/_local/sleep", body, {"Content-Type": "application/json"})
        connection.getresponse().read()
        connection.close()

    def timed_wait(self: threading.Condition, timeout: float | None = None) -> bool:
        """Botocore waits so for its turn after a throttle, and reads the clock to see whether it has come."""
        if timeout is None or timeout <= 0:
            return untimed_wait(self, timeout)
        held = self._release_save()  # type: ignore[attr-defined]
        try:
            wait(timeout)
        finally:
            self._acquire_restore(held)  # type: ignore[attr-defined]
        return False

    untimed_wait = threading.Condition.wait
    threading.Condition.wait = timed_wait  # type: ignore[method-assign]
    time.monotonic = lambda: nanoseconds() / 1_000_000_000
    time.monotonic_ns = nanoseconds
    time.sleep = wait


def set_path(begin: dict[str, Any]) -> None:
    """Lambda's path. A fork server has no `code` yet: it sets the path of all its children, and each sets its own."""
    code = [begin["code"]] if "code" in begin else []
    sys.path[:] = [*code, *begin["layers"], *begin["standard_library"]]
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, RuntimePackages)]
    sys.meta_path.append(RuntimePackages(begin["runtime"]))  # type: ignore[arg-type]


def set_environment(begin: dict[str, Any]) -> None:
    """The function's environment in place of whatever this process was started with, and its working directory."""
    os.environ.clear()
    os.environ.update(begin["environment"])
    time.tzset()
    os.chdir(begin["code"])


def main() -> None:
    """Initialise once, then invoke for ever."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # print(), and C code, must not speak our protocol
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    begin = json.loads(sys.stdin.readline())
    if "clock" in begin:
        install_clock(begin["clock"], begin["runtime"])
    set_environment(begin)
    set_path(begin)
    try:
        module, _, name = begin["handler"].rpartition(".")
        handler = getattr(importlib.import_module(module.replace("/", ".")), name)
    except BaseException as error:
        traceback.print_exc()
        print(json.dumps({"initialised": False, "error": describe(error)}), file=answers)
        return
    print(json.dumps({"initialised": True}), file=answers)
    for line in sys.stdin:
        invocation = json.loads(line)
        _set_trace(invocation.get("trace_id"))
        context = Context(invocation["request_id"], invocation["arn"], time.time() + begin["timeout"])
        try:
            answer = {"result": json.dumps(handler(invocation["event"], context))}
        except Exception as error:
            print(f"[ERROR] {type(error).__name__}: {error}\n{traceback.format_exc()}", file=sys.stderr)
            answer = {"error": describe(error)}  # type: ignore[dict-item]
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(2, begin["end_of_log"].encode() + b"\n")
        print(json.dumps(answer), file=answers)


def _set_trace(trace: str | None) -> None:
    if trace:
        os.environ["_X_AMZN_TRACE_ID"] = trace
    else:
        os.environ.pop("_X_AMZN_TRACE_ID", None)


if __name__ == "__main__":
    main()
