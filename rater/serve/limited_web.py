"""The web server of workers and agents: Faust's, with limits and time-outs, and without Faust's own pages.

Faust would serve its tables and which worker has a key (`/table`, `/router`) to whoever asks.  The pages here name
no tenant, or check a token or a signature themselves.
"""

import asyncio
from typing import Any, ClassVar

from aiohttp import web
from aiohttp.typedefs import Handler
from faust.web.drivers.aiohttp import Web

#: A webhook of the gateway is below a kilobyte.
BODY_BYTES_MAX = 64 * 1024
#: The request line, one header, and how many of these.
LINE_BYTES_MAX = 8 * 1024
HEADER_BYTES_MAX = 4 * 1024
HEADERS_MAX = 64
#: From the connection, or the last answer on it, until a whole head of a request is there.
HEAD_WITHIN_S = 15.0
#: From the head of a request to its answer: its body included.
ANSWER_WITHIN_S = 30.0
#: What a client still sends after its answer is read for so long.
_LINGER_S = 2.0


class LimitedWeb(Web):
    """A web server of Faust that answers with the pages that are added to it, and with nothing else."""

    default_blueprints: ClassVar[Any] = ()
    production_blueprints: ClassVar[Any] = ()
    debug_blueprints: ClassVar[Any] = ()
    optional_blueprints: ClassVar[Any] = ()

    def __init__(self, app: Any, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        self.web_app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[within_limits])
        self._runner = web.AppRunner(
            self.web_app,
            access_log=None,
            max_line_size=LINE_BYTES_MAX,
            max_field_size=HEADER_BYTES_MAX,
            max_headers=HEADERS_MAX,
            keepalive_timeout=HEAD_WITHIN_S,  # from the beginning of a connection, too
            lingering_time=_LINGER_S,
        )


@web.middleware
async def within_limits(request: web.Request, handler: Handler) -> web.StreamResponse:
    """413 for a body that says it is too long, 408 where a request is not there, or not answered, in time."""
    if (request.content_length or 0) > BODY_BYTES_MAX:
        return _closing(413, f"expected at most {BODY_BYTES_MAX} bytes of body")
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return await handler(request)
    except TimeoutError:
        return _closing(408, f"expected a whole request within {ANSWER_WITHIN_S:.0f} s")


def _closing(status: int, message: str) -> web.Response:
    answer = web.json_response({"error": message}, status=status)
    answer.force_close()
    return answer
