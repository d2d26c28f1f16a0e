"""Reading over HTTP: a tenant's figures, who may read them, and what is asked of them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rater.core import BrakeConfigured, BrakeReleased, FundsAdded, LicenseAssigned, TenantConfigured
from tests.commands import rater
from tests.serve.world import NOON, Answer, Serving, Switch, call, clients_file, setting_up
from tests.waiting import until

CLIENTS: dict[str, dict[str, Any]] = {
    "switch": {"may": ["cdrs", "commands"]},
    "operator": {"may": ["read"], "role": "operator", "reads_per_s": 1000},
    "clerk": {"may": ["read"], "role": "billing", "tenant": "contoso", "reads_per_s": 1000},
    "slow": {"may": ["read"], "role": "viewer", "tenant": "contoso", "reads_per_s": 1},
}


def two_tenants() -> list[Any]:
    """contoso with 100 USD, and fabrikam with 5."""
    at = NOON - timedelta(days=1)
    return [
        *setting_up(),
        TenantConfigured(tenant="fabrikam", id="f", at=at, currency="USD", credits="enabled"),
        FundsAdded(tenant="fabrikam", id="f5", at=at, amount="5"),
    ]


class Asked:
    """A server with three calls of contoso: 2, 2 and 5 minutes to London at 0.05, one of them corrected to 4."""

    def __init__(self, server: Serving) -> None:
        self.server = server
        switch = server.switch("switch")
        sent = [
            switch.send(call("a"), call("b", 120)),
            switch.send(call("c", 300)),
            switch.send(call("b", 240, version=2)),
            switch.send(call("wrong", duration_s=-5, called="+442079460000")),
        ]
        assert [one.status for one in sent] == [200] * 4
        self.clerk, self.operator = server.switch("clerk"), server.switch("operator")

    def read(self, path: str, client: Switch | None = None, if_none_match: str = "") -> Answer:
        """What is below contoso."""
        return (client or self.clerk).ask(f"/v1/tenants/contoso{path}", If_None_Match=if_none_match)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder = tmp_path_factory.mktemp("reading")
    with Serving(folder, clients_file(folder, **CLIENTS), commands=two_tenants()) as server:
        yield Asked(server)


def test_calls_newest_first_with_the_replaced_one_marked(asked: Asked) -> None:
    """b was 2 minutes (0.1), and is 4 (0.2) since it was corrected: the older rating does not stand."""
    answer = asked.read("/calls")
    assert answer.status == 200
    rows = [(one["usage_id"], one["version"], one["charge"], one["stands"]) for one in answer.body["calls"]]
    assert rows == [("b", 2, "0.2", True), ("c", 1, "0.25", True), ("b", 1, "0.1", False), ("a", 1, "0.1", True)]
    assert answer.body["next"] is None
    assert answer.body["as_of"].endswith("Z")


def test_pages_by_cursor(asked: Asked) -> None:
    """Four ratings in pages of three: the second has one, and no next."""
    first = asked.read("/calls?limit=3").body
    second = asked.read(f"/calls?limit=3&cursor={first['next']}").body
    assert [len(first["calls"]), len(second["calls"]), second["next"]] == [3, 1, None]
    assert asked.read("/calls?cursor=nonsense").status == 400
    assert asked.read(f"/debits?cursor={first['next']}").status == 400, "a cursor of another page"


def test_tenants_go_on_behind_a_name(asked: Asked) -> None:
    """Two tenants in pages of one; whoever may read one gets no cursor."""
    first = asked.operator.ask("/v1/tenants?limit=1").body
    second = asked.operator.ask(f"/v1/tenants?limit=1&cursor={first['next']}").body
    names = [one["tenant"] for page in (first, second) for one in page["tenants"]]
    assert (names, second["next"]) == (["contoso", "fabrikam"], None)
    assert asked.clerk.ask("/v1/tenants?limit=1").body["next"] is None
    assert asked.clerk.ask(f"/v1/tenants?cursor={first['next']}").body["tenants"] == []


def test_one_tenant_s_token_sees_no_other(asked: Asked) -> None:
    """A known tenant and an unknown one in the same words; for the operator only the unknown one is missing."""
    others = ["fabrikam", "nobody", "contoso%20", "CONTOSO"]
    answers = [asked.clerk.ask(f"/v1/tenants/{name}/calls") for name in others]
    assert {one.status for one in answers} == {404}
    texts = [one.body["detail"].partition(":")[2] for one in answers]
    assert len(set(texts)) == 1
    assert [one["tenant"] for one in asked.clerk.ask("/v1/tenants").body["tenants"]] == ["contoso"]
    assert [one["tenant"] for one in asked.operator.ask("/v1/tenants").body["tenants"]] == ["contoso", "fabrikam"]
    assert asked.operator.ask("/v1/tenants/fabrikam").body["balance"] == "5"
    assert asked.operator.ask("/v1/tenants/nobody").status == 404


def test_who_may_not_read(asked: Asked) -> None:
    """401 without a token, 403 with one that is a switch's."""
    assert asked.clerk.ask("/v1/tenants/contoso/calls", Authorization="").status == 401
    assert asked.read("/calls", asked.server.switch("switch")).status == 403


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("user=ADA", ["b", "c", "b", "a"]),
        ("user=bob", []),
        ("day=2026-03-10", ["b", "c", "b", "a"]),
        ("day=2026-03-11", []),
        ("since=2026-03-10T12:00:00Z&until=2026-03-10T12:00:01%2B00:00", ["b", "c", "b", "a"]),
        ("until=2026-03-10T12:00:00Z", []),
        ("charge=0.10", ["b", "a"]),
        ("charge=0.25&type=user_out", ["c"]),
        ("type=user_in", []),
        ("flag=premium", []),
        ("destination=Nowhere", []),
        ("number=%2B44(0)20%207946&charge=0.25", ["c"]),
        ("number=44207947", []),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_filters(asked: Asked, query: str, found: list[str]) -> None:
    """Each alone and some together."""
    assert [one["usage_id"] for one in asked.read(f"/calls?{query}").body["calls"]] == found


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/calls?day=2026-03-10&since=2026-03-10T12:00:00Z", "day: expected either day, or since and until"),
        ("/calls?since=2026-03-10T12:00:00", "since: input should have timezone info"),
        ("/calls?charge=much", "charge: value error, expected a decimal amount such as 74.948, got 'much'"),
        ("/calls?limit=1001", "limit: input should be less than or equal to 1000"),
        ("/calls?charge=1&charge=2", "charge: expected it once"),
        ("/calls?colour=red", "colour: no such parameter; expected limit, cursor, user, day"),
        ("/spend?by=moon&since=2026-03-01&until=2026-04-01", "by: input should be 'day', 'destination' or 'user'"),
        ("/spend?by=day&since=2026-03-01&until=2026-03-01", "until: expected 1 to 1000 days (SPEND_DAYS_MAX)"),
        (
            "/calls?number=12",
            "number: value error, expected 3 to 20 digits of a telephone number, such as +44 20 79",
        ),
        ("/statement?period=2026-13", "period: string should match pattern"),
    ],
    ids=lambda value: value if value.startswith("/") else "",
)
def test_what_cannot_be_read(asked: Asked, path: str, says: str) -> None:
    """400, and one line that names the parameter."""
    answer = asked.read(path)
    assert answer.status == 400
    assert answer.body["detail"].startswith(says)


def test_a_tenant_as_it_is(asked: Asked) -> None:
    """100 - 0.1 (a) - 0.2 (b) - 0.25 (c) = 99.45 of the one purchase."""
    found = asked.read("").body
    assert (found["balance"], found["currency"], found["debt"], found["service"]) == ("99.45", "USD", "0", "active")
    assert [(lot["lot"], lot["remaining"]) for lot in found["lots"]] == [("funds", "99.45")]
    assert (found["lots_total"], found["recharge"]["state"]) == (1, "off")
    assert found["service_since"] == "2026-03-09T12:00:00Z"


def test_the_balance_at_an_instant(asked: Asked) -> None:
    """Before the purchase nothing, then 100, and 99.45 by now."""
    whens = {"2026-03-09T11:59:59Z": "0", "2026-03-09T12:00:00Z": "100"}
    found = {when: asked.read(f"/balance?at={when}").body["balance"] for when in whens}
    assert found == whens
    now = asked.read("/balance").body
    assert (now["balance"], now["at"]) == ("99.45", now["as_of"])
    assert asked.read(f"/balance?at={now['as_of']}").body == now


def test_sums_by_day_destination_and_user(asked: Asked) -> None:
    """2 + 4 + 5 = 11 minutes of three calls, 0.1 + 0.2 + 0.25 = 0.55; the replaced rating counts nowhere."""
    path = "/spend?since=2026-03-01&until=2026-04-01&by="
    found = {by: asked.read(path + by).body["spend"] for by in ("day", "destination", "user")}
    same = {"calls": 3, "minutes": 11, "charge": "0.55"}
    (destination,) = {one["destination"] for one in asked.read("/calls").body["calls"]}
    assert found == {
        "day": [{"key": "2026-03-10", **same}],
        "destination": [{"key": destination, **same}],
        "user": [{"key": "ada", **same}],
    }


def test_debits_and_funds(asked: Asked) -> None:
    """b was 0.1, which its correction gave back before it took 0.2."""
    debits = [(one["usage_id"], one["kind"], one["amount"]) for one in asked.read("/debits").body["debits"]]
    assert debits == [("b", "call", "0.2"), ("b", "reversal", "-0.1"), ("c", "call", "0.25"), ("b", "call", "0.1"), ("a", "call", "0.1")]  # fmt: skip
    assert [(one["kind"], one["amount"]) for one in asked.read("/funds").body["funds"]] == [("purchase", "100")]
    assert asked.read("/debits?period=2026-02").body["debits"] == []


def test_the_statement_adds_up(asked: Asked) -> None:
    """0 + 100 - 0.65 (international calls) + 0.1 (reversals) = 99.45."""
    found = asked.read("/statement").body
    entries = [(one["name"], one["count"], one["amount"]) for one in found["entries"]]
    assert entries == [("purchases", 1, "100"), ("calls_international", 4, "-0.65"), ("reversals", 1, "0.1")]
    assert (found["opening"], found["closing"], found["unexplained"]) == ("0", "99.45", "0")


def test_an_explanation(asked: Asked) -> None:
    """Each rating of b, the oldest first; 404 for a call that there is not, and for one of another tenant."""
    found = asked.read("/calls/b/explanation").body
    assert [(one["stands"], one["call"]["version"]) for one in found["ratings"]] == [(False, 1), (True, 2)]
    lines = found["ratings"][1]["lines"]
    assert [line for line in lines if "from credit" in line] == ["  4 min from credit: 4 x 0.05 = 0.2 USD, 0.2 from lot funds."]  # fmt: skip
    assert asked.read("/calls/nowhere/explanation").status == 404
    assert asked.operator.ask("/v1/tenants/fabrikam/calls/b/explanation").status == 404


def test_refused_records_are_masked(asked: Asked) -> None:
    """The reason is there, and of the number only its country code and its last two digits."""
    (one,) = asked.read("/refused").body["refused"]
    assert (one["reason"], one["state"], one["usage_id"]) == ("negative_duration", "waiting", "wrong")
    assert "+442079460000" not in one["raw"]
    assert "+44********00" in one["raw"]


def test_pools(asked: Asked) -> None:
    """ada has none."""
    assert asked.read("/pools?period=2026-03").body["pools"] == []


def test_pools_of_every_month(tmp_path: Path) -> None:
    """bob's two minutes are listed without a month, too, and not for another one."""
    at = NOON - timedelta(days=1)
    bob = LicenseAssigned(tenant="contoso", id="bob", at=at, user="bob", sku="MCOPSTN1", country="US")
    with Serving(tmp_path, clients_file(tmp_path, **CLIENTS), commands=[*two_tenants(), bob]) as server:
        clerk = server.switch("clerk")
        server.switch("switch").send(call("a", called="+14255550111", user="bob"))
        found = {
            query: [one["used"] for one in clerk.ask(f"/v1/tenants/contoso/pools{query}").body["pools"]]
            for query in ("", "?period=2026-03", "?period=2026-04", "?limit=1")
        }
    assert found == {"": [2], "?period=2026-03": [2], "?period=2026-04": [], "?limit=1": [2]}


def test_a_client_that_asks_too_often(asked: Asked) -> None:
    """One a second: who asks again and again is refused, and waits a second."""
    slow = asked.server.switch("slow")

    def refused() -> Answer | None:
        answer = asked.read("", slow)
        return None if answer.status == 200 else answer

    assert refused() is None
    answer = until(refused, "an answer within a second of the one before")
    assert answer.status == 429
    assert answer.headers["Retry-After"] == "1"
    assert answer.body["title"] == "More than the client may send or ask in a second"
    assert "reads_per_s" in answer.body["detail"]


def limited() -> list[Any]:
    """contoso: 0.05 a day for each user only counts, two calls at once; people are notified below 99.5 and 10."""
    at = NOON - timedelta(hours=1)
    given: dict[str, Any] = {"tenant": "contoso", "at": at, "window": "day"}
    return [
        *two_tenants(),
        BrakeConfigured(id="a", brake="daily", scope="user", measure="spend", limit="0.05", mode="shadow", **given),
        BrakeConfigured(
            id="b", brake="lines", scope="tenant", measure="calls_at_once", limit="2", mode="stop", **given
        ),
        TenantConfigured(tenant="contoso", id="alerts", at=at, balance_alerts=("10", "99.5")),
    ]


def test_countries_that_are_not_new_any_more(tmp_path: Path) -> None:
    """France was allowed to ada; the country of her first call of today is new until tomorrow."""
    at = NOON - timedelta(hours=1)
    abroad = BrakeConfigured(
        tenant="contoso", id="a", at=at, brake="abroad", scope="user", measure="new_countries", window="day",
        limit="5", mode="shadow",
    )  # fmt: skip
    allowed = BrakeReleased(tenant="contoso", id="r", at=at, brake="abroad", subject="ada", country="FR")
    with Serving(tmp_path, clients_file(tmp_path, **CLIENTS), commands=[*two_tenants(), abroad, allowed]) as server:
        sent = server.switch("switch").send(call("a", 2) | {"answered_at": datetime.now(UTC).isoformat()})
        assert sent.body["accepted"] == 1
        found = server.switch("clerk").ask("/v1/tenants/contoso/brakes").body
    assert found["known"] == [{"brake": "abroad", "subject": "ada", "countries": ["FR"]}]
    assert [one["country"] for one in found["windows"] if one["counted"] != "0"] == ["GB"]


def test_brakes_and_what_they_counted(tmp_path: Path) -> None:
    """Two calls of ada of today cost 0.05 each: the first reaches the limit of the day, the second began after that."""
    with Serving(tmp_path, clients_file(tmp_path, **CLIENTS), commands=limited()) as server:
        day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        began = {"a": day, "b": day + timedelta(seconds=10)}
        calls = [call(id, 2) | {"answered_at": at.isoformat()} for id, at in began.items()]
        sent = server.switch("switch").send(*calls)
        assert sent.body["accepted"] == 2
        found = server.switch("clerk").ask("/v1/tenants/contoso/brakes?limit=1")
        others = {
            server.switch(name).ask(f"/v1/tenants/{tenant}/brakes").status
            for name, tenant in (("clerk", "fabrikam"), ("clerk", "nobody"), ("operator", "nobody"))
        }
        empty = server.switch("operator").ask("/v1/tenants/fabrikam/brakes").body
        printed = json.loads(rater("show", "brakes", "contoso", "--store", str(server.store), "--json").stdout)
    assert "ETag" in found.headers
    (window,) = found.body["windows"]
    times = [datetime.fromisoformat(window.pop(name)) for name in ("since", "until", "reached_at")]
    assert times[:2] == [day, day + timedelta(days=1)]
    assert began["a"] <= times[2] <= began["b"]
    assert window == {
        "brake": "daily", "subject": "ada", "country": None, "counted": "0.1", "released": False, "over_calls": 1,
        "over_charge": "0.05",
    }  # fmt: skip
    assert [tuple(one.values()) for one in found.body["brakes"]] == [
        ("daily", "shadow", "user", "spend", "day", "0.05", None),
        ("lines", "stop", "tenant", "calls_at_once", "now", "2", None),
    ]
    assert (found.body["alerts"], found.body["currency"], found.body["next"]) == (["99.5", "10"], "USD", None)
    assert others == {404}
    assert (empty["brakes"], empty["windows"], empty["alerts"]) == ([], [], [])
    figures = [(one["brake"], one["spent"], one["over_calls"], one["over_money"]) for one in printed]
    assert figures == [("daily", "0.1", 1, "0.05"), ("lines", None, None, None)]
