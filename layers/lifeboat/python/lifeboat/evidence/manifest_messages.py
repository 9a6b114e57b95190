"""What is published of the manifests of the evidence bucket."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from lifeboat.domain.message import Message, counted, sentence
from lifeboat.domain.text import name_first
from lifeboat.domain.title import quote
from lifeboat.evidence.commands import bring_back
from lifeboat.evidence.losses import Fate, Loss
from lifeboat.evidence.manifest import Index

NAMED = 20
"""Lost objects that a message and an answer of the guard name. The manifest names each."""

IN_SUMMARY = 3
"""Lost objects that a summary names."""

NAME_LENGTH = 120
"""Characters of a key in a summary."""

_UNREADABLE = "a key that shows nothing"


def is_published(index: Index) -> bool:
    """Whether a person must know: something went that no lifecycle rule explains, or the bucket is much smaller.

    Of rules that make objects go, EvidenceAtRisk has already said when they do.
    """
    return bool(index.smaller) or index.losses.objects > index.losses.expired


def evidence_lost(*, stack: str, at: datetime, region: str, index: Index, named: Sequence[Loss]) -> Message:
    """EvidenceLost: objects of the manifest before are not in the evidence bucket any more, and no lifecycle rule
    explains it, or the bucket is much smaller than it was.
    """
    lost = index.losses.objects
    what = [f"has lost {counted(lost, 'object')} since the manifest {index.before}"] if lost else []
    what += [f"is much smaller than it was: {' and '.join(index.smaller)}"] if index.smaller else []
    names = [quote(loss.item.key, _UNREADABLE, NAME_LENGTH) for loss in named if loss.fate is Fate.LOST]
    first = f": {name_first(names, IN_SUMMARY, count=lost)}" if names else ""
    return Message(
        event="EvidenceLost",
        at=at,
        stack=stack,
        subject={"bucket": index.bucket},
        name=index.bucket,
        summary=sentence(f"The evidence bucket {index.bucket} {', and it '.join(what)}{first}"),
        details={**manifest_facts(index), "lost": [dict(loss.line()) for loss in named]},
        next_steps=tuple(_steps(index, named, region)),
    )


def manifest_facts(index: Index) -> dict[str, Any]:
    """What the index says, for messages and answers; sizes are in bytes."""
    return {
        "manifest": index.id,
        "compared_with": index.before,
        "objects": index.objects,
        "bytes": index.size,
        "lost_objects": index.losses.objects,
        "lost_bytes": index.losses.size,
        "expired_objects": index.losses.expired,
        "kept_objects": index.losses.hidden,
        "replaced_objects": index.losses.replaced,
        "much_smaller": list(index.smaller),
    }


def _steps(index: Index, named: Sequence[Loss], region: str) -> Iterator[str]:
    ask = f'{{"compare": "{index.before}"}}'
    if index.before:
        yield f"For all names: lifeboat evidence {index.before}, or GuardEvidenceFunction with {ask}."
    if index.losses.expired:
        yield "A lifecycle rule made some of them go: EvidenceAtRisk has the command that takes the expiry out."
    if index.losses.objects > index.losses.expired:
        yield "Find out who deleted the others: CloudTrail has DeleteObject where data events of the bucket are logged."
    markers = [loss for loss in named if loss.marker and loss.item.key.isprintable()]
    if index.losses.hidden:
        yield "Deleted versions are still there behind delete markers. Bring them back soon: remove each marker."
    if markers:
        command = bring_back(index.bucket, region, markers[0].item.key, markers[0].marker)
        yield f"To bring back the first of them, run as an operator: {command}"
