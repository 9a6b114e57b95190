"""Bad input of every function is answered with one sentence that a person has read: tests/golden/refusals."""

from __future__ import annotations

import re
from types import NoneType
from typing import get_args

import pytest
from pydantic import BaseModel

from lifeboat.domain import bad_request, fields
from lifeboat.domain.bad_request import Expected, read, shown
from lifeboat.retention import request as retention_request
from tests.functions.conftest import Context
from tests.requests.golden_refusals import FUNCTIONS, GOLDEN, answer, pairs

ODD = [(function, typed, said) for function in FUNCTIONS for typed, said in pairs(function)]

OF_OURS = re.compile(
    r"constrained|pydantic|[Ii]nput should|_[A-Z]|function-|\bNone\b|\bTrue\b|\bFalse\b|\\d|\[0-9|\[a-f|\{\d|\$|"
    r"<object>"
)
"""What no person typed and none should read: names of classes and types, Python's words, patterns."""


def test_there_are_forty_odd_requests_of_every_function_and_more():
    assert {path.stem for path in GOLDEN.iterdir()} == FUNCTIONS.keys()
    for function in FUNCTIONS:
        assert len(dict(pairs(function))) == len(list(pairs(function))) >= 40


@pytest.mark.parametrize(("function", "typed", "said"), ODD)
def test_an_odd_request_is_answered_with_the_sentence_that_was_read(function, typed, said):
    assert answer(function, typed) == said


@pytest.mark.parametrize(("function", "said"), sorted({(function, said) for function, _, said in ODD}))
def test_the_sentence_is_one_and_names_field_value_and_what_was_expected(function, said):
    del function
    assert re.fullmatch(
        r"\S.* (is|are) .*, (and there is no such field( beside \w+)?: )?expected .*[^.]", said
    ) or re.fullmatch(r"volume is .* beside adopt\.tag, expected .*", said)
    assert not re.search(r"\. [A-Z]", said)
    assert not OF_OURS.search(said.replace("<aws.scheduler.scheduled-time>", "")), said


def models(base: type[BaseModel] = fields.Fields) -> list[type[BaseModel]]:
    return [model for item in base.__subclasses__() for model in (item, *models(item))]


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_every_field_has_words_of_its_own(model):
    def with_words(metadata, annotation):
        if any(isinstance(item, Expected) for item in metadata):
            return True
        forms = [item for item in get_args(annotation) if item is not NoneType]
        return bool(forms) and all(with_words(getattr(item, "__metadata__", ()), item) for item in forms)

    for name, field in model.model_fields.items():
        assert with_words(field.metadata, field.annotation), f"{model.__name__}.{name} has no words"
        if field.is_required():
            assert any(isinstance(item, Expected) for item in field.metadata), f"{name} may be missing without words"


@pytest.mark.parametrize("value", [10**5000, [[]] * 3, "x" * 500, "\x1b[2J", {"a": [None, True]}], ids=type)
def test_a_value_is_shown_on_one_line_and_not_whole(value):
    text = shown(value)
    assert len(text) <= 80
    assert text.isprintable()


def test_a_value_nested_too_deeply_is_refused_all_the_same():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(bad_request.BadRequest, match=r"^deep is nested too deeply, and there is no such field"):
        read(retention_request._Prune, {"deep": deep})


@pytest.mark.parametrize("event", [None, [], ["Records"], "detail-type", 5, True])
def test_what_is_no_object_is_answered_and_not_raised(event, monkeypatch):
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "lifeboat")
    from functions.prune_snapshots.app import handler

    assert handler(event, Context())["refused"].endswith("expected a JSON object")
