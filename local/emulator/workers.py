"""Lambda's execution environments: one process each, with Lambda's path, environment and end.

In place of ministack's Python worker, which unpacks the layer for every process (so nothing is ever compiled twice as
fast), gives the function the emulator's environment and packages, and throws the process away after any error.
Where a process comes from, a fork or a start of Python, is the concern of `fork_client`.
"""

import contextlib
import hashlib
import json
import logging
import os
import queue
import secrets
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime
from ministack.core.responses import new_uuid
from ministack.services import lambda_svc

from local.emulator import connections, fork_client, shared_layers
from local.emulator.activity import ACTIVITY
from local.emulator.clock import CLOCK
from local.emulator.invocations import INVOCATIONS, Running, running_here
from local.emulator.timers import TIMERS

logger = logging.getLogger("local.workers")

INITIALISED_WITHIN = 60.0
"""Seconds; Lambda allows ten, but not on a machine with two cores that starts six functions at once."""
HUNG_AFTER = 900.0
"""Seconds of the machine, Lambda's longest timeout: on a simulated clock a function runs for no time at all unless it
waits, so this ends only what would never end."""
TIMED_OUT = ""
PIPES_END_WITHIN = 30.0
"""Seconds to wait for the end of the pipes of a process that has ended; only a child of it can keep them open."""
CALLER_FOUND_WITHIN = 60.0
COMMON_VARIABLES = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "en_US.UTF-8",
    "TZ": ":UTC",
    "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
}
"""What every function has, with the same values unless it sets them itself."""

_unpacked: dict[str, Path] = {}
"""By digest, in the emulator's temporary folder."""
_shared: dict[str, Path] = {}
"""By digest, shared with other emulators."""
_digests: dict[int, tuple[bytes, str]] = {}
"""The digest of an archive by its id; the archive is kept with it, so that no other one gets the id."""
_unpacking = threading.Lock()


def _unpack_once(content: bytes, kind: str) -> Path:
    """A layer's or a function's folder, shared by every process that uses it, so that its bytecode is compiled once."""
    with _unpacking:
        if id(content) not in _digests:  # a layer's takes longer than a fork
            _digests[id(content)] = content, hashlib.sha256(content).hexdigest()
        _content, digest = _digests[id(content)]
        if len(content) >= shared_layers.SHARED_FROM:
            if digest not in _shared:
                _shared[digest] = shared_layers.unpack(content, digest)
            return _shared[digest]
        if digest not in _unpacked:
            folder = Path(tempfile.mkdtemp(prefix=f"ministack-lambda-{kind}-"))
            with zipfile.ZipFile(BytesIO(content)) as archive:
                archive.extractall(folder)
            _unpacked[digest] = folder
        return _unpacked[digest]


def _layer_paths(folder: Path) -> list[str]:
    """What Lambda puts on Python's path for a layer."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [folder / "python" / "lib" / version / "site-packages", folder / "python"]
    return [str(path) for path in candidates if path.is_dir()]


class Worker(lambda_runtime.Worker):  # type: ignore[misc]
    """One execution environment."""

    def __init__(self, func_name: str, config: dict[str, Any], code_zip: bytes) -> None:
        super().__init__(func_name, config, code_zip)
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._log: queue.Queue[str | None] = queue.Queue()
        self._end_of_log = ""
        self._timing_out: int | None = None

    def invoke(  # type: ignore[no-untyped-def]
        self, event, request_id, *, trace_id=None, depth=None, durable=None, invoked_function_arn=None
    ) -> dict[str, Any]:
        """Run one invocation; `{"result": JSON text}` or `{"error": body}`, each with `log`."""
        del depth, durable
        with self._lock:
            if self._proc is None or self._proc.poll() is not None:
                failure = self._start()
                if failure:
                    return {"error": failure, "log": self._drain()}
            line = json.dumps(
                {
                    "event": event,
                    "request_id": request_id,
                    "arn": invoked_function_arn or self.config["FunctionArn"],
                    "trace_id": trace_id,
                }
            )
            timeout = float(self.config.get("Timeout", 3))
            process = self._proc
            try:
                answer = self._ask(line, timeout)
                if answer is None:
                    return self._lost(process, request_id, timeout)
                return {**json.loads(answer), "log": self._drain()}
            finally:
                if self._timing_out is not None:
                    ACTIVITY.end(self._timing_out)
                    self._timing_out = None

    def _ask(self, line: str, timeout: float) -> str | None:
        """Send a line and wait for the answer's; nothing if the process ended or took too long."""
        process = self._proc
        if running := running_here():
            running.pid = process.pid
        with contextlib.suppress(BrokenPipeError, ValueError):  # then its answers are at their end, too
            process.stdin.write(line + "\n")
            process.stdin.flush()
        if not CLOCK.simulated:
            return self._answer_within(process, timeout)
        # A simulated clock reaches the timeout only while the function waits for it.
        timer = TIMERS.after(timeout, self._time_out, "a timeout", counted=False)
        try:
            return self._answer_within(process, HUNG_AFTER) or None
        finally:
            TIMERS.cancel(timer)

    def _time_out(self) -> None:
        """Hold the clock until the process has been ended."""
        self._timing_out, _work = ACTIVITY.begin("a function that takes too long is ended")
        self._answers.put(TIMED_OUT)

    def _answer_within(self, process: fork_client.Process, seconds: float) -> str | None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                answer = self._answers.get(timeout=min(left, 1.0))
            except queue.Empty:
                if process.poll() is None:
                    continue
                answer = _next(self._answers)  # the end of the pipe does not come: a child of the process has it open
            if answer is None:  # all has been read, and in a moment the process is gone
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(PIPES_END_WITHIN)
            return answer
        return None

    def _lost(self, process: fork_client.Process, request_id: str, timeout: float) -> dict[str, Any]:
        """The process ended by itself, was killed, or is too slow and is killed now."""
        self._proc = None
        code = process.poll()
        if code is None:
            process.kill()
            process.wait()
            body = {
                "errorType": "Sandbox.Timedout",
                "errorMessage": f"RequestId: {request_id} Error: Task timed out after {timeout:.2f} seconds",
            }
        else:
            ended = f"signal: {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
            body = {
                "errorType": "Runtime.ExitError",
                "errorMessage": f"RequestId: {request_id} Error: Runtime exited with error: {ended}",
            }
        return {"error": body, "log": f"{self._drain()}\n{body['errorMessage']}".strip()}

    def _start(self) -> dict[str, Any] | None:
        """Start the process and initialise the function; the error's body if that fails."""
        code = _unpack_once(self.code_zip, "code")
        layers = []
        for attachment in self.config.get("Layers", []):
            content = lambda_svc._resolve_layer_zip(attachment)
            if content is None:
                raise RuntimeError(f"the layer {attachment} does not exist")
            layers += _layer_paths(_unpack_once(content, "layer"))
        self._answers, self._log = queue.Queue(), queue.Queue()
        self._end_of_log = f"\x1e{secrets.token_hex(16)}"
        environment = self._environment(code)
        begin = {
            "code": str(code),
            "layers": layers,
            "standard_library": [p for p in sys.path if p and "site-packages" not in p and p != str(Path.cwd())],
            "runtime": sysconfig.get_paths()["purelib"],
            "handler": self.config.get("Handler", "index.handler"),
            "timeout": float(self.config.get("Timeout", 3)),
            **({"clock": CLOCK.path} if CLOCK.simulated else {}),
            "environment": environment,
            "end_of_log": self._end_of_log,
        }
        self._proc = fork_client.start(begin, environment, _common_variables())
        for stream, lines in ((self._proc.stdout, self._answers), (self._proc.stderr, self._log)):
            threading.Thread(target=_read, args=(stream, lines), daemon=True, name="worker-pipe").start()
        answer = self._ask(json.dumps(begin), INITIALISED_WITHIN)
        if answer is None:
            self._proc.kill()
            self._proc.wait()
            self._proc = None
            return {"errorType": "Runtime.InitError", "errorMessage": "the runtime ended while initialising"}
        initialised = json.loads(answer)
        if initialised["initialised"]:
            return None
        self._proc.wait()
        self._proc = None
        error: dict[str, Any] = initialised["error"]
        if error["errorType"] in ("ModuleNotFoundError", "ImportError"):
            error["errorMessage"] = f"Unable to import module '{begin['handler']}': {error['errorMessage']}"
            error["errorType"] = "Runtime.ImportModuleError"
        return error

    def _environment(self, code: Path) -> dict[str, str]:
        """The environment Lambda gives a function, and the one variable that sends its calls here."""
        own = self.config.get("Environment", {}).get("Variables", {})
        name = self.config["FunctionName"]
        _account, region = lambda_runtime._account_region_from_function_config(self.config)
        runtime = self.config.get("Runtime", "python3.13")
        logging_config = self.config.get("LoggingConfig") or {}
        return {
            **_common_variables(),
            **own,
            **lambda_runtime.execution_credentials(self.config),
            "_HANDLER": self.config.get("Handler", ""),
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{runtime}",
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_LAMBDA_INITIALIZATION_TYPE": COMMON_VARIABLES["AWS_LAMBDA_INITIALIZATION_TYPE"],
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.config.get("MemorySize", 128)),
            "AWS_LAMBDA_FUNCTION_VERSION": self.config.get("Version", "$LATEST"),
            "AWS_LAMBDA_LOG_GROUP_NAME": logging_config.get("LogGroup") or f"/aws/lambda/{name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": f"{time.strftime('%Y/%m/%d')}/[$LATEST]{new_uuid().replace('-', '')}",
            **_log_variables(logging_config),
            "LAMBDA_TASK_ROOT": str(code),
        }

    def _drain(self) -> str:
        """What the function wrote, up to the mark that ends an invocation, or the end of the process."""
        lines = []
        while (line := _next(self._log)) is not None:
            text, mark, _ = line.partition(self._end_of_log)
            if text or not mark:
                lines.append(text)
            if mark:
                break
        return "\n".join(lines)


def _common_variables() -> dict[str, str]:
    return {
        **COMMON_VARIABLES,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}",
        "TMPDIR": tempfile.gettempdir(),
    }


def _log_variables(logging_config: dict[str, Any]) -> dict[str, str]:
    """How Lambda configures the logs of a function; the level only with the JSON format (Lambda Developer Guide)."""
    if logging_config.get("LogFormat") != "JSON":
        return {}
    return {
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_LAMBDA_LOG_LEVEL": logging_config.get("ApplicationLogLevel") or "INFO",
    }


def _read(stream: Any, lines: "queue.Queue[str | None]") -> None:
    """Queue a pipe's lines, and nothing when it ends."""
    for line in stream:
        lines.put(line.rstrip("\n"))
    lines.put(None)


def _next(lines: "queue.Queue[str | None]") -> str | None:
    """The next line of a pipe that has one, or ends."""
    try:
        return lines.get(timeout=PIPES_END_WITHIN)
    except queue.Empty:
        return None


def worker_class_for(config: dict[str, Any]) -> type[Worker]:
    """In place of ministack's: Python is all that is done here.

    Raises:
        RuntimeError: another runtime.
    """
    if not str(config.get("Runtime", "")).startswith("python"):
        raise RuntimeError(f"the local AWS runs Python functions only, not {config.get('Runtime')}")
    return Worker


def execute(function: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
    """In place of ministack's `_execute_function_warm`: a handler's error keeps its type and its process."""
    config = function.get("config") or function
    code = function.get("code_zip")
    if not code:
        return {"error": True, "body": {"errorType": "Runtime.NoCode", "errorMessage": "the function has no code"}}
    worker, _reason = lambda_svc.acquire_worker(
        config.get("FunctionName", "unknown"), config, code, qualifier=config.get("Version", "$LATEST")
    )
    try:
        answer = worker.invoke(
            event,
            request_id,
            trace_id=lambda_svc._xray_trace_id_for_invocation(config),
            invoked_function_arn=config.get("FunctionArn", ""),
        )
    except Exception as error:
        logger.exception("the worker of %s failed", config.get("FunctionName"))
        return {"error": True, "body": {"errorType": type(error).__name__, "errorMessage": str(error)}, "log": ""}
    finally:
        lambda_svc.release_worker(worker)
    if "error" in answer:
        return {"error": True, "function_error": "Unhandled", "body": answer["error"], "log": answer["log"]}
    return {"body": json.loads(answer["result"]), "log": answer["log"]}


def processes() -> list[fork_client.Process]:
    """The worker processes that are alive."""
    return [
        worker._proc
        for pool in list(lambda_runtime._workers.values())
        for worker in list(pool)
        if worker._proc is not None and worker._proc.poll() is None
    ]


def running_caller(port: int, server_port: int) -> Running | None:
    """The execution that has the client's end of this connection, if one has."""
    pid = connections.holder(INVOCATIONS.pids(), port, server_port)
    return INVOCATIONS.of_process(pid) if pid else None


def kill_caller(port: int, server_port: int) -> None:
    """Kill the worker that has the client's end of this connection.

    Raises LookupError when none has: a fault that hits nobody would let a test pass that has shown nothing.
    """
    end = time.monotonic() + CALLER_FOUND_WITHIN
    while time.monotonic() < end:
        alive = {process.pid: process for process in processes()}
        if pid := connections.holder(alive, port, server_port):
            alive[pid].kill()
            return
        time.sleep(0.01)  # the kernel's tables change under whoever reads them
    raise LookupError(f"no worker has called from port {port}")


def remove() -> None:
    """Kill all workers and remove what was unpacked."""
    for process in processes():
        process.kill()
    fork_client.stop()
    for folder in _unpacked.values():
        shutil.rmtree(folder, ignore_errors=True)
