"""A change of the evidence bucket's risks is published once, and not again each time that objects come and go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lifeboat.evidence.findings import Finding, Risk
from lifeboat.evidence.record import Record, compare

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 28, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("dates", "published"),
    [
        ([NOW, NOW + DAY, NOW + 2 * DAY], [True, False, False]),
        ([NOW + DAY, NOW], [True, True]),
        ([None, NOW, NOW], [True, True, False]),
        ([NOW, None, NOW + 2 * DAY, None, NOW + 4 * DAY], [True, False, False, False, False]),
    ],
    ids=["later each day", "earlier", "the first object", "objects come and go"],
)
def test_when_an_expiry_is_new(dates: list[datetime | None], published: list[bool]) -> None:
    record, found = Record(), []
    for at in dates:
        change = compare(record, [Finding(Risk.LIFECYCLE, "x", subject="temporary", at=at)], NOW)
        record = Record(change.risks)
        found.append(bool(change.new))
    assert found == published
