"""What all Describe calls of EC2 share: pages, filters and their limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import batched
from sys import intern
from typing import TYPE_CHECKING, Any

from lifeboat.domain.tags import Tags

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef, TagTypeDef

PAGE = 1000
"""The most items in one answer of DescribeInstances, DescribeVolumes and DescribeSnapshots."""


FILTER_VALUES = 190
"""The most filter values that one call uses, all its filters together.

EC2 refuses a call with more than 200: `FilterLimitExceeded`, "The maximum number of filter values specified on a single
call is 200". A request with more values is split into several calls.
"""


IDS_PER_CALL = 180
"""How many ids a caller passes at once, so that one call has room for some further filter values."""


class TooMany(Exception):  # noqa: N818 - no error: the caller reads them in parts
    """There are more items than may be held in memory at once."""


def tag_filters(tags: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {f"tag:{literal(key)}": [literal(value) for value in values] for key, values in tags.items()}


def id_filters(name: str, ids: Iterable[str]) -> list[FilterTypeDef]:
    """The filter for these ids, sorted; no filter without ids."""
    values = sorted(set(ids))
    return [{"Name": name, "Values": values}] if values else []


def within_limit(filters: Sequence[FilterTypeDef]) -> Iterator[list[FilterTypeDef]]:
    """The filters of as many calls as EC2's limit requires: the values of the longest filter are split among them."""
    numbers = [len(item["Values"]) for item in filters]
    if sum(numbers) <= FILTER_VALUES:
        yield list(filters)
        return
    longest = numbers.index(max(numbers))
    others = sum(numbers) - numbers[longest]
    room = FILTER_VALUES - others if others <= FILTER_VALUES // 2 else numbers[longest] // 2
    for some in batched(filters[longest]["Values"], room, strict=False):
        part: FilterTypeDef = {"Name": filters[longest]["Name"], "Values": list(some)}
        yield from within_limit([*filters[:longest], part, *filters[longest + 1 :]])


def literal(text: str) -> str:
    """The text escaped for a filter of EC2, where `\\`, `*` and `?` have a meaning."""
    for special in ("\\", "*", "?"):
        text = text.replace(special, "\\" + special)
    return text


def tags_of(items: Sequence[Mapping[str, Any]] | None) -> dict[str, str]:
    return {intern(item["Key"]): intern(item["Value"]) for item in items or ()}


def tag_list(tags: Tags) -> list[TagTypeDef]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


LAST_CHARACTERS = "0123456789abcdef"
"""The possible last characters of an instance's id."""
