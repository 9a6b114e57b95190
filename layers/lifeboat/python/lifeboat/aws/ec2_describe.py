"""What every describe call of EC2 shares: pages, filters and their limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import batched
from sys import intern
from typing import TYPE_CHECKING, Any

from lifeboat.domain.tags import Tags

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef, TagTypeDef

PAGE = 1000
"""The most that DescribeInstances, DescribeVolumes and DescribeSnapshots give in one answer."""


FILTER_VALUES = 190
"""How many filter values one call has at most, those of all its filters together.

EC2 refuses a call with more than 200 as a whole: `FilterLimitExceeded`, "The maximum number of filter values specified
on a single call is 200". Every question here that may have many values is asked in as many calls as that needs.
"""


IDS_PER_CALL = 180
"""How many ids a caller asks about at once, so that one call is enough with the few values that narrow it."""


class TooMany(Exception):  # noqa: N818 - no error: they are to be asked for in parts
    """There are more than may be held at once."""


def tag_filters(tags: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {f"tag:{literal(key)}": [literal(value) for value in values] for key, values in tags.items()}


def id_filters(name: str, ids: Iterable[str]) -> list[FilterTypeDef]:
    """The filter for these, in an order that does not change; no filter for none."""
    values = sorted(set(ids))
    return [{"Name": name, "Values": values}] if values else []


def within_limit(filters: Sequence[FilterTypeDef]) -> Iterator[list[FilterTypeDef]]:
    """The same question in as many calls as EC2's limit of filter values needs: the values of the longest filter are
    shared out among them."""
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
    """The text itself, in a filter of EC2: `\\`, `*` and `?` have a meaning there."""
    for special in ("\\", "*", "?"):
        text = text.replace(special, "\\" + special)
    return text


def tags_of(items: Sequence[Mapping[str, Any]] | None) -> dict[str, str]:
    return {intern(item["Key"]): intern(item["Value"]) for item in items or ()}


def tag_list(tags: Tags) -> list[TagTypeDef]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


LAST_CHARACTERS = "0123456789abcdef"
"""What the id of an instance ends with."""
