"""One browser for all tests of a test process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.page.browser import MISSING, chromium, find_chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not find_chromium():
        pytest.skip(MISSING)
    with chromium() as launched:
        yield launched
