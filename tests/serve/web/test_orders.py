"""Money by hand on the page: shown before it is sent, sent once, and written down."""

import html
import re

import msgspec
import pytest

from rater.embedded.store import open_reader
from rater.wire.admin_audit import AdminAudit
from tests.serve.web.conftest import Open
from tests.serve.web.world import Shown, Visitor


def order(kind: str, tenant: str = "contoso") -> str:
    return f"/tenants/{tenant}/orders/{kind}"


def previewed(visitor: Visitor, kind: str, query: str = "", **typed: str) -> Shown:
    """The preview of an order whose form was filled in like this."""
    form = visitor.get(order(kind) + query).form(f"{order(kind)}/preview")
    return visitor.post(f"{order(kind)}/preview", form | typed)


def sent(visitor: Visitor, kind: str, shown: Shown) -> Shown:
    """The outcome of what a preview showed."""
    return visitor.post(f"{order(kind)}/send", shown.form(f"{order(kind)}/send"))


def balance(opened: Open) -> int:
    with_store = open_reader(opened.server.store)
    account = with_store.account("contoso")
    with_store.close()
    assert account is not None
    return account.balance


def test_funds_are_added_once(opened: Open) -> None:
    """The preview shows both balances; pressing the button again, or going back to the form, adds nothing more."""
    kim, before = opened.visitor("kim"), balance(opened)
    form = kim.get(order("add-funds")).form(f"{order('add-funds')}/preview")
    typed = form | {"amount": "60", "purchase_order": "PO-1", "agreement": "AGR"}
    shown = kim.post(f"{order('add-funds')}/preview", typed)
    assert '"purchase_order": "PO-1"' in shown.words
    assert balance(opened) == before
    done = sent(kim, "add-funds", shown).words
    assert ("Done." in done, "PO-1, AGR – kim" in done) == (True, True)
    assert "Nothing was changed a second time" in sent(kim, "add-funds", shown).words
    again = kim.post(f"{order('add-funds')}/preview", typed)
    assert "Nothing would change" in again.words
    assert balance(opened) == before + 60_000_000


def test_another_amount_on_the_form_that_was_sent_is_refused(opened: Open) -> None:
    """Who goes back and types another amount has the same id: nothing is added."""
    kim = opened.visitor("kim")
    form = kim.get(order("add-funds")).form(f"{order('add-funds')}/preview")
    first, second = (kim.post(f"{order('add-funds')}/preview", form | {"amount": text}) for text in ("50", "70"))
    assert sent(kim, "add-funds", first).status == 200
    before = balance(opened)
    assert sent(kim, "add-funds", second).status == 409
    assert balance(opened) == before


def test_an_order_is_shown_in_words_and_can_be_changed(opened: Open) -> None:
    """What was typed and the call that it is about; a link leads back to the form with it."""
    kim = opened.visitor("kim")
    shown = previewed(kim, "adjust", "?call=a", amount="0.05", reason="echo & noise")
    assert "Of a call of ada to +442079460000 (United Kingdom), which cost 0.1 USD, of" in shown.words
    assert "Amount 0.05 USD Reason echo & noise" in shown.words
    (link,) = re.findall(r'href="([^"]*)">Change it', shown.text)
    again = kim.get(html.unescape(link)).text
    assert ('value="0.05"' in again, 'value="echo &amp; noise"' in again) == (True, True)


def test_auto_recharge_is_changed_from_what_is_set(opened: Open) -> None:
    """The form begins with the settings in force."""
    kim = opened.visitor("kim")
    shown = previewed(kim, "recharge-settings", trigger="70", amount="60")
    assert sent(kim, "recharge-settings", shown).status == 200
    now = kim.get(order("recharge-settings")).text
    assert ('name="trigger" value="70"' in now, 'name="amount" value="60"' in now) == (True, True)


def test_what_a_call_cost_is_given_back_once(opened: Open) -> None:
    """240 s to London are 4 x 0.05 = 0.2; a second clerk cannot give it back again."""
    kim, olga, before = opened.visitor("kim"), opened.visitor("olga"), balance(opened)
    form = kim.get(order("adjust") + "?call=b")
    assert "which cost 0.2 USD" in form.words
    assert 'value="0.2"' in form.text
    late = olga.get(order("adjust") + "?call=b").form(f"{order('adjust')}/preview")
    shown = previewed(kim, "adjust", "?call=b", amount="0.2", reason="echo on the line")
    assert '"by": "kim"' in shown.words
    done = sent(kim, "adjust", shown)
    assert done.path == "/tenants/contoso/call?id=b&order=accepted"
    assert "Done. " in done.words
    assert balance(opened) == before + 200_000
    form = olga.get(order("refund"))
    lots = re.findall(r'<option value="([^"]*)"', form.text)
    assert ("funds" in lots, "credit-b" in lots) == (True, False), "only what somebody paid for"
    assert "What came in or went out last" in form.words
    assert "echo on the line – kim" in form.words
    again = olga.post(f"{order('adjust')}/preview", late | {"amount": "0.2", "reason": "echo on the line"})
    assert "refused" in again.words or "Nothing would change" in again.words
    assert f"{order('adjust')}/send" not in again.text
    for path in (f"{order('adjust')}?call=b", "/tenants/contoso/call?id=b"):
        after = olga.get(path)
        assert "0.2 USD given by hand, by kim: echo on the line" in after.words
        assert f"{order('adjust')}/preview" not in after.text
        assert f"{order('adjust')}?call=b" not in after.text
    listed = olga.get("/tenants/contoso/usage")
    assert ("money given by hand" in listed.words, "orders/adjust?call=b" in listed.text) == (True, False)


@pytest.mark.parametrize(
    ("kind", "query", "typed", "wrong"),
    [
        ("add-funds", "", {"amount": "49"}, "Amount: expected a whole amount of at least 50"),
        ("add-funds", "", {"amount": "60.5"}, "Amount: expected a whole amount of at least 50"),
        ("add-funds", "", {"amount": ""}, "Amount: it must not be empty"),
        ("adjust", "", {"amount": "1", "reason": " "}, "Reason: it must not be empty"),
        ("adjust", "", {"amount": "0", "reason": "x"}, "expected an amount that is not zero"),
        ("adjust", "", {"amount": "1,500", "reason": "x"}, "expected a decimal amount such as 74.948"),
        ("adjust", "", {"amount": "1 EUR", "reason": "x"}, "expected a decimal amount such as 74.948, got '1 EUR'"),
        ("adjust", "", {"amount": "10000000000000", "reason": "x"}, "got '10000000000000'"),
        ("add-funds", "", {"amount": "10000000000000"}, "Amount: expected an amount up to"),
        ("adjust", "?call=a", {"amount": "0.11", "reason": "x"}, "at most 0.1, what the call cost"),
        ("adjust", "", {"amount": "1", "reason": "x" * 257}, "256"),
        ("refund", "", {"lot": "none", "amount": "1", "reason": "x"}, "refused"),
        (
            "recharge-settings",
            "",
            {"trigger": "50", "amount": "9"},
            "Amount: expected a whole amount of at least 50",
        ),
    ],
    ids=[
        "small",
        "not-whole",
        "no-amount",
        "no-reason",
        "zero",
        "comma",
        "another-currency",
        "huge",
        "huge-purchase",
        "more-than-the-call",
        "long",
        "no-lot",
        "recharge",
    ],
)
def test_what_cannot_be_meant_is_not_sent(
    opened: Open, kind: str, query: str, typed: dict[str, str], wrong: str
) -> None:
    """The form or the preview says what was expected, and there is no button to send it."""
    shown = previewed(opened.visitor("kim"), kind, query, **typed)
    assert wrong in shown.words
    assert f"{order(kind)}/send" not in shown.text


def test_a_viewer_may_look_and_not_order(opened: Open) -> None:
    """403 for each step; no screen shows a way to it."""
    val = opened.visitor("val")
    assert "/orders/" not in val.get("/tenants/contoso/credits").text
    key = val.get("/tenants/contoso/credits").form("/sign-out")
    assert val.get(order("add-funds")).status == 403
    for step in ("preview", "send"):
        assert val.post(f"{order('add-funds')}/{step}", key).status == 403


def test_what_another_saw_cannot_be_sent(opened: Open) -> None:
    """A preview counts for its person, its tenant and its kind; what was changed in it counts for nothing."""
    kim, olga, before = opened.visitor("kim"), opened.visitor("olga"), balance(opened)
    shown = previewed(kim, "add-funds", amount="80").form(f"{order('add-funds')}/send")
    own_key = olga.get("/tenants/contoso/credits").form("/sign-out")["form_key"]
    assert olga.post(f"{order('add-funds')}/send", shown | {"form_key": own_key}).status == 403
    assert kim.post(f"{order('refund')}/send", shown).status == 403
    assert kim.post(f"{order('add-funds')}/send", shown | {"order": shown["order"][:-4] + "AAAA"}).status == 403
    assert kim.post(f"{order('add-funds')}/send", shown | {"form_key": "x"}).status == 403
    assert balance(opened) == before


def test_nothing_changes_by_get(opened: Open) -> None:
    """The steps that preview and send are not there by GET."""
    kim = opened.visitor("kim")
    assert [kim.get(f"{order('add-funds')}/{step}").status for step in ("preview", "send")] == [404, 404]


def test_each_order_is_written_down(opened: Open) -> None:
    """Who, as what, by what, from where, and the command; also that it was sent a second time."""
    kim = opened.visitor("kim")
    shown = previewed(kim, "adjust", amount="-1", reason="audited")
    assert sent(kim, "adjust", shown).status == 200
    reader = open_reader(opened.server.store)
    rows = reader.connection.execute('SELECT tenant, key, value FROM "admin-audit" ORDER BY offset DESC LIMIT 1')
    ((tenant, key, value),) = rows.fetchall()
    reader.close()
    audit = msgspec.json.decode(value, type=AdminAudit)
    assert (audit.tenant, audit.person, audit.role, audit.by) == (tenant, "kim", "billing", "token")
    assert audit.remote == "127.0.0.1"
    command = msgspec.json.decode(audit.command)
    assert (command["command"], command["id"], command["reason"]) == ("funds_adjusted", key, "audited")


def test_switching_auto_recharge_off_is_shown_and_stays_off_when_something_is_changed(opened: Open) -> None:
    """The preview has what is set beside what will be; "Change it" brings back the form as it was typed."""
    kim = opened.visitor("kim")
    on = previewed(kim, "recharge-settings", enabled="1", trigger="70", amount="60")
    assert sent(kim, "recharge-settings", on).status == 200
    shown = previewed(kim, "recharge-settings", enabled="", trigger="77", amount="60")
    assert "Auto-recharge on → off" in shown.words
    assert "Trigger 70 USD → 77 USD" in shown.words
    assert "Amount 60 USD Balance now" in shown.words
    link = re.search(r'href="([^"]*/orders/recharge-settings\?[^"]*)"', shown.text)
    assert link is not None
    form = kim.get(html.unescape(link[1])).text
    assert 'value="77"' in form
    assert 'type="checkbox" value="1">' in form


def test_a_setting_that_somebody_else_changed_meanwhile_is_not_overwritten(opened: Open) -> None:
    """Kim looks, olga changes it, kim sends: refused, and olga's stands; kim's own second press is no such thing."""
    kim, olga = opened.visitor("kim"), opened.visitor("olga")
    shown = previewed(kim, "recharge-settings", enabled="1", trigger="55", amount="100")
    other = previewed(olga, "recharge-settings", enabled="1", trigger="71", amount="300")
    assert sent(olga, "recharge-settings", other).status == 200
    assert "Nothing was changed a second time" in sent(olga, "recharge-settings", other).words
    refused = sent(kim, "recharge-settings", shown)
    assert (refused.status, "Somebody changed this after you looked at it" in refused.words) == (409, True)
    assert 'value="71"' in kim.get(order("recharge-settings")).text


def test_what_follows_from_an_adjustment_is_shown(opened: Open) -> None:
    """More than there is is taken off: calls on credit are refused, and a payment is asked for where that is set."""
    kim = opened.visitor("kim")
    assert (
        sent(kim, "recharge-settings", previewed(kim, "recharge-settings", trigger="50", amount="60")).status == 200
    )
    shown = previewed(kim, "adjust", amount="-100000", reason="x")
    assert "Calls that cost credit are refused from then on" in shown.words


@pytest.mark.parametrize("typed", ["60 USD", "60 usd", "60,00", "60.00"])
def test_amounts_are_read_as_people_write_them(opened: Open, typed: str) -> None:
    """With the currency behind, and with a comma before cents."""
    assert "Balance after it" in previewed(opened.visitor("kim"), "add-funds", amount=typed).words


def test_a_record_that_is_not_held_cannot_be_let_through(opened: Open) -> None:
    """That has nothing to do with the role, and the page says so."""
    record = {"tenant": "contoso", "usage_id": "odd", "type": "user_out", "called": "+442071234567"}
    letter = opened.server.switch().send(record).body["results"][0]["dead_letter"]
    shown = opened.visitor("kim").get(f"{order('accept')}?letter={letter}")
    assert (shown.status, "This cannot be done with the record" in shown.words) == (403, True)
