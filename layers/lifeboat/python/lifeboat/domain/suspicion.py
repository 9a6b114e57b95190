"""The suspicion against a recovery point, as the tag `lifeboat:suspect` on its snapshots says it.

The tag is the authority: it survives the loss of the table, and retention needs nothing else. Only the exact state
`closed` closes a suspicion. Any other value is an open one, so a damaged or unknown value deletes nothing.
"""

from __future__ import annotations

from datetime import datetime

from lifeboat.domain.tags import Tag, Tags
from lifeboat.domain.text import iso

_CLOSED = "closed"


def open_suspicion(*, at: datetime, changed: float, entropy: float) -> dict[str, str]:
    """The tag of a new suspicion.

    `at` is when it was found, `changed` the share of the blocks that changed (0 to 1), `entropy` the bits per byte of
    what changed.
    """
    return {Tag.SUSPECT.value: f"state=open at={iso(at)} changed={changed:.1%} entropy={entropy:.3f}"}


def closed_suspicion(tags: Tags, at: datetime) -> dict[str, str]:
    """The tag of a suspicion that a person closed at this time. Its numbers stay."""
    facts = _facts(tags) | {"state": _CLOSED, "closed": iso(at)}
    return {Tag.SUSPECT.value: " ".join(f"{name}={fact}" for name, fact in facts.items())}


def is_suspected(tags: Tags) -> bool:
    """Whether a snapshot carries a suspicion that is not closed."""
    return Tag.SUSPECT in tags and _facts(tags).get("state") != _CLOSED


def _facts(tags: Tags) -> dict[str, str]:
    return dict(part.split("=", 1) for part in tags.get(Tag.SUSPECT, "").split() if "=" in part)
