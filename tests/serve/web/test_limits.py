"""Limits on spending on the page (A50): what a clerk sees of them, sets, replaces and releases.

Each call of ada takes place today, and costs 0.05.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from tests.serve.web.conftest import BEGAN, Open
from tests.serve.web.test_orders import order, previewed, sent
from tests.serve.web.world import admitted
from tests.serve.world import Serving, call, clients_file, setting_up
from tests.waiting import until

SCREEN = "/tenants/contoso/brakes"
DAILY = {"brake": "daily", "mode": "shadow", "limit": "0.05", "scope": "user", "measure": "spend", "window": "day"}


@pytest.fixture
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """contoso with 100 USD."""
    folder = tmp_path_factory.mktemp("limits")
    own = [msgspec.structs.replace(command, at=BEGAN - timedelta(days=1)) for command in setting_up()]
    page = admitted(folder)
    clients = clients_file(folder, switch={}, office={"may": ["commands"]})
    with Serving(folder, clients, commands=own, page=page.page, arrived_at=BEGAN) as server:
        yield Open(server, page)


def rated(opened: Open, id: str, *, late: bool = False) -> None:
    """A call of ada is rated that began with this day, or now."""
    now = datetime.now(UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    began = max(now, today + timedelta(seconds=10)) if late else today  # behind the first, also at midnight
    answer = opened.server.switch().send(call(id, 2) | {"answered_at": began.isoformat()})
    assert answer.status == 200


def test_a_limit_from_shadow_to_a_release(limited: Open) -> None:
    """Set to count; what it would have stopped; replaced by a stop; released: each is shown, then sent once."""
    kim, val = limited.visitor("kim"), limited.visitor("val")
    assert "No limit is set." in val.get(SCREEN).words
    shown = previewed(kim, "brake", **DAILY)
    assert '"command": "brake_configured"' in shown.words
    assert "No limit is set." in val.get(SCREEN).words
    assert sent(kim, "brake", shown).path == f"{SCREEN}?order=accepted"
    assert sent(kim, "brake", shown).path == f"{SCREEN}?order=duplicate"
    assert "Limit 0.05 USD a day" in val.get(SCREEN).words
    assert "Nothing was counted yet." in val.get(SCREEN).words
    rated(limited, "a")
    rated(limited, "b", late=True)
    words = val.get(SCREEN).words
    assert "0.10 USD 200 % 200 %" in words
    assert "would have stopped 1 calls, 0.05 USD" in words
    assert "Release" not in kim.get(SCREEN).words
    form = kim.get(f"{order('brake')}?brake=daily")
    assert 'value="0.05"' in form.text
    assert '<option value="user" selected>' in form.text


def test_what_a_stop_refuses_now_can_be_released(limited: Open) -> None:
    """Its link carries the user; who released it, and why, is in the command; then nothing is left to release."""
    kim = limited.visitor("kim")
    sent(kim, "brake", previewed(kim, "brake", **DAILY | {"mode": "stop"}))
    rated(limited, "a")
    words = limited.visitor("val").get(SCREEN).words
    assert "Release ada" not in words
    text = kim.get(SCREEN).text
    assert "Release ada" in text
    link = "orders/release-brake?brake=daily&amp;subject=ada"
    assert link in text
    form = kim.get(f"/tenants/contoso/{link.replace('&amp;', '&')}").form(f"{order('release-brake')}/preview")
    typed = form | {"brake": "daily", "subject": "ada", "reason": "it was us"}
    shown = kim.post(f"{order('release-brake')}/preview", typed)
    assert ('"by": "kim"' in shown.words, '"reason": "it was us"' in shown.words) == (True, True)
    assert sent(kim, "release-brake", shown).path == f"{SCREEN}?order=accepted"
    words = kim.get(SCREEN).words
    assert ("UTC released" in words, "Release ada" in words) == (True, False)


def test_countries_that_are_not_new_any_more(limited: Open) -> None:
    """What a limit on new countries learned in shadow stands below it; a country that a person allows is there at once."""
    kim = limited.visitor("kim")
    abroad = DAILY | {"brake": "abroad", "measure": "new_countries"}
    assert sent(kim, "brake", previewed(kim, "brake", **abroad)).path == f"{SCREEN}?order=accepted"
    rated(limited, "a")
    words = kim.get(SCREEN).words
    assert ("ada, new: GB" in words, "Not new any more" in words) == (True, False)
    shown = previewed(kim, "release-brake", brake="abroad", subject="ada", new_country="FR")
    assert sent(kim, "release-brake", shown).path == f"{SCREEN}?order=accepted"
    assert "Not new any more to ada: FR" in limited.visitor("val").get(SCREEN).words


def test_calls_at_once_that_are_only_counted(limited: Open) -> None:
    """One may run, three are asked for and allowed: the page says how many `stop` would have refused."""
    kim, office = limited.visitor("kim"), limited.server.switch()
    lines = DAILY | {"brake": "lines", "limit": "1", "measure": "calls_at_once", "mode": "notify"}
    assert sent(kim, "brake", previewed(kim, "brake", **lines)).path == f"{SCREEN}?order=accepted"
    asked = "/v1/authorize?tenant=contoso&user=ada&called=%2B442079460000&usage_id="
    assert [office.ask(f"{asked}{id}").body["allowed"] for id in ("a", "b", "c")] == [True] * 3
    until(lambda: "would have stopped 2 calls" in kim.get(SCREEN).words, "the count")
    words = kim.get(SCREEN).words
    assert "Limit 1 at once" in words
    assert "3 300 % 300 %" in words
    assert "Release" not in words
    (noted,) = [event for event in limited.server.noted if event.event.value == "brake.reached"]
    assert (noted.used, noted.total, noted.reason, noted.user) == (3, 1, "notify", "ada")


def test_what_no_limit_can_be_is_not_sent(limited: Open) -> None:
    """The preview says what was expected, and there is no button."""
    kim = limited.visitor("kim")
    wrong = {
        "a decimal amount": {"limit": "much"},
        "an amount of zero or more": {"limit": "-1"},
        "it must not be empty": {"limit": ""},
        "expected an ISO 3166-1": {"scope": "country", "only": "Kenya"},
        "brake: ": {"brake": "Not A Name"},
        "mode: ": {"mode": "sometimes"},
    }
    for said, typed in wrong.items():
        shown = previewed(kim, "brake", **{**DAILY, **typed})
        assert said in shown.words
        assert f"{order('brake')}/send" not in shown.text
    shown = previewed(kim, "release-brake", brake="daily")
    assert "expected a brake that is reached in its present window" in shown.words


def test_a_limit_is_taken_away_by_its_name(limited: Open) -> None:
    """The form demands no limit of it; what stands first in its choices is not read."""
    kim = limited.visitor("kim")
    assert sent(kim, "brake", previewed(kim, "brake", **DAILY)).path == f"{SCREEN}?order=accepted"
    shown = previewed(kim, "brake", **DAILY | {"mode": "off", "limit": "", "scope": "tenant"})
    assert sent(kim, "brake", shown).path == f"{SCREEN}?order=accepted"
    assert "No limit is set." in kim.get(SCREEN).words


def test_balances_to_be_notified_of(limited: Open) -> None:
    """They replace the former; empty takes them away; a word is no amount."""
    kim = limited.visitor("kim")
    assert "expected" in previewed(kim, "balance-alerts", balance_alerts="50 soon").words
    shown = previewed(kim, "balance-alerts", balance_alerts="50 500")
    assert sent(kim, "balance-alerts", shown).path == f"{SCREEN}?order=accepted"
    assert "notified of 500.00 USD 50.00 USD" in limited.visitor("val").get(SCREEN).words
    assert 'value="500 50"' in kim.get(order("balance-alerts")).text
    assert sent(kim, "balance-alerts", previewed(kim, "balance-alerts", balance_alerts="")).status == 200
    assert "None is set." in kim.get(SCREEN).words


def test_a_viewer_sets_no_limit(limited: Open) -> None:
    """No link, and 403 for each form."""
    val = limited.visitor("val")
    assert "/orders/" not in val.get(SCREEN).text
    assert {val.get(order(kind)).status for kind in ("brake", "release-brake", "balance-alerts")} == {403}
