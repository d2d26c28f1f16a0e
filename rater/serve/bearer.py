"""Who may ask over HTTP: whoever knows the token.  Health and metrics are open, all else is not.

app = web.Application(middlewares=[only_with_token(Bearer([SecretSource(env="RATER_WEB_TOKEN")]))])

"""

import hmac
from collections.abc import Sequence

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from rater.ops.secrets import SecretSource
from rater.wire.errors import RaterError

#: What operators' machines look at; it names no tenant.
OPEN_PATHS = frozenset({"/livez", "/readyz", "/healthz", "/metrics"})
TOKEN_LENGTH_MIN = 16
_SCHEME = "bearer "
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="rater"'}


class Bearer:
    """The tokens that are good: one, or two while one replaces the other."""

    def __init__(self, sources: Sequence[SecretSource]) -> None:
        """RaterError for a token that is missing or too short to be a secret."""
        self._tokens = [source.read("the token of HTTP requests").encode() for source in sources]
        if not self._tokens or any(len(token) < TOKEN_LENGTH_MIN for token in self._tokens):
            raise RaterError(f"the token of HTTP requests: expected at least {TOKEN_LENGTH_MIN} characters")

    def allows(self, authorization: str | None) -> bool:
        """Whether an Authorization header carries a good token; takes as long for a wrong one as for a good one."""
        text = authorization or ""
        given = text[len(_SCHEME) :].strip() if text[: len(_SCHEME)].lower() == _SCHEME else ""
        same = [hmac.compare_digest(token, given.encode("utf-8", "replace")) for token in self._tokens]
        return any(same)


def only_with_token(bearer: Bearer) -> Middleware:
    """An aiohttp middleware: 401 to a request without token, unless it is for health or metrics."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in OPEN_PATHS or bearer.allows(request.headers.get("Authorization")):
            return await handler(request)
        return refused()

    return check


def refused() -> web.Response:
    """The answer to a request without a good token, for servers without middleware."""
    said = {"error": "expected the header Authorization: Bearer TOKEN with this service's token"}
    return web.json_response(said, status=401, headers=_CHALLENGE)
