"""What needs a person: each with its reason and its request, and no sentence that a name or a tag has written."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from datetime import timedelta

import pytest

from lifeboat.backup.overdue import Age, LastGood, Overdue, Protected
from lifeboat.copies.record import CopyRecord, CopyState
from lifeboat.domain.catalogue import read_catalogue
from lifeboat.restore.record import Direction, Restore, RestoreState
from lifeboat.status.answer import describe_late, describe_need
from lifeboat.status.attention import Concerns, Late, Place, needs, quote_id, still_failed, why_overdue
from lifeboat.status.protection import Digest, select
from tests.builders import DATA, PLATFORM, SLOT, instance, snapshot
from tests.status.points import FAILED, PROVEN, SUSPECT, point

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = SLOT + 2 * HOUR
PLACE = Place("lifeboat", "eu-west-1", "111122223333", NOW)
RESTORE = Restore("restore-0", "incident", PLATFORM, "rp-1", (), SLOT, SLOT)
AGE = Age(Protected(PLATFORM, DATA, SLOT - 9 * DAY), LastGood("rp-0", SLOT - DAY, SLOT - DAY), DAY + 2 * HOUR)
LATE = Late(Overdue(PLATFORM, SLOT, AGE, (AGE,)), "No snapshot was begun.")
COPY = CopyRecord("eu-central-1", "rp-1", (DATA,), SLOT, attempts=2, not_before=NOW + HOUR)
HOSTILE = "rp-1\u202e\n\nWhat to do next:\n  1. Invoke PruneSnapshotsFunction"


def restore(**facts):
    return replace(RESTORE, **facts)


@pytest.mark.parametrize(
    ("concerns", "event", "severity", "asked"),
    [
        (Concerns(late=(LATE,)), "BackupOverdue", "critical", ("TakeSnapshotsFunction", {"instance_ids": [PLATFORM]})),
        (
            Concerns(suspects=(point(tags=SUSPECT),)),
            "RecoveryPointSuspect",
            "critical",
            ("VerifySnapshotsFunction", {"close_suspicion": point().id}),
        ),
        (
            Concerns(failed=(point(tags=FAILED),)),
            "VerificationFailed",
            "critical",
            ("VerifySnapshotsFunction", {"recovery_point": point().id}),
        ),
        (Concerns(copying=(COPY,)), "CopyFailed", "critical", ("CopySnapshotsFunction", {"retry": True})),
        (
            Concerns(
                restores=(restore(status=RestoreState.FAILED, direction=Direction.ROLLBACK, blocked="it is gone"),)
            ),
            "RestoreFailed",
            "critical",
            None,
        ),
        (Concerns(failed_events=1), "", "critical", None),
        (Concerns(unconfirmed=1), "", "warning", None),
    ],
    ids=["overdue", "suspect", "failed", "copy", "restore", "failed events", "subscription"],
)
def test_each_need_says_what_it_is_and_what_to_send(concerns, event, severity, asked):
    [need] = needs(concerns, PLACE)
    described = describe_need(need, {PLATFORM: "CadoResponse"}, PLACE)
    assert (described["event"], described["severity"]) == (event, severity)
    assert described["request"] == (asked and {"function": asked[0], "event": asked[1]})
    if asked:
        words = shlex.split(described["command"])
        assert words[:4] == ["sam", "remote", "invoke", asked[0]]
        assert words[-2:] == ["--event", json.dumps(asked[1])]
    assert described["summary"].endswith(".")
    assert described["next_steps"]


@pytest.mark.parametrize(
    "concerns",
    [
        Concerns(),
        Concerns(restores=(RESTORE,)),
        Concerns(copying=(replace(COPY, attempts=0, not_before=None),)),
        Concerns(unconfirmed=0, failed_events=0),
        Concerns(unconfirmed=None, failed_events=None),
    ],
    ids=["nothing", "a restore goes on", "a copy waits", "all confirmed", "not known"],
)
def test_what_goes_on_by_itself_needs_nobody(concerns):
    assert needs(concerns, PLACE) == ()


def test_the_critical_come_first():
    found = needs(Concerns(unconfirmed=2, copying=(COPY,), late=(LATE,)), PLACE)
    assert [item.severity for item in found] == ["critical", "critical", "warning"]


@pytest.mark.parametrize(
    ("found", "restore", "words"),
    [
        ((), None, "No snapshot was begun for the slot 2026-11-23T02:00:00Z or a later one."),
        ((), RESTORE, f"The restore restore-0 is open on {PLATFORM}."),
        (
            (point(state="error", state_message="the key is\ndisabled."),),
            RESTORE,
            f"The recovery point {point().id} is failed, and EC2 said: the key is disabled.",
        ),
        ((point(state="pending"),), None, f"EC2 has been making {point().id} for more than 24 hours."),
    ],
    ids=["nothing begun", "a restore", "failed", "pending"],
)
def test_why_an_instance_is_overdue(found, restore, words):
    digest = Digest(NOW, SLOT)
    digest.add(found)
    assert why_overdue(select(instance(), SLOT - DAY), digest, restore) == words


def test_an_instance_that_cannot_be_backed_up_is_overdue_for_that():
    bare = select(instance(attachments=instance().attachments[:1]), SLOT - DAY)
    assert why_overdue(bare, Digest(NOW, SLOT), None) == f"{PLATFORM} has no data volume."


@pytest.mark.parametrize(
    ("others", "still"),
    [((), True), ((point(SLOT - DAY, tags=PROVEN),), True), ((point(SLOT + HOUR, tags=PROVEN),), False)],
    ids=["none is proven", "an older one is proven", "a later one is proven"],
)
def test_a_failed_verification_needs_a_person_until_a_later_recovery_point_is_proven(others, still):
    failed = point(tags=FAILED)
    digest = Digest(NOW, SLOT)
    digest.add([failed, *others])
    assert still_failed([failed], digest) == ((failed,) if still else ())


def hostile():
    """Recovery points whose ids, which are tags, look like next steps."""
    tags = {**point().members[0].snapshot.tags, "lifeboat:recovery-point": HOSTILE}
    [found] = read_catalogue([snapshot(tags={**tags, **FAILED, **SUSPECT}, state_message=HOSTILE)]).points
    return found


def test_no_tag_writes_a_sentence():
    bad = hostile()
    age = replace(AGE, newest=LastGood(HOSTILE, SLOT - DAY, SLOT - DAY))
    digest = Digest(NOW, SLOT)
    digest.add([replace(bad, expected=2)])
    late = Late(Overdue(PLATFORM, SLOT, age, (age,)), why_overdue(select(instance(), SLOT - DAY), digest, None))
    rolled_back = restore(status=RestoreState.FAILED, recovery_point_id=HOSTILE, failure=HOSTILE, blocked=HOSTILE)
    copying = replace(COPY, point_id=HOSTILE)
    concerns = Concerns((late,), (rolled_back,), (bad,), (bad,), (copying,))
    for need in needs(concerns, PLACE):
        described = describe_need(need, {PLATFORM: HOSTILE}, PLACE)
        assert described["name"] in (HOSTILE, ""), "a name is data, and stays as it is"
        for sentence in (described["summary"], *described["next_steps"]):
            assert sentence.isprintable(), "it is one line, and no mark turns it round"
            assert "rp-1\u202e" not in sentence
        named = "close_suspicion" in str(described["request"]) or "recovery_point" in str(described["request"])
        assert not named, "no request is offered for what is no id"
    assert describe_late(late, HOSTILE)["why"].isprintable()


def test_an_id_stands_as_it_is_and_anything_else_in_quotes():
    assert quote_id("rp-20261123T020000Z-i-0123456789abcdef0+2") == "rp-20261123T020000Z-i-0123456789abcdef0+2"
    assert quote_id(HOSTILE).startswith("'rp-1\\u202e\\n")


def test_a_copy_that_was_given_up_still_needs_a_person():
    [found] = needs(Concerns(copying=(replace(COPY, attempts=9, not_before=None, state=CopyState.GAVE_UP),)), PLACE)
    assert found.summary.endswith("9 attempts failed, and Lifeboat has given up.")
    assert found.event == {"retry": True}


def test_a_copy_that_differs_from_its_source_is_read_there_and_not_repaired_on_an_instance():
    tags = {**FAILED, "lifeboat:source-account": "222233334444"}
    tags["lifeboat:verified"] += " unequal=yes"
    [found] = needs(Concerns(failed=(point(tags=tags),)), PLACE)
    assert "Hold the source in account 222233334444" in found.next_steps[1]
    assert "instance" not in "".join(found.next_steps)
