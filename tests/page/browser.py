"""The browser of these tests: a Chromium that is on this machine. Without one they are skipped, and say so."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import Browser, Dialog, Error, Page, Request, ViewportSize, expect, sync_playwright

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
MISSING = f"no Chromium on this machine (none of {', '.join(NAMES)} is on PATH): `tools/setup browser` gets one"
WAIT_MILLISECONDS = 60_000
"""As long as a slow machine may take; a page is waited for no longer than it needs."""
expect.set_options(timeout=WAIT_MILLISECONDS)
WIDTH, HEIGHT = 1280, 800


def find_chromium() -> str | None:
    """The path of a Chromium, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window, and without what only costs time here."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=find_chromium(),
            # The sandbox of Chromium refuses root, as which a container runs. Only loopback is visited.
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--force-color-profile=srgb"],
        )
        try:
            yield launched
        finally:
            launched.close()


@dataclass
class Opened:
    """A page in the browser, and what it did that no widget may do.

    Attributes:
        page: the page.
        dialogs: the texts of alerts.
        errors: exceptions of scripts.
        elsewhere: addresses of requests to anything but the viewer.
        sent: those of them that the policy of the viewer's page did not stop.
        calls: how many functions it called.
    """

    page: Page
    address: str
    dialogs: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    calls: int = 0

    def watch(self, *, on: bool = True) -> None:
        """Record what happens from now on, or no longer."""
        change = self.page.on if on else self.page.remove_listener
        change("dialog", self._dismiss)
        change("pageerror", self._fail)
        change("request", self._record)
        change("requestfinished", self._record_sent)
        change("requestfailed", self._record_sent)

    def _fail(self, error: Error) -> None:
        self.errors.append(str(error))

    def _dismiss(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _record(self, request: Request) -> None:
        if not request.url.startswith((self.address, "data:")):
            self.elsewhere.append(request.url)
        if request.url == f"{self.address}call":
            self.calls += 1

    def _record_sent(self, request: Request) -> None:
        if not request.url.startswith((self.address, "data:")) and request.failure != "csp":
            self.sent.append(request.url)

    def assert_harmless(self) -> None:
        """Nothing of the widget ran, and nothing reached another server."""
        assert not self.dialogs
        assert not self.errors
        assert not self.sent
        assert self.page.evaluate("window.ran") is None

    def see(self, words: str) -> None:
        """Wait until the page shows these words."""
        expect(self.page.get_by_text(words).first).to_be_visible()

    def idle(self) -> None:
        """Wait until no function is being called."""
        self.page.locator("[aria-busy]").wait_for(state="detached")


@contextmanager
def opened(browser: Browser, address: str, *, theme: str = "light", width: int = WIDTH) -> Iterator[Opened]:
    """Open a dashboard and wait until all its widgets are drawn. The page is the browser's one: another costs time."""
    pages = browser.contexts[0].pages if browser.contexts else [browser.new_page(reduced_motion="reduce")]
    page = pages[0]
    page.set_default_timeout(WAIT_MILLISECONDS)
    page.set_viewport_size(ViewportSize(width=width, height=HEIGHT))
    seen = Opened(page, address)
    seen.watch()
    try:
        page.goto(f"{address}?theme={theme}")
        page.wait_for_selector("html[data-drawn]", state="attached")
        yield seen
    finally:
        seen.watch(on=False)
