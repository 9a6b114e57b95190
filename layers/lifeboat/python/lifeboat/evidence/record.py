"""What was published of the evidence bucket, and what has changed since. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from lifeboat.evidence.findings import BUCKET, VERSIONS, Finding, Risk


@dataclass(frozen=True, slots=True)
class KnownRisk:
    """A risk that was published, or was silently brought up to date. `since` is when it was first found."""

    risk: Risk
    subject: str
    critical: bool
    at: datetime | None
    since: datetime

    @property
    def key(self) -> tuple[Risk, str]:
        return self.risk, self.subject


@dataclass(frozen=True, slots=True)
class Record:
    """All known risks of one bucket. Each change has a `version` of its own."""

    risks: tuple[KnownRisk, ...] = ()
    version: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """What a run has found beside what was known. `new` has also what is known with another weight or an earlier date.

    `risks` are all that are known now.
    """

    new: tuple[Finding, ...]
    gone: tuple[KnownRisk, ...]
    risks: tuple[KnownRisk, ...]

    @property
    def key(self) -> str:
        """What changes, in one line: the same change has the same one."""
        new = [f"+{item.risk} {item.subject} {item.critical} {item.at}" for item in self.new]
        return "; ".join([*new, *(f"-{item.risk} {item.subject}" for item in self.gone)])


HIDES: dict[str, tuple[Risk, ...]] = {
    "versioning": (Risk.VERSIONING,),
    "object_lock": (Risk.LOCK,),
    "lifecycle": (Risk.LIFECYCLE, Risk.NONCURRENT),
    "public_access_block": (Risk.PUBLIC,),
    "policy": (Risk.DELETION,),
    "policy_is_public": (Risk.PUBLIC,),
    "encryption": (Risk.ENCRYPTION, Risk.REPLICATION),
    "replication": (Risk.REPLICATION,),
    "ownership": (Risk.OWNERSHIP,),
    VERSIONS: (Risk.MANIFEST,),
}
"""The risks that are not judged while a setting is not read. Of the whole bucket, all are not."""


def compare(record: Record, findings: Sequence[Finding], now: datetime) -> Change:
    """Compare the findings with the record.

    A date that has moved later is no change: rules that expire objects move it every day. While there is no object,
    the last date stays known, so that the next object is no change either. A risk that could not be
    judged this time is neither new nor gone.
    """
    known = {item.key: item for item in record.risks}
    hidden = _hidden(findings)
    listed = (Risk.NOT_READ, VERSIONS) not in {(item.risk, item.subject) for item in findings}
    new: list[Finding] = []
    risks: list[KnownRisk] = []
    for item in findings:
        before = known.pop((item.risk, item.subject), None)
        found = KnownRisk(item.risk, item.subject, item.critical, item.at, before.since if before else now)
        if before and not listed and item.risk in {Risk.LIFECYCLE, Risk.NONCURRENT}:
            found = replace(found, critical=before.critical, at=before.at)
        elif before and item.at is None:
            found = replace(found, at=before.at)
        risks.append(found)
        if before is None or before.critical != found.critical or _is_earlier(found.at, before.at):
            new.append(item)
    kept = [item for item in known.values() if item.key in hidden or item.risk in hidden]
    gone = tuple(item for item in known.values() if item not in kept)
    return Change(tuple(new), gone, (*risks, *kept))


def _hidden(findings: Sequence[Finding]) -> frozenset[Risk | tuple[Risk, str]]:
    """The risks that are not judged this time, and the settings that were not even asked for."""
    subjects = {item.subject for item in findings if item.risk is Risk.NOT_READ}
    if BUCKET in subjects or any(item.risk in {Risk.MISSING, Risk.REGION} for item in findings):
        of_settings = ((Risk.NOT_READ, subject) for subject in (*HIDES, VERSIONS, "region"))
        return frozenset((*of_settings, *(set(Risk) - {Risk.NOT_READ, Risk.MISSING, Risk.REGION})))
    return frozenset(risk for subject in subjects for risk in HIDES.get(subject, ()))


def _is_earlier(at: datetime | None, before: datetime | None) -> bool:
    return at is not None and (before is None or at < before)
