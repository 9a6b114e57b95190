"""What retention goes by for a lineage, and what it went by until lately: a change deletes nothing at first.

A shell cuts `Retention=last=3 daily=14` short without a word, and a tag that is lost with its instance leaves the
stack's policy in force. So what the terms before kept stays for a time after the first run that sees the new ones.

The stack's terms are remembered under STACK. A lineage has a record of its own only while its terms are others than
the stack's, as by its instance's tag, and for the time after a change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

STACK = "stack"


@dataclass(frozen=True, slots=True)
class Terms:
    """What decides about a lineage. `policy` is its text, None for one that could not be read, which keeps everything.

    `orphan_keep` is 0 where it is `min_keep`.
    """

    policy: str | None
    time_zone: str
    min_keep: int
    orphan_keep: int
    grace: timedelta

    def __str__(self) -> str:
        return "one that could not be read" if self.policy is None else f'"{self.policy}"'


@dataclass(frozen=True, slots=True)
class Former:
    """Terms that are not in force any more, and until when what they kept stays."""

    terms: Terms
    until: datetime


@dataclass(frozen=True, slots=True)
class Remembered:
    """The terms in force when retention last looked, and former ones that still spare something."""

    terms: Terms
    former: tuple[Former, ...] = ()

    def then(self, terms: Terms, now: datetime, hold: timedelta) -> Remembered:
        """What is to be remembered once `terms` are in force; a change spares what these kept for `hold`."""
        former = tuple(item for item in self.former if item.until > now and item.terms != terms) if hold else ()
        if self.terms != terms and hold:
            former += (Former(self.terms, now + hold),)
        return Remembered(terms, former)


@dataclass(frozen=True, slots=True)
class Memory:
    """What was remembered, by lineage and for STACK; for how long a change spares.

    `part`: of an inventory in parts, which one; a lineage that is in several has a record in each.
    """

    known: Mapping[str, Remembered]
    hold: timedelta
    part: str = ""

    def key(self, lineage: str) -> str:
        return f"{lineage}/{self.part}" if self.part else lineage


@dataclass(frozen=True, slots=True)
class Change:
    """From which terms to which, and whether the stack's changed or those of single lineages."""

    old: Terms
    new: Terms
    of_stack: bool


@dataclass(slots=True)
class Book:
    """One look at the terms in force: what they were, what is to be remembered, and what has changed."""

    memory: Memory
    stack: Terms
    now: datetime
    _next: dict[str, Remembered] = field(default_factory=dict)

    def __post_init__(self) -> None:
        before = self.memory.known.get(STACK, Remembered(self.stack))
        self._next[STACK] = before.then(self.stack, self.now, self.memory.hold)

    def look(self, lineage: str, terms: Terms) -> tuple[tuple[Former, ...], Change | None]:
        """The former terms that still spare something of a lineage, and the change of its terms, if one is new."""
        key = self.memory.key(lineage)
        own, stack = self.memory.known.get(key), self.memory.known.get(STACK)
        # Of a lineage without a record it is known that the stack's terms were in force.
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

    def keep(self, lineage: str) -> None:
        """Leave the record of a lineage as it is: it cannot be seen which terms are in force."""
        key = self.memory.key(lineage)
        if key in self.memory.known:
            self._next[key] = self.memory.known[key]

    @property
    def remember(self) -> dict[str, Remembered]:
        """The records that are others than before."""
        return {key: item for key, item in self._next.items() if self.memory.known.get(key) != item}

    @property
    def forget(self) -> tuple[str, ...]:
        """The records of lineages that go by the stack's terms again, or of which nothing is left."""
        gone = self.memory.known.keys() - self._next.keys()
        return tuple(sorted(key for key in gone if _part_of(key) == self.memory.part))


def _part_of(key: str) -> str:
    """The part at the end of a key. A vault's lineages have their account before a slash, too, and no single letter."""
    return key[-1] if key[-2:-1] == "/" else ""


def differences(old: Terms, new: Terms) -> tuple[dict[str, str], dict[str, str]]:
    """What was and what is, by the names of the template's parameters, as far as it differs."""
    was, now = _parameters(old), _parameters(new)
    names = [name for name in was if was[name] != now[name]]
    return {name: was[name] for name in names}, {name: now[name] for name in names}


def keep_the_old(change: Change, instance_ids: Iterable[str]) -> str | None:
    """The command that puts the old terms into force again; None where there is none.

    SAM CLI takes a value with spaces in double quotes, which the single ones bring past the shell.
    """
    was, _ = differences(change.old, change.new)
    if change.old.policy is None:
        return None
    if change.of_stack:
        values = " ".join(f'{name}="{value}"' if " " in value else f"{name}={value}" for name, value in was.items())
        return f"sam deploy --parameter-overrides '{values}'"
    if "Retention" not in was or not (named := sorted(instance_ids)):
        return None
    tag = f'[{{"Key": "lifeboat:retention", "Value": "{change.old.policy}"}}]'
    return f"aws ec2 create-tags --resources {' '.join(named)} --tags '{tag}'"


def _parameters(terms: Terms) -> dict[str, str]:
    return {
        "Retention": "not readable" if terms.policy is None else terms.policy,
        "TimeZone": terms.time_zone,
        "MinimumKept": str(terms.min_keep),
        "OrphanKeep": str(terms.orphan_keep),
        "GraceHours": f"{terms.grace / timedelta(hours=1):g}",
    }
