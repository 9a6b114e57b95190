"""Findings, collected."""

from __future__ import annotations

from lifeboat.restore.preflight.facts import Finding, Severity


class Report:
    """The findings as they come."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def refuse(self, code: str, field: str, sentence: str) -> None:
        self.findings.append(Finding(code, Severity.REFUSE, field, sentence))

    def warn(self, code: str, field: str, sentence: str) -> None:
        self.findings.append(Finding(code, Severity.WARN, field, sentence))
