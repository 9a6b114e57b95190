"""What most end-to-end files share. A file with parameters of its own has a `stage` of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.stage import Machine, Stage, staged


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged() as made:
        yield made


@pytest.fixture
def machine(stage: Stage) -> Machine:
    """A running machine with one data volume, selected for backups, with a person's consent to a restore."""
    [made] = stage.launch()
    return made
