"""What the tests of the command line share: a stub of Lambda, and recorded answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from local.session import ROOT
from tests.cli.stub import Stub, serving

RECORDED = ROOT / "tests" / "fixtures" / "cli"
"""Answers of the functions, recorded from the local AWS."""


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    monkeypatch.setattr("lifeboat_cli.functions.PAUSE_SECONDS", 0.0)
    monkeypatch.setattr("lifeboat_cli.follow.PAUSE_SECONDS", 0.0)
    with serving() as made:
        yield made


@pytest.fixture
def recorded() -> Callable[[str], Mapping[str, Any]]:
    """A fresh copy of a recorded answer."""

    def read(name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = json.loads((RECORDED / f"{name}.json").read_text())
        return found

    return read
