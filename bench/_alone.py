"""A real handler in a process of its own: what one invocation takes of the function's memory and time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import process_time
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LAYER = ROOT / "layers" / "lifeboat" / "python"
for place in (str(ROOT), str(LAYER)):
    if place not in sys.path:  # run as a program, not by pytest
        sys.path.insert(0, place)

ACCOUNT = "111122223333"
REGION = "eu-west-1"
MEGABYTES_OF_A_PROCESSOR = 1_769
"""Lambda gives processor time in proportion to MemorySize: one whole processor at so many MB
(https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html)."""


@contextmanager
def served(handler: type[BaseHTTPRequestHandler], **facts: Any) -> Iterator[str]:
    """The URL of a server whose handler has these facts; it stands in for AWS, in a thread of its own.

    It logs nothing: what is asked is known.
    """
    made = type("Served", (handler,), {**facts, "log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), made) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def reported_alone(module: str, *arguments: object, url: str, **variables: str) -> dict[str, Any]:
    """What a module of the bench prints when it runs as a program of its own: its last line, as JSON.

    All that it asks of AWS goes to `url`; `variables` are of the function's environment. It has the time of the caller:
    what preloads another clock stays in its environment.
    """
    of_others = ("AWS_", "LIFEBOAT_", "POWERTOOLS_", "SLIPCOVER_")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(of_others)},
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "LIFEBOAT_STACK": "lifeboat",
        "LIFEBOAT_TABLE": "table",
        "LIFEBOAT_TOPIC": f"arn:aws:sns:{REGION}:{ACCOUNT}:notifications",
        "POWERTOOLS_SERVICE_NAME": "lifeboat",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        **variables,
    }
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])  # what comes before is the log
    return answer


def main(run: Callable[[], Mapping[str, Any]], invoke: Callable[..., Any]) -> int:
    """A module of the bench as a program: with arguments one invocation, printed as JSON; without them `run`.

    Returns 1 if a bound is not kept.
    """
    if len(sys.argv) > 1:
        kind, *numbers = sys.argv[1:]
        print(json.dumps(asdict(invoke(kind, *map(int, numbers)))))
        return 0
    problems = run()["problems"]
    print("\n".join(problems) or "within the bounds")
    return 1 if problems else 0


@dataclass(slots=True)
class Context:
    """What Lambda says to a function that may take so many seconds, those of a processor: what else runs on this
    machine takes nothing of them."""

    seconds: float
    memory_limit_in_mb: int
    began: float = field(default_factory=process_time)
    function_name: str = "measured"
    invoked_function_arn: str = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:measured"
    aws_request_id: str = "1"

    def get_remaining_time_in_millis(self) -> int:
        return int(1000 * (self.seconds - (process_time() - self.began)))


def in_lambda(seconds: float, processor_seconds: float, memory_size: int) -> float:
    """How long it would take with Lambda's part of a processor as fast as this machine's."""
    waited = seconds - processor_seconds
    return round(waited + processor_seconds * MEGABYTES_OF_A_PROCESSOR / memory_size, 1)


def peak_mb() -> float:
    """The most memory this program ever had. Not getrusage: its figure begins with that of the process that started
    this one, and a test run is large."""
    [peak] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(peak) / 1024
