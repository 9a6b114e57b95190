"""Serves a dashboard to a browser on this machine, and calls its functions for it."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from local.session import HOME_ACCOUNT
from local.viewer.widgets import Clients, call, read_dashboard

STATIC = Path(__file__).parent / "static"
FILES = {
    "/": ("viewer.html", "text/html; charset=utf-8"),
    "/viewer.js": ("viewer.js", "text/javascript; charset=utf-8"),
    "/viewer.css": ("viewer.css", "text/css; charset=utf-8"),
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""The second wall behind the cleaning: the browser runs no script but viewer.js, and talks to no other server."""
LARGEST = 6 * 1024 * 1024
"""Bytes that a synchronous invocation takes (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)."""


@contextmanager
def serve(viewer: Clients, dashboard: str, port: int = 0) -> Iterator[str]:
    """Serve a dashboard on loopback until the end of the block; gives its address.

    Args:
        viewer: whose rights count.
        dashboard: its name.
        port: a free one if not given.
    """
    server = _Server(("127.0.0.1", port), _Handler)
    server.viewer, server.dashboard = viewer, dashboard
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    viewer: Clients
    dashboard: str

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a page that was closed before its answer came."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if not self._is_own_page():
            self._refuse(HTTPStatus.FORBIDDEN, "Only this machine's own page is served here.")
        elif path in FILES:
            name, kind = FILES[path]
            self._send((STATIC / name).read_bytes(), kind)
        elif path == "/dashboard":
            self._send_json({"account": HOME_ACCOUNT, **read_dashboard(self.server.viewer, self.server.dashboard)})
        else:
            self._refuse(HTTPStatus.NOT_FOUND, f"Nothing is at {path}.")

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        if not self._is_own_page() or self.path != "/call":
            self._refuse(HTTPStatus.FORBIDDEN, "Only this machine's own page may call functions here.")
        elif length > LARGEST:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"Lambda takes at most {LARGEST} bytes.")
        else:
            asked = json.loads(self.rfile.read(length))
            answer = call(self.server.viewer, asked["endpoint"], asked["params"], asked["widgetContext"])
            self._send_json(answer)

    def _is_own_page(self) -> bool:
        """No other web page in the same browser, and no foreign name for this address."""
        host = self.headers.get("Host", "")
        own = {f"127.0.0.1:{self.server.server_address[1]}", f"localhost:{self.server.server_address[1]}"}
        return host in own and self.headers.get("Origin", f"http://{host}") == f"http://{host}"

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self._send(why.encode(), "text/plain; charset=utf-8", status)

    def _send_json(self, answer: Any) -> None:
        self._send(json.dumps(answer).encode(), "application/json")

    def _send(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing: the calls are in the log of the local AWS."""
