"""Forecasts and recommendations over HTTP: the figures of the commands, made beside the server."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rater.core import Account
from rater.embedded.store import open_reader
from rater.serve.problems import Kind, ProblemError, problem_response
from rater.serve.reading.computing import Computing
from rater.serve.reading.forecasts import Forecasts, Nothing, answered
from rater.serve.reading.likely_answers import ForecastAnswer
from rater.serve.reading.own_processes import OwnProcesses
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
    never = {"p10": None, "p50": None, "p90": None}
    assert (found["first_zero"], found["next_recharge"]) == (never, never)


def test_it_is_what_the_command_prints_and_kept(server: Serving) -> None:
    """Figure by figure; asked again with its ETag it is 304."""
    clerk = server.switch("clerk")
    answer = clerk.ask("/v1/tenants/contoso/forecast?days=14")
    words = ["--days", "14", "--format", "json", "--store", str(server.store)]
    printed = json.loads(rater("forecast", "contoso", *words, cwd=server.store.parent).stdout)
    assert {name: answer.body[name] for name in ("spent", "balances", "pools", "seed", "weeks")} == {
        name: printed[name] for name in ("spent", "balances", "pools", "seed", "weeks")
    }
    assert answer.body["as_of"] == answer.body["now"] == clerk.ask("/v1/tenants/contoso").body["as_of"]
    again = clerk.ask("/v1/tenants/contoso/forecast?days=14", If_None_Match=answer.headers["ETag"])
    assert again.status == 304


def test_the_recommendation_is_what_the_command_prints(server: Serving) -> None:
    """No hour costs more than 0.10, no month more than 3.00: 1 and the least amount, which is 50."""
    found = server.switch("clerk").ask("/v1/tenants/contoso/recommendation").body
    printed = json.loads(rater("recommend", "contoso", "--json", "--store", str(server.store)).stdout)
    assert (found["trigger"], found["amount"], found["confirmed"], found["currency"]) == (1, 50, True, "USD")
    assert found.pop("as_of") == found["now"]
    assert {**found, "now": None} == {**printed, "now": None}


def test_too_little_past_and_who_may_not_read(server: Serving) -> None:
    """fabrikam has no calls: it says so; contoso's clerk sees nothing of fabrikam; 6 days are too few."""
    operator, clerk = server.switch("operator"), server.switch("clerk")
    for page in ("forecast", "recommendation"):
        answer = operator.ask(f"/v1/tenants/fabrikam/{page}")
        assert (answer.status, "expected at least 4 whole weeks of calls" in answer.body["detail"]) == (404, True)
        hidden = clerk.ask(f"/v1/tenants/fabrikam/{page}")
        assert (hidden.status, "no such tenant" in hidden.body["detail"]) == (404, True)
    assert clerk.ask("/v1/tenants/contoso/forecast?days=6").status == 400
    assert clerk.ask("/v1/tenants/contoso/recommendation?days=7").status == 400


def account_of(store: Path, tenant: str) -> Account:
    with closing(open_reader(store)) as reader:
        found = reader.account(tenant)
    assert found is not None
    return found


def test_who_asks_for_the_same_waits_for_one_process(server: Serving) -> None:
    """Twenty at once, more than may wait, get one answer; it is known from then on, until money comes in."""
    account = account_of(server.store, "contoso")

    async def ask() -> list[ForecastAnswer | Nothing]:
        computing = Computing.over(server.store)
        assert computing.forecasts.known_likely(account, 14) is None
        found = await asyncio.gather(*[computing.forecasts.likely(account, 14) for _ in range(20)])
        assert computing.forecasts.known_likely(account, 14) is found[0]
        account.sequences.account_events += 1
        assert computing.forecasts.known_likely(account, 14) is None
        return found

    found = asyncio.run(ask())
    assert isinstance(found[0], ForecastAnswer)
    assert all(one is found[0] for one in found)


def test_what_took_too_long_is_tried_again(server: Serving) -> None:
    """A busy server is no property of the tenant: it says 503 and when to ask again, and nothing of it is kept."""
    account = account_of(server.store, "contoso")

    async def ask() -> None:
        hurried = Forecasts(OwnProcesses(), server.store, within_s=0.01)
        found = await hurried.likely(account, 14)
        assert isinstance(found, Nothing)
        assert (found.for_now, hurried.known_likely(account, 14)) == (True, None)
        with pytest.raises(ProblemError, match="ask again later, or use rater forecast") as wrong:
            answered(found)
        response = problem_response(wrong.value)
        assert (response.status, response.headers["Retry-After"]) == (503, "10")

    asyncio.run(ask())


def test_a_tenant_with_too_many_calls_is_for_the_command(server: Serving) -> None:
    """No process begins; the answer names the limit and what to type."""
    account = account_of(server.store, "contoso")
    account.sequences.rated_calls = 200_001
    found = asyncio.run(Computing.over(server.store).forecasts.advice(account))
    assert isinstance(found, Nothing)
    with pytest.raises(ProblemError) as wrong:
        answered(found)
    assert (wrong.value.kind, wrong.value.retry_after_s) == (Kind.TOO_LARGE, None)
    assert found.detail.startswith(
        "200001 ratings, more than are read here (RATINGS_MAX 200000); use rater recommend"
    )
