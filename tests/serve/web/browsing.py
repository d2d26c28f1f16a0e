"""Windows of a real browser, Debian's Chromium, driven by Playwright; what they show is kept to be looked at."""

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
#: Pictures of the last run: each screen as it was shown.
SEEN = ROOT / "test-screens"


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser; it is closed after the block."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


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
        self.page.goto(self.base + path)
        return self.page

    def keep_picture(self, *name: str) -> None:
        """Keep what is shown, the whole page, as a file."""
        SEEN.mkdir(exist_ok=True)
        self.page.screenshot(path=SEEN / f"{'-'.join(name)}.png", full_page=True)

    def _note(self, message: Any) -> None:
        if message.type == "error" or "Content Security Policy" in message.text:
            self.wrong.append(message.text)
