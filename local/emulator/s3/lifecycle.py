"""S3 Lifecycle on the simulated clock: once a day, at midnight UTC, what is due goes or changes its storage class.

ministack stores the rules and carries none of them out. The times are AWS's: the days of the rule from the creation of
the object, or from when a version became noncurrent, rounded up to the next midnight UTC
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html). AWS may take longer; here nothing
does.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from ministack.services import s3

from local.emulator.clock import CLOCK
from local.emulator.s3.archives import DAY, midnight_after
from local.emulator.scope import Scope

Record = dict[str, Any]
Rule = Mapping[str, Any]

SMALLEST_TRANSITION = 128 * 1024
"""Bytes: a smaller object keeps its class unless the rule has a filter by size
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html)."""

ORDER = ("STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE")
"""Objects move down only."""


class Lifecycle:
    """The daily run; a source of the timers."""

    def __init__(self) -> None:
        self._next = 0.0

    def due(self) -> float | None:
        """The next midnight UTC while any bucket has rules."""
        if not s3._bucket_lifecycle._data:
            self._next = 0.0
            return None
        if not self._next:
            self._next = midnight_after(CLOCK.now())
        return self._next

    def run(self) -> None:
        """Carry out what is due in every bucket."""
        self._next = midnight_after(CLOCK.now())
        for (account, bucket), rules in [*s3._bucket_lifecycle._data.items()]:
            if isinstance(rules, list):
                Scope(account, "us-east-1").run(lambda bucket=bucket, rules=rules: _carry_out(bucket, rules))


LIFECYCLE = Lifecycle()
"""The lifecycle of all buckets of this process."""


def _carry_out(bucket: str, rules: list[Rule]) -> None:
    enabled = [rule for rule in rules if rule.get("Status") == "Enabled"]
    found = s3._ensure_bucket(bucket)
    for key in [*found["objects"]] if found and enabled else ():
        _of_current(bucket, key, found["objects"][key], enabled)
    histories = [(key, versions) for (name, key), versions in s3._object_versions.items() if name == bucket]
    for key, versions in histories:
        for version, since, newer in [*_noncurrent(versions)]:
            _of_noncurrent(bucket, key, version, since, newer, enabled)
        _drop_expired_marker(bucket, key, enabled)


def _of_current(bucket: str, key: str, found: Record, rules: list[Rule]) -> None:
    created = _moment(found["last_modified"])
    for rule in rules:
        expiration = rule.get("Expiration", {})
        if _covers(rule, bucket, key, found) and (
            _passed(created, expiration.get("Days")) or _reached(expiration.get("Date"))
        ):
            s3._delete_object(bucket, key)
            return
    for rule in rules:
        for step in rule.get("Transitions", []):
            if _may_move(rule, bucket, key, found) and (
                _passed(created, step.get("Days")) or _reached(step.get("Date"))
            ):
                current = found.get("version_id") or "null"
                versions = s3._object_versions.get((bucket, key)) or []
                _move([found, *(item for item in versions if item["version_id"] == current)], step["StorageClass"])


def _noncurrent(versions: list[Record]) -> Iterator[tuple[Record, float, int]]:
    """Each noncurrent version, since when it is, and how many noncurrent ones are newer."""
    newest_first = versions[::-1]
    for number, (version, successor) in enumerate(zip(newest_first[1:], newest_first, strict=False)):
        yield version, _moment(successor["last_modified"]), number


def _of_noncurrent(  # noqa: PLR0917 what a version is, and what is asked of it
    bucket: str, key: str, version: Record, since: float, newer: int, rules: list[Rule]
) -> None:
    marker = version.get("is_delete_marker")
    for rule in rules:
        expiration = rule.get("NoncurrentVersionExpiration", {})
        kept = int(expiration.get("NewerNoncurrentVersions", 0))
        applies = marker or _covers(rule, bucket, key, version)
        if applies and newer >= kept and _passed(since, expiration.get("NoncurrentDays")):
            named = None if version["version_id"] == "null" else version["version_id"]
            if not s3._check_object_lock(bucket, key, {}, named):
                s3._delete_object_version(s3._ensure_bucket(bucket), bucket, key, version["version_id"])
            return
    for rule in rules:
        for step in rule.get("NoncurrentVersionTransitions", []):
            enough = newer >= int(step.get("NewerNoncurrentVersions", 0))
            due = not marker and enough and _passed(since, step.get("NoncurrentDays"))
            if due and _may_move(rule, bucket, key, version):
                _move([version], step["StorageClass"])


def _drop_expired_marker(bucket: str, key: str, rules: list[Rule]) -> None:
    """Remove a delete marker that is the only version left, where a rule says so."""
    versions = s3._object_versions.get((bucket, key)) or []
    if len(versions) != 1 or not versions[0].get("is_delete_marker"):
        return
    for rule in rules:
        if rule.get("Expiration", {}).get("ExpiredObjectDeleteMarker") and key.startswith(_narrowing(rule)[0]):
            s3._delete_object_version(s3._ensure_bucket(bucket), bucket, key, versions[0]["version_id"])
            return


def _narrowing(rule: Rule) -> tuple[str, list[Mapping[str, str]], int | None, int | None]:
    """The prefix, the tags and the sizes between which a rule applies."""
    chosen = rule.get("Filter", {})
    together = chosen.get("And", {})
    tags = [*([chosen["Tag"]] if "Tag" in chosen else []), *together.get("Tags", [])]
    sizes = [together.get(name, chosen.get(name)) for name in ("ObjectSizeGreaterThan", "ObjectSizeLessThan")]
    return together.get("Prefix", chosen.get("Prefix", "")), tags, sizes[0], sizes[1]


def _covers(rule: Rule, bucket: str, key: str, found: Record) -> bool:
    prefix, tags, larger, smaller = _narrowing(rule)
    named = found.get("version_id")
    own = s3._object_tags.get((bucket, key, None if named == "null" else named)) or {}
    return (
        key.startswith(prefix)
        and all(own.get(tag["Key"]) == tag["Value"] for tag in tags)
        and (larger is None or found["size"] > larger)
        and (smaller is None or found["size"] < smaller)
    )


def _may_move(rule: Rule, bucket: str, key: str, found: Record) -> bool:
    _, _, larger, smaller = _narrowing(rule)
    by_size = larger is not None or smaller is not None
    return _covers(rule, bucket, key, found) and (by_size or found["size"] >= SMALLEST_TRANSITION)


def _move(records: list[Record], storage_class: str) -> None:
    for record in records:
        if ORDER.index(storage_class) > ORDER.index(record.get("storage_class") or "STANDARD"):
            record["storage_class"] = storage_class


def _passed(since: float, days: int | None) -> bool:
    return days is not None and CLOCK.now() >= midnight_after(since + int(days) * DAY)


def _reached(date: str | None) -> bool:
    return bool(date) and CLOCK.now() >= _moment(str(date))


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
