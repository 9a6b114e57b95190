"""`dynamodb:LeadingKeys`: the partition keys that a DynamoDB request names, which ministack leaves out of its context.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html: the key is there for every
request that names an item or a partition, and missing from a Scan.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ministack.services import dynamodb

CONTEXT_KEY = "dynamodb:leadingkeys"


def leading_keys(body: bytes) -> dict[str, list[str]]:
    """The condition key of one request, or nothing when it names no partition."""
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return {}
    found = list(_of_request(request)) if _is_mapping(request) else []
    return {CONTEXT_KEY: found} if found else {}


def _of_request(request: Mapping[str, Any]) -> Iterator[str]:
    batches = request.get("RequestItems")
    if not _is_mapping(batches):
        yield from _of_table(request, request.get("TableName", ""))
        return
    for name, parts in batches.items():
        for part in parts if isinstance(parts, list) else [*({"Key": key} for key in parts.get("Keys", []))]:
            for single in (part, *filter(_is_mapping, part.values())):  # a PutRequest or DeleteRequest holds the item
                yield from _of_table(single, name)


def _of_table(request: Mapping[str, Any], name: str) -> Iterator[str]:
    table = dynamodb._tables.get(name.rsplit("/", 1)[-1])
    return _values(request, table["pk_name"]) if table else iter(())


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _values(request: Mapping[str, Any], key: str) -> Iterator[str]:
    for parameter in ("Key", "Item"):
        value = request.get(parameter, {}).get(key)
        if _is_mapping(value):
            yield from map(str, value.values())
    expression = request.get("KeyConditionExpression", "")
    names = request.get("ExpressionAttributeNames", {})
    for name, placeholder in re.findall(r"([#\w]+)\s*=\s*(:\w+)", expression):
        if names.get(name, name) == key:
            yield from map(str, request.get("ExpressionAttributeValues", {}).get(placeholder, {}).values())
