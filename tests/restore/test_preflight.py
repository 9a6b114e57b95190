"""Pre-flight: every finding at once, and the plan."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lifeboat.ami.verdict import AmiVerdict, Trust
from lifeboat.domain.ec2 import HIBERNATED, Snapshot, Volume
from lifeboat.domain.recovery_point import Member, RecoveryPoint
from lifeboat.domain.tags import Tag
from lifeboat.restore import request
from lifeboat.restore.machine.history import restore_id
from lifeboat.restore.preflight.check import preflight
from lifeboat.restore.preflight.facts import Preflight, Severity
from lifeboat.restore.preflight.selection import build_tag_filter, group_lineages
from lifeboat.restore.preflight.volumes import LIMITS
from lifeboat.restore.record import Restore, RestoreVolume
from lifeboat.restore.request import AmiOverride, RecoveryPointChoice, RestoreRequest, VolumeOverrides
from tests.builders import ACCOUNT, DATA, KEY, PLATFORM, ROOT, SLOT, VENDOR, attachment, point_tags, snapshot, volume
from tests.restore.preflight_cases import (
    CONSENT,
    FRESH,
    FRESH_DATA,
    NOW,
    SECOND,
    another,
    asked,
    attached,
    codes,
    data_volume,
    fresh,
    known,
    planned,
    points,
)
from tests.steps import steps

# --- all well


def test_a_plan_for_a_fresh_instance() -> None:
    found = preflight(asked(requested_by="operator", reason="INC-17"), known(), NOW)
    assert found.findings == ()
    assert found.plan == found.draft
    assert found.plan == Restore(
        id=restore_id("q-1"),
        request_id="q-1",
        instance_id=FRESH,
        recovery_point_id=f"rp-20261123T020000Z-{PLATFORM}",
        volumes=(
            RestoreVolume(
                snapshot_id="snap-0aaaaaaaaaaaaaa01",
                device="/dev/sdh",
                zone="eu-west-1a",
                type="gp3",
                size=100,
                encrypted=True,
                lineage=DATA,
                iops=4000,
                throughput=200,
                kms_key_id=KEY,
                tags={"Name": "CadoResponseDataVolume"},
                displaced_volume_id=FRESH_DATA,
            ),
        ),
        started_at=NOW,
        step_since=NOW,
        was_running=True,
        requested_by="operator",
        reason="INC-17",
        source_instance_id=PLATFORM,
        source_name="CadoResponse",
        crossed=(f"instance {PLATFORM} to {FRESH}",),
    )
    assert found.text == "\n".join(
        [
            "CadoResponse, taken 2026-11-23 02:00 UTC, 24 hours ago, not proven.",
            f"Restore rp-20261123T020000Z-{PLATFORM} onto {FRESH} as {restore_id('q-1')}:",
            f"- rp-20261123T020000Z-{PLATFORM} is not proven; no recovery point of its lineage is known to be proven",
            "- the target has the recorded image ami-0cad0000000000001",
            f"- create a 100 GiB gp3 volume, 4000 IOPS, 200 MiB/s, encrypted with {KEY} of snap-0aaaaaaaaaaaaaa01 in "
            "eu-west-1a",
            f"- only when all are available: stop {FRESH}",
            f"- detach {FRESH_DATA} from /dev/sdh and keep it; attach the new volume at /dev/sdh, "
            "DeleteOnTermination false",
            f"- start {FRESH}, and verify that it keeps running and its status checks pass",
            "If a step fails, everything is put back as before.",
        ]
    )


def test_a_stopped_instance_stays_stopped_unless_the_request_starts_it() -> None:
    stopped = known(instance=fresh(state="stopped"))
    left = preflight(asked(), stopped, NOW)
    assert f"{FRESH} is stopped already" in left.text
    assert f"leave {FRESH} stopped" in left.text
    assert preflight(asked(start=True), stopped, NOW).plan.shall_run  # type: ignore[union-attr]


# --- one finding each

TWO = (attached(), attached("vol-0bbbbbbbbbbbbbb12", "/dev/sdi"))
TWO_VOLUMES = {
    FRESH_DATA: data_volume(),
    "vol-0bbbbbbbbbbbbbb12": data_volume("vol-0bbbbbbbbbbbbbb12", "/dev/sdi"),
}


def saved_of(*volumes: Volume, **facts: Any) -> tuple[RecoveryPoint, ...]:
    """A recovery point of these volumes."""
    return points(
        *(snapshot(id=f"snap-of-{item.id}", volume_id=item.id, tags=point_tags(*volumes), **facts) for item in volumes)
    )


BARE = fresh(attachments=(attached("vol-0bbbbbbbbbbbbbb10", "/dev/xvda"),))
"""A fresh platform without a data volume."""

FIRST_OF_TWO = volume(tags={})
OTHER_OF_TWO = volume(id=SECOND, tags={}, attachments=(attachment(SECOND, "/dev/sdi"),))

REFUSALS: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    # request, facts, code, part of the sentence
    "a key for nothing": (
        {"volume": VolumeOverrides(encrypted=False, kms_key_id=KEY)},
        {},
        "key-without-encryption",
        "expected one or the other",
    ),
    "two choices": (
        {"recovery_point": RecoveryPointChoice(lineage=DATA, instance_id=PLATFORM)},
        {},
        "ambiguous-choice",
        "lineage and instance_id",
    ),
    "no instance": ({}, {"instance": None}, "no-instance", f"instance_id is {FRESH}"),
    "starting": ({}, {"instance": fresh(state="pending")}, "wrong-state", "is pending, expected running or stopped"),
    "in an Auto Scaling group": (
        {},
        {"instance": fresh(tags={**CONSENT, "aws:autoscaling:groupName": "web"})},
        "auto-scaling",
        "group web",
    ),
    "spot": ({}, {"instance": fresh(lifecycle="spot")}, "spot", "spot instance"),
    "stop protection": ({}, {"stop_protected": True}, "stop-protected", f"--instance-id {FRESH} --no-disable-api-stop"),
    "hibernated": (
        {},
        {"instance": fresh(state="stopped", state_reason=HIBERNATED)},
        "hibernated",
        f"{FRESH} is hibernated: its memory has the file systems of the attached volumes, and would write them to any "
        "volume in their place; start it, then shut it down without hibernation, and send the request again",
    ),
    "on an Outpost": (
        {},
        {"instance": fresh(outpost="arn:aws:outposts:eu-west-1:111122223333:outpost/op-1")},
        "outpost",
        "outpost/op-1, expected an instance in a zone of eu-west-1",
    ),
    "a root on an instance store volume": (
        {},
        {"instance": fresh(attachments=(attached(),), root_type="instance-store")},
        "instance-store-root",
        "EC2 cannot stop it",
    ),
    "no root device": ({}, {"instance": fresh(root_device=None)}, "no-root-device", "cannot be separated"),
    "another restore": ({}, {"open_restore": "restore-1"}, "restore-open", "restore-1 is open"),
    "an untrusted image": (
        {},
        {"ami": AmiVerdict(Trust.UNTRUSTED, "clone", "it is a clone")},
        "ami-untrusted",
        'it is a clone. To restore anyway, send the request with "ami_override"',
    ),
    "an unknown image": (
        {},
        {"ami": AmiVerdict(Trust.UNKNOWN, "no-record", "unknown owner")},
        "ami-unknown",
        "unknown owner",
    ),
    "unknown recovery point": (
        {"recovery_point": RecoveryPointChoice(id="rp-9")},
        {},
        "no-recovery-point",
        "rp-9, expected the id of one that is in eu-west-1",
    ),
    "an empty catalogue": ({}, {"points": ()}, "no-good-recovery-point", "no recovery point of the stack lifeboat"),
    "of another stack": ({}, {"stack": "other"}, "no-good-recovery-point", "of the stack other"),
    "none good": (
        {},
        {"points": points(snapshot(state="pending"))},
        "no-good-recovery-point",
        f"rp-20261123T020000Z-{PLATFORM} is pending",
    ),
    "none before": (
        {"recovery_point": RecoveryPointChoice(lineage=DATA, before=SLOT)},
        {},
        "no-good-recovery-point",
        f"of the lineage {DATA} before 2026-11-23T02:00:00Z",
    ),
    "none of that instance": (
        {"recovery_point": RecoveryPointChoice(instance_id="i-9")},
        {},
        "no-good-recovery-point",
        "of the instance i-9",
    ),
    "a pending one by its id": (
        {"recovery_point": RecoveryPointChoice(id=f"rp-20261123T020000Z-{PLATFORM}")},
        {"points": points(snapshot(state="pending"))},
        "not-good",
        "is pending (1 of 1 snapshots)",
    ),
    "a part of one by its id": (
        {"recovery_point": RecoveryPointChoice(id=f"rp-20261123T020000Z-{PLATFORM}")},
        {"points": points(snapshot(tags=point_tags(FIRST_OF_TWO, OTHER_OF_TWO)))},
        "not-good",
        "is incomplete (1 of 2 snapshots)",
    ),
    "a failed snapshot": (
        {"recovery_point": RecoveryPointChoice(snapshot_ids=("snap-f",))},
        {"snapshots": {"snap-f": snapshot(id="snap-f", state="error", state_message="Given key ID is not accessible")}},
        "not-completed",
        "is error (Given key ID is not accessible)",
    ),
    "an archived one": (
        {"recovery_point": RecoveryPointChoice(id=f"rp-20261123T020000Z-{PLATFORM}")},
        {"points": points(snapshot(tier="archive"))},
        "archived",
        "restore-snapshot-tier --region eu-west-1 --snapshot-id snap-0aaaaaaaaaaaaaa01",
    ),
    "a snapshot of an untrusted account": (
        {"recovery_point": RecoveryPointChoice(snapshot_ids=("snap-f",))},
        {"snapshots": {"snap-f": snapshot(id="snap-f", owner_id=VENDOR)}},
        "foreign-snapshot",
        f"belongs to {VENDOR}",
    ),
    "an unknown snapshot": (
        {"recovery_point": RecoveryPointChoice(snapshot_ids=("snap-x",))},
        {},
        "no-snapshot",
        "names snap-x",
    ),
    "snapshots of two points": (
        {"recovery_point": RecoveryPointChoice(snapshot_ids=("snap-1", "snap-2"))},
        {"points": points(another(1), another(2))},
        "several-recovery-points",
        "rp-1 in eu-west-1, rp-2 in eu-west-1",
    ),
    "nothing to displace": (
        {},
        {"instance": BARE, "volumes": {}},
        "no-match",
        'name a free device with "device", /dev/sdf to /dev/sdp',
    ),
    "a root at another name": (
        {},
        {"instance": fresh(root_device="/dev/sda1")},
        "root-unclear",
        f"{FRESH} has no volume at its root device /dev/sda1 and {FRESH_DATA} (/dev/sdh), vol-0bbbbbbbbbbbbbb10 "
        "(/dev/xvda), expected its root volume, and no other, there",
    ),
    "two at the root device": (
        {"device": "/dev/sdh"},
        {"instance": fresh(attached(), attached(ROOT, "/dev/sda"))},
        "root-unclear",
        f"has {ROOT} (/dev/sda), vol-0bbbbbbbbbbbbbb10 (/dev/xvda) at its root device /dev/xvda and {FRESH_DATA}",
    ),
    "nothing is named beside a root that is unclear": (
        {"device": "/dev/sdf"},
        {"instance": fresh(attachments=()), "volumes": {}},
        "root-unclear",
        "has no volume at its root device /dev/xvda, expected its root volume, and no other, there",
    ),
    "two could be displaced": (
        {},
        {
            "instance": fresh(attached(device="/dev/sdf"), attached("vol-0bbbbbbbbbbbbbb12", "/dev/sdg")),
            "volumes": {
                FRESH_DATA: data_volume(device="/dev/sdf"),
                "vol-0bbbbbbbbbbbbbb12": data_volume(
                    "vol-0bbbbbbbbbbbbbb12", "/dev/sdg", tags={"Name": "x", **CONSENT}
                ),
            },
        },
        "no-match",
        f"/dev/sdf ({FRESH_DATA}, 100 GiB gp3), /dev/sdg (vol-0bbbbbbbbbbbbbb12, 100 GiB gp3, Name=x)",
    ),
    "two have the name": (
        {},
        {
            "instance": fresh(attached(device="/dev/sdf"), attached("vol-0bbbbbbbbbbbbbb12", "/dev/sdg")),
            "volumes": {
                name: data_volume(name, device, tags={"Name": "CadoResponseDataVolume", **CONSENT})
                for name, device in ((FRESH_DATA, "/dev/sdf"), ("vol-0bbbbbbbbbbbbbb12", "/dev/sdg"))
            },
        },
        "no-match",
        "More than one volume matches snap-0aaaaaaaaaaaaaa01, which was vol-0aaaaaaaaaaaaaa11 at /dev/sdh,",
    ),
    "two onto one": (
        {},
        {
            "points": saved_of(
                FIRST_OF_TWO,
                volume(id=SECOND, tags={Tag.LINEAGE.value: FRESH_DATA}, attachments=(attachment(SECOND, "/dev/sdz"),)),
            ),
        },
        "one-volume-twice",
        f"would both displace {FRESH_DATA} at /dev/sdh",
    ),
    "a device for two": (
        {"device": "/dev/sdh"},
        {"points": saved_of(FIRST_OF_TWO, OTHER_OF_TWO)},
        "device-for-several",
        "of 2 volumes",
    ),
    "the root": ({"device": "/dev/xvda"}, {}, "root-device", "the root device, expected /dev/sdh"),
    "the root by its other name": (
        {"device": "/dev/sda1"},
        {},
        "root-device",
        "device is /dev/sda1, which is reserved for the root, here /dev/xvda; expected /dev/sdh",
    ),
    "a name of the root where nothing is": (
        {"device": "/dev/sda"},
        {"instance": BARE, "volumes": {}},
        "root-device",
        "which is reserved for the root, here /dev/xvda; expected a free device, /dev/sdf to /dev/sdp",
    ),
    "a device that EC2 does not have": (
        {"device": "/dev/sdzz"},
        {"instance": BARE, "volumes": {}},
        "no-device",
        "device is /dev/sdzz, where EC2 attaches nothing; expected the name that EC2 has for the device",
    ),
    "a device that may be either": (
        {"device": "xvdf"},
        {
            "instance": fresh(attached(device="/dev/sdf"), attached(SECOND, "/dev/xvdf")),
            "volumes": {
                FRESH_DATA: data_volume(device="/dev/sdf"),
                SECOND: data_volume(SECOND, "/dev/xvdf"),
            },
        },
        "no-match",
        f"device is xvdf, which may mean either of these; expected one of them: /dev/sdf ({FRESH_DATA}",
    ),
    "a free device beside data": (
        {"device": "/dev/sdz"},
        {},
        "free-device",
        "which is free; expected the device of a volume",
    ),
    "a volume not described": ({"device": "/dev/sdh"}, {"volumes": {}}, "unknown-volume", "does not describe"),
    "still attaching": (
        {},
        {"instance": fresh(attached(state="attaching"))},
        "not-attached",
        "is attaching, expected attached",
    ),
    "multi-attach": (
        {},
        {"volumes": {FRESH_DATA: data_volume(multi_attach=True)}},
        "multi-attach",
        "several instances",
    ),
    "too many tags": (
        {},
        {"volumes": {FRESH_DATA: data_volume(tags={**CONSENT, **{f"k{number}": "" for number in range(48)}})}},
        "too-many-tags",
        "has 49 tags; the restore needs 2 more",
    ),
    "no consent": (
        {},
        {"volumes": {FRESH_DATA: data_volume(tags={})}},
        "no-consent",
        f"{FRESH_DATA} lacks the tag lifeboat:restore-target=true, expected on the instance and on each displaced "
        f"volume: aws ec2 create-tags --region eu-west-1 --resources {FRESH} {FRESH_DATA} "
        "--tags Key=lifeboat:restore-target,Value=true",
    ),
    "no consent at all": (
        {},
        {"instance": fresh(tags={}), "volumes": {FRESH_DATA: data_volume(tags={})}},
        "no-consent",
        f"{FRESH}, {FRESH_DATA} lack the tag",
    ),
    "too small": ({"volume": VolumeOverrides(size=99)}, {}, "too-small", "at least the 100 GiB"),
    "cannot be decrypted": ({"volume": VolumeOverrides(encrypted=False)}, {}, "cannot-decrypt", "is encrypted"),
    "a key of elsewhere": (
        {"volume": VolumeOverrides(kms_key_id=KEY.replace("eu-west-1", "us-east-1"))},
        {},
        "key-of-another-region",
        "is of us-east-1",
    ),
    "an unknown type": ({"volume": VolumeOverrides(type="gp9")}, {}, "unknown-type", "gp3, gp2, io1"),
    "a volume too large": (
        {"volume": VolumeOverrides(size=65537)},
        {},
        "beyond-type",
        "expected 1 to 65536 GiB for gp3",
    ),
    "too few IOPS": ({"volume": VolumeOverrides(iops=2999)}, {}, "beyond-type", "expected 3000 to 80000 IOPS"),
    "too much throughput": ({"volume": VolumeOverrides(throughput=2001)}, {}, "beyond-type", "125 to 2000 MiB/s"),
    "throughput for gp2": (
        {"volume": VolumeOverrides(type="gp2", throughput=200)},
        {},
        "not-for-type",
        "volume.throughput is 200, and gp2 takes none",
    ),
    "io2 without IOPS": ({"volume": VolumeOverrides(type="io2")}, {}, "iops-needed", "a number for io2"),
    "too many IOPS for the size": (
        {"volume": VolumeOverrides(iops=50001)},
        {},
        "iops-for-size",
        "at most 50000 for 100 GiB of gp3",
    ),
    "too much throughput for the IOPS": (
        {"volume": VolumeOverrides(throughput=1001)},
        {},
        "throughput-for-iops",
        "at most a quarter of the 4000 IOPS",
    ),
    "not allowed": (
        {},
        {"dry_runs": {"StopInstances": "UnauthorizedOperation: no", "StartInstances": ""}},
        "not-allowed",
        "StopInstances would be refused: UnauthorizedOperation: no",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refused(name: str) -> None:
    request, facts, code, sentence = REFUSALS[name]
    found = preflight(asked(**request), known(**facts), NOW)
    assert code in codes(found), found.text
    assert sentence in next(item.sentence for item in found.findings if item.code == code)
    assert found.plan is None
    assert "nothing was touched" in found.text
    assert f"REFUSE {code}: " in found.text


def test_one_cause_has_one_finding() -> None:
    """Findings do not drag others along, except where one makes another impossible to judge."""
    together = {
        "no instance": ["no-instance"],
        "nothing to displace": ["no-match"],
        "none good": ["no-good-recovery-point"],
        "no consent": ["no-consent"],
        "spot": ["spot"],
    }
    for name, expected in together.items():
        request, facts, _, _ = REFUSALS[name]
        assert codes(preflight(asked(**request), known(**facts), NOW)) == expected


def test_every_finding_is_in_one_answer() -> None:
    wrong = known(
        instance=fresh(state="stopping", lifecycle="spot", tags={"aws:autoscaling:groupName": "web"}),
        volumes={FRESH_DATA: data_volume(multi_attach=True)},
        stop_protected=True,
        ami=AmiVerdict(Trust.UNKNOWN, "no-record", "unknown owner"),
        dry_runs={"CreateVolume": "UnauthorizedOperation"},
    )
    found = preflight(asked(volume=VolumeOverrides(size=1)), wrong, NOW)
    assert codes(found) == [
        "wrong-state",
        "auto-scaling",
        "spot",
        "stop-protected",
        "ami-unknown",
        "multi-attach",
        "no-consent",
        "too-small",
        "iops-for-size",
        "not-allowed",
    ]
    assert found.plan is None
    assert found.draft is not None
    assert all(item.sentence.endswith(".") for item in found.findings)
    assert len({item.sentence for item in found.findings}) == len(found.findings)


def test_while_another_restore_is_open_the_answer_is_that_one_alone() -> None:
    facts = known(open_restore="restore-1", instance=fresh(tags={}), volumes={FRESH_DATA: data_volume(tags={})})
    found = preflight(asked(), facts, NOW)
    assert codes(found) == ["restore-open"]
    assert found.text.count("\n") == 2
    assert '{"cancel": "restore-1"}' in found.findings[0].sentence
    assert "create-tags" not in found.text


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(minutes=20), "taken 02:00 UTC, 20 minutes ago"),
        (timedelta(minutes=1), "taken 02:00 UTC, 1 minute ago"),
        (timedelta(hours=23), "taken 02:00 UTC, 23 hours ago"),
        (timedelta(days=12), "taken 2026-11-23 02:00 UTC, 12 days ago"),
    ],
)
def test_the_first_line_says_whose_data_and_how_old(ago: timedelta, said: str) -> None:
    found = preflight(asked(), known(), SLOT + ago)
    assert found.text.splitlines()[0] == f"CadoResponse, {said}, not proven."


WARNINGS: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "instance store": (
        {},
        {"instance_store": 900},
        "instance-store",
        f"The stop of {FRESH} permanently removes the data on its 900 GB of instance store volumes, whatever",
    ),
    "instance store that EC2 does not describe": (
        {},
        {"instance": fresh(type="x9.large"), "instance_store": None},
        "instance-store",
        "removes the data on its instance store volumes, if x9.large has any (EC2 did not say), whatever",
    ),
    "a public address": (
        {},
        {"instance": fresh(given_addresses=("203.0.113.7",))},
        "public-address",
        "permanently removes its public address 203.0.113.7 (no Elastic IP address), whatever",
    ),
    "a volume where EC2 may attach none again": (
        {},
        {"instance": fresh(attached(device="/dev/sdf1")), "volumes": {FRESH_DATA: data_volume(device="/dev/sdf1")}},
        "odd-device",
        f"{FRESH_DATA} is at /dev/sdf1, which is not on AWS's list of device names: EC2 may refuse to attach the",
    ),
    "a Marketplace volume": (
        {},
        {"product_codes": {FRESH_DATA: ("code-1",), "vol-0bbbbbbbbbbbbbb10": ("code-2",)}},
        "product-codes",
        f"{FRESH_DATA} at /dev/sdh has the Marketplace product code code-1: EC2 attaches it again only while",
    ),
    "the first boot": (
        {},
        {"instance": fresh(launched_at=NOW - timedelta(minutes=9))},
        "first-boot",
        "was launched 9 minutes ago",
    ),
    "an overridden image": (
        {"ami_override": AmiOverride("the vendor said so")},
        {"ami": AmiVerdict(Trust.UNTRUSTED, "clone", "it is a clone")},
        "ami-overridden",
        "overridden: the vendor said so",
    ),
    "a part of a set": (
        {"recovery_point": RecoveryPointChoice(snapshot_ids=(f"snap-of-{DATA}",))},
        {"points": saved_of(FIRST_OF_TWO, OTHER_OF_TWO)},
        "part-of-a-set",
        "only 1 of the 2 volumes",
    ),
    "other volumes": (
        {},
        {"instance": fresh(*TWO), "volumes": TWO_VOLUMES},
        "volumes-left",
        "vol-0bbbbbbbbbbbbbb12 at /dev/sdi",
    ),
    "encrypted all the same": (
        {"volume": VolumeOverrides(encrypted=False)},
        {"points": saved_of(volume(encrypted=False, kms_key_id=None), encrypted=False), "encryption_by_default": True},
        "encrypted-by-default",
        "it will be encrypted",
    ),
    "a key of another account": (
        {"volume": VolumeOverrides(kms_key_id=KEY.replace(ACCOUNT, VENDOR))},
        {},
        "key-of-another-account",
        f"belongs to {VENDOR}",
    ),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_warned(name: str) -> None:
    request, facts, code, sentence = WARNINGS[name]
    found = preflight(asked(**request), known(**facts), NOW)
    assert codes(found) == []
    assert codes(found, Severity.WARN) == [code]
    assert sentence in found.findings[0].sentence
    assert found.plan is not None


@pytest.mark.parametrize(
    "facts",
    [
        {"instance": fresh(launched_at=NOW - timedelta(minutes=10))},
        {"instance": fresh(launched_at=NOW, state="stopped")},
        {"open_restore": restore_id("q-1")},
        {"instance": fresh(state="stopped"), "instance_store": 900},
        {"instance": fresh(state="stopped", state_reason="Client.UserInitiatedShutdown")},
    ],
    ids=["booted", "stopped", "the same restore asked for twice", "nothing left on its host", "shut down"],
)
def test_no_finding(facts: dict[str, Any]) -> None:
    assert preflight(asked(), known(**facts), NOW).findings == ()


def test_an_override_of_a_trusted_image_is_not_recorded() -> None:
    assert preflight(asked(ami_override=AmiOverride("just in case")), known(), NOW).plan.ami_override is None  # type: ignore[union-attr]


def test_tags_that_do_not_fit_are_left_out_and_counted() -> None:
    many = {f"k{number:02}": "v" for number in range(49)}
    found = preflight(asked(), known(points=saved_of(volume(tags=many))), NOW)
    assert codes(found, Severity.WARN) == ["tags-left-out"]
    assert len(planned(found).tags) == 48


def test_what_a_stop_removes_is_in_the_plan_and_in_the_record() -> None:
    facts = known(instance=fresh(given_addresses=("203.0.113.7", "203.0.113.8")), instance_store=900)
    found = preflight(asked(), facts, NOW)
    assert found.plan
    assert found.plan.stop_takes == (
        "the data on its 900 GB of instance store volumes",
        "its public address 203.0.113.7 (no Elastic IP address)",
        "its public address 203.0.113.8 (no Elastic IP address)",
    )
    assert "put back as before, except for what the stop removes permanently: the data on its 900 GB" in found.text
    stopped = preflight(asked(), replace(facts, instance=fresh(state="stopped")), NOW)
    assert "put back as before.\n" in f"{stopped.text}\n"


# --- which recovery point


def chosen(found: Preflight) -> str:
    assert found.plan, found.text
    return found.plan.recovery_point_id


def test_latest_is_the_newest_good_one() -> None:
    newest = another(3, SLOT + timedelta(days=2), state="error")
    catalogue = points(another(1), another(2, SLOT + timedelta(days=1)), newest)
    assert chosen(preflight(asked(), known(points=catalogue), NOW)) == "rp-2"
    before = RecoveryPointChoice(before=SLOT + timedelta(days=1))
    assert chosen(preflight(asked(recovery_point=before), known(points=catalogue), NOW)) == "rp-1"
    by_id = RecoveryPointChoice(id="rp-1")
    assert chosen(preflight(asked(recovery_point=by_id), known(points=catalogue), NOW)) == "rp-1"


STRANGER = another(
    7,
    SLOT + timedelta(days=3),
    volume_id="vol-7",
    volumes=(volume(id="vol-7"),),
    metadata={"instance_id": "i-7", "instance_name": "web"},
)


def test_latest_of_several_lineages_is_refused() -> None:
    found = preflight(asked(), known(points=points(another(1), STRANGER)), NOW)
    assert codes(found) == ["several-lineages"]
    sentence = found.findings[0].sentence
    assert (
        f'{{"instance_id": "{PLATFORM}"}} (CadoResponse), 1 good, the last of 2026-11-23T02:00:00Z, lineage {DATA}'
        in sentence
    )
    assert '{"instance_id": "i-7"} (web)' in sentence
    # The request that the sentence names is valid.
    advised = json.loads(sentence[sentence.index("{") : sentence.index("}") + 1])
    assert request.parse_restore({"instance_id": FRESH, "recovery_point": advised}).recovery_point.instance_id


@pytest.mark.parametrize(
    "choice",
    [
        RecoveryPointChoice(instance_id=PLATFORM),
        RecoveryPointChoice(lineage=DATA),
        RecoveryPointChoice(snapshot_ids=("snap-1",)),
    ],
    ids=["instance", "lineage", "snapshot"],
)
def test_a_named_lineage_is_used(choice: RecoveryPointChoice) -> None:
    found = preflight(asked(recovery_point=choice), known(points=points(another(1), STRANGER)), NOW)
    assert chosen(found) == "rp-1"
    assert found.findings == ()


@pytest.mark.parametrize(
    "own",
    [
        {"instance": fresh(id="i-7")},
        {"volumes": {FRESH_DATA: data_volume(tags={**CONSENT, Tag.LINEAGE.value: "vol-7"})}},
        {"instance": fresh(attached("vol-7")), "volumes": {"vol-7": data_volume("vol-7")}},
    ],
    ids=["instance", "lineage", "volume"],
)
def test_the_targets_own_lineage_comes_first_and_the_others_are_named(own: dict[str, Any]) -> None:
    found = preflight(asked(), known(points=points(another(1), STRANGER), **own), NOW)
    assert chosen(found) == "rp-7"
    assert codes(found, Severity.WARN) == ["other-lineages"]
    assert PLATFORM in found.findings[0].sentence


def test_an_unknown_instance_has_no_lineage_of_its_own() -> None:
    found = preflight(asked(), known(instance=None, points=points(another(1), STRANGER)), NOW)
    assert codes(found) == ["no-instance", "several-lineages"]


def test_a_lineage_has_several_instances_and_volumes() -> None:
    def of(number: int, instance_id: str, lineage: str, day: int) -> Any:
        carried = volume(id=f"vol-{number}", tags={Tag.LINEAGE.value: lineage})
        metadata = {"instance_id": instance_id}
        return another(number, SLOT + timedelta(days=day), volume_id=carried.id, volumes=(carried,), metadata=metadata)

    one = [of(1, "i-1", "vol-a", 0), of(2, "i-2", "vol-b", 1), of(3, "i-2", "vol-a", 2), of(4, "i-9", "vol-9", 3)]
    found = group_lineages(points(*one))
    assert [[point.id for point in line] for line in found] == [["rp-1", "rp-2", "rp-3"], ["rp-4"]]


def test_the_lineages_of_a_large_run_are_grouped_in_linear_time() -> None:
    [first] = points(another(1))
    [model] = first.members

    def of(number: int) -> RecoveryPoint:
        member = Member(model.snapshot, replace(model.metadata, lineage=f"vol-{number % 10_000}"))
        at = SLOT + timedelta(days=number // 10_000)
        return RecoveryPoint(f"rp-{number}", f"i-{number % 10_000}", "lifeboat", at, (member,), 1, at)

    large_run = [of(number) for number in range(30_000)]
    found = group_lineages(large_run)
    few, many = (steps(lambda size=size: group_lineages(large_run[-size:])) for size in (3_000, 6_000))  # type: ignore[misc]
    assert many < 2.5 * few, "each with each would be four times as many"
    assert {len(line) for line in found} == {3}
    assert len(found) == 10_000


def test_of_very_many_lineages_the_newest_are_named() -> None:
    def of(number: int) -> Snapshot:
        metadata = {"instance_id": f"i-{number:03}", "instance_name": "web"}
        return another(
            number,
            SLOT + timedelta(minutes=number),
            volume_id=f"vol-{number:03}",
            volumes=(volume(id=f"vol-{number:03}"),),
            metadata=metadata,
        )

    found = preflight(asked(), known(points=points(*map(of, range(25)))), NOW)
    assert codes(found) == ["several-lineages"]
    sentence = found.findings[0].sentence
    assert "5 with older recovery points; " in sentence
    assert "i-004" not in sentence
    assert all(f"i-{number:03}" in sentence for number in range(5, 25))


def test_too_many_recovery_points_are_refused() -> None:
    found = preflight(asked(), known(points=(), too_many=20_000), NOW)
    assert codes(found) == ["too-many-recovery-points"]
    sentence = found.findings[0].sentence
    assert "more than 20,000 snapshots" in sentence
    assert '{"instance_id": "i-..."}' in sentence


# --- the tag filter of a request


@pytest.mark.parametrize(
    ("choice", "tags"),
    [
        (RecoveryPointChoice(), {}),
        (RecoveryPointChoice(lineage=DATA), {}),
        (RecoveryPointChoice(instance_id=PLATFORM), {Tag.INSTANCE: (PLATFORM,)}),
        (RecoveryPointChoice(id="rp-1"), {Tag.RECOVERY_POINT: ("rp-1",)}),
        (RecoveryPointChoice(id="rp-1+2"), {Tag.RECOVERY_POINT: ("rp-1+2", "rp-1")}),
        (RecoveryPointChoice(snapshot_ids=("snap-1",)), {Tag.RECOVERY_POINT: ("rp-1",)}),
        (RecoveryPointChoice(snapshot_ids=("snap-f",)), None),
    ],
)
def test_the_tag_filter_finds_only_what_the_request_may_mean(
    choice: RecoveryPointChoice, tags: dict[str, tuple[str, ...]] | None
) -> None:
    shown = {"snap-1": another(1), "snap-f": snapshot(id="snap-f", tags={})}
    assert build_tag_filter(choice, [shown[snapshot_id] for snapshot_id in choice.snapshot_ids]) == tags


# --- snapshots by id


def test_a_foreign_snapshot_is_restored_like_the_volume_it_displaces() -> None:
    foreign = snapshot(
        id="snap-f", tags={}, volume_id="vol-ffffffff", size=50, encrypted=False, kms_key_id=None, owner_id=VENDOR
    )
    request = asked(recovery_point=RecoveryPointChoice(snapshot_ids=("snap-f",)))
    facts = known(snapshots={"snap-f": foreign}, trusted_snapshot_owners=(VENDOR,), points=())
    found = preflight(request, facts, NOW)
    made = planned(found)
    assert (made.type, made.size, made.iops, made.throughput, made.lineage) == ("gp3", 100, 4000, 200, "snap-f")
    assert (made.encrypted, made.kms_key_id) == (True, None)
    assert found.plan
    assert found.plan.crossed == (f"account {VENDOR} to {ACCOUNT}",)
    assert found.plan.recovery_point_id == "snap-f"


def test_a_foreign_snapshot_beside_several_volumes_is_restored_like_none_of_them() -> None:
    foreign = snapshot(id="snap-f", tags={Tag.LINEAGE.value: "c"}, size=50)
    request = asked(recovery_point=RecoveryPointChoice(snapshot_ids=("snap-f",)), device="/dev/sdi")
    facts = known(snapshots={"snap-f": foreign}, instance=fresh(*TWO), volumes=TWO_VOLUMES)
    made = planned(preflight(request, facts, NOW))
    assert (made.type, made.size, made.iops, made.lineage, made.device) == ("gp3", 50, None, "c", "/dev/sdi")
    unnamed = preflight(replace(request, device=None), facts, NOW)
    assert "No volume matches snap-f by device" in unnamed.findings[0].sentence
    assert codes(preflight(request, replace(facts, instance=None), NOW)) == ["no-instance"]
    own = replace(foreign, tags={})
    assert planned(preflight(request, replace(facts, snapshots={"snap-f": own}), NOW)).lineage == DATA


def test_a_shared_snapshot_with_metadata_is_restored_with_it() -> None:
    request = asked(recovery_point=RecoveryPointChoice(snapshot_ids=("snap-f",)))
    shared = snapshot(id="snap-f", tags=point_tags(volume(type="io2", iops=9000), zone="us-east-1b"))
    found = preflight(request, known(snapshots={"snap-f": shared}), NOW)
    assert (planned(found).type, planned(found).iops) == ("io2", 9000)
    assert found.plan
    assert found.plan.crossed == ("zone us-east-1b to region eu-west-1", f"instance {PLATFORM} to {FRESH}")


def test_a_snapshot_with_the_tags_of_another_volume_is_restored_without_them() -> None:
    request = asked(recovery_point=RecoveryPointChoice(snapshot_ids=("snap-f",)))
    tags = point_tags(volume(type="io2", iops=9000))
    made = planned(
        preflight(request, known(snapshots={"snap-f": snapshot(id="snap-f", volume_id=SECOND, tags=tags)}), NOW)
    )
    assert (made.type, made.lineage) == ("gp3", SECOND)


def test_the_whole_set_by_its_snapshots_is_the_recovery_point() -> None:
    ids = (f"snap-of-{DATA}", f"snap-of-{SECOND}")
    facts = known(points=saved_of(FIRST_OF_TWO, OTHER_OF_TWO), instance=fresh(*TWO), volumes=TWO_VOLUMES)
    found = preflight(asked(recovery_point=RecoveryPointChoice(snapshot_ids=ids)), facts, NOW)
    assert found.findings == ()
    assert found.plan
    assert [(item.device, item.displaced_volume_id) for item in found.plan.volumes] == [
        ("/dev/sdh", FRESH_DATA),
        ("/dev/sdi", "vol-0bbbbbbbbbbbbbb12"),
    ]


# --- which volume is displaced


def test_the_root_is_never_displaced_whatever_its_size() -> None:
    root = volume(id="vol-0bbbbbbbbbbbbbb10", size=500)
    facts = known(volumes={FRESH_DATA: data_volume(), root.id: root})
    assert planned(preflight(asked(), facts, NOW)).displaced_volume_id == FRESH_DATA


def test_the_device_is_the_displaced_volumes() -> None:
    facts = known(instance=fresh(attached(device="/dev/sdb")), volumes={FRESH_DATA: data_volume(device="/dev/sdb")})
    assert planned(preflight(asked(), facts, NOW)).device == "/dev/sdb"


def test_delete_on_termination_is_the_displaced_volumes() -> None:
    facts = known(instance=fresh(attached(delete_on_termination=True)))
    assert planned(preflight(asked(), facts, NOW)).displaced_delete_on_termination is True


@pytest.mark.parametrize(
    "tags",
    [{Tag.LINEAGE.value: DATA}, {"Name": "CadoResponseDataVolume"}],
    ids=["lineage", "name"],
)
def test_of_two_volumes_the_tags_decide(tags: dict[str, str]) -> None:
    second = "vol-0bbbbbbbbbbbbbb12"
    facts = known(
        instance=fresh(attached(device="/dev/sdf"), attached(second, "/dev/sdg")),
        volumes={
            FRESH_DATA: data_volume(device="/dev/sdf"),
            second: data_volume(second, "/dev/sdg", tags={**CONSENT, **tags}),
        },
    )
    found = preflight(asked(), facts, NOW)
    assert planned(found).displaced_volume_id == second
    assert codes(found, Severity.WARN) == ["volumes-left"]


@pytest.mark.parametrize("device", ["/dev/sdh", "/dev/xvdbb", "xvdf"])
def test_a_free_device_needs_nothing_displaced(device: str) -> None:
    found = preflight(asked(device=device), known(instance=BARE, volumes={}), NOW)
    assert (planned(found).device, planned(found).displaced_volume_id) == (device, None)
    assert f"- attach the new volume at {device}" in found.text


@pytest.mark.parametrize("there", ["/dev/sdh", "/dev/xvdh", "xvdh", "sdh"])
@pytest.mark.parametrize("asked_for", ["/dev/sdh", "/dev/xvdh", "xvdh", "sdh", None])
def test_every_name_of_a_device_means_the_volume_that_is_there(there: str, asked_for: str | None) -> None:
    """Asked for by another name, and recorded as /dev/sdh: it goes to the very name that EC2 has."""
    second = "vol-0bbbbbbbbbbbbbb12"
    facts = known(
        instance=fresh(attached(device=there), attached(second, "/dev/sdg")),
        volumes={FRESH_DATA: data_volume(device=there), second: data_volume(second, "/dev/sdg")},
    )
    made = planned(preflight(asked(device=asked_for), facts, NOW))
    assert (made.device, made.displaced_volume_id) == (there, FRESH_DATA)


@pytest.mark.parametrize("device", ["/dev/sdh", "/dev/xvdh", "xvdh", "sdh", "/dev/sdf1", "/dev/xvdzz", "/dev/hdb"])
def test_a_request_may_name_a_device_that_a_finding_lists(device: str) -> None:
    facts = known(
        instance=fresh(attached(device=device), attached(SECOND, "/dev/sdg")),
        volumes={FRESH_DATA: data_volume(device=device, tags={}), SECOND: data_volume(SECOND, "/dev/sdg", tags={})},
        points=saved_of(volume(tags={}, attachments=(attachment(device="/dev/sdz"),))),
    )
    [found] = [item.sentence for item in preflight(asked(), facts, NOW).findings if item.code == "no-match"]
    assert f"{device} ({FRESH_DATA}" in found
    parsed = request.parse_restore({"instance_id": FRESH, "recovery_point": "latest", "device": device})
    assert isinstance(parsed, RestoreRequest)
    draft = preflight(replace(parsed, request_id="q-1"), facts, NOW).draft
    assert draft
    assert [(item.device, item.displaced_volume_id) for item in draft.volumes] == [(device, FRESH_DATA)]


def test_cloudformation_is_recognised() -> None:
    tags = {**CONSENT, "aws:cloudformation:stack-name": "platform"}
    found = preflight(asked(), known(volumes={FRESH_DATA: data_volume(tags=tags)}), NOW)
    assert found.plan
    assert found.plan.cloudformation_stack == "platform"


# --- the new volumes

MADE: dict[str, tuple[Volume, dict[str, Any], VolumeOverrides, dict[str, Any]]] = {
    "gp3 at its limits": (
        volume(size=16000, iops=80000, throughput=2000),
        {},
        VolumeOverrides(),
        {"type": "gp3", "size": 16000, "iops": 80000, "throughput": 2000},
    ),
    "io2": (
        volume(type="io2", iops=64000, throughput=None),
        {},
        VolumeOverrides(),
        {"type": "io2", "iops": 64000, "throughput": None},
    ),
    "gp2 takes no IOPS, though EC2 shows some": (
        volume(type="gp2", iops=300, throughput=None),
        {},
        VolumeOverrides(),
        {"type": "gp2", "iops": None},
    ),
    "st1": (
        volume(type="st1", size=500, iops=None, throughput=None),
        {},
        VolumeOverrides(),
        {"type": "st1", "size": 500, "iops": None, "throughput": None},
    ),
    "an unencrypted source comes back encrypted": (
        volume(encrypted=False, kms_key_id=None),
        {},
        VolumeOverrides(),
        {"encrypted": True, "kms_key_id": None},
    ),
    "with the stack's key": (
        volume(encrypted=False, kms_key_id=None),
        {"kms_key_id": KEY},
        VolumeOverrides(),
        {"encrypted": True, "kms_key_id": KEY},
    ),
    "the stack may switch that off": (
        volume(encrypted=False, kms_key_id=None),
        {"encrypt_restored": False, "kms_key_id": KEY},
        VolumeOverrides(),
        {"encrypted": False, "kms_key_id": None},
    ),
    "a key asked for means encrypted": (
        volume(encrypted=False, kms_key_id=None),
        {"encrypt_restored": False},
        VolumeOverrides(kms_key_id="alias/mine"),
        {"encrypted": True, "kms_key_id": "alias/mine"},
    ),
    "a request may switch that off": (
        volume(encrypted=False, kms_key_id=None),
        {},
        VolumeOverrides(encrypted=False),
        {"encrypted": False, "kms_key_id": None},
    ),
    "another type has its own figures": (
        volume(),
        {},
        VolumeOverrides(type="io2", iops=5000),
        {"type": "io2", "iops": 5000, "throughput": None},
    ),
    "gp3 instead of io2": (
        volume(type="io2", iops=64000, throughput=None),
        {},
        VolumeOverrides(type="gp3"),
        {"type": "gp3", "iops": None, "throughput": None},
    ),
    "everything asked for": (
        volume(),
        {},
        VolumeOverrides(size=200, iops=6000, throughput=250, initialization_rate=300, encrypted=True),
        {"size": 200, "iops": 6000, "throughput": 250, "initialization_rate": 300, "kms_key_id": KEY},
    ),
}


@pytest.mark.parametrize("name", MADE)
def test_made(name: str) -> None:
    source, facts, overrides, expected = MADE[name]
    saved = saved_of(source, encrypted=source.encrypted, kms_key_id=source.kms_key_id, size=source.size)
    found = preflight(asked(volume=overrides), known(points=saved, **facts), NOW)
    assert found.findings == (), found.text
    made = planned(found)
    assert {field: getattr(made, field) for field in expected} == expected
    assert ("not encrypted" in found.text) is not made.encrypted


def test_aws_tags_are_not_carried_over() -> None:
    source = volume(tags={"aws:cloudformation:stack-name": "x", "team": "dfir", Tag.RESTORE.value: "restore-1"})
    assert planned(preflight(asked(), known(points=saved_of(source)), NOW)).tags == {"team": "dfir"}


@pytest.mark.parametrize("kind", LIMITS)
def test_every_type_takes_its_smallest_and_its_largest(kind: str) -> None:
    limits = LIMITS[kind]
    figures: Callable[[int], VolumeOverrides] = lambda end: VolumeOverrides(  # noqa: E731 - two ends of one thing
        type=kind,
        size=max(limits.size[end], 100) if end == 0 else limits.size[1],
        iops=limits.iops[end] if limits.iops else None,
        throughput=limits.throughput[end] if limits.throughput else None,
    )
    for end in (0, 1):
        found = preflight(asked(volume=figures(end)), known(), NOW)
        small = limits.size[0] > 100 and end == 0
        assert codes(found) == (["beyond-type"] if small and figures(end).size == 100 else []), found.text
