"""Which instances are saved, and what one recovery point is made of."""

from __future__ import annotations

import pytest

from lifeboat.backup.selection import (
    CreateRecoveryPoint,
    SelectionError,
    Skip,
    compare_answer,
    exchange_problem,
    plan_recovery_point,
    select,
)
from lifeboat.domain.config import Selector
from lifeboat.domain.data_volumes import data_attachments
from lifeboat.domain.image import LaunchImage
from lifeboat.domain.tags import Tag
from lifeboat.restore.record import Restore, RestoreVolume
from tests.builders import DATA, PLATFORM, ROOT, SLOT, VENDOR, attachment, instance, volume

BY_TAG = Selector("lifeboat:backup", "true")
BY_NAME = Selector("Name", "CadoResponse")


def plan(platform=None, volumes=None, **facts):
    return plan_recovery_point(
        platform or instance(),
        {DATA: volume()} if volumes is None else volumes,
        recovery_point_id="rp-1",
        set_id="set-1",
        stack="lifeboat",
        slot=SLOT,
        image=LaunchImage(VENDOR),
        **facts,
    )


def test_selection_is_exact_never_by_prefix():
    worker = instance(id="i-0worker", tags={"Name": "CadoResponseWorker", "lifeboat:backup": "True"})
    assert [item.id for item in select([worker, instance()], BY_TAG)] == [PLATFORM]
    assert [item.id for item in select([worker, instance()], BY_NAME)] == [PLATFORM]


def test_named_instances_narrow_the_selection():
    other = instance(id="i-0other")
    assert [item.id for item in select([other, instance()], BY_TAG, named=("i-0other",))] == ["i-0other"]


def test_naming_an_instance_that_is_not_selected_is_refused():
    with pytest.raises(SelectionError, match="instance_ids names i-0gone, expected instances that carry the tag"):
        select([instance()], BY_TAG, named=("i-0gone",))


def test_the_root_device_decides_what_is_data_not_the_size():
    assert [item.volume_id for item in data_attachments(instance())] == [DATA]


def test_a_recovery_point_is_planned_with_all_its_metadata():
    action = plan()
    assert isinstance(action, CreateRecoveryPoint)
    assert (action.instance_id, action.volume_ids) == (PLATFORM, (DATA,))
    assert action.tags[Tag.LINEAGE] == DATA
    assert action.tags[Tag.AMI_OWNER] == VENDOR
    assert "slot 2026-11-23T02:00:00Z is due" in action.reason


def test_a_restored_volume_continues_its_lineage():
    action = plan(volumes={DATA: volume(tags={Tag.LINEAGE.value: "vol-0origin"})})
    assert isinstance(action, CreateRecoveryPoint)
    assert action.tags[Tag.LINEAGE] == "vol-0origin"


def test_late_is_marked():
    action = plan(late=True)
    assert isinstance(action, CreateRecoveryPoint)
    assert action.tags[Tag.LATE] == "true"
    assert action.reason.endswith("late")


@pytest.mark.parametrize(
    ("platform", "volumes", "reason", "failure"),
    [
        pytest.param(instance(state="terminated"), None, "is terminated", False, id="terminated"),
        pytest.param(instance(state="shutting-down"), None, "is shutting-down", False, id="shutting down"),
        pytest.param(instance(root_device=None), None, "shows no root device", True, id="root unknown"),
        pytest.param(
            instance(attachments=(attachment(ROOT, "/dev/xvda"),)), None, "has no data volume", True, id="only a root"
        ),
        pytest.param(instance(), {}, f"has {DATA} attached, which EC2 does not show", True, id="volume not seen"),
        pytest.param(
            instance(),
            {DATA: volume(tags={Tag.LINEAGE.value: "c" * 300})},
            "characters long",
            True,
            id="metadata too long",
        ),
    ],
)
def test_what_cannot_be_saved_is_skipped_with_its_reason(platform, volumes, reason, failure):
    action = plan(platform, volumes)
    assert isinstance(action, Skip)
    assert reason in action.reason
    assert action.failure is failure


@pytest.mark.parametrize("state", ["pending", "running", "stopping", "stopped"])
def test_every_living_instance_is_saved(state):
    assert isinstance(plan(instance(state=state)), CreateRecoveryPoint)


def test_an_answer_as_planned_has_no_deviation():
    differs = compare_answer(plan(), {DATA: "snap-1"})
    assert (differs.missing, differs.unplanned, differs.reason) == ((), {}, "")


def test_a_volume_attached_after_the_plan_is_unplanned_and_no_failure():
    differs = compare_answer(plan(), {DATA: "snap-1", "vol-2": "snap-2"})
    assert (differs.missing, differs.unplanned, differs.reason) == ((), {"vol-2": "snap-2"}, "")


def test_a_volume_exchanged_after_the_plan_is_a_failure_that_names_both():
    differs = compare_answer(plan(), {"vol-2": "snap-2"})
    assert differs.missing == (DATA,)
    assert f"no snapshot of {DATA}, but snap-2 of vol-2" in differs.reason


def exchange(*pairs, touched=True):
    """An open restore of so many volumes, each with the one that it displaces and the one that it makes."""
    places = [
        RestoreVolume(
            snapshot_id="snap-1",
            device=f"/dev/sd{letter}",
            zone="eu-west-1a",
            type="gp3",
            size=100,
            encrypted=True,
            lineage=DATA,
            displaced_volume_id=displaced,
            restored_volume_id=restored,
        )
        for letter, (displaced, restored) in zip("hij", pairs, strict=False)
    ]
    return Restore("restore-1", "request", PLATFORM, "rp-1", tuple(places), SLOT, SLOT, touched=touched)


def with_attached(*volume_ids):
    data = [attachment(volume_id, f"/dev/sd{letter}") for letter, volume_id in zip("hij", volume_ids, strict=False)]
    return instance(attachments=(attachment(ROOT, "/dev/xvda"), *data))


@pytest.mark.parametrize(
    ("attached", "whole"),
    [
        (("old-1", "old-2"), True),
        (("new-1", "new-2"), True),
        (("new-1", "new-2", "vol-else"), True),
        (("old-2",), False),
        (("new-1", "old-2"), False),
        (("new-1",), False),
        ((), False),
        (("vol-else",), False),
    ],
)
def test_an_instance_is_whole_with_all_displaced_or_all_restored_volumes(attached, whole):
    problem = exchange_problem(with_attached(*attached), exchange(("old-1", "new-1"), ("old-2", "new-2")))
    assert bool(problem) is not whole
    if not whole:
        assert problem.startswith(f"restore restore-1 exchanges the volumes of {PLATFORM}: ")


@pytest.mark.parametrize(
    ("attached", "whole"), [((), True), (("new-1",), False), (("new-1", "new-2"), True), (("vol-else",), True)]
)
def test_a_restore_onto_free_devices_is_half_done_with_some_of_its_volumes(attached, whole):
    problem = exchange_problem(with_attached(*attached), exchange((None, "new-1"), (None, "new-2")))
    assert bool(problem) is not whole


def test_an_instance_that_no_restore_has_touched_is_what_it_is():
    assert exchange_problem(with_attached(), None) == ""
    assert exchange_problem(with_attached(), exchange(("old-1", None), touched=False)) == ""
