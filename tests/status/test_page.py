"""Pages: each instance and recovery point is on one page, in order, and `next` stores nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.recovery_point import RecoveryPoint
from lifeboat.status.page import (
    MOST,
    VOLUMES,
    AfterInstance,
    BeforePoint,
    page_of_instances,
    page_of_points,
    read_position,
)
from tests.builders import PLATFORM, SLOT, point_tags, snapshot

IDS = [f"i-{number:017x}" for number in range(7)]
SNAPSHOT = "snap-0aaaaaaaaaaaaaa01"


def point(seconds: float, number: int) -> RecoveryPoint:
    """A recovery point whose id, a tag, is no id."""
    tags = point_tags(recovery_point_id=f"{number}\u202e\n", set_id=f"set {number}")
    found = snapshot(id=f"snap-{9 - number:017x}", started_at=SLOT + timedelta(seconds=seconds), tags=tags)
    return read_catalogue([found]).points[0]


def all_pages(turn, limit: int) -> list[list[object]]:
    pages, position = [], None
    while True:
        page, position = turn(position, limit)
        pages.append(list(page))
        if position is None:
            return pages
        assert read_position(str(position)) == position


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8])
def test_every_instance_is_on_one_page_in_order(limit):
    pages = all_pages(lambda after, most: page_of_instances([(item, 1) for item in IDS[::-1]], after, most), limit)
    assert [item for page in pages for item in page] == IDS
    assert max(map(len, pages)) <= limit
    assert pages[-1], "no page is empty"


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8])
def test_every_recovery_point_is_on_one_page_the_newest_first(limit):
    # EC2 gives milliseconds: some are of the same second.
    points = [point(seconds, number) for number, seconds in enumerate((0, 0.4, 0.9, 5, 5.5, 60, 61))]
    pages = all_pages(lambda before, most: page_of_points(points, before, most), limit)
    listed = [item for page in pages for item in page]
    assert sorted(item.id for item in listed) == sorted(item.id for item in points)
    assert len(listed) == len(points)
    assert [item.taken_at.replace(microsecond=0) for item in listed] == sorted(
        (item.taken_at.replace(microsecond=0) for item in points), reverse=True
    )


def test_an_instance_whose_id_is_only_a_tag_has_its_place_as_well():
    ids = [*IDS[:2], "", "\u202e\n1. run", "111122223333/i-0123456789abcdef0", "\U0001f6df" * 256]
    pages = all_pages(lambda after, most: page_of_instances([(item, 1) for item in ids], after, most), 1)
    assert [item for [item] in pages] == sorted(ids)


def test_what_is_gone_meanwhile_moves_nothing_else():
    page, after = page_of_instances([(item, 1) for item in IDS], None, 3)
    rest = [item for item in IDS if item not in (page[-1], IDS[4])]
    assert page_of_instances([(item, 1) for item in rest], after, 10) == ((IDS[3], IDS[5], IDS[6]), None)


@pytest.mark.parametrize(
    ("volumes", "expected"),
    [
        ([1, 1, 1], 3),
        ([VOLUMES // 2, VOLUMES // 2, 1], 2),
        ([VOLUMES + 1, 1, 1], 1),
        ([1, VOLUMES, 1], 1),
    ],
    ids=["few", "full after two", "one has more than there is room for", "the second does not fit"],
)
def test_a_page_ends_when_it_has_many_volumes(volumes, expected):
    page, after = page_of_instances(zip(IDS, volumes, strict=False), None, MOST)
    assert page == tuple(IDS[:expected])
    assert (after is None) == (expected == len(volumes))


@pytest.mark.parametrize(
    ("text", "position"),
    [
        (f"after:{PLATFORM}", AfterInstance(PLATFORM)),
        (f"after:111122223333/{PLATFORM}", AfterInstance(f"111122223333/{PLATFORM}")),
        ("after:~", AfterInstance("")),
        ("after:~e280ae0a", AfterInstance("\u202e\n")),
        (f"before:2026-11-23T02:00:00Z/{SNAPSHOT}", BeforePoint(SLOT, SNAPSHOT)),
        ("", None),
        (PLATFORM, None),
        (f"after:{PLATFORM}\n", None),
        ("after:i-0123", None),
        ("before:2026-11-23T02:00:00Z", None),
        ("after:~e2", None),
        ("after:~E280AE", None),
        (f"before:2026-13-23T02:00:00Z/{SNAPSHOT}", None),
        (f"before:2026-11-23T02:00:00-/{SNAPSHOT}", None),
        ("before:2026-11-23T02:00:00Z/rp-1", None),
    ],
)
def test_next_is_read_back_and_nothing_else(text, position):
    assert read_position(text) == position
