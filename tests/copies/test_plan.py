"""The plan of copies: in order, complete, within EC2's limit, each once; a failed one waits for its pause."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random
from string import ascii_letters
from typing import Any

import pytest

from lifeboat.copies.plan import IN_FLIGHT, PAUSES, CopyFacts, CopyPlan, StartCopy, after_failure, plan
from lifeboat.copies.record import CopyRecord, CopyState
from lifeboat.domain.catalogue import read_catalogue, read_metadata
from lifeboat.domain.config import CopyDestination
from lifeboat.domain.copy_limits import completion_minutes
from lifeboat.domain.ec2 import Snapshot
from lifeboat.domain.recovery_point_tags import MAX_TAGS, MetadataError, tags_of_copy
from lifeboat.domain.tags import Tag
from tests.builders import DATA, KEY, PLATFORM, SLOT, attachment, point_tags, snapshot, volume

HOME, AWAY = "eu-west-1", "eu-central-1"
AWAY_KEY = KEY.replace(HOME, AWAY)
FEW = 10
"""With fewer volumes than this, each with a key, there is room for more tags."""
NOW = SLOT + timedelta(days=30)


def point_id(day: int) -> str:
    return f"rp-{SLOT + timedelta(days=day):%Y%m%dT%H%M%SZ}-{PLATFORM}"


def taken(day: int, volumes: int = 1, **facts: Any) -> list[Snapshot]:
    """The snapshots of a recovery point that is `day` days younger than the first."""
    at = SLOT + timedelta(days=day)
    disks = [
        volume(
            id=f"{DATA[:-2]}{20 + n}",
            kms_key_id=KEY if volumes < FEW else None,
            attachments=(attachment(device=f"/dev/sd{chr(102 + n)}"),),
        )
        for n in range(volumes)
    ]
    tags = point_tags(*disks, recovery_point_id=point_id(day), set_id=f"set-{day}", slot=at, **facts.pop("tags", {}))
    return [
        snapshot(id=f"snap-{day:08d}{n:09d}", volume_id=disk.id, started_at=at, tags=tags, **facts)
        for n, disk in enumerate(disks)
    ]


def copied(call: StartCopy, state: str = "completed", **facts: Any) -> Snapshot:
    """A copy that the plan requested, as EC2 shows it."""
    known: dict[str, Any] = {
        "id": "snap-c" + call.snapshot_id[6:],
        "volume_id": "vol-ffffffff",
        "state": state,
        "started_at": NOW,
        "kms_key_id": AWAY_KEY,
        "tags": call.tags,
    }
    return snapshot(**{**known, **facts})


def facts(home: list[Snapshot], away: list[Snapshot] | None = None, **more: Any) -> CopyFacts:
    known: dict[str, Any] = {
        "points": read_catalogue(home).points,
        "copies": away or [],
        "records": {},
        "in_flight": sum(copy.state == "pending" for copy in away or []),
        "destination": CopyDestination(AWAY, AWAY_KEY),
        "home": HOME,
        "stack": "lifeboat",
        "now": NOW,
        "copy_existing": True,
    }
    return CopyFacts(**{**known, **more})


def record(day: int, **more: Any) -> CopyRecord:
    [point] = read_catalogue(taken(day)).points
    return replace(CopyRecord(AWAY, point.id, point.lineages, point.taken_at), **more)


def records_of(decided: CopyPlan) -> dict[str, CopyRecord]:
    return {item.point_id: item for item in decided.opened}


def days(*numbers: int) -> list[str]:
    return [point_id(number) for number in numbers]


def started(decided: CopyPlan) -> list[str]:
    return list(dict.fromkeys(call.point_id for call in decided.start))


class TestWhich:
    def test_starts_with_the_newest_good_one_only(self):
        home = [*taken(0), *taken(1), *taken(2, state="error")]
        assert started(plan(facts(home, copy_existing=False))) == days(1)

    def test_copies_all_existing_ones_when_configured(self):
        assert started(plan(facts([*taken(1), *taken(0)]))) == days(0, 1)

    def test_copies_everything_newer_than_the_last_copied_and_nothing_older(self):
        home = [*taken(0), *taken(1), *taken(2), *taken(3)]
        [call] = plan(facts(taken(1))).start
        for known in ({"away": [copied(call)]}, {"records": {point_id(1): record(1, state=CopyState.COPIED)}}):
            assert started(plan(facts(home, copy_existing=False, **known))) == days(2, 3)

    def test_one_that_completes_after_a_newer_one_is_still_copied(self):
        first = plan(
            facts([*taken(1, state="pending"), *taken(2)], copy_existing=False, records={point_id(0): record(0)})
        )
        assert started(first) == days(2)
        known = {**records_of(first), point_id(2): record(2, state=CopyState.COPIED)}
        assert started(plan(facts([*taken(1), *taken(2)], copy_existing=False, records=known))) == days(1)

    def test_one_that_the_destinations_retention_deleted_is_not_copied_again(self):
        known = {point_id(0): record(0, state=CopyState.COPIED)}
        assert plan(facts(taken(0), records=known)) == CopyPlan((), (), (), (), (), ())

    def test_copies_and_other_stacks_recovery_points_are_skipped(self):
        here = [replace(item, tags={**item.tags, Tag.COPIED_FROM: AWAY}) for item in taken(0)]
        assert plan(facts([*here, *taken(1, tags={"stack": "other"})])).start == ()

    def test_after_the_table_is_lost_a_copy_is_completed_and_none_repeated(self):
        home = [*taken(0), *taken(1, volumes=2)]
        calls = plan(facts(home)).start
        whole, half = copied(calls[0]), copied(calls[1])
        assert [call.snapshot_id for call in plan(facts(home, [whole, half], copy_existing=False)).start] == [
            calls[2].snapshot_id
        ]

    def test_a_record_whose_original_is_gone_is_deleted(self):
        lost = record(0)
        assert plan(facts(taken(1), records={lost.point_id: lost})).gone == (lost,)


class TestHowMany:
    def test_starts_no_more_than_ec2_copies_at_a_time(self):
        home = [item for day in range(IN_FLIGHT + 5) for item in taken(day)]
        decided = plan(facts(home, in_flight=3))
        assert started(decided) == days(*range(IN_FLIGHT - 3))
        assert [item.point_id for item in decided.waiting] == days(*range(IN_FLIGHT - 3, IN_FLIGHT + 5))
        assert plan(facts(home, in_flight=IN_FLIGHT + 1)).start == ()

    def test_starts_whole_recovery_points_in_order(self):
        home = [*taken(0, volumes=3), *taken(1, volumes=3), *taken(2)]
        assert started(plan(facts(home, in_flight=IN_FLIGHT - 5))) == days(0)

    def test_one_larger_than_the_limit_starts_in_parts(self):
        home = taken(0, volumes=IN_FLIGHT + 2)
        first = plan(facts(home)).start
        assert len(first) == IN_FLIGHT
        away = [copied(call, "completed" if n < 2 else "pending") for n, call in enumerate(first)]
        assert len(plan(facts(home, away, records={point_id(0): record(0)})).start) == 2


class TestOutcome:
    def test_a_complete_copy_is_reported_as_it_is_in_the_destination(self):
        home = taken(0, volumes=2)
        away = [copied(call) for call in plan(facts(home)).start]
        [done] = plan(facts(home, away, records={point_id(0): record(0)})).copied
        assert {member.snapshot.id for member in done.point.members} == {copy.id for copy in away}
        assert done.point.condition == "good"
        assert done.point.taken_at == SLOT

    def test_a_copy_in_error_fails_the_attempt_and_the_next_copies_everything(self):
        home = taken(0, volumes=2)
        first = plan(facts(home)).start
        away = [copied(first[0]), copied(first[1], "error", state_message="Given key ID is not accessible")]
        [failure] = plan(facts(home, away, records={point_id(0): record(0)})).failed
        assert "Given key ID is not accessible" in failure.reason
        paused = after_failure(failure.record, NOW)
        waits = plan(facts(home, away, records={point_id(0): paused}))
        assert (waits.start, waits.failed) == ((), ())
        again = plan(facts(home, away, records={point_id(0): paused}, now=NOW + PAUSES[0])).start
        assert [call.attempt for call in again] == [2, 2]
        assert not {call.set_id for call in again} & {call.set_id for call in first}
        whole = [*away, *(copied(call, id="snap-d" + call.snapshot_id[6:]) for call in again)]
        [done] = plan(facts(home, whole, records={point_id(0): paused})).copied
        assert done.point.condition == "good"

    def test_others_proceed_while_one_waits(self):
        paused = record(0, attempts=1, not_before=NOW + PAUSES[0])
        assert started(plan(facts([*taken(0), *taken(1)], records={point_id(0): paused}))) == days(1)

    def test_pauses_grow_until_it_is_given_up(self):
        known, moments = record(0), []
        while known.state is CopyState.OPEN:
            known = after_failure(known, NOW)
            moments.append(known.not_before)
        assert moments == [*(NOW + pause for pause in PAUSES), None]
        assert list(PAUSES) == sorted(PAUSES)
        assert plan(facts(taken(0), records={known.point_id: known})).start == ()


class TestTags:
    def test_a_copy_carries_the_metadata_of_its_own_volume(self):
        calls = plan(facts(taken(0, volumes=2))).start
        for call, source in zip(calls, taken(0, volumes=2), strict=True):
            metadata, was = read_metadata(copied(call)), read_metadata(source)
            assert metadata == replace(was, kms_key_id=None)
            assert call.tags[Tag.COPY_OF] == source.id
            assert call.tags[Tag.COPIED_FROM] == HOME

    def test_a_hold_is_not_copied(self):
        [source] = taken(0)
        held = replace(source, tags={**source.tags, Tag.HOLD: "case 7", Tag.SHARED: "x", "aws:own": "y", "team": "z"})
        tags = plan(facts([held])).start[0].tags
        assert not {Tag.HOLD, Tag.SHARED, "aws:own", "team"} & set(tags)

    def test_a_copys_tags_fit_with_its_own_volume_alone(self):
        # Tags that did not fit for two volumes together are lost. The copy carries the others, with their keys.
        letters = Random(14)
        own = [{f"key-{n}": "".join(letters.choices(ascii_letters, k=250)) for n in range(30)} for _ in range(2)]
        disks = [volume(id=name, tags=tags) for name, tags in zip((DATA, "vol-0two"), own, strict=True)]
        tags = point_tags(*disks)
        [point] = read_catalogue([snapshot(tags=tags), snapshot(id="snap-2", volume_id="vol-0two", tags=tags)]).points
        for member in point.members:
            made = tags_of_copy(member, region=HOME, set_id="set-1", now=NOW)
            assert len(made) <= MAX_TAGS
            assert member.metadata.tags_left_out > 0
            copied_metadata = read_metadata(snapshot(volume_id="vol-ffffffff", tags=made))
            assert copied_metadata == replace(member.metadata, kms_key_id=None)

    def test_metadata_that_does_not_fit_fails_the_attempt(self):
        [point] = read_catalogue(taken(0)).points
        more = {f"lifeboat:more-{n}": "x" for n in range(MAX_TAGS)}
        member = replace(
            point.members[0], snapshot=replace(point.members[0].snapshot, tags={**taken(0)[0].tags, **more})
        )
        with pytest.raises(MetadataError, match="EC2 takes 50"):
            tags_of_copy(member, region=HOME, set_id="set-1", now=NOW)
        assert "EC2 takes 50" in plan(facts([member.snapshot])).failed[0].reason

    @pytest.mark.parametrize("said", ["", "yesterday", "2026-11-23T02:00:00", "2099-01-01T00:00:00Z"])
    def test_a_copy_without_a_readable_taken_at_tag_does_not_count(self, said):
        # Its start time is that of the copy, so it would wrongly count as the newest.
        [call] = plan(facts(taken(0))).start
        found = read_catalogue([copied(call, tags={**call.tags, Tag.TAKEN_AT: said})])
        assert found.points == ()
        [(_, reason)] = found.unreadable
        assert f"lifeboat:taken-at={said or '(none)'}, expected a time before" in reason


class TestTimeBased:
    @pytest.mark.parametrize(
        ("asked", "gib", "minutes"),
        [
            (0, 65_536, 0),
            (15, 1, 15),
            (60, 1, 60),
            (15, 439, 15),  # 500 MiB a second for 15 minutes
            (15, 440, 30),
            (15, 65_536, 2250),
            (2880, 65_536, 2880),
        ],
    )
    def test_completion_minutes_are_what_was_configured_or_ec2s_minimum(self, asked, gib, minutes):
        assert completion_minutes(asked, gib) == minutes

    def test_each_copy_requests_its_completion_minutes(self):
        home = [*taken(0), *taken(1, size=1000)]
        assert [call.completion_minutes for call in plan(facts(home)).start] == [0, 0]
        assert [call.completion_minutes for call in plan(facts(home, completion_minutes=30)).start] == [30, 45]
