"""The demo's e-mails say whole why, and what to do next."""

from local.letters import chosen, opening
from local.session import ROOT

GOLDEN = ROOT / "tests" / "golden" / "messages"


def golden(event: str) -> dict[str, str]:
    return {"text": (GOLDEN / f"{event}.txt").read_text(), "subject": event}


def test_next_steps_and_reasons_are_whole_and_long_facts_are_counted():
    text = golden("RestoreCompleted")["text"]
    steps = text[text.index("What to do next:") :]
    shown = opening(text)
    assert steps.strip().split("\n\n")[0] in shown
    assert "more lines" in shown
    refused = golden("RestoreRefused")["text"]
    assert opening(refused).strip() == refused.strip()


def test_the_first_letter_of_each_event_is_chosen_in_the_asked_order():
    letters = [golden("RestoreRefused"), golden("BackupCompleted"), golden("RestoreRefused") | {"subject": "later"}]
    found = chosen(letters, ("BackupCompleted", "BackupFailed", "RestoreRefused"))
    assert [letter["subject"] for letter in found] == ["BackupCompleted", "RestoreRefused"]
