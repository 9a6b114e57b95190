"""Filters and pages of the Describe calls."""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from local.emulator.ec2.errors import Ec2Error, invalid_value
from local.emulator.ec2.model import Request, Resource
from local.emulator.settings import SETTINGS

Values = Callable[[Any], Sequence[Any]]
MOST_PER_PAGE = 1000
MOST_FILTER_VALUES = 200
"""In one call, those of all its filters together."""


@cache
def _pattern(value: str) -> re.Pattern[str]:
    """A filter's value: `*` is any text, `?` one character, a backslash takes the next one as it is."""
    parts, index = [], 0
    while index < len(value):
        character = value[index]
        if character == "\\" and index + 1 < len(value):
            index += 1
            parts.append(re.escape(value[index]))
        else:
            parts.append({"*": ".*", "?": "."}.get(character, re.escape(character)))
        index += 1
    return re.compile("".join(parts), re.DOTALL)


@dataclass(frozen=True)
class _Wanted:
    """The values of one filter: those that stand for themselves, which are most and many, and those with wildcards."""

    literal: frozenset[str]
    patterns: tuple[re.Pattern[str], ...]

    @classmethod
    def of(cls, values: Sequence[str]) -> "_Wanted":
        wild = [value for value in values if set(value) & set("*?\\")]
        return cls(frozenset(values).difference(wild), tuple(map(_pattern, wild)))

    def matches(self, candidates: Iterable[Any]) -> bool:
        texts = (_text(candidate) for candidate in candidates if candidate is not None)
        return any(text in self.literal or any(p.fullmatch(text) for p in self.patterns) for text in texts)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if hasattr(value, "isoformat"):
        return str(value.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z")
    return str(value)


def filtered[R: Resource](
    resources: Sequence[R],
    filters: Sequence[Mapping[str, Any]],
    fields: Mapping[str, Values],
    tags_of: Callable[[R], Mapping[str, str]] = lambda resource: resource.tags,
) -> list[R]:
    """The resources that match all filters; within a filter one value is enough.

    `tags_of` is which tags of a resource are seen.

    Raises:
        Ec2Error: FilterLimitExceeded for too many values in all, InvalidParameterValue for a filter that the action
            does not have.
    """
    if sum(len(wanted.get("Values", [])) for wanted in filters) > MOST_FILTER_VALUES:
        raise Ec2Error(
            "FilterLimitExceeded",
            f"The maximum number of filter values specified on a single call is {MOST_FILTER_VALUES}",
        )
    kept = list(resources)
    for wanted in filters:
        name, values = wanted.get("Name", ""), _Wanted.of(wanted.get("Values", []))
        if name.startswith("tag:"):
            key = name[4:]
            kept = [r for r in kept if key in (seen := tags_of(r)) and values.matches([seen[key]])]
        elif name == "tag-key":
            kept = [r for r in kept if values.matches(tags_of(r))]
        elif name in fields:
            kept = [r for r in kept if values.matches(fields[name](r))]
        else:
            raise invalid_value(f"The filter '{name}' is invalid")
    return kept


def page[R: Resource](
    request: Request,
    resources: Sequence[R],
    *,
    least: int = 5,
    exclusive_with: str | None = None,
    default: int | None = None,
) -> tuple[list[R], dict[str, str]]:
    """One page in the order of creation, and the token of the next one.

    A token names the last resource of its page, so that what is created or deleted meanwhile neither repeats nor skips
    another.

    Args:
        least: the smallest MaxResults that the action takes.
        exclusive_with: the parameter with ids that MaxResults must not be combined with.
        default: the page size without MaxResults; everything if nothing.

    Raises:
        Ec2Error: InvalidParameterValue or InvalidParameterCombination.
    """
    size = request.get("MaxResults")
    other = "maxResults" if size is not None else "nextToken" if request.get("NextToken") else ""
    if other and exclusive_with and request.get(exclusive_with):
        # As EC2 calls them: volumeIdsSet (recorded).
        name = f"{exclusive_with[0].lower()}{exclusive_with[1:]}Set"
        raise Ec2Error("InvalidParameterCombination", f"The parameter {name} cannot be used with the parameter {other}")
    if size is not None and size < least:
        raise invalid_value(
            f"Value ( {size} ) for parameter maxResults is invalid. Expecting a value greater than {least}."
        )
    ordered = sorted(resources, key=lambda resource: resource.number)
    token = request.get("NextToken")
    if SETTINGS.empty_pages and size is not None and not token:
        return [], {"NextToken": _encode(0)}
    if token:
        after = _decode(token)
        ordered = [resource for resource in ordered if resource.number > after]
    limit = min(size, MOST_PER_PAGE) if size is not None else default
    if limit is None or len(ordered) <= limit:
        return ordered, {}
    return ordered[:limit], {"NextToken": _encode(ordered[limit - 1].number)}


def _encode(number: int) -> str:
    return base64.urlsafe_b64encode(f"after:{number}".encode()).decode()


def _decode(token: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(token.encode()).decode().removeprefix("after:"))
    except (ValueError, binascii.Error, UnicodeDecodeError):
        raise invalid_value("Unable to parse pagination token") from None
