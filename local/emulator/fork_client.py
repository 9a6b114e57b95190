"""Processes for execution environments: a fork of a server that has the layer imported, or a cold start of Python.

The fork has what depends on the layer alone. A function for which that might not be what it would import itself, or
might have come out differently, is started cold, as every one could be: it is slower, and nothing else.
"""

import contextlib
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

logger = logging.getLogger("local.workers")

BOOTSTRAP = Path(__file__).with_name("worker_bootstrap.py")
SERVER = Path(__file__).with_name("fork_server.py")
IMPORTED_WITHIN = 60.0
"""Seconds a fork server gets to import a layer. It needs less than one, but a module may wait for ever."""
STOPPED_WITHIN = 2.0
"""Seconds it gets to end; more than it needs, unless it is still importing."""


class ForkedProcess:
    """A child of a fork server, as `subprocess.Popen` would have it: text pipes, and how it ended."""

    def __init__(self, server: "ForkServer") -> None:
        self.returncode: int | None = None
        self._lock = threading.Lock()
        ours, theirs = [], []
        for reading in (False, True, True, True):
            here, there = os.pipe() if reading else os.pipe()[::-1]
            ours.append(here)
            theirs.append(there)
        self.stdin = open(ours[0], "w", buffering=1, encoding="utf-8")  # noqa: PTH123, SIM115 descriptors, as of Popen
        self.stdout = open(ours[1], encoding="utf-8")  # noqa: PTH123, SIM115
        self.stderr = open(ours[2], encoding="utf-8", errors="replace")  # noqa: PTH123, SIM115
        self._end = open(ours[3], "rb", buffering=0)  # noqa: PTH123, SIM115
        os.set_blocking(self._end.fileno(), False)
        try:
            self.pid = server.fork(theirs)
        finally:
            for descriptor in theirs:
                os.close(descriptor)

    def poll(self) -> int | None:
        """The exit code, or minus the signal's number; nothing while it runs."""
        with self._lock:
            if self.returncode is None:
                status = self._end.read(16)
                if status:
                    self.returncode = int(status)
                elif status == b"":  # the server was killed: nobody is left to report how this one ends
                    self._signal(signal.SIGKILL)
                    self.returncode = -signal.SIGKILL
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end. Raises subprocess.TimeoutExpired."""
        if self.poll() is None:
            end = select.poll()
            end.register(self._end, select.POLLIN)
            end.poll(None if timeout is None else timeout * 1000)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(str(SERVER), timeout or 0)
        return code

    def terminate(self) -> None:
        """Ask it to end."""
        if self.poll() is None:
            self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        if self.poll() is None:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


Process = subprocess.Popen[str] | ForkedProcess


class ForkServer:
    """One process that has the layers imported.

    Raises:
        OSError: it ended while importing, or takes too long.
    """

    def __init__(self, begin: Mapping[str, Any], common: Mapping[str, str], varying: Iterable[str]) -> None:
        ours, theirs = socket.socketpair()
        self._lock = threading.Lock()
        self._control = ours
        self._layers = _top_level(begin["layers"])
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(SERVER)], env=dict(common), stdin=theirs, stdout=theirs, cwd="/"
            )
        ours.settimeout(IMPORTED_WITHIN)
        self._answers = ours.makefile("r", encoding="utf-8")
        try:
            ours.sendall(json.dumps({**begin, "varying": sorted(varying)}).encode() + b"\n")
            imported = json.loads(self._line())
        except OSError:
            self.stop()
            raise
        self._own, self._loaded = set(imported["own"]), set(imported["loaded"])
        self._read: dict[str, str | None] = imported["read"]

    def suits(self, code: str, environment: Mapping[str, str]) -> bool:
        """Whether a fork is for this function what a cold start would be.

        Its own modules come first on the path, then those of its layers, so none of them may have been taken from
        elsewhere; and what was read of the environment while importing must be what the function would have read.
        """
        return (
            self._loaded.isdisjoint(_top_level([code]))
            and self._own.isdisjoint(self._layers)
            and all(environment.get(name) == value for name, value in self._read.items())
        )

    def fork(self, descriptors: Sequence[int]) -> int:
        """A new child with these as standard input, output and error, and for its exit code. Returns its pid."""
        with self._lock:
            socket.send_fds(self._control, [b"f"], list(descriptors))
            return int(self._line())

    def _line(self) -> str:
        line = self._answers.readline()
        if not line:
            raise ConnectionError("the fork server ended")
        return line

    def stop(self) -> None:
        """End it, and all its children."""
        self._answers.close()
        self._control.close()
        try:
            self._process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:  # it is still importing
            self._process.kill()
            self._process.wait()


_servers: dict[tuple[str, ...], ForkServer | None] = {}
_starting = threading.Lock()


def start(begin: Mapping[str, Any], environment: Mapping[str, str], common: Mapping[str, str]) -> Process:
    """A process for one execution environment, that waits for `begin`.

    Args:
        begin: what `worker_bootstrap` is initialised with.
        environment: the function's.
        common: the variables that every function has, with the same values.
    """
    key = tuple(begin["layers"])
    with _starting:
        if key not in _servers:
            varying = [name for name, value in environment.items() if common.get(name) != value]
            _servers[key] = _start_server(begin, common, varying)
        server = _servers[key]
    if server is not None and server.suits(begin["code"], environment):
        try:
            return ForkedProcess(server)
        except OSError:
            logger.warning("the fork server of %s ended", key, exc_info=True)
            with _starting:
                if _servers.get(key) is server:
                    del _servers[key]
            server.stop()
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(BOOTSTRAP)],
        env=dict(common),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        bufsize=1,
    )


def _start_server(begin: Mapping[str, Any], common: Mapping[str, str], varying: Iterable[str]) -> ForkServer | None:
    try:
        return ForkServer(begin, common, varying)
    except OSError:
        logger.warning("no fork server for %s: its functions start cold", begin["layers"], exc_info=True)
        return None


def _top_level(folders: Iterable[str]) -> set[str]:
    """The names that these folders give to modules and packages."""
    return {entry.name.partition(".")[0] for folder in folders for entry in Path(folder).iterdir()}


def stop() -> None:
    """End every server, with what it forked."""
    with _starting:
        for server in _servers.values():
            if server is not None:
                server.stop()
        _servers.clear()
