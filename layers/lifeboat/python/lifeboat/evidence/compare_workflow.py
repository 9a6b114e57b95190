"""Name what an earlier manifest has that is not in the evidence bucket any more, as the newest manifest shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lifeboat.aws import clock
from lifeboat.aws.invocation import Invocation
from lifeboat.domain.bad_request import BadRequest
from lifeboat.domain.text import iso
from lifeboat.evidence.losses import Comparison, Loss
from lifeboat.evidence.manifest import UnreadableManifest
from lifeboat.evidence.manifest_store import shelf_of
from lifeboat.evidence.request import OLDEST, CompareManifests

NAMED = 1_000
"""Objects that one answer names. The next answer goes on after the last of them."""


def compare_manifests(request: CompareManifests, invocation: Invocation) -> dict[str, Any]:
    """Compare two manifests line by line: a minute or two for a million. Raises BadRequest and AwsError.

    An answer that goes on after a key passes over the parts before it, and does not count.
    """
    shelf = shelf_of(invocation.config)
    ids = shelf.list_ids()
    if not ids:
        raise BadRequest("there is no manifest yet: ask GuardEvidenceFunction with {} first")
    chosen = ids[0] if request.compare == OLDEST else request.compare
    if chosen not in ids:
        raise BadRequest(f"compare is {chosen}, expected one of the manifests {', '.join(ids)}")
    names = _Names(request.after or "")
    try:
        earlier, newest = shelf.read_index(chosen), shelf.read_index(ids[-1])
        comparison = Comparison(shelf.read_current(earlier, after=names.after), names.note, clock.now())
        for item in shelf.read_versions(newest, names.after):
            comparison.add(item)
            if names.after and names.more:
                break
        else:
            comparison.end()
    except UnreadableManifest as problem:
        raise BadRequest(f"the manifests cannot be compared: {problem}") from problem
    losses = comparison.position.losses
    counts = {
        "objects": earlier.objects,
        "objects_now": newest.objects,
        "lost_objects": losses.objects,
        "lost_bytes": losses.size,
        "kept_objects": losses.hidden,
        "replaced_objects": losses.replaced,
    }
    return {
        "bucket": shelf.evidence,
        "manifest": chosen,
        "compared_with": newest.id,
        "begun_at": iso(newest.begun_at),
        **({} if names.after else counts),
        "lost": [dict(loss.line()) for loss in names.named],
        "more_after": names.named[-1].item.key if names.more else "",
        "manifests": list(ids),
    }


@dataclass(slots=True)
class _Names:
    """The first NAMED losses after a key, and whether there are more."""

    after: str
    named: list[Loss] = field(default_factory=list)
    more: bool = False

    def note(self, loss: Loss) -> None:
        if loss.item.key.encode() <= self.after.encode():
            return
        if len(self.named) < NAMED:
            self.named.append(loss)
        else:
            self.more = True
