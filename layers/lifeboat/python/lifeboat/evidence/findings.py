"""What endangers the evidence bucket, each finding with the commands that mend it. Pure: S3 was observed before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum

from lifeboat.domain.evidence import (
    BucketSettings,
    Encryption,
    LifecycleRule,
    NotRead,
    ObjectLock,
    PublicAccessBlock,
    ReplicationRule,
    Versioning,
)
from lifeboat.domain.text import iso
from lifeboat.evidence import commands
from lifeboat.evidence.bucket_policy import denies_deletion_for_good, others_who_may_delete
from lifeboat.evidence.commands import Place
from lifeboat.evidence.expiry import Going, Tally

SHORT_DAYS = 30
"""Noncurrent versions that go earlier leave little time to notice a deletion."""


class Risk(StrEnum):
    """What a finding is about."""

    NOT_READ = "not_read"
    VERSIONING = "no_versioning"
    LIFECYCLE = "objects_expire"
    NONCURRENT = "versions_expire"
    LOCK = "no_object_lock"
    DELETION = "deletable"
    PUBLIC = "public_access"
    REPLICATION = "no_second_copy"
    ENCRYPTION = "not_encrypted"
    OWNERSHIP = "foreign_objects"
    MANIFEST = "no_manifest"
    MISSING = "no_bucket"
    REGION = "other_region"

    @property
    def label(self) -> str:
        """The risk in words."""
        return self.value.replace("_", " ")


BUCKET, VERSIONS = "bucket", "versions"
"""Subjects of NOT_READ beside the settings: the whole bucket, and the listing of its versions."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One risk. `subject` distinguishes findings of one kind, such as a rule's id. `at` is when the first object goes.

    `commands` mend it, run in their order. A finding that only a person can mend has none.
    """

    risk: Risk
    text: str
    critical: bool = False
    subject: str = ""
    commands: tuple[str, ...] = ()
    at: datetime | None = None


def judge(
    settings: BucketSettings, tally: Tally | NotRead, place: Place, *, region_refused: str = ""
) -> tuple[Finding, ...]:
    """All findings. What was not read is a finding, never taken for safe.

    `region_refused` is in AWS's own words, if S3 refused to say where the bucket is.

    The commands of a finding that needs versioning enable it first. Those of the lifecycle are the same for all its
    findings. So the commands work in any order.
    """
    refused = dict(_refused(settings, tally))
    if len(refused) == len(fields(settings)) + 1:
        return (judge_unseen(place.bucket, place.account, refused[VERSIONS]),)
    if region_refused:
        refused = {"region": region_refused, **refused}
    read = not isinstance(settings.versioning, NotRead)
    versioned = isinstance(settings.versioning, Versioning) and settings.versioning.status == "Enabled"
    first = () if versioned else (commands.enable_versioning(place),)
    return (
        *(_not_read(subject, said) for subject, said in refused.items()),
        *_of_versioning(settings, versioned, first),
        *_of_lifecycle(settings, tally, place, versioned if read else None),
        *_of_lock(settings, place, first),
        *_of_deletion(settings, place, versioned or not read, first),
        *_of_public_access(settings, place),
        *_of_replication(settings, place, first),
        *_of_encryption(settings, place),
        *_of_ownership(settings, place),
    )


def judge_missing(bucket: str) -> Finding:
    """The finding of a bucket that does not exist."""
    text = f"The bucket {bucket} does not exist: it was deleted with its evidence, or EvidenceBucket is mistyped"
    return Finding(Risk.MISSING, text, critical=True)


def judge_unseen(bucket: str, account: str, said: str) -> Finding:
    """The finding of a bucket of which S3 shows nothing; `said` is in AWS's own words.

    S3 does not say whether a bucket belongs to another account or its policy refuses.
    """
    text = (
        f"Nothing of the bucket {bucket} can be seen: it belongs to another account than {account}, or a policy "
        f"refuses. S3 said: {said}"
    )
    return Finding(Risk.NOT_READ, text, critical=True, subject=BUCKET)


def judge_region(bucket: str, region: str, expected: str) -> Finding:
    """The finding of a bucket that is in another region than the stack."""
    text = (
        f"The bucket {bucket} is in {region} and is not guarded: this stack guards a bucket in {expected}. Deploy a "
        f"stack in {region} with this EvidenceBucket"
    )
    return Finding(Risk.REGION, text, subject=region)


def _not_read(subject: str, said: str) -> Finding:
    what = "The list of object versions" if subject == VERSIONS else f"The setting {subject.replace('_', ' ')}"
    return Finding(Risk.NOT_READ, f"{what} cannot be seen, so it is not judged. S3 said: {said}", subject=subject)


def _refused(settings: BucketSettings, tally: Tally | NotRead) -> Iterator[tuple[str, str]]:
    """The names of what S3 refused to show, each with AWS's own words."""
    for name, value in (*((item.name, getattr(settings, item.name)) for item in fields(settings)), (VERSIONS, tally)):
        if isinstance(value, NotRead):
            yield name, value.said


def _of_versioning(settings: BucketSettings, versioned: bool, first: tuple[str, ...]) -> Iterator[Finding]:
    if not versioned and not isinstance(settings.versioning, NotRead):
        text = "The bucket has no versioning: what is deleted or overwritten is gone for good"
        yield Finding(Risk.VERSIONING, text, critical=True, commands=first)


def _of_lifecycle(
    settings: BucketSettings, tally: Tally | NotRead, place: Place, versioned: bool | None
) -> Iterator[Finding]:
    """`versioned` is None if S3 refused to say."""
    rules = settings.lifecycle if isinstance(settings.lifecycle, tuple) else ()
    expiring = [rule for rule in rules if rule.expires]
    removing = [rule for rule in rules if rule.removes_noncurrent and (rule.noncurrent_days or 0) < SHORT_DAYS]
    expiries = {*((rule.id, False) for rule in expiring), *((rule.id, True) for rule in removing)}
    mended = (commands.keep_objects(place, rules, expiries),) if expiries else ()
    for rule in expiring:
        found = _going(tally, rule, noncurrent=False)
        when = f"on {iso(rule.expires_at)}" if rule.expires_at else f"{rule.expires_days} days after their creation"
        does = {True: "hides with a delete marker", False: "deletes for good", None: "deletes"}[versioned]
        yield Finding(
            Risk.LIFECYCLE,
            f"The lifecycle rule {rule.id} {does} the objects{_under(rule)} {when}{_counted(found)}",
            critical=versioned is False and found is not None and found.soon_objects > 0,
            subject=rule.id,
            commands=mended,
            at=found.first_at if found else None,
        )
    for rule in removing:
        found = _going(tally, rule, noncurrent=True)
        text = (
            f"The lifecycle rule {rule.id} removes noncurrent versions{_under(rule)} for good "
            f"{rule.noncurrent_days} days after they became noncurrent{_counted(found)}"
        )
        yield Finding(Risk.NONCURRENT, text, subject=rule.id, commands=mended, at=found.first_at if found else None)


def _going(tally: Tally | NotRead, rule: LifecycleRule, *, noncurrent: bool) -> Going | None:
    """What the rule makes go; None if it could not be counted."""
    if isinstance(tally, NotRead):
        return None
    found = (item for item in tally.going if (item.rule, item.noncurrent) == (rule.id, noncurrent))
    return next(found, Going(rule.id, noncurrent=noncurrent))


def _under(rule: LifecycleRule) -> str:
    return f" under {rule.prefix}" if rule.prefix else ""


def _counted(found: Going | None) -> str:
    if found is None:
        return ""
    if found.first_at is None:
        return ", and there is none now"
    most = "at most " if found.at_most else ""
    return f": {most}{found.objects} with {found.size} bytes, the first at {iso(found.first_at)}"


def _of_lock(settings: BucketSettings, place: Place, first: tuple[str, ...]) -> Iterator[Finding]:
    lock = settings.object_lock
    if isinstance(lock, NotRead) or (isinstance(lock, ObjectLock) and lock.mode):
        return
    why = "has Object Lock without a default retention" if lock else "has no Object Lock"
    text = f"The bucket {why}: nothing keeps a new version from being deleted"
    yield Finding(Risk.LOCK, text, commands=(*first, commands.lock_objects(place)))


def _of_deletion(settings: BucketSettings, place: Place, versioned: bool, first: tuple[str, ...]) -> Iterator[Finding]:
    if isinstance(settings.policy, NotRead):
        return
    policy = settings.policy or ""
    if versioned and denies_deletion_for_good(policy, place.bucket):
        return
    others = others_who_may_delete(policy, place.account)
    text = (
        "The bucket policy does not deny deletion for good: each role and user of the account whose own policy "
        "allows it may delete evidence, the platform's role included"
    )
    if others:
        text += f"; the bucket policy itself allows it to {', '.join(others)}"
    mended = (*first, commands.keep_versions(place, policy))
    yield Finding(Risk.DELETION, text, critical=bool(others), commands=mended)


def _of_public_access(settings: BucketSettings, place: Place) -> Iterator[Finding]:
    block = settings.public_access_block
    if isinstance(block, NotRead) or (isinstance(block, PublicAccessBlock) and block.is_complete):
        return
    public = settings.policy_is_public is True and not (block and block.restrict_buckets)
    text = (
        "The bucket policy makes the bucket public"
        if public
        else "The bucket does not block all public access, so that a policy or an ACL can make it public"
    )
    yield Finding(Risk.PUBLIC, text, critical=public, commands=(commands.block_public_access(place),))


def _of_replication(settings: BucketSettings, place: Place, first: tuple[str, ...]) -> Iterator[Finding]:
    rules = settings.replication
    if isinstance(rules, NotRead):
        return
    enabled = [rule for rule in rules or () if rule.enabled]
    if isinstance(settings.encryption, Encryption) and settings.encryption.algorithm.startswith("aws:kms"):
        # S3 replicates such objects only by a rule that names a key for the copies, and only a person knows which
        # (https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-config-for-kms-objects.html).
        if not any(rule.with_kms for rule in enabled):
            text = "No replication rule copies objects that are encrypted with a KMS key, as the bucket encrypts them"
            yield Finding(Risk.REPLICATION, text)
            return
        enabled = [rule for rule in enabled if rule.with_kms]
    if any(not rule.prefix and not rule.tags for rule in enabled):
        return
    if enabled:  # a command would take the rules' place
        chosen = ", ".join(_replicated(rule) for rule in enabled)
        yield Finding(Risk.REPLICATION, f"Only the objects {chosen} are replicated: the others have no second copy")
        return
    text = "The bucket is not replicated: there is no second copy of the evidence"
    yield Finding(Risk.REPLICATION, text, commands=(*first, *commands.replicate(place)))


def _replicated(rule: ReplicationRule) -> str:
    """Which objects a rule that is narrowed replicates."""
    tags = " and ".join(f"{key}={value}" for key, value in rule.tags)
    return " ".join([*([f"under {rule.prefix}"] if rule.prefix else []), *([f"with the tags {tags}"] if tags else [])])


def _of_encryption(settings: BucketSettings, place: Place) -> Iterator[Finding]:
    if settings.encryption is None:
        text = "The bucket has no default encryption"
        yield Finding(Risk.ENCRYPTION, text, commands=(commands.encrypt(place),))


def _of_ownership(settings: BucketSettings, place: Place) -> Iterator[Finding]:
    if settings.ownership is None or settings.ownership == "ObjectWriter":
        text = "An object that another account writes belongs to that account, which may keep it from being read here"
        yield Finding(Risk.OWNERSHIP, text, commands=(commands.own_all_objects(place),))
