"""Compare the retention terms of a lineage with its former ones, so that a change deletes nothing at first.

A shell silently cuts `Retention=last=3 daily=14` short. A tag that is lost with its instance puts the stack's policy in
force. So recovery points that the former terms keep are kept for a time after the first run with the new terms.

The stack's terms are recorded under STACK. A lineage has its own record only while its terms differ from the stack's,
for example by its instance's tag, and for some time after a change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lifeboat.domain.deploy_command import deploy_command

STACK = "stack"


@dataclass(frozen=True, slots=True)
class Terms:
    """The settings that decide about a lineage. `policy` is its text; None if it cannot be read, which keeps
    everything.

    `orphan_keep` is 0 where `min_keep` applies.
    """

    policy: str | None
    time_zone: str
    min_keep: int
    orphan_keep: int
    grace: timedelta

    def __str__(self) -> str:
        return "which could not be read" if self.policy is None else f'"{self.policy}"'


@dataclass(frozen=True, slots=True)
class Former:
    """Terms that are no longer in force, and until when they still keep recovery points."""

    terms: Terms
    until: datetime


@dataclass(frozen=True, slots=True)
class Remembered:
    """The terms in force at the last run, and former terms that still keep recovery points."""

    terms: Terms
    former: tuple[Former, ...] = ()

    def then(self, terms: Terms, now: datetime, hold: timedelta) -> Remembered:
        """The record when `terms` are in force. After a change the current terms still apply for `hold`."""
        former = tuple(item for item in self.former if item.until > now and item.terms != terms) if hold else ()
        if self.terms != terms and hold:
            former += (Former(self.terms, now + hold),)
        return Remembered(terms, former)


@dataclass(frozen=True, slots=True)
class Memory:
    """The records by lineage and for STACK, and how long former terms apply after a change.

    `part` names the part of an inventory in parts. A lineage in several parts has a record for each.
    """

    known: Mapping[str, Remembered]
    hold: timedelta
    part: str = ""

    def key(self, lineage: str) -> str:
        return f"{lineage}/{self.part}" if self.part else lineage


@dataclass(frozen=True, slots=True)
class Change:
    """The old and the new terms, and whether they are the stack's or those of single lineages."""

    old: Terms
    new: Terms
    of_stack: bool


@dataclass(slots=True)
class TermsComparison:
    """Compares the terms in force with the records: what has changed, and which records to write or delete."""

    memory: Memory
    stack: Terms
    now: datetime
    _next: dict[str, Remembered] = field(default_factory=dict)

    def __post_init__(self) -> None:
        before = self.memory.known.get(STACK, Remembered(self.stack))
        self._next[STACK] = before.then(self.stack, self.now, self.memory.hold)

    def compare(self, lineage: str, terms: Terms) -> tuple[tuple[Former, ...], Change | None]:
        """The former terms that still apply to a lineage, and the change of its terms if there is a new one."""
        key = self.memory.key(lineage)
        own, stack = self.memory.known.get(key), self.memory.known.get(STACK)
        # A lineage has no record if the stack's terms were in force.
        before = own or stack or Remembered(terms)
        if own is None and terms == self.stack:
            after = self._next[STACK]
        else:
            after = before.then(terms, self.now, self.memory.hold)
            if terms != self.stack or after.former:
                self._next[key] = after
        if before.terms == terms or not self.memory.hold:
            return after.former, None
        of_stack = terms == self.stack and stack is not None and before.terms == stack.terms
        return after.former, Change(before.terms, terms, of_stack)

    def keep_record(self, lineage: str) -> None:
        """Keep the record of a lineage whose terms in force are not known."""
        key = self.memory.key(lineage)
        if key in self.memory.known:
            self._next[key] = self.memory.known[key]

    @property
    def remember(self) -> dict[str, Remembered]:
        """The records that have changed."""
        return {key: item for key, item in self._next.items() if self.memory.known.get(key) != item}

    @property
    def forget(self) -> tuple[str, ...]:
        """The records of lineages under the stack's terms again, or without recovery points."""
        gone = self.memory.known.keys() - self._next.keys()
        return tuple(sorted(key for key in gone if _part_of(key) == self.memory.part))


def _part_of(key: str) -> str:
    """The part at the end of a key. A vault's lineage also has a slash, but never before its last character."""
    return key[-1] if key[-2:-1] == "/" else ""


def differences(old: Terms, new: Terms) -> tuple[dict[str, str], dict[str, str]]:
    """The old and the new values that differ, by the names of the template's parameters."""
    was, now = _parameters(old), _parameters(new)
    names = [name for name in was if was[name] != now[name]]
    return {name: was[name] for name in names}, {name: now[name] for name in names}


def undo_command(change: Change, instance_ids: Iterable[str], stack: str, region: str) -> str | None:
    """The command that restores the old terms; None where there is none.

    A policy is written with commas, which no shell cuts.
    """
    was, _ = differences(change.old, change.new)
    if change.old.policy is None:
        return None
    if change.of_stack:
        values = {name: value.replace(" ", ",") for name, value in was.items()}
        return deploy_command(values, stack=stack, region=region)
    if "Retention" not in was or not (named := sorted(instance_ids)):
        return None
    tag = f'[{{"Key": "lifeboat:retention", "Value": "{change.old.policy}"}}]'
    return f"aws ec2 create-tags --region {region} --resources {' '.join(named)} --tags '{tag}'"


def _parameters(terms: Terms) -> dict[str, str]:
    return {
        "Retention": "not readable" if terms.policy is None else terms.policy,
        "TimeZone": terms.time_zone,
        "MinimumKept": str(terms.min_keep),
        "OrphanKeep": str(terms.orphan_keep),
        "GraceHours": f"{terms.grace / timedelta(hours=1):g}",
    }
