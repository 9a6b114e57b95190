"""What `tests/quick_aws.py` builds quickly is what moto builds."""

from __future__ import annotations

from typing import Any

import pytest
from moto.core.request import Request
from werkzeug.wrappers import Request as WerkzeugRequest

FORM = {"Content-Type": b"application/x-www-form-urlencoded; charset=utf-8", "Content-Length": "7"}
JSON = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.GetItem", "User-Agent": b"b"}


def described(request: WerkzeugRequest) -> dict[str, Any]:
    facts = {name: value for name, value in request.environ.items() if name not in {"wsgi.input", "werkzeug.request"}}
    return {**facts, "data": request.get_data(), "form": dict(request.form), "url": request.url}


@pytest.mark.parametrize("headers", [FORM, JSON, {}], ids=["form", "json", "no headers"])
@pytest.mark.parametrize("url", ["https://ec2.eu-west-1.amazonaws.com/", "http://sns.us-east-1.amazonaws.com/"])
@pytest.mark.parametrize("body", [b"a=1&b=%20", "{}ä".encode()], ids=["fields", "text"])
def test_a_request_is_as_moto_builds_it(url: str, headers: dict[str, Any], body: bytes) -> None:
    quick = Request.from_primitives("POST", url, headers, body)
    moto = Request.from_primitives("POST", f"{url}?", headers, body)  # an address that the quick way leaves to moto
    assert described(quick) == {**described(moto), "url": url}
    assert (quick.raw_path, quick.raw_url) == (moto.raw_path, moto.raw_url)
