"""Creations that shall fail: the n-th snapshot, volume or copy, or those of a given volume or instance."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KINDS = ("snapshot", "volume", "copy", "image")


@dataclass
class Outcome:
    """A failure to come.

    Attributes:
        kind: what is created: a key of `KINDS`.
        resource: only if this id is involved: the volume or instance of a snapshot, the snapshot of a volume or copy.
        nth: which matching creation fails first; 1 is the next one.
        count: how many fail in a row; 0 is all of them, for ever.
        cause: what the event and the state message say.
        stuck: whether it stays `pending` or `creating` for ever, instead of ending in `error`.
    """

    kind: str
    resource: str | None = None
    nth: int = 1
    count: int = 1
    cause: str = ""
    stuck: bool = False
    seen: int = 0
    hits: int = 0


_outcomes: list[Outcome] = []
_lock = threading.Lock()


def add(wanted: Mapping[str, Any]) -> int:
    """Set a failure; how many are set.

    Raises:
        ValueError: an unknown kind or attribute.
    """
    try:
        outcome = Outcome(**{k: v for k, v in wanted.items() if k not in ("seen", "hits", "account", "region")})
    except TypeError as error:
        raise ValueError(str(error)) from error
    if outcome.kind not in KINDS:
        raise ValueError(f"there is no outcome for {outcome.kind!r}; there is for {', '.join(KINDS)}")
    with _lock:
        _outcomes.append(outcome)
        return len(_outcomes)


def take(kind: str, *involved: str) -> Outcome | None:
    """The failure that this creation meets, if any; every matching one counts it."""
    with _lock:
        matching = [o for o in _outcomes if o.kind == kind and (not o.resource or o.resource in involved)]
        for outcome in matching:
            outcome.seen += 1
        met = next((o for o in matching if o.seen >= o.nth and (o.count == 0 or o.hits < o.count)), None)
        if met:
            met.hits += 1
        return met


def clear() -> None:
    """Let everything succeed again."""
    with _lock:
        _outcomes.clear()
