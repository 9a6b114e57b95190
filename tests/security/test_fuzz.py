"""Any event sent to a function is parsed, or refused with one sentence and without a call to AWS.

Each test takes FUZZ_EXAMPLES events. `make fuzz` takes 100,000 in all, and others each time: it finds new ways of being
wrong. `make test` takes 1,750, the same each time: they show that every function still refuses the known ways.
"""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import botocore.client
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifeboat import handler
from lifeboat.domain.bad_request import BadRequest
from lifeboat.domain.config import Config, Selector
from tests.functions.conftest import Context
from tests.requests.golden_refusals import FUNCTIONS
from tests.requests.placeholders import read_filled

ROOT = Path(__file__).parents[2]
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "50"))
SAMPLES = [json.loads(path.read_text()) for path in sorted((ROOT / "tests" / "fixtures" / "events").glob("*.json"))]
EXAMPLE_REQUESTS = {
    name: [json.loads(read_filled(path)) for path in sorted((ROOT / "events" / name).glob("*.json"))]
    for name in FUNCTIONS
}
LONGEST = 1000
"""The most characters of a refusal, which stands in logs and answers."""

FOREIGN = [
    *("arn:aws:ec2:eu-west-1:999988887777:instance/i-0123456789abcdef0", "arn:aws-cn:ec2:cn-north-1::snapshot/snap-1"),
    *("arn:aws:kms:us-east-1:999988887777:key/1", "arn:aws:ec2:eu-west-1:111122223333:instance/i-0123456789abcdef0"),
    *(
        "i-0123456789ABCDEF0",
        "i-0123456789abcdef0\n",
        "i-0123456789abcdef0 ",
        "vol-0123456789abcdef0",
        "i-*",
        "latest\n",
    ),
    *("us-east-1", "../../etc/passwd", "${AWS::AccountId}", "{{7*7}}", "\x00", "\ud800", "\u202e", "9" * 5000),
    *("2026-13-45T99:99:99Z", "0000-00-00T00:00:00Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"),
    *(0, -1, 2**31, 2**63, 10**400, -(10**400), 0.1, 1e308, float("inf"), float("nan"), True, False, None, [], {}),
    *("true", "1", b"bytes".decode(), [[]], [None], {"": {}}, ["i-0123456789abcdef0"] * 1001),
]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | st.sampled_from(FOREIGN),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
FIELDS = sorted(
    {key for events in EXAMPLE_REQUESTS.values() for event in events for key in event} | {"adopt", "cancel", "status"}
)
times = st.sampled_from([item for item in FOREIGN if isinstance(item, str) and "T" in item])
invented = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=12), anything, max_size=6)


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of each value inside a JSON value, and of the value itself."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(path for key, item in inside for path in paths(item, (*here, key)))]


@st.composite
def mangled(draw, originals):
    """A good event with one thing wrong: a value replaced, a value removed, or a field added."""
    event = copy.deepcopy(draw(st.sampled_from(originals)))
    *place, last = draw(st.sampled_from(paths(event)[1:])) if len(paths(event)) > 1 else ("nowhere",)
    parent = event
    for key in place:
        parent = parent[key]
    how = draw(st.sampled_from(["replace", "remove", "add"]))
    if how == "add" and isinstance(parent, dict):
        parent[draw(st.text(max_size=12) | st.sampled_from(FIELDS))] = draw(anything)
    elif how == "remove" and (isinstance(parent, list) or last in parent):
        del parent[last]
    else:
        parent[last] = draw(times | anything)
    return event


class AwsCalledError(AssertionError):
    """A function has called AWS."""


@pytest.fixture(autouse=True, scope="module")
def no_aws():
    """Every call of boto3 raises AwsCalledError."""
    real = botocore.client.BaseClient._make_api_call

    def forbidden(client: Any, operation: str, arguments: Any) -> None:
        raise AwsCalledError(operation)

    botocore.client.BaseClient._make_api_call = forbidden
    yield
    botocore.client.BaseClient._make_api_call = real


def clean(sentence: str) -> bool:
    """Whether it is one line of at most LONGEST characters that says what was expected."""
    return (
        len(sentence) <= LONGEST
        and "expected" in sentence
        and sentence.isprintable()
        and "pydantic" not in sentence
        and "Traceback" not in sentence
    )


def parsed(parse: Any, event: Any) -> Any:
    """The request that the event is parsed as; None for a clean refusal."""
    before = copy.deepcopy(event)
    refusal = ""
    try:
        request = parse(event)
    except BadRequest as problem:
        refusal = str(problem) or "nothing"
    assert repr(event) == repr(before)
    if refusal:
        assert clean(refusal), refusal
        return None
    hash(request)  # a request is immutable, with all that is in it
    return request


fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    derandomize=EXAMPLES < 1000,
)


@pytest.mark.parametrize("name", FUNCTIONS)
class TestParsers:
    @fuzzed
    @given(event=anything)
    def test_anything(self, name, event):
        parsed(FUNCTIONS[name], event)

    @fuzzed
    @given(event=invented)
    def test_fields_with_anything_in_them(self, name, event):
        parsed(FUNCTIONS[name], event)

    @fuzzed
    @given(data=st.data())
    def test_a_request_with_one_thing_wrong(self, name, data):
        parsed(FUNCTIONS[name], data.draw(mangled(EXAMPLE_REQUESTS[name])))

    @fuzzed
    @given(event=mangled(SAMPLES))
    def test_an_event_of_aws_with_one_thing_wrong(self, name, event):
        parsed(FUNCTIONS[name], event)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_unknown_field_is_refused(name):
    for event in EXAMPLE_REQUESTS[name]:
        if "detail-type" not in event and "Records" not in event:
            assert parsed(FUNCTIONS[name], event) is not None
            assert parsed(FUNCTIONS[name], {**event, "unknown_field": 1}) is None


@pytest.mark.parametrize("name", FUNCTIONS)
@fuzzed
@given(data=st.data())
def test_a_refused_request_is_answered_and_not_carried_out(name, data):
    carried_out = []
    config = Config(
        "lifeboat", "eu-west-1", "table", "arn:aws:sns:eu-west-1:111122223333:notifications", Selector("k", "v")
    )
    handler.forget()
    real, handler.load = handler.load, lambda: config
    try:
        handle = handler.make_handler(FUNCTIONS[name], lambda request, _: carried_out.append(request) or {})
        event = data.draw(invented | mangled(EXAMPLE_REQUESTS[name]))
        refused = parsed(FUNCTIONS[name], event) is None
        if refused and ("detail-type" in event or "Records" in event):  # for the queue of failed events
            with pytest.raises(BadRequest):
                handle(event, Context())
        else:
            assert ("refused" in handle(event, Context())) == refused
        assert bool(carried_out) is not refused
    finally:
        handler.load = real
        handler.forget()


def test_a_call_to_aws_would_be_noticed():
    import boto3

    client = boto3.client("ec2", "eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    with pytest.raises(AwsCalledError):
        client.describe_instances()
