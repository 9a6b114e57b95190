"""The manifests in the stack's own bucket: one object for each snapshot with the digests of its blocks.

A manifest that cannot be read or written costs reads and delays no proof: what is wrong is logged, and the blocks are
read again. Objects expire by the bucket's lifecycle, so nothing is deleted here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from aws_lambda_powertools import Logger

from lifeboat.aws import objects
from lifeboat.aws.ebs_direct import ChangedPage
from lifeboat.aws.errors import AwsError
from lifeboat.verify import digests
from lifeboat.verify.digests import Digests, ManifestError

PREFIX = "digests/"
"""Where the digests are in the bucket. Manifests of other kinds have other prefixes."""

MOST_PAGES = 100
"""The most pages of a list of changed blocks: a million blocks. What it would list after that counts as changed."""

MOST_EARLIER = 3
"""So many earlier snapshots are tried for a manifest."""


@cache
def _logger() -> Logger:
    """Made at first use, because a logger reads the function's environment."""
    return Logger(child=True)


@dataclass(frozen=True, slots=True)
class Bucket:
    """The stack's own bucket for manifests, and its account."""

    name: str
    account: str

    def find(self, snapshot_id: str, gib: int, region: str = "") -> Digests | None:
        """The digests of a snapshot; None if there is no readable manifest. `region` empty: the function's own."""
        try:
            data = objects.read_object(self.name, _key(snapshot_id, region), account=self.account)
            return None if data is None else digests.decode(data, snapshot_id, gib)
        except (AwsError, ManifestError) as problem:
            _logger().warning("manifest not read", extra={"snapshot": snapshot_id, "reason": str(problem)})
            return None

    def save(self, snapshot_id: str, gib: int, known: Digests, region: str = "") -> None:
        """Write a manifest in the place of the one that is there: only one invocation reads at a time."""
        data = digests.encode(snapshot_id, gib, known)
        try:
            objects.write_object(self.name, _key(snapshot_id, region), data, account=self.account)
        except AwsError as problem:
            _logger().warning("manifest not written", extra={"snapshot": snapshot_id, "reason": str(problem)})


def _key(snapshot_id: str, region: str) -> str:
    return f"{PREFIX}{region}/{snapshot_id}" if region else f"{PREFIX}{snapshot_id}"


@dataclass(slots=True)
class Manifest:
    """What is known of the blocks of one snapshot.

    `earlier` has the ids and GiB of earlier proven snapshots of the lineage, the newest first, read when they are
    needed. `list_changed` is the list of what differs in two snapshots. `again`: known blocks are read, too, and held
    against what is known.
    """

    bucket: Bucket
    snapshot_id: str
    gib: int
    earlier: Callable[[], Sequence[tuple[str, int]]]
    list_changed: Callable[[str, str, int], ChangedPage]
    again: bool = False
    region: str = ""
    _known: Digests | None = None
    _unsaved: bool = field(default=False)

    @property
    def known(self) -> Digests:
        """The digests that are known. Raises OutOfTime while they are carried over from an earlier snapshot."""
        if self._known is None:
            found = self.bucket.find(self.snapshot_id, self.gib, self.region)
            self._unsaved = found is None
            self._known = self._carried_over() if found is None else found
        return self._known

    def is_known(self, index: int) -> bool:
        """Whether a block need not be read. Raises OutOfTime."""
        return not self.again and index in self.known

    def add(self, read: Mapping[int, bytes]) -> None:
        """Add the digests of blocks that were read, and write the manifest where it has changed. Raises OutOfTime."""
        known = self.known
        new = {index: digest for index, digest in read.items() if known.get(index) != digest}
        if new:
            self._known = known.with_read(new)
        if new or self._unsaved:
            self.bucket.save(self.snapshot_id, self.gib, self.known, self.region)
            self._unsaved = False

    def _carried_over(self) -> Digests:
        """The digests of the last proven snapshot with a manifest, without the blocks that have changed since."""
        try:
            for snapshot_id, gib in self.earlier()[:MOST_EARLIER]:
                known = self.bucket.find(snapshot_id, gib, self.region)
                if known is not None:
                    return self._without_changes(snapshot_id, known)
        except AwsError as problem:  # such as UNRELATED_SNAPSHOTS, or a snapshot that was deleted meanwhile
            _logger().info("digests not carried over", extra={"snapshot": self.snapshot_id, "reason": str(problem)})
        return Digests()

    def _without_changes(self, snapshot_id: str, known: Digests) -> Digests:
        changed: set[int] = set()
        start = 0
        for _ in range(MOST_PAGES):
            page = self.list_changed(snapshot_id, self.snapshot_id, start)
            changed.update(page.tokens)
            if page.next_block is None:
                return known.without(changed)
            start = page.next_block
        return known.below(start).without(changed)
