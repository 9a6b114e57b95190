"""How far the listing of the evidence bucket has come: one document a bucket. The next invocation goes on from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from lifeboat.aws import table as documents
from lifeboat.aws.table import Document, to_json
from lifeboat.domain.evidence import Marker
from lifeboat.evidence.expiry import Tally
from lifeboat.evidence.progress import Progress

_LISTING = "evidence-listing"

_NEWEST = "the newest manifest of "
"""Before the bucket's name, in the same partition: no bucket has a space in its name."""

KEPT = timedelta(days=2)
"""After this a listing begins anew: what it counted is old."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A listing that has not ended: what it has counted and where it goes on. `rules` is the digest of the rules.

    `manifest` is how far its manifest has come, None if it writes none. Without a `marker` it goes on from the begin.
    """

    begun_at: datetime
    rules: str
    tally: Tally
    marker: Marker | None
    manifest: Progress | None = None


def find_listing(table: str, bucket: str, now: datetime) -> Listing | None:
    """The listing to go on with, None if there is none or it is too old."""
    found = documents.find(table, _LISTING, bucket)
    listing = found.read(Listing) if found else None
    return listing if listing and now - listing.begun_at < KEPT else None


def save_listing(table: str, bucket: str, listing: Listing) -> None:
    """Write the checkpoint in the place of the one that is there: only one invocation lists at a time."""
    document = Document(_LISTING, bucket, to_json(listing), expiration=listing.begun_at + KEPT)
    documents.write(table, documents.put(document))


def drop_listing(table: str, bucket: str) -> None:
    """Forget a listing that has ended."""
    documents.write(table, documents.delete(_LISTING, bucket))


def newest_manifest(table: str, bucket: str) -> str:
    """The id of the last manifest that was completed, empty if none was."""
    found = documents.find(table, _LISTING, _NEWEST + bucket)
    return found.read(str) if found else ""


def remember_manifest(table: str, bucket: str, name: str) -> None:
    """Note a completed manifest, so that one that was removed is missed."""
    documents.write(table, documents.put(Document(_LISTING, _NEWEST + bucket, to_json(name))))
