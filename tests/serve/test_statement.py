"""The statement over HTTP: calls by kind, minutes by pool, sums, late calls; the figures of `rater statement`."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from rater.core import LicenseAssigned
from rater.serve.reading import statement_answers
from tests.commands import rater
from tests.serve.test_openapi import schema
from tests.serve.test_reading import CLIENTS, two_tenants
from tests.serve.world import NOON, Answer, Serving, call, clients_file

UNITED_STATES = "+14255550111"
ARRIVED = {"received_at": NOON.isoformat()}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """In March 2 and 5 minutes to London at 0.05, 2 of bob's plan, and 2 of January that came in March."""
    folder = tmp_path_factory.mktemp("statement")
    at = NOON - timedelta(days=1)
    bob = LicenseAssigned(tenant="contoso", id="bob", at=at, user="bob", sku="MCOPSTN1", country="US")
    with Serving(folder, clients_file(folder, **CLIENTS), commands=[*two_tenants(), bob]) as running:
        sent = running.switch("switch").send(
            call("a") | ARRIVED,
            call("b", 300) | ARRIVED,
            call("plan", called=UNITED_STATES, user="bob") | ARRIVED,
            call("late") | ARRIVED | {"answered_at": "2026-01-30T10:00:00Z"},
        )
        assert sent.body["accepted"] == 4, sent.body
        yield running


def stated(server: Serving, query: str) -> Answer:
    """contoso's statement."""
    return server.switch("clerk").ask(f"/v1/tenants/contoso/statement{query}")


def test_a_month_with_the_sums_of_its_calls(server: Serving) -> None:
    """0 + 100 - 0.45 = 99.55: 2 + 5 + 2 minutes abroad at 0.05; bob's 2 minutes are of his plan's 3,000."""
    found = stated(server, "?period=2026-03").body
    entries = [(one["name"], one["count"], one["amount"]) for one in found["entries"]]
    assert entries == [("purchases", 1, "100"), ("calls_international", 3, "-0.45")]
    assert (found["opening"], found["closing"], found["adds_up"], found["complete"]) == ("0", "99.55", True, True)
    assert (found["since"], found["until"]) == ("2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z")
    assert [tuple(one.values()) for one in found["calls"]] == [
        ("international", 3, 9, 0, "0.45"),
        ("pool", 1, 2, 2, "0"),
    ]
    assert [tuple(one.values()) for one in found["users"]] == [("ada", 3, 9, 0, "0.45"), ("bob", 1, 2, 2, "0")]
    assert [tuple(one.values())[1:] for one in found["destinations"]] == [(3, 9, 0, "0.45"), (1, 2, 2, "0")]
    assert [(one["period"], one["used"], one["total"]) for one in found["pools"]] == [("2026-03", 2, 3000)]


def test_a_late_call_names_its_month(server: Serving) -> None:
    """The call of January stands in March, and in January there is nothing."""
    (late,) = stated(server, "?period=2026-03").body["other_months"]
    assert late == {"period": "2026-01", "late": True, "calls": 1, "amount": "0.1", "given_back": "0"}
    january = stated(server, "?period=2026-01").body
    assert [january[name] for name in ("entries", "calls", "users", "other_months", "closing")] == [
        [],
        [],
        [],
        [],
        "0",
    ]


@pytest.mark.parametrize("period", ["2026-03", "2026-01", None])
def test_it_is_what_the_command_prints(server: Serving, period: str | None) -> None:
    """Field by field; beside them: how many lines each list has, and whether no older records are gone."""
    words, query = (["--period", period], f"?period={period}") if period else ([], "")
    printed = json.loads(
        rater("statement", "contoso", *words, "--format", "json", "--store", str(server.store)).stdout
    )
    found = stated(server, query).body
    assert {name: found[name] for name in printed} == printed
    totals = {f"{name}_total": len(printed[name]) for name in ("users", "destinations", "pools", "days")}
    assert {name: found[name] for name in found if name not in printed} == {**totals, "complete": True}


def test_a_list_that_is_too_long_says_how_many(server: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line of each list: the dearest user, the first day; the entries add up all the same."""
    whole = stated(server, "?period=2026-03").body
    monkeypatch.setattr(statement_answers, "STATEMENT_LINES_MAX", 1)
    cut = stated(server, "?period=2026-03").body
    assert [one["name"] for one in cut["users"]] == ["ada"]
    assert [len(cut[name]) for name in ("users", "destinations", "pools", "days")] == [1, 1, 1, 1]
    assert [cut[f"{name}_total"] for name in ("users", "destinations", "pools", "days")] == [2, 2, 1, 31]
    assert (cut["entries"], cut["calls"], cut["closing"]) == (whole["entries"], whole["calls"], whole["closing"])


def test_it_fits_its_schema(server: Serving) -> None:
    """As the OpenAPI document has it."""
    for query in ("?period=2026-03", ""):
        assert list(schema("StatementAnswer").iter_errors(stated(server, query).body)) == []
