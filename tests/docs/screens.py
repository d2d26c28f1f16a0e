"""The pictures of the page in the README: `python -m tests.docs.screens` makes them anew, in about three minutes.

It is no test: it needs Debian's Chromium, and whoever changed the page looks at the pictures.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, ViewportSize, sync_playwright

from tests.conftest import ROOT

PICTURES = ROOT / "docs" / "screens"
#: What is likely is computed by a process of the server.
_COMPUTED_WITHIN_MS = 120_000
_SIZE: ViewportSize = {"width": 1400, "height": 760}
#: Shown as they are, and small beside each other.
_LARGE = (("contoso", "credits"), ("tailspin", "recharge"), ("tailspin", "usage"))
_SMALL = (
    ("contoso", "minutes"),
    ("contoso", "licences"),
    ("contoso", "statement?period=2025-03"),
    ("contoso", "refused"),
    ("contoso", "price?called=%2B442079460018&user=user000001%40contoso.example&minutes=10"),
)


def main() -> None:
    """Start the page over the demo's month, and look at it."""
    PICTURES.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).with_name("rater")), "dev", "page", "--out", "page", "--port", "0"]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                link = process.stdout.readline().strip()
                with sync_playwright() as playwright:
                    browser = playwright.chromium.launch(
                        executable_path=shutil.which("chromium"), args=["--no-sandbox"]
                    )
                    _photograph(browser.new_page(viewport=_SIZE, timezone_id="UTC"), link)
                    browser.close()
            finally:
                process.terminate()


def _photograph(page: Page, link: str) -> None:
    base = re.match(r"https?://[^/]*", link)
    assert base is not None
    page.goto(link)
    page.click("main button")
    page.goto(f"{base[0]}/tenants")
    page.screenshot(path=PICTURES / "tenants.png")
    for tenant, name in (*_SMALL, *_LARGE):
        page.goto(f"{base[0]}/tenants/{tenant}/{name}")
        page.wait_for_function("() => !document.querySelector('[data-later]')", timeout=_COMPUTED_WITHIN_MS)
        page.screenshot(path=PICTURES / f"{name.partition('?')[0]}.png")
    page.locator("tr:has(a[href^='orders/adjust']) a[href^='call?id=']").first.click()
    page.screenshot(path=PICTURES / "call.png")


if __name__ == "__main__":
    main()
