"""Signed webhooks to receivers (Standard Webhooks): `{"type": ..., "timestamp": ..., "data": {...}}`.

The webhook-id is made of the event id: a receiver drops what it has seen.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import aiohttp
import msgspec
from standardwebhooks import Webhook

from rater.agents.notices.channel import Message, Refused, Unreachable
from rater.agents.notices.settings import EVERYBODY, WebhookSettings
from rater.agents.signed_webhooks import signed_headers, signer_of
from rater.core import AccountEvent
from rater.ops.masking import mask_texts

#: Statuses after which nothing else will pass either for now.
_DOWN = frozenset({408, 425, 429})


class WebhookConnection:
    """A session with one receiver."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, signer: Webhook, clock: Callable[[], datetime]
    ) -> None:
        self._session = session
        self._url = url
        self._signer = signer
        self._clock = clock

    async def send(self, message: Message) -> None:
        """See Connection."""
        assert len(message.events) == 1, "webhooks have no digest"
        body = body_of(message.events[0])
        headers = signed_headers(self._signer, f"msg_{message.key}", body, self._clock())
        try:
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
                status = response.status
        except (aiohttp.ClientError, OSError) as wrong:
            raise Unreachable(f"{self._url}: {type(wrong).__name__}: {wrong}") from wrong
        if status >= 500 or status in _DOWN:
            raise Unreachable(f"{self._url} answered {status}")
        if status >= 300:
            raise Refused(f"{self._url} answered {status}")


class WebhookChannel:
    """See Channel: one receiver."""

    messages_per_hour_max: int | None = None

    def __init__(self, settings: WebhookSettings, clock: Callable[[], datetime]) -> None:
        self.name = f"webhook-{settings.name}"
        self._settings = settings
        self._clock = clock
        purpose = f"the key of webhook {settings.name}"
        self._signer = signer_of(settings.secret.read(purpose), purpose)

    def notifies(self, tenant: str) -> bool:
        """See Channel."""
        return tenant in self._settings.tenants or EVERYBODY in self._settings.tenants

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[WebhookConnection]:
        """See Channel; whether the receiver is there is found with the first message."""
        timeout = aiohttp.ClientTimeout(total=self._settings.timeout_s)
        async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
            yield WebhookConnection(session, self._settings.url, self._signer, self._clock)


def body_of(event: AccountEvent) -> bytes:
    """The body that reports an event: the same bytes each time, phone numbers masked."""
    data = mask_texts(msgspec.to_builtins(event))
    kind, at = data.pop("event"), data.pop("at")
    return msgspec.json.encode({"type": kind, "timestamp": at, "data": data})
