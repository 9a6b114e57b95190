"""The vault reads a source: it checks the metadata and writes it anew, under the names of that source."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lifeboat.copies.plan import CopyFacts, plan
from lifeboat.copies.vault import (
    METADATA_AWAITED,
    SharedSnapshots,
    as_kept,
    read_shared,
    rotate_sources,
    tags_without_metadata,
    to_share,
    without_metadata,
    without_record,
)
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.config import CopyDestination
from lifeboat.domain.ec2 import Snapshot
from lifeboat.domain.recovery_point import Condition
from lifeboat.domain.recovery_point_tags import MAX_TAGS, MetadataError
from lifeboat.domain.tags import Tag
from tests.builders import ACCOUNT, DATA, PLATFORM, SLOT, attachment, point_tags, snapshot, volume

REGION = "eu-west-1"
POINT = f"rp-20261123T020000Z-{PLATFORM}"
NOW = SLOT + timedelta(hours=2)
VAULT_STACK = "strongroom"


def observed(*source: Snapshot) -> dict[str, Snapshot]:
    """The same snapshots as the vault's account sees them when they are shared."""
    return {item.id: replace(item, tags={}) for item in source}


def share(*source: Snapshot, shared: dict[str, Snapshot] | None = None, account: str = ACCOUNT) -> SharedSnapshots:
    visible = observed(*source) if shared is None else shared
    return read_shared(read_catalogue(source).points, visible, source=account, stack=VAULT_STACK)


def facts_of(found: SharedSnapshots, copies: tuple[Snapshot, ...] = (), *, existing: bool = True) -> CopyFacts:
    return CopyFacts(
        points=found.points,
        copies=copies,
        records={},
        in_flight=0,
        destination=CopyDestination("vault-1", "key"),
        home=REGION,
        stack=VAULT_STACK,
        now=NOW,
        copy_existing=existing,
    )


def starts(found: SharedSnapshots, copies: tuple[Snapshot, ...] = (), *, existing: bool = True) -> list[Any]:
    return list(plan(facts_of(found, copies, existing=existing)).start)


def copy_of(call: Any) -> Snapshot:
    return snapshot(
        id="snap-c" + call.snapshot_id[6:], volume_id="vol-ffffffff", tags=dict(call.tags), started_at=NOW, size=100
    )


class TestNames:
    def test_names_contain_the_source_account(self):
        [point] = share(snapshot()).points
        assert (point.id, point.instance_id) == (f"{POINT}-{ACCOUNT}", f"{ACCOUNT}/{PLATFORM}")
        assert point.lineages == (f"{ACCOUNT}/{DATA}",)
        assert point.stack == VAULT_STACK
        assert point.condition is Condition.GOOD

    def test_the_copy_carries_all_metadata(self):
        [call] = starts(share(snapshot()))
        [point] = read_catalogue([copy_of(call)]).points
        [member] = point.members
        assert (member.metadata.device, member.metadata.iops, member.metadata.tags) == (
            "/dev/sdh",
            4000,
            {"Name": "CadoResponseDataVolume"},
        )
        assert member.metadata.lineage == f"{ACCOUNT}/{DATA}"
        assert member.metadata.kms_key_id is None, "the source's key is of no use here"
        assert point.taken_at == SLOT
        assert call.tags[Tag.SOURCE_ACCOUNT] == ACCOUNT
        assert call.tags[Tag.STACK] == VAULT_STACK

    def test_equal_names_of_two_sources_stay_apart(self):
        ours, theirs = share(snapshot()).points[0], share(snapshot(), account="999988887777").points[0]
        assert not set(ours.lineages) & set(theirs.lineages)
        assert ours.id != theirs.id
        assert ours.instance_id != theirs.instance_id

    def test_a_lineage_from_another_vault_continues(self):
        tags = {**point_tags(), f"lifeboat:chain/{DATA}": f"222233334444/{DATA}"}
        [point] = share(snapshot(tags=tags)).points
        assert point.lineages == (f"{ACCOUNT}/222233334444/{DATA}",)

    def test_many_volumes_with_many_tags_still_fit(self):
        disks = [
            volume(
                id=f"{DATA[:-2]}{20 + n}",
                kms_key_id=None,
                tags={f"key-{m}": "v" * 200 for m in range(20)},
                attachments=(attachment(device=f"/dev/sd{chr(102 + n)}"),),
            )
            for n in range(8)
        ]
        tags = point_tags(*disks)
        source = [snapshot(id=f"snap-{n:017d}", volume_id=disk.id, tags=tags) for n, disk in enumerate(disks)]
        calls = starts(share(*source))
        assert len(calls) == len(disks)
        assert all(len(call.tags) <= MAX_TAGS for call in calls)


class TestHostileMetadata:
    @pytest.mark.parametrize(
        "tags",
        [
            {"lifeboat:recovery-point": "rp-\n; rm"},
            {"lifeboat:recovery-point": "latest"},
            {"lifeboat:recovery-point": "rp-" + "x" * 200},
            {"lifeboat:instance": "i-*"},
            {"lifeboat:zone": "eu west"},
            {"lifeboat:ami": "ami-?"},
            {"lifeboat:ami-owner": "A" * 60},
            {f"lifeboat:chain/{DATA}": "*"},
            {f"lifeboat:chain/{DATA}": f"../{DATA}"},
            {f"lifeboat:volume/{DATA}": "device=/etc/passwd type=gp3 size=1 encrypted=true delete-on-termination=true"},
            {f"lifeboat:volume/{DATA}": "device=/dev/sdh type=GP<3> size=1 encrypted=true delete-on-termination=true"},
        ],
    )
    def test_a_malformed_name_is_refused_with_the_reason(self, tags):
        found = share(snapshot(tags={**point_tags(), **tags}))
        assert found.points == ()
        [(_, reason)] = found.refused
        assert "expected one such as " in reason
        assert [item.id for item in found.undescribed] == [snapshot().id], "it is copied without metadata"

    @pytest.mark.parametrize(
        ("name", "kept"),
        [
            ("CadoResponse_v2.324.0", "ami-0cad0000000000001 CadoResponse_v2.324.0"),
            ("CadoResponse_v2.324.0\n", "ami-0cad0000000000001"),
            ("v" * 129, "ami-0cad0000000000001"),
        ],
        ids=["an image's name", "with a line break", "longer than EC2 takes"],
    )
    def test_an_impossible_name_of_the_image_is_left_out(self, name, kept):
        found = share(snapshot(tags=point_tags(ami_name=name)))
        [call] = starts(found)
        assert call.tags[Tag.AMI] == kept
        [point] = found.points
        assert point.ami_name == kept.partition(" ")[2]

    def test_tags_with_a_meaning_are_not_copied(self):
        evil = {
            **point_tags(),
            Tag.HOLD: "for ever",
            Tag.SHARED: "x",
            Tag.SOURCE_ACCOUNT: "999988887777",
            Tag.COPY_OF: "snap-0bbbbbbbbbbbbbbb1",
            "Name": "anything",
            "aws:dlm": "x",
            f"lifeboat:tags/{DATA}/1": "lifeboat:hold=x&AWS:thing=y&fine=z&bad%00key=1",
        }
        [call] = starts(share(snapshot(tags=evil)))
        assert Tag.HOLD not in call.tags
        assert Tag.SHARED not in call.tags
        assert (call.tags[Tag.SOURCE_ACCOUNT], call.tags[Tag.COPY_OF]) == (ACCOUNT, snapshot().id)
        assert call.tags["Name"] == f"lifeboat {ACCOUNT}/{PLATFORM} 2026-11-23T02:00:00Z"
        [point] = read_catalogue([copy_of(call)]).points
        [member] = point.members
        assert (member.metadata.tags, member.metadata.tags_left_out) == ({"fine": "z"}, 3), "tags left out are counted"

    def test_a_shared_copy_is_no_recovery_point(self):
        copy = {Tag.COPIED_AT: "2026-11-23T02:00:00Z", Tag.TAKEN_AT: "1999-01-01T00:00:00Z", Tag.COPY_OF: "snap-1"}
        found = share(snapshot(tags={**point_tags(), **copy}))
        assert found.points == ()
        assert [item.id for item in found.undescribed] == [snapshot().id]

    def test_a_time_that_the_source_writes_is_ignored(self):
        tags = {**point_tags(), Tag.TAKEN_AT: "1999-01-01T00:00:00Z"}
        [call] = starts(share(snapshot(tags=tags)))
        assert call.tags[Tag.TAKEN_AT] == "2026-11-23T02:00:00Z"

    def test_a_snapshot_added_later_does_not_change_the_copied_recovery_point(self):
        [call] = starts(share(snapshot()))
        kept = copy_of(call)
        joined = snapshot(id="snap-0eeeeeeeeeeeeeee1", tags={**point_tags(), Tag.VOLUMES: "2"})
        source = (replace(snapshot(), tags={**point_tags(), Tag.VOLUMES: "2"}), joined)
        late = starts(share(*source), (kept,))
        points = read_catalogue([kept, *map(copy_of, late)]).points
        assert [point.members[0].snapshot.id for point in points if point.id == f"{POINT}-{ACCOUNT}"] == [kept.id]
        assert points[0].condition is Condition.GOOD
        assert not any(call.tags[Tag.SET] == kept.tags[Tag.SET] for call in late)

    def test_a_recovery_point_under_another_name_is_not_copied_again(self):
        [call] = starts(share(snapshot()))
        renamed = replace(snapshot(), tags={**point_tags(), Tag.RECOVERY_POINT: f"{POINT}-again"})
        assert starts(share(renamed), (copy_of(call),)) == []

    def test_a_copy_from_another_region_is_skipped(self):
        found = share(snapshot(tags={**point_tags(), Tag.COPIED_FROM: "eu-central-1"}))
        assert found.points == ()


class TestSharedInParts:
    def test_copying_begins_when_the_whole_recovery_point_is_shared(self):
        disks = (volume(), volume(id="vol-0aaaaaaaaaaaaaa12", attachments=(attachment(device="/dev/sdi"),)))
        tags = point_tags(*disks)
        source = [
            snapshot(id=f"snap-0aaaaaaaaaaaaaa0{n}", volume_id=disk.id, tags=tags) for n, disk in enumerate(disks)
        ]
        found = share(*source, shared=observed(source[0]))
        assert (found.points, starts(found)) == ((), [])
        assert found.undescribed == (), "its metadata is known"
        assert len(starts(share(*source))) == 2

    def test_a_source_that_shares_newest_first_has_only_the_newest_planned_at_first(self):
        source = [
            snapshot(
                id=f"snap-0aaaaaaaaaaaaaa0{day}",
                started_at=SLOT + timedelta(days=day),
                tags=point_tags(recovery_point_id=f"rp-{day}", set_id=f"set-{day}"),
            )
            for day in range(3)
        ]
        assert share(*source, shared={}).points == (), "nothing is shared yet"
        found = share(*source, shared=observed(source[2]))
        assert [point.condition for point in found.points] == [Condition.PENDING, Condition.PENDING, Condition.GOOD]
        assert [call.snapshot_id for call in starts(found, existing=False)] == [source[2].id]

    def test_one_shared_after_a_newer_one_is_still_copied(self):
        first, second, third = (
            snapshot(
                id=f"snap-0aaaaaaaaaaaaaa0{day}",
                started_at=SLOT + timedelta(days=day),
                tags=point_tags(recovery_point_id=f"rp-{day}", set_id=f"set-{day}"),
            )
            for day in range(3)
        )
        [call] = starts(share(first), existing=False)
        here = (copy_of(call),)
        facts = facts_of(share(first, second, third, shared=observed(first, third)), here, existing=False)
        assert {record.point_id for record in plan(facts).opened} == {f"rp-1-{ACCOUNT}", f"rp-2-{ACCOUNT}"}

    def test_ec2s_facts_override_the_sources(self):
        described = snapshot(size=1)
        point = as_kept(
            read_catalogue([described]).points[0],
            {described.id: replace(described, size=7)},
            source=ACCOUNT,
            stack=VAULT_STACK,
        )
        assert point.members[0].snapshot.size == 7


class TestWithoutMetadata:
    def test_a_snapshot_without_metadata_is_copied_once_after_an_hour(self):
        young = snapshot(id="snap-0aaaaaaaaaaaaaa02", started_at=NOW - METADATA_AWAITED + timedelta(seconds=1), tags={})
        old = snapshot(id="snap-0aaaaaaaaaaaaaa03", started_at=NOW - METADATA_AWAITED, tags={})
        pending = replace(old, id="snap-0aaaaaaaaaaaaaa04", state="pending")
        found = share(shared={item.id: item for item in (young, old, pending)})
        assert [item.id for item in without_metadata(found.undescribed, (), NOW)] == [old.id]
        copy = snapshot(
            id="snap-c", tags=tags_without_metadata(old, source=ACCOUNT, region=REGION, stack=VAULT_STACK, now=NOW)
        )
        assert without_metadata(found.undescribed, (copy,), NOW) == ()

    def test_a_copy_without_metadata_is_no_recovery_point(self):
        tags = tags_without_metadata(snapshot(), source=ACCOUNT, region=REGION, stack=VAULT_STACK, now=NOW)
        assert Tag.RECOVERY_POINT not in tags
        assert read_catalogue([snapshot(tags=tags)]).points == ()


def test_each_source_comes_first_in_turn():
    orders = [rotate_sources("abc", NOW + timedelta(minutes=minute)) for minute in range(3)]
    assert {order[0] for order in orders} == set("abc")
    assert all(sorted(order) == list("abc") for order in orders)
    assert rotate_sources(orders[0], NOW) == rotate_sources(orders[0], NOW + timedelta(seconds=59))
    assert rotate_sources((), NOW) == ()


class TestSharing:
    def test_shares_good_recovery_points_of_this_stack_newest_first(self):
        older = snapshot()
        newer_tags = point_tags(recovery_point_id="rp-newer", set_id="set-2")
        newer = snapshot(id="snap-0aaaaaaaaaaaaaa02", started_at=SLOT + timedelta(days=1), tags=newer_tags)
        points = read_catalogue([older, newer]).points
        assert [(point.id, ids) for point, ids in to_share(points, frozenset(), "lifeboat")] == [
            ("rp-newer", (newer.id,)),
            (POINT, (older.id,)),
        ]
        assert [point.id for point, _ in to_share(points, frozenset({newer.id}), "lifeboat")] == [POINT]
        assert to_share(points, frozenset(), "other") == ()

    @pytest.mark.parametrize(
        "facts", [{"state": "pending"}, {"state": "error"}, {"tags": {**point_tags(), Tag.COPIED_FROM: "eu-central-1"}}]
    )
    def test_shares_neither_a_copy_nor_one_that_is_not_good(self, facts):
        assert to_share(read_catalogue([snapshot(**facts)]).points, frozenset(), "lifeboat") == ()


def test_metadata_that_does_not_fit_is_refused():
    [point] = read_catalogue([snapshot()]).points
    crowd = replace(point, members=point.members * 45)
    crowd = replace(
        crowd,
        members=tuple(
            replace(member, metadata=replace(member.metadata, volume_id=f"vol-{n:08d}"))
            for n, member in enumerate(crowd.members)
        ),
    )
    with pytest.raises(MetadataError, match="EC2 takes 50"):
        as_kept(crowd, {}, source=ACCOUNT, stack=VAULT_STACK)


def test_copies_without_metadata_or_by_a_recent_restore_have_no_record():
    fetched = {**point_tags(), Tag.RESTORE.value: "restore-1"}
    day = timedelta(days=1)
    copies = {
        "undescribed": snapshot(id="snap-1", tags={}),
        "on its way": snapshot(id="snap-2", tags=fetched, started_at=NOW, state="pending"),
        "fetched": snapshot(id="snap-3", tags=fetched, started_at=NOW - day / 2),
        "fetched long ago": snapshot(id="snap-4", tags=fetched, started_at=NOW - day),
        "copied by the vault": snapshot(id="snap-5", started_at=NOW),
    }
    assert without_record(copies.values(), NOW, day) == (copies["undescribed"], copies["fetched"])
