"""The fields that people write into requests, each with the words for what it takes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator, Strict, StringConstraints

from lifeboat.domain.bad_request import Expected, Fields, not_expected
from lifeboat.domain.devices import EXPECTED as DEVICE_NAME
from lifeboat.domain.devices import naming_problem
from lifeboat.domain.text import is_blank
from lifeboat.domain.trigger import Trigger

MOMENT = "a time with its zone, such as 2026-11-23T02:00:00Z"

_DIGITS = "with 8 or 17 digits or lower-case letters a to f"
"""What an id of EC2 has after its hyphen. A missing digit or a capital letter is not seen in an example."""

REASON = "a reason in words, of at most 1000 characters"

_MOMENT_PATTERN = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})")


def _check_true(value: bool) -> bool:
    if not value:
        raise ValueError("it is false")
    return value


def _check_device(name: str) -> str:
    if problem := naming_problem(name):
        raise not_expected(problem)
    return name


def _check_words(text: str) -> str:
    if text and is_blank(text):
        raise not_expected("a text that is not blank")
    return text


def _check_reason(text: str) -> str:
    if is_blank(text):
        raise not_expected(REASON)
    return text


def _without_duplicates(ids: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(ids))


def _parse_moment(text: Any) -> datetime:
    """The time in UTC, in whole seconds. Raises what refuses the field, also at either end of the calendar."""
    if not isinstance(text, str) or not _MOMENT_PATTERN.fullmatch(text):
        raise ValueError("it is not a time with a zone")
    try:
        return datetime.fromisoformat(text).astimezone(UTC).replace(microsecond=0)
    except OverflowError:
        raise not_expected("a time that is in the years 1 to 9999 in UTC") from None


def _parse_trigger(scheduled_time: Any) -> Trigger:
    if scheduled_time is None:
        return Trigger.MANUAL
    _parse_moment(scheduled_time)
    return Trigger.SCHEDULE


InstanceId = Annotated[
    str,
    StringConstraints(pattern=r"^i-([0-9a-f]{8}|[0-9a-f]{17})$"),
    Expected(f"an instance's id such as i-0123456789abcdef0, {_DIGITS}"),
]

InstanceIds = Annotated[
    tuple[InstanceId, ...],
    Field(max_length=1000),
    AfterValidator(_without_duplicates),
    Expected('a list of at most 1000 instances\' ids, such as ["i-0123456789abcdef0"]'),
]

BatchInstanceIds = Annotated[
    tuple[InstanceId, ...],
    Field(min_length=1, max_length=1000),
    AfterValidator(_without_duplicates),
    Expected("a list of 1 to 1000 instances' ids"),
]

SavedInstanceId = Annotated[
    str,
    StringConstraints(pattern=r"^([0-9]{12}/){0,4}i-([0-9a-f]{8}|[0-9a-f]{17})$"),
    Expected(
        "the id of an instance that was backed up, such as i-0123456789abcdef0, or in a vault "
        "111122223333/i-0123456789abcdef0"
    ),
]
"""An instance that was backed up. In a vault, its account precedes it."""

RECOVERY_POINT_ID = re.compile(r"rp-[0-9A-Za-z+-]{1,120}")

RecoveryPointId = Annotated[
    str,
    StringConstraints(pattern=rf"^{RECOVERY_POINT_ID.pattern}$"),
    Expected("a recovery point's id such as rp-20261123T020000Z-i-0123456789abcdef0"),
]

LineageName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256),
    Expected("a lineage, which is a volume's id such as vol-0123456789abcdef0"),
]

SnapshotId = Annotated[
    str,
    StringConstraints(pattern=r"^snap-([0-9a-f]{8}|[0-9a-f]{17})$"),
    Expected(f"a snapshot's id such as snap-0123456789abcdef0, {_DIGITS}"),
]

VolumeId = Annotated[
    str,
    StringConstraints(pattern=r"^vol-([0-9a-f]{8}|[0-9a-f]{17})$"),
    Expected(f"a volume's id such as vol-0123456789abcdef0, {_DIGITS}"),
]

VolumeType = Annotated[
    Literal["gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"],
    Expected("one of gp2, gp3, io1, io2, st1, sc1, standard"),
]

Device = Annotated[str, AfterValidator(_check_device), Expected(DEVICE_NAME)]

Iops = Annotated[int, Field(strict=True, ge=100, le=256_000), Expected("a whole number of IOPS from 100 to 256000")]

Throughput = Annotated[int, Field(strict=True, ge=125, le=2_000), Expected("a whole number of MiB/s from 125 to 2000")]

# A key's id, its alias, or the ARN of either: what CreateVolume takes.
KmsKey = Annotated[
    str,
    StringConstraints(
        pattern=r"^(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:)?(key/[A-Za-z0-9-]+|alias/[\w/-]+|[A-Za-z0-9-]+)$",
        max_length=256,
    ),
    Expected("a KMS key's id, its alias such as alias/backup, or the ARN of either"),
]

RestoreId = Annotated[
    str,
    StringConstraints(pattern=r"^restore-[0-9a-f]{16}$"),
    Expected("a restore's id such as restore-0123456789abcdef, with 16 digits or lower-case letters a to f"),
]

RunId = Annotated[
    str,
    StringConstraints(pattern=r"^(backup|prune|adopt|preflight)-[0-9a-f]{16}-[0-9]{8}T[0-9]{6}Z$"),
    Expected("the id that a request got, such as backup-0123456789abcdef-20261123T020000Z"),
]

Words = Annotated[
    str, StringConstraints(max_length=1000), AfterValidator(_check_words), Expected("a text of at most 1000 characters")
]
"""Words of a person, or no text at all; blanks are refused."""

Reason = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_check_reason), Expected(REASON)]

RequestId = Annotated[
    str, StringConstraints(max_length=128), AfterValidator(_check_words), Expected("a text of at most 128 characters")
]

Name = Annotated[str, StringConstraints(max_length=256), Expected("a text of at most 256 characters")]

Flag = Annotated[bool, Strict(), Expected("true or false, without quotes")]

Yes = Annotated[bool, Strict(), AfterValidator(_check_true), Expected("true, without quotes")]

Moment = Annotated[datetime, PlainValidator(_parse_moment), Expected(MOMENT)]

ScheduledTime = Annotated[
    Trigger,
    PlainValidator(_parse_trigger),
    Expected(MOMENT),
    Field(alias="scheduled_time"),
]
"""The trigger of a request: the schedule if the request has its time, otherwise a person."""


@dataclass(frozen=True, slots=True)
class ReconcileRequest(Fields):
    """`{"sweep": true}`: reconcile everything that is open."""

    reconcile: Annotated[Yes, Field(alias="sweep")] = True
    scheduled_time: Moment | None = None
