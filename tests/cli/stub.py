"""A stub of Lambda on loopback, and the command line run against it in this process."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typer.testing import CliRunner

from lifeboat_cli.__main__ import APP


@dataclass
class Stub:
    """What the functions answer, by their names, and what they were asked. An answer may be a list, one a call."""

    answers: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    url: str = ""

    def answer(self, function: str, event: dict[str, Any]) -> Any:
        self.asked.append((function, event))
        found = self.answers.get(function, {"refused": f"{function} is not expected"})
        return found.pop(0) if isinstance(found, list) else found

    def run(self, *arguments: str, typed: str = "", **environment: str) -> tuple[int, str, str]:
        """Run `lifeboat`: its exit code, and what it wrote to standard output and standard error."""
        settings = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "111122223333",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }
        done = CliRunner().invoke(APP, [*arguments], input=typed, env=settings | environment, prog_name="lifeboat")
        return done.exit_code, done.stdout, done.stderr


def _handler(stub: Stub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert "Signature=" in self.headers["Authorization"]
            body = json.dumps(stub.answer(self.path.split("/")[3], event)).encode()
            self.send_response(stub.status)
            for name, value in {"Content-Length": str(len(body)), **stub.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    return Handler


@contextmanager
def serving() -> Iterator[Stub]:
    """A stub that answers on loopback."""
    made = Stub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(made))
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()
