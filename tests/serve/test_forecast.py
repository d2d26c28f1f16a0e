"""Forecasts over HTTP: the figures of `rater forecast`, made beside the server."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.commands import rater
from tests.serve.test_reading import CLIENTS, two_tenants
from tests.serve.world import NOON, Serving, call, clients_file


def daily(days: int) -> list[dict[str, Any]]:
    """Each day before NOON two minutes to London, 0.10."""
    return [call(f"day-{day}", answered_at=(NOON - timedelta(days=day)).isoformat()) for day in range(1, days + 1)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("forecasts")
    with Serving(folder, clients_file(folder, **CLIENTS), commands=two_tenants()) as running:
        assert running.switch("switch").send(*reversed(daily(35))).status == 200
        yield running


def test_days_that_are_all_alike_have_no_band(server: Serving) -> None:
    """100 USD less 35 days at 0.10 are 96.50; 30 days more cost 3.00, and nothing is used up."""
    answer = server.switch("clerk").ask("/v1/tenants/contoso/forecast?days=30")
    assert answer.status == 200, answer.body
    found = answer.body
    assert (found["balance"], found["days"], found["runs"], len(found["balances"])) == ("96.5", 30, 50, 30)
    assert found["spent"][29] == {"p10": "3", "p50": "3", "p90": "3"}
    assert found["balances"][29] == {"p10": "93.5", "p50": "93.5", "p90": "93.5"}
    assert found["first_zero"] == {"p10": None, "p50": None, "p90": None}


def test_it_is_what_the_command_prints_and_kept(server: Serving) -> None:
    """Figure by figure; asked again with its ETag it is 304."""
    clerk = server.switch("clerk")
    answer = clerk.ask("/v1/tenants/contoso/forecast?days=14")
    words = ["--days", "14", "--format", "json", "--store", str(server.store)]
    printed = json.loads(rater("forecast", "contoso", *words, cwd=server.store.parent).stdout)
    assert {name: answer.body[name] for name in ("spent", "balances", "pools", "seed", "weeks")} == {
        name: printed[name] for name in ("spent", "balances", "pools", "seed", "weeks")
    }
    again = clerk.ask("/v1/tenants/contoso/forecast?days=14", If_None_Match=answer.headers["ETag"])
    assert again.status == 304


def test_too_little_past_and_who_may_not_read(server: Serving) -> None:
    """fabrikam has no calls: it says so; contoso's clerk sees nothing of fabrikam; 6 days are too few."""
    answer = server.switch("operator").ask("/v1/tenants/fabrikam/forecast")
    assert (answer.status, "expected at least 4 whole weeks of calls" in answer.body["detail"]) == (404, True)
    hidden = server.switch("clerk").ask("/v1/tenants/fabrikam/forecast")
    assert (hidden.status, "no such tenant" in hidden.body["detail"]) == (404, True)
    assert server.switch("clerk").ask("/v1/tenants/contoso/forecast?days=6").status == 400
