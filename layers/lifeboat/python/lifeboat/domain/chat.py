"""A message as Amazon Q Developer in chat applications takes it: its schema of custom notifications, version 1.0.

It drops whatever else is published to its topic, but for events of AWS
(https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html).
"""

from __future__ import annotations

import json

from lifeboat.domain.message import Message
from lifeboat.domain.text import clip, iso, one_line

MOST_TITLE = 250
MOST_DESCRIPTION = 2_000
MOST_STEPS = 10
MOST_STEP = 350
MOST_KEYWORDS = 5
"""Lengths in characters, and entries. A chat shows no more at a glance; the message for programs has everything."""

ICONS = {"info": ":white_check_mark:", "warning": ":warning:", "critical": ":rotating_light:"}
"""What a channel shows before the title, by severity. Teams shows the word."""

_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "*": "\u2217", "`": "'", "~": "\u223c", "@": "\uff20"})
"""Slack's own escapes (https://docs.slack.dev/messaging/formatting-message-text). Other signs that format a text, or
call people, are replaced by similar signs, because neither chat has an escape for them."""


def to_chat(message: Message) -> str:
    """The JSON of the notification. Its thread is the restore, the recovery point or the slot that it is about.

    A command that does not fit is left out with a sentence, because a cut one would be wrong.
    """
    steps = [_step(step) for step in message.next_steps[:MOST_STEPS]]
    if len(message.next_steps) > MOST_STEPS:
        steps[-1] = f"{len(message.next_steps) - MOST_STEPS + 1} more steps are in the e-mail and in the status."
    content = {
        "textType": "client-markdown",
        "title": clip(f"{ICONS[message.severity]} {plain(message.title())}", MOST_TITLE),
        "description": clip(plain(message.summary), MOST_DESCRIPTION),
        "keywords": [message.event, message.severity, message.stack[:50]][:MOST_KEYWORDS],
        **({"nextSteps": steps} if steps else {}),
    }
    metadata = {
        "threadId": thread_of(message),
        "summary": clip(plain(message.title()), MOST_TITLE),
        "eventType": message.event,
        "additionalContext": {"severity": message.severity, "stack": message.stack, "at": iso(message.at)},
    }
    return json.dumps({"version": "1.0", "source": "custom", "content": content, "metadata": metadata})


def thread_of(message: Message) -> str:
    """What the message belongs to: a restore, a drill, a recovery point, a slot; else its event."""
    for key in ("restore_id", "drill", "recovery_point", "slot", "instance_id"):
        if message.subject.get(key):
            return clip(message.subject[key], 128)
    return message.event


def plain(words: str) -> str:
    """Words that a chat shows as they are: one line, without markup or links, and nobody is called."""
    return _without_links(one_line(words).translate(_MARKUP))


def _without_links(words: str) -> str:
    """Teams shows `[words](address)` as a link whose words hide its address. A space takes that from it."""
    return words.replace("](", "] (")


def _step(step: str) -> str:
    """A step whose command pastes as it is: only its angle brackets and ampersands are escaped.

    Without its command if that is too long, or if the name of an object in it would pass for a link.
    """
    step = one_line(step).translate({sign: to for sign, to in _MARKUP.items() if chr(sign) in "&<>"})
    if len(step) <= MOST_STEP and _without_links(step) == step:
        return step
    begin = _without_links(step.partition(": ")[0])
    return f"{clip(begin, 200)}: the whole command is in the e-mail and in the status."
