"""The manifest of the evidence bucket: its names, its format, and which manifests are kept. Pure.

A manifest is numbered parts, each of lines of JSON in gzip, and an index, which is written last:

    evidence/<bucket>/parts/<id>/objects-00001.jsonl.gz   a line for each version, and one for each folder after them
    evidence/<bucket>/parts/<id>/lost-00001.jsonl.gz      a line for each object that the manifest before has
    evidence/<bucket>/index/<id>.json

`<id>` is when the listing was begun, such as 20261123T010000Z. A manifest without an index is not complete. Lines are
in the order of S3's listing: by key, the newest version first. So two manifests are compared line by line.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lifeboat.domain.evidence import ObjectVersion

FORMAT = 1
PREFIX = "evidence/"
"""Where the manifests of evidence are in the stack's own bucket. Digests of blocks are beside it."""

KEPT = 90
"""So many manifests are kept: the newest one of each of the last 90 days that have one."""

RECENT = 3
"""So many of the newest manifests are kept in any case, also of one day."""

OBJECTS, LOST = "objects", "lost"
"""The kinds of parts."""


class UnreadableManifest(ValueError):  # noqa: N818 - it says what is
    """A part or an index is missing, or is not what this version of Lifeboat writes."""


@dataclass(frozen=True, slots=True)
class Folder:
    """What the bucket has under the first two steps of its keys. Sizes are in bytes; only current objects count.

    The layout of the bucket is not documented, so a folder is the nearest that keys say of a project.
    """

    name: str = ""
    objects: int = 0
    size: int = 0

    def plus(self, item: ObjectVersion) -> Folder:
        return Folder(self.name, self.objects + item.is_current, self.size + item.size * item.is_current)


@dataclass(frozen=True, slots=True)
class Losses:
    """What the bucket has lost since an earlier manifest. Sizes are in bytes.

    `expired` of the `objects` went by a lifecycle rule. `hidden` of them are still there behind a delete marker.
    `replaced` objects are not lost: another content is under their key.
    """

    objects: int = 0
    size: int = 0
    expired: int = 0
    hidden: int = 0
    replaced: int = 0


NO_LOSSES = Losses()


@dataclass(frozen=True, slots=True)
class Peak:
    """The most that the bucket had since it was last found much smaller. Size is in bytes."""

    objects: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Index:
    """The index of a complete manifest.

    `begun_at` and `ended_at` are of the listing. `objects`, `size` and `archived` are of current objects, `versions` of
    everything listed. `before` is the id of the manifest that it was compared with, empty if there is none.
    `not_compared` says why it was not. `smaller` has what is much less than at the peak before, a phrase for each.
    """

    id: str
    bucket: str
    begun_at: datetime
    ended_at: datetime
    parts: int
    lost_parts: int
    objects: int
    size: int
    archived: int
    versions: int
    folders: int
    peak: Peak
    before: str = ""
    not_compared: str = ""
    losses: Losses = NO_LOSSES
    smaller: tuple[str, ...] = ()
    format: int = FORMAT


def manifest_id(begun_at: datetime) -> str:
    """The id of a manifest whose listing was begun then. Ids sort by time."""
    return f"{begun_at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def prefix_of_indexes(bucket: str) -> str:
    return f"{PREFIX}{bucket}/index/"


def prefix_of_parts(bucket: str) -> str:
    return f"{PREFIX}{bucket}/parts/"


def key_of_index(bucket: str, name: str) -> str:
    return f"{prefix_of_indexes(bucket)}{name}.json"


def key_of_part(bucket: str, name: str, kind: str, number: int) -> str:
    return f"{prefix_of_parts(bucket)}{name}/{kind}-{number:05}.jsonl.gz"


def ids_of(keys: Iterable[str], bucket: str) -> tuple[str, ...]:
    """The ids of the manifests with these indexes, the oldest first."""
    prefix = prefix_of_indexes(bucket)
    return tuple(sorted(key.removeprefix(prefix).removesuffix(".json") for key in keys))


def choose_kept(ids: Iterable[str]) -> frozenset[str]:
    """The newest manifest of each day, of the newest KEPT days, and the newest RECENT of all.

    So a person who asks often makes none go early, and the one that a message names as compared is there.
    """
    known = sorted(ids)
    newest = {name[:8]: name for name in known}
    return frozenset([*(newest[day] for day in sorted(newest)[-KEPT:]), *known[-RECENT:]])


def choose_removed(ids: Iterable[str], part_keys: Iterable[str], bucket: str) -> Iterator[str]:
    """The keys that no manifest to keep needs: older manifests, and parts of those that were never completed.

    An index goes first: without it, nobody reads its parts. What is newer than the newest index may be in the making.
    """
    known = sorted(ids)
    kept = choose_kept(known)
    for name in known:
        if name not in kept:
            yield key_of_index(bucket, name)
    prefix = prefix_of_parts(bucket)
    for key in part_keys:
        name = key.removeprefix(prefix).split("/")[0]
        if known and name not in kept and name < known[-1]:
            yield key


def folder_of(key: str) -> str:
    """The first two steps of a key, without the name of the object."""
    return "/".join(key.split("/")[:-1][:2])


# --- lines


def line_of_version(item: ObjectVersion) -> Mapping[str, Any]:
    """The line of a version. What is not said is empty, or false."""
    line = {
        "key": item.key,
        "version_id": item.version_id,
        "size": item.size,
        "etag": item.etag,
        "checksum": item.checksum,
        "storage_class": item.storage_class,
        "last_modified": item.last_modified.isoformat(),
        "latest": item.is_latest,
        "deleted": item.delete_marker,
    }
    return {name: value for name, value in line.items() if value or name == "version_id"}


def line_of_folder(folder: Folder) -> Mapping[str, Any]:
    """The line of a folder, which follows those of its objects."""
    return {"folder": folder.name, "objects": folder.objects, "size": folder.size}


def encode(lines: Iterable[Mapping[str, Any]]) -> bytes:
    """A part with these lines."""
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    return gzip.compress(text.encode(), compresslevel=6, mtime=0)


def decode_lines(data: bytes, after: str = "") -> Iterator[Mapping[str, Any]]:
    """The lines of a part; none if the last of its keys is not after this one. Raises UnreadableManifest."""
    try:
        lines = gzip.decompress(data).splitlines()
        if after and _last_key(lines).encode() <= after.encode():
            return
        for line in lines:
            found = json.loads(line)
            if not isinstance(found, dict):
                raise UnreadableManifest("a line is no JSON object")
            yield found
    except (OSError, EOFError, zlib.error, ValueError) as problem:
        raise UnreadableManifest(f"a part cannot be read: {problem}") from problem


def _last_key(lines: Sequence[bytes]) -> str:
    for line in reversed(lines):  # lines of folders may be the last
        if key := json.loads(line).get("key"):
            return str(key)
    return ""


def versions_of(lines: Iterable[Mapping[str, Any]], *, current: bool = False) -> Iterator[ObjectVersion]:
    """The versions among the lines of a part; `current`: only those of current objects. Raises UnreadableManifest."""
    for line in lines:
        if "folder" in line or (current and (not line.get("latest") or line.get("deleted"))):
            continue
        try:
            yield ObjectVersion(
                key=line["key"],
                version_id=line["version_id"],
                size=line.get("size", 0),
                etag=line.get("etag", ""),
                checksum=line.get("checksum", ""),
                storage_class=line.get("storage_class", ""),
                last_modified=datetime.fromisoformat(line["last_modified"]),
                is_latest=line.get("latest", False),
                delete_marker=line.get("deleted", False),
            )
        except (KeyError, TypeError, ValueError) as problem:
            raise UnreadableManifest(f"a line lacks a field: {problem}") from problem


def encode_index(index: Index) -> bytes:
    """The index as the text of an object."""
    return TypeAdapter(Index).dump_json(index, indent=1)


def decode_index(data: bytes) -> Index:
    """The index. Raises UnreadableManifest."""
    try:
        index = TypeAdapter(Index).validate_json(data)
    except ValidationError as problem:
        raise UnreadableManifest(f"an index cannot be read: {problem.errors()[0]['msg']}") from problem
    if index.format != FORMAT:
        raise UnreadableManifest(f"an index has the format {index.format}, expected {FORMAT}")
    return index


# --- smaller

SHARE = 0.9
"""With less than this share of the objects or bytes of the peak, the bucket is much smaller."""


def compare_sizes(peak: Peak | None, objects: int, size: int) -> tuple[tuple[str, ...], Peak]:
    """What is much less than at the peak, a phrase for each, and the new peak.

    After a bucket was found much smaller, the peak begins anew: each tenth that goes is published once, also where it
    goes a little each night.
    """
    smaller: list[str] = []
    if peak and objects < SHARE * peak.objects:
        smaller.append(f"{objects} objects instead of {peak.objects}")
    if peak and size < SHARE * peak.size:
        smaller.append(f"{size} bytes instead of {peak.size}")
    if smaller or peak is None:
        return tuple(smaller), Peak(objects, size)
    return (), Peak(max(objects, peak.objects), max(size, peak.size))
