"""`POST /v1/cdrs`, `/v1/call-events` and `/v1/commands`: records in; 200 once every one of them is stored.

Stored is a record that is rated later, or now, or kept as a dead letter: the answer says which.  Sending the same
records again is harmless, so a switch repeats a request whose answer it did not get.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial

import msgspec
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from rater.core import IDENTIFIER_LENGTH_MAX, Source
from rater.files.mappings import NotSelected
from rater.ops.metrics.labels import RecordResult, Route
from rater.ops.metrics.meter import Metrics
from rater.serve.access import Access
from rater.serve.bodies import Arrived, Found, calls_in, commands_in, events_in
from rater.serve.clients import Client, Right
from rater.serve.group_commit import GroupCommit
from rater.serve.maps import Maps
from rater.serve.problems import Kind, ProblemError
from rater.serve.queries import parameters_of
from rater.serve.rates import Rates
from rater.serve.results import Result, counted, not_selected

CDRS, CALL_EVENTS, COMMANDS = "/v1/cdrs", "/v1/call-events", "/v1/commands"
#: A body must be here by then.
BODY_WITHIN_S = 30.0
#: Bodies that are read at the same time have so many bytes together.
READING_BYTES_MAX = 64_000_000
_RETRY_AFTER_S = 1
#: A larger body is read apart from the loop, so that others are answered meanwhile.
_APART_BYTES = 50_000


class RecordsQuery(BaseModel):
    """The parameters of a request with records.  FreeSWITCH adds `uuid`, which its record says, too."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    map: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="the mapping that reads the body; else that of the switch with the client's name",
    )
    tenant: str | None = Field(
        default=None,
        min_length=1,
        max_length=IDENTIFIER_LENGTH_MAX,
        description="of records whose mapping names none",
    )
    uuid: str | None = Field(default=None, max_length=256, description="ignored")


class RecordsPage:
    """Stores the records of requests."""

    def __init__(
        self,
        access: Access,
        commits: GroupCommit,
        maps: Maps,
        metrics: Metrics,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._access, self._commits, self._maps = access, commits, maps
        self._metrics, self._now = metrics, now
        self._rates = Rates()
        self._places = _places()
        #: Bytes of bodies that are being read, as far as they are announced.
        self._reading = 0

    async def cdrs(self, request: web.Request) -> web.Response:
        """Records of calls."""
        client, query, body = await self._arrived(request, "cdrs")
        tenant = client.tenant or query.tenant
        mapping = self._maps.named(query.map or self._maps.of_client(client.name), tenant)
        arrived = self._of(client, tenant)
        found = await _read(partial(calls_in, request.content_type, body, arrived, mapping), len(body))
        return await self._store(client, Route.CDRS, found, len(body))

    async def call_events(self, request: web.Request) -> web.Response:
        """Events of running calls."""
        client, query, body = await self._arrived(request, "call-events")
        arrived = self._of(client, client.tenant or query.tenant)
        found = await _read(partial(events_in, request.content_type, body, arrived), len(body))
        return await self._store(client, Route.CALL_EVENTS, found, len(body))

    async def commands(self, request: web.Request) -> web.Response:
        """Commands of people: tenants, users, licences, money."""
        client, query, body = await self._arrived(request, "commands")
        arrived = self._of(client, client.tenant or query.tenant)
        found = await _read(partial(commands_in, request.content_type, body, arrived), len(body))
        return await self._store(client, Route.COMMANDS, found, len(body))

    async def _arrived(self, request: web.Request, right: Right) -> tuple[Client, RecordsQuery, bytes]:
        client = self._access.check(request, right)
        query = parameters_of(request.query, RecordsQuery)
        size = min(client.body_bytes_max, request.content_length or client.body_bytes_max)
        if self._reading + size > READING_BYTES_MAX:
            raise ProblemError(
                Kind.BUSY,
                f"{self._reading} bytes of bodies are being read (READING_BYTES_MAX {READING_BYTES_MAX}); nothing"
                " of this request was stored, send it again later",
                _RETRY_AFTER_S,
            )
        self._reading += size
        try:
            return client, query, await _body_of(request, client.body_bytes_max)
        finally:
            self._reading -= size

    def _of(self, client: Client, tenant: str | None) -> Arrived:
        places = self._places
        return Arrived(tenant, self._now(), lambda: Source(f"http-{client.name}", 0, next(places)))

    async def _store(self, client: Client, route: Route, found: list[Found], size: int) -> web.Response:
        """Store what is to be stored; the result of every record, in order."""
        if not found:
            raise ProblemError(Kind.UNREADABLE, "the body: expected at least one record")
        self._rates.count(client, len(found))
        stored = iter(await self._commits.add([one for one in found if not isinstance(one, NotSelected)], size))
        results: list[Result] = [
            not_selected(one.reason) if isinstance(one, NotSelected) else next(stored) for one in found
        ]
        answer = counted(results)
        for result in RecordResult:
            if count := getattr(answer, result.value):
                self._metrics.http_records(route, result, count)
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")


async def _read(read: Callable[[], list[Found]], size: int) -> list[Found]:
    return read() if size <= _APART_BYTES else await asyncio.to_thread(read)


def _places() -> Iterator[int]:
    """Numbers for records as they come: microseconds of Unix time, each larger than the one before."""
    last = 0
    while True:
        last = max(last + 1, time.time_ns() // 1_000)
        yield last


async def _body_of(request: web.Request, most: int) -> bytes:
    """The whole body, decompressed; ProblemError where it is longer than its client may send, or does not come."""
    too_large = ProblemError(
        Kind.TOO_LARGE,
        f"expected at most {most} bytes of body (body_bytes_max of the clients' file); send fewer records",
    )
    if (request.content_length or 0) > most:
        raise too_large
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for part in request.content.iter_any():
                size += len(part)
                if size > most:
                    raise too_large
                parts.append(part)
    except TimeoutError as wrong:
        raise ProblemError(Kind.TOO_SLOW, f"expected a whole body within {BODY_WITHIN_S:.0f} s") from wrong
    except web.RequestPayloadError as wrong:
        raise ProblemError(Kind.UNREADABLE, f"the body: cannot be read: {wrong}") from wrong
    return b"".join(parts)
