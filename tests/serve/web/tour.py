"""A tour of the page in a browser, the same over a store and over Kafka: the screens, a call, and an order of money.

`python -m tests.serve.web.tour` makes it in a process of its own.  While Playwright has a browser open, its event loop
runs in the thread that opened it, so tests over Kafka, which run loops of their own there, cannot open one.  The tour
comes in as JSON on standard input; what was seen goes out as JSON.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import msgspec
from playwright.sync_api import Browser, Page

from rater.serve.web.screens import SCREENS
from tests.conftest import ROOT
from tests.serve.web.browsing import Window, chromium, signed_in

#: It takes seconds, and longer while other tests run.
TOUR_WITHIN_S = 300
#: The screens of the navigation.
TITLES = {
    "credits": "Credits",
    "recharge": "Recharge",
    "brakes": "Limits",
    "minutes": "Minutes",
    "usage": "Calls and usage",
    "licences": "Licences",
    "refused": "Refused",
    "statement": "Statement",
    "price": "Price of a call",
    "compare": "Compare price lists",
}


class Tour(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's way: one tenant, one of its calls, and funds for it; `pictures` begins the names of its pictures."""

    base: str
    token: str
    tenant: str
    call: str
    amount: str
    pictures: str


class Shown(msgspec.Struct, frozen=True):
    """What a page has: its title and heading, how many curves are drawn, and scripts where none belong."""

    title: str
    heading: str
    curves: int = 0
    scripts: int = 0


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a tour saw: each page, and the words that explain the call.

    `balances`: before the order, in its preview, after two clicks that send it, and after one more.  `wrong` has
    errors of scripts, and what the Content-Security-Policy blocked.
    """

    pages: dict[str, Shown]
    explained: str
    balances: list[str]
    wrong: list[str]


def screens_of(tenant: str) -> dict[str, Shown]:
    """What each screen of the navigation has to show: only credits are drawn as a curve."""
    return {
        name: Shown(f"{title} – {tenant} · rater", f"{title} {tenant}", curves=int(name == "credits"))
        for name, title in TITLES.items()
    }


def pages_of(tenant: str) -> dict[str, Shown]:
    """What each page of a tour has to show."""
    return screens_of(tenant) | {
        "tenants": Shown("Tenants · rater", "Tenants"),
        "call": Shown(f"Call – {tenant} · rater", f"Call {tenant}"),
        "add-funds": Shown(f"Add funds – {tenant} · rater", f"Add funds {tenant}"),
        "preview": Shown(f"Add funds – {tenant} · rater", f"Look at it, then send it {tenant}"),
    }


def walk(browser: Browser, tour: Tour) -> Seen:
    """Make a tour."""
    context = signed_in(browser, tour.base, tour.token)
    window = Window(context, tour.base)
    pages = {"tenants": _shown(window.open("/tenants"))} | look_at_screens(window, tour.tenant, tour.pictures)
    page = window.open(f"{_path(tour.tenant)}/usage")
    page.get_by_role("link", name=f"Explain call {tour.call}", exact=True).click()
    page.locator(".explained").first.wait_for()
    pages["call"] = _shown(page)
    window.keep_picture(tour.pictures, "call")
    explained = page.locator("main").inner_text()
    balances = _add_funds(window, tour, pages)
    context.close()
    return Seen(pages=pages, explained=explained, balances=balances, wrong=window.wrong)


def look_at_screens(window: Window, tenant: str, pictures: str) -> dict[str, Shown]:
    """Open every screen of the navigation."""
    pages = {}
    for name in [name for name, screen in SCREENS.items() if screen.listed]:
        pages[name] = _shown(window.open(f"{_path(tenant)}/{name}"))
        window.keep_picture(pictures, name)
    return pages


def _add_funds(window: Window, tour: Tour, pages: dict[str, Shown]) -> list[str]:
    """Click on the button twice before the answer comes, go back, and click again; the balances that are shown."""
    page = window.open(f"{_path(tour.tenant)}/credits")
    large, send = page.locator(".large"), page.get_by_role("button", name="Send it")
    balances = [large.first.inner_text()]
    page.get_by_role("link", name="Add funds").click()
    page.fill("#amount", tour.amount)
    pages["add-funds"] = _shown(page)
    page.click("main button")
    balances.append(large.nth(1).inner_text())
    pages["preview"] = _shown(page)
    window.keep_picture(tour.pictures, "preview")
    send.evaluate("button => { button.click(); button.click(); }")
    page.wait_for_url(re.compile(r"/credits\?order=(accepted|duplicate)$"))
    balances.append(large.first.inner_text())
    page.go_back()
    send.click()
    page.wait_for_url(re.compile(r"/credits\?order=duplicate$"))
    balances.append(large.first.inner_text())
    window.keep_picture(tour.pictures, "paid")
    return balances


def _shown(page: Page) -> Shown:
    scripts, curves = page.locator("main script").count(), page.locator(".curve canvas").count()
    return Shown(page.title(), page.locator("h1").inner_text(), curves, scripts)


def _path(tenant: str) -> str:
    return f"/tenants/{quote(tenant, safe='')}"


def walk_apart(tour: Tour) -> Seen:
    """Make a tour in a process of its own."""
    with touring() as process:
        printed, _ = process.communicate(msgspec.json.encode(tour), timeout=TOUR_WITHIN_S)
    assert process.returncode == 0, "the tour ended with the error that it printed"
    return msgspec.json.decode(printed, type=Seen)


@contextmanager
def touring() -> Iterator[subprocess.Popen[bytes]]:
    """The process of a tour; if it still runs after the block, it is ended with its browser."""
    command = [sys.executable, "-m", "tests.serve.web.tour"]
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        own = os.environ | {"TMPDIR": folder}  # a browser that is ended does not clear what it wrote
        with subprocess.Popen(command, cwd=ROOT, env=own, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    _end(process.pid)


def _end(id: int) -> None:
    """End a process, and those that it started."""
    for one in (id, *started_by(id)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def started_by(id: int) -> list[int]:
    """The processes that a process started, and those that they started."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            _, _, facts = stat.read_text().rpartition(")")
            children.setdefault(int(facts.split()[1]), []).append(int(stat.parent.name))
    found = [id]
    for one in found:
        found += children.get(one, [])
    return found[1:]


def main() -> None:
    """Make the tour of standard input; print what was seen."""
    tour = msgspec.json.decode(sys.stdin.buffer.read(), type=Tour)
    with chromium() as browser:
        seen = walk(browser, tour)
    sys.stdout.buffer.write(msgspec.json.encode(seen))


if __name__ == "__main__":
    main()
