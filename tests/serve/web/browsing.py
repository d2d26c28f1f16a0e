"""Windows of a real browser, Debian's Chromium, driven by Playwright; what they show is kept to be looked at."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.conftest import ROOT

CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not here; on Debian: apt install chromium"
)
#: A step takes much less, but for a machine that does much else.
STEP_WITHIN_MS = 60_000
#: Pictures of the last run: each screen as it was shown.
SEEN = ROOT / "test-screens"
_STATUS = "performance.getEntriesByType('navigation')[0].responseStatus"
#: Of a page that cannot be read yet, which is no error.
_BUSY = re.compile(r"Failed to load resource: .* status of 503 ")


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser; it is closed after the block."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def signed_in(browser: Browser, base: str, token: str) -> BrowserContext:
    """The browser of somebody in Berlin, who prefers dark pages and has signed in."""
    context = browser.new_context(timezone_id="Europe/Berlin", color_scheme="dark")
    context.set_default_timeout(STEP_WITHIN_MS)
    window = Window(context, base)
    window.sign_in(token)
    assert window.wrong == []
    window.page.close()
    return context


class Window:
    """A window of the browser; what goes wrong in its pages is in `wrong`."""

    def __init__(self, context: BrowserContext, base: str) -> None:
        self.base = base
        self.wrong: list[str] = []
        self.page: Page = context.new_page()
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", self._note)

    def sign_in(self, token: str) -> None:
        self.page.goto(f"{self.base}/sign-in")
        self.page.fill("#token", token)
        self.page.click("main button")

    def open(self, path: str) -> Page:
        """Open a page; one that cannot be read yet is asked for again by the browser."""
        self.page.goto(self.base + path)
        self.page.wait_for_function(f"() => {_STATUS} !== 503")
        self.page.wait_for_load_state()
        return self.page

    def keep_picture(self, *name: str) -> None:
        """Keep what is shown, the whole page, as a file."""
        SEEN.mkdir(exist_ok=True)
        self.page.screenshot(path=SEEN / f"{'-'.join(name)}.png", full_page=True)

    def _note(self, message: Any) -> None:
        is_error = message.type == "error" and not _BUSY.search(message.text)
        if is_error or "Content Security Policy" in message.text:
            self.wrong.append(message.text)
