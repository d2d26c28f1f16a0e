import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from standardwebhooks import Webhook
from structlog.testing import capture_logs

from rater.agents.notices.facts import message_key
from rater.agents.notices.notifier import Notifier
from rater.agents.notices.outbox import State
from rater.agents.notices.settings import NotifySettings
from rater.core.reasons import EventKind
from rater.wire.errors import RaterError
from tests.notify.world import Clock, Mailbox, email_settings, event, mail_server, notify_settings
from tests.payments.world import SECRET


class Receiver:
    """What a receiver verified with its key, and the statuses it answers, the last for ever."""

    def __init__(self, *statuses: int) -> None:
        self.url = ""
        self.ids: list[str] = []
        self.bodies: list[Any] = []
        self.statuses = list(statuses or (204,))

    async def receive(self, request: web.Request) -> web.Response:
        body = Webhook(SECRET).verify(await request.read(), dict(request.headers))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status < 300:
            self.ids.append(request.headers["webhook-id"])
            self.bodies.append(body)
        return web.Response(status=status)


@asynccontextmanager
async def receiving(monkeypatch: pytest.MonkeyPatch, *statuses: int) -> AsyncIterator[Receiver]:
    monkeypatch.setenv("HOOK_KEY", SECRET)
    receiver = Receiver(*statuses)
    app = web.Application()
    app.router.add_post("/hook", receiver.receive)
    async with TestServer(app) as server:
        receiver.url = str(server.make_url("/hook"))
        yield receiver


def hook(url: str, **changes: Any) -> dict[str, Any]:
    return {"name": "billing", "url": url, "secret": {"env": "HOOK_KEY"}, **changes}


def real_clock() -> Clock:
    """Signatures are only good for five minutes of real time."""
    clock = Clock()
    clock.now = datetime.now(UTC)
    return clock


def test_a_signed_webhook_for_each_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verified with the receiver's key; twice is once; numbers are masked; no digest; other tenants not."""

    async def outcome() -> Receiver:
        async with receiving(monkeypatch) as receiver:
            settings = notify_settings(tmp_path, webhooks=[hook(receiver.url, tenants=["contoso"])])
            async with Notifier(settings, real_clock()) as notifier:
                for number in range(15):
                    await notifier.note(event(number, user="+14255550100"))
                    await notifier.note(event(number, user="+14255550100"))
                await notifier.note(event(tenant="fabrikam"))
                await notifier.deliver_due()
            return receiver

    receiver = asyncio.run(outcome())
    assert receiver.ids == [f"msg_{message_key((f'contoso:event:{number}',))}" for number in range(15)]
    assert receiver.bodies[0] == {
        "type": "recharge.failed",
        "timestamp": "2025-03-10T09:59:30Z",
        "data": {
            "tenant": "contoso",
            "id": "contoso:event:0",
            "sequence": 0,
            "source": {"topic": "cdrs", "partition": 0, "offset": 0},
            "balance": "49.86",
            "amount": "100",
            "currency": "USD",
            "user": "+14*******00",
            "recharge_id": "376b42902d5597f81d7284cb597dc3b2",
            "reason": "card_expired",
        },
    }


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        ((500, 204), ["channel.unreachable", "notice.sent", "notice.sent"]),
        ((429, 204), ["channel.unreachable", "notice.sent", "notice.sent"]),
        ((400, 204), ["notice.refused", "notice.sent", "notice.sent"]),
        ((302, 204), ["notice.refused", "notice.sent", "notice.sent"]),
    ],
)
def test_a_receiver_that_rejects_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statuses: tuple[int, ...], said: list[str]
) -> None:
    """Down: everything waits.  Refused: this one waits.  Afterwards each event is sent once."""

    async def outcome() -> Receiver:
        clock = real_clock()
        async with receiving(monkeypatch, *statuses) as receiver:
            settings = notify_settings(tmp_path, webhooks=[hook(receiver.url)])
            async with Notifier(settings, clock) as notifier:
                await notifier.note(event(1))
                await notifier.note(event(2))
                await notifier.deliver_due()
                clock.pass_(seconds=30)
                await notifier.deliver_due()
            return receiver

    with capture_logs() as logs:
        receiver = asyncio.run(outcome())
    assert [entry["event"] for entry in logs] == said
    assert sorted(body["data"]["sequence"] for body in receiver.bodies) == [1, 2]


def test_a_receiver_that_is_down_does_not_hold_back_the_mail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each channel at its own pace."""
    monkeypatch.setenv("HOOK_KEY", SECRET)

    async def outcome() -> tuple[int, dict[str, dict[State, int]]]:
        async with mail_server(Mailbox()) as mailbox:
            settings = notify_settings(
                tmp_path, email=email_settings(mailbox.port), webhooks=[hook("http://127.0.0.1:9/")]
            )
            async with Notifier(settings, Clock()) as notifier:
                assert await notifier.note(event(kind=EventKind.BALANCE_DEPLETED)) == 2
                await notifier.deliver_due()
                return len(mailbox.messages), await notifier.counts()

    assert asyncio.run(outcome()) == (1, {"webhook-billing": {State.QUEUED: 1}, "email": {State.SENT: 1}})


def test_a_key_that_is_not_there(tmp_path: Path) -> None:
    """Said at the start, by its place."""
    settings = NotifySettings.model_validate(
        {"outbox": tmp_path / "o.db", "webhooks": [hook("https://x.example", secret={"env": "NO_SUCH_KEY"})]}
    )
    with pytest.raises(RaterError, match=r"the key of webhook billing: .*NO_SUCH_KEY"):
        Notifier(settings)
