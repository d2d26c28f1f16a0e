"""What is wrong with a request, as RFC 9457 problem details: one JSON object, `detail` in one line."""

import re
from enum import Enum
from http import HTTPStatus

import msgspec
from aiohttp import web

from rater.ops.metrics.labels import HttpResult

CONTENT_TYPE = "application/problem+json"
_DETAIL_LENGTH_MAX = 500
_LINE_ENDS = re.compile(r"[\r\n\x00-\x1f]+")


class Kind(Enum):
    """Every kind of problem: the last part of its `type`, its status, its title, and how it is counted."""

    UNREADABLE = ("unreadable", HTTPStatus.BAD_REQUEST, "The request cannot be read", HttpResult.WRONG)
    NO_TOKEN = ("no-token", HTTPStatus.UNAUTHORIZED, "No good token", HttpResult.DENIED)
    NOT_ALLOWED = ("not-allowed", HTTPStatus.FORBIDDEN, "The token may not do this", HttpResult.DENIED)
    NO_SUCH_PATH = ("no-such-path", HTTPStatus.NOT_FOUND, "No such path", HttpResult.WRONG)
    NOT_FOUND = ("not-found", HTTPStatus.NOT_FOUND, "Nothing of this name", HttpResult.WRONG)
    WRONG_METHOD = ("wrong-method", HTTPStatus.METHOD_NOT_ALLOWED, "The path has no such method", HttpResult.WRONG)
    TOO_SLOW = ("too-slow", HTTPStatus.REQUEST_TIMEOUT, "The request did not arrive in time", HttpResult.WRONG)
    TOO_LARGE = ("too-large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request is too large", HttpResult.WRONG)
    WRONG_TYPE = (
        "wrong-type",
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "The body is of no kind that is read",
        HttpResult.WRONG,
    )
    TOO_MANY = (
        "too-many",
        HTTPStatus.TOO_MANY_REQUESTS,
        "More than the client may send or ask in a second",
        HttpResult.LIMITED,
    )
    FAILED = ("failed", HTTPStatus.INTERNAL_SERVER_ERROR, "The rater failed", HttpResult.FAILED)
    BUSY = ("busy", HTTPStatus.SERVICE_UNAVAILABLE, "Not now", HttpResult.BUSY)

    def __init__(self, word: str, status: HTTPStatus, title: str, counted_as: HttpResult) -> None:
        self.word, self.status, self.title, self.counted_as = word, status, title, counted_as


class Problem(msgspec.Struct, frozen=True):
    """The body of an answer that says what is wrong: `detail` says where, what was expected, what to do."""

    type: str
    title: str
    status: int
    detail: str


class ProblemError(Exception):
    """Ends a request with a problem; `retry_after_s` is when the same request may succeed, `allow` the methods of a
    path.
    """

    def __init__(self, kind: Kind, detail: str, retry_after_s: int | None = None, allow: str | None = None) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.retry_after_s, self.allow = kind, detail, retry_after_s, allow


def problem_response(wrong: ProblemError) -> web.Response:
    """The answer that says a problem."""
    kind = wrong.kind
    detail = _LINE_ENDS.sub(" ", wrong.detail)[:_DETAIL_LENGTH_MAX].encode("utf-8", "replace").decode()
    body = Problem(f"urn:rater:problem:{kind.word}", kind.title, kind.status.value, detail)
    headers = {}
    if wrong.retry_after_s is not None:
        headers["Retry-After"] = str(wrong.retry_after_s)
    if wrong.allow is not None:
        headers["Allow"] = wrong.allow
    if kind is Kind.NO_TOKEN:
        headers["WWW-Authenticate"] = 'Bearer realm="rater", Basic realm="rater"'
    return web.Response(
        body=msgspec.json.encode(body), status=kind.status, headers=headers, content_type=CONTENT_TYPE
    )
