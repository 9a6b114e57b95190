"""The parent of execution environments: it imports the layer once, and forks a process for each environment.

A cold start of Python with boto3, pydantic and the layer costs half a second of a processor, a fork some milliseconds.
A child is what a new process would be at the moment before it reads its first line: `worker_bootstrap.main` goes on
from there, with pipes of its own. It is the same process an environment as in Lambda, and it shares only what does not
depend on the function: a module that reads, while it is imported, a variable that functions set, is left to the child.

Standard input is a socket. It brings one JSON line first, with `layers`, `standard_library` and `runtime` as in the
initialisation of `worker_bootstrap`, and `varying`: the variables that differ from function to function. The answer is
one line that says what is loaded. Then each byte with four descriptors (standard input, output, error, and a pipe for
the end) asks for a fork, and is answered with its pid in a line. The exit code of a child is written to its pipe. When
the socket ends the emulator is gone, and every child is killed.

Nothing here may start a thread or keep a connection: a fork would not have the one and share the other.
"""

import contextlib
import gc
import importlib
import importlib.util
import json
import os
import pkgutil
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGES = (
    "boto3",
    "botocore.endpoint_provider",
    "botocore.retries.adaptive",
    "botocore.retries.standard",
    "pydantic",
    "pydantic.main",
    "aws_lambda_powertools.utilities.idempotency",
    "aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch",
)
"""What functions import, from the layer or from Lambda's runtime; what is in neither is left out."""

SERVICES = ("ec2", "ebs", "dynamodb", "sns", "sqs", "lambda", "sts")
"""What functions call: botocore's descriptions of these are read once."""

QUICK_BOTOCORE = Path(__file__).parents[1] / "quick_botocore.py"

LIBRARY = "lifeboat"
"""Our own package in the layer; of this one every module."""


class Varies(BaseException):
    """A module reads a variable while it is imported, and the variable is not the same for every function.

    No Exception, so that `except Exception` in a module does not hide it.
    """


class WatchedEnvironment:
    """While it is entered, reading one of the variables that vary raises, and what else is read is written down."""

    def __init__(self, varying: Iterable[str]) -> None:
        self._varying = set(varying)
        self.read: dict[str, str | None] = {}
        """Each variable that was read, with the value that it had."""

    def __enter__(self) -> "WatchedEnvironment":
        kind: Any = type(os.environ)
        self._kind, self._get, self._iterate = kind, kind.__getitem__, kind.__iter__

        def get(environment: Any, name: str) -> str:
            if name in self._varying:
                raise Varies(name)
            self.read[name] = None
            value: str = self._get(environment, name)
            self.read[name] = value
            return value

        def iterate(environment: Any) -> Iterator[str]:
            raise Varies("all of them")

        kind.__getitem__, kind.__iter__ = get, iterate
        return self

    def __exit__(self, *_: object) -> None:
        self._kind.__getitem__, self._kind.__iter__ = self._get, self._iterate


def load_alone(file: Path) -> ModuleType:
    """The module of one file, without its folder on the path, where a function would find it."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def loaded() -> list[str]:
    """The top-level names of all modules."""
    return sorted({name.partition(".")[0] for name in sys.modules})


def import_what_is_shared(varying: Iterable[str]) -> dict[str, str | None]:
    """Import all that depends on no variable of a function; return the other variables that were read."""
    with WatchedEnvironment(varying) as environment:
        for name in (*PACKAGES, *_modules_of(LIBRARY)):
            # The import system forgets a module that fails, and all that were importing it.
            # Whatever is wrong with it, the function that imports it gets the error.
            with contextlib.suppress(Exception, Varies):
                importlib.import_module(name)
    return environment.read


def read_descriptions() -> None:
    """Read the files in which botocore describes the services, and give them to each session of each child.

    A cold start reads them for its first client: a tenth of a second of a processor for EC2. They depend on nothing.
    Nor do the classes that botocore makes of them, half as long again.
    """
    with contextlib.suppress(ImportError):  # the layer has no botocore, nor has the runtime
        import botocore.session

        load_alone(QUICK_BOTOCORE).quicken()
        loader = botocore.session.create_loader(None)  # no folder of descriptions of the function's own
        for service in SERVICES:
            for kind in ("service-2", "endpoint-rule-set-1", "paginators-1"):
                with contextlib.suppress(LookupError, botocore.exceptions.DataNotFoundError):
                    loader.load_service_model(service, kind)
        for name in ("endpoints", "partitions", "_retry"):
            loader.load_data(name)
        make_clients(botocore.session.Session())


def make_clients(session: Any) -> None:
    """Make a client of each service, and drop it: its class and what modules remember stay for the children."""
    from botocore.exceptions import BotoCoreError

    for service in SERVICES:
        with contextlib.suppress(BotoCoreError):  # a description that is missing, or a broken ~/.aws/config
            session.create_client(
                service, region_name="us-east-1", aws_access_key_id="unused", aws_secret_access_key="unused"
            )


def _modules_of(package: str) -> Iterator[str]:
    try:
        found = importlib.import_module(package)
    except (Exception, Varies):  # there is none, or not one to share
        return
    for module in pkgutil.walk_packages(getattr(found, "__path__", []), f"{package}.", onerror=lambda _: None):
        yield module.name


class ForkServer:
    """Forks on request and reports how each child ended."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._ends: dict[int, int] = {}
        self._woken, self._wake = socket.socketpair()
        for end in (self._woken, self._wake):
            end.setblocking(False)
        signal.set_wakeup_fd(self._wake.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a person's Ctrl-C is for the emulator, which then stops us

    def serve(self) -> bool:
        """Fork until the emulator is gone; true in a child, false in this process at its end."""
        while True:
            ready, _, _ = select.select([self._control, self._woken], [], [])
            if self._woken in ready:
                self._woken.recv(4096)
                self._report()
            if self._control in ready:
                asked, descriptors, _, _ = socket.recv_fds(self._control, 1, 4)
                if not asked:
                    for pid in self._ends:
                        os.kill(pid, signal.SIGKILL)
                    return False
                if self._fork(descriptors):
                    return True

    def _fork(self, descriptors: list[int]) -> bool:
        pid = os.fork()
        if pid == 0:
            self._become_child(descriptors)
            return True
        *pipes, end = descriptors
        for pipe in pipes:
            os.close(pipe)
        self._ends[pid] = end
        self._control.sendall(f"{pid}\n".encode())
        return False

    def _become_child(self, descriptors: list[int]) -> None:
        """Leave nothing of the server open, and put the pipes in the place of the standard streams."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        *pipes, end = descriptors
        self._control.detach()  # it is descriptor 0, which the first pipe replaces
        self._woken.close()
        self._wake.close()
        for other in (end, *self._ends.values()):
            os.close(other)
        for standard, pipe in enumerate(pipes):
            os.dup2(pipe, standard)
            os.close(pipe)
        gc.enable()

    def _report(self) -> None:
        """Report each child that ended to the emulator."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            end = self._ends.pop(pid)
            with contextlib.suppress(BrokenPipeError):  # the emulator may have lost interest
                os.write(end, f"{os.waitstatus_to_exitcode(status)}\n".encode())
            os.close(end)


def main() -> None:
    """Import, then fork until the emulator is gone; in each child, be a worker."""
    os.dup2(2, 1)  # what a module prints while it is imported is for the emulator's log
    control = socket.socket(fileno=0)
    bootstrap = load_alone(Path(__file__).with_name("worker_bootstrap.py"))
    begin = json.loads(control.makefile("r").readline())
    own = loaded()
    gc.disable()
    bootstrap.set_path(begin)
    read = import_what_is_shared(begin["varying"])
    read_descriptions()
    bootstrap.import_time_machine(begin["runtime"])
    if threading.active_count() > 1:
        print("a module of the layer starts a thread when it is imported: its functions start without a fork")
        sys.stdout.flush()
        os._exit(1)  # at once, whatever the thread does
    sys.stdout.flush()
    sys.stderr.flush()
    gc.collect()
    gc.freeze()  # the collector would write to each object, and so copy the memory that parent and child share
    server = ForkServer(control)
    control.sendall(json.dumps({"own": own, "loaded": loaded(), "read": read}).encode() + b"\n")
    if not server.serve():
        os._exit(0)  # there is nothing to clear up, and whoever stops the emulator waits for this
    bootstrap.main()


if __name__ == "__main__":
    main()
