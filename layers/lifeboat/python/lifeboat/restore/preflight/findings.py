"""Pre-flight, the report: collects the findings of all checks."""

from __future__ import annotations

from lifeboat.domain.message import sentence
from lifeboat.restore.preflight.facts import Finding, Severity


class Report:
    """The findings in the order in which the checks make them, each once, each a sentence of its own."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def refuse(self, code: str, field: str, words: str) -> None:
        """Add a finding that forbids the restore."""
        self._add(Finding(code, Severity.REFUSE, field, whole(words, field)))

    def warn(self, code: str, field: str, words: str) -> None:
        """Add a finding that does not forbid the restore."""
        self._add(Finding(code, Severity.WARN, field, whole(words, field)))

    def _add(self, finding: Finding) -> None:
        if finding not in self.findings:
            self.findings.append(finding)


def whole(words: str, field: str = "") -> str:
    """The words as a sentence: with a full stop, and a capital where a plain word is the first. `field` is none."""
    first, rest = words[:1], words[1:]
    word = words.partition(" ")[0].rstrip(",")
    is_word = word.isalpha() and word != field
    return sentence((first.upper() if is_word else first) + rest)
