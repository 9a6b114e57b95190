"""Retention keeps the newest recovery point of a lineage that was read back and is not suspect."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.retention.builders import decide, gone, point, reasons


def days(**proofs):
    """Five days of one volume. `day_3="proven"`: what reading the one of three days ago has shown."""
    return [point(f"-{age}d", name=f"day-{age}", **proofs.get(f"day_{age}", {})) for age in range(5, 0, -1)]


PROVEN, FAILED = {"proof": "proven"}, {"proof": "failed"}
SUSPECT, CLOSED = PROVEN | {"suspect": "state=open"}, PROVEN | {"suspect": "state=closed"}


@pytest.mark.parametrize(
    ("proofs", "deleted"),
    [
        pytest.param({}, [5, 4, 3, 2], id="nothing is proven"),
        pytest.param({"day_4": PROVEN}, [5, 3, 2], id="all newer ones are unproven"),
        pytest.param({"day_4": PROVEN, "day_2": FAILED, "day_1": FAILED}, [5, 3, 2], id="newer ones failed"),
        pytest.param({"day_5": PROVEN, "day_3": PROVEN}, [5, 4, 2], id="the newest of two"),
        pytest.param({"day_4": PROVEN, "day_1": PROVEN}, [5, 4, 3, 2], id="the newest one is proven"),
        pytest.param({"day_4": PROVEN, "day_3": CLOSED}, [5, 4, 2], id="a suspicion that was closed"),
        pytest.param(
            {"day_4": PROVEN, "day_3": PROVEN | {"state": "error"}}, [5, 2], id="a newer one is no backup now"
        ),
    ],
)
def test_the_newest_proven_one_stays_until_a_newer_one_is(proofs, deleted):
    decided = decide(days(**proofs), "last=1")
    assert gone(decided) == [f"day-{age}" for age in deleted]


def test_the_reason_says_so_and_that_of_a_deletion_too():
    decided = decide(days(day_4=PROVEN), "last=1")
    assert reasons(decided, "day-4") == ("it is the newest proven one",)
    assert reasons(decided, "day-3")[0].endswith("nor is it the newest good one, nor the newest proven one")


def test_a_proven_one_that_is_suspect_does_not_stand_for_an_older_one():
    decided = decide(days(day_4=PROVEN, day_1=SUSPECT), "last=1")
    assert "it is the newest proven one" in reasons(decided, "day-4")


def test_each_lineage_keeps_its_own():
    both = point("-9d", "a", "b", name="both", proof="proven")
    others = [
        point("-3d", "a", name="a-3", proof="proven"),
        point("-2d", "a", name="a-2"),
        point("-1d", "b", name="b-1"),
    ]
    decided = decide([both, *others], "last=1")
    assert reasons(decided, "a-3") == ("it is the newest proven one",)
    assert reasons(decided, "both") == ("lineage b: it is the newest proven one",)


def test_both_sets_stay_where_one_is_proven():
    twins = [point("-3d", name="rp-a", proof="proven"), point("-3d", name="rp-a+2")]
    twins[1] = replace(twins[1], slot=twins[0].slot)
    assert gone(decide([*twins, point("-1d", name="rp-b")], "last=1")) == []
