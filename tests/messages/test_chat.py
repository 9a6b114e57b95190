"""Messages in chat and by e-mail: Amazon Q's schema for each message, and which of them reach people."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lifeboat.aws import clients
from lifeboat.aws.invocation import Invocation
from lifeboat.domain.audience import ALL, NIGHTLY, OFF, reaches
from lifeboat.domain.chat import MOST_DESCRIPTION, MOST_STEP, MOST_STEPS, MOST_TITLE, to_chat
from lifeboat.domain.config import Config, People, Selector
from tests.messages.golden_messages import messages
from tests.messages.hostile_names import HOSTILE

HEALTHY_NIGHT = ("BackupStarted", "BackupCompleted", "SnapshotsPruned", "SnapshotsCopied")


@pytest.mark.parametrize("event", sorted(messages()))
def test_each_message_is_in_the_schema_of_amazon_q(event):
    found = json.loads(to_chat(messages()[event]))
    assert set(found) == {"version", "source", "content", "metadata"}
    assert (found["version"], found["source"]) == ("1.0", "custom")
    content, metadata = found["content"], found["metadata"]
    assert set(content) <= {"textType", "title", "description", "nextSteps", "keywords"}
    assert set(metadata) <= {"threadId", "summary", "eventType", "relatedResources", "additionalContext"}
    assert content["textType"] == "client-markdown"
    assert 0 < len(content["title"]) <= MOST_TITLE
    assert 0 < len(content["description"]) <= MOST_DESCRIPTION
    assert len(content.get("nextSteps", ())) <= MOST_STEPS
    texts = [*content.get("nextSteps", ()), *content["keywords"], *metadata["additionalContext"].values()]
    assert all(isinstance(text, str) and 0 < len(text) <= MOST_STEP for text in texts)
    assert metadata["threadId"]


def test_all_messages_of_a_restore_are_one_thread():
    found = [to_chat(messages()[event]) for event in ("RestoreStarted", "RestoreCompleted", "RestoreFailed")]
    assert len({json.loads(text)["metadata"]["threadId"] for text in found}) == 1


def test_a_command_is_whole_or_left_out():
    for message in messages().values():
        for step, shown in zip(message.next_steps, json.loads(to_chat(message))["content"].get("nextSteps", ())):  # noqa: B905
            assert shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == step or (
                "in the e-mail and in the status" in shown
            )


def test_a_hundred_hostile_names_format_nothing_and_call_nobody():
    for name in HOSTILE:
        content = json.loads(to_chat(messages(name)["BackupFailed"]))["content"]
        title = content["title"].removeprefix(":rotating_light: ")
        for words in (title, content["description"]):
            assert not set(words) & set("<>*`~@"), words
            assert "](" not in words, "Teams shows a link that hides its address"
            assert words.isprintable()
        assert content["nextSteps"] == json.loads(to_chat(messages()["BackupFailed"]))["content"]["nextSteps"]


def test_a_key_that_passes_for_a_link_is_in_no_step():
    key = "[log in](https://evil.example)"
    message = replace(messages()["BackupFailed"], next_steps=(f"To bring it back, run: aws s3 cp '{key}' .", "Wait."))
    assert json.loads(to_chat(message))["content"]["nextSteps"] == [
        "To bring it back, run: the whole command is in the e-mail and in the status.",
        "Wait.",
    ]


@pytest.mark.parametrize(("level", "count"), [(NIGHTLY, 1), (ALL, 4), (OFF, 0), ("", 0)])
def test_a_healthy_machine_sends_one_e_mail_a_night(level, count):
    night = [replace(messages()[event], severity="info") for event in HEALTHY_NIGHT]
    assert [item.event for item in night if reaches(item, level)] == (
        ["BackupCompleted"] if count == 1 else list(HEALTHY_NIGHT)[:count]
    )


def test_whatever_needs_a_person_reaches_people():
    assert all(reaches(item, NIGHTLY) for item in messages().values() if item.severity != "info")


class _Sns:
    """Takes what is published, and refuses the named topics."""

    def __init__(self) -> None:
        self.published: list[tuple[str, str]] = []
        self.refused: set[str] = set()

    def publish(self, **call: str) -> None:
        name = call["TopicArn"].rpartition(":")[2]
        if name in self.refused:
            raise RuntimeError(name)
        self.published.append((name, call["Message"]))


def _remembering(monkeypatch: pytest.MonkeyPatch) -> _Sns:
    """Topics, and a table that remembers what was done."""
    done: set[str] = set()

    def once(self, kind, key, work, *, within=None):
        del self, within
        if f"{kind} {key}" not in done:
            work()
            done.add(f"{kind} {key}")

    sns = _Sns()
    monkeypatch.setattr(clients, "sns", lambda: sns)
    monkeypatch.setattr(Invocation, "once", once)
    return sns


def _invocation() -> Invocation:
    arn = "arn:aws:sns:eu-west-1:111122223333:topic"
    return Invocation(
        Config("lifeboat", "eu-west-1", "table", arn, Selector("a", "b"), people=People(NIGHTLY, NIGHTLY))
    )


TOPICS = ("topic", "lifeboat-mail", "lifeboat-chat")


@pytest.mark.parametrize("refused", TOPICS)
def test_each_topic_gets_a_message_once_whatever_another_one_refuses(monkeypatch, refused):
    sns, invocation, message = _remembering(monkeypatch), _invocation(), messages()["RestoreFailed"]
    sns.refused = {refused}
    for _ in range(2):
        with pytest.raises(RuntimeError, match=refused):
            invocation.publish_once("kind", "key", message)
        assert [name for name, _ in sns.published] == [name for name in TOPICS if name != refused]
    sns.refused = set()
    assert invocation.publish_once("kind", "key", message)
    assert sorted(name for name, _ in sns.published) == sorted(TOPICS)
    assert json.loads(dict(sns.published)["lifeboat-chat"])["source"] == "custom"


@pytest.mark.parametrize("refused", TOPICS)
def test_what_is_published_without_a_key_reaches_the_other_topics_too(monkeypatch, refused):
    sns = _remembering(monkeypatch)
    sns.refused = {refused}
    with pytest.raises(RuntimeError, match=refused):
        _invocation().publish(messages()["RestoreFailed"])
    assert [name for name, _ in sns.published] == [name for name in TOPICS if name != refused]
