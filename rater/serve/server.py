"""The server's web server: plain, or TLS with a certificate that is read again when it is renewed.

Stopping refuses new requests, answers those that are being stored, and only then ends.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import NamedTuple

import structlog
from aiohttp import web

from rater.serve.limited_web import HEAD_WITHIN_S, HEADER_BYTES_MAX, HEADERS_MAX, LINE_BYTES_MAX
from rater.serve.pages import Server
from rater.wire.errors import RaterError

#: Requests that are being answered have so long to end.
_STOP_WITHIN_S = 20.0
_LINGER_S = 2.0
_LOOK_S = 10.0

log = structlog.get_logger("rater.serve")


class Listening(NamedTuple):
    """Where the server is; without a certificate it speaks plain HTTP."""

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None


def stop_by_signal() -> asyncio.Event:
    """What SIGTERM and SIGINT set from now on, in place of ending the process."""
    stop = asyncio.Event()
    for number in (SIGINT, SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def serve(
    server: Server,
    listening: Listening,
    beside: Callable[[], Awaitable[None]],
    closing: Callable[[], None],
    stop: asyncio.Event,
    started: Callable[[int], None] = lambda _: None,
) -> None:
    """Serve until `stop` is set, or until what runs `beside` ends with an error.

    `closing` is called before requests are waited for, `started` with the port.  RaterError: the certificate is
    none.
    """
    tls = _tls(listening)
    runner = web.AppRunner(
        server.app,
        access_log=None,
        max_line_size=LINE_BYTES_MAX,
        max_field_size=HEADER_BYTES_MAX,
        max_headers=HEADERS_MAX,
        keepalive_timeout=HEAD_WITHIN_S,
        lingering_time=_LINGER_S,
        shutdown_timeout=_STOP_WITHIN_S,
    )
    await runner.setup()
    work = [asyncio.ensure_future(one) for one in (beside(), server.run(), _renew(tls, listening), stop.wait())]
    try:
        await web.TCPSite(runner, listening.host, listening.port, ssl_context=tls).start()
        started(runner.addresses[0][1])
        done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            one.result()
    finally:
        closing()
        await runner.cleanup()
        for one in work:
            one.cancel()
        await asyncio.gather(*work, return_exceptions=True)


def _tls(listening: Listening) -> ssl.SSLContext | None:
    if listening.certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _load(context, listening)
    return context


def _load(context: ssl.SSLContext, listening: Listening) -> None:
    assert listening.certificate is not None
    try:
        context.load_cert_chain(listening.certificate, listening.key)
    except (OSError, ssl.SSLError) as wrong:
        raise RaterError(
            f"--tls-cert {listening.certificate}, --tls-key {listening.key or listening.certificate}: expected a"
            f" certificate and its key: {wrong}"
        ) from wrong


async def _renew(context: ssl.SSLContext | None, listening: Listening) -> None:
    """Read the certificate again when its file changes; new connections get it."""
    stands = _stands(listening)
    while True:
        await asyncio.sleep(_LOOK_S)
        if context is None or (now := _stands(listening)) == stands:
            continue
        stands = now
        try:
            _load(context, listening)
        except RaterError as wrong:
            log.error("the certificate stays as it was", reason=str(wrong))
        else:
            log.info("the certificate was read again")


def _stands(listening: Listening) -> list[int]:
    try:
        return [path.stat().st_mtime_ns for path in (listening.certificate, listening.key) if path is not None]
    except OSError:
        return []
