"""Whatever is sent to a door: it is understood or refused with one clean sentence, and no call to AWS is made for it.

FUZZ_EXAMPLES inputs for each way of making them; `make fuzz` takes 100,000 in all, other ones each time. `make test`
takes 3,500, the same ones each time: they show that each door still refuses each way of being wrong, and new ways are
for `make fuzz` to find.
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

from lifeboat import handler as function
from lifeboat.ami import request as ami_request
from lifeboat.backup import request as backup_request
from lifeboat.copies import request as copies_request
from lifeboat.domain.bad_request import BadRequest
from lifeboat.domain.config import Config, Selector
from lifeboat.restore import request as restore_request
from lifeboat.retention import request as retention_request

ROOT = Path(__file__).parents[2]
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))
SAMPLES = [json.loads(path.read_text()) for path in sorted((ROOT / "tests" / "fixtures" / "events").glob("*.json"))]
DOORS = {
    "take_snapshots": backup_request.parse_take,
    "confirm_snapshots": backup_request.parse_confirm,
    "prune_snapshots": retention_request.parse_prune,
    "restore_volume": restore_request.parse_restore,
    "attach_volume": restore_request.parse_advance,
    "check_ami_owner": ami_request.parse_check,
    "copy_snapshots": copies_request.parse_copy,
}
ASKED = {
    name: [json.loads(path.read_text()) for path in sorted((ROOT / "events" / name).glob("*.json"))] for name in DOORS
}
LONGEST = 1000
"""No refusal is longer, in characters: it goes into logs and answers."""

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
FIELDS = sorted({key for asked in ASKED.values() for event in asked for key in event} | {"adopt", "cancel", "status"})
times = st.sampled_from([item for item in FOREIGN if isinstance(item, str) and "T" in item])
invented = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=12), anything, max_size=6)


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a JSON value, its own place included."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(path for key, item in inside for path in paths(item, (*here, key)))]


@st.composite
def mangled(draw, originals):
    """A good event with one thing in it put wrong: replaced, taken away, or one more field beside it."""
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
    """A door has called AWS."""


@pytest.fixture(autouse=True, scope="module")
def no_aws():
    """Every call of boto3 ends here."""
    real = botocore.client.BaseClient._make_api_call

    def forbidden(client: Any, operation: str, arguments: Any) -> None:
        raise AwsCalledError(operation)

    botocore.client.BaseClient._make_api_call = forbidden
    yield
    botocore.client.BaseClient._make_api_call = real


def clean(sentence: str) -> bool:
    """One line, of a length that a log and an answer can carry, that says what was expected."""
    return (
        len(sentence) <= LONGEST
        and "expected" in sentence
        and sentence.isprintable()
        and "pydantic" not in sentence
        and "Traceback" not in sentence
    )


def heard(parse: Any, event: Any) -> Any:
    """What the ear makes of it; None for a clean refusal."""
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
    hash(request)  # frozen through and through: what was asked cannot change on its way
    return request


fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    derandomize=EXAMPLES < 1000,
)


@pytest.mark.parametrize("name", DOORS)
class TestEars:
    @fuzzed
    @given(event=anything)
    def test_anything(self, name, event):
        heard(DOORS[name], event)

    @fuzzed
    @given(event=invented)
    def test_fields_with_anything_in_them(self, name, event):
        heard(DOORS[name], event)

    @fuzzed
    @given(data=st.data())
    def test_a_request_with_one_thing_wrong(self, name, data):
        heard(DOORS[name], data.draw(mangled(ASKED[name])))

    @fuzzed
    @given(event=mangled(SAMPLES))
    def test_an_event_of_aws_with_one_thing_wrong(self, name, event):
        heard(DOORS[name], event)


@pytest.mark.parametrize("name", DOORS)
def test_no_field_is_taken_that_nobody_knows(name):
    for event in ASKED[name]:
        if "detail-type" not in event and "Records" not in event:
            assert heard(DOORS[name], event) is not None
            assert heard(DOORS[name], {**event, "unknown_field": 1}) is None


class Context:
    """What a handler is told of its invocation."""

    function_name = invoked_function_arn = aws_request_id = "fuzz"
    memory_limit_in_mb = 256


@pytest.mark.parametrize("name", DOORS)
@fuzzed
@given(data=st.data())
def test_a_door_answers_a_refusal_and_calls_nothing(name, data):
    asked = []
    config = Config("lifeboat", "eu-west-1", "table", "arn:aws:sns:eu-west-1:111122223333:news", Selector("k", "v"))
    function._config.cache_clear()
    real, function.load = function.load, lambda: config
    try:
        handler = function.make_handler(DOORS[name], lambda request, *_: asked.append(request) or {})
        event = data.draw(invented | mangled(ASKED[name]))
        refused = heard(DOORS[name], event) is None
        if refused and ("detail-type" in event or "Records" in event):  # for the queue of failed events
            with pytest.raises(BadRequest):
                handler(event, Context())
        else:
            assert ("refused" in handler(event, Context())) == refused
        assert bool(asked) is not refused
    finally:
        function.load = real
        function._config.cache_clear()


def test_a_call_to_aws_would_be_noticed():
    import boto3

    client = boto3.client("ec2", "eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    with pytest.raises(AwsCalledError):
        client.describe_instances()
