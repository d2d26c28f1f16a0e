"""How every client of the cluster connects, and the messages when no broker answers or one refuses."""

import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from rater.kafka.access_errors import refusal, user_of
from rater.kafka.settings import KafkaSettings
from rater.ops.secrets import SecretSource
from rater.wire.errors import Exit, RaterError

REQUEST_TIMEOUT_MS = 20_000
_ASK_WHY_TIMEOUT_MS = 5_000
#: What a client does by default.
READ, WRITE = "Read", "Write"


class _Client(Protocol):
    async def start(self) -> None: ...


_Started = TypeVar("_Started", bound=_Client)


def connection(settings: KafkaSettings) -> dict[str, Any]:
    """Arguments for any aiokafka client; RaterError for a password or certificate that cannot be read."""
    arguments: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap,
        "security_protocol": settings.security,
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
    }
    if settings.security.endswith("SSL"):
        arguments["ssl_context"] = _tls(settings)
    if settings.security.startswith("SASL"):
        if settings.username is None or settings.password_file is None:
            raise RaterError(
                f"security {settings.security}: expected RATER_USERNAME and RATER_PASSWORD_FILE,"
                " a file with the password in its first line"
            )
        arguments |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.username,
            "sasl_plain_password": SecretSource(file=settings.password_file).read("the Kafka password"),
        }
    return arguments


def _tls(settings: KafkaSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as wrong:
        raise RaterError(f"RATER_CA_FILE: expected certificates in {settings.ca_file}: {wrong}") from wrong
    if settings.certificate_file is not None:
        try:
            context.load_cert_chain(settings.certificate_file, settings.key_file)
        except (OSError, ssl.SSLError) as wrong:
            raise RaterError(
                f"RATER_CERTIFICATE_FILE and RATER_KEY_FILE: expected a certificate and its key in"
                f" {settings.certificate_file} and {settings.key_file or settings.certificate_file}: {wrong}"
            ) from wrong
    return context


class UnreachableError(RaterError):
    """No broker answers: the address, what was tried, two ways to start one."""

    def __init__(self, settings: KafkaSettings, wrong: BaseException) -> None:
        closed = isinstance(wrong, KafkaConnectionError) and "closed" in str(wrong)
        guess = " Does it expect another RATER_SECURITY, or a certificate?" if closed else ""
        super().__init__(
            f"no Kafka broker answers at {settings.bootstrap} ({settings.security}:"
            f" {str(wrong) or 'no answer in time'}).{guess}\nStart one with `rater dev kafka start` (Java, Maven),"
            " or with `docker compose -f deploy/compose.yaml up kafka`; give another address with --bootstrap",
            Exit.UNREACHABLE,
        )


class UntrustedError(RaterError):
    """A broker answers, and one of the two sides does not believe the other."""

    def __init__(self, settings: KafkaSettings, wrong: BaseException) -> None:
        if isinstance(wrong, ssl.SSLCertVerificationError):
            said = f"its certificate is not trusted ({wrong.verify_message}); RATER_CA_FILE says whose are"
        elif isinstance(wrong, ssl.SSLError):
            said = f"TLS failed ({wrong.reason or wrong}); RATER_CERTIFICATE_FILE and RATER_KEY_FILE are ours"
        elif isinstance(wrong, UnsupportedSaslMechanismError):
            said = f"it does not offer {settings.sasl_mechanism}; RATER_SASL_MECHANISM names another"
        else:
            said = f"{user_of(settings)} and the password of {settings.password_file} are not known there"
        super().__init__(f"Kafka at {settings.bootstrap} ({settings.security}): {said}", Exit.DENIED)


def _not_believed(wrong: BaseException) -> bool:
    """Whether trying again is useless; a connection that was cut while TLS was spoken is not that."""
    if isinstance(wrong, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError):
        return False
    return isinstance(wrong, ssl.SSLError | SaslAuthenticationFailed | UnsupportedSaslMechanismError)


async def started(settings: KafkaSettings, client: _Started, right: str = READ) -> _Started:
    """The client, started; UnreachableError, UntrustedError or DeniedError when it cannot."""
    try:
        await client.start()
    except (KafkaConnectionError, OSError) as wrong:
        await _stop(client)
        cause = await why_not(settings) or wrong
        raise (UntrustedError if _not_believed(cause) else UnreachableError)(settings, cause) from wrong
    except KafkaError as wrong:
        await _stop(client)
        raise refusal(settings, right, wrong) from wrong
    return client


async def why_not(settings: KafkaSettings) -> BaseException | None:
    """What goes wrong on connecting, which the library only logs; None if it goes well."""
    try:
        (await a_connection(settings, _ASK_WHY_TIMEOUT_MS)).close()
    except (OSError, KafkaError, ValueError, TimeoutError) as refused:
        return refused
    return None


async def a_connection(settings: KafkaSettings, timeout_ms: int = REQUEST_TIMEOUT_MS) -> AIOKafkaConnection:
    """A connection to one broker of the settings, by chance; the caller closes it.

    Cancelled, it leaves nothing open; a whole client that is cancelled while it starts forgets a connection.
    Raises OSError, KafkaError, TimeoutError of the last that was tried; ValueError for an address without port.
    """
    arguments = connection(settings) | {"request_timeout_ms": timeout_ms}
    addresses = arguments.pop("bootstrap_servers").split(",")
    wrong: BaseException = ValueError("no address")
    for address in random.sample(addresses, len(addresses)):
        host, _, port = address.strip().rpartition(":")
        try:
            return await create_conn(host, int(port), **arguments)
        except (OSError, KafkaError, ValueError, TimeoutError) as refused:
            wrong = refused
    raise wrong


@asynccontextmanager
async def reachable(settings: KafkaSettings, client: _Started, right: str = READ) -> AsyncIterator[_Started]:
    """A client that is started, and stopped afterwards; `right` is what it uses, for the error when it may not."""
    await started(settings, client, right)
    try:
        yield client
    except KafkaError as wrong:
        raise refusal(settings, right, wrong, began=right != READ) from wrong
    finally:
        await _stop(client)


async def _stop(client: Any) -> None:
    """Admin clients close, all others stop."""
    await (client.close() if hasattr(client, "close") else client.stop())
