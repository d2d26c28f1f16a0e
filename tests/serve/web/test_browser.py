"""The page in a real browser: Debian's Chromium, driven by Playwright; accessibility is checked by axe-core."""

import json
import re
import shutil
import signal
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from rater.embedded.store import open_reader
from rater.serve.web.screens import SCREENS
from tests.serve.web.browsing import Window, chromium, needs_chromium, signed_in
from tests.serve.web.conftest import BEGAN, HOSTILE, Open
from tests.serve.web.test_compare import PERIOD, twice
from tests.serve.web.tour import (
    TOUR_WITHIN_S,
    Tour,
    look_at_screens,
    pages_of,
    screens_of,
    started_by,
    touring,
    walk,
)
from tests.serve.world import Switch

AXE_VERSION = "4.14.1"
AXE_WITHIN_MS = 60_000
#: What a process of the server computes may take so long while other tests run.
COMPUTED_WITHIN_MS = 150_000
LISTED = [name for name, screen in SCREENS.items() if screen.listed]

pytestmark = [
    needs_chromium,
    pytest.mark.xdist_group("browser"),  # one browser at a time
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """axe-core out of its package; it is not shipped."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not here: it fetches axe-core")
    folder = tmp_path_factory.mktemp("axe")
    got = subprocess.run(
        [npm, "pack", f"axe-core@{AXE_VERSION}"], cwd=folder, capture_output=True, check=False, timeout=120
    )
    if got.returncode:
        pytest.skip("axe-core cannot be fetched: npm pack failed")
    with tarfile.open(next(folder.glob("*.tgz"))) as packed:
        source = packed.extractfile("package/axe.min.js")
        assert source is not None
        return source.read().decode()


@pytest.fixture(scope="module")
def berlin(browser: Browser, opened: Open) -> Iterator[BrowserContext]:
    """The browser of an operator in Berlin."""
    context = signed_in(browser, opened.visitor().base, opened.admitted.tokens["olga"])
    yield context
    context.close()


@pytest.fixture
def olga(berlin: BrowserContext, opened: Open) -> Iterator[Window]:
    """A window of hers."""
    window = Window(berlin, opened.visitor().base)
    yield window
    window.page.close()


def violations(page: Page, options: dict[str, Any]) -> list[Any]:
    """What axe-core finds; looked for, and not awaited, because only looking has a limit of time."""
    page.evaluate(
        "options => { axe.run(document, options).then(found => { window.found = found.violations }) }", options
    )
    found = page.wait_for_function("() => window.found", timeout=AXE_WITHIN_MS).json_value()
    page.evaluate("() => { window.found = null }")
    return list(found)


def serious(page: Page, axe: str) -> list[str]:
    """What axe-core finds that keeps somebody from using the page; on a dark page, where the colours alone are others,
    by its rules about colours.
    """
    page.evaluate(axe)
    page.emulate_media(color_scheme="light")
    found = violations(page, {})
    page.emulate_media(color_scheme="dark")
    found += violations(page, {"runOnly": ["cat.color"]})
    return [
        f"{one['id']}: {node['html']}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def test_a_tour_of_the_page(browser: Browser, opened: Open) -> None:
    """Every screen without an error; 100.00 - 0.10 - 0.20 for two calls + 90, paid once by three clicks."""
    base, token = opened.visitor().base, opened.admitted.tokens["olga"]
    seen = walk(browser, Tour(base=base, token=token, tenant="contoso", call="b", amount="90", pictures="store"))
    assert seen.wrong == []
    assert seen.pages == pages_of("contoso")
    assert "Charge\n0.2 USD" in seen.explained
    assert seen.balances == ["99.70 USD", "189.70 USD", "189.70 USD", "189.70 USD"]


def test_a_hostile_name_runs_nothing(olga: Window) -> None:
    """Markup is shown as it is, and the sign that turns the direction of a line by its code."""
    assert look_at_screens(olga, HOSTILE, "hostile") == screens_of(HOSTILE.replace("\u202e", r"\u202e"))
    assert olga.wrong == []


def test_a_tour_that_is_given_up_leaves_no_browser() -> None:
    """The server does not answer.  When the block ends, so do the browser and its connection."""
    with socket.create_server(("127.0.0.1", 0)) as server, touring() as process:
        server.settimeout(TOUR_WITHIN_S)
        base = f"http://127.0.0.1:{server.getsockname()[1]}"
        tour = Tour(base=base, token="", tenant="contoso", call="b", amount="90", pictures="none")
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(tour))
        process.stdin.close()
        connection, _ = server.accept()
        started = started_by(process.pid)
    connection.settimeout(TOUR_WITHIN_S)
    with connection, connection.makefile("rb") as sent:
        sent.read()  # to the end of the connection
    assert len(started) > 1, "Playwright's driver and the browser"
    assert process.returncode == -signal.SIGKILL


def test_nothing_keeps_anybody_from_using_it(browser: Browser, opened: Open, axe: str) -> None:
    """axe-core finds nothing serious on any screen, form or preview, light or dark."""
    context = browser.new_context(bypass_csp=True)
    window = Window(context, opened.visitor().base)
    found = {"sign-in": serious(window.open("/sign-in"), axe)}
    window.sign_in(opened.admitted.tokens["olga"])
    paths = [f"/tenants/contoso/{name}" for name in LISTED]
    paths += [
        "/tenants",
        "/tenants/contoso/call?id=b",
        "/tenants/contoso/forecast",
        "/tenants/contoso/price?called=%2B442079460000&user=ada",
        "/tenants/contoso/orders/refund",
        "/tenants/contoso/orders/assign",
        "/tenants/contoso/orders/assign-file",
        "/tenants/none/credits",
    ]
    for path in paths:
        found[path] = serious(window.open(path), axe)
        window.page.emulate_media(color_scheme="light")
        window.keep_picture("light", re.sub(r"\W+", "-", path).strip("-"))
    window.open("/tenants/contoso/orders/add-funds")
    window.page.fill("#amount", "75")
    window.page.click("main button")
    found["preview"] = serious(window.page, axe)
    window.keep_picture("dark", "preview")
    context.close()
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


def test_times_are_shown_in_the_readers_zone(olga: Window) -> None:
    """UTC as the server wrote it, and below it the time in Berlin."""
    page = olga.open("/tenants/contoso/usage")
    first = page.locator("#calls time").first
    assert "12:00 UTC" in first.inner_text()
    assert "Europe/Berlin" in first.inner_text()


@pytest.mark.parametrize("name", LISTED)
def test_a_phone_shows_it_without_moving_the_page_sideways(olga: Window, name: str) -> None:
    """Wide tables move by themselves."""
    olga.page.set_viewport_size({"width": 390, "height": 844})
    for tenant in (quote(HOSTILE, safe=""), "fabrikam", "contoso"):
        page = olga.open(f"/tenants/{tenant}/{name}")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate("document.querySelector('nav').offsetHeight") < 60
    olga.keep_picture("phone", name)


def test_a_time_is_chosen_in_the_readers_zone(olga: Window) -> None:
    """Two o'clock in Berlin in summer is midnight UTC, which is shown beside it and is what is sent; and back."""
    page = olga.open("/tenants/contoso/orders/assign")
    here, utc = page.get_by_label("Europe/Berlin"), page.get_by_label("in UTC")
    here.fill("2025-07-01T02:00")
    assert utc.input_value() == "2025-07-01T00:00"
    utc.fill("2025-01-15T12:30")
    assert here.input_value() == "2025-01-15T13:30"
    page.fill("#user", "ann@contoso.example")
    page.fill("#sku", "MCOPSTN1")
    page.fill("#country", "US")
    page.click("main button")
    assert '"effective_from": "2025-01-15T12:30:00Z"' in (page.locator("pre").text_content() or "")


def test_the_curve_is_drawn(olga: Window) -> None:
    """A canvas, and beside it a table with the same balances."""
    page = olga.open("/tenants/contoso/credits")
    assert page.locator(".curve canvas").count() == 1
    assert page.locator("text=Balance at instants").count() == 1


def test_the_keyboard_alone_is_enough(olga: Window) -> None:
    """The first key leads to the content; focus is visible on what is reached."""
    page = olga.open("/tenants/contoso/usage")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "day"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_declined_card_is_shown_without_a_reload(olga: Window, opened: Open) -> None:
    """A recharge fails while the tenant's page and the list of tenants are open: both say so by themselves."""
    office, at = opened.server.switch("office"), BEGAN.isoformat()
    recharge = {"enabled": True, "trigger": "50", "amount": "100"}
    command = {"tenant": HOSTILE, "at": at}
    commands(office, command | {"command": "tenant_configured", "id": "recharge", "recharge": recharge})
    reader = open_reader(opened.server.store)
    account = reader.account(HOSTILE)
    reader.close()
    assert account is not None
    asked = account.recharge.in_flight
    assert asked is not None
    tenants = olga.page.context.new_page()
    for page, path in ((olga.page, f"/tenants/{quote(HOSTILE, safe='')}/credits"), (tenants, "/tenants")):
        with page.expect_request("**/news"):
            page.goto(olga.base + path)
        page.evaluate("document.notReloaded = true")
        assert page.locator(".need-payment_failing").count() == 0
    failed = {
        "command": "payment_failed",
        "id": "declined",
        "recharge_id": asked.recharge,
        "reason": "card_declined",
    }
    commands(office, command | failed)
    for page in (olga.page, tenants):
        page.locator(".need-payment_failing").first.wait_for()
        assert page.evaluate("document.notReloaded")


def commands(office: Switch, *sent: dict[str, Any]) -> None:
    """Apply commands."""
    assert office.ask("/v1/commands", json.dumps(sent).encode()).body["accepted"] == len(sent)


@pytest.fixture
def kim(browser: Browser, lived: Open) -> Iterator[Window]:
    """A clerk of contoso, which has five weeks of calls."""
    context = browser.new_context()
    window = Window(context, lived.visitor().base)
    window.page.set_default_timeout(COMPUTED_WITHIN_MS)
    window.sign_in(lived.admitted.tokens["kim"])
    yield window
    context.close()


def test_what_is_likely_comes_into_the_page(kim: Window) -> None:
    """Computed while the page is open already: a band with its table on Credits, a sentence on Recharge."""
    page = kim.open("/tenants/contoso/credits")
    page.evaluate("document.notReloaded = true")
    page.locator("#likely .curve canvas").wait_for()
    assert page.locator(".curve canvas").count() == 2
    assert "95.80 USD" in page.locator("#likely").inner_text()
    band = page.evaluate("[...document.querySelectorAll('.curve')].at(-1).plot.data")
    assert [len(line) for line in band] == [61] * 4  # now and the ends of 60 days, and P10, P50, P90 of each
    assert {line[0] for line in band[1:]} == {96.5}
    kim.keep_picture("light", "likely", "credits")
    page = kim.open("/tenants/contoso/recharge")
    page.locator("#likely table").wait_for()
    assert "Recharge 50 USD below 1 USD" in page.locator("#likely").inner_text()
    kim.keep_picture("light", "likely", "recharge")
    assert kim.wrong == []


def test_a_price_list_is_compared_with_a_chart(kim: Window) -> None:
    """A file is chosen; the outcome comes by itself, with bars, tables and a file to download."""
    page = kim.open("/tenants/contoso/compare")
    page.select_option("#period", PERIOD)
    page.set_input_files("#deck", {"name": "B.csv", "mimeType": "text/csv", "buffer": twice()})
    page.click("main button")
    page.locator("[data-bars] canvas").wait_for()
    assert "By destination" in page.locator("main").inner_text()
    kim.keep_picture("light", "compared")
    with page.expect_download() as downloading:
        page.click("text=Download all lines as CSV")
    assert downloading.value.suggested_filename == f"what-if-{PERIOD}.csv"
    assert kim.wrong == []


def test_a_call_s_price_is_a_link_away(kim: Window) -> None:
    """From the list of calls to what the same call would cost now."""
    page = kim.open("/tenants/contoso/usage")
    page.locator("#calls a", has_text="Price now").first.click()
    assert "0.1 USD" in page.locator("main").inner_text()
    page.fill("#minutes", "10")
    page.get_by_role("button", name="Show the price").click()
    assert "0.5 USD" in page.locator("main").inner_text()
