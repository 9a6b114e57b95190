"""Every event and request is parsed, or refused with one sentence."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeboat.ami.request import ImageRequest, parse_check
from lifeboat.backup.request import BackupRequest, CatchUpRequest, ConfirmRequest, parse_take
from lifeboat.by_hand.request import HandedOver, RunStatus
from lifeboat.copies.request import CopyRequest, parse_copy
from lifeboat.doctor.request import CheckRequest, CoverageRequest
from lifeboat.domain.bad_request import BadRequest
from lifeboat.domain.envelopes import KINDS, parse_event
from lifeboat.domain.proof import Level
from lifeboat.domain.trigger import Trigger
from lifeboat.evidence.request import CompareManifests, ContinueGuard, GuardRequest
from lifeboat.restore.request import (
    AdvanceRequest,
    AmiOverride,
    CancelRestore,
    RecoveryPointChoice,
    RestoreRequest,
    RestoreStatus,
    VolumeOverrides,
    parse_restore,
)
from lifeboat.retention.request import AdoptRequest, PruneRequest, SnapshotsToAdopt, SnapshotTag, VolumeFacts
from lifeboat.status.page import AfterInstance, BeforePoint
from lifeboat.status.request import InstanceRequest, ListRequest, StatusRequest
from lifeboat.verify.drill_request import AdvanceDrills, DrillRequest, VolumeChanged
from lifeboat.verify.request import ContinueRequest, PointCompleted, VerifyRequest
from tests.requests.golden_refusals import FUNCTIONS
from tests.requests.placeholders import PLACEHOLDERS, read_filled

ROOT = Path(__file__).parents[2]


def notification(message: dict[str, Any]) -> dict[str, Any]:
    """What SNS delivers of a message."""
    return {"Records": [{"Sns": {"Message": json.dumps(message)}}]}


SAMPLES = {
    path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "tests" / "fixtures" / "events").glob("*.json"))
}

SNAP, SNAP2, COPY = "snap-0a1b2c3d4e5f60718", "snap-0b2c3d4e5f6071829", "snap-0c3d4e5f607182930"
VOL, INSTANCE = "vol-0123456789abcdef0", "i-0123456789abcdef0"

# Each sample: its event and a resource that it names; None: refused.
PARSED: dict[str, tuple[str, str] | None] = {
    "ebs-archiveSnapshot-succeeded": ("archiveSnapshot", SNAP),
    "ebs-attachVolume-failed": ("attachVolume", VOL),
    "ebs-copySnapshot-failed": ("copySnapshot", COPY),
    "ebs-copySnapshot-standard-succeeded": ("copySnapshot", COPY),
    "ebs-copySnapshot-timebased-late-2nd-event": ("copySnapshot", COPY),
    "ebs-copySnapshot-timebased-succeeded": ("copySnapshot", COPY),
    "ebs-createSnapshot-failed": ("createSnapshot", SNAP),
    "ebs-createSnapshot-by-ebs-direct-apis": ("createSnapshot", SNAP),
    "ebs-createSnapshot-succeeded": ("createSnapshot", SNAP),
    "ebs-createSnapshots-failed": ("createSnapshots", SNAP),
    "ebs-createSnapshots-succeeded": ("createSnapshots", SNAP2),
    "ebs-createVolume-available": ("createVolume", VOL),
    "ebs-createVolume-failed": ("createVolume", VOL),
    "ebs-deleteVolume": ("deleteVolume", VOL),
    "ebs-initializeVolume-succeeded": ("initializeVolume", VOL),
    "ebs-lockSnapshot-succeeded": ("lockSnapshot", SNAP),
    "ebs-modifyVolume-optimizing": ("modifyVolume", VOL),
    "ebs-reattachVolume-failed": ("reattachVolume", VOL),
    "ebs-shareSnapshot": ("shareSnapshot", SNAP),
    "ebs-sharedVolumeCopy-RECONSTRUCTED": ("sharedVolumeCopy", VOL),
    "ec2-instance-state-pending": ("", INSTANCE),
    "ec2-instance-state-running": ("", INSTANCE),
    "ec2-instance-state-shutting-down": ("", INSTANCE),
    "ec2-instance-state-stopped": ("", INSTANCE),
    "ec2-instance-state-stopping": ("", INSTANCE),
    "ec2-instance-state-terminated": ("", INSTANCE),
    # events that no rule subscribes to
    "ebs-copySnapshot-missed-duration-1st-event": None,
    "ec2-ami-state-available": None,
    "ec2-ami-state-deregistered": None,
    "ec2-ami-state-disabled": None,
    "ec2-ami-state-failed": None,
    "scheduler-default-no-input": None,
    # not events of EventBridge
    "lambda-onfailure-destination": None,
    "scheduler-dlq-sqs-message": None,
    "scheduler-lambda-event-delivered": None,
    "scheduler-target-input-template": None,
    "sns-to-lambda": None,
}


def test_every_sample_has_its_expectation():
    assert set(SAMPLES) == set(PARSED)
    assert len(SAMPLES) == 37


@pytest.mark.parametrize("name", sorted(PARSED))
def test_a_sample_is_parsed_or_refused_with_one_sentence(name):
    expected = PARSED[name]
    if expected is None:
        with pytest.raises(BadRequest) as refusal:
            parse_event(SAMPLES[name], *KINDS)
        assert "expected" in str(refusal.value)
        assert "\n" not in str(refusal.value)
        return
    event = parse_event(SAMPLES[name], *KINDS)
    assert event.event == expected[0]
    assert expected[1] in {*event.snapshot_ids, *event.volume_ids, *event.instance_ids}


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_function_parses_a_sample_or_refuses_it_with_one_sentence(function, name):
    try:
        FUNCTIONS[function](SAMPLES[name])
    except BadRequest as refusal:
        said = str(refusal)
    else:
        return
    assert "expected" in said
    assert "\n" not in said


COPIED = {name for name in SAMPLES if name.startswith("ebs-copySnapshot-") and "1st-event" not in name}


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_copy_snapshots_takes_only_the_end_of_a_copy(name):
    if name in COPIED:
        assert parse_copy(SAMPLES[name]) == CopyRequest(ended=(COPY,))
        return
    with pytest.raises(BadRequest):
        parse_copy(SAMPLES[name])


def test_blanks_around_an_events_name_are_ignored():
    sample = json.loads(json.dumps(SAMPLES["ebs-initializeVolume-succeeded"]))
    sample["detail"]["event"] = " initializeVolume"
    assert parse_event(sample, *KINDS).event == "initializeVolume"


TEST_EVENTS = sorted((ROOT / "events").rglob("*.json"))
NOT_FOUND = {"rp-RECOVERY-POINT", "vol-VOLUME"}
"""Ids of Lifeboat's own, which have no form of AWS: a function that is asked for these says that it finds none."""


@pytest.mark.parametrize("path", TEST_EVENTS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_the_test_events_are_parsed_when_their_placeholders_are_filled(path):
    FUNCTIONS[path.parent.name](json.loads(read_filled(path)))


@pytest.mark.parametrize("path", TEST_EVENTS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_placeholder_that_is_not_filled_is_refused_and_no_sample_word_reaches_the_record(path):
    text = path.read_text()
    assert "your name" not in text
    assert not re.search(r'"reason": "[^"]', text)
    found = {placeholder for placeholder in PLACEHOLDERS if placeholder in text}
    by_hand = "detail-type" not in text and re.search(r'"(i|vol|snap|rp|restore)-', text)
    assert found or not by_hand, "an id of a test event is a placeholder"
    if found - NOT_FOUND:
        with pytest.raises(BadRequest):
            FUNCTIONS[path.parent.name](json.loads(text))


def test_every_function_has_examples():
    assert {path.name for path in (ROOT / "events").iterdir()} == set(FUNCTIONS)


UTC_2 = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
RUN_ID, RESTORE = "backup-0123456789abcdef-20261123T020000Z", "restore-0123456789abcdef"
CHOICES = [
    ("latest", RecoveryPointChoice()),
    ("rp-1", RecoveryPointChoice(id="rp-1")),
    (SNAP, RecoveryPointChoice(snapshot_ids=(SNAP,))),
    ([SNAP, SNAP2, SNAP], RecoveryPointChoice(snapshot_ids=(SNAP, SNAP2))),
    (
        {"lineage": VOL, "before": "2026-11-23T04:00:00.9+02:00"},
        RecoveryPointChoice(lineage=VOL, before=UTC_2),
    ),
    ({"instance_id": INSTANCE}, RecoveryPointChoice(instance_id=INSTANCE)),
]


@pytest.mark.parametrize(
    ("function", "event", "request_"),
    [
        (
            "take_snapshots",
            {"scheduled_time": "2026-11-23T02:00:00Z"},
            BackupRequest(slot=UTC_2),
        ),
        ("take_snapshots", {"catch_up": True}, CatchUpRequest()),
        ("take_snapshots", {"request": RUN_ID}, RunStatus(RUN_ID)),
        (
            "take_snapshots",
            {"carry_out": RUN_ID, "lease": "1", "original_request": {"dry_run": True}},
            HandedOver(RUN_ID, "1", BackupRequest(dry_run=True)),
        ),
        (
            "take_snapshots",
            {"instance_ids": [INSTANCE, INSTANCE], "dry_run": True},
            BackupRequest(instance_ids=(INSTANCE,), dry_run=True),
        ),
        ("confirm_snapshots", {"sweep": True}, ConfirmRequest(reconcile=True)),
        (
            "confirm_snapshots",
            SAMPLES["ebs-createSnapshots-succeeded"],
            ConfirmRequest(snapshot_ids=(SNAP, SNAP2)),
        ),
        ("verify_snapshots", {"sweep": True}, ContinueRequest()),
        ("verify_snapshots", {"recovery_point": "rp-1"}, VerifyRequest("rp-1")),
        ("verify_snapshots", {"recovery_point": "rp-1", "level": "full"}, VerifyRequest("rp-1", Level.FULL)),
        ("verify_snapshots", {"recovery_point": "rp-1", "expected": True}, VerifyRequest("rp-1", expected=True)),
        (
            "verify_snapshots",
            notification({"event": "BackupCompleted", "subject": {"recovery_point": "rp-1"}}),
            PointCompleted("rp-1"),
        ),
        (
            "verify_snapshots",
            notification({"event": "SnapshotsCopied", "subject": {"recovery_point": "rp-1", "region": "eu-west-1"}}),
            PointCompleted("rp-1", "eu-west-1"),
        ),
        ("verify_snapshots", notification({"event": "BackupCompleted", "subject": {}}), ContinueRequest()),
        ("copy_snapshots", {"sweep": True}, CopyRequest()),
        ("copy_snapshots", {"retry": True}, CopyRequest(retry=True)),
        (
            "copy_snapshots",
            {"Records": [{"Sns": {"Message": '{"event": "BackupCompleted"}'}}]},
            CopyRequest(),
        ),
        (
            "copy_snapshots",
            {"Records": [{"Sns": {"Message": '{"event": "BackupCompleted", "subject": {"recovery_point": "rp-1"}}'}}]},
            CopyRequest(completed="rp-1"),
        ),
        ("prune_snapshots", {"dry_run": True}, PruneRequest(dry_run=True)),
        ("prune_snapshots", {"scheduled_time": "2026-11-23T02:00:00Z"}, PruneRequest(trigger=Trigger.SCHEDULE)),
        (
            "prune_snapshots",
            {"Records": [{"Sns": {"Message": '{"event": "BackupCompleted"}'}}]},
            PruneRequest(trigger=Trigger.EVENT),
        ),
        (
            "prune_snapshots",
            {"Records": [{"Sns": {"Message": '{"event": "BackupCompleted", "subject": {"recovery_point": "rp-1"}}'}}]},
            PruneRequest(trigger=Trigger.EVENT, completed="rp-1"),
        ),
        (
            "prune_snapshots",
            {"Records": [{"Sns": {"Message": '{"event": "BackupCompleted", "subject": {"recovery_point": 1}}'}}]},
            PruneRequest(trigger=Trigger.EVENT),
        ),
        ("prune_snapshots", {"adopt": {"volume_id": VOL}}, AdoptRequest(SnapshotsToAdopt(VOL))),
        ("prune_snapshots", {"adopt": {"volume_id": VOL}, "volume": None}, AdoptRequest(SnapshotsToAdopt(VOL))),
        (
            "prune_snapshots",
            {"adopt": {"volume_id": VOL}, "volume": {"device": "/dev/sdh", "iops": 3000}, "confirm": True},
            AdoptRequest(SnapshotsToAdopt(VOL), facts=VolumeFacts(device="/dev/sdh", iops=3000), confirm=True),
        ),
        (
            "prune_snapshots",
            {"adopt": {"tag": {"key": "By", "value": "night"}}, "confirm": False},
            AdoptRequest(SnapshotsToAdopt(tag=SnapshotTag("By", "night"))),
        ),
        *(
            (
                "restore_volume",
                {"instance_id": INSTANCE, "recovery_point": typed},
                RestoreRequest(INSTANCE, recovery_point),
            )
            for typed, recovery_point in CHOICES
        ),
        (
            "restore_volume",
            {
                "instance_id": INSTANCE,
                "recovery_point": "latest",
                "ami_override": {"reason": "INC-17"},
                "volume": {"type": "io2", "size": 200, "iops": 5000, "encrypted": True},
                "start": False,
            },
            RestoreRequest(
                INSTANCE,
                RecoveryPointChoice(),
                ami_override=AmiOverride("INC-17"),
                volume=VolumeOverrides("io2", 200, 5000, encrypted=True),
                start=False,
            ),
        ),
        ("restore_volume", {"cancel": RESTORE, "reason": "why"}, CancelRestore(RESTORE, reason="why")),
        ("restore_volume", {"status": RESTORE}, RestoreStatus(RESTORE)),
        ("attach_volume", {"sweep": True}, AdvanceRequest(reconcile=True)),
        ("attach_volume", SAMPLES["ebs-createVolume-available"], AdvanceRequest(volume_ids=(VOL,))),
        ("attach_volume", SAMPLES["ebs-copySnapshot-standard-succeeded"], AdvanceRequest(copy_ids=(COPY,))),
        ("attach_volume", SAMPLES["ec2-instance-state-stopped"], AdvanceRequest(instance_ids=(INSTANCE,))),
        ("check_ami_owner", SAMPLES["ec2-instance-state-running"], ImageRequest((INSTANCE,), Trigger.EVENT)),
        ("check_ami_owner", {}, ImageRequest()),
        ("drill_restores", {}, DrillRequest()),
        ("drill_restores", {"lineage": VOL}, DrillRequest(VOL)),
        ("drill_restores", {"scheduled_time": "2026-11-23T02:00:00Z"}, DrillRequest(slot=UTC_2)),
        ("drill_restores", {"sweep": True}, AdvanceDrills()),
        ("drill_restores", SAMPLES["ebs-createVolume-available"], VolumeChanged()),
        ("drill_restores", SAMPLES["ebs-deleteVolume"], VolumeChanged()),
        ("guard_evidence", {}, GuardRequest()),
        ("guard_evidence", {"scheduled_time": "2026-11-23T02:00:00Z"}, GuardRequest(UTC_2)),
        ("guard_evidence", {"sweep": True}, ContinueGuard()),
        ("guard_evidence", {"compare": "oldest"}, CompareManifests("oldest")),
        ("guard_evidence", {"compare": "20261123T020000Z", "after": "a"}, CompareManifests("20261123T020000Z", "a")),
        ("check_stack", {}, CheckRequest()),
        ("check_stack", {"coverage": True}, CoverageRequest(True)),
        ("check_stack", {"coverage": True, "scheduled_time": "2026-11-23T02:00:00Z"}, CoverageRequest(True, UTC_2)),
        ("check_stack", {"scheduled_time": "2026-11-23T02:00:00Z"}, CheckRequest(UTC_2)),
        ("show_status", {}, StatusRequest()),
        ("show_status", {"limit": 5, "next": f"after:{INSTANCE}"}, StatusRequest(5, AfterInstance(INSTANCE))),
        ("show_status", {"instance": "Cado"}, InstanceRequest("Cado")),
        ("show_status", {"instance": INSTANCE, "list": True}, InstanceRequest(INSTANCE, list=True)),
        (
            "show_status",
            {"list": True, "next": "before:2026-11-23T02:00:00Z/snap-0123456789abcdef0"},
            ListRequest(True, next=BeforePoint(UTC_2, "snap-0123456789abcdef0")),
        ),
        ("check_ami_owner", {"scheduled_time": "2026-11-23T02:00:00Z"}, ImageRequest(trigger=Trigger.SCHEDULE)),
    ],
)
def test_an_event_is_parsed_as_its_request(function, event, request_):
    assert FUNCTIONS[function](event) == request_


BLANKS = ["", " ", "\t\n", "\u00a0", "\u200b\u200d", "\ufeff", "\u2800", "\u3164", "\x00", "\u0301"]


@pytest.mark.parametrize("blank", BLANKS)
def test_a_blank_reason_overrides_nothing(blank):
    asked = {"instance_id": INSTANCE, "recovery_point": "latest", "ami_override": {"reason": blank}}
    with pytest.raises(BadRequest, match=r"^ami_override\.reason is .*, expected a reason in words"):
        parse_restore(asked)


@pytest.mark.parametrize("blank", BLANKS[1:])
@pytest.mark.parametrize("field", ["requested_by", "reason", "request_id"])
@pytest.mark.parametrize(
    "asked", [{"instance_id": INSTANCE, "recovery_point": "latest"}, {"cancel": "restore-0123456789abcdef"}]
)
def test_blanks_are_not_words(asked, field, blank):
    other = "and there is no such field beside cancel: expected one of cancel, "
    said = rf"^{field} is .*, (expected a text that is not blank$|{other})"
    with pytest.raises(BadRequest, match=said):
        parse_restore({**asked, field: blank})


@pytest.mark.parametrize("text", ["x", "?", " because ", "\u65e5\u672c", "\U0001f525", "42", "\u0644\u0623\u0646"])
def test_any_visible_text_is_a_reason(text):
    asked = {"instance_id": INSTANCE, "recovery_point": "latest", "ami_override": {"reason": text}, "reason": text}
    request = parse_restore(asked)
    assert (request.ami_override_reason, request.reason) == (text, text)


@pytest.mark.parametrize(
    ("function", "event", "sentence"),
    [
        (
            "take_snapshots",
            {"instance_ids": ["i-1"]},
            "instance_ids[0] is 'i-1', expected an instance's id",
        ),
        ("take_snapshots", {"instance_ids": INSTANCE}, "instance_ids is"),
        ("take_snapshots", {"dryrun": True}, "dryrun is true, and there is no such field: expected dry_run"),
        ("take_snapshots", {"dry_run": "yes"}, "dry_run is 'yes', expected"),
        ("take_snapshots", {"scheduled_time": "yesterday"}, "scheduled_time is 'yesterday', expected"),
        ("take_snapshots", {"scheduled_time": "2026-13-45T02:00:00Z"}, "scheduled_time is '2026-13-45T02:00:00Z'"),
        ("take_snapshots", [], "event is [], expected"),
        ("confirm_snapshots", {"sweep": False}, "sweep is false, expected true"),
        (
            "confirm_snapshots",
            SAMPLES["ebs-deleteVolume"],
            "expected one of EBS Snapshot Notification, EBS Multi-",
        ),
        (
            "copy_snapshots",
            {"Records": [{"Sns": {"Message": '{"event": "BackupFailed"}'}}]},
            "event is 'BackupFailed', expected BackupCompleted",
        ),
        ("copy_snapshots", {"retry": "now"}, "retry is 'now', expected"),
        ("prune_snapshots", {"Records": []}, "Records is [], expected a list of one record of SNS"),
        ("prune_snapshots", {"Records": [{"Sns": {"Message": "hi"}}]}, "expected a text that is a JSON object"),
        (
            "prune_snapshots",
            {"Records": [{"Sns": {"Message": '{"event": "RestoreStarted"}'}}]},
            "event is 'RestoreStarted', expected BackupCompleted",
        ),
        (
            "prune_snapshots",
            {"adopt": {"volume_id": VOL}, "volume": {"device": "/dev/nvme1n1"}},
            "volume.device is '/dev/nvme1n1', expected the name that EC2 has for the device, such as /dev/sdh",
        ),
        (
            "restore_volume",
            {"instance_id": INSTANCE, "recovery_point": "latest", "device": "/dev/nvme1n1"},
            "device is '/dev/nvme1n1', expected the name that EC2 has for the device, such as /dev/sdh, /dev/xvdh or "
            "xvdh, because nvme1n1 is a name inside the machine that may change with every start: `lsblk -no SERIAL "
            "/dev/nvme1n1` there prints the volume's id without its hyphen, and `aws ec2 describe-volumes --volume-ids "
            "vol-... --query 'Volumes[].Attachments[].Device'` prints the name",
        ),
        (
            "restore_volume",
            {"instance_id": INSTANCE, "recovery_point": "latest", "device": "D:"},
            "device is 'D:', expected the name that EC2 has for the device",
        ),
        ("prune_snapshots", {"adopt": {}}, "adopt is {}, expected either volume_id or tag in it"),
        (
            "prune_snapshots",
            {"adopt": {"volume_id": VOL, "tag": {"key": "By", "value": "night"}}},
            '"value": "night"}}, expected either volume_id or tag in it',
        ),
        ("prune_snapshots", {"adopt": {"volume_id": "vol-1"}}, "adopt.volume_id is 'vol-1', expected"),
        ("prune_snapshots", {"adopt": {"volume_id": VOL}, "confirm": "yes"}, "confirm is 'yes', expected"),
        (
            "prune_snapshots",
            {"adopt": {"volume_id": VOL}, "dry_run": True},
            "dry_run is true, and there is no such field",
        ),
        (
            "prune_snapshots",
            {"adopt": {"tag": {"key": "By"}}},
            "adopt.tag.value is missing, expected the value",
        ),
        (
            "prune_snapshots",
            {"adopt": {"tag": {"key": "By", "value": "x"}}, "volume": {"type": "gp3"}},
            'volume is {"type": "gp3"} with adopt.tag',
        ),
        ("prune_snapshots", {"adopt": {"volume_id": VOL}, "volume": {"type": "gp4"}}, "volume.type is 'gp4', expected"),
        (
            "attach_volume",
            SAMPLES["ebs-createSnapshot-succeeded"],
            "detail.event is 'createSnapshot', expected copy",
        ),
        ("attach_volume", SAMPLES["ec2-ami-state-available"], "detail-type is 'EC2 AMI State Change', expected one of"),
        ("check_ami_owner", SAMPLES["ebs-deleteVolume"], "expected EC2 Instance State-change Notification"),
        ("check_ami_owner", {"instance_ids": ["x" * 500]}, "..., expected"),
    ],
)
def test_bad_input_gets_one_sentence_naming_field_value_expectation(function, event, sentence):
    with pytest.raises(BadRequest) as refusal:
        FUNCTIONS[function](event)
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 400


anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=5),
    max_leaves=12,
)


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A sample with one thing in it replaced or removed."""
    event = json.loads(json.dumps(draw(st.sampled_from(list(SAMPLES.values())))))
    place = event
    while True:
        key = draw(st.sampled_from(sorted(place)))
        if isinstance(place[key], dict) and place[key] and draw(st.booleans()):
            place = place[key]
            continue
        if draw(st.booleans()):
            place[key] = draw(anything)
        else:
            del place[key]
        return event


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
@given(event=mutated() | anything)
def test_any_event_is_parsed_or_refused_with_one_sentence(function, event):
    try:
        FUNCTIONS[function](event)
    except BadRequest as refusal:
        said = str(refusal)
    else:
        return
    assert "\n" not in said


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-13-01T00:00:00Z"])
def test_a_time_outside_the_calendar_is_refused(text):
    said = r"^scheduled_time is '.*', expected a time (with its zone, such as|that is in the years 1 to 9999 in UTC$)"
    with pytest.raises(BadRequest, match=said):
        parse_take({"scheduled_time": text})


def test_a_refusal_has_no_signs_that_a_terminal_obeys():
    with pytest.raises(BadRequest) as refusal:
        parse_check({"\x1b]0;owned\x07": "\x1b[2J"})
    said = r"\x1b]0;owned\x07 is '\x1b[2J', and there is no such field: expected one of instance_ids, scheduled_time"
    assert str(refusal.value) == said


KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
KMS = "arn:aws:kms:eu-west-1:111122223333:"


@pytest.mark.parametrize(
    "key", [KEY_ID, f"mrk-{KEY_ID}", "alias/backup/eu", f"{KMS}key/{KEY_ID}", f"{KMS}alias/backup"]
)
def test_a_key_in_any_form_that_ec2_takes_is_parsed(key):
    ask = {"instance_id": INSTANCE, "recovery_point": "latest", "volume": {"kms_key_id": key}}
    assert parse_restore(ask).volume.kms_key_id == key


@pytest.mark.parametrize(
    "key", ["", "a key", "arn:aws:s3:::bucket", "arn:aws:kms:eu-west-1:1:key/1", "x" * 257, "alias/a\n"]
)
def test_a_text_that_is_no_key_is_refused(key):
    ask = {"instance_id": INSTANCE, "recovery_point": "latest", "volume": {"kms_key_id": key}}
    with pytest.raises(BadRequest, match=r"^volume\.kms_key_id is .*, expected"):
        parse_restore(ask)


BATCH = {
    "run": "2026-11-23T02:00:00Z/0123456789abcdef",
    "number": 1,
    "of": 40,
    "slot": "2026-11-23T02:00:00Z",
    "late": False,
    "at_once": 25,
    "instance_ids": [INSTANCE],
}


def delivered(body: Any, **more: Any) -> dict[str, Any]:
    text = body if isinstance(body, str) else json.dumps(body)
    known = {"eventSource": "aws:sqs", "messageId": "m", "receiptHandle": "h", "body": text}
    return {"Records": [{**known, **more}]}


def test_a_batch_is_parsed_with_its_message_and_attempt():
    request = parse_take(delivered(BATCH, attributes={"ApproximateReceiveCount": "3"}))
    assert (request.message_id, request.receipt, request.attempt) == ("m", "h", 3)
    assert request.batch.instance_ids == (INSTANCE,)
    assert request.batch.slot == UTC_2


@pytest.mark.parametrize("count", [None, "", "x", "-1", "9" * 5000, "٣", 3.5])
def test_an_attempt_without_a_valid_count_is_the_first(count):
    assert parse_take(delivered(BATCH, attributes={"ApproximateReceiveCount": count})).attempt == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({**BATCH, "more": 1}, "more is 1, and there is no such field"),
        ({**BATCH, "slot": "yesterday"}, "slot is 'yesterday'"),
        (
            {**BATCH, "slot": "0001-01-01T00:00:00+14:00"},
            "T00:00:00+14:00', expected a time that is in the years",
        ),
        ({**BATCH, "instance_ids": []}, "instance_ids is []"),
        ({**BATCH, "instance_ids": ["i-1"]}, "instance_ids[0] is 'i-1'"),
        ({**BATCH, "at_once": -1}, "at_once is -1"),
        ({**BATCH, "number": True}, "number is true"),
        ([BATCH], "Records[0].body is"),
        ("[" * 100_000, "Records[0].body is"),
        ("", "Records[0].body is ''"),
    ],
)
def test_a_wrong_batch_is_refused_with_one_sentence(body, said):
    with pytest.raises(BadRequest) as refusal:
        parse_take(delivered(body))
    assert said in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1


CHOICES: dict[str, Any] = {
    "latest": "latest",
    "latest-proven": "latest-proven",
    "an id": "rp-20261123T020000Z-i-0123456789abcdef0",
    "a snapshot": SNAP,
    "snapshots": [SNAP, SNAP2],
    "of a lineage": {"lineage": VOL},
    "of an instance, before a time": {"instance_id": INSTANCE, "before": "2026-11-23T02:00:00Z"},
    "of a lineage, proven": {"lineage": VOL, "proven": True},
    "proven": {"proven": True},
}


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES.keys())
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"volume": {"type": "gp3", "iops": 4000}, "ami_override": {"reason": "the vendor said so"}, "start": False},
    ],
    ids=["alone", "with all else"],
)
def test_a_restore_that_is_handed_over_is_the_one_that_was_sent(choice, more):
    request = parse_restore({"instance_id": INSTANCE, "recovery_point": choice, "dry_run": True, **more})
    assert isinstance(request, RestoreRequest)
    assert parse_restore(json.loads(json.dumps(request.as_sent()))) == request
