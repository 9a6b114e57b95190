"""The parser of requests, and its refusals: one sentence says what is wrong with a request.

A request is a frozen dataclass based on `Fields`. The annotations say what each field takes, and `Expected` says it in
words. The sentence names the field, its value and what was expected. Pydantic's own words name Python's classes and
patterns, and are never shown.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, Never, get_type_hints, overload

from pydantic import (
    ConfigDict,
    GetCoreSchemaHandler,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
)
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from lifeboat.domain.text import clip

SHOWN = 80
"""How many characters of a wrong value a refusal repeats."""

SIMILAR = 0.85
"""The similarity, of 1, from which an unknown field is taken for a misspelled one: `instances` is, `restore_id` not."""

_EXPECTED = "expected"
"""The type of our own errors. Their message goes on after "expected", or for an unknown field after "such field"."""

_MISSING, _UNKNOWN = "missing", "unexpected_keyword_argument"
"""The types that pydantic gives to a field that is not there and to one that does not exist."""


class BadRequest(ValueError):  # noqa: N818 - the name that an answer has for it
    """The request cannot be carried out; the message is one sentence for a person."""


@dataclasses.dataclass(frozen=True, slots=True)
class Expected:
    """What a field takes, in words that go on after "expected". Refusals of something inside it keep theirs."""

    words: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._parse, handler(source))

    def _parse(self, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError as problem:
            errors = problem.errors(include_url=False, include_context=False)
            if any(item["loc"] or item["type"] in (_EXPECTED, _UNKNOWN) for item in errors):
                raise
            raise not_expected(self.words) from None


def not_expected(words: str) -> PydanticCustomError:
    """The error that a field's own check raises to be refused with these words instead of the field's."""
    return _error(_EXPECTED, words)


def _refuse(_value: Any) -> Never:
    raise _error(_UNKNOWN, "")


INTERNAL = PlainValidator(_refuse)
"""Marks a field that only Lifeboat's code sets: a request that has it is refused as if there were no such field."""


class Fields:
    """The base of a frozen dataclass that is parsed from JSON. Only parsing checks values, the constructor does not.

    `form` is the field that only this request of the function has; `other_forms` are such fields of its others.
    """

    __slots__ = ()
    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")
    form: ClassVar[str] = ""
    other_forms: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_wrap_validator_function(cls._parse, handler(source))

    @classmethod
    def _parse(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        """Reduce the errors to the first, with words for a field of this class that is missing or unknown."""
        try:
            return handler(value)
        except ValidationError as problem:
            # An unknown field goes first: it is often the misspelled one that another error misses.
            errors = problem.errors(include_url=False, include_context=False)
            first = min(errors, key=lambda item: item["type"] != _UNKNOWN)
            kind, place, words = first["type"], first["loc"], first["msg"]
            if len(place) == 1 and kind == _UNKNOWN:
                words = (f" beside {cls.form}" if cls.form else "") + f": expected {cls._known(str(place[0]))}"
            elif len(place) == 1 and kind == _MISSING:
                words = next(item.words for item in fields_of(cls)[str(place[0])] if isinstance(item, Expected))
            error = InitErrorDetails(type=_error(kind, words), loc=place, input=first["input"])
            raise ValidationError.from_exception_data(cls.__name__, [error]) from None

    @classmethod
    def _known(cls, name: str) -> str:
        """The field that an unknown one is surely meant to be, or all that there are."""
        from difflib import get_close_matches  # noqa: PLC0415 - only a misspelled request needs it

        names = list(fields_of(cls))
        plain = {name.replace("_", ""): name for name in (*names, *cls.other_forms)}
        typed = name.lower().replace("_", "").replace("-", "")
        if meant := get_close_matches(typed, plain, n=1, cutoff=SIMILAR):
            return plain[meant[0]]
        others = ", ".join(cls.other_forms[:-1]), "".join(cls.other_forms[-1:])
        known = f"only {names[0]}" if len(names) == 1 else f"one of {', '.join(names)}"
        return known + (f", or, instead of these, {' or '.join(filter(None, others))}" if others[-1] else "")


def fields_of(kind: type[Any]) -> dict[str, tuple[Any, ...]]:
    """The metadata of the fields that a request of this kind may have, by the names that they have there."""
    hints = get_type_hints(kind, include_extras=True)
    all_metadata = {field.name: getattr(hints[field.name], "__metadata__", ()) for field in dataclasses.fields(kind)}
    return {
        next((item.alias for item in metadata if getattr(item, "alias", None)), name): metadata
        for name, metadata in all_metadata.items()
        if INTERNAL not in metadata
    }


@overload
def parse[A: Fields](event: Any, form: type[A], /, *, place: str = "") -> A: ...
@overload
def parse[A: Fields, B: Fields](event: Any, form: type[A], last: type[B], /) -> A | B: ...
@overload
def parse[A: Fields, B: Fields, C: Fields](
    event: Any, form: type[A], second: type[B], last: type[C], /
) -> A | B | C: ...
def parse(event: Any, *forms: type[Fields], place: str = "") -> Fields:
    """Parse an event as the first form whose own field it has, or else as the last. Raises BadRequest.

    `place` is where in an envelope the event is.
    """
    names = event if isinstance(event, Mapping) else ()
    kind: Any = next((form for form in forms[:-1] if form.form in names), forms[-1])
    try:
        request: Fields = adapter(kind).validate_python(event)
    except ValidationError as problem:
        raise BadRequest(f"{place}.{_sentence(problem)}" if place else _sentence(problem)) from None
    return request


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """The parser of a type, built at its first use: building all would cost a cold start 30 ms."""
    return TypeAdapter(kind)


def shown(value: Any) -> str:
    """The value in JSON, a text in single quotes: one line, cut off, without signs that a terminal obeys."""
    try:
        text = repr(value) if isinstance(value, str) else printable(json.dumps(value, ensure_ascii=False, default=repr))
    except RecursionError:
        text = "nested too deeply"
    except ValueError:  # a number of thousands of digits
        text = "too long to be shown"
    return clip(text, SHOWN)


def printable(text: str) -> str:
    """The text with signs that a terminal could obey escaped: people read answers and logs in a terminal."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _error(kind: str, words: str) -> PydanticCustomError:
    return PydanticCustomError(kind, "{words}", {"words": words})


def _sentence(problem: ValidationError) -> str:
    [error] = problem.errors(include_url=False, include_context=False)
    field, value, words = _path(error["loc"]), error["input"], error["msg"]
    if error["type"] == _MISSING:
        return f"{field} is missing, expected {words}"
    if error["type"] == _UNKNOWN:
        return f"{field} is {shown(value)}, and there is no such field{words}"
    return f"{field} is {shown(value)}, expected {words if error['type'] == _EXPECTED else 'a JSON object'}"


def _path(place: Sequence[int | str]) -> str:
    """The place of a value in the request, such as `adopt.tag.key` or `instance_ids[0]`."""
    if not place:
        return "event"
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
    return printable(" ".join(text[:SHOWN].split())) or "''"
