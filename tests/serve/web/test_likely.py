"""What is likely, on Credits and Recharge: two minutes a day to London, 0.10, of 100 USD."""

from datetime import timedelta
from typing import Literal

import pytest

from rater.core import Account, RatingSettings
from rater.serve.web.screens.outlook import Outlook, outlook
from tests.serve.web.conftest import BEGAN, Open

DAY = 1_000_000  # a pace of one unit a day


def test_credits_shows_the_band_once_it_is_computed(lived: Open) -> None:
    """Before: it is computed, with a link.  After somebody opened the link, or a script did: it is in the screen."""
    val = lived.visitor("val")
    before = val.get("/tenants/contoso/credits")
    assert "It is computed now, which takes some seconds." in before.words
    assert 'data-later="/tenants/contoso/forecast"' in before.text
    computed = val.get("/tenants/contoso/forecast")
    assert "5 whole weeks" not in computed.words, "the week that is not over does not count"
    for shown in (computed, val.get("/tenants/contoso/credits")):
        assert "4 whole weeks of this tenant's own past were drawn by chance" in shown.words
        assert "Credit is used up not within 60 days not within 60 days not within 60 days" in shown.words
        assert "Number of recharges 0 0 0" in shown.words
        assert "95.80 USD 95.80 USD 95.80 USD" in shown.words, "96.50 less seven days"


def test_recharge_shows_what_is_recommended_and_why(lived: Open) -> None:
    """1 and 50, beside what is set and what was published for one user."""
    val = lived.visitor("val")
    assert "It is computed now" in val.get("/tenants/contoso/recharge").words
    computed = val.get("/tenants/contoso/recommendation")
    for shown in (computed, val.get("/tenants/contoso/recharge")):
        assert "Recharge 50 USD below 1 USD: in nine of ten likely months no 60 minutes" in shown.words
        assert "cost more than 0.10 USD" in shown.words
        assert "the month no more than 3.00 USD" in shown.words
        assert "with at most 4 recharges each" in shown.words
        assert "Recommended 1 USD 50 USD Set now 0.00 USD 0.00 USD" in shown.words
        assert "Published in 2017 for 1 licensed users 200 USD 1000 USD once" in shown.words


@pytest.mark.parametrize(("page", "screen"), [("forecast", "credits"), ("recommendation", "recharge")])
def test_too_little_past_says_so(lived: Open, page: str, screen: str) -> None:
    """fabrikam has no calls: nothing is guessed, on the page and then in the screen."""
    olga = lived.visitor("olga")
    for path in (f"/tenants/fabrikam/{page}", f"/tenants/fabrikam/{screen}"):
        words = olga.get(path).words
        assert "Nothing can be said: expected at least 4 whole weeks of calls before" in words


@pytest.mark.parametrize("page", ["forecast", "recommendation", "price?user=ada", "compare", "compare/0"])
def test_who_sees_one_tenant_computes_nothing_of_another(lived: Open, page: str) -> None:
    """The same 404 for one that is there and for one that is not; without a session the sign-in."""
    kim = lived.visitor("kim")
    there, not_there = (kim.get(f"/tenants/{tenant}/{page}") for tenant in ("fabrikam", "nobody"))
    assert (there.status, there.words) == (404, not_there.words)
    assert lived.visitor().get(f"/tenants/contoso/{page}").path == "/sign-in"


def account(balance: int = 100, recharge: tuple[int, int] | None = (20, 50)) -> Account:
    """A tenant with credit, and recharge by (trigger, amount)."""
    found = Account(
        tenant="contoso", currency="USD", clock=BEGAN, wake_at=BEGAN, credits=True, balance=balance * DAY
    )
    if recharge is not None:
        terms = found.recharge
        terms.enabled, terms.trigger, terms.amount = True, recharge[0] * DAY, recharge[1] * DAY
    return found


@pytest.mark.parametrize(
    ("balance", "recharge", "pace", "expected"),
    [
        # auto-recharge is off: 100 last for 50 days at 2 a day
        (100, None, 2, ("empty", 50, None)),
        (100, None, 0, ("empty", None, None)),
        # it works: what comes next is a recharge, when 80 are spent
        (100, (20, 50), 2, ("recharge", 40, None)),
        (100, (20, 50), 0, ("recharge", None, None)),
        # it is below the trigger: a payment is asked for
        (19, (20, 50), 2, ("asked", None, None)),
        # at most 20 a day and 200 a month: 333 a day at the most
        (1_000, (20, 50), 334, ("empty", 2, "not_enough")),
        (1_000, (20, 50), 333, ("recharge", 2, None)),
        (0, (20, 50), 2, ("is_empty", None, None)),
        (-3, None, 2, ("is_empty", None, None)),
    ],
)
def test_what_comes_next(
    balance: int,
    recharge: tuple[int, int] | None,
    pace: int,
    expected: tuple[Literal["empty", "recharge", "asked", "is_empty"], int | None, Literal["not_enough"] | None],
) -> None:
    """A recharge where auto-recharge works; nothing left where it is off or not enough."""
    found = outlook(account(balance, recharge), pace * DAY, RatingSettings())
    days = None if found.at is None else (found.at - BEGAN) // timedelta(days=1)
    assert (found.next, days, found.weak) == expected


def test_a_payment_that_fails_recharges_nothing() -> None:
    """It says when nothing is left, and that the payment fails."""
    failing = account()
    failing.recharge.failures = 1
    found = outlook(failing, 2 * DAY, RatingSettings())
    assert found == Outlook("empty", BEGAN + timedelta(days=50), "failing")
    stopped = account()
    stopped.recharge.stopped = True
    assert outlook(stopped, 2 * DAY, RatingSettings()) == Outlook("empty", BEGAN + timedelta(days=50), None)


def test_credits_names_the_next_recharge_and_not_when_it_is_empty(lived: Open) -> None:
    """Off: when it is empty; on: when the next recharge comes."""
    kim = lived.visitor("kim")
    words = kim.get("/tenants/contoso/credits").words
    assert "Empty at this pace" in words
    assert f"a day, by the 30 days up to the last known call, on {BEGAN:%Y-%m-%d}" in words
    path = "/tenants/contoso/orders/recharge-settings"
    typed = {"enabled": "1", "trigger": "60", "amount": "50"}
    shown = kim.post(f"{path}/preview", kim.get(path).form(f"{path}/preview") | typed)
    kim.post(f"{path}/send", shown.form(f"{path}/send"))
    words = kim.get("/tenants/contoso/credits").words
    assert "Next recharge at this pace" in words
    assert "Empty at this pace" not in words
