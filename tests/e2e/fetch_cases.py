"""What tests of a restore from another region share."""

from __future__ import annotations

from typing import Any

from tests.e2e.stage import Stage, tags_of

COPY_SECONDS = 180


def copies(stage: Stage, point: str) -> list[dict[str, Any]]:
    """The copies of a recovery point that are in the stage's region."""
    found = stage.recovery_point_snapshots(("tag:lifeboat:recovery-point", point))
    return [item for item in found if "lifeboat:copy-of" in tags_of(item)]
