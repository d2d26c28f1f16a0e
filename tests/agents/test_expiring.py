"""Money that is forfeited soon: one notice for each purchase."""

import asyncio
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from rater.agents.account_events import AccountNotices
from rater.agents.notices.notifier import Notifier
from rater.agents.tenants import Tenants
from rater.core.due import expiring, funds_in
from rater.core.outputs import LotState
from rater.ops.metrics.meter import Metrics
from tests.agents.world import NOW, balance, consumed, lot
from tests.notify.world import Mailbox, email_settings, event, mail_server, notify_settings
from tests.world import at


@pytest.mark.parametrize(
    ("lots", "expected"),
    [
        ((), []),
        ((lot("a", "2025-03-10"),), []),  # at 00:00 today: it has expired
        ((lot("a", "2025-03-11"),), ["a"]),
        ((lot("a", "2025-04-09"),), ["a"]),  # 29 days and 12 hours
        ((lot("a", "2025-04-10"),), []),  # 30 days and 12 hours
        ((lot("a", "2025-04-09", "0"),), []),
        ((lot("a", "2025-03-20"), lot("b", "2025-04-01"), lot("c", "2025-12-01")), ["a", "b"]),
    ],
)
def test_what_expires_within_thirty_days_of_noon(lots: tuple[LotState, ...], expected: list[str]) -> None:
    """Rule 63: one notice for each purchase with money left."""
    assert [notice.lot for notice in expiring(funds_in(balance(lots=lots)), NOW)] == expected


def test_a_notice_is_made_of_its_purchase() -> None:
    """The same bytes tomorrow: id and time are those of the purchase, so that nobody is notified twice."""
    near = balance(lots=(lot("funds-1", "2025-04-01", "12.5"),))
    (notice,) = expiring(funds_in(near), NOW)
    assert (notice.id, notice.at) == ("contoso:expiring:funds-1", at("2025-03-02"))
    assert (notice.amount, notice.currency) == ("12.5", "USD")
    assert [notice] == expiring(funds_in(near), NOW + timedelta(days=10))


async def _subjects(folder: Path) -> list[str]:
    tenants = Tenants(Metrics(CollectorRegistry()))
    tenants.apply(consumed("balances", balance(lots=(lot("a", "2025-04-01", "12.5"),))))
    tenants.apply(consumed("balances", balance(tenant="fabrikam", lots=(lot("a", "2025-04-01"),))))
    async with mail_server(Mailbox()) as mailbox:
        settings = notify_settings(folder, email=email_settings(mailbox.port))
        for _ in range(2):  # the second is the process after a restart
            async with Notifier(settings) as notifier:
                notices = AccountNotices(notifier, Metrics(CollectorRegistry()), 24, now=lambda: NOW)
                await notices.note_expiring(tenants, lambda tenant: tenant == "contoso")
                assert await notices.note_expiring(tenants, lambda tenant: tenant == "contoso") == 0
                await notifier.deliver_due()
    return mailbox.subjects


def test_one_notice_and_from_its_own_process(tmp_path: Path) -> None:
    """Looked for four times over a restart: one e-mail; fabrikam is another process's."""
    assert asyncio.run(_subjects(tmp_path)) == ["contoso: 12.5 USD expire within 30 days"]


async def _noted(folder: Path) -> tuple[list[str], float]:
    metrics = Metrics(CollectorRegistry())
    async with mail_server(Mailbox()) as mailbox:
        settings = notify_settings(folder, email=email_settings(mailbox.port))
        async with Notifier(settings) as notifier:
            notices = AccountNotices(notifier, metrics, 24, wall_s=NOW.timestamp)
            hour = 3600
            for number, age_s in ((1, 0), (2, 23 * hour), (3, 25 * hour)):
                await notices.note(msgspec.json.encode(event(number)), NOW.timestamp() - age_s, "0@1")
            newer = msgspec.json.encode(event(4)).replace(b"recharge.failed", b"recharge.fancied")
            await notices.note(newer, NOW.timestamp(), "0@2")
            await notifier.deliver_due()
            unread = metrics.registry.get_sample_value(
                "rater_unreadable_records_total", {"topic": "account-events"}
            )
    return mailbox.subjects, unread or 0


def test_old_events_and_unreadable_ones_are_not_sent(tmp_path: Path) -> None:
    """A first start sends no notices of a year of history; an event of a newer rater is counted and logged."""
    subjects, unread = asyncio.run(_noted(tmp_path))
    assert subjects == ["contoso: recharge of 100 USD failed"] * 2
    assert unread == 1
