"""Bad input to every function is refused with one sentence that has been reviewed: tests/golden/refusals."""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, fields
from types import NoneType
from typing import get_args, get_type_hints

import pytest

from lifeboat.domain.bad_request import INTERNAL, BadRequest, Expected, Fields, parse, shown
from lifeboat.retention.request import PruneRequest
from tests.functions.conftest import Context
from tests.requests.golden_refusals import FUNCTIONS, GOLDEN, pairs, refusal

REFUSED = [(function, typed, sentence) for function in FUNCTIONS for typed, sentence in pairs(function)]

INTERNALS = re.compile(
    r"constrained|pydantic|[Ii]nput should|_[A-Z]|function-|\bNone\b|\bTrue\b|\bFalse\b|\\d|\[0-9|\[a-f|\{\d|\$|"
    r"<object>|lifeboat\."
)
"""Names of classes and types, Python's words and patterns: no person typed them, and none should read them."""


def test_every_function_has_at_least_forty_wrong_requests():
    assert {path.stem for path in GOLDEN.iterdir()} == FUNCTIONS.keys()
    for function in FUNCTIONS:
        assert len(dict(pairs(function))) == len(list(pairs(function))) >= 40


@pytest.mark.parametrize(("function", "typed", "sentence"), REFUSED)
def test_a_wrong_request_is_refused_with_the_golden_sentence(function, typed, sentence):
    assert refusal(function, typed) == sentence


@pytest.mark.parametrize("sentence", sorted({sentence for _, _, sentence in REFUSED}))
def test_a_refusal_is_one_sentence_with_field_value_and_expectation(sentence):
    assert re.fullmatch(
        r"\S.* (is|are) .*, (and there is no such field( beside \w+)?: )?expected .*[^.]", sentence
    ) or re.fullmatch(r"volume is .* with adopt\.tag, expected .*", sentence)
    assert not re.search(r"\. [A-Z]", sentence)
    assert not INTERNALS.search(sentence.replace("<aws.scheduler.scheduled-time>", "")), sentence


def names_in(function, pattern):
    """What the golden refusals of a function say that was expected, where they match the pattern."""
    found = [re.search(pattern, sentence) for at, _, sentence in REFUSED if at == function]
    return {name for item in found if item for name in re.split(r", | or ", item[1])}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_has_every_field_that_its_refusals_name(function):
    named = names_in(function, r"^\w+ is .*no such field: expected (?:one of |only )?(.*)")
    for field in named - {"or", "instead of these"}:
        assert "no such field" not in refusal(function, json.dumps({field: 1.5})), field


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_takes_every_event_that_its_refusals_name(function):
    for kind in names_in(function, r"^detail-type is [^ ]+, expected (?:one of )?(.*)"):
        ids = ["i-0123456789abcdef0", "vol-0123456789abcdef0", "snap-0123456789abcdef0"]
        event = {"detail-type": kind, "resources": ids, "detail": {"event": "copySnapshot"}}
        assert refusal(function, json.dumps(event)).startswith("NOT REFUSED"), kind


def kinds(base: type[Fields] = Fields) -> list[type[Fields]]:
    # `slots=True` makes every class anew; the one without slots is not used.
    every = [kind for item in base.__subclasses__() for kind in (item, *kinds(item))]
    return [kind for kind in every if "__slots__" in vars(kind)]


def has_words(hint):
    """Whether the field, or else each type that it may have, has words for what it takes."""
    metadata = getattr(hint, "__metadata__", ())
    if any(isinstance(item, Expected) for item in metadata):
        return True
    types = [item for item in get_args(hint.__origin__ if metadata else hint) if item is not NoneType]
    return bool(types) and all(map(has_words, types))


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_field_of_a_request_has_words(kind):
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        metadata = getattr(hints[field.name], "__metadata__", ())
        if INTERNAL not in metadata:
            assert has_words(hints[field.name]), f"{field.name} has no words"
            if field.default is MISSING:
                assert any(isinstance(item, Expected) for item in metadata), f"{field.name} may be missing"


@pytest.mark.parametrize("value", [10**5000, [[]] * 3, "x" * 500, "\x1b[2J", {"a": [None, True]}], ids=type)
def test_a_value_is_shown_on_one_short_line(value):
    text = shown(value)
    assert len(text) <= 80
    assert text.isprintable()


def test_a_value_nested_too_deeply_is_refused():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(BadRequest, match=r"^deep is nested too deeply, and there is no such field"):
        parse({"deep": deep}, PruneRequest)


@pytest.mark.parametrize(
    ("function", "event", "sentence"),
    [
        ("take_snapshots", {"late": True}, "late is true, and there is no such field: expected one of instance_ids, "),
        ("take_snapshots", {"slot": "2026-11-23T02:00:00Z"}, "and there is no such field: expected one of instance_id"),
        ("take_snapshots", {"retried": 1, "dry_run": 1}, "retried is 1, and there is no such field: expected one of "),
        ("prune_snapshots", {"completed": "rp-1"}, "completed is 'rp-1', and there is no such field: expected one of "),
        ("copy_snapshots", {"ended": []}, "ended is [], and there is no such field: expected one of sweep, "),
        (
            "restore_volume",
            {"instance_id": "i-0123456789abcdef0", "recovery_point": {"id": "rp-1"}},
            "recovery_point.id is 'rp-1', and there is no such field: expected one of lineage, instance_id, before",
        ),
    ],
)
def test_a_request_cannot_set_what_only_code_sets(function, event, sentence):
    with pytest.raises(BadRequest) as refused:
        FUNCTIONS[function](event)
    assert sentence in str(refused.value)


@pytest.mark.parametrize("event", [None, [], ["Records"], "detail-type", 5, True])
def test_an_event_that_is_no_object_is_answered_and_not_raised(event, monkeypatch):
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "lifeboat")
    from functions.prune_snapshots.app import handler

    assert handler(event, Context())["refused"].endswith("expected a JSON object")
