"""`GET /v1/authorize`: a switch asks over HTTP whether a call may start.

200 with `allowed`, `reason` and `seconds`; 400 for a question that no call can be, 401 without the token, 503 while
this process has not read enough.  Emergency calls are allowed even then.
"""

import hmac
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rater.core import AUTHORIZED_S_MAX, IDENTIFIER_LENGTH_MAX, Answer, CallType, NumberType, Question, Refusal, Why
from rater.ops.metrics.labels import AuthorizationAnswer
from rater.ops.metrics.meter import Metrics

PATH = "/v1/authorize"
_NUMBER_LENGTH_MAX = 64
_NO_ANSWER_YET = frozenset({Why.UNKNOWN_TENANT, Why.NOT_READY})

#: Answers a question as things stand now.
Ask = Callable[[Question, datetime], Answer | Refusal]


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
        question = question_of(request)
        answer = self._answer(question) if isinstance(question, Question) else question
        if isinstance(answer, str):
            return _wrong(answer, HTTPStatus.BAD_REQUEST)
        self._metrics.authorization(_counted_as(answer), self._seconds() - began)
        ready = answer.reason is not Why.NOT_READY
        return _json(
            {"allowed": answer.allowed, "reason": answer.reason.value, "seconds": answer.seconds},
            HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE,
        )

    def _answer(self, question: Question) -> Answer | str:
        """The answer, or what is wrong with the question."""
        answer = self._ask(question, self._now())
        if isinstance(answer, Refusal):
            return f"{answer.field}: {answer.message}{_plus_hint(question.called)}"
        assert 0 <= answer.seconds <= AUTHORIZED_S_MAX, answer
        return answer


def question_of(request: web.Request) -> Question | str:
    """The question that the parameters ask, or what is wrong with them, in one sentence."""
    parameters = dict(request.query)
    if len(parameters) < len(request.query):
        return f"{next(name for name in parameters if len(request.query.getall(name)) > 1)}: expected it once"
    try:
        query = Query.model_validate(parameters)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False, include_context=False, include_input=False)[0]
        name = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            return f"{name[:40]}: no such parameter; expected {', '.join(Query.model_fields)}"
        return f"{name}: {first['msg'][0].lower()}{first['msg'][1:]}"
    return Question(
        tenant=query.tenant,
        user=query.user,
        called=query.called,
        calling=query.calling,
        type=query.type,
        number_type=query.number_type,
        emergency=query.emergency,
    )


def _plus_hint(called: str | None) -> str:
    """A plus sign in a query string is a space: the most frequent mistake."""
    return "; write + as %2B" if called is not None and called.startswith(" ") else ""


def _counted_as(answer: Answer) -> AuthorizationAnswer:
    if answer.reason in _NO_ANSWER_YET:
        return AuthorizationAnswer.UNKNOWN
    return AuthorizationAnswer.ALLOWED if answer.allowed else AuthorizationAnswer.DENIED


def _wrong(message: str, status: HTTPStatus, headers: dict[str, str] | None = None) -> web.Response:
    return _json({"error": message}, status, headers)


def _json(body: dict[str, object], status: HTTPStatus, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, headers=headers, content_type="application/json")
