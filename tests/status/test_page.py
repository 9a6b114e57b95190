"""Pages: each instance and recovery point is on one page, in order, and `next` stores nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lifeboat.domain.catalogue import read_catalogue
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


def point(seconds: float, name: str = "") -> object:
    tags = point_tags(recovery_point_id=f"rp-{seconds:g}{name}".replace(".", "-"), set_id=f"set {seconds}{name}")
    return read_catalogue([snapshot(started_at=SLOT + timedelta(seconds=seconds), tags=tags)]).points[0]


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
    points = [
        point(at, name) for at, name in ((0, "a"), (0.4, "b"), (0.9, "c"), (5, ""), (5.5, "x"), (60, ""), (61, ""))
    ]
    pages = all_pages(lambda before, most: page_of_points(points, before, most), limit)
    listed = [item for page in pages for item in page]
    assert sorted(item.id for item in listed) == sorted(item.id for item in points)
    assert len(listed) == len(points)
    assert [item.taken_at.replace(microsecond=0) for item in listed] == sorted(
        (item.taken_at.replace(microsecond=0) for item in points), reverse=True
    )


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
        ("before:2026-11-23T02:00:00Z/rp-1", BeforePoint(SLOT, "rp-1")),
        ("before:2026-11-23T02:00:00Z/rp-1+2", BeforePoint(SLOT, "rp-1+2")),
        ("", None),
        (PLATFORM, None),
        (f"after:{PLATFORM}\n", None),
        ("after:i-0123", None),
        ("before:2026-11-23T02:00:00Z", None),
        ("before:2026-13-23T02:00:00Z/rp-1", None),
        ("before:2026-11-23T02:00:00-/rp-1", None),
        ("before:2026-11-23T02:00:00Z/vol-1", None),
    ],
)
def test_next_is_read_back_and_nothing_else(text, position):
    assert read_position(text) == position
