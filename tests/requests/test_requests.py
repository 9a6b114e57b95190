"""EARS: every sample of AWS's events is understood, or refused with one sentence."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeboat.ami import request as ami_request
from lifeboat.ami.request import ImageRequest
from lifeboat.backup import request as backup_request
from lifeboat.backup.request import BackupRequest, ConfirmRequest
from lifeboat.copies import request as copies_request
from lifeboat.copies.request import CopyRequest
from lifeboat.domain import bad_request
from lifeboat.domain.bad_request import BadRequest
from lifeboat.domain.envelopes import parse_event
from lifeboat.domain.trigger import Trigger
from lifeboat.restore import request as restore_request
from lifeboat.restore.request import AdvanceRequest
from lifeboat.retention import request as retention_request
from lifeboat.retention.request import AdoptRequest, PruneRequest, VolumeFacts

ROOT = Path(__file__).parents[2]
SAMPLES = {
    path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "tests" / "fixtures" / "events").glob("*.json"))
}
DOORS = {
    "take_snapshots": backup_request.parse_take,
    "confirm_snapshots": backup_request.parse_confirm,
    "prune_snapshots": retention_request.parse_prune,
    "copy_snapshots": copies_request.parse_copy,
    "restore_volume": restore_request.parse_restore,
    "attach_volume": restore_request.parse_advance,
    "check_ami_owner": ami_request.parse_check,
}

SNAP, SNAP2, COPY = "snap-0a1b2c3d4e5f60718", "snap-0b2c3d4e5f6071829", "snap-0c3d4e5f607182930"
VOL, INSTANCE = "vol-0123456789abcdef0", "i-0123456789abcdef0"

# what each sample is heard as: (event, result, the resources named); None: refused
HEARD: dict[str, tuple[str, str, str] | None] = {
    "cloudtrail-AttachVolume-RECONSTRUCTED": ("AttachVolume", "", VOL),
    "cloudtrail-DetachVolume": ("DetachVolume", "", VOL),
    "ebs-archiveSnapshot-succeeded": ("archiveSnapshot", "succeeded", SNAP),
    "ebs-attachVolume-failed": ("attachVolume", "failed", VOL),
    "ebs-copySnapshot-failed": ("copySnapshot", "failed", COPY),
    "ebs-copySnapshot-missed-duration-1st-event": ("copySnapshot", "", COPY),
    "ebs-copySnapshot-standard-succeeded": ("copySnapshot", "succeeded", COPY),
    "ebs-copySnapshot-timebased-late-2nd-event": ("copySnapshot", "succeeded", COPY),
    "ebs-copySnapshot-timebased-succeeded": ("copySnapshot", "succeeded", COPY),
    "ebs-createSnapshot-failed": ("createSnapshot", "failed", SNAP),
    "ebs-createSnapshot-succeeded": ("createSnapshot", "succeeded", SNAP),
    "ebs-createSnapshots-failed": ("createSnapshots", "failed", SNAP),
    "ebs-createSnapshots-succeeded": ("createSnapshots", "succeeded", SNAP2),
    "ebs-createVolume-available": ("createVolume", "available", VOL),
    "ebs-createVolume-failed": ("createVolume", "failed", VOL),
    "ebs-deleteVolume": ("deleteVolume", "deleted", VOL),
    "ebs-fsr-state-change": ("", "enabled", SNAP),
    "ebs-initializeVolume-succeeded": ("initializeVolume", "succeeded", VOL),
    "ebs-lockSnapshot-succeeded": ("lockSnapshot", "succeeded", SNAP),
    "ebs-modifyVolume-optimizing": ("modifyVolume", "optimizing", VOL),
    "ebs-reattachVolume-failed": ("reattachVolume", "failed", VOL),
    "ebs-shareSnapshot": ("shareSnapshot", "succeeded", SNAP),
    "ebs-sharedVolumeCopy-RECONSTRUCTED": ("sharedVolumeCopy", "completed", VOL),
    "ec2-ami-state-available": ("", "available", "ami-0abcdef1234567890"),
    "ec2-ami-state-deregistered": ("", "deregistered", "ami-0abcdef1234567890"),
    "ec2-ami-state-disabled": ("", "disabled", "ami-0abcdef1234567890"),
    "ec2-ami-state-failed": ("", "failed", "ami-0abcdef1234567890"),
    "ec2-instance-state-pending": ("", "pending", INSTANCE),
    "ec2-instance-state-running": ("", "running", INSTANCE),
    "ec2-instance-state-shutting-down": ("", "shutting-down", INSTANCE),
    "ec2-instance-state-stopped": ("", "stopped", INSTANCE),
    "ec2-instance-state-stopping": ("", "stopping", INSTANCE),
    "ec2-instance-state-terminated": ("", "terminated", INSTANCE),
    "eventbridge-scheduled-rule": ("", "", ""),
    "scheduler-default-no-input": ("", "", ""),
    # not events of EventBridge
    "lambda-onfailure-destination": None,
    "scheduler-dlq-sqs-message": None,
    "scheduler-lambda-event-delivered": None,
    "scheduler-target-input-template": None,
    "sns-to-lambda": None,
}


def test_every_sample_has_its_expectation():
    assert set(SAMPLES) == set(HEARD)
    assert len(SAMPLES) == 40


@pytest.mark.parametrize("name", sorted(HEARD))
def test_a_sample_is_understood_or_refused_with_one_sentence(name):
    expected = HEARD[name]
    if expected is None:
        with pytest.raises(BadRequest) as refusal:
            parse_event(SAMPLES[name])
        assert "expected" in str(refusal.value)
        assert "\n" not in str(refusal.value)
        return
    fact = parse_event(SAMPLES[name])
    assert (fact.event, fact.result) == expected[:2]
    named = {*fact.snapshot_ids, *fact.volume_ids, *fact.instance_ids, *fact.image_ids}
    assert expected[2] in named if expected[2] else not named
    assert fact.account in {"111122223333", "444455556666"}
    assert fact.region


@pytest.mark.parametrize("function", sorted(DOORS))
@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_door_hears_what_is_for_it_and_refuses_the_rest(function, name):
    try:
        DOORS[function](SAMPLES[name])
    except BadRequest as refusal:
        said = str(refusal)
    else:
        return
    assert "expected" in said
    assert "\n" not in said


COPIED = {name for name in SAMPLES if name.startswith("ebs-copySnapshot-") and "1st-event" not in name}


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_of_ec2s_events_copies_go_on_with_the_end_of_a_copy_alone(name):
    if name in COPIED:
        assert copies_request.parse_copy(SAMPLES[name]) == CopyRequest(ended=(COPY,))
        return
    with pytest.raises(BadRequest):
        copies_request.parse_copy(SAMPLES[name])


def test_a_stray_blank_in_the_events_name_is_forgiven():
    sample = json.loads(json.dumps(SAMPLES["ebs-initializeVolume-succeeded"]))
    sample["detail"]["event"] = " initializeVolume"
    assert parse_event(sample).event == "initializeVolume"


@pytest.mark.parametrize("path", sorted(path for path in (ROOT / "events").rglob("*.json")), ids=lambda p: p.stem)
def test_the_test_events_of_every_door_are_understood(path):
    DOORS[path.parent.name](json.loads(path.read_text()))


def test_every_door_has_a_test_event():
    assert {path.name for path in (ROOT / "events").iterdir()} == set(DOORS)


UTC_2 = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("function", "event", "request_"),
    [
        (
            "take_snapshots",
            {"scheduled_time": "2026-11-23T02:00:00Z"},
            BackupRequest(Trigger.SCHEDULE, slot=UTC_2),
        ),
        ("take_snapshots", SAMPLES["eventbridge-scheduled-rule"], BackupRequest(Trigger.SCHEDULE, slot=UTC_2)),
        (
            "take_snapshots",
            {"instance_ids": [INSTANCE, INSTANCE], "dry_run": True},
            BackupRequest(Trigger.MANUAL, instance_ids=(INSTANCE,), dry_run=True),
        ),
        ("confirm_snapshots", {"sweep": True}, ConfirmRequest(reconcile=True)),
        (
            "confirm_snapshots",
            SAMPLES["ebs-createSnapshots-succeeded"],
            ConfirmRequest(snapshot_ids=(SNAP, SNAP2)),
        ),
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
        ("prune_snapshots", {"dry_run": True}, PruneRequest(Trigger.MANUAL, dry_run=True)),
        ("prune_snapshots", {"scheduled_time": "2026-11-23T02:00:00Z"}, PruneRequest(Trigger.SCHEDULE)),
        (
            "prune_snapshots",
            {"Records": [{"Sns": {"Message": '{"event": "BackupCompleted"}'}}]},
            PruneRequest(Trigger.EVENT),
        ),
        (
            "prune_snapshots",
            {"Records": [{"Sns": {"Message": '{"event": "BackupCompleted", "subject": {"recovery_point": "rp-1"}}'}}]},
            PruneRequest(Trigger.EVENT, completed="rp-1"),
        ),
        (
            "prune_snapshots",
            {"Records": [{"Sns": {"Message": '{"event": "BackupCompleted", "subject": {"recovery_point": 1}}'}}]},
            PruneRequest(Trigger.EVENT),
        ),
        ("prune_snapshots", {"adopt": {"volume_id": VOL}}, AdoptRequest(volume_id=VOL)),
        (
            "prune_snapshots",
            {"adopt": {"volume_id": VOL}, "volume": {"device": "/dev/sdh", "iops": 3000}, "confirm": True},
            AdoptRequest(volume_id=VOL, facts=VolumeFacts(device="/dev/sdh", iops=3000), confirm=True),
        ),
        (
            "prune_snapshots",
            {"adopt": {"tag": {"key": "By", "value": "night"}}, "confirm": False},
            AdoptRequest(tag=("By", "night")),
        ),
        ("attach_volume", {"sweep": True}, AdvanceRequest(reconcile=True)),
        ("attach_volume", SAMPLES["ebs-createVolume-available"], AdvanceRequest(volume_ids=(VOL,))),
        ("attach_volume", SAMPLES["ebs-copySnapshot-standard-succeeded"], AdvanceRequest(copy_ids=(COPY,))),
        ("attach_volume", SAMPLES["ec2-instance-state-stopped"], AdvanceRequest(instance_ids=(INSTANCE,))),
        ("check_ami_owner", SAMPLES["ec2-instance-state-running"], ImageRequest(Trigger.EVENT, (INSTANCE,))),
        ("check_ami_owner", {}, ImageRequest(Trigger.MANUAL)),
        ("check_ami_owner", {"scheduled_time": "2026-11-23T02:00:00Z"}, ImageRequest(Trigger.SCHEDULE)),
    ],
)
def test_what_a_door_makes_of_its_event(function, event, request_):
    assert DOORS[function](event) == request_


BLANKS = ["", " ", "\t\n", "\u00a0", "\u200b\u200d", "\ufeff", "\u2800", "\u3164", "\x00", "\u0301"]


@pytest.mark.parametrize("blank", BLANKS)
def test_a_blank_reason_overrides_nothing(blank):
    asked = {"instance_id": INSTANCE, "recovery_point": "latest", "ami_override": {"reason": blank}}
    with pytest.raises(BadRequest, match=r"^ami_override\.reason is .*, expected a reason in words"):
        restore_request.parse_restore(asked)


@pytest.mark.parametrize("blank", BLANKS[1:])
@pytest.mark.parametrize("field", ["requested_by", "reason", "request_id"])
@pytest.mark.parametrize(
    "asked", [{"instance_id": INSTANCE, "recovery_point": "latest"}, {"cancel": "restore-0123456789abcdef"}]
)
def test_blanks_are_no_words_of_a_person(asked, field, blank):
    other = "and there is no such field beside cancel: expected one of cancel, "
    said = rf"^{field} is .*, (expected words, or no such field$|{other})"
    with pytest.raises(BadRequest, match=said):
        restore_request.parse_restore({**asked, field: blank})


@pytest.mark.parametrize("text", ["x", "?", " because ", "\u65e5\u672c", "\U0001f525", "42", "\u0644\u0623\u0646"])
def test_anything_that_can_be_seen_is_a_reason(text):
    asked = {"instance_id": INSTANCE, "recovery_point": "latest", "ami_override": {"reason": text}, "reason": text}
    heard = restore_request.parse_restore(asked)
    assert (heard.ami_override_reason, heard.reason) == (text, text)


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
        ("confirm_snapshots", SAMPLES["ebs-deleteVolume"], "about no snapshot, expected an event that names one"),
        (
            "copy_snapshots",
            {"Records": [{"Sns": {"Message": '{"event": "BackupFailed"}'}}]},
            "event is 'BackupFailed', expected BackupCompleted",
        ),
        ("copy_snapshots", {"retry": "now"}, "retry is 'now', expected"),
        ("prune_snapshots", {"Records": []}, "Records is [], expected one record of SNS"),
        ("prune_snapshots", {"Records": [{"Sns": {"Message": "hi"}}]}, "expected a JSON object"),
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
            'volume is {"type": "gp3"} beside adopt.tag',
        ),
        ("prune_snapshots", {"adopt": {"volume_id": VOL}, "volume": {"type": "gp4"}}, "volume.type is 'gp4', expected"),
        ("attach_volume", SAMPLES["eventbridge-scheduled-rule"], "about no volume or instance"),
        ("check_ami_owner", SAMPLES["ebs-deleteVolume"], "expected EC2 Instance State-change Notification"),
        ("check_ami_owner", {"instance_ids": ["x" * 500]}, "..., expected"),
    ],
)
def test_bad_input_gets_one_sentence_naming_field_value_expectation(function, event, sentence):
    with pytest.raises(BadRequest) as refusal:
        DOORS[function](event)
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
    """A sample or test event with something in it replaced."""
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


@pytest.mark.parametrize("function", sorted(DOORS))
@given(event=mutated() | anything)
def test_nothing_but_a_request_or_a_clean_refusal(function, event):
    try:
        DOORS[function](event)
    except BadRequest as refusal:
        said = str(refusal)
    else:
        return
    assert "\n" not in said


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-13-01T00:00:00Z"])
def test_a_time_that_no_clock_shows_is_refused(text):
    with pytest.raises(BadRequest, match=r"^scheduled_time is '.*', expected a time with its zone, such as"):
        backup_request.parse_take({"scheduled_time": text})


def test_a_refusal_cannot_command_a_terminal():
    with pytest.raises(BadRequest) as refusal:
        ami_request.parse_check({"\x1b]0;owned\x07": "\x1b[2J"})
    said = r"\x1b]0;owned\x07 is '\x1b[2J', and there is no such field: expected one of instance_ids, scheduled_time"
    assert str(refusal.value) == said


KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
KMS = "arn:aws:kms:eu-west-1:111122223333:"


@pytest.mark.parametrize(
    "key", [KEY_ID, f"mrk-{KEY_ID}", "alias/backup/eu", f"{KMS}key/{KEY_ID}", f"{KMS}alias/backup"]
)
def test_a_key_is_named_as_ec2_takes_it(key):
    ask = {"instance_id": INSTANCE, "recovery_point": "latest", "volume": {"kms_key_id": key}}
    assert restore_request.parse_restore(ask).volume.kms_key_id == key


@pytest.mark.parametrize(
    "key", ["", "a key", "arn:aws:s3:::bucket", "arn:aws:kms:eu-west-1:1:key/1", "x" * 257, "alias/a\n"]
)
def test_what_is_no_key_is_refused(key):
    ask = {"instance_id": INSTANCE, "recovery_point": "latest", "volume": {"kms_key_id": key}}
    with pytest.raises(BadRequest, match=r"^volume\.kms_key_id is .*, expected"):
        restore_request.parse_restore(ask)


PORTION = {
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


def test_a_portion_comes_with_its_message_and_its_attempt():
    heard = backup_request.parse_take(delivered(PORTION, attributes={"ApproximateReceiveCount": "3"}))
    assert (heard.message_id, heard.receipt, heard.attempt) == ("m", "h", 3)
    assert heard.batch.instance_ids == (INSTANCE,)
    assert heard.batch.slot == UTC_2


@pytest.mark.parametrize("count", [None, "", "x", "-1", "9" * 5000, "٣", 3.5])
def test_an_attempt_that_cannot_be_read_is_the_first(count):
    assert backup_request.parse_take(delivered(PORTION, attributes={"ApproximateReceiveCount": count})).attempt == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({**PORTION, "more": 1}, "more is 1, and there is no such field"),
        ({**PORTION, "slot": "yesterday"}, "slot is 'yesterday'"),
        ({**PORTION, "slot": "0001-01-01T00:00:00+14:00"}, "expected a time with its zone, such as"),
        ({**PORTION, "instance_ids": []}, "instance_ids is []"),
        ({**PORTION, "instance_ids": ["i-1"]}, "instance_ids[0] is 'i-1'"),
        ({**PORTION, "at_once": -1}, "at_once is -1"),
        ({**PORTION, "number": True}, "number is true"),
        ([PORTION], "Records[0].body is"),
        ("[" * 100_000, "Records[0].body is"),
        ("", "Records[0].body is ''"),
    ],
)
def test_a_portion_that_is_none_is_refused_in_one_sentence(body, said):
    with pytest.raises(bad_request.BadRequest) as refusal:
        backup_request.parse_take(delivered(body))
    assert said in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1
