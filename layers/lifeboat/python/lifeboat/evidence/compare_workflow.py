"""Name what an earlier manifest has that is not in the evidence bucket any more, as the newest manifest shows it."""

from __future__ import annotations

from typing import Any

from lifeboat.aws import clock
from lifeboat.aws.invocation import Invocation
from lifeboat.domain.bad_request import BadRequest
from lifeboat.domain.text import iso
from lifeboat.evidence.losses import Comparison, Loss
from lifeboat.evidence.manifest import UnreadableManifest
from lifeboat.evidence.manifest_store import shelf_of
from lifeboat.evidence.request import OLDEST, CompareManifests

NAMED = 500
"""Objects that one answer names. The next answer goes on after the last of them."""


def compare_manifests(request: CompareManifests, invocation: Invocation) -> dict[str, Any]:
    """Compare two manifests line by line, in some seconds also of a million. Raises BadRequest and AwsError."""
    shelf = shelf_of(invocation.config)
    ids = shelf.list_ids()
    if not ids:
        raise BadRequest("there is no manifest yet: ask GuardEvidenceFunction with {} first")
    chosen = ids[0] if request.compare == OLDEST else request.compare
    if chosen not in ids:
        raise BadRequest(f"compare is {chosen}, expected one of the manifests {', '.join(ids)}")
    after = (request.after or "").encode()
    named: list[Loss] = []
    more = False

    def note(loss: Loss) -> None:
        nonlocal more
        if loss.item.key.encode() > after:
            if len(named) < NAMED:
                named.append(loss)
            else:
                more = True

    try:
        earlier, newest = shelf.read_index(chosen), shelf.read_index(ids[-1])
        comparison = Comparison(shelf.read_current(earlier), note, clock.now())
        for item in shelf.read_versions(newest):
            comparison.add(item)
        comparison.end()
    except UnreadableManifest as problem:
        raise BadRequest(f"the manifests cannot be compared: {problem}") from problem
    losses = comparison.position.losses
    return {
        "bucket": shelf.evidence,
        "manifest": chosen,
        "compared_with": newest.id,
        "begun_at": iso(newest.begun_at),
        "objects": earlier.objects,
        "objects_now": newest.objects,
        "lost_objects": losses.objects,
        "lost_bytes": losses.size,
        "kept_objects": losses.hidden,
        "replaced_objects": losses.replaced,
        "lost": [dict(loss.line()) for loss in named],
        "more_after": named[-1].item.key if more else "",
        "manifests": list(ids),
    }
