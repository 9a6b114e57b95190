"""The proof in a snapshot's tag: written and read back, worthless if unreadable, and never on a copy."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lifeboat.domain.catalogue import read_catalogue
from lifeboat.domain.packed_tags import PACKED
from lifeboat.domain.proof import Level, Proof, Result, join_proofs, read_proof, write_proof
from lifeboat.domain.recovery_point import newest_proven
from lifeboat.domain.recovery_point_tags import KEPT_FREE, MAX_TAGS, tags_of_copy
from lifeboat.domain.suspicion import open_suspicion
from lifeboat.domain.tags import Tag
from tests.builders import DATA, SLOT, attachment, point_tags, snapshot, volume

PROVEN = Proof(Result.PROVEN, Level.READ, SLOT)
FAILED = Proof(Result.FAILED, Level.FULL, SLOT)
LATER = replace(PROVEN, level=Level.SAMPLE, at=SLOT + timedelta(hours=1))


@pytest.mark.parametrize("proof", [PROVEN, FAILED, LATER])
def test_a_proof_is_read_back_as_it_was_written(proof):
    assert read_proof(write_proof(proof)) == proof


def test_the_tag_is_readable():
    assert write_proof(PROVEN) == {"lifeboat:verified": "result=proven level=read at=2026-11-23T02:00:00Z"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "true",
        "result=proven",
        "result=proven level=read",
        "result=proven level=read at=2026-11-23T02:00:00",
        "result=yes level=read at=2026-11-23T02:00:00Z",
        "result=proven level=all at=2026-11-23T02:00:00Z",
    ],
)
def test_an_unreadable_tag_proves_nothing(text):
    assert read_proof({Tag.VERIFIED: text}) is None


@pytest.mark.parametrize(
    ("proofs", "joined"),
    [
        ([], None),
        ([None], None),
        ([PROVEN, None], None),
        ([PROVEN, LATER], PROVEN),
        ([PROVEN, FAILED], FAILED),
        ([None, FAILED], FAILED),
    ],
)
def test_a_set_is_proven_if_all_of_it_is_and_failed_if_any_of_it_is(proofs, joined):
    assert join_proofs(proofs) == joined


def of_two(*proofs: Proof | None, expected: int = 2):
    disks = [volume(id=f"{DATA[:-1]}{n}", attachments=(attachment(device=f"/dev/sd{'fg'[n]}"),)) for n in (0, 1)]
    tags = {**point_tags(*disks), Tag.VOLUMES.value: str(expected)}
    members = [
        snapshot(id=f"snap-{n}", volume_id=disks[n].id, tags={**tags, **(write_proof(proof) if proof else {})})
        for n, proof in enumerate(proofs)
    ]
    [point] = read_catalogue(members).points
    return point


@pytest.mark.parametrize(
    ("proofs", "proven"),
    [((PROVEN, LATER), True), ((PROVEN, None), False), ((PROVEN, FAILED), False), ((PROVEN,), False)],
)
def test_a_recovery_point_is_proven_if_each_of_its_snapshots_is(proofs, proven):
    assert of_two(*proofs).proven is proven


def test_the_newest_proven_one_is_good():
    assert newest_proven([of_two(PROVEN, None), of_two(PROVEN)]) is None
    assert newest_proven([of_two(PROVEN, LATER)]) is not None


def test_a_copy_has_no_proof_and_room_for_its_own():
    many = {f"tag-{number:02}" * 8: f"value-{number}" * 12 for number in range(50)}
    source = snapshot(tags={**point_tags(volume(tags=many)), **write_proof(PROVEN), "Name": "x"})
    [point] = read_catalogue([source]).points
    tags = tags_of_copy(point.members[0], region="eu-west-1", set_id="set-2", now=SLOT)
    assert Tag.VERIFIED not in tags
    assert any(key.startswith(PACKED) for key in tags)
    assert len(tags) <= MAX_TAGS - KEPT_FREE
    assert len(point_tags(volume(tags=many))) <= MAX_TAGS - KEPT_FREE


def test_a_snapshot_full_of_own_tags_has_room_for_its_proof_a_suspicion_and_a_persons_hold():
    many = {f"tag-{number:02}" * 8: f"value-{number}" * 12 for number in range(50)}
    suspect = open_suspicion(at=SLOT, changed=0.5, entropy=7.9)
    written = {**point_tags(volume(tags=many)), **write_proof(PROVEN), **suspect, Tag.HOLD: "verification"}
    assert len(written) <= MAX_TAGS
