"""Since when each instance is selected, and the last slot that the schedule fired. The catch-up needs both.

An instance owes recovery points only for slots after it was selected. EC2 does not say when a tag was set, and every
start renews LaunchTime. So the catch-up notes when it first observed an instance as selected.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from lifeboat.aws import table as documents
from lifeboat.aws.table import Document, to_json
from lifeboat.backup.schedule import Schedule, parse_schedule
from lifeboat.domain.config import Config

_SELECTED = "selected"
_SCHEDULE = "schedule"
_LAST = "last"


def selected_since(table: str) -> dict[str, datetime]:
    """The selected instances that are known, with when each was first observed as selected."""
    return {found.sk: found.read(datetime) for found in documents.find_all(table, _SELECTED)}


def remember_selected(table: str, instance_ids: Iterable[str], now: datetime) -> None:
    """Note that these are selected from now on. If two invocations note it at once, the later time stays."""
    documents.put_all(table, (Document(_SELECTED, instance_id, to_json(now)) for instance_id in instance_ids))


def forget_selected(table: str, instance_ids: Iterable[str]) -> None:
    """Note that these are no longer selected. Selected again, they owe nothing for the time between."""
    documents.delete_all(table, _SELECTED, instance_ids)


def remember_slot(table: str, schedule: str, slot: datetime) -> None:
    """Note a slot that the schedule itself has fired. The slots of a rate are counted from it."""
    documents.write(table, documents.put(Document(_SCHEDULE, _LAST, to_json(slot), version=schedule)))


def fired_slot(table: str, schedule: str) -> datetime | None:
    """A slot that this very schedule has fired; None when none is known, as after a change of the schedule."""
    found = documents.find(table, _SCHEDULE, _LAST)
    return found.read(datetime) if found and found.version == schedule else None


def schedule_of(config: Config) -> Schedule:
    """The stack's schedule. A rate's slots are counted from one that has fired. Raises ScheduleError."""
    schedule = parse_schedule(config.schedule, config.time_zone)
    fired = fired_slot(config.table, config.schedule) if schedule.every else None
    return schedule.counted_from(fired) if fired else schedule
