"""The message that Lifeboat publishes: JSON, text for e-mail, and size limits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypedDict

from lifeboat.domain.text import iso, one_line
from lifeboat.domain.title import VERDICTS, name_of_point, quote, subject_line

VERSION = "1"


LIST_ENTRIES = 50
"""Entries of a list in a message; the rest is counted."""


INSTANCES_NAMED = 4_000
"""Failed instances of a large run that are named by id alone: as many as fit into both forms of the message."""


REASON_LENGTH = 300
"""Characters of the reason of each failure of a large run: EC2's refusals can have a thousand."""


MESSAGE_BYTES = 250 * 1024
"""Most bytes of a message. SNS takes 262,144 (same page); the rest is for the subject and the attributes."""


_CUTS = ((LIST_ENTRIES, 2_000), (25, 1_000), (10, 500), (5, 200), (2, 100))
"""Entries of a list and characters of a text, tried in turn until a message fits."""


SEVERITIES = {
    "BackupStarted": "info",
    "BackupIncomplete": "critical",
    "BackupCompleted": "info",
    "UnplannedSnapshotTaken": "warning",
    "BackupFailed": "critical",
    "BackupOverdue": "critical",
    "RecoveryPointNotLocked": "critical",
    "SnapshotsCopied": "info",
    "CopyFailed": "critical",
    "SharingFailed": "critical",
    "MetadataMissing": "warning",
    "SnapshotsPruned": "info",
    "RetentionChanged": "warning",
    "RecoveryPointsAdopted": "info",
    "RecoveryPointVerified": "info",
    "VerificationFailed": "critical",
    "VerificationStopped": "info",
    "CopyNotCompared": "warning",
    "RecoveryPointSuspect": "critical",
    "RestoreStarted": "info",
    "RestoreRefused": "warning",
    "RestoreCompleted": "info",
    "RestoreRolledBack": "warning",
    "RestoreFailed": "critical",
    "DrillPassed": "info",
    "DrillFailed": "critical",
    "EvidenceAtRisk": "warning",
    "EvidenceRiskRemoved": "info",
    "EvidenceLost": "warning",
    "StackChecked": "info",
    "CoverageReport": "info",
    "AmiOwnerTrusted": "info",
    "AmiOwnerUntrusted": "critical",
    "AmiOwnerUnknown": "warning",
}
"""Every event, and its severity."""


class Stamp(TypedDict):
    """The arguments that all builders of messages share: the stack's name, and when it publishes."""

    stack: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `event` is one of SEVERITIES; `subject` names the resources; `details` are facts.

    `name` is the Name of whose message it is. Without one, `about` says it in Lifeboat's own words; empty: an id of
    `subject`. `verdict` is what has happened, in at most 24 characters; empty: that of the event.
    """

    event: str
    at: datetime
    stack: str
    summary: str
    subject: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    next_steps: tuple[str, ...] = ()
    severity: str = ""
    name: str = ""
    about: str = ""
    verdict: str = ""

    def __post_init__(self) -> None:
        if not self.severity:
            object.__setattr__(self, "severity", SEVERITIES[self.event])
        verdict = self.verdict or VERDICTS[self.event]
        object.__setattr__(self, "verdict", verdict.upper() if self.severity == "critical" else verdict)

    def as_dict(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "event": self.event,
            "severity": self.severity,
            "at": iso(self.at),
            "stack": self.stack,
            "title": self.title(),
            "subject": dict(self.subject),
            "summary": self.summary,
            "details": dict(self.details),
            "next_steps": list(self.next_steps),
        }

    def to_json(self) -> str:
        """The message for programs."""
        return json.dumps(self.as_dict(), sort_keys=True, default=str)

    def to_text(self) -> str:
        """The message for people."""
        lines = [one_line(self.summary), ""]
        if self.next_steps:
            lines += ["What to do next:"]
            lines += [f"  {number}. {one_line(step)}" for number, step in enumerate(self.next_steps, 1)]
            lines += [""]
        for name, value in self.subject.items():
            lines += _facts(name.replace("_", " "), value)
        for name, value in self.details.items():
            if self.subject.get(name) != value:  # not in the lines above
                lines += _facts(name.replace("_", " "), value)
        lines += ["", f"{self.event} ({self.severity}), {iso(self.at)}, stack {self.stack}"]
        return "\n".join(lines)

    def title(self) -> str:
        """Whose message it is and what has happened: `CadoResponse backed up`."""
        return f"{quote(self.name, self._called())} {self.verdict}"

    def subject_line(self) -> str:
        """The subject of the e-mail: the stack and the title in one line of printable ASCII."""
        return subject_line(self.stack, self.name, self._called(), self.verdict)

    def _called(self) -> str:
        """Whose message it is if it has no name: the instance, or else the first thing that it is about."""
        if self.about:
            return self.about
        ids = {key: name_of_point(value) for key, value in self.subject.items()}
        return ids.get("instance_id") or next(filter(None, ids.values()), "stack")

    def attributes(self) -> dict[str, str]:
        """The message attributes, for filter policies."""
        return {"event": self.event, "severity": self.severity}

    def sns_message(self) -> str:
        """The body of Publish with MessageStructure=json: text for e-mail, JSON for everything else.

        It always fits into MESSAGE_BYTES: lists and texts are shortened as far as needed, and count what is missing.
        """
        message = self._bodies()
        for cut_steps in (False, True):  # a person needs the next steps most: they are cut last
            for entries, length in _CUTS:
                if len(message) <= MESSAGE_BYTES:
                    return message
                message = self._cut(entries, length, cut_steps)._bodies()
        return message

    def _bodies(self) -> str:
        return json.dumps({"default": self.to_json(), "email": self.to_text()})  # ASCII: a character is a byte

    def _cut(self, entries: int, length: int, cut_steps: bool) -> Message:
        steps = tuple(shorten(step, entries, length) for step in self.next_steps[:entries])
        if len(self.next_steps) > entries:
            steps = (*steps, f"{len(self.next_steps) - entries} more steps are not listed: request the status.")
        return replace(
            self,
            subject=shorten(self.subject, entries, length),
            summary=shorten(self.summary, entries, length),
            name=shorten(self.name, entries, length),
            details=shorten(self.details, entries, length),
            next_steps=steps if cut_steps else self.next_steps,
        )


def shorten(value: Any, entries: int, length: int) -> Any:
    """The value with at most `entries` entries in each list and `length` characters in each text; counts the rest."""
    if isinstance(value, str) and len(value) > length:
        return f"{value[:length]}... ({len(value) - length} more characters)"
    if isinstance(value, Mapping):
        first = list(value.items())[:LIST_ENTRIES]
        kept = {shorten(str(key), entries, length): shorten(item, entries, length) for key, item in first}
        for key, item in first:
            if _is_list(item) and len(item) > entries:
                kept[shorten(more_key(key), entries, length)] = value.get(more_key(key), 0) + len(item) - entries
        if len(value) > LIST_ENTRIES:
            kept["not_listed"] = len(value) - LIST_ENTRIES
        return kept
    if _is_list(value):
        return [shorten(item, entries, length) for item in value[:entries]]
    return value


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _facts(name: str, value: Any, indent: str = "") -> list[str]:
    """The lines of one fact; none for an empty value."""
    if value in _NOTHING:
        return []
    if isinstance(value, Mapping):
        lines = [f"{indent}{one_line(name)}:"]
        for key, item in value.items():
            lines += _facts(str(key).replace("_", " "), item, indent + "  ")
        return lines
    if _is_list(value):
        return [f"{indent}{one_line(name)}:", *(f"{indent}  - {_flat(item)}" for item in value)]
    return [f"{indent}{one_line(name)}: {_flat(value)}"]


_NOTHING: tuple[Any, ...] = (None, "", [], {}, ())


_TIMELINE_ENTRY = {"at", "step", "text"}


def _flat(item: Any) -> str:
    """A value on one line."""
    if isinstance(item, Mapping) and set(item) == _TIMELINE_ENTRY:
        return one_line("{at} {step}: {text}".format(**item))
    if isinstance(item, Mapping):
        facts = ((str(key).replace("_", " "), value) for key, value in item.items() if value not in _NOTHING)
        return ", ".join(f"{one_line(key)} {_flat(value)}" for key, value in facts)
    if _is_list(item):
        return "; ".join(_flat(value) for value in item)
    if isinstance(item, bool):
        return "yes" if item else "no"
    return f"{item:g}" if isinstance(item, float) else one_line(str(item))


def listed(items: Sequence[Any], key: str, count: int | None = None, *, most: int = LIST_ENTRIES) -> dict[str, Any]:
    """The first `most` entries of a list under `key`, and under `more_key` how many more there are, if any.

    `count` is how many there are, if `items` are only the first of them.
    """
    found: dict[str, Any] = {key: list(items[:most])}
    more = (len(items) if count is None else count) - len(found[key])
    if more:
        found[more_key(key)] = more
    return found


def more_key(key: str) -> str:
    """The field with the number of entries of the list `key` that are not in the message."""
    return f"{key}_not_listed"


def sentence(text: str) -> str:
    """The text with exactly one full stop at its end."""
    return text.rstrip(". ") + "."


def counted(number: int, noun: str) -> str:
    """`1 snapshot`, `2 snapshots`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
