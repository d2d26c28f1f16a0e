"""How every client of the cluster connects, and what is said when nobody answers.

Refuses to know what the client does.
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

from aiokafka.errors import KafkaConnectionError, KafkaError

from rater.errors import RaterError
from rater.exits import Exit
from rater.kafka.settings import KafkaSettings

REQUEST_TIMEOUT_MS = 20_000


class _Client(Protocol):
    async def start(self) -> None: ...


_Started = TypeVar("_Started", bound=_Client)


def connection(settings: KafkaSettings) -> dict[str, Any]:
    """Arguments for any aiokafka client."""
    arguments: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap,
        "security_protocol": settings.security,
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
    }
    if settings.security.endswith("SSL"):
        arguments["ssl_context"] = _tls(settings)
    if settings.security.startswith("SASL"):
        if settings.username is None or settings.password_file is None:
            raise RaterError(f"security {settings.security}: expected a username and a password file")
        arguments |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.username,
            "sasl_plain_password": settings.password_file.read_text(encoding="utf-8").strip(),
        }
    return arguments


def _tls(settings: KafkaSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.ca_file)
    if settings.certificate_file is not None:
        context.load_cert_chain(settings.certificate_file, settings.key_file)
    return context


class UnreachableError(RaterError):
    """No broker answers: the address, what was tried, two ways to start one."""

    def __init__(self, settings: KafkaSettings, wrong: Exception) -> None:
        super().__init__(
            f"no Kafka broker answers at {settings.bootstrap} ({settings.security}: {wrong}).\n"
            "Start one with `rater dev kafka start` (Java and Maven), or with"
            " `docker compose -f deploy/compose.yaml up kafka`; say another address with --bootstrap",
            Exit.UNREACHABLE,
        )


async def started(settings: KafkaSettings, client: _Started) -> _Started:
    """The client, started; UnreachableError when no broker answers."""
    try:
        await client.start()
    except (KafkaConnectionError, OSError) as wrong:
        await _stop(client)
        raise UnreachableError(settings, wrong) from wrong
    return client


@asynccontextmanager
async def reachable(settings: KafkaSettings, client: _Started) -> AsyncIterator[_Started]:
    """A client that is started, and stopped afterwards."""
    await started(settings, client)
    try:
        yield client
    except KafkaError as wrong:
        raise RaterError(f"Kafka at {settings.bootstrap} refused: {wrong}") from wrong
    finally:
        await _stop(client)


async def _stop(client: Any) -> None:
    """Admin clients close, all others stop."""
    await (client.close() if hasattr(client, "close") else client.stop())
