"""List the evidence bucket in parts, over as many invocations as it takes: count what its rules make go, and write the
manifest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from lifeboat.aws import clock, evidence_bucket
from lifeboat.aws.invocation import Invocation
from lifeboat.domain.evidence import LifecycleRule
from lifeboat.evidence import listing_store
from lifeboat.evidence.expiry import Tally, add_page, begin_tally
from lifeboat.evidence.listing_store import Listing
from lifeboat.evidence.manifest_workflow import Writer, Written, begin_or_continue, publish_losses

PAGES_A_CHECKPOINT = 5
"""After so many pages, 5,000 versions, the checkpoint is saved: some seconds."""

PAGE_SECONDS = 60.0
"""One page with botocore's repetitions takes no longer."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A listing that has ended: what it has counted, and the manifest that it has written, None without a bucket."""

    tally: Tally
    written: Written | None


def count_versions(bucket: str, rules: Sequence[LifecycleRule], invocation: Invocation) -> Listed | None:
    """List the whole bucket; None where there was no time for all of it, and another invocation goes on.

    A listing that other rules have begun begins anew. Raises AwsError with the last checkpoint saved.
    """
    config, now = invocation.config, clock.now()
    digest = _digest(rules)
    found = listing_store.find_listing(config.table, bucket, now)
    if found and found.rules != digest:
        found = None
    begun_at = found.begun_at if found else now
    tally, after = (found.tally, found.marker) if found else (begin_tally(rules), None)
    known = found.manifest if found else None
    writer = begin_or_continue(known, rules, begun_at, invocation) if config.manifest_bucket else None
    if writer and known is None:
        # Before the first page: another attempt has the same id, so that what went is published once.
        listing_store.save_listing(config.table, bucket, Listing(begun_at, digest, tally, None, writer.progress))
    pages = evidence_bucket.list_all_versions(bucket, account=config.account, after=after)
    for number, page in enumerate(pages, 1):
        tally = add_page(tally, page.versions, rules, begun_at)
        if writer:
            writer.add(page.versions)
        if page.next is None:
            break
        ends = not invocation.has_time(PAGE_SECONDS)
        if ends or number % PAGES_A_CHECKPOINT == 0:
            progress = writer.save() if writer else None
            listing_store.save_listing(config.table, bucket, Listing(begun_at, digest, tally, page.next, progress))
        if ends:
            return None
    written = _complete(writer, tally, invocation) if writer else None
    if writer and written is None:
        return None
    listing_store.drop_listing(config.table, bucket)
    return Listed(tally, written)


def _complete(writer: Writer, tally: Tally, invocation: Invocation) -> Written | None:
    """Publish what went, then write the index; None while another invocation publishes it.

    In this order: the next manifest is compared with one that has an index, so its losses must have been published.
    """
    written = writer.complete(tally)
    if not publish_losses(written, invocation):
        return None
    written = writer.write_index(written)
    if written.index:
        listing_store.remember_manifest(invocation.config.table, invocation.config.evidence_bucket, written.index.id)
    return written


def _digest(rules: Sequence[LifecycleRule]) -> str:
    """The same for the same rules. A thousand rules themselves would not fit into an item of the table."""
    text = json.dumps([rule.document for rule in rules], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
