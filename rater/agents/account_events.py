"""Notices to people: events of accounts as they come, and money that expires soon.

An event counts as read only once it is in the notifier's outbox.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime

import msgspec
import structlog

from rater.agents.clock import utc_now
from rater.agents.notices.notifier import Notifier
from rater.agents.recharges import Ours
from rater.agents.tenants import Tenants, unreadable
from rater.core import AccountEvent, expiring, funds_in
from rater.ops.metrics.meter import Metrics
from rater.wire.errors import RaterError

#: Seconds until an outbox that could not be written is tried again.
RETRY_S = 5.0
_HOUR_S = 3600
#: Balances that are looked at before others have their turn.
_TURN = 200

_decode = msgspec.json.Decoder(AccountEvent).decode
log = structlog.get_logger(__name__)


class AccountNotices:
    """One for a process; the notifier is open as long as it is used."""

    def __init__(
        self,
        notifier: Notifier,
        metrics: Metrics,
        within_hours: int,
        now: Callable[[], datetime] = utc_now,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self._notifier = notifier
        self._metrics = metrics
        self._within_s = within_hours * _HOUR_S
        self._now, self._wall_s = now, wall_s
        self._expiring: set[str] = set()

    async def note(self, value: bytes, published_s: float, place: str) -> None:
        """Return once the event is in the outbox, or needs not be; a full disk is waited for."""
        if self._wall_s() - published_s > self._within_s:
            return
        try:
            event = _decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
            unreadable(self._metrics, "account-events", place, wrong)
            return
        await self._note(event)

    async def note_expiring(self, tenants: Tenants, ours: Ours) -> int:
        """Note what expires within 30 days, of tenants that are ours; how many notices were new to this process."""
        now, noted = self._now(), 0
        for number, balance in enumerate(tenants.balances()):
            if number % _TURN == 0:
                await asyncio.sleep(0)
            if not balance.lots or not ours(balance.tenant):
                continue
            for notice in expiring(funds_in(balance), now):
                if notice.id not in self._expiring:
                    await self._note(notice)
                    self._expiring.add(notice.id)
                    noted += 1
        return noted

    async def _note(self, event: AccountEvent) -> None:
        while True:
            try:
                await self._notifier.note(event)
            except RaterError as wrong:
                log.error("notice.not_noted", event_id=event.id, tenant=event.tenant, message=str(wrong))
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def send(self) -> None:
        """Send what is noted, until cancelled; an outbox that cannot be written is tried again."""
        while True:
            try:
                await self._notifier.run()
            except RaterError as wrong:
                log.error("notices.wait", message=str(wrong))
                await asyncio.sleep(RETRY_S)
