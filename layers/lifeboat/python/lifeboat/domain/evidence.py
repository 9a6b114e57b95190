"""Nouns of the evidence bucket, in which the platform preserves what was imported: its settings and its objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

ARCHIVED = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes whose objects cannot be read before RestoreObject has brought them back
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/archived-objects.html). GLACIER_IR can be read at once."""


@dataclass(frozen=True, slots=True)
class NotRead:
    """A setting that S3 refused to show. `said` is in AWS's own words."""

    said: str


type Setting[Value] = Value | NotRead | None
"""A setting of the bucket. None: it is not configured."""


@dataclass(frozen=True, slots=True)
class Versioning:
    """`status` is Enabled, Suspended, or empty if versioning was never enabled."""

    status: str = ""


@dataclass(frozen=True, slots=True)
class ObjectLock:
    """Object Lock with its default retention. Without one, `mode` is empty and new objects are not locked."""

    mode: str = ""


@dataclass(frozen=True, slots=True)
class LifecycleRule:
    """One rule of the bucket's lifecycle configuration.

    `document` is the rule as S3 answered it, with its dates as texts: what PutBucketLifecycleConfiguration takes.
    `tags`, `larger_than` and `smaller_than` (bytes, neither included) narrow the rule; None: any size. Current objects
    go after `expires_days` or at `expires_at`, noncurrent versions after `noncurrent_days`, of which `newer_noncurrent`
    newer ones are kept. None: they stay. `moves_from` is of the whole configuration: from which size on objects change
    their class, in S3's words.
    """

    id: str
    enabled: bool
    prefix: str
    document: Mapping[str, Any]
    tags: tuple[tuple[str, str], ...] = ()
    larger_than: int | None = None
    smaller_than: int | None = None
    expires_days: int | None = None
    expires_at: datetime | None = None
    noncurrent_days: int | None = None
    newer_noncurrent: int = 0
    moves_from: str = ""

    @property
    def expires(self) -> bool:
        """Whether the rule is enabled and makes current objects go."""
        return self.enabled and (self.expires_days is not None or self.expires_at is not None)

    @property
    def removes_noncurrent(self) -> bool:
        """Whether the rule is enabled and removes noncurrent versions for good."""
        return self.enabled and self.noncurrent_days is not None

    def covers(self, item: ObjectVersion) -> bool:
        """Whether the rule applies to the object by its key and size. A listing does not show tags."""
        return (
            item.key.startswith(self.prefix)
            and (self.larger_than is None or item.size > self.larger_than)
            and (self.smaller_than is None or item.size < self.smaller_than)
        )


@dataclass(frozen=True, slots=True)
class PublicAccessBlock:
    """The four switches of the bucket's public access block."""

    block_acls: bool
    ignore_acls: bool
    block_policy: bool
    restrict_buckets: bool

    @property
    def is_complete(self) -> bool:
        return self.block_acls and self.ignore_acls and self.block_policy and self.restrict_buckets


@dataclass(frozen=True, slots=True)
class Encryption:
    """The bucket's default encryption. `algorithm` is S3's word for it: AES256, aws:kms or aws:kms:dsse."""

    algorithm: str


@dataclass(frozen=True, slots=True)
class ReplicationRule:
    """One rule of the bucket's replication.

    `tags` narrow it to the objects that have them. `with_kms`: it also replicates what is encrypted with a KMS key.
    """

    enabled: bool
    prefix: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    with_kms: bool = False


@dataclass(frozen=True, slots=True)
class BucketSettings:
    """All settings of the evidence bucket that the guard judges, each read by a call of its own.

    `policy` is the bucket policy's text. `policy_is_public` is S3's own verdict. `ownership` is the rule of the
    ownership controls, such as BucketOwnerEnforced.
    """

    versioning: Setting[Versioning]
    object_lock: Setting[ObjectLock]
    lifecycle: Setting[tuple[LifecycleRule, ...]]
    public_access_block: Setting[PublicAccessBlock]
    policy: Setting[str]
    policy_is_public: Setting[bool]
    encryption: Setting[Encryption]
    replication: Setting[tuple[ReplicationRule, ...]]
    ownership: Setting[str]


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One version of an object, or a delete marker. Without versioning each object has the one version `null`.

    `size` is in bytes. `etag` has no quotes; it is no digest of the whole object if that was uploaded in parts.
    `checksum` is the algorithm of a checksum that S3 keeps: a listing does not show its value. A delete marker has no
    size, class and etag.
    """

    key: str
    version_id: str
    size: int
    storage_class: str
    last_modified: datetime
    is_latest: bool
    delete_marker: bool = False
    etag: str = ""
    checksum: str = ""

    @property
    def is_current(self) -> bool:
        """Whether a read of the key without a version gives this version."""
        return self.is_latest and not self.delete_marker

    @property
    def archived(self) -> bool:
        """Whether the object must be brought back before it can be read."""
        return self.storage_class in ARCHIVED


@dataclass(frozen=True, slots=True)
class Marker:
    """Where a listing goes on: after this version of this key."""

    key: str
    version_id: str


@dataclass(frozen=True, slots=True)
class VersionPage:
    """A part of a listing. `next` is where it goes on, None at its end."""

    versions: tuple[ObjectVersion, ...]
    next: Marker | None
