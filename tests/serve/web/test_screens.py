"""What each screen shows, and to whom."""

import sys
from datetime import timedelta
from urllib.parse import quote

import pytest

from rater.serve.web.ordering.kinds import KINDS
from rater.serve.web.screens import SCREENS
from tests.serve.web.conftest import BEGAN, HOSTILE, Open

LISTED = [name for name, screen in SCREENS.items() if screen.listed]


@pytest.mark.parametrize("name", LISTED)
@pytest.mark.parametrize("tenant", ["contoso", "fabrikam", HOSTILE], ids=["with-calls", "without", "hostile"])
def test_a_screen_shows_its_tenant(opened: Open, name: str, tenant: str) -> None:
    """Every screen, also of a tenant without anything; a hostile name is text."""
    shown = opened.visitor("olga").get(f"/tenants/{quote(tenant, safe='')}/{name}")
    assert shown.status == 200
    assert tenant.replace("\u202e", "\\u202e") in shown.words
    assert "<script>alert" not in shown.text
    assert "\u202e" not in shown.text


@pytest.mark.parametrize("name", [*SCREENS, "none"])
def test_another_tenant_is_not_found(opened: Open, name: str) -> None:
    """The same words for one that is there and for one that is not, with every id that the other has."""
    kim = opened.visitor("kim")
    there, not_there = (
        kim.get(f"/tenants/{tenant}/{name}?id=a&period=2026-03&after=9") for tenant in ("fabrikam", "nobody")
    )
    assert (there.status, not_there.status) == (404, 404)
    assert there.words == not_there.words


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_ordered_for_another_tenant(opened: Open, kind: str) -> None:
    """404 for the form and both steps, with keys and previews of the own tenant."""
    kim = opened.visitor("kim")
    path, own = f"/tenants/fabrikam/orders/{kind}", f"/tenants/contoso/orders/{kind}"
    form = kim.get("/tenants/contoso/orders/add-funds").form("/tenants/contoso/orders/add-funds/preview")
    if KINDS[kind].letter is None:
        form = kim.get(own).form(f"{own}/preview")
    assert kim.get(path).status == 404
    assert [kim.post(f"{path}/{step}", form | {"amount": "60"}).status for step in ("preview", "send")] == [
        404,
        404,
    ]


def test_tenants_are_for_operators(opened: Open) -> None:
    """An operator sees all of them, and finds one by a part of its name; others 404."""
    olga = opened.visitor("olga")
    assert all(name in olga.get("/tenants").words for name in ("contoso", "fabrikam"))
    found = olga.get("/tenants?search=FABRI").words
    assert "fabrikam" in found
    assert "contoso" not in found
    assert opened.visitor("kim").get("/tenants").status == 404


def test_a_tenant_that_needs_somebody_comes_first(opened: Open) -> None:
    """fabrikam is suspended without money; contoso has some."""
    words = opened.visitor("olga").get("/tenants").words
    assert words.index("fabrikam suspended") < words.index("contoso nothing")


def test_calls_are_found_by_what_stands_on_a_bill(opened: Open) -> None:
    """61 s are 2 x 0.05 = 0.1, 240 s are 4 x 0.05 = 0.2; carl's is flagged, who has no licence."""
    val = opened.visitor("val")
    path = "/tenants/contoso/usage"
    assert val.get(path).text.count("Explain call") == 3
    found = val.get(f"{path}?day={BEGAN:%Y-%m-%d}&charge=0.2&user=ADA").text
    assert (found.count("Explain call"), "call?id=b" in found) == (1, True)
    flagged = val.get(f"{path}?flag=unknown_user").text
    assert "call?id=c" in flagged
    assert flagged.count("Explain call") == 1
    for query in ("day=2026-01-01", "charge=0.3", "user=bob", "after=1.1"):
        assert "No call was found" in val.get(f"{path}?{query}").words


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("user=CAR", "call of a user +442079460000"),
        ("user=a", 'Users whose names contain "a": ada carl'),
        ("user=zed", 'No user\'s name contains "zed".'),
        ("destination=united", "call of a user +442079460000"),
        ("destination=4420", 'No destination of a call contains "4420"; it is the name of a country or place'),
        ("user=car&day=2001-01-01", "No call was found."),
        ("number=%2B44%2020%2079&user=carl", "call of a user +442079460000"),
        ("number=7946&type=user_out&user=carl", "call of a user +442079460000"),
        ("number=7947", "No call was found."),
        ("type=conf_in", "No call was found."),
        ("charge=0,10%20usd", "call of a user +442079460000"),
        ("destination=United%20Kingdom&day=2001-01-01", "No call was found. What the calls"),
    ],
)
def test_a_part_of_a_name_finds_calls(opened: Open, query: str, shown: str) -> None:
    """One name that contains it is meant; several are offered; that there is none is shown."""
    assert shown in opened.visitor("val").get(f"/tenants/contoso/usage?{query}").words


@pytest.mark.parametrize(
    "query",
    [
        "day=12.3.",
        "charge=4,023",
        "charge=0.1EUR",
        "charge=USD",
        "after=-1",
        "after=x",
        "flag=x",
        "type=x",
        "number=44",
        "number=a44",
    ],
)
def test_a_filter_that_cannot_be_read_is_an_error(opened: Open, query: str) -> None:
    """400 with what was expected; a field that a person fills in comes back with what was typed."""
    shown = opened.visitor("val").get(f"/tenants/contoso/usage?{query}")
    assert shown.status == 400
    assert "expected" in shown.words
    name, _, typed = query.partition("=")
    if name in ("day", "charge", "number"):
        assert f'value="{typed}"' in shown.text
        assert "Statement" in shown.words
        assert "No call was found" not in shown.words


@pytest.mark.parametrize("screen", ["statement", "usage"])
def test_a_server_without_the_library_for_excel(opened: Open, screen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No button for it, and one line that says why; the address itself answers what is expected."""
    val, path = opened.visitor("val"), f"/tenants/contoso/{screen}"
    assert f"{screen}/xlsx" in val.get(path).text
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    shown = val.get(path)
    assert f"{screen}/xlsx" not in shown.text
    assert "Excel files need the extra rater[excel], which this server lacks." in shown.words
    refused = val.get(f"{path}/xlsx")
    assert (refused.status, "xlsx: expected csv" in refused.words) == (400, True)


def test_a_call_explains_its_price(opened: Open) -> None:
    """Every line of `rater explain`; a call of another tenant, or of none, is not found."""
    val = opened.visitor("val")
    words = val.get("/tenants/contoso/call?id=b").words
    assert "It lasted 240 s = 4 minutes" in words
    assert "Debited: 0.2 USD" in words
    assert val.get("/tenants/contoso/call?id=none").status == 404
    assert val.get("/tenants/contoso/call").status == 404


def test_credits_show_what_the_balance_is_made_of(opened: Open) -> None:
    """The lot of the purchase and when it expires, and what came in."""
    words = opened.visitor("val").get("/tenants/contoso/credits").words
    bought = BEGAN - timedelta(days=1)
    assert f"USD {bought:%Y-%m-%d} 12:00 UTC {bought.year + 1}-" in words
    assert f"{bought:%Y-%m-%d} 12:00 UTC purchase 100.00 USD 100.00 USD funds" in words


def test_a_statement_begins_with_what_the_month_cost(opened: Open) -> None:
    """0.1 and 0.2 of ada's calls, of 100.00 that were bought: each part is named."""
    words = opened.visitor("val").get(f"/tenants/contoso/statement?period={BEGAN:%Y-%m}").words
    assert f"What calls cost in {BEGAN:%Y-%m} 0.30 USD" in words
    assert "Balance at the end 99.70 USD" in words


def test_a_refused_record_is_shown_with_its_reason(opened: Open) -> None:
    """Its owner sees it, numbers masked; another tenant does not."""
    opened.server.switch().ask(
        "/v1/cdrs", b'{"tenant":"contoso","usage_id":"bad","type":"user_out","called":"+442071234567"}'
    )
    words = opened.visitor("val").get("/tenants/contoso/refused").words
    assert "usage_id bad type user_out called" in words
    assert "+442071234567" not in words
    assert "No record of this tenant waits" in opened.visitor("olga").get("/tenants/fabrikam/refused").words


def test_who_sees_one_tenant_is_sent_no_event_of_another(opened: Open) -> None:
    """A stream about another tenant, one that is not there, or all of them: the same 404."""
    kim = opened.visitor("kim")
    assert {kim.get(path).status for path in ("/tenants/fabrikam/news", "/tenants/none/news", "/tenants/news")} == {
        404
    }
    assert opened.visitor().get("/tenants/contoso/news").path == "/sign-in"
