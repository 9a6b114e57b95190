"""The manifests of one evidence bucket in the stack's own bucket: an object for each part, and one for each index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lifeboat.aws import objects
from lifeboat.aws.objects import Lock
from lifeboat.domain.config import Config
from lifeboat.domain.evidence import ObjectVersion
from lifeboat.evidence import manifest
from lifeboat.evidence.manifest import Index, UnreadableManifest


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where the manifests of the bucket `evidence` are: in the bucket `name` of the stack's own, and its account.

    `lock_days` is for how long a new object is locked, 0: not at all; `mode` is that of the lock.
    """

    evidence: str
    name: str
    account: str
    lock_days: int = 0
    mode: str = ""

    def write_part(self, name: str, kind: str, number: int, lines: Iterable[Mapping[str, Any]], now: datetime) -> None:
        """Write a part of a manifest in the place of the one that is there. Raises AwsError."""
        self._write(manifest.key_of_part(self.evidence, name, kind, number), manifest.encode(lines), now)

    def write_index(self, index: Index, now: datetime) -> None:
        """Write the index, which makes the manifest complete. Raises AwsError."""
        self._write(manifest.key_of_index(self.evidence, index.id), manifest.encode_index(index), now)

    def list_ids(self) -> tuple[str, ...]:
        """The ids of all complete manifests, the oldest first. Raises AwsError."""
        prefix = manifest.prefix_of_indexes(self.evidence)
        return manifest.ids_of(objects.list_keys(self.name, prefix, account=self.account), self.evidence)

    def read_index(self, name: str) -> Index:
        """The index of a manifest. Raises AwsError, and UnreadableManifest also if there is none."""
        return manifest.decode_index(self._read(manifest.key_of_index(self.evidence, name)))

    def read_current(self, index: Index, part: int = 1, after: str = "") -> Iterator[tuple[int, ObjectVersion]]:
        """The current objects from a part on, each with the number of its part; one part is in memory at a time.

        Parts with no key after `after` are passed over. Raises AwsError and UnreadableManifest.
        """
        for number in range(part, index.parts + 1):
            for item in manifest.versions_of(self.read_part(index, manifest.OBJECTS, number, after), current=True):
                yield number, item

    def read_versions(self, index: Index, after: str = "") -> Iterator[ObjectVersion]:
        """All versions and delete markers, one part in memory at a time, without parts that have no key after `after`.

        Raises AwsError and UnreadableManifest.
        """
        for number in range(1, index.parts + 1):
            yield from manifest.versions_of(self.read_part(index, manifest.OBJECTS, number, after))

    def read_part(self, index: Index, kind: str, number: int, after: str = "") -> Iterator[Mapping[str, Any]]:
        """The lines of one part; none if it has no key after `after`. Raises AwsError and UnreadableManifest."""
        return manifest.decode_lines(self._read(manifest.key_of_part(self.evidence, index.id, kind, number)), after)

    def prune(self) -> int:
        """Hide what no kept manifest needs; how many objects. The bucket's lifecycle removes them. Raises AwsError."""
        prefix = manifest.prefix_of_parts(self.evidence)
        keys = objects.list_keys(self.name, prefix, account=self.account)
        gone = tuple(manifest.choose_removed(self.list_ids(), keys, self.evidence))
        objects.hide_objects(self.name, gone, account=self.account)
        return len(gone)

    def _write(self, key: str, data: bytes, now: datetime) -> None:
        lock = Lock(self.mode, now + timedelta(days=self.lock_days)) if self.lock_days else None
        objects.write_object(self.name, key, data, account=self.account, lock=lock)

    def _read(self, key: str) -> bytes:
        data = objects.read_object(self.name, key, account=self.account)
        if data is None:
            raise UnreadableManifest(f"{key} is not there")
        return data


def shelf_of(config: Config) -> Shelf:
    """Where this stack keeps the manifests of its evidence bucket.

    Their lock is as strict as those of recovery points: COMPLIANCE if LockMode is, GOVERNANCE in every other case.
    """
    mode = "COMPLIANCE" if config.locks.mode == "compliance" else "GOVERNANCE"
    return Shelf(config.evidence_bucket, config.manifest_bucket, config.account, config.manifest_lock_days, mode)
