"""Refusals of bad input: a strict model reads what a person sends; one sentence says what is wrong with it.

The sentence names the field, the value and what was expected, in a person's words. Each field of a model carries its
words as `Expected`; pydantic's own words name Python's classes and patterns, and are never shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, Discriminator, GetCoreSchemaHandler, ValidationError, ValidatorFunctionWrapHandler
from pydantic_core import PydanticCustomError, core_schema

from lifeboat.domain.text import clip

SHOWN = 80
"""How many characters of a wrong value an answer repeats."""

SURE = 0.85
"""How like a field's name a misspelled one must be, of 1, to be taken for it: `instances` is, `restore_id` is not."""

_EXPECTED = "expected"
"""The type of our own errors, whose message is what goes on after "expected"."""


class BadRequest(ValueError):  # noqa: N818 - the name an answer carries
    """What was asked cannot be done; the message is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a field takes, in words that go on after "expected". Refusals of something inside it keep their own."""

    words: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._read, handler(source))

    def _read(self, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError as problem:
            errors = problem.errors(include_url=False, include_context=False)
            if any(item["loc"] or item["type"] == _EXPECTED for item in errors):
                raise
            raise not_expected(self.words) from None


def not_expected(words: str) -> PydanticCustomError:
    """What a field's own check raises: the words that go on after "expected" for this value, instead of the field's."""
    return PydanticCustomError(_EXPECTED, "{words}", {"words": words})


def read[Model: BaseModel](model: type[Model], event: Any) -> Model:
    """Read what was sent. Raises BadRequest."""
    try:
        return model.model_validate(event)
    except ValidationError as problem:
        raise BadRequest(_sentence(model, problem)) from None


def shown(value: Any) -> str:
    """The value as it was typed, in JSON but for a text's quotes; cut off, and nothing a terminal could obey."""
    try:
        text = repr(value) if isinstance(value, str) else printable(json.dumps(value, ensure_ascii=False, default=repr))
    except RecursionError:
        text = "nested too deeply"
    except ValueError:  # a number of thousands of digits
        text = "too long to be shown"
    return clip(text, SHOWN)


def printable(text: str) -> str:
    """The text with what a terminal could obey in its escaped form: people read answers and logs in one."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _sentence(model: type[BaseModel], problem: ValidationError) -> str:
    # A field that does not exist first: it is often the misspelled one that another error misses.
    errors = problem.errors(include_url=False, include_context=False)
    first = min(errors, key=lambda item: item["type"] != "extra_forbidden")
    place = list(first["loc"])
    if len(place) > 1 and _is_union(model, place[0]):
        del place[1]  # which of the union's forms it has
    field = _path(place)
    if first["type"] == "extra_forbidden":
        form = getattr(model, "form", "") if len(place) == 1 else ""
        beside = f" beside {form}" if form else ""
        return (
            f"{field} is {shown(first['input'])}, and there is no such field{beside}: expected {_known(model, place)}"
        )
    if first["type"] == "missing":
        return f"{field} is missing, expected {_words(model, place)}"
    words = first["msg"] if first["type"] == _EXPECTED else "a JSON object"
    return f"{field} is {shown(first['input'])}, expected {words}"


def _is_union(model: type[BaseModel], name: int | str) -> bool:
    field = model.model_fields.get(str(name))
    return field is not None and any(isinstance(item, Discriminator) for item in field.metadata)


def _path(place: Sequence[int | str]) -> str:
    """Where in the request a value stands, such as `adopt.tag.key` or `instance_ids[0]`."""
    if not place:
        return "event"
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
    return printable(" ".join(text[:SHOWN].split())) or "''"


def _known(model: type[BaseModel], place: Sequence[int | str]) -> str:
    """The field that was surely meant, or all that there are."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a misspelled request needs it

    asked = _model_at(model, place)
    forms: tuple[str, ...] = getattr(asked, "other_forms", ())
    names = list(asked.model_fields)
    plain = {name.replace("_", ""): name for name in (*names, *forms)}
    typed = str(place[-1]).lower().replace("_", "").replace("-", "")
    if meant := get_close_matches(typed, plain, n=1, cutoff=SURE):
        return plain[meant[0]]
    fields = f"only {names[0]}" if len(names) == 1 else f"one of {', '.join(names)}"
    return fields + (f", or instead of these {' or '.join(forms)}" if forms else "")


def _words(model: type[BaseModel], place: Sequence[int | str]) -> str:
    field = _model_at(model, place).model_fields[str(place[-1])]
    return next((item.words for item in field.metadata if isinstance(item, Expected)), "a value")


def _model_at(model: type[BaseModel], place: Sequence[int | str]) -> type[BaseModel]:
    """The model that has the last name of the path as a field."""
    for part in place[:-1]:
        if part in model.model_fields:
            model = next(_models_in(model.model_fields[str(part)].annotation), model)
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
