"""The tags of snapshots record all metadata of a recovery point; missing metadata is never guessed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random
from string import ascii_letters

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeboat.backup.selection import volume_metadata
from lifeboat.domain.catalogue import read_catalogue, read_metadata
from lifeboat.domain.packed_tags import MAX_VALUE
from lifeboat.domain.recovery_point import Condition
from lifeboat.domain.recovery_point_tags import MAX_TAGS, MetadataError, left_out_of, write_tags
from lifeboat.domain.tags import Tag
from tests.builders import DATA, KEY, PLATFORM, SLOT, VENDOR, attachment, point_tags, snapshot, volume

SECOND = "vol-0aaaaaaaaaaaaaa12"


def second_volume(**facts):
    return volume(
        id=SECOND,
        type="st1",
        size=500,
        iops=None,
        throughput=None,
        encrypted=False,
        kms_key_id=None,
        attachments=(attachment(SECOND, "/dev/sdi", delete_on_termination=True),),
        **{"tags": {"Name": "scratch", Tag.LINEAGE.value: "vol-0origin"}, **facts},
    )


def test_metadata_is_read_as_it_was_written():
    [point] = read_catalogue([snapshot()]).points

    assert (point.id, point.instance_id, point.slot, point.stack) == (
        f"rp-20261123T020000Z-{PLATFORM}",
        PLATFORM,
        SLOT,
        "lifeboat",
    )
    assert (point.ami_owner, point.zone, point.instance_name) == (VENDOR, "eu-west-1a", "CadoResponse")
    assert point.condition is Condition.GOOD
    [member] = point.members
    assert member.metadata == volume_metadata(volume(), attachment())
    assert member.metadata.kms_key_id == KEY


def test_each_snapshot_of_a_set_has_the_metadata_of_its_own_volume():
    tags = point_tags(volume(), second_volume())
    found = read_catalogue(
        [snapshot(tags=tags), snapshot(id="snap-2", volume_id=SECOND, tags=tags, encrypted=False, size=500)]
    )

    [point] = found.points
    assert [(member.snapshot.volume_id, member.metadata.device) for member in point.members] == [
        (DATA, "/dev/sdh"),
        (SECOND, "/dev/sdi"),
    ]
    assert point.lineages == (DATA, "vol-0origin")
    assert (point.expected, point.size, point.condition) == (2, 600, Condition.GOOD)
    assert Tag.LINEAGE.value not in tags


def test_a_set_of_one_volume_has_the_plain_lineage_tag():
    assert point_tags()[Tag.LINEAGE.value] == DATA
    assert point_tags(second_volume())[Tag.LINEAGE.value] == "vol-0origin"


def test_the_name_never_falls_under_the_platforms_own_delete_pattern():
    # The platform's acquisition role may delete snapshots whose Name begins with CadoResponse.
    assert not point_tags()["Name"].startswith("CadoResponse")


@pytest.mark.parametrize(
    ("facts", "condition"),
    [
        pytest.param([{"state": "pending"}], Condition.PENDING, id="still being made"),
        pytest.param([{"state": "error"}], Condition.FAILED, id="ended in error"),
        pytest.param([{"state": "recoverable"}], Condition.RECYCLED, id="in the Recycle Bin"),
        pytest.param([{"tier": "archive"}], Condition.ARCHIVED, id="archived"),
        pytest.param([{}], Condition.GOOD, id="completed"),
    ],
)
def test_condition(facts, condition):
    [point] = read_catalogue([snapshot(**fact) for fact in facts]).points
    assert point.condition is condition


def test_a_point_with_a_missing_snapshot_is_incomplete_and_with_one_error_failed():
    tags = point_tags(volume(), second_volume())
    [incomplete] = read_catalogue([snapshot(tags=tags)]).points
    [failed] = read_catalogue(
        [snapshot(tags=tags), snapshot(id="s2", volume_id=SECOND, tags=tags, state="error")]
    ).points
    assert incomplete.condition is Condition.INCOMPLETE
    assert failed.condition is Condition.FAILED


def test_a_doubled_call_makes_two_points_never_a_mixed_one():
    later = snapshot(id="snap-2", tags=point_tags(set_id="set-2"), started_at=SLOT + timedelta(seconds=3))
    found = read_catalogue([later, snapshot()])
    assert [(point.id, len(point.members)) for point in found.points] == [
        (f"rp-20261123T020000Z-{PLATFORM}", 1),
        (f"rp-20261123T020000Z-{PLATFORM}+2", 1),
    ]


def test_a_whole_set_keeps_the_id_of_the_slot_though_one_without_a_volume_was_made_before():
    tags = point_tags(volume(), second_volume(), set_id="set-0")
    short = snapshot(id="snap-2", tags=tags, started_at=SLOT - timedelta(seconds=90))
    both = read_catalogue([short, snapshot()]).points
    assert [(point.id, point.condition) for point in both] == [
        (f"rp-20261123T020000Z-{PLATFORM}+2", "incomplete"),
        (f"rp-20261123T020000Z-{PLATFORM}", "good"),
    ]
    assert read_catalogue([snapshot()]).points == both[1:]


def test_two_stacks_of_one_slot_make_two_points_each_of_its_stack():
    other = snapshot(
        id="snap-2", tags=point_tags(set_id="set-2", stack="other"), started_at=SLOT + timedelta(seconds=3)
    )
    assert [(point.id, point.stack) for point in read_catalogue([other, snapshot()]).points] == [
        (f"rp-20261123T020000Z-{PLATFORM}", "lifeboat"),
        (f"rp-20261123T020000Z-{PLATFORM}+2", "other"),
    ]


def test_a_copy_with_an_arbitrary_volume_id_has_the_only_recorded_metadata():
    assert read_metadata(snapshot(volume_id="vol-ffffffff")) == volume_metadata(volume(), attachment())


def test_a_snapshot_of_an_unrecorded_volume_is_unreadable():
    # Attached between the plan and CreateSnapshots, which writes the same tags on all that it takes.
    unrecorded = snapshot(id="snap-2", volume_id=SECOND)
    with pytest.raises(MetadataError, match=f"snap-2 is of {SECOND}, but its tags record {DATA}"):
        read_metadata(unrecorded)
    found = read_catalogue([unrecorded])
    assert found.points == ()
    assert found.of_unrecorded_volumes() == (unrecorded,)


def test_a_snapshot_of_an_unrecorded_volume_does_not_count_in_its_set():
    found = read_catalogue([snapshot(), snapshot(id="snap-2", volume_id=SECOND)])
    [point] = found.points
    assert (point.condition, [member.snapshot.volume_id for member in point.members]) == (Condition.GOOD, [DATA])
    assert [item.id for item in found.of_unrecorded_volumes()] == ["snap-2"]


def test_a_snapshot_of_an_unrecorded_volume_does_not_replace_a_missing_one():
    tags = point_tags(volume(), second_volume())
    third = snapshot(id="snap-3", volume_id="vol-0aaaaaaaaaaaaaa13", tags=tags)
    [point] = read_catalogue([snapshot(tags=tags), third]).points
    assert point.condition is Condition.INCOMPLETE


def test_a_copy_with_the_settings_of_two_volumes_is_not_guessed():
    tags = point_tags(volume(), second_volume())
    with pytest.raises(MetadataError, match="is a copy, expected the tags of one volume"):
        read_metadata(snapshot(volume_id="vol-ffffffff", tags=tags))
    assert read_catalogue([snapshot(volume_id="vol-ffffffff", tags=tags)]).points == ()


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (f"lifeboat:volume/{DATA}", "device=/dev/sdh"),
        (f"lifeboat:volume/{DATA}", "device=/dev/sdh type=gp3 size=big encrypted=true delete-on-termination=false"),
        (f"lifeboat:volume/{DATA}", "device=/dev/sdh type=gp3 size=1 encrypted=yes delete-on-termination=false"),
        (f"lifeboat:volume/{DATA}", "device=d type=gp3 size=1 encrypted=true delete-on-termination=true tags=9999"),
        (Tag.SLOT.value, "yesterday"),
        (Tag.SLOT.value, "2026-11-23T02:00:00"),
        (Tag.VOLUMES.value, "one"),
    ],
)
def test_an_unreadable_tag_is_listed_with_its_reason(tag, value):
    found = read_catalogue([snapshot(tags={**point_tags(), tag: value})])
    assert found.points == ()
    [(listed, reason)] = found.unreadable
    assert listed.id in reason
    assert tag in reason


def test_snapshots_of_others_are_not_recovery_points():
    assert read_catalogue([snapshot(tags={"Name": "mine"})]) == read_catalogue([])


def test_aws_tags_and_ours_are_not_carried_as_the_volumes_own():
    tags = point_tags(volume(tags={"aws:cloudformation:stack-name": "x", Tag.LINEAGE.value: "c", "team": "a&b=c d+e"}))
    assert dict(read_metadata(snapshot(tags=tags)).tags) == {"team": "a&b=c d+e"}


def test_tags_that_do_not_fit_are_counted_never_cut():
    many = {f"key-{number:02}-{'k' * 100}": "v" * 140 for number in range(50)}
    tags = point_tags(volume(tags=many))
    metadata = read_metadata(snapshot(tags=tags))
    assert len(tags) <= MAX_TAGS
    assert metadata.tags == many, "compressed they all fit"


def test_tags_that_do_not_fit_even_so_are_counted_and_named():
    letters = Random(14)
    many = {f"key-{number:02}": "".join(letters.choices(ascii_letters, k=250)) for number in range(50)}
    disk = volume(tags=many)
    tags = point_tags(disk)
    metadata = read_metadata(snapshot(tags=tags))
    assert len(tags) <= MAX_TAGS
    assert 0 < metadata.tags_left_out == 50 - len(metadata.tags)
    assert metadata.tags.items() <= many.items()
    missing = tuple(sorted(many.keys() - metadata.tags.keys()))
    assert (metadata.left_out, left_out_of(tags, [volume_metadata(disk, attachment())])) == (missing, {DATA: missing})


def test_more_volumes_than_their_metadata_has_room_for_are_refused():
    volumes = [volume(id=f"vol-{number:017}", kms_key_id=KEY) for number in range(39)]
    with pytest.raises(MetadataError, match="has 39 data volumes: their metadata needs 51 tags"):
        point_tags(*volumes, late=True)


def test_thirty_eight_restored_volumes_with_customer_keys_fit():
    disks = [
        volume(id=f"vol-{number:017}", tags={Tag.LINEAGE.value: f"vol-{number + 50:017}"}, size=65_536)
        for number in range(38)
    ]
    tags = point_tags(*disks, late=True)
    assert len(tags) == MAX_TAGS
    for disk in disks:
        assert read_metadata(snapshot(volume_id=disk.id, tags=tags)) == replace(
            volume_metadata(disk, attachment()), tags={}
        )


def test_what_a_restore_needs_is_readable():
    tags = point_tags(volume(tags={Tag.LINEAGE.value: "vol-0aaaaaaaaaaaaaa99", "team": "捜査 & audit"}))
    assert tags[f"lifeboat:volume/{DATA}"] == (
        "device=/dev/sdh type=gp3 size=100 iops=4000 throughput=200 encrypted=true delete-on-termination=false tags=1 "
        f"chain=vol-0aaaaaaaaaaaaaa99 kms-key={KEY}"
    )
    assert tags[f"lifeboat:tags/{DATA}/1"] == "team=捜査 %26 audit"


@pytest.mark.parametrize("lineage", ["c" * 256, "a b=c%20 d", " 系 " * 60])
def test_any_lineage_is_read_as_written(lineage):
    disk = volume(tags={Tag.LINEAGE.value: lineage})
    tags = point_tags(disk)
    assert all(len(value) <= MAX_VALUE for value in tags.values())
    assert read_metadata(snapshot(tags=tags)) == replace(volume_metadata(disk, attachment()), tags={})


def test_a_tag_that_is_lost_later_is_counted():
    tags = point_tags(volume(tags={"Name": "data", "team": "x"}))
    del tags[f"lifeboat:tags/{DATA}/1"]
    assert (read_metadata(snapshot(tags=tags)).tags, read_metadata(snapshot(tags=tags)).tags_left_out) == ({}, 2)


def test_a_lineage_too_long_for_a_tag_is_refused():
    with pytest.raises(MetadataError, match="characters long"):
        point_tags(volume(id="v" * 20, tags={Tag.LINEAGE.value: "c" * (MAX_VALUE + 1)}))


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60)


@given(own=st.dictionaries(words, st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=100)))
def test_any_tags_come_back_or_are_counted(own):
    own = {key: value for key, value in own.items() if not key.startswith(("aws:", "lifeboat:"))}
    tags = point_tags(volume(tags=own))
    metadata = read_metadata(snapshot(tags=tags))
    assert len(metadata.tags) + metadata.tags_left_out == len(own)
    assert dict(metadata.tags).items() <= own.items()
    assert all(len(value) <= MAX_VALUE for value in tags.values())


def test_late_points_say_so():
    [point] = read_catalogue([snapshot(tags=point_tags(late=True))]).points
    assert point.late
    assert not point.held
    [held] = read_catalogue([snapshot(tags={**point_tags(), Tag.HOLD.value: ""}, blocked_by=("locked",))]).points
    assert held.held
    assert held.blocked_by == ("locked",)


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("", "ami-1", ""),
        ("CadoResponse_v2.324.0", "ami-1 CadoResponse_v2.324.0", "CadoResponse_v2.324.0"),
        (" a=b%20 (x)\n\u202e", "ami-1 %20a%3Db%2520 (x)%0A%E2%80%AE", " a=b%20 (x)\n\u202e"),
        ("v" * 128, "ami-1 " + "v" * 128, "v" * 128),
        ("v" * 251, "ami-1", ""),  # left out: a cut version is another version
    ],
)
def test_the_name_of_the_image_is_beside_its_id(name, value, read):
    tags = point_tags(ami_id="ami-1", ami_name=name)
    assert tags[Tag.AMI] == value
    [point] = read_catalogue([snapshot(tags=tags)]).points
    assert (point.ami_id, point.ami_name) == ("ami-1", read)


def test_a_recovery_point_without_an_image_records_no_name():
    [point] = read_catalogue([snapshot(tags=point_tags(ami_id="", ami_name="CadoResponse_v2.324.0"))]).points
    assert (point.ami_id, point.ami_name) == ("", "")


def test_write_tags_needs_no_volume_to_be_encrypted():
    tags = write_tags(
        recovery_point_id="rp",
        set_id="s",
        stack="lifeboat",
        slot=SLOT,
        instance_id=PLATFORM,
        instance_name="",
        zone="eu-west-1a",
        ami_id="ami-1",
        ami_owner="",
        all_metadata=[volume_metadata(second_volume(), second_volume().attachments[0])],
    )
    assert f"lifeboat:kms-key/{SECOND}" not in tags
