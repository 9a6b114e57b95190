"""The local AWS as a context manager: start it, talk to it, stop it and leave nothing behind."""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config

from local.control import Control

ROOT = Path(__file__).resolve().parent.parent
EMULATOR_PYTHON = ROOT / ".tools" / "local" / "bin" / "python"
SAM_BIN = ROOT / ".tools" / "sam" / "bin"
HOME_ACCOUNT = "111122223333"
REGION = "eu-west-1"
SECRET = "test"
HEALTHY_WITHIN = 300.0
"""Seconds the emulator gets to answer its health check; it needs one or two, and more on a busy machine."""
STOPPED_WITHIN = 60.0
LOG_TAIL_LINES = 40


class LocalAwsError(RuntimeError):
    """The local AWS did not start or died; the message carries the tail of its log."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _without_aws(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without anything that could reach, or speak for, a real AWS account."""
    return {name: value for name, value in environment.items() if not name.startswith(("AWS_", "SAM_"))}


class LocalAws:
    """One emulator process on a free loopback port, with a temporary folder of its own.

    Usable as a context manager or with `start` and `stop`. It also stops at interpreter exit and on SIGTERM, and the
    emulator itself stops when this process dies, because it watches its standard input.

    Args:
        settings: what the emulator starts with, as `Control.configure` takes it, for example
            `{"delays": {"snapshot": 0.05}}`.
        enforce_iam: whether policies are evaluated; leave it on unless a test is about something else.
        log_level: the emulator's own log level.
        simulated: whether its clock is a simulated one, which moves only on request (`Control.settle`,
            `Control.advance`); else it is the machine's.
        begins: when a simulated clock starts, in ISO 8601 with a zone; the emulator's own beginning if not given.

    Raises:
        LocalAwsError: from `start`, if the emulator does not become healthy.
    """

    def __init__(
        self,
        settings: Mapping[str, Any] | None = None,
        *,
        enforce_iam: bool = True,
        log_level: str = "WARNING",
        simulated: bool = True,
        begins: str = "",
    ) -> None:
        self._settings = dict(settings or {})
        self._enforce_iam = enforce_iam
        self._log_level = log_level
        self._simulated = simulated
        self._begins = begins
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._sessions: dict[str, boto3.Session] = {}
        self._clients: dict[tuple[str, str, str], Any] = {}
        self._previous_sigterm: Any = None
        self.port = 0
        self.started_in = 0.0
        """Seconds from the start of the process to its first healthy answer."""

    @property
    def endpoint(self) -> str:
        """The one URL of every service."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def folder(self) -> Path:
        """The emulator's temporary folder; it goes when the emulator stops."""
        if self._folder is None:
            raise LocalAwsError("the local AWS is not running")
        return self._folder

    @property
    def pid(self) -> int:
        """The emulator's process id."""
        if self._process is None:
            raise LocalAwsError("the local AWS is not running")
        return self._process.pid

    @property
    def control(self) -> Control:
        """Delays, faults, seeds, events, schedules and logs of this emulator."""
        return Control(self.endpoint)

    def environment(self, *, account: str = HOME_ACCOUNT, region: str = REGION) -> dict[str, str]:
        """The environment for a subprocess (SAM CLI, AWS CLI, a script) that shall talk to this AWS and no other."""
        return {
            **_without_aws(os.environ),
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": region,
            "AWS_REGION": region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "SAM_CLI_TELEMETRY": "0",
            # SAM CLI checks every five seconds how far CloudFormation is, which here is done within one.
            "SAM_CLI_POLL_DELAY": "0.3",
            "PATH": os.pathsep.join([str(Path(sys.prefix) / "bin"), str(SAM_BIN), os.environ.get("PATH", "")]),
        }

    def client(self, service: str, region: str | None = None, account: str | None = None) -> Any:
        """A boto3 client of the account's root; the same one for the same arguments."""
        key = (service, region or REGION, account or HOME_ACCOUNT)
        if key not in self._clients:
            self._clients[key] = self._session(key[2]).client(
                service,  # type: ignore[call-overload]
                region_name=key[1],
                endpoint_url=self.endpoint,
                config=Config(retries={"mode": "standard", "total_max_attempts": 3}, max_pool_connections=50),
            )
        return self._clients[key]

    def _session(self, account: str) -> boto3.Session:
        if account not in self._sessions:
            self._sessions[account] = boto3.Session(aws_access_key_id=account, aws_secret_access_key=SECRET)
        return self._sessions[account]

    def log_tail(self) -> str:
        """The last lines the emulator wrote."""
        if self._folder is None:
            return ""
        log = self._folder / "emulator.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]) if log.exists() else ""

    def start(self) -> Self:
        """Start the emulator and wait until it answers.

        Raises:
            LocalAwsError: it died or did not answer in time.
        """
        begun = time.monotonic()
        self.port = _free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="lifeboat-local-"))
        atexit.register(self.stop)
        with (self._folder / "emulator.log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(EMULATOR_PYTHON), "-m", "local.emulator"],
                cwd=ROOT,
                env=self._emulator_environment(self._folder),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._stop_on_sigterm()
            self._wait_healthy(begun + HEALTHY_WITHIN)
            if self._settings:
                self.control.configure(self._settings)
        except BaseException:
            self.stop()
            raise
        self.started_in = time.monotonic() - begun
        return self

    def _emulator_environment(self, folder: Path) -> dict[str, str]:
        return {
            **{name: os.environ[name] for name in ("HOME", "LANG", "PATH") if name in os.environ},
            "TMPDIR": str(folder),
            "LOCAL_AWS_FOLDER": str(folder),
            "LOCAL_AWS_PORT": str(self.port),
            "LOCAL_AWS_ACCOUNT": HOME_ACCOUNT,
            "LOCAL_AWS_REGION": REGION,
            "LOCAL_AWS_ENFORCE_IAM": "true" if self._enforce_iam else "false",
            "LOCAL_AWS_CLOCK": "simulated" if self._simulated else "real",
            "LOCAL_AWS_CLOCK_BEGINS": self._begins,
            "LOG_LEVEL": self._log_level,
            "PYTHONUNBUFFERED": "1",
        }

    def _wait_healthy(self, deadline: float) -> None:
        while True:
            if self._process is None or self._process.poll() is not None:
                raise LocalAwsError(f"the emulator ended while starting:\n{self.log_tail()}")
            try:
                with urllib.request.urlopen(f"{self.endpoint}/_local/health", timeout=1):
                    return
            except (urllib.error.URLError, OSError):
                if time.monotonic() > deadline:
                    raise LocalAwsError(
                        f"the emulator did not answer within {HEALTHY_WITHIN:.0f} s:\n{self.log_tail()}"
                    ) from None
                time.sleep(0.05)

    def _stop_on_sigterm(self) -> None:
        """SIGTERM would end this process without its exit handlers, and leave the temporary folder behind."""
        try:
            self._previous_sigterm = signal.signal(signal.SIGTERM, self._on_sigterm)
        except ValueError:  # only the main thread may set a signal handler; then the exit handler must do
            self._previous_sigterm = None

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.stop()
        raise SystemExit(128 + number)

    def stop(self) -> None:
        """Stop the emulator and its Lambda workers, and remove its folder. Harmless if it is not running."""
        process, self._process = self._process, None
        if process is not None:
            if process.stdin:
                process.stdin.close()
            process.terminate()
            try:
                process.wait(STOPPED_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        self._clients.clear()
        self._sessions.clear()
        atexit.unregister(self.stop)
        if self._previous_sigterm is not None:
            signal.signal(signal.SIGTERM, self._previous_sigterm)
            self._previous_sigterm = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
