"""The routes of the read API: who asks, what for, and the answer with its ETag.

Who reads one tenant's figures gets the same answer for every other tenant, known or not, and no store is asked.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from hashlib import blake2b
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from aiohttp import web
from pydantic import BaseModel

from rater.core import Account
from rater.serve.access import Access
from rater.serve.clients import Client
from rater.serve.queries import parameters_of
from rater.serve.rates import Rates
from rater.serve.reading import answers, asked, questions
from rater.serve.reading.brake_answers import Brakes
from rater.serve.reading.computing import Computing
from rater.serve.reading.desks import Books, Desks
from rater.serve.reading.forecasts import answered
from rater.serve.reading.likely_answers import AdviceAnswer, ForecastAnswer
from rater.serve.reading.statement_answers import StatementAnswer

TENANTS = "/v1/tenants"
TENANT = f"{TENANTS}/{{tenant}}"
_Question = Callable[[Books, Account, Any], msgspec.Struct]


class Page(NamedTuple):
    """A page below a tenant: its path, its name in the OpenAPI document, its parameters and its answer."""

    path: str
    id: str
    summary: str
    asked: type[BaseModel]
    answer: type[msgspec.Struct]
    question: _Question


def _tenant(books: Books, account: Account, _: asked.NothingAsked) -> answers.TenantNow:
    return questions.tenant(books, account)


#: Every page of one tenant; beside them: the explanation of a call, whose path names the call, and what is likely,
#: which a process of its own computes.
PAGES = (
    Page(
        TENANT,
        "readTenant",
        "Balance, lots, debt, recharge, service state",
        asked.NothingAsked,
        answers.TenantNow,
        _tenant,
    ),
    Page(f"{TENANT}/pools", "readPools", "Minutes of pools", asked.PoolsAsked, answers.Pools, questions.pools),
    Page(f"{TENANT}/calls", "readCalls", "Rated calls", asked.CallsAsked, answers.Calls, questions.calls),
    Page(f"{TENANT}/debits", "readDebits", "Debits", asked.DebitsAsked, answers.Debits, questions.debits),
    Page(
        f"{TENANT}/funds", "readFunds", "Money that is no call's", asked.PageAsked, answers.Funds, questions.funds
    ),
    Page(
        f"{TENANT}/statement",
        "readStatement",
        "What was there, came in, went out, and is left",
        asked.StatementAsked,
        StatementAnswer,
        questions.statement_of,
    ),
    Page(
        f"{TENANT}/balance",
        "readBalance",
        "The balance at an instant",
        asked.BalanceAsked,
        answers.BalanceAt,
        questions.balance,
    ),
    Page(
        f"{TENANT}/spend",
        "readSpend",
        "Sums of calls by day, destination or user",
        asked.SpendAsked,
        answers.SpendAnswer,
        questions.spend,
    ),
    Page(
        f"{TENANT}/brakes",
        "readBrakes",
        "Limits on spending, and what was counted",
        asked.PageAsked,
        Brakes,
        questions.brakes,
    ),
    Page(
        f"{TENANT}/refused",
        "readRefused",
        "Refused records, masked",
        asked.PageAsked,
        answers.Refused,
        questions.refused,
    ),
)
EXPLANATION = f"{TENANT}/calls/{{usage_id}}/explanation"


class Computed(NamedTuple):
    """A page below a tenant that a process of its own computes; see Page."""

    path: str
    id: str
    summary: str
    asked: type[BaseModel]
    answer: type[msgspec.Struct]


FORECAST = Computed(
    f"{TENANT}/forecast",
    "readForecast",
    "What is likely in the days to come",
    asked.ForecastAsked,
    ForecastAnswer,
)
RECOMMENDATION = Computed(
    f"{TENANT}/recommendation",
    "readRecommendation",
    "Which recharge is likely to be enough",
    asked.NothingAsked,
    AdviceAnswer,
)
COMPUTED = (FORECAST, RECOMMENDATION)


class ReadingPages:
    """Answers from the store behind the desks."""

    def __init__(self, desks: Desks, computing: Computing) -> None:
        self._desks, self._forecasts, self._rates = desks, computing.forecasts, Rates()
        self.close = computing.close

    def add_to(self, router: web.UrlDispatcher, access: Access) -> None:
        """Add the routes."""

        def add(path: str, respond: Callable[[web.Request, Client], Awaitable[web.Response]]) -> None:
            async def answer(request: web.Request) -> web.Response:
                client = access.check(request, "read")
                self._rates.count_read(client)
                return await respond(request, client)

            router.add_get(path, answer, allow_head=False)

        add(TENANTS, self._tenants)
        add(EXPLANATION, self._explanation)
        add(FORECAST.path, self._forecast)
        add(RECOMMENDATION.path, self._recommendation)
        for page in PAGES:
            add(page.path, partial(self._page, page))

    async def _tenants(self, request: web.Request, client: Client) -> web.Response:
        query = parameters_of(request.query, asked.PageAsked)
        only = None if client.role == "operator" else client.tenant
        return _answer(request, await self._desks.ask(lambda books: _body(questions.tenants(books, only, query))))

    async def _page(self, page: Page, request: web.Request, client: Client) -> web.Response:
        query = parameters_of(request.query, page.asked)
        return await self._of_tenant(request, client, lambda books, one: page.question(books, one, query))

    async def _explanation(self, request: web.Request, client: Client) -> web.Response:
        parameters_of(request.query, asked.NothingAsked)
        usage_id = request.match_info["usage_id"]
        return await self._of_tenant(
            request, client, lambda books, one: questions.explanation(books, one, usage_id)
        )

    async def _forecast(self, request: web.Request, client: Client) -> web.Response:
        query = parameters_of(request.query, asked.ForecastAsked)
        account = await self._account(request, client)
        return _answer(request, _body(answered(await self._forecasts.likely(account, query.days))))

    async def _recommendation(self, request: web.Request, client: Client) -> web.Response:
        parameters_of(request.query, asked.NothingAsked)
        account = await self._account(request, client)
        return _answer(request, _body(answered(await self._forecasts.advice(account))))

    async def _account(self, request: web.Request, client: Client) -> Account:
        tenant = _tenant_for(client, request)
        return await self._desks.ask(lambda books: questions.account_of(books, tenant))

    async def _of_tenant(
        self, request: web.Request, client: Client, question: Callable[[Books, Account], msgspec.Struct]
    ) -> web.Response:
        tenant = _tenant_for(client, request)
        body = await self._desks.ask(lambda books: _body(question(books, questions.account_of(books, tenant))))
        return _answer(request, body)


def _tenant_for(client: Client, request: web.Request) -> str:
    """The tenant of the path; ProblemError where the client may not read it."""
    tenant = request.match_info["tenant"]
    if not client.may_read(tenant):
        raise questions.no_such_tenant(tenant)
    return tenant


class _Body(NamedTuple):
    """An answer as it is sent, and its tag: the same figures have the same."""

    content: bytes
    tag: str


def _body(found: msgspec.Struct) -> _Body:
    """Made in the thread that reads the store; an answer may have a megabyte."""
    content = msgspec.json.encode(found)
    return _Body(content, f'"{blake2b(content, digest_size=16).hexdigest()}"')


def _answer(request: web.Request, body: _Body) -> web.Response:
    """The answer, or 304 where the client has it."""
    headers = {"ETag": body.tag, "Cache-Control": "private, no-cache"}
    if {body.tag, "*"} & _tags_of(request.headers.get("If-None-Match", "")):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return web.Response(body=body.content, headers=headers, content_type="application/json")


def _tags_of(header: str) -> set[str]:
    """The tags of If-None-Match; `*` stands for every tag."""
    return {tag.strip().removeprefix("W/") for tag in header.split(",")}
