"""E-mail through an SMTP server: STARTTLS, login, text and HTML.

The Message-ID is made of the event ids, so that a copy sent again after a crash is recognised as the same message.
"""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime

import aiosmtplib
import structlog

from rater.agents.notices.channel import Message, Refused, Unreachable
from rater.agents.notices.settings import EVERYBODY, EmailSettings
from rater.agents.notices.texts import Texts
from rater.wire.errors import RaterError

NAME = "email"
log = structlog.get_logger("rater.agents.notices")


class EmailConnection:
    """An open session with the server."""

    def __init__(self, smtp: aiosmtplib.SMTP, write: Callable[[Message], EmailMessage]) -> None:
        self._smtp = smtp
        self._write = write

    async def send(self, message: Message) -> None:
        """See Connection."""
        try:
            refused, _ = await self._smtp.send_message(self._write(message))
        except RaterError as wrong:  # a user's template fails on this event; the others may pass
            raise Refused(str(wrong)) from wrong
        except (aiosmtplib.SMTPResponseException, aiosmtplib.SMTPRecipientsRefused) as wrong:
            if getattr(wrong, "code", 0) == _SERVICE_NOT_AVAILABLE:
                raise Unreachable(_said(wrong)) from wrong
            await self._forget()
            raise Refused(_said(wrong)) from wrong
        except (aiosmtplib.SMTPNotSupported, ValueError) as wrong:
            raise Refused(_said(wrong)) from wrong
        except (aiosmtplib.SMTPException, OSError) as wrong:
            raise Unreachable(_said(wrong)) from wrong

        if refused:
            log.warning("notice.recipients_refused", tenant=message.tenant, recipients=sorted(refused))

    async def _forget(self) -> None:
        """Leave the refused message behind, so that the next one starts anew."""
        try:
            await self._smtp.rset()
        except (aiosmtplib.SMTPException, OSError) as wrong:
            raise Unreachable(_said(wrong)) from wrong


#: RFC 5321 4.2.2: the server closes the connection.
_SERVICE_NOT_AVAILABLE = 421


class EmailChannel:
    """See Channel: to the recipients of each tenant."""

    name = NAME

    def __init__(self, settings: EmailSettings, texts: Texts, clock: Callable[[], datetime]) -> None:
        self.messages_per_hour_max: int | None = settings.messages_per_hour_max
        self._settings = settings
        self._texts = texts
        self._clock = clock
        self._domain = settings.sender.rpartition("@")[2]
        self._tls = None if settings.security == "none" else _tls_context(settings)
        if settings.password is not None:
            settings.password.read("the SMTP password")

    def notifies(self, tenant: str) -> bool:
        """See Channel."""
        return bool(self._recipients(tenant))

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[EmailConnection]:
        """See Channel.  The password is read each time, so that it can be replaced."""
        settings = self._settings
        try:
            password = settings.password.read("the SMTP password") if settings.password else None
        except RaterError as wrong:
            raise Unreachable(str(wrong)) from wrong
        smtp = aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            username=settings.username,
            password=password,
            timeout=settings.timeout_s,
            use_tls=settings.security == "tls",
            start_tls=settings.security == "starttls",
            tls_context=self._tls,
        )
        try:
            await smtp.connect()
        except (aiosmtplib.SMTPException, OSError) as wrong:
            smtp.close()
            raise Unreachable(f"{settings.host}:{settings.port}: {_said(wrong)}") from wrong
        try:
            yield EmailConnection(smtp, self.write)
        finally:
            await _leave(smtp)

    def write(self, message: Message) -> EmailMessage:
        """The e-mail of a message."""
        letter = self._texts.letter(message)
        email = EmailMessage()
        email["From"] = self._settings.sender
        email["To"] = ", ".join(self._recipients(message.tenant))
        email["Subject"] = letter.subject
        email["Date"] = format_datetime(self._clock())
        email["Message-ID"] = f"<{message.key}@{self._domain}>"
        email["Auto-Submitted"] = "auto-generated"
        email.set_content(letter.text)
        email.add_alternative(letter.html, subtype="html")
        return email

    def _recipients(self, tenant: str) -> tuple[str, ...]:
        recipients = self._settings.recipients
        return recipients.get(tenant, recipients.get(EVERYBODY, ()))


async def _leave(smtp: aiosmtplib.SMTP) -> None:
    try:
        await smtp.quit()
    except (aiosmtplib.SMTPException, OSError):
        smtp.close()  # it is gone already; what was accepted is accepted


def _tls_context(settings: EmailSettings) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if settings.ca_file is not None:
        try:
            context.load_verify_locations(settings.ca_file)
        except (OSError, ssl.SSLError) as wrong:
            raise RaterError(f"email.ca_file: expected certificates in {settings.ca_file}: {wrong}") from wrong
    return context


def _said(wrong: Exception) -> str:
    if isinstance(wrong, aiosmtplib.SMTPRecipientsRefused):
        return "; ".join(f"{one.code} {one.message}" for one in wrong.recipients)
    return f"{type(wrong).__name__}: {' '.join(str(wrong).split())}"
