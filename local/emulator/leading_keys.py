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
    table = dynamodb._tables.get(request.get("TableName", "").rsplit("/", 1)[-1]) if _is_mapping(request) else None
    found = list(_values(request, table["pk_name"])) if table else []
    return {CONTEXT_KEY: found} if found else {}


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
