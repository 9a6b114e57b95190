"""The fields that people write into requests, each with the words for what is expected of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from lifeboat.domain.bad_request import BadRequest, Expected, not_expected, shown
from lifeboat.domain.devices import EXPECTED as DEVICE_NAME
from lifeboat.domain.devices import naming_problem
from lifeboat.domain.text import is_blank


def _true(value: bool) -> bool:
    if not value:
        raise ValueError("it is false")
    return value


def _device(name: str) -> str:
    if problem := naming_problem(name):
        raise not_expected(problem)
    return name


def _words(text: str) -> str:
    if text and is_blank(text):
        raise not_expected("words, or no such field")
    return text


def _reason(text: str) -> str:
    if is_blank(text):
        raise not_expected(REASON)
    return text


def _on_a_clock(text: str) -> str:
    """The text, if it is a time in UTC: at either end of the calendar there is none. Raises ValueError."""
    _utc(text)
    return text


MOMENT = "a time with its zone, such as 2026-11-23T02:00:00Z"


REASON = "a reason in words, at most 1000 characters, for whoever asks later why"


InstanceId = Annotated[
    str,
    StringConstraints(pattern=r"^i-([0-9a-f]{8}|[0-9a-f]{17})$"),
    Expected("an instance's id such as i-0123456789abcdef0"),
]


InstanceIds = Annotated[
    list[InstanceId],
    Field(max_length=1000),
    Expected('a list of at most 1000 instances\' ids, such as ["i-0123456789abcdef0"]'),
]


SavedInstanceId = Annotated[
    str,
    StringConstraints(pattern=r"^([0-9]{12}/){0,4}i-([0-9a-f]{8}|[0-9a-f]{17})$"),
    Expected(
        "the id of an instance that was backed up, such as i-0123456789abcdef0, or in a vault "
        "111122223333/i-0123456789abcdef0"
    ),
]
"""An instance that was backed up; in a vault it has its account before it."""


SnapshotId = Annotated[
    str,
    StringConstraints(pattern=r"^snap-([0-9a-f]{8}|[0-9a-f]{17})$"),
    Expected("a snapshot's id such as snap-0123456789abcdef0"),
]


VolumeId = Annotated[
    str,
    StringConstraints(pattern=r"^vol-([0-9a-f]{8}|[0-9a-f]{17})$"),
    Expected("a volume's id such as vol-0123456789abcdef0"),
]


VolumeType = Annotated[
    Literal["gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"],
    Expected("one of gp2, gp3, io1, io2, st1, sc1, standard"),
]


Device = Annotated[str, AfterValidator(_device), Expected(DEVICE_NAME)]


Iops = Annotated[int, Field(ge=100, le=256_000), Expected("a whole number of IOPS from 100 to 256000")]


Throughput = Annotated[int, Field(ge=125, le=2_000), Expected("a whole number of MiB/s from 125 to 2000")]


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
    Expected("a restore's id such as restore-0123456789abcdef"),
]


RunId = Annotated[
    str,
    StringConstraints(pattern=r"^(backup|prune|adopt)-[0-9a-f]{16}-[0-9]{8}T[0-9]{6}Z$"),
    Expected("the id that a request got, such as backup-0123456789abcdef-20261123T020000Z"),
]


Words = Annotated[
    str, StringConstraints(max_length=1000), AfterValidator(_words), Expected("a text of at most 1000 characters")
]
"""What a person says, or nothing; blanks are neither."""


Reason = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_reason), Expected(REASON)]


RequestId = Annotated[
    str, StringConstraints(max_length=128), AfterValidator(_words), Expected("a text of at most 128 characters")
]


Name = Annotated[str, StringConstraints(max_length=256), Expected("a text of at most 256 characters")]


Flag = Annotated[bool, Expected("true or false, without quotes")]


Yes = Annotated[bool, AfterValidator(_true), Expected("true, without quotes")]


Moment = Annotated[
    str,
    StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$"),
    AfterValidator(_on_a_clock),
    Expected(MOMENT),
]


class Fields(BaseModel):
    # Built at its first use: a door reads one or two of these, and building all costs its cold start 30 ms.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class ReconcileFields(Fields):
    sweep: Yes = True
    scheduled_time: Moment | None = None


def parse_time(field: str, text: str) -> datetime:
    try:
        return _utc(text).replace(microsecond=0)
    except ValueError:
        raise BadRequest(f"{field} is {shown(text)}, expected {MOMENT}") from None


def _utc(text: str) -> datetime:
    """The time in UTC. Raises ValueError for what is none, or has no zone."""
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise ValueError("it has no zone")
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("no clock shows it") from None
