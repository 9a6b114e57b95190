"""Calls the stack's functions with the person's own credentials.

botocore finds credentials, region and endpoint, and signs. Its client for Lambda is not used: loading the models of
that service takes a third of the time of `lifeboat status`.
"""

from __future__ import annotations

import getpass
import json
import re
import secrets
import shlex
import time
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lifeboat_cli.outcome import Exit, Problem
from lifeboat_cli.words import shown

if TYPE_CHECKING:
    from botocore.awsrequest import AWSResponse
    from botocore.session import Session

STACK_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}")
CONNECT_SECONDS = 10
READ_SECONDS = 310
"""Longer than restore_volume may run. What takes longer answers with an id within seconds, but for verify_snapshots."""

TRIES = 3
PAUSE_SECONDS = 2.0
PASSING = frozenset({429, 500, 502, 503, 504})
"""HTTP states after which the same call may succeed. Every request may be sent twice: it carries an id, or only reads,
or the function carries it out once."""


class Functions:
    """The functions of one stack."""

    def __init__(self, stack: str, region: str | None, profile: str | None) -> None:
        if not STACK_NAME.fullmatch(stack):
            raise Problem(f"--stack is {shown(stack)}, expected the name of a stack such as lifeboat", Exit.USAGE)
        self.stack = stack
        self._region = region
        self._profile = profile

    @property
    def options(self) -> str:
        """The options that name this stack, for a command that a person may paste."""
        named = {"--stack": self.stack, "--region": self._region, "--profile": self._profile}
        return " ".join(f"{option} {shlex.quote(shown(value))}" for option, value in named.items() if value)

    @cached_property
    def session(self) -> Session:
        import botocore.session  # noqa: PLC0415 - takes 150 ms, which --help need not wait for

        return botocore.session.Session(profile=self._profile)

    @cached_property
    def region(self) -> str:
        """The region of the stack. Raises Problem if neither the command line nor the configuration has one."""
        found: str | None = self._region or self.session.get_config_variable("region")
        if not found:
            self.session.get_scoped_config()  # raises for a profile that is not there
            raise Problem("no region is configured: use --region, or set AWS_REGION", Exit.NEEDS_A_PERSON)
        return found

    @cached_property
    def endpoint(self) -> str:
        """The URL of Lambda, by the same rules as all AWS tools (AWS_ENDPOINT_URL, the profile, the partition)."""
        from botocore.configprovider import ConfiguredEndpointProvider  # noqa: PLC0415

        setting = self.session.get_config_variable
        if not setting("ignore_configured_endpoint_urls"):
            provider = ConfiguredEndpointProvider(
                full_config=self.session.full_config,
                scoped_config=self.session.get_scoped_config(),
                client_name="lambda",
            )
            if url := provider.provide():
                return _checked(str(url))
        # botocore calls this component internal; the pinned version has it, and a test compares it with a client's URL.
        found = self.session.get_component("endpoint_resolver").construct_endpoint(
            "lambda",
            self.region,
            use_dualstack_endpoint=setting("use_dualstack_endpoint"),
            use_fips_endpoint=setting("use_fips_endpoint"),
        )
        if not found:
            raise Problem(f"the region {shown(self.region)} is not known", Exit.NEEDS_A_PERSON)
        return f"https://{found['hostname']}"

    def invoke(self, function: str, event: Mapping[str, Any], *, seconds: int = READ_SECONDS) -> dict[str, Any]:
        """The answer of a function, such as `show-status`. Raises Problem: not reached, failed or refused."""
        name = f"{self.stack}-{function}"
        with translated(f"Lambda in {self.region}"):
            response = self._send(name, json.dumps(event).encode(), seconds)
        if response.status_code >= 300:
            raise _not_invoked(name, self.region, response)
        try:
            answer = json.loads(response.content)
        except ValueError:
            raise Problem(f"{name} answered no JSON", Exit.FAILED) from None
        if response.headers.get("X-Amz-Function-Error"):
            why = answer.get("errorMessage", "") if isinstance(answer, dict) else ""
            raise Problem(f"{name} failed: {shown(why or answer)}", Exit.FAILED)
        if not isinstance(answer, dict):
            raise Problem(f"{name} answered {shown(answer)}, expected an object", Exit.FAILED)
        if isinstance(answer.get("refused"), str):
            raise Problem(f"Lifeboat refuses: {shown(answer['refused'])}", Exit.FAILED, answer)
        return answer

    def run(self, function: str, event: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """As `invoke`, and waits for the outcome of a run that is answered with an id."""
        answer = self.invoke(function, event, **more)
        while answer.get("under_way") is True and "slot" not in answer and "request" in answer:
            time.sleep(PAUSE_SECONDS)
            answer = self.invoke(function, {"request": answer["request"]})
        if isinstance(answer.get("error"), str):
            raise Problem(
                f"{self.stack}-{function} failed: {shown(answer['error'])} {shown(answer.get('next', ''))}",
                Exit.FAILED,
                answer,
            )
        return answer

    def _send(self, name: str, body: bytes, seconds: int) -> AWSResponse:
        """The response to one signed call, after up to TRIES. Raises botocore's errors and Problem."""
        from botocore.auth import SigV4Auth  # noqa: PLC0415
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415
        from botocore.exceptions import ConnectionClosedError, EndpointConnectionError  # noqa: PLC0415
        from botocore.httpsession import URLLib3Session  # noqa: PLC0415
        from botocore.utils import get_environ_proxies  # noqa: PLC0415

        credentials = self.session.get_credentials()
        if credentials is None:
            raise Problem("no AWS credentials were found: use --profile, or log in", Exit.NEEDS_A_PERSON)
        url = f"{self.endpoint}/2015-03-31/functions/{name}/invocations"
        http = URLLib3Session(
            verify=self.session.get_config_variable("ca_bundle") or True,
            proxies=get_environ_proxies(url),
            timeout=(CONNECT_SECONDS, seconds),  # type: ignore[arg-type] # the stubs know only one number
        )
        for left in reversed(range(TRIES)):
            request = AWSRequest("POST", url, headers={"Content-Type": "application/json"}, data=body)
            SigV4Auth(credentials.get_frozen_credentials(), "lambda", self.region).add_auth(request)
            try:
                response: AWSResponse = http.send(request.prepare())
            except (ConnectionClosedError, EndpointConnectionError):
                if not left:
                    raise
            else:
                if response.status_code not in PASSING or not left:
                    break
            time.sleep(PAUSE_SECONDS)
        return response

    def client(self, service: str) -> Any:
        """botocore's client of another service, for what a person does with rights of their own."""
        return self.session.create_client(service, region_name=self.region)


class translated:  # noqa: N801 - a context manager reads like a function
    """Raises botocore's errors as Problem, with AWS's own words."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, Problem):
            return
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, ReadTimeoutError  # noqa: PLC0415

        if isinstance(error, ReadTimeoutError):
            sentence = f"{self._what} did not answer in time, and what was requested may go on"
            raise Problem(sentence, Exit.NEEDS_A_PERSON, passes=True) from None
        if isinstance(error, BotoCoreError | ClientError):
            passes = isinstance(error, HTTPClientError)
            raise Problem(f"{self._what}: {shown(error)}", Exit.NEEDS_A_PERSON, passes=passes) from None


def new_request_id() -> str:
    """An id for one request, so that a retry is the same request."""
    return f"cli-{secrets.token_hex(8)}"


def person() -> str:
    """Who runs the command, as the record of a restore names it."""
    try:
        return f"{getpass.getuser()} (lifeboat command line)"
    except (OSError, KeyError):
        return "lifeboat command line"


def _checked(url: str) -> str:
    """A configured endpoint. Raises Problem for what is no URL."""
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        raise Problem(f"the endpoint of AWS is {shown(url)}, expected a URL (AWS_ENDPOINT_URL)", Exit.NEEDS_A_PERSON)
    return url.rstrip("/")


def _not_invoked(name: str, region: str, response: AWSResponse) -> Problem:
    """Lambda's own refusal of a call."""
    kind = str(response.headers.get("x-amzn-ErrorType") or response.status_code).split(":")[0]
    try:
        found = json.loads(response.content)
        words = found.get("Message") or found.get("message") or ""
    except (ValueError, AttributeError):
        words = ""
    hint = ": name the stack with --stack and its region with --region" if kind == "ResourceNotFoundException" else ""
    return Problem(
        f"AWS refused to invoke {name} in {region}: {shown(kind)}: {shown(words)}{hint}",
        Exit.NEEDS_A_PERSON,
        passes=response.status_code in PASSING,
    )
