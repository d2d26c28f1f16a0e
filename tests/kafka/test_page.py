"""The page over Kafka: it reads the replica, orders are commands, and what the rating task makes of them is shown."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from rater.core import FundsAdded, PaymentFailed, TenantClosed
from rater.files.deck_csv import read_deck
from rater.wire.admin_audit import AdminAudit
from rater.wire.codec import encode_input
from tests.kafka.deployment import Deployment, until
from tests.kafka.test_calls import setting_up
from tests.kafka.test_replica import wait_until_read
from tests.kafka.test_serve import record, server
from tests.serve.web.browsing import needs_chromium
from tests.serve.web.test_compare import twice
from tests.serve.web.tour import Tour, pages_of, walk_apart
from tests.serve.web.world import Admitted, Shown, Visitor, admitted
from tests.serve.world import clients_file
from tests.world import DECK


class Opened:
    """`rater serve --bootstrap ... --replica ... --people ...`, whose visitors are signed in."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self.deployment = deployment
        self.people: Admitted = admitted(folder)
        self.serving = server(
            deployment,
            folder,
            clients_file(folder, switch={"tenant": "contoso"}),
            f"--replica={folder / 'replica.db'}",
            f"--people={self.people.file}",
            f"--page-key={folder / 'page.key'}",
        )
        self.serving.start()
        self.serving.wait_until_ready()

    def visitor(self, name: str) -> Visitor:
        """Somebody who is signed in."""
        visitor = Visitor(f"http://127.0.0.1:{self.serving.port}")
        assert visitor.sign_in(self.people.tokens[name]).status == 200
        return visitor


@pytest.fixture
def opened(deployment: Deployment, tmp_path: Path) -> Iterator[Opened]:
    """contoso with 1.00, a worker, a server with a page."""
    deck = read_deck(DECK, version="deck-1")
    deployment.publish([("rate-decks", deck.version, encode_input(deck))])
    commands = list(setting_up(datetime(2026, 3, 1, tzinfo=UTC)))
    deployment.publish([("commands", one.tenant, encode_input(one)) for one in commands])
    deployment.start("worker-0")
    opened = Opened(deployment, tmp_path)
    deployment.wait_until_rated()
    wait_until_read(tmp_path / "replica.db")
    yield opened
    opened.serving.kill()


def path_of(kind: str, step: str = "") -> str:
    return f"/tenants/contoso/orders/{kind}{step}"


def previewed(visitor: Visitor, kind: str, **typed: str) -> Shown:
    form = visitor.get(path_of(kind)).form(path_of(kind, "/preview"))
    return visitor.post(path_of(kind, "/preview"), form | typed)


def sent(visitor: Visitor, kind: str, shown: Shown) -> Shown:
    """What is shown after sending; a page that cannot be read yet is asked for again, as browsers do."""
    after = visitor.post(path_of(kind, "/send"), shown.form(path_of(kind, "/send")))
    if "Refresh" in after.headers:
        until(lambda: visitor.get(after.path).status == 200, "the page to be read")
        return visitor.get(after.path)
    return after


def test_orders_on_kafka(opened: Opened) -> None:
    """1.00 + 60 = 61.00, once however often it is sent; a refused order says why; each is written down before."""
    kim, deployment = opened.visitor("kim"), opened.deployment
    shown = previewed(kim, "add-funds", amount="60", purchase_order="PO-1")
    assert "Balance after it 61.00 USD" in shown.words
    first, again = sent(kim, "add-funds", shown), sent(kim, "add-funds", shown)
    assert ("Done." in first.words, "61.00 USD" in first.words) == (True, True)
    assert "Nothing was changed a second time" in again.words
    commands = [msgspec.json.decode(value) for value in deployment.values("commands")]
    (added,) = [one for one in commands if one["id"].startswith("page-")]
    assert (added["amount"], added["purchase_order"]) == ("60", "PO-1")
    audits = [msgspec.json.decode(value, type=AdminAudit) for value in deployment.values("admin-audit")]
    assert [(one.person, one.id, one.remote) for one in audits] == [("kim", added["id"], "127.0.0.1")] * 2


def test_an_order_that_the_rating_task_refuses(opened: Opened) -> None:
    """Between preview and sending the same money was added under the same id by another way, with another amount."""
    kim, deployment = opened.visitor("kim"), opened.deployment
    shown = previewed(kim, "add-funds", amount="60", purchase_order="PO-1")
    id = msgspec.json.decode(shown.words[shown.words.index("{") : shown.words.rindex("}") + 1])["id"]
    other = FundsAdded(tenant="contoso", id=id, at=datetime.now(UTC), amount="70")
    deployment.publish([("commands", "contoso", encode_input(other))])
    deployment.wait_until_rated()
    assert [sent(kim, "add-funds", shown).status for _ in range(2)] == [409, 409]
    assert "70" in kim.get("/tenants/contoso/credits").words


@pytest.mark.parametrize("closed", [False, True], ids=["applied", "refused"])
def test_the_outcome_of_an_order_that_waits(opened: Opened, closed: bool) -> None:
    """The worker is stopped for a while: the order was sent.  When it goes on, the page shows the outcome; nothing is sent
    a second time.  Where the tenant was closed before, the order is refused, with the reason of its dead letter."""
    kim, deployment, now = opened.visitor("kim"), opened.deployment, datetime.now(UTC)
    shown = previewed(kim, "add-funds", amount="60")
    deployment.workers[0].freeze()
    if closed:
        command = TenantClosed(tenant="contoso", id="close", at=now, remainder="forfeit", reason="left", by="olga")
        deployment.publish([("commands", "contoso", encode_input(command))])
    waiting = sent(kim, "add-funds", shown)
    assert (waiting.status, "It was sent, and is not applied yet." in waiting.words) == (202, True)
    fields = waiting.form(path_of("add-funds", "/look"))
    assert kim.post(path_of("add-funds", "/look"), fields).status == 202
    assert opened.visitor("val").post(path_of("add-funds", "/look"), fields).status == 403
    deployment.workers[0].thaw()
    until(lambda: kim.post(path_of("add-funds", "/look"), fields).status not in (202, 503), "the order's outcome")
    after = kim.post(path_of("add-funds", "/look"), fields)
    if closed:
        assert (after.status, "expected an open tenant" in after.words) == (409, True)
    else:
        assert after.path == "/tenants/contoso/credits?order=accepted"
        assert "61.00 USD" in after.words
    orders = [value for value in deployment.values("commands") if b'"id":"page-' in value]
    assert len(orders) == 1, "looking sends nothing"


def test_an_order_that_is_refused_is_refused_again(opened: Opened) -> None:
    """The tenant is closed between preview and sending: funds are refused each time, and the letter says why."""
    kim, now = opened.visitor("kim"), datetime.now(UTC)
    shown = previewed(kim, "add-funds", amount="60")
    closed = TenantClosed(tenant="contoso", id="close", at=now, remainder="forfeit", reason="left", by="olga")
    opened.deployment.publish([("commands", "contoso", encode_input(closed))])
    opened.deployment.wait_until_rated()
    outcomes = [sent(kim, "add-funds", shown) for _ in range(2)]
    assert [(one.status, "expected an open tenant" in one.words) for one in outcomes] == [(409, True)] * 2


def test_a_declined_card_reaches_a_waiting_page(opened: Opened) -> None:
    """The gateway's answer is a record of `commands`; a page that is open is asked for again, and shows it.

    The balance of 1.00 is below the trigger of 50, so a payment is asked for when recharging is turned on.
    """
    kim, deployment = opened.visitor("kim"), opened.deployment
    shown = previewed(kim, "recharge-settings", enabled="1", trigger="50", amount="100")
    assert "A payment is asked for at once." in shown.words
    assert "asked for" in sent(kim, "recharge-settings", shown).words
    (request,) = [msgspec.json.decode(value) for value in deployment.values("recharges")]
    with kim.events("/tenants/contoso/news") as events:
        assert next(events) == "changed", "the server looks from now on"
        assert "failed" not in kim.get("/tenants/contoso/credits").words
        declined = PaymentFailed(
            tenant="contoso",
            id="declined",
            at=datetime.now(UTC),
            recharge_id=request["id"],
            reason="card_declined",
        )
        deployment.publish([("commands", "contoso", encode_input(declined))])
        assert any("1 failed" in kim.get("/tenants/contoso/credits").words for _ in events)
    assert "1 failed card declined" in kim.get("/tenants/contoso/recharge").words


def test_a_held_call_is_let_through(opened: Opened) -> None:
    """A call of 50,000 s waits for a person (A44); kim lets it through, and it is rated once."""
    kim, deployment = opened.visitor("kim"), opened.deployment
    began = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    opened.serving.switch.send(record("x", duration_s=50_000, answered_at=began))
    deployment.wait_until_rated()
    until(lambda: "orders/accept" in kim.get("/tenants/contoso/refused").text, "the letter on the page")
    (letter,) = re.findall(r"orders/accept[?]letter=(\w+)", kim.get("/tenants/contoso/refused").text)
    form = kim.get(path_of("accept", f"?letter={letter}")).form(path_of("accept", "/preview"))
    shown = kim.post(path_of("accept", "/preview"), form)
    assert "Done." in sent(kim, "accept", shown).words
    deployment.wait_until_rated()
    assert [one["duration_s"] for one in map(msgspec.json.decode, deployment.values("rated-calls"))] == [50_000]
    (audit,) = [msgspec.json.decode(value) for value in deployment.values("dlq-audit")]
    assert (audit["by"], audit["action"], audit["accepted"]) == ("kim", "replayed", True)


def test_what_is_computed_on_kafka(opened: Opened) -> None:
    """A price by what switches are answered; a forecast over the replica; price lists compared over the topics."""
    kim, path, now = opened.visitor("kim"), "/tenants/contoso/compare", datetime.now(UTC)
    opened.serving.switch.send(record("x", answered_at=now.isoformat()))
    opened.deployment.wait_until_rated()
    until(lambda: "Explain call x" in kim.get("/tenants/contoso/usage").text, "the call on the page")
    assert (
        "A call of 10 minutes 0.5 USD"
        in kim.get("/tenants/contoso/price?called=%2B442079460000&user=ada&minutes=10").words
    )
    likely = kim.get("/tenants/contoso/forecast").words
    assert "Nothing can be said: expected at least 4 whole weeks of calls before" in likely
    form = kim.get(path).form(path) | {"period": f"{now:%Y-%m}"}
    shown = kim.upload(path, form, "deck", twice())
    while "Refresh" in shown.headers:
        shown = kim.get(shown.path)
    assert "As it was 0.05 USD As it would have been 0.10 USD Difference + 0.05 USD dearer" in shown.words


@needs_chromium
def test_a_tour_of_the_page(opened: Opened) -> None:
    """As over a store: every screen without an error; 1.00 - 0.05 for a call + 90, paid once by three clicks."""
    kim, token = opened.visitor("kim"), opened.people.tokens["olga"]
    opened.serving.switch.send(record("x"))
    opened.deployment.wait_until_rated()
    until(lambda: "Explain call x" in kim.get("/tenants/contoso/usage").text, "the call on the page")
    tour = Tour(base=kim.base, token=token, tenant="contoso", call="x", amount="90", pictures="kafka")
    seen = walk_apart(tour)
    assert seen.wrong == []
    assert seen.pages == pages_of("contoso")
    assert "Charge\n0.05 USD" in seen.explained
    assert seen.balances == ["0.95 USD", "90.95 USD", "90.95 USD", "90.95 USD"]
    assert opened.deployment.verify().findings == []
