"""One moto server that counts the calls it gets by action. Run as a program of .tools/local: PORT.

GET /calls answers what has been counted since it was last asked, as JSON, and begins to count anew.
"""

from __future__ import annotations

import io
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

calls: Counter[str] = Counter()


def action_of(body: bytes, target: str) -> str:
    """The action of a call: the query protocol has it in the body, the JSON protocol in the header X-Amz-Target."""
    if target:
        return target.rpartition(".")[2]
    return parse_qs(body.decode("utf-8", "replace")).get("Action", ["?"])[0]


def image_metadata(body: bytes) -> bytes:
    """An answer to DescribeInstanceImageMetadata, which moto does not know: all instances run an image of Amazon's."""
    asked = [
        value for name, values in parse_qs(body.decode()).items() if name.startswith("InstanceId") for value in values
    ]
    items = "".join(
        f"<item><instanceId>{instance}</instanceId><imageMetadata><imageId>ami-0123456789abcdef0</imageId>"
        "<imageOwnerId>137112412989</imageOwnerId></imageMetadata></item>"
        for instance in asked
    )
    return (
        '<DescribeInstanceImageMetadataResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
        f"<instanceImageMetadataSet>{items}</instanceImageMetadataSet></DescribeInstanceImageMetadataResponse>"
    ).encode()


def counting(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """The application, its calls counted."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/calls":
            counted = json.dumps(calls).encode()
            calls.clear()
            start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(counted)))])
            return [counted]
        if not environ["PATH_INFO"].startswith("/moto-api"):
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
            action = action_of(body, environ.get("HTTP_X_AMZ_TARGET", ""))
            calls[action] += 1
            if action == "DescribeInstanceImageMetadata":
                known = image_metadata(body)
                start_response("200 OK", [("Content-Type", "text/xml"), ("Content-Length", str(len(known)))])
                return [known]
        return application(environ, start_response)

    return answer


if __name__ == "__main__":
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import run_simple

    moto = DomainDispatcherApplication(create_backend_app)
    run_simple("127.0.0.1", int(sys.argv[1]), counting(moto), threaded=True)
