"""Calls in progress over a store: may a call start, its events, when it must end, and what time changes."""

import json
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from rater.core import AccountEvent, FundsAdded, LicenseAssigned
from rater.embedded.store import open_reader
from rater.wire.codec import encode_input
from tests.serve.world import PRETENDING, Serving, Switch, call, clients_file, serving, setting_up
from tests.waiting import until
from tests.world import HARARE, LONDON, US

A_MINUTE = timedelta(minutes=1)


def asked(called: str, **more: str) -> str:
    return "/v1/authorize?" + urlencode({"tenant": "contoso", "user": "ada", "called": called, **more})


def event(
    id: str, progress: str = "heartbeat", called: str = HARARE, started: datetime | None = None
) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "tenant": "contoso", "usage_id": id, "type": "user_out", "event": progress, "at": now.isoformat(),
        "started_at": (started or now).isoformat(), "user": "ada", "called": called, "call_id": f"leg-{id}",
    }  # fmt: skip


def test_what_a_call_costs_and_draws_on(tmp_path: Path) -> None:
    """1.00 of credit pays for 20 minutes to London at 0.05; with a plan the pool's minutes come first."""
    commands = [*setting_up("1")]
    plan = LicenseAssigned(
        tenant="contoso", id="plan", at=datetime.now(UTC) - A_MINUTE, user="ada", sku="MCOPSTN5", country="US", since_ever=True
    )  # fmt: skip
    clients = clients_file(tmp_path, switch={}, office={"may": ["commands"]})
    with serving(tmp_path, commands=commands, clients=clients) as (server, switch):
        london = switch.ask(asked(LONDON)).body
        text = switch.ask(asked(LONDON), Accept="text/plain")
        assert server.switch("office").ask("/v1/commands", encode_input(plan)).body["accepted"] == 1
        domestic = switch.ask(asked(US, format="text")).body
        pools = switch.ask(asked(US)).body["pools"]
        emergency = switch.ask(asked("911", format="text")).body
        denied = switch.ask("/v1/authorize?tenant=nobody&user=ada&called=%2B442079460000&format=text").body
        wrong = [switch.ask(asked(" 442079460000")), switch.ask("/v1/authorize?user=ada")]
    price = {"per_minute": "0.05", "connection_fee": "0", "increments": "60/60", "currency": "USD", "destination": london["price"]["destination"]}  # fmt: skip
    assert london == {"allowed": True, "reason": "credit", "seconds": 1_200, "pocket": "credit", "pools": [], "price": price}  # fmt: skip
    assert (text.body, text.headers["Content-Type"]) == ("allow 1200 credit 0.05 0 USD credit\n", "text/plain; charset=utf-8")  # fmt: skip
    # 120 minutes of the pool, then 1.00 / 0.01 = 100 minutes of credit
    assert domestic == "allow 13200 pool 0.01 0 USD pool_then_credit\n"
    assert [one["minutes"] for one in pools] == [120]
    assert emergency == "allow 86400 free - - - emergency\n"
    assert denied == "deny 0 - - - - unknown_tenant\n"
    assert [one.status for one in wrong] == [400, 400]
    assert "write + as %2B" in wrong[0].body["detail"]


def test_what_a_call_of_a_length_costs(tmp_path: Path) -> None:
    """10 minutes to London at 0.05; without a length nothing is computed; a day is the longest."""
    with serving(tmp_path, commands=[*setting_up("1")]) as (_, switch):
        cost = switch.ask(asked(LONDON, length_s="600")).body["cost"]
        without = switch.ask(asked(LONDON)).body
        wrong = switch.ask(asked(LONDON, length_s="86401"))
    assert cost == {
        "seconds": 600,
        "minutes": 10,
        "charge": "0.5",
        "connection_fee": "0",
        "unfunded_charge": "0",
        "currency": "USD",
        "segments": [{"pocket": "credit", "minutes": 10, "charge": "0.5", "pool": None}],
    }
    assert "cost" not in without
    assert wrong.status == 400
    assert "length_s" in wrong.body["detail"]


def test_an_answer_knows_what_was_committed_just_before(tmp_path: Path) -> None:
    """1.00 less 10 minutes to London is 0.50: 10 minutes more."""
    with serving(tmp_path, commands=[*setting_up("1")]) as (_, switch):
        seconds = [switch.ask(asked(LONDON)).body["seconds"]]
        switch.send(call("a", seconds=600))
        seconds.append(switch.ask(asked(LONDON)).body["seconds"])
    assert seconds == [1_200, 600]


def test_a_running_call_is_ended_when_its_credit_is_used(tmp_path: Path) -> None:
    """1.00 carries Harare at 0.2 for 5 minutes: a call that began 4 min 59 s ago is ordered to end within a second or
    two, by the clock alone; the order comes by long poll, and as an event with the same cursor.
    """
    with serving(tmp_path, commands=[*setting_up("1")]) as (_, switch):
        cursor = switch.ask("/v1/call-commands?wait=0").body["next"]
        started = datetime.now(UTC) - timedelta(seconds=299)
        answered = switch.send(event("run", started=started), path="/v1/call-events")
        other = switch.ask(asked(HARARE)).body["reason"]
        polled = switch.ask(f"/v1/call-commands?wait=20&after={cursor}").body
        again = switch.ask(f"/v1/call-commands?wait=0&after={polled['next']}").body
        others = switch.ask(f"/v1/call-commands?wait=0&after={cursor}&tenant=fabrikam").body
        streamed = _first_event(switch, cursor)
    assert answered.body["results"] == [{"result": "accepted", "usage_id": "run"}]
    assert other == "credit_reserved"
    (order,) = polled["orders"]
    assert (order["usage_id"], order["call_id"], order["reason"]) == ("run", "leg-run", "credit_used_up")
    assert order["authorized_s"] == 300
    assert (again["orders"], others["orders"]) == ([], [])
    assert streamed == [f"id: {polled['next']}", "event: disconnect", order]


def test_a_switch_whose_clock_is_ahead(tmp_path: Path) -> None:
    """Its event and its record are of ten minutes from now.  The calls of other switches are running all the same: of
    1.00 its call to London costs 30 minutes x 0.05, so the one to Harare must end.
    """
    with serving(tmp_path, commands=[*setting_up("1")]) as (_, switch):
        later = datetime.now(UTC) + 10 * A_MINUTE
        cursor = switch.ask("/v1/call-commands?wait=0").body["next"]
        switch.send(event("run"), path="/v1/call-events")
        switch.send(event("ahead") | {"at": later.isoformat()}, path="/v1/call-events")
        switch.send(event("run"), path="/v1/call-events")
        switch.send(call("ahead", seconds=30 * 60, answered_at=later.isoformat()))
        polled = switch.ask(f"/v1/call-commands?wait=20&after={cursor}").body
    assert "run" in [order["usage_id"] for order in polled["orders"]]


def _first_event(switch: Switch, cursor: str) -> list[Any]:
    headers = {"Authorization": f"Bearer {switch.token}", "Accept": "text/event-stream", "Last-Event-ID": cursor}
    request = urllib.request.Request(f"{switch.base}/v1/call-commands", headers=headers)
    with urllib.request.urlopen(request, timeout=20) as stream:
        lines = [stream.readline().decode().strip() for _ in range(3)]
    return [lines[0], lines[1], json.loads(lines[2].removeprefix("data: "))]


def test_orders_are_there_after_a_restart(tmp_path: Path) -> None:
    """A cursor of the process before holds; running calls go on to be looked at."""
    clients = clients_file(tmp_path)
    with serving(tmp_path, commands=[*setting_up("1")], clients=clients) as (_, switch):
        switch.send(event("run", started=datetime.now(UTC) - timedelta(seconds=298)), path="/v1/call-events")
    with serving(tmp_path, commands=[], clients=clients) as (_, switch):
        polled = switch.ask("/v1/call-commands?wait=20&after=").body
    with serving(tmp_path, commands=[], clients=clients) as (_, switch):
        known = switch.ask("/v1/call-commands?wait=0&after=").body
        news = switch.ask(f"/v1/call-commands?wait=0&after={polled['next']}").body
    assert [one["usage_id"] for one in polled["orders"]] == ["run"]
    assert (known, news["orders"]) == (polled, [])


@pytest.mark.parametrize("body", [{"event": "no event"}, call("a")])
def test_what_is_no_event_is_refused(body: dict[str, Any], tmp_path: Path) -> None:
    """It is a dead letter, and the events beside it count."""
    with serving(tmp_path) as (_, switch):
        answer = switch.send(body, event("run"), path="/v1/call-events")
        running = switch.ask("/metrics").body
    assert [one["result"] for one in answer.body["results"]] == ["refused", "accepted"]
    assert answer.body["results"][0]["dead_letter"]
    assert "rater_running_calls 1.0" in running


def test_recharges_are_collected_beside_the_records(tmp_path: Path) -> None:
    """Of 10, 5.05 goes to a call of 101 minutes; 4.95 is below 5, so 50 is asked for, paid and credited."""
    commands = [*setting_up("10", recharge=("5", "50"))]
    with serving(tmp_path, commands=commands, gateway=PRETENDING) as (server, switch):
        switch.send(call("a", seconds=101 * 60))
        until(lambda: _balance(server) == "54.95", "the recharge")
        noted = {one.event.value for one in server.noted}
    assert {"recharge.requested", "recharge.succeeded"} <= noted


def test_a_request_of_the_process_before_is_collected(tmp_path: Path) -> None:
    """It was committed and not asked for: the next process asks."""
    clients = clients_file(tmp_path)
    with serving(tmp_path, commands=[*setting_up("10", recharge=("5", "50"))], clients=clients) as (server, switch):
        switch.send(call("a", seconds=101 * 60))
        before = _balance(server)
    with serving(tmp_path, commands=[], clients=clients, gateway=PRETENDING) as (server, _):
        until(lambda: _balance(server) == "54.95", "the recharge")
    assert before == "4.95"


def test_money_expires_by_the_clock(tmp_path: Path) -> None:
    """10 that were bought a year and a day ago are forfeited when the server opens, without any record."""
    bought = FundsAdded(tenant="contoso", id="old", at=datetime.now(UTC) - timedelta(days=367), amount="10")
    setup, *_ = setting_up()
    early = msgspec.structs.replace(setup, at=bought.at)
    with serving(tmp_path, commands=[early, bought]) as (server, _):
        until(lambda: _events(server, "funds.expired"), "money to expire")
        assert _balance(server) == "0"


def _events(server: Serving, kind: str) -> list[AccountEvent]:
    reader = open_reader(server.store)
    try:
        found = [msgspec.json.decode(value, type=AccountEvent) for _, value in reader.topic("account-events")]
    finally:
        reader.close()
    return [one for one in found if one.event.value == kind]


def _balance(server: Serving) -> str:
    reader = open_reader(server.store)
    try:
        *_, (_, value) = reader.topic("balances")
        return str(msgspec.json.decode(value)["balance"])
    finally:
        reader.close()
