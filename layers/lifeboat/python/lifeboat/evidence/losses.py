"""What the evidence bucket has lost since an earlier manifest: both are read in the order of their keys. Pure.

Neither is in memory as a whole: a comparison holds one key of each, and goes on in another invocation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from lifeboat.domain.evidence import LifecycleRule, ObjectVersion
from lifeboat.domain.text import iso
from lifeboat.evidence.expiry import next_midnight
from lifeboat.evidence.manifest import NO_LOSSES, Losses

type Earlier = Iterator[tuple[int, ObjectVersion]]
"""The current objects of an earlier manifest by key, each with the number of its part."""


class Fate(StrEnum):
    """What has become of an object."""

    LOST = "lost"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class Loss:
    """An object of the earlier manifest that a read of its key does not give any more.

    `rule` is the id of the lifecycle rule that made it go, empty if none explains it. `kept`: the version is still
    there, and `marker` is the version id of the delete marker that hides it, if one does.
    """

    item: ObjectVersion
    fate: Fate
    kept: bool
    marker: str = ""
    rule: str = ""

    def line(self) -> Mapping[str, Any]:
        """The loss as a line of a manifest and of an answer."""
        line = {
            "key": self.item.key,
            "version_id": self.item.version_id,
            "size": self.item.size,
            "etag": self.item.etag,
            "storage_class": self.item.storage_class,
            "last_modified": iso(self.item.last_modified),
            "fate": self.fate.value,
            "kept": self.kept,
            "delete_marker": self.marker,
            "rule": self.rule,
        }
        return {name: value for name, value in line.items() if value != "" or name == "version_id"}


@dataclass(frozen=True, slots=True)
class OpenKey:
    """A key of the bucket while its versions are read: the current one, the delete marker on top, and which were seen.

    `awaited` is the version id that the earlier manifest has of this key; `kept`: it was among the versions.
    """

    key: str
    awaited: str = ""
    current: str = ""
    etag: str = ""
    marker: str = ""
    kept: bool = False

    def plus(self, item: ObjectVersion) -> OpenKey:
        if item.delete_marker:
            return replace(self, marker=item.version_id) if item.is_latest else self
        kept = self.kept or item.version_id == self.awaited
        if item.is_current:
            return replace(self, current=item.version_id, etag=item.etag, kept=kept)
        return replace(self, kept=kept)


@dataclass(frozen=True, slots=True)
class Position:
    """How far a comparison has come: what another invocation goes on from. `part` is of the earlier manifest."""

    part: int = 1
    open: OpenKey | None = None
    losses: Losses = NO_LOSSES


BEGIN = Position()


class Comparison:
    """Compares an earlier manifest with the versions that `add` gets, in the order of a listing.

    `earlier` begins at the part of the position. What is before the open key was compared already. `note` gets each
    loss at once: there may be a million.
    """

    def __init__(
        self,
        earlier: Earlier,
        note: Callable[[Loss], None],
        now: datetime,
        rules: Sequence[LifecycleRule] = (),
        position: Position = BEGIN,
    ) -> None:
        self._earlier = earlier
        self._report = note
        self._open = position.open
        self._part = position.part
        self._losses = position.losses
        self._expiring = [rule for rule in rules if rule.expires and not rule.tags]
        self._now = now
        self._next: ObjectVersion | None = None
        self._advance()
        while self._next and self._open and _order(self._next.key) < _order(self._open.key):
            self._advance()

    @property
    def position(self) -> Position:
        """Where another invocation goes on."""
        return Position(self._part, self._open, self._losses)

    def add(self, item: ObjectVersion) -> None:
        """The next version of the bucket."""
        if self._open is None or self._open.key != item.key:
            self._close()
            self._lose_before(item.key)
            awaited = self._next.version_id if self._next and self._next.key == item.key else ""
            self._open = OpenKey(item.key, awaited)
        self._open = self._open.plus(item)

    def end(self) -> None:
        """The bucket has no more versions."""
        self._close()
        self._lose_before(None)

    def _close(self) -> None:
        """All versions of the open key are known."""
        state, self._open = self._open, None
        if state is None or self._next is None or self._next.key != state.key:
            return
        item = self._next
        if not state.current:
            self._note(Loss(item, Fate.LOST, state.kept, state.marker, self._rule_of(item)))
        elif state.etag != item.etag or (not item.etag and state.current != item.version_id):
            self._note(Loss(item, Fate.REPLACED, state.kept and state.current != item.version_id))
        self._advance()

    def _lose_before(self, key: str | None) -> None:
        while self._next and (key is None or _order(self._next.key) < _order(key)):
            self._note(Loss(self._next, Fate.LOST, kept=False, rule=self._rule_of(self._next)))
            self._advance()

    def _advance(self) -> None:
        self._part, self._next = next(self._earlier, (self._part, None))

    def _note(self, loss: Loss) -> None:
        self._report(loss)
        before = self._losses
        if loss.fate is Fate.REPLACED:
            self._losses = replace(before, replaced=before.replaced + 1)
            return
        self._losses = replace(
            before,
            objects=before.objects + 1,
            size=before.size + loss.item.size,
            expired=before.expired + bool(loss.rule),
            hidden=before.hidden + loss.kept,
        )

    def _rule_of(self, item: ObjectVersion) -> str:
        """The rule that has made an object go. A rule that is limited by tags explains nothing: tags are not listed."""
        for rule in self._expiring:
            at = rule.expires_at or next_midnight(item.last_modified + timedelta(days=rule.expires_days or 0))
            if rule.covers(item) and at <= self._now:
                return rule.id or "without an id"
        return ""


def _order(key: str) -> bytes:
    """S3 lists keys in the order of their bytes in UTF-8."""
    return key.encode()
