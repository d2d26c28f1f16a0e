"""`GET /v1/authorize`: a switch asks over HTTP whether a call may start.

200 with `allowed`, `reason`, `seconds`, what the call draws on and what it costs; 400 for a question that no call
can be, 401 without the token, 503 while this process has not read enough.  Emergency calls are allowed even then.
With `Accept: text/plain` or `format=text` the answer is one line for dial plans.
"""

import hmac
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Literal, NamedTuple

import msgspec
import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from rater.core import (
    AUTHORIZED_S_MAX,
    IDENTIFIER_LENGTH_MAX,
    Answer,
    CallType,
    Cost,
    NumberType,
    Pocket,
    Question,
    Refusal,
    Why,
    format_micros,
)
from rater.ops.metrics.labels import AuthorizationAnswer
from rater.ops.metrics.meter import Metrics
from rater.serve.problems import ProblemError
from rater.serve.queries import parameters_of

PATH = "/v1/authorize"
_NUMBER_LENGTH_MAX = 64
_NO_ANSWER_YET = frozenset({Why.UNKNOWN_TENANT, Why.NOT_READY})

#: Answers a question as things stand now; with seconds, what so long a call costs, too.  With a usage id, a call
#: that is allowed reserves what it may cost until it begins (A50).
Ask = Callable[[Question, datetime, int | None, str | None], Answer | Refusal]


class Query(BaseModel):
    """The parameters of the question; they are the fields of the call's later record."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant: str = Field(min_length=1, max_length=IDENTIFIER_LENGTH_MAX)
    user: str | None = Field(default=None, min_length=1, max_length=IDENTIFIER_LENGTH_MAX)
    called: str | None = Field(default=None, max_length=_NUMBER_LENGTH_MAX)
    calling: str | None = Field(default=None, max_length=_NUMBER_LENGTH_MAX)
    type: CallType = CallType.USER_OUT
    number_type: NumberType = NumberType.TOLL
    emergency: bool | None = None
    length_s: int | None = Field(
        default=None, ge=1, le=AUTHORIZED_S_MAX, description="the answer says what so long a call costs, too"
    )
    usage_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=IDENTIFIER_LENGTH_MAX,
        description="the one of the call's events and record: what the call may cost is reserved until it begins",
    )
    format: Literal["json", "text"] | None = Field(default=None, description="text: one line; else as Accept says")

    def question(self) -> Question:
        """The call that is asked about."""
        return Question(
            tenant=self.tenant,
            user=self.user,
            called=self.called,
            calling=self.calling,
            type=self.type,
            number_type=self.number_type,
            emergency=self.emergency,
        )


class Asked(NamedTuple):
    """What a switch asks; with `length_s`, what so long a call costs, too; `usage_id` is the call's own."""

    question: Question
    length_s: int | None
    usage_id: str | None = None


class PoolMinutes(msgspec.Struct, frozen=True):
    """Minutes that a pool has for the call."""

    pool: str
    minutes: int


class Price(msgspec.Struct, frozen=True):
    """What minutes cost that no pool covers; amounts are decimal strings in major units."""

    per_minute: str
    connection_fee: str
    increments: str
    currency: str
    destination: str


class CostPart(msgspec.Struct, frozen=True):
    """Minutes that one pocket pays, and what they cost."""

    pocket: Pocket
    minutes: int
    charge: str
    pool: str | None


class CallCost(msgspec.Struct, frozen=True):
    """What a call of `seconds` would be charged now, with its connection fee; nobody pays `unfunded_charge`."""

    seconds: int
    minutes: int
    charge: str
    connection_fee: str
    unfunded_charge: str
    currency: str
    segments: tuple[CostPart, ...]


class Authorization(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer: may the call start, why, for how many seconds at most, what it draws on first, and its price.

    `price` is null where nobody may spend credits on the call, and where no price is known.  `cost` is there if
    `length_s` was asked for and the tenant is known, `brake` if one refuses the call.
    """

    allowed: bool
    reason: Why
    seconds: int
    pocket: Pocket | None
    pools: tuple[PoolMinutes, ...]
    price: Price | None
    cost: CallCost | None = None
    brake: str | None = None


class AuthorizePage:
    """Answers switches that show the token."""

    def __init__(
        self,
        ask: Ask,
        token: str,
        metrics: Metrics,
        now: Callable[[], datetime],
        seconds: Callable[[], float],
    ) -> None:
        self._ask, self._metrics, self._now, self._seconds = ask, metrics, now, seconds
        self._credentials = f"Bearer {token}".encode()

    async def respond(self, request: web.Request) -> web.Response:
        """Answer a request."""
        began = self._seconds()
        shown = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(shown, self._credentials):
            expected = "expected the header Authorization: Bearer TOKEN with the token of this service"
            return _wrong(expected, HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": "Bearer"})
        asked = question_of(request)
        answer = self._answer(asked) if isinstance(asked, Asked) else asked
        if isinstance(answer, str):
            return _wrong(answer, HTTPStatus.BAD_REQUEST)
        self._metrics.authorization(counted_as(answer), self._seconds() - began)
        return answer_response(answer, as_text=wants_text(request))

    def _answer(self, asked: Asked) -> Answer | str:
        """The answer, or what is wrong with the question."""
        return answered(self._ask, asked, self._now())


def answered(ask: Ask, asked: Asked, at: datetime) -> Answer | str:
    """The answer to a question, or in one line what is wrong with it."""
    answer = ask(asked.question, at, asked.length_s, asked.usage_id)
    if isinstance(answer, Refusal):
        return f"{answer.field}: {answer.message}{_plus_hint(asked.question.called)}"
    assert 0 <= answer.seconds <= AUTHORIZED_S_MAX, answer
    return answer


def wants_text(request: web.Request) -> bool:
    """Whether the switch asks for one line of text."""
    asked = request.query.get("format")
    return asked == "text" or (asked is None and request.headers.get("Accept", "").startswith("text/plain"))


def answer_response(answer: Answer, *, as_text: bool) -> web.Response:
    """The answer in JSON or in one line; 503 while too little is known."""
    ready = answer.reason is not Why.NOT_READY
    status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
    headers = {} if ready else {"Retry-After": "1"}
    if as_text:
        return web.Response(text=text_of(answer), status=status, headers=headers)
    body = msgspec.json.encode(authorization_of(answer))
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


def authorization_of(answer: Answer) -> Authorization:
    """The answer as it is written in JSON."""
    rate = answer.rate
    price = None
    if rate is not None and answer.currency is not None:
        price = Price(rate.price_text, format_micros(rate.fee), rate.increments, answer.currency, rate.destination)
    pools = tuple(PoolMinutes(name, minutes) for name, minutes in answer.pools)
    cost = None
    if answer.cost is not None and answer.currency is not None:
        cost = call_cost(answer.cost, answer.currency)
    return Authorization(
        answer.allowed, answer.reason, answer.seconds, answer.pocket, pools, price, cost, answer.brake
    )


def call_cost(cost: Cost, currency: str) -> CallCost:
    """The cost as it is written in JSON."""
    parts = tuple(CostPart(part.pocket, part.minutes, part.charge or "0", part.pool) for part in cost.segments)
    charge, fee, unfunded = (format_micros(amount) for amount in (cost.charge, cost.fee, cost.unfunded))
    return CallCost(cost.seconds, cost.minutes, charge, fee, unfunded, currency, parts)


def text_of(answer: Answer) -> str:
    """`allow|deny SECONDS POCKET PRICE_PER_MINUTE CONNECTION_FEE CURRENCY REASON`, `-` for what there is not."""
    written = authorization_of(answer)
    price = written.price
    parts = (
        "allow" if answer.allowed else "deny",
        str(answer.seconds),
        answer.pocket.value if answer.pocket is not None else "-",
        price.per_minute if price else "-",
        price.connection_fee if price else "-",
        price.currency if price else "-",
        answer.reason.value,
    )
    return " ".join(parts) + "\n"


def question_of(request: web.Request) -> Asked | str:
    """The question that the parameters ask, or what is wrong with them, in one sentence."""
    try:
        query = parameters_of(request.query, Query)
    except ProblemError as wrong:
        return wrong.detail
    return Asked(query.question(), query.length_s, query.usage_id)


def _plus_hint(called: str | None) -> str:
    """A plus sign in a query string is a space: the most frequent mistake."""
    return "; write + as %2B" if called is not None and called.startswith(" ") else ""


def counted_as(answer: Answer) -> AuthorizationAnswer:
    """How an answer is counted."""
    if answer.reason in _NO_ANSWER_YET:
        return AuthorizationAnswer.UNKNOWN
    return AuthorizationAnswer.ALLOWED if answer.allowed else AuthorizationAnswer.DENIED


def _wrong(message: str, status: HTTPStatus, headers: dict[str, str] | None = None) -> web.Response:
    return _json({"error": message}, status, headers)


def _json(body: dict[str, object], status: HTTPStatus, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, headers=headers, content_type="application/json")
