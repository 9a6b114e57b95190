"""The page of a stack with a thousand instances. `make pages` runs it."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser

from local.stack import STACK_NAME
from local.viewer.stack import serve_stack
from tests.e2e.stage import staged
from tests.page.browser import opened

INSTANCES, AT_ONCE = 1_000, 100
PROTECTED = {"lifeboat:backup": "true"}
LARGEST = 60_000
"""Bytes of HTML that the first page may have."""

pytestmark = pytest.mark.skipif(not os.environ.get("PAGES"), reason="takes a minute: make pages runs it")


def test_a_thousand_instances_are_paged(browser: Browser, show_figure: Callable[[str], None]) -> None:
    with staged() as stage, serve_stack(stage.aws, STACK_NAME) as address:
        with stage.silence():
            launched = {
                machine.instance_id
                for _ in range(INSTANCES // AT_ONCE)
                for machine in stage.launch(AT_ONCE, tags=PROTECTED, volume_tags={})
            }
        with opened(browser, address) as seen:
            seen.see(f"{INSTANCES:,} instances are protected".replace(",", ""))
            html = len(seen.page.locator(".widget .widget-content").inner_html().encode())
            assert html <= LARGEST
            found: set[str] = set()
            while True:
                found.update(seen.page.locator("tbody th code").all_inner_texts())
                following = seen.page.get_by_role("button", name="Next page")
                if not following.count():
                    break
                following.click()
                seen.idle()
            seen.assert_harmless()
    assert found == launched
    show_figure(
        f"the first page of {INSTANCES} instances: {html} bytes of HTML; all of them in {INSTANCES // 20} pages"
    )
