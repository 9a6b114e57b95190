"""From boto3 to the emulator and back without a network: the same request, judged and answered in this process."""

import contextvars
import itertools
import urllib.parse
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

from botocore import auth, loaders
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session
from ministack.core import router
from ministack.core.responses import set_request_account_id, set_request_region

from local.emulator import gateway

ANYBODY = "ANYBODY"
"""The access key of whoever's clients were made before it was known for whom."""

_numbers = itertools.count(1)


class Wire:
    """The way of a call."""

    def __init__(self) -> None:
        self.key_of_caller: Callable[[], str] = lambda: ""
        """The access key of the function that runs here."""
        self.on_the_way: Callable[[], None] = lambda: None
        """Called when a request, and again when its answer, is on its way."""
        self.beside: Callable[[], AbstractContextManager[object]] = nullcontext
        """What surrounds the emulator's work, which is none of the caller's process."""


WIRE = Wire()


def finished(work: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns that gives way to nobody for long."""
    try:
        while True:
            work.send(None)
    except StopIteration as end:
        return end.value


def _sign(self: Any, request: Any) -> None:
    """In place of botocore's SigV4: who calls and where, without the arithmetic; nothing here could forge it."""
    key = self.credentials.access_key
    if key == ANYBODY:
        key = WIRE.key_of_caller()
    scope = f"{key}/20260101/{self._region_name}/{self._service_name}/aws4_request"
    request.headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"


class _Body:
    """What botocore reads an answer from."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> Any:
        yield self._content


def _send(_session: Any, request: Any) -> AWSResponse:
    """In place of botocore's HTTP session: the answer of the emulator.

    Raises:
        ConnectionClosedError: the answer did not arrive.
    """
    WIRE.on_the_way()
    try:
        with WIRE.beside():
            status, headers, content = contextvars.Context().run(_dispatched, request)
    except gateway.ConnectionCutError:
        WIRE.on_the_way()
        raise ConnectionClosedError(endpoint_url=request.url) from None
    WIRE.on_the_way()
    answered = HTTPHeaders()
    for name, value in headers.items():
        answered[name] = value
    body = content.encode() if isinstance(content, str) else content
    return AWSResponse(request.url, status, answered, _Body(body))


def _dispatched(request: Any) -> tuple[int, dict[str, str], Any]:
    url = urllib.parse.urlsplit(request.url)
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else str(value)
        for name, value in request.headers.items()
    }
    headers.setdefault("host", url.netloc)
    query = urllib.parse.parse_qs(url.query, keep_blank_values=True)
    body = request.body or b""
    if not isinstance(body, bytes | str):
        body = body.read()
    body = body.encode() if isinstance(body, str) else body
    set_request_account_id(router.extract_access_key_id(headers, query))
    set_request_region(router.extract_region(headers, query))
    path = urllib.parse.unquote(url.path) or "/"
    request_id = f"request-{next(_numbers):012}"
    answer: tuple[int, dict[str, str], Any] = finished(
        gateway.dispatch(request.method, path, headers, body, query, request_id)
    )
    return answer


def begin() -> None:
    """From now on no call of boto3 leaves this process, and no session reads again what another has read."""
    URLLib3Session.send = _send
    reader = loaders.JSONFileLoader()
    read = cache(reader.load_file)
    loaders.JSONFileLoader.load_file = lambda _self, path: read(path)
    for signer in {auth.SigV4Auth, *set(auth.AUTH_TYPE_MAPS.values())}:
        if issubclass(signer, auth.SigV4Auth):
            signer.add_auth = _sign
