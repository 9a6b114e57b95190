"""From boto3 to the emulator and back without a network: the same request, judged and answered in this process."""

import contextvars
import io
import itertools
import math
import urllib.parse
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

from botocore import auth, loaders, useragent
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from botocore.httpsession import URLLib3Session
from ministack import app as ministack_app
from ministack.core import router
from ministack.core.responses import set_request_account_id, set_request_region

from local.emulator import gateway
from local.simulator.machine import MACHINE

ANYBODY = "ANYBODY"
"""The access key of whoever's clients were made before it was known for whom."""

AT_ONCE: contextvars.ContextVar[bool] = contextvars.ContextVar("at_once", default=False)
"""Whether the request that is carried out has been late already."""

_numbers = itertools.count(1)


class Wire:
    """The way of a call."""

    def __init__(self) -> None:
        self.key_of_caller: Callable[[], str] = lambda: ""
        """The access key of the function that runs here."""
        self.on_the_way: Callable[[float], bool] = lambda _patience: True
        """Called when a request, and again when its answer, is on its way; whether it arrives while the client waits,
        which it does for so many seconds."""
        self.arrives_later: Callable[[float, Callable[[], object]], object] = lambda _seconds, _work: None
        """Called with what a request does when it arrives at last, though nobody waits for the answer any more."""
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


class _Body(io.BytesIO):
    """What botocore reads an answer from, at once or, where an operation streams it, piece by piece."""

    def stream(self) -> Any:
        yield self.getvalue()


class Belated(Exception):  # noqa: N818 - it is no error: the request is on its way
    """A request has not arrived yet, and takes so many seconds more."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def _send(session: Any, request: Any) -> AWSResponse:
    """In place of botocore's HTTP session: the answer of the emulator.

    Raises:
        ConnectionClosedError: the answer did not arrive.
        ReadTimeoutError: it did not arrive in time. What was asked for may be done, or be done yet.
    """
    patience = session._timeout.read_timeout
    late = ReadTimeoutError(endpoint_url=request.url)
    if not WIRE.on_the_way(patience):
        raise late
    try:
        status, headers, content = _carried_out(request)
    except Belated as belated:
        if belated.seconds >= patience:
            WIRE.arrives_later(belated.seconds, lambda: _carried_out(request, at_once=True))
            MACHINE.sleep(patience)
            raise late from None
        MACHINE.sleep(belated.seconds)
        status, headers, content = _carried_out(request, at_once=True)
    if not WIRE.on_the_way(patience):
        raise late
    answered = HTTPHeaders()
    for name, value in headers.items():
        answered[name] = value
    body = content.encode() if isinstance(content, str) else content
    return AWSResponse(request.url, status, answered, _Body(body))


def _carried_out(request: Any, *, at_once: bool = False) -> tuple[int, dict[str, str], Any]:
    """What the emulator answers.

    Raises:
        ConnectionClosedError: the answer is lost.
        Belated: the request has not arrived yet; never if it is to be carried out at once.
    """
    try:
        with WIRE.beside():
            return contextvars.Context().run(_dispatched, request, at_once)
    except gateway.ConnectionCutError:
        WIRE.on_the_way(math.inf)
        raise ConnectionClosedError(endpoint_url=request.url) from None


def _dispatched(request: Any, at_once: bool) -> tuple[int, dict[str, str], Any]:
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
    # Ministack unpacks a body in chunks, as boto3 sends one to S3, in its server.
    body = ministack_app._decode_aws_chunked_body(body.encode() if isinstance(body, str) else body, headers)
    AT_ONCE.set(at_once)
    set_request_account_id(router.extract_access_key_id(headers, query))
    set_request_region(router.extract_region(headers, query))
    path = _path_with_bucket(url, headers)
    request_id = f"request-{next(_numbers):012}"
    answer: tuple[int, dict[str, str], Any] = finished(
        gateway.dispatch(request.method, path, headers, body, query, request_id)
    )
    return answer


def _path_with_bucket(url: urllib.parse.SplitResult, headers: dict[str, str]) -> str:
    """The path of a request. boto3 names a bucket in the host; gateway.dispatch expects it in the path.

    The host in `headers` becomes that of S3 then. Ministack does the same between its server and its dispatch, which
    the simulator does not pass.
    """
    path = urllib.parse.unquote(url.path) or "/"
    bucket = ministack_app._extract_s3_vhost_bucket(url.netloc)
    if not bucket:
        return path
    headers["host"] = url.netloc.removeprefix(f"{bucket}.")
    return f"/{bucket}{path}"


def begin() -> None:
    """From now on no call of boto3 leaves this process, and no session reads again what another has read."""
    URLLib3Session.send = _send
    reader = loaders.JSONFileLoader()
    read = cache(reader.load_file)
    loaders.JSONFileLoader.load_file = lambda _self, path: read(path)
    loaders.Loader.list_available_services = cache(loaders.Loader.list_available_services)
    useragent.UserAgentString.to_string = lambda _self: "simulated"
    for signer in {auth.SigV4Auth, *set(auth.AUTH_TYPE_MAPS.values())}:
        if issubclass(signer, auth.SigV4Auth):
            signer.add_auth = _sign
