"""What the catch-up remembers in the table: since when each instance is selected, and the schedule's last own slot.

A recovery point is owed for slots after an instance was first seen as selected. EC2 does not tell when a tag was set,
and its LaunchTime is renewed by every start, so the first look is written down.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from lifeboat.aws import clients
from lifeboat.aws.table import delete_all, partition, put_all

if TYPE_CHECKING:
    from lifeboat.aws.table import Item

_SELECTED = "selected"
_SCHEDULE = "schedule"
_LAST = "last"


def selected_since(table: str) -> dict[str, datetime]:
    """The instances that were seen as selected, with when each was so first."""
    return {item["sk"]["S"]: datetime.fromisoformat(item["since"]["S"]) for item in partition(table, _SELECTED)}


def remember_selected(table: str, instance_ids: Iterable[str], now: datetime) -> None:
    """Note that these are selected from now on. Of two who note it at once, the later one's time stays."""
    put_all(table, ({**_key(instance_id), "since": {"S": now.isoformat()}} for instance_id in instance_ids))


def forget_selected(table: str, instance_ids: Iterable[str]) -> None:
    """Note that these are no longer selected: selected again, they owe nothing for the time between."""
    delete_all(table, map(_key, instance_ids))


def _key(instance_id: str) -> Item:
    return {"pk": {"S": _SELECTED}, "sk": {"S": instance_id}}


def remember_slot(table: str, schedule: str, slot: datetime) -> None:
    """Note a slot that the schedule itself has fired: a rate's slots are counted from it."""
    item = {"pk": {"S": _SCHEDULE}, "sk": {"S": _LAST}, "text": {"S": schedule}, "slot": {"S": slot.isoformat()}}
    clients.dynamodb().put_item(TableName=table, Item=item)


def fired_slot(table: str, schedule: str) -> datetime | None:
    """A slot that this very schedule has fired; None when none is known, as after a change of the schedule."""
    key = {"pk": {"S": _SCHEDULE}, "sk": {"S": _LAST}}
    item = clients.dynamodb().get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
    if item is None or item["text"]["S"] != schedule:
        return None
    return datetime.fromisoformat(item["slot"]["S"])
