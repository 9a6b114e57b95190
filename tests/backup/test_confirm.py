"""Is a recovery point good?"""

from __future__ import annotations

from datetime import timedelta

import pytest

from lifeboat.backup.confirm import MISSING_AFTER, Completed, Failed, Pending, best_of_each, confirm
from lifeboat.domain.catalogue import read_catalogue
from tests.builders import SLOT, attachment, point_tags, snapshot, volume

TWO = point_tags(volume(), volume(id="vol-0two", attachments=(attachment("vol-0two", "/dev/sdi"),)))
SOON = timedelta(minutes=1)
LATER = MISSING_AFTER


def one(**facts):
    return [snapshot(**facts)]


def two(first, second):
    return [snapshot(tags=TWO, state=first), snapshot(id="snap-2", volume_id="vol-0two", tags=TWO, state=second)]


@pytest.mark.parametrize(
    ("snapshots", "after", "kind", "reason"),
    [
        pytest.param(one(), SOON, Completed, "", id="completed"),
        pytest.param(two("completed", "completed"), SOON, Completed, "", id="both completed"),
        pytest.param(one(state="pending"), LATER, Pending, "snapshots are pending", id="pending as long as it takes"),
        pytest.param(two("completed", "pending"), LATER, Pending, "completed, pending", id="one of two completed"),
        pytest.param(one(state="error", state_message="key"), SOON, Failed, "snap-0aaaaaaaaaaaaaa01: key", id="error"),
        pytest.param(two("pending", "error"), SOON, Failed, "EC2 gives no cause", id="one error fails the set"),
        pytest.param(one(tags=TWO), SOON, Pending, "1 of 2 snapshots yet", id="one not seen yet"),
        pytest.param(one(tags=TWO), LATER, Failed, "only 1 of its 2 snapshots exist", id="one never came"),
        pytest.param(one(tags=TWO, state="pending"), LATER, Pending, "pending", id="incomplete but at work"),
        pytest.param(one(state="recoverable"), SOON, Pending, "recoverable", id="deleted meanwhile, in the bin"),
    ],
)
def test_what_ec2_shows_decides(snapshots, after, kind, reason):
    [point] = read_catalogue(snapshots).points
    verdict = confirm(point.id, point, begun_at=SLOT, now=SLOT + after)
    assert isinstance(verdict, kind)
    assert reason in getattr(verdict, "reason", "")


def test_nothing_seen_is_pending_at_first_and_failed_later():
    assert isinstance(confirm("rp", None, begun_at=SLOT, now=SLOT + SOON), Pending)
    assert isinstance(confirm("rp", None, begun_at=None, now=SLOT + LATER), Pending)
    verdict = confirm("rp", None, begun_at=SLOT, now=SLOT + LATER)
    assert isinstance(verdict, Failed)
    assert "15 minutes after" in verdict.reason


def test_a_snapshot_of_another_volume_alone_is_named_in_the_failure():
    other = snapshot(id="snap-2", volume_id="vol-0other")
    verdict = confirm("rp", None, begun_at=SLOT, now=SLOT + LATER, unrecorded=[other])
    assert isinstance(verdict, Failed)
    assert "snap-2 is of vol-0other, which its tags do not record" in verdict.reason


def test_of_two_sets_of_a_slot_the_whole_one_decides_whichever_came_first():
    again = point_tags(set_id="set-2")
    sets = [*one(tags=TWO), snapshot(id="snap-2", tags=again, started_at=SLOT + SOON)]
    for order in (sets, sets[::-1]):
        [(point_id, point)] = best_of_each(read_catalogue(order).points).items()
        assert point_id == again["lifeboat:recovery-point"]
        assert [member.snapshot.id for member in point.members] == ["snap-2"]
