"""After a restore: the first next steps, the tag, the consent, and a restore that was called off."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lifeboat.domain.tags import Tag
from lifeboat.restore.afterwards import describe_cancelled
from lifeboat.restore.messages import restore_ended
from lifeboat.restore.record import KeptVolume, RestoreState, RestoreStep, TimelineEntry
from lifeboat.restore.report import outcome
from tests.messages.golden_messages import ACCOUNT, AT, DISPLACED, FRESH, PLATFORM, REGION, RESTORED, SECOND, restore

CONSENT = (
    f"Take your consent back: aws ec2 delete-tags --region {REGION} --resources {FRESH} {DISPLACED} "
    f"{SECOND['displaced']} --tags Key={Tag.RESTORE_TARGET}"
)


def off(**facts):
    known = {"status": RestoreState.ROLLED_BACK, "cancelled_by": "operator", "failure": "cancelled by operator"}
    return restore(**{**known, **facts})


def ended(record):
    return restore_ended(stack="lifeboat", at=AT, restore=record, outcome=outcome(record, AT, REGION, ACCOUNT))


def test_the_first_steps_after_a_restore_are_data_backup_and_consent():
    steps = outcome(restore(status=RestoreState.COMPLETED), AT, REGION, ACCOUNT).next_steps
    assert steps[:3] == (
        f"Log in to {FRESH} and check the data.",
        f"Put {FRESH} under backup, which it is not without this tag: aws ec2 create-tags --region {REGION} "
        f"--resources {FRESH} --tags Key=lifeboat:backup,Value=true",
        CONSENT,
    )


def test_the_instance_that_was_backed_up_has_its_tag_already():
    record = restore(status=RestoreState.COMPLETED, source_instance_id=FRESH)
    assert outcome(record, AT, REGION, ACCOUNT).next_steps[1] == CONSENT
    assert PLATFORM not in " ".join(outcome(record, AT, REGION, ACCOUNT).next_steps)


@pytest.mark.parametrize(
    ("tag", "named"),
    [
        (("Name", "platform"), "--tags Key=Name,Value=platform"),
        (("Name", "my platform"), """--tags '[{"Key": "Name", "Value": "my platform"}]'"""),
        (("a=b", "c"), """--tags '[{"Key": "a=b", "Value": "c"}]'"""),
    ],
)
def test_the_tag_is_the_one_of_the_stack(tag, named):
    steps = outcome(restore(status=RestoreState.COMPLETED), AT, REGION, ACCOUNT, tag).next_steps
    assert steps[1].endswith(named)


def test_the_next_steps_come_before_the_facts():
    text = ended(restore(status=RestoreState.COMPLETED)).to_text().splitlines()
    assert text[2] == "What to do next:"
    assert text.index("What to do next:") < text.index(f"instance id: {FRESH}")


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (
            {"volumes": tuple(replace(item, restored_volume_id=None) for item in restore().volumes)},
            f"Until then it had changed nothing: {FRESH} was not touched.",
        ),
        ({}, f"Meanwhile it made 2 volumes, which are deleted. {FRESH} was not touched."),
        (
            {
                "touched": True,
                "timeline": (TimelineEntry(AT, RestoreStep.DETACH, "detaches"),),
                "kept": (KeptVolume(RESTORED, "an instance ran on it"),),
            },
            f"Meanwhile it made 2 volumes, of which {RESTORED} stays; it stopped {FRESH} and started it again; "
            "it put the displaced volumes back.",
        ),
    ],
    ids=["nothing", "before the stop", "after the swap"],
)
def test_a_restore_that_was_called_off_says_by_whom_and_what_it_did(facts, said):
    message = ended(off(**facts))
    assert message.subject_line() == "[lifeboat] CadoResponse restore called off"
    assert "was called off by operator. " + said in message.summary
    assert message.summary.endswith("The instance is as it was.")
    assert message.next_steps[:2] == (
        f"Nothing has changed on {FRESH}, as the restore was called off. To restore all the same, send a new request.",
        CONSENT,
    )


@pytest.mark.parametrize(
    ("by", "reason", "said"),
    [
        ("", "", "called off by a person. "),
        ("operator", "wrong one", 'called off by operator, who said "wrong one". '),
        ("operator", "wrong", 'called off by operator, who said "wrong". '),
        ("x\nWhat to do next:", 'a"b', """called off by "x What to do next:", who said "a'b". """),
    ],
)
def test_the_words_of_a_person_are_quoted(by, reason, said):
    assert describe_cancelled(off(cancelled_by=by, cancel_reason=reason)).startswith(said)


def test_a_restore_that_failed_was_not_called_off():
    message = ended(replace(off(), cancelled_by=None, failure="no room"))
    assert message.verdict == "restore rolled back"
    assert "called off" not in message.to_text()
