"""What a snapshot says of its volumes comes back; or what is missing is said: at backup, in the plan, in the outcome.

Hypothesis chooses the kind of tags, a seeded generator writes them: 800 tags an example, in any script.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifeboat.backup import messages
from lifeboat.backup.selection import CreateRecoveryPoint, plan_recovery_point, volume_metadata
from lifeboat.domain import packed_tags as packing
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.ec2 import Instance, Snapshot, Volume
from lifeboat.domain.image import LaunchImage
from lifeboat.domain.packed_tags import MAX_VALUE, OwnTags, pack, unpack
from lifeboat.domain.recovery_point import VolumeMetadata
from lifeboat.domain.recovery_point_tags import MAX_TAGS
from lifeboat.domain.tags import Tag
from lifeboat.restore.preflight.check import preflight
from lifeboat.restore.record import Restore, RestoreState
from lifeboat.restore.report import outcome
from tests.builders import ACCOUNT, KEY, PLATFORM, ROOT, SLOT, VENDOR, attachment, instance, volume
from tests.examples import examples
from tests.restore.preflight_cases import CONSENT, NOW, asked, known
from tests.steps import steps

VOLUMES, TAGS = 20, 40

SCRIPTS = {
    "latin": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789 -_./:@=&%+",
    "japanese": "データ保管捜査証拠東京大阪部門責任者バックアップ",
    "arabic": "أدلةالتحقيقالبياناتنسخاحتياطي",
    "devanagari": "सबूतजाँचडेटाबैकअपक्षेत्र",
    "emoji": "🧯🛟💾🔐📦👩‍🚒",
    "odd": " \t\n\"'<>&=%+#?;\\|~^`\u00b4\u00a0\u200b\u202e\ufeff\u0301",
}


def random_tags(letters: Random, script: str, keys: int, values: int, shared: float) -> Iterator[dict[str, str]]:
    """The tags of each volume: so many of them, the first part of them the same on all volumes."""

    def text(least: int, most: int) -> str:
        alphabet = SCRIPTS[script] if script in SCRIPTS else "".join(SCRIPTS.values())
        return "".join(letters.choices(alphabet, k=letters.randint(least, most)))

    def some(number: int) -> dict[str, str]:
        found: dict[str, str] = {}
        while len(found) < number:
            found[f"k{text(1, keys - 1)}"[:128]] = text(0, values)
        return found

    common = some(round(TAGS * shared))
    for _ in range(VOLUMES):
        own = {**some(TAGS - len(common)), **common}
        if letters.random() < 0.5:
            own["Name"] = text(1, 33)
        yield dict(list(own.items())[-TAGS:])


def disks_of(all_tags: Iterator[dict[str, str]], instance_id: str = PLATFORM) -> list[Volume]:
    """Encrypted volumes that were restored once: each continues another's lineage, under a customer's key."""
    return [
        volume(
            id=f"vol-0{number:016x}",
            attachments=(
                attachment(f"vol-0{number:016x}", f"/dev/sd{chr(ord('f') + number)}", instance_id=instance_id),
            ),
            tags={**tags, Tag.LINEAGE.value: f"vol-0{number + 4096:016x}", Tag.RESTORE.value: "restore-1", **CONSENT},
        )
        for number, tags in enumerate(all_tags)
    ]


def machine(disks: list[Volume], **facts: Any) -> Instance:
    root = attachment(ROOT, "/dev/xvda", delete_on_termination=True)
    return instance(**{"attachments": (root, *(disk.attachments[0] for disk in disks)), **facts})


def planned(disks: list[Volume]) -> CreateRecoveryPoint:
    plan = plan_recovery_point(
        machine(disks),
        {disk.id: disk for disk in disks},
        recovery_point_id="rp-1",
        set_id="set-1",
        stack="lifeboat",
        slot=SLOT,
        image=LaunchImage(VENDOR, "n" * 128),
        late=True,
    )
    assert isinstance(plan, CreateRecoveryPoint)
    return plan


def snapshots_of(plan: CreateRecoveryPoint) -> list[Snapshot]:
    return [
        Snapshot(f"snap-{volume_id[4:]}", volume_id, "completed", SLOT, 100, ACCOUNT, True, KEY, tags=plan.tags)
        for volume_id in plan.volume_ids
    ]


def restored(disks: list[Volume], plan: CreateRecoveryPoint) -> tuple[Restore, str]:
    """The restore onto another instance with as many disks, and the text of its plan."""
    here = disks_of(iter([{}] * len(disks)), "i-0bbbbbbbbbbbbbbb1")
    target = machine(here, id="i-0bbbbbbbbbbbbbbb1", tags=CONSENT)
    points = read_catalogue(snapshots_of(plan)).points
    found = preflight(asked(), known(instance=target, volumes={item.id: item for item in here}, points=points), NOW)
    assert found.plan, found.text
    done = tuple(replace(item, restored_volume_id=f"vol-new-{item.device[-1]}") for item in found.plan.volumes)
    return replace(found.plan, status=RestoreState.COMPLETED, volumes=done), found.text


def expect_all_is_said(disks: list[Volume]) -> int:
    """How many tags are missing; each of them is said in every place, and nothing is said where none is."""
    plan = planned(disks)
    assert len(plan.tags) <= MAX_TAGS
    assert all(packing.length(value) <= MAX_VALUE and packing.length(key) <= 128 for key, value in plan.tags.items())
    [point] = read_catalogue(snapshots_of(plan)).points
    recorded = {member.metadata.volume_id: member.metadata for member in point.members}
    completed = messages.backup_completed(stack="lifeboat", at=NOW, point=point).as_dict()
    restore, text = restored(disks, plan)
    ended = outcome(restore, NOW, "eu-west-1", ACCOUNT)
    made: Any = ended.details["volumes"]
    missing = 0
    for disk, volume_made in zip(disks, made, strict=True):
        want: VolumeMetadata = volume_metadata(disk, disk.attachments[0])
        metadata = recorded[disk.id]
        own = {key: value for key, value in want.tags.items() if not key.startswith("lifeboat:")}
        lacks = {key for key, value in own.items() if metadata.tags.get(key) != value}
        assert metadata.tags.items() <= own.items(), "none is altered"
        bare = {"tags": {}, "tags_left_out": 0, "left_out": ()}
        assert replace(metadata, **bare) == replace(want, **bare), "what a restore needs is there"
        assert metadata.tags_left_out == len(lacks)
        assert set(metadata.left_out) <= lacks
        assert set(plan.left_out.get(disk.id, ())) == lacks, "named at backup"
        at_backup = completed["details"].get("tags_left_out", {}).get(disk.id, "")
        in_plan = f"The new volume does not get these tags of {disk.id}, because they did not fit: {len(lacks)} ("
        name = volume_made["restored_volume_id"]
        because = f"{name} lacks tags of the backed-up volume, because they did not fit: {len(lacks)} ("
        afterwards = [step for step in ended.next_steps if step.startswith(because)]
        assert at_backup.startswith(f"{len(lacks)} (") == bool(lacks)
        assert (in_plan in text) == bool(lacks)
        assert len(afterwards) == bool(lacks)
        assert volume_made.get("tags_left_out", 0) == len(lacks)
        missing += len(lacks)
    assert ("did not fit" in completed["summary"]) == bool(missing)
    return missing


@settings(max_examples=examples(75), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32),
    script=st.sampled_from([*SCRIPTS, "all"]),
    keys=st.sampled_from([4, 12, 30, 128]),
    values=st.sampled_from([0, 8, 33, 256]),
    shared=st.sampled_from([0.0, 0.5, 0.9, 1.0]),
)
def test_metadata_comes_back_or_what_is_missing_is_said(seed, script, keys, values, shared):
    expect_all_is_said(disks_of(random_tags(Random(seed), script, keys, values, shared)))


@pytest.mark.parametrize("script", SCRIPTS)
def test_twenty_restored_volumes_with_forty_tags_that_they_share_lose_none(script):
    assert expect_all_is_said(disks_of(random_tags(Random(14), script, 30, 33, 1.0))) == 0


def test_what_is_typical_of_a_company_fits_though_some_differs():
    common = {f"company:{name}-{number}": f"{name} of the whole" for number, name in enumerate(["cost", "team"] * 16)}
    all_tags = [
        {**common, "Name": f"証拠データ {number}", **{f"disk-{tag}": f"{tag}-{number}" for tag in range(7)}}
        for number in range(VOLUMES)
    ]
    assert {len(tags) for tags in all_tags} == {TAGS}
    assert expect_all_is_said(disks_of(iter(all_tags))) == 0


def test_a_name_of_a_whole_tag_in_any_script_is_kept_readable():
    for name in ("東" * 33, "東" * 250, "ق" * 250, "🛟" * 125):
        [disk] = disks_of(iter([{"Name": name}]))
        plan = planned([disk])
        assert plan.tags[f"lifeboat:tags/{disk.id}/1"] == f"Name={name}"
        assert plan.left_out == {}


def test_a_name_of_the_instance_that_ec2_has_taken_fails_no_backup():
    disks = disks_of(iter([{}]))
    named = machine(disks, tags={"Name": "🛟" * 256})
    plan = plan_recovery_point(
        named,
        {disks[0].id: disks[0]},
        recovery_point_id="rp",
        set_id="s",
        stack="l",
        slot=SLOT,
        image=LaunchImage(VENDOR),
    )
    assert isinstance(plan, CreateRecoveryPoint)
    assert plan.tags[Tag.INSTANCE_NAME] == "🛟" * 256


def test_the_name_is_the_last_to_go():
    letters = Random(3)
    noise = [{f"a{n}": "".join(letters.choices(SCRIPTS["japanese"], k=256)) for n in range(39)} for _ in range(VOLUMES)]
    disks = disks_of(iter([{**tags, "Name": f"data {number}"} for number, tags in enumerate(noise)]))
    plan = planned(disks)
    assert plan.left_out
    assert not any("Name" in keys for keys in plan.left_out.values())


def test_packing_is_quick_whatever_the_tags_are():
    disks = disks_of(random_tags(Random(1), "all", 128, 256, 0.0))
    assert steps(lambda: planned(disks)) < 100_000, "an instance of a large run has only its part of an invocation"


# --- what is read may come from an enemy, or be damaged


def packed(count: int = 15) -> tuple[dict[str, OwnTags], dict[str, str]]:
    letters = Random(5)
    own = {"vol-1": OwnTags({f"k{n}": "".join(letters.choices(SCRIPTS["latin"], k=200)) for n in range(count)})}
    return own, pack(own, 13)


def test_a_lost_or_changed_piece_is_noticed_and_nothing_is_made_up():
    own, tags = packed()
    assert all(name.startswith("lifeboat:packed-tags/") for name in tags)
    assert unpack(tags, "vol-1") == own["vol-1"]
    for name in tags:
        assert unpack({key: value for key, value in tags.items() if key != name}, "vol-1") == OwnTags()
        assert unpack({**tags, name: tags[name][:-4] + "AAAA"}, "vol-1") == OwnTags()


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"volumes":["vol-1"],"tags":[["k",1]],"left_out":[]}',
        b'{"volumes":["vol-1"],"tags":[["k","v",[7]]],"left_out":[]}',
        b'{"volumes":["vol-1"],"tags":[["k"]],"left_out":[]}',
        b'{"volumes":[1],"tags":[],"left_out":[]}',
        b'{"volumes":["vol-1"],"tags":[],"left_out":[[{}]]}',
        b"[" * 60_000,
        b"\xff\xfe",
    ],
)
def test_what_makes_no_sense_is_no_tag(document):
    assert unpack({"lifeboat:packed-tags/1": _text(document)}, "vol-1") == OwnTags()


def test_a_small_text_cannot_become_a_large_one():
    bomb = b'{"volumes":["vol-1"],"tags":[["k","' + b"x" * 5_000_000 + b'"]],"left_out":[]}'
    text = _text(bomb)
    tags = {f"lifeboat:packed-tags/{n // 256 + 1}": text[n : n + 256] for n in range(0, len(text), 256)}
    assert unpack(tags, "vol-1") == OwnTags()


@pytest.mark.parametrize("text", ["%%%", "é", "A", "AAAA====", ""])
def test_what_is_no_base64_is_no_tag(text):
    assert unpack({"lifeboat:packed-tags/1": text, "lifeboat:packed-tags/x": "y"}, "vol-1") == OwnTags()


def test_pieces_are_read_by_their_numbers():
    own = {"vol-1": OwnTags({f"k{n:02}": "v" * 240 for n in range(12)})}
    tags = pack(own, 12)
    assert len([key for key in tags if key.startswith("lifeboat:tags/vol-1/")]) == 12
    assert unpack(dict(sorted(tags.items())), "vol-1") == own["vol-1"]


def test_without_room_nothing_is_written():
    assert pack({"vol-1": OwnTags({"Name": "data"})}, 0) == {}


def _text(raw: bytes) -> str:
    return base64.b64encode(zlib.compress(raw)).decode()
