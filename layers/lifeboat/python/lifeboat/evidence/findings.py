"""What endangers the evidence bucket, each finding with the commands that mend it. Pure: S3 was observed before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum

from lifeboat.domain.evidence import BucketSettings, LifecycleRule, NotRead, ObjectLock, PublicAccessBlock, Versioning
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


def judge(settings: BucketSettings, tally: Tally, place: Place) -> tuple[Finding, ...]:
    """All findings. What was not read is a finding, never taken for safe.

    The commands of a finding that needs versioning enable it first, so that they work in any order.
    """
    versioned = isinstance(settings.versioning, Versioning) and settings.versioning.status == "Enabled"
    first = () if versioned else (commands.enable_versioning(place),)
    return (
        *_not_read(settings),
        *_of_versioning(settings, versioned, first),
        *_of_lifecycle(settings, tally, place, versioned),
        *_of_lock(settings, place, first),
        *_of_deletion(settings, place, versioned, first),
        *_of_public_access(settings, place),
        *_of_replication(settings, place, first),
        *_of_encryption(settings, place),
        *_of_ownership(settings, place),
    )


def _not_read(settings: BucketSettings) -> Iterator[Finding]:
    for item in fields(settings):
        value = getattr(settings, item.name)
        if isinstance(value, NotRead):
            name = item.name.replace("_", " ")
            yield Finding(Risk.NOT_READ, f"S3 refused to show the setting {name}: {value.said}", subject=item.name)


def _of_versioning(settings: BucketSettings, versioned: bool, first: tuple[str, ...]) -> Iterator[Finding]:
    if not versioned and not isinstance(settings.versioning, NotRead):
        text = "The bucket has no versioning: what is deleted or overwritten is gone for good"
        yield Finding(Risk.VERSIONING, text, critical=True, commands=first)


def _of_lifecycle(settings: BucketSettings, tally: Tally, place: Place, versioned: bool) -> Iterator[Finding]:
    rules = settings.lifecycle if isinstance(settings.lifecycle, tuple) else ()
    going = {(item.rule, item.noncurrent): item for item in tally.going}
    for rule in rules:
        if rule.expires:
            yield _expiry(rule, going.get((rule.id, False), Going(rule.id)), rules, place, versioned)
        if rule.removes_noncurrent and (rule.noncurrent_days or 0) < SHORT_DAYS:
            found = going.get((rule.id, True), Going(rule.id, noncurrent=True))
            text = (
                f"The lifecycle rule {rule.id} removes noncurrent versions{_under(rule)} for good "
                f"{rule.noncurrent_days} days after they became noncurrent{_counted(found)}"
            )
            mended = (commands.keep_objects(place, rules, rule, noncurrent=True),)
            yield Finding(Risk.NONCURRENT, text, subject=rule.id, commands=mended, at=found.first_at)


def _expiry(
    rule: LifecycleRule, found: Going, rules: Sequence[LifecycleRule], place: Place, versioned: bool
) -> Finding:
    when = f"on {iso(rule.expires_at)}" if rule.expires_at else f"{rule.expires_days} days after their creation"
    does = "hides with a delete marker" if versioned else "deletes for good"
    return Finding(
        Risk.LIFECYCLE,
        f"The lifecycle rule {rule.id} {does} the objects{_under(rule)} {when}{_counted(found)}",
        critical=not versioned and found.soon_objects > 0,
        subject=rule.id,
        commands=(commands.keep_objects(place, rules, rule),),
        at=found.first_at,
    )


def _under(rule: LifecycleRule) -> str:
    return f" under {rule.prefix}" if rule.prefix else ""


def _counted(found: Going) -> str:
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
        "The bucket policy denies deletion for good to nobody: each role and user of the account whose own policy "
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
    if any(not rule.prefix for rule in enabled):
        return
    if enabled:  # a command would take the rules' place
        under = ", ".join(rule.prefix for rule in enabled)
        yield Finding(
            Risk.REPLICATION, f"Only the objects under {under} are replicated: the others have no second copy"
        )
        return
    text = "The bucket is not replicated: there is no second copy of the evidence"
    yield Finding(Risk.REPLICATION, text, commands=(*first, *commands.replicate(place)))


def _of_encryption(settings: BucketSettings, place: Place) -> Iterator[Finding]:
    if settings.encryption is None:
        text = "The bucket has no default encryption"
        yield Finding(Risk.ENCRYPTION, text, commands=(commands.encrypt(place),))


def _of_ownership(settings: BucketSettings, place: Place) -> Iterator[Finding]:
    if settings.ownership is None or settings.ownership == "ObjectWriter":
        text = "An object that another account writes belongs to that account, which may keep it from being read here"
        yield Finding(Risk.OWNERSHIP, text, commands=(commands.own_all_objects(place),))
