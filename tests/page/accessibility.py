"""What axe-core finds on a page (https://github.com/dequelabs/axe-core)."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page

SERIOUS = {"serious", "critical"}


def serious_findings(page: Page) -> list[str]:
    """The findings that axe-core calls serious or critical, with the elements they are about."""
    found = Axe().run(page).response["violations"]
    return [
        f"{item['id']}: {node['html'][:200]}" for item in found if item["impact"] in SERIOUS for node in item["nodes"]
    ]
