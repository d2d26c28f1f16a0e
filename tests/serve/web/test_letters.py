"""Refused records on the page: given again, let through, or dropped; each once, and written down."""

import json
from typing import Any

import msgspec
import pytest

from rater.core import RejectedCdr
from rater.embedded.dead_letters import letters_of
from rater.embedded.store import open_reader
from rater.serve.web.people import Role
from rater.serve.web.screens.refused import ways_of
from rater.wire.dead_letters import DlqAudit, Letter
from tests.serve.web.conftest import BEGAN, HOSTILE, Open
from tests.serve.web.test_orders import balance, order, previewed, sent
from tests.serve.world import call

#: A call of 13 hours: more than 43,200 s, so it is held (A44).
HELD_S = 46_800


def refused(opened: Open, record: dict[str, Any]) -> str:
    """The id of the letter of a record that is sent and refused."""
    (result,) = opened.server.switch().send(record).body["results"]
    assert result["result"] == "refused"
    return str(result["dead_letter"])


def wrong_record(id: str, tenant: str = "contoso", **more: Any) -> dict[str, Any]:
    """A call to a text that is no number."""
    return call(id, called="nobody") | {"tenant": tenant, "answered_at": BEGAN.isoformat()} | more


def done_with(opened: Open, letter: str) -> list[DlqAudit]:
    """What people did with a letter."""
    reader = open_reader(opened.server.store)
    audits = [audit for audit in reader.audits() if audit.id == letter]
    reader.close()
    return audits


def test_a_held_call_is_let_through_once(opened: Open) -> None:
    """13 hours to London are 780 x 0.05 = 39 USD: shown before, paid once, noted with the name of who did it."""
    kim, before = opened.visitor("kim"), balance(opened)
    held = call("held", seconds=HELD_S) | {"answered_at": (BEGAN.replace(hour=0)).isoformat()}
    letter = refused(opened, held)
    assert f"orders/accept?letter={letter}" in kim.get("/tenants/contoso/refused").text
    shown = previewed(kim, "accept", f"?letter={letter}")
    assert "Balance after it" in shown.words
    assert "call.accepted" in shown.words
    assert balance(opened) == before
    assert "Done." in sent(kim, "accept", shown).words
    assert balance(opened) == before - 39_000_000
    assert "Nothing was changed a second time" in sent(kim, "accept", shown).words
    (audit,) = done_with(opened, letter)
    assert (audit.action.value, audit.by, audit.accepted) == ("replayed", "kim", True)
    assert f"letter={letter}" not in kim.get("/tenants/contoso/refused").text


def test_a_record_is_given_again_when_what_it_lacked_is_there(opened: Open) -> None:
    """A call of a tenant that is not there is replayed once the tenant was set up; before, the preview says why not."""
    olga = opened.visitor("olga")
    tenant = "northwind"
    letter = refused(opened, call("n1") | {"tenant": tenant, "answered_at": BEGAN.isoformat()})
    configured = {"command": "tenant_configured", "tenant": tenant, "id": "setup", "at": BEGAN.isoformat(), "currency": "USD"}  # fmt: skip
    assert (
        opened.server.switch("office").ask("/v1/commands", json.dumps([configured]).encode()).body["accepted"] == 1
    )
    path = order("replay", tenant)
    form = olga.get(f"{path}?letter={letter}").form(f"{path}/preview")
    shown = olga.post(f"{path}/preview", form)
    assert "refused" not in shown.words.split("The command")[0].replace("Refused", "")
    assert olga.post(f"{path}/send", shown.form(f"{path}/send")).path.endswith("/refused?order=accepted")
    assert [audit.accepted for audit in done_with(opened, letter)] == [True]


def test_a_record_that_would_be_refused_again_is_dropped_with_a_note(opened: Open) -> None:
    """The preview of a replay says why; a drop needs a note, which stands with the letter."""
    kim = opened.visitor("kim")
    letter = refused(opened, wrong_record("dropped"))
    again = previewed(kim, "replay", f"?letter={letter}")
    assert "It would be refused." in again.words
    assert f"{order('replay')}/send" not in again.text
    assert "Note: it must not be empty" in previewed(kim, "drop", f"?letter={letter}").words
    note = "a test of the new switch <b>\u202e"
    shown = previewed(kim, "drop", f"?letter={letter}", note=note)
    assert sent(kim, "drop", shown).path.endswith("/refused?order=accepted")
    assert sent(kim, "drop", shown).path.endswith("/refused?order=duplicate")
    assert [(audit.by, audit.note) for audit in done_with(opened, letter)] == [("kim", note)]
    page = kim.get("/tenants/contoso/refused")
    assert "a test of the new switch <b>\\u202e" in page.words
    assert "\u202e" not in page.text


@pytest.mark.parametrize("way", ["replay", "accept", "drop"])
def test_a_letter_of_another_tenant_is_not_found(opened: Open, way: str) -> None:
    """Its id, part of it, and one that nobody has: the same 404 on every path, and nothing is done."""
    kim = opened.visitor("kim")
    letter = refused(opened, wrong_record(f"other-{way}", tenant="fabrikam"))
    pages = [kim.get(f"{order(way)}?letter={id}") for id in (letter, letter[:12], "0" * 32, "")]
    pages += [kim.get(f"{order(way, 'fabrikam')}?letter={letter}")]
    assert {page.status for page in pages} == {404}
    assert len({page.words for page in pages}) == 1
    assert done_with(opened, letter) == []


def test_a_viewer_sees_letters_and_does_nothing_with_them(opened: Open) -> None:
    """403, and no button."""
    letter = refused(opened, wrong_record("viewed"))
    val = opened.visitor("val")
    page = val.get("/tenants/contoso/refused")
    assert letter in page.text
    assert "/orders/" not in page.text
    assert "orders/drop" not in page.text
    assert val.get(f"{order('drop')}?letter={letter}").status == 403


def test_a_command_is_given_again_by_an_operator_alone(opened: Open) -> None:
    """Who may order money must not send whatever command waits.  One that came by HTTP, where commands alone come in,
    says so (A48); what does not is given again by nobody."""
    command = {"command": "tenant_closed", "tenant": "contoso", "id": "x" * 4, "at": "not a time"}
    (result,) = opened.server.switch("office").ask("/v1/commands", json.dumps([command]).encode()).body["results"]
    forms = {
        (name, way): opened.visitor(name).get(f"{order(way)}?letter={result['dead_letter']}").status
        for name in ("kim", "olga")
        for way in ("replay", "drop")
    }
    assert forms == {("kim", "replay"): 403, ("olga", "replay"): 200, ("kim", "drop"): 200, ("olga", "drop"): 200}
    reader = open_reader(opened.server.store)
    (found,) = [one for one in letters_of(reader) if one.letter.id == result["dead_letter"]]
    reader.close()
    assert found.letter.format == "commands"
    unproven = Letter(msgspec.structs.replace(found.letter, format=msgspec.UNSET))
    assert ways_of(unproven, Role.OPERATOR) == ["drop"]


def test_a_command_that_came_too_early_is_given_again(opened: Open) -> None:
    """Funds of a tenant that was not there are refused; when it is, an operator gives them again, once."""
    tenant, at = "early", BEGAN.isoformat()
    funds = {"command": "funds_added", "tenant": tenant, "id": "funds", "at": at, "amount": "60"}
    setup = {"command": "tenant_configured", "tenant": tenant, "id": "setup", "at": at, "currency": "USD"}
    office = opened.server.switch("office")
    (result,) = office.ask("/v1/commands", json.dumps([funds]).encode()).body["results"]
    assert result["result"] == "refused"
    office.ask("/v1/commands", json.dumps([setup]).encode())
    olga, letter = opened.visitor("olga"), result["dead_letter"]
    path = order("replay", tenant)
    form = olga.get(f"{path}?letter={letter}").form(f"{path}/preview")
    shown = olga.post(f"{path}/preview", form)
    assert "Balance after it 60.00 USD" in shown.words
    olga.post(f"{path}/send", shown.form(f"{path}/send"))
    assert "60.00 USD" in olga.get(f"/tenants/{tenant}/credits").words


def test_a_hostile_record_is_shown_as_text(opened: Open) -> None:
    """In the list, on the form and on the preview."""
    letter = refused(opened, wrong_record(HOSTILE[:100], user=HOSTILE[:100]))
    olga = opened.visitor("olga")
    pages = [olga.get("/tenants/contoso/refused"), olga.get(f"{order('drop')}?letter={letter}")]
    pages.append(previewed(olga, "replay", f"?letter={letter}"))
    for page in pages:
        assert page.status == 200
        assert "<script>alert" not in page.text
        assert "\u202e" not in page.text


def test_an_order_about_a_letter_is_written_down(opened: Open) -> None:
    """Who, what and which letter stand in the table of orders, too."""
    kim = opened.visitor("kim")
    letter = refused(opened, wrong_record("audited"))
    sent(kim, "drop", previewed(kim, "drop", f"?letter={letter}", note="why"))
    reader = open_reader(opened.server.store)
    (value,) = reader.connection.execute('SELECT value FROM "admin-audit" ORDER BY offset DESC LIMIT 1').fetchone()
    letters = [msgspec.json.decode(raw, type=RejectedCdr).id for _, raw in reader.topic("rejected-cdrs")]
    reader.close()
    audit = msgspec.json.decode(value)
    assert audit["command"] == {"dead_letter": letter, "way": "drop", "note": "why"}
    assert (audit["person"], letter in letters) == ("kim", True)
