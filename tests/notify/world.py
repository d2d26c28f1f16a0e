"""Something that happened, a mail server on a socket, and a clock that tests set."""

import asyncio
import email
import email.policy
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from rater.agents.notices.settings import NotifySettings
from rater.core.inputs import Source
from rater.core.outputs import AccountEvent
from rater.core.reasons import EventKind

USER, PASSWORD = "rater", "correct horse"


class Clock:
    """Now, as a test says it is."""

    def __init__(self) -> None:
        self.now = datetime(2025, 3, 10, 10, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **time: int) -> None:
        self.now += timedelta(**time)


def event(number: int = 1, kind: EventKind = EventKind.RECHARGE_FAILED, **facts: Any) -> AccountEvent:
    """An event of contoso."""
    return AccountEvent(
        **{
            "tenant": "contoso",
            "id": f"{facts.get('tenant', 'contoso')}:event:{number}",
            "sequence": number,
            "source": Source("cdrs", 0, number),
            "event": kind,
            "at": datetime(2025, 3, 10, 9, 59, 30, tzinfo=UTC),
            "balance": "49.86",
            "amount": "100",
            "currency": "USD",
            "recharge_id": "376b42902d5597f81d7284cb597dc3b2",
            "reason": "card_expired",
            **facts,
        }
    )


class Mailbox:
    """What a mail server accepted, and what it answers: `refuse` sees each message first."""

    def __init__(self) -> None:
        self.port = 0
        self.messages: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.sessions: set[int] = set()
        self.refuse: Callable[[EmailMessage], str | None] = lambda _: None

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        assert isinstance(envelope.content, bytes)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        answer = self.refuse(message)
        if answer is not None:
            return answer
        self.messages.append(message)
        self.recipients.append(list(envelope.rcpt_tos))
        self.sessions.add(id(session))
        return "250 OK"

    @property
    def subjects(self) -> list[str]:
        return [message["Subject"] for message in self.messages]

    @property
    def ids(self) -> list[str]:
        return [message["Message-ID"] for message in self.messages]


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    subprocess.run(
        ["openssl", "req", "-x509", *curve, *subject, "-keyout", key, "-out", cert], check=True, capture_output=True
    )
    return cert, key


def _check_login(
    _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, login: LoginPassword
) -> AuthResult:
    # `handled=False` lets aiosmtpd say 535 itself.
    return AuthResult(handled=False, success=(login.login, login.password) == (USER.encode(), PASSWORD.encode()))


@asynccontextmanager
async def mail_server(
    mailbox: Mailbox, tls: tuple[Path, Path] | None = None, port: int = 0
) -> AsyncIterator[Mailbox]:
    """aiosmtpd on 127.0.0.1; with a certificate it insists on STARTTLS and login."""
    more: dict[str, Any] = {}
    if tls is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*tls)
        more = {
            "tls_context": context,
            "require_starttls": True,
            "auth_required": True,
            "authenticator": _check_login,
        }
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(mailbox, hostname="127.0.0.1", loop=loop, enable_SMTPUTF8=True, **more), "127.0.0.1", port
    )
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()
        await server.wait_closed()


def email_settings(port: int, **changes: Any) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "sender": "rater@carrier.example",
        "recipients": {"*": ["billing@contoso.example"]},
        "timeout_s": 10,
        **changes,
    }


def notify_settings(folder: Path, **changes: Any) -> NotifySettings:
    return NotifySettings.model_validate({"outbox": folder / "outbox.db", **changes})
