"""Write the manifest of the evidence bucket from the guard's listing, and compare it with the one before.

Both use one listing: no second one of a million versions. A part is written before the checkpoint that counts it, so an
invocation that is cut off writes some parts again. What hinders the manifest hinders no judgement of the bucket: it is
noted, and becomes a finding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial
from typing import Any

from aws_lambda_powertools import Logger

from lifeboat.aws import clock
from lifeboat.aws.errors import AwsError
from lifeboat.aws.invocation import Invocation
from lifeboat.domain.evidence import LifecycleRule, ObjectVersion
from lifeboat.evidence import listing_store, manifest
from lifeboat.evidence.expiry import Tally
from lifeboat.evidence.findings import Finding, Risk
from lifeboat.evidence.losses import Comparison, Loss
from lifeboat.evidence.manifest import Folder, Index, UnreadableManifest
from lifeboat.evidence.manifest_messages import NAMED, evidence_lost, is_published, manifest_facts
from lifeboat.evidence.manifest_store import Shelf, shelf_of
from lifeboat.evidence.progress import Progress


@cache
def _logger() -> Logger:
    """Made at first use, because a logger reads the function's environment."""
    return Logger(child=True)


LINES = 5_000
"""So many losses are written at once: a bucket that was emptied has a million."""


@dataclass(frozen=True, slots=True)
class Written:
    """A manifest that was written, with the first of its losses; or why there is none, in `hindered`."""

    index: Index | None = None
    named: tuple[Loss, ...] = ()
    hindered: str = ""


def begin_or_continue(
    progress: Progress | None, rules: Sequence[LifecycleRule], begun_at: datetime, invocation: Invocation
) -> Writer:
    """The manifest of a listing that was begun then. Raises AwsError for what passes."""
    shelf = shelf_of(invocation.config)
    if progress is None:
        newest = listing_store.newest_manifest(invocation.config.table, invocation.config.evidence_bucket)
        progress = _find_before(Progress(manifest.manifest_id(begun_at)), shelf, newest)
    writer = Writer(shelf, progress, begun_at)
    writer.compare(rules)
    return writer


def _find_before(progress: Progress, shelf: Shelf, newest: str) -> Progress:
    """The manifest to compare with: the last complete one.

    Whoever deletes evidence may remove the manifests first. Where all are gone, that is said.
    """
    try:
        ids = [name for name in shelf.list_ids() if name != progress.id]
    except AwsError as problem:
        if problem.passes:
            raise
        return replace(progress, hindered=str(problem))
    if newest and not ids:
        return replace(progress, not_compared=f"{manifest.key_of_index(shelf.evidence, newest)} is not there any more")
    return replace(progress, before=ids[-1] if ids else "")


class Writer:
    """Writes one manifest while its bucket is listed, and compares it with the one before."""

    def __init__(self, shelf: Shelf, progress: Progress, begun_at: datetime) -> None:
        self._shelf = shelf
        self._progress = progress
        self._begun_at = begun_at
        self._folder = progress.folder
        self._folders = progress.folders
        self._parts, self._lost_parts = progress.parts, progress.lost_parts
        self._lines: list[Mapping[str, Any]] = []
        self._lost: list[Mapping[str, Any]] = []
        self._named = list(progress.named)
        self._comparison: Comparison | None = None
        self._earlier: Index | None = None

    @property
    def progress(self) -> Progress:
        """The last checkpoint."""
        return self._progress

    def compare(self, rules: Sequence[LifecycleRule]) -> None:
        """Compare with the manifest before from where the progress is. Raises AwsError for what passes."""
        known = self._progress
        if not known.before or known.hindered or known.not_compared:
            return

        def begin() -> None:
            self._earlier = self._shelf.read_index(known.before)
            earlier = self._shelf.read_current(self._earlier, known.position.part)
            self._comparison = Comparison(earlier, self._note, clock.now(), rules, known.position)

        self._compared(begin)

    def add(self, versions: Sequence[ObjectVersion]) -> None:
        """The next page of the listing. Raises AwsError for what passes."""
        if self._progress.hindered:
            return
        for item in versions:
            self._enter(manifest.folder_of(item.key))
            self._folder = (self._folder or Folder()).plus(item)
            self._lines.append(manifest.line_of_version(item))
            if self._comparison:
                self._compared(partial(self._comparison.add, item))

    def save(self) -> Progress:
        """Write what has come since the last checkpoint; the next one. Raises AwsError for what passes."""
        if self._progress.hindered:
            return self._progress
        try:
            self._write_parts()
        except AwsError as problem:
            if problem.passes:
                raise
            self._progress = replace(self._progress, hindered=str(problem))
        self._progress = replace(
            self._progress,
            parts=self._parts,
            lost_parts=self._lost_parts,
            folders=self._folders,
            folder=self._folder,
            position=self._comparison.position if self._comparison else self._progress.position,
            named=tuple(self._named),
        )
        return self._progress

    def complete(self, tally: Tally) -> Written:
        """Write all but the index, which `write_index` writes. Raises AwsError for what passes."""
        if not self._progress.hindered:
            if self._comparison:
                self._compared(self._comparison.end)
            self._enter(None)
            self.save()
        known = self._progress
        if known.hindered:
            return Written(hindered=known.hindered)
        return Written(self._index(known, tally), known.named)

    def write_index(self, written: Written) -> Written:
        """Write the index, after its losses were published. Raises AwsError for what passes."""
        if written.index is None:
            return written
        try:
            self._shelf.write_index(written.index, clock.now())
        except AwsError as problem:
            if problem.passes:
                raise
            return Written(hindered=str(problem))
        return written

    def _index(self, known: Progress, tally: Tally) -> Index:
        compared = self._comparison is not None
        peak = self._earlier.peak if self._earlier else None
        smaller, peak = manifest.compare_sizes(peak, tally.objects, tally.size)
        return Index(
            id=known.id,
            bucket=self._shelf.evidence,
            begun_at=self._begun_at,
            ended_at=clock.now(),
            parts=known.parts,
            lost_parts=known.lost_parts,
            objects=tally.objects,
            size=tally.size,
            archived=tally.archived,
            versions=tally.versions,
            folders=known.folders,
            peak=peak,
            before=known.before if compared else "",
            not_compared=known.not_compared,
            losses=known.position.losses,
            smaller=smaller,
        )

    def _enter(self, folder: str | None) -> None:
        """Close the folder that is open if this is another one."""
        if self._folder and self._folder.name != folder:
            self._lines.append(manifest.line_of_folder(self._folder))
            self._folders += 1
            self._folder = None
        if self._folder is None and folder is not None:
            self._folder = Folder(folder)

    def _compared(self, step: Callable[[], object]) -> None:
        """Do a step of the comparison. What cannot be read of the manifest before ends it, and is noted."""
        try:
            step()
        except (AwsError, UnreadableManifest) as problem:
            if isinstance(problem, AwsError) and problem.passes:
                raise
            self._comparison = None
            self._progress = replace(self._progress, not_compared=str(problem))

    def _note(self, loss: Loss) -> None:
        if len(self._named) < NAMED:
            self._named.append(loss)
        self._lost.append(loss.line())
        if len(self._lost) >= LINES:
            self._write_lost()

    def _write_parts(self) -> None:
        if self._lines:
            self._parts += 1
            self._shelf.write_part(self._progress.id, manifest.OBJECTS, self._parts, self._lines, clock.now())
        self._lines = []
        if self._lost:
            self._write_lost()

    def _write_lost(self) -> None:
        self._lost_parts += 1
        self._shelf.write_part(self._progress.id, manifest.LOST, self._lost_parts, self._lost, clock.now())
        self._lost = []


def publish_losses(written: Written, invocation: Invocation) -> bool:
    """Publish once what a manifest has lost. False while another invocation publishes it."""
    index = written.index
    if index is None or not is_published(index):
        return True
    region = invocation.config.region
    message = evidence_lost(**invocation.stamp(), region=region, index=index, named=written.named)
    return invocation.publish_once("published-evidence", f"{index.bucket} lost {index.id}", message)


def judge_manifest(written: Written) -> tuple[Finding, ...]:
    """The finding of a manifest that was not written or not compared, in AWS's own words."""
    if written.index is None:
        text = f"The manifest of the bucket was not written: {written.hindered}"
        return (Finding(Risk.MANIFEST, text),)
    if written.index.not_compared:
        text = f"The manifest before could not be compared with the bucket: {written.index.not_compared}"
        return (Finding(Risk.MANIFEST, text, subject="comparison"),)
    return ()


def answer_of(written: Written) -> dict[str, Any]:
    """What the guard answers of the manifest: its facts, and the first of its losses."""
    if written.index is None:
        return {}
    return {**manifest_facts(written.index), "lost": [dict(loss.line()) for loss in written.named]}


def prune_manifests(invocation: Invocation) -> None:
    """Remove what no kept manifest needs. What S3 refuses is logged, and is tried again by the next manifest."""
    try:
        shelf_of(invocation.config).prune()
    except AwsError as problem:
        _logger().warning("manifests not pruned", extra={"reason": str(problem)})
