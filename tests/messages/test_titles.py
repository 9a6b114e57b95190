"""Titles and subjects: name and verdict in sight, whatever the names are, and no name passes for Lifeboat's words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeboat.domain.message import SEVERITIES
from lifeboat.domain.title import IN_SIGHT, MOST_NAME, SUBJECT_LENGTH, VERDICTS, name_of_point, quote
from tests.messages.golden_messages import FRESH, NAME, PLATFORM, messages
from tests.messages.hostile_names import HOSTILE

SUBJECTS = {
    "BackupStarted": "CadoResponse backup begun",
    "BackupIncomplete": "2 instances BACKUP INCOMPLETE",
    "BackupCompleted": "CadoResponse backed up",
    "UnplannedSnapshotTaken": "CadoResponse volumes changed",
    "BackupFailed": "CadoResponse BACKUP FAILED",
    "BackupOverdue": "CadoResponse BACKUP OVERDUE",
    "RecoveryPointNotLocked": "CadoResponse NOT LOCKED",
    "SnapshotsCopied": "CadoResponse copied to eu-central-1",
    "CopyFailed": f"{PLATFORM} COPY FAILED",
    "SharingFailed": "CadoResponse SHARING FAILED",
    "MetadataMissing": "account 111122223333 metadata missing",
    "SnapshotsPruned": "1 recovery point not deleted",
    "RetentionChanged": "retention policy changed",
    "RecoveryPointsAdopted": "1 snapshot adopted",
    "RecoveryPointVerified": "CadoResponse proven",
    "VerificationFailed": "CadoResponse VERIFICATION FAILED",
    "VerificationStopped": f"{PLATFORM} verification stopped",
    "CopyNotCompared": "CadoResponse copy not compared",
    "RecoveryPointSuspect": "CadoResponse MAY BE ENCRYPTED",
    "RestoreStarted": "CadoResponse restore begun",
    "RestoreRefused": "CadoResponse restore refused",
    "RestoreCompleted": "CadoResponse restored",
    "RestoreRolledBack": "CadoResponse restore rolled back",
    "RestoreFailed": "CadoResponse RESTORE FAILED",
    "DrillPassed": "CadoResponse drill passed",
    "DrillFailed": "CadoResponse DRILL FAILED",
    "EvidenceAtRisk": "cadoresponse-1a2b3c EVIDENCE AT RISK",
    "EvidenceRiskRemoved": "cadoresponse-1a2b3c risk removed",
    "EvidenceLost": "cadoresponse-1a2b3c evidence lost",
    "StackChecked": "stack HAS 1 FAULT",
    "CoverageReport": "stack has 2 gaps",
    "AmiOwnerTrusted": "CadoResponse image trusted",
    "AmiOwnerUntrusted": "CadoResponse IMAGE NOT TRUSTED",
    "AmiOwnerUnknown": "CadoResponse image owner unknown",
}

STACKS = ("lifeboat", "s" * 128)


def test_each_message_has_its_subject():
    assert {event: message.subject_line() for event, message in messages().items()} == {
        event: f"[lifeboat] {title}" for event, title in SUBJECTS.items()
    }


def test_each_event_has_a_verdict():
    assert list(VERDICTS) == list(SEVERITIES)
    assert max(map(len, VERDICTS.values())) <= len("also in ap-southeast-99")


@pytest.mark.parametrize("stack", STACKS, ids=["short", "long"])
def test_a_hundred_hostile_names_leave_name_and_verdict_in_sight(stack):
    assert len(HOSTILE) >= 100
    for name in (NAME, *HOSTILE):
        for event, message in messages(name).items():
            line = replace(message, stack=stack).subject_line()
            assert line.encode("ascii"), (event, name)
            assert line.isprintable(), (event, name)
            assert len(line) <= IN_SIGHT <= SUBJECT_LENGTH, (event, name, line)
            assert line.endswith(f" {message.verdict}"), (event, name, line)
            between = line.removeprefix(f"[{stack[:32]}] ").removesuffix(f" {message.verdict}")
            assert stack != "lifeboat" or "[" not in between or between.startswith('"'), line


def test_no_name_imitates_a_next_step():
    """The mail has the same lines and the same steps, and a name of several words stands in quotation marks."""
    usual = messages()
    for name in HOSTILE:
        for event, message in messages(name).items():
            assert message.next_steps == usual[event].next_steps, (event, name)
            text, known = message.to_text().split("\n"), usual[event].to_text().split("\n")
            assert len(text) == len(known), (event, name)
            assert all(line.isprintable() for line in text), (event, name)
            for line, other in zip(text, known, strict=True):
                if line != other:  # only where the usual name stands, and no longer than a name may be
                    before, after = other.split(NAME, 1)
                    assert line.startswith(before), (event, line)
                    assert line.endswith(after), (event, line)
                    shown = line[len(before) : len(line) - len(after)]
                    assert len(shown) <= MOST_NAME, (event, shown)
                    assert " " not in shown or (shown[0] == shown[-1] == '"' and shown.count('"') == 2), shown


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=300), st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,127}", fullmatch=True))
def test_any_name_and_stack_make_one_line(name, stack):
    message = replace(messages()["RestoreFailed"], name=name, stack=stack)
    line = message.subject_line()
    assert line.isascii()
    assert line.isprintable()
    assert len(line) <= IN_SIGHT
    assert line.startswith(f"[{stack[:10]}")
    assert line.endswith(" RESTORE FAILED")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("CadoResponse", "CadoResponse"),
        ("Büro-1.eu_west", "Büro-1.eu_west"),
        ("Cado Response", '"Cado Response"'),
        ('a" b', '"a\' b"'),
        ("a\nb", '"a b"'),
        ("", FRESH),
        ("\u3164", FRESH),
        ("x" * 256, "x" * 57 + "..."),
        ("x " * 128, '"' + "x " * 27 + "x" + '..."'),
    ],
)
def test_a_name_in_a_sentence(name, shown):
    assert quote(name, FRESH) == shown


@pytest.mark.parametrize(
    ("point_id", "name"),
    [
        (f"rp-20261123T020000Z-{PLATFORM}", PLATFORM),
        (f"rp-20261123T020000Z-{PLATFORM}-444455556666", f"{PLATFORM}-444455556666"),
        ("restore-0123", "restore-0123"),
    ],
)
def test_a_recovery_point_is_called_by_its_instance(point_id, name):
    assert name_of_point(point_id) == name


@pytest.mark.parametrize("event", ["RestoreFailed", "BackupFailed", "BackupOverdue", "AmiOwnerUntrusted"])
def test_an_instance_without_a_name_is_called_by_its_id(event):
    message = messages("")[event]
    assert message.title() == f"{message.subject['instance_id']} {message.verdict}"
    assert message.subject_line() == f"[lifeboat] {message.title()}"
