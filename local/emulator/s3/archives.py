"""Archived objects: RestoreObject takes hours by its tier, for each version, and until then nothing reads or copies.

In place of ministack's, where every restore takes two seconds of the machine's clock and knows current versions only.
Nothing is under way meanwhile: what a restore has come to follows from the clock, at each request.
"""

import math
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote

from defusedxml.ElementTree import fromstring
from ministack.services import s3

from local.emulator.clock import CLOCK

Answer = tuple[int, dict[str, str], bytes]
Record = dict[str, Any]

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
SECONDS = {
    ("GLACIER", "Expedited"): 5 * MINUTE,
    ("GLACIER", "Standard"): 5 * HOUR,
    ("GLACIER", "Bulk"): 12 * HOUR,
    ("DEEP_ARCHIVE", "Standard"): 12 * HOUR,
    ("DEEP_ARCHIVE", "Bulk"): 48 * HOUR,
}
"""How long a restore takes at most, typically, by storage class and tier
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects-retrieval-options.html)."""

QUICK_SECONDS = 2.0
"""The same on the machine's clock, for a person who waits."""

ONGOING, RESTORED = "in_progress", "restored"

_get_object, _copy_object, _record_from_version = s3._get_object, s3._copy_object, s3._object_record_from_version


def state_of(restore: Record | None) -> str | None:
    """What a restore has come to: ONGOING, RESTORED, or None where there is none or its copy has expired."""
    if not restore or CLOCK.now() >= restore["expires_at"]:
        return None
    return ONGOING if CLOCK.now() < restore["available_at"] else RESTORED


def sync_restore(_bucket: str, _key: str, found: Record | None) -> str | None:
    """In place of ministack's, which also sends an event."""
    state = state_of((found or {}).get("restore"))
    if found and state is None:
        found.pop("restore", None)
    return state


def midnight_after(moment: float) -> float:
    """The first midnight UTC after a moment."""
    return (math.floor(moment / DAY) + 1) * DAY


def restore_object(bucket: str, key: str, body: bytes, version_id: str = "") -> Answer:
    """Answer RestoreObject for the current version or another one."""
    records, refused = _addressed(bucket, key, version_id)
    if refused:
        return refused
    storage_class = records[0].get("storage_class") or "STANDARD"
    if storage_class not in s3._ARCHIVE_STORAGE_CLASSES:
        return _not_archived(bucket, key, storage_class)
    days, tier = _wanted(body)
    if not days:
        return _error("MalformedXML", "The XML you provided was not well-formed", 400, bucket, key)
    takes = SECONDS.get((storage_class, tier))
    if takes is None:
        said = f"Retrieval option {tier} is not supported by the storage class {storage_class}"
        return _error("InvalidArgument", said, 400, bucket, key)
    state = state_of(records[0].get("restore"))
    if state == ONGOING:
        return _error("RestoreAlreadyInProgress", "Object restore is already in progress", 409, bucket, key)
    if state == RESTORED:
        records[0]["restore"]["expires_at"] = midnight_after(CLOCK.now() + days * DAY)
        return 200, {}, b""
    available = CLOCK.now() + (takes if CLOCK.simulated else QUICK_SECONDS)
    restore = {"available_at": available, "expires_at": midnight_after(available + days * DAY)}
    for record in records:
        record["restore"] = restore  # one for the version and the current object, which are two records of ministack
    return 202, {}, b""


def _addressed(bucket: str, key: str, version_id: str) -> tuple[list[Record], Answer | None]:
    """The records of the object that a request is about: as the current object, and as a version."""
    found = s3._ensure_bucket(bucket)
    if found is None:
        return [], s3._no_such_bucket(bucket)
    current = found["objects"].get(key)
    versions = s3._object_versions.get((bucket, key)) or []
    if not version_id and current is None:
        return [], _error("NoSuchKey", "The specified key does not exist.", 404, bucket, key)
    wanted = version_id or current.get("version_id") or "null"
    records = [item for item in versions if item["version_id"] == wanted and not item.get("is_delete_marker")]
    if current is not None and (current.get("version_id") or "null") == wanted:
        records.insert(0, current)
    return records, None if records else _error(
        "NoSuchVersion", "The specified version does not exist.", 404, bucket, key
    )


def _not_archived(bucket: str, key: str, storage_class: str) -> Answer:
    if storage_class == "GLACIER_IR":
        said = "Restore is not allowed for the object's current storage class"
        return _error("InvalidObjectState", said, 403, bucket, key)
    said = "Restore is not allowed, as object's storage class is not GLACIER"
    return _error("InvalidObjectState", said, 403, bucket, key)


def _wanted(body: bytes) -> tuple[int, str]:
    """The days and the tier that a request asks for."""
    days, tier = 0, "Standard"
    for element in fromstring(body).iter() if body else ():
        name, text = element.tag.rsplit("}", 1)[-1], (element.text or "").strip()
        if name == "Days" and text.isdigit():
            days = int(text)
        elif name == "Tier" and text:
            tier = text
    return days, tier


def record_from_version(version: Record) -> Record:
    """In place of ministack's: the same, with the version's restore, which HeadObject shows."""
    record: Record = _record_from_version(version)
    if state_of(version.get("restore")):
        record["restore"] = version["restore"]
    return record


def get_object(bucket: str, key: str, headers: dict[str, str], query: dict[str, Any] | None = None) -> Answer:
    """In place of ministack's, which reads no archived version by its id."""
    version_id = s3._qp(query or {}, "versionId", "")
    archived = [
        record
        for record in (_addressed(bucket, key, version_id)[0] if version_id else ())
        if record.get("storage_class") in s3._ARCHIVE_STORAGE_CLASSES
    ]
    if not archived:
        return _answer(_get_object(bucket, key, headers, query))
    storage_class = archived[0]["storage_class"]
    if state_of(archived[0].get("restore")) != RESTORED:
        return _answer(s3._invalid_object_state(bucket, key, storage_class))
    try:
        for record in archived:  # ministack refuses any archived version that is not the current one
            record["storage_class"] = "STANDARD"
        status, answer_headers, body = _get_object(bucket, key, headers, query)
    finally:
        for record in archived:
            record["storage_class"] = storage_class
    return status, {**answer_headers, "x-amz-storage-class": storage_class}, body


def copy_object(bucket: str, key: str, headers: dict[str, str]) -> Answer:
    """In place of ministack's, which copies archived objects, and gives a copy the class of its source."""
    path, _, query = headers.get("x-amz-copy-source", "").lstrip("/").partition("?")
    source_bucket, _, source_key = unquote(path).partition("/")
    [version_id, *_] = parse_qs(query).get("versionId", [""])
    records, _refused = _addressed(source_bucket, source_key, version_id)
    source_class = records[0].get("storage_class") if records else None
    if source_class in s3._ARCHIVE_STORAGE_CLASSES and state_of(records[0].get("restore")) != RESTORED:
        said = "Operation is not valid for the source object's storage class"
        return _error("InvalidObjectState", said, 403, source_bucket, source_key)
    return _answer(_copy_object(bucket, key, {"x-amz-storage-class": "STANDARD", **headers}))


def dispatched(dispatch: Callable[..., Any]) -> Callable[..., Answer]:
    """ministack's dispatch, with the version that RestoreObject names, which it leaves out."""

    def answer(  # noqa: PLR0917 ministack calls it so
        method: str, bucket: str, key: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Answer:
        if method == "POST" and key and "restore" in query:
            return restore_object(bucket, key, body, s3._qp(query, "versionId", ""))
        return _answer(dispatch(method, bucket, key, headers, body, query))

    return answer


def _answer(answer: Any) -> Answer:
    status, headers, body = answer
    return status, headers, body


def _error(code: str, message: str, status: int, bucket: str, key: str) -> Answer:
    return _answer(s3._error(code, message, status, f"/{bucket}/{key}"))
