"""Pre-flight, the report: collects the findings of all checks."""

from __future__ import annotations

from lifeboat.restore.preflight.facts import Finding, Severity


class Report:
    """The findings in the order in which the checks make them."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def refuse(self, code: str, field: str, sentence: str) -> None:
        """Add a finding that forbids the restore."""
        self.findings.append(Finding(code, Severity.REFUSE, field, sentence))

    def warn(self, code: str, field: str, sentence: str) -> None:
        """Add a finding that does not forbid the restore."""
        self.findings.append(Finding(code, Severity.WARN, field, sentence))
