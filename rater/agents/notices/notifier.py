"""Notifications: events are noted in the outbox, then sent as they become due, each channel at its own pace.

A receiver that is down holds back its own channel only, and loses nothing: everything stays in the outbox and is
tried again with growing waits.  A message that a receiver refuses holds back nothing.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, TypeVar

import structlog

from rater.agents.notices.channel import Channel, Connection, Refused, Unreachable
from rater.agents.notices.facts import notice_of
from rater.agents.notices.outbox import HOUR_S, Begun, Outbox, State
from rater.agents.notices.settings import NotifySettings
from rater.agents.notices.smtp import NAME as EMAIL
from rater.agents.notices.smtp import EmailChannel
from rater.agents.notices.texts import Texts
from rater.agents.notices.webhook import WebhookChannel
from rater.core import AccountEvent
from rater.ops.metrics import labels
from rater.ops.metrics.labels import NotificationResult
from rater.ops.metrics.meter import Metrics
from rater.wire.errors import RaterError

#: Seconds after which `run` looks again even if nothing seems due: the clock may have been set.
LOOK_AGAIN_S = 60
_T = TypeVar("_T")
log = structlog.get_logger("rater.agents.notices")


def utc_now() -> datetime:
    """The time by this machine's clock."""
    return datetime.now(UTC)


class Notifier:
    """Used as `async with Notifier(settings) as notifier`; raises RaterError at the start for what cannot be."""

    def __init__(
        self,
        settings: NotifySettings,
        clock: Callable[[], datetime] = utc_now,
        metrics: Metrics | None = None,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._channels: list[Channel] = [WebhookChannel(webhook, clock) for webhook in settings.webhooks]
        if settings.email is not None:
            self._channels.append(EmailChannel(settings.email, Texts(settings.templates), clock))
        self._failures: dict[str, int] = {}
        self._not_before_s: dict[str, int] = {}
        self._noted = asyncio.Event()
        # One thread for the file: a write that waits for the disk does not hold up the event loop.
        self._thread = ThreadPoolExecutor(1, "outbox")
        self._outbox: Outbox | None = None

    async def __aenter__(self) -> Self:
        settings = self._settings
        try:
            self._outbox = await self._in_thread(Outbox, settings.outbox, settings.ledger_days)
        except RaterError:
            self._thread.shutdown()
            raise
        return self

    async def __aexit__(
        self, type: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._in_thread(self._open.close)
        self._thread.shutdown()

    async def note(self, event: AccountEvent) -> int:
        """Queue an event for every channel that sends it; how many.  It cannot be lost once this returns.

        The same event again is no message again.  Events without a notice are skipped.
        """
        channels = [channel for channel in self._channels if channel.notifies(event.tenant)]
        if notice_of(event) is None or not channels:
            return 0
        now_s = self._now_s()
        noted = await self._in_thread(self._open.note, event, channels, now_s)
        self._noted.set()
        return noted

    async def deliver_due(self) -> None:
        """Send everything that is due now, except through channels that wait for their receiver.

        Raises RaterError if the outbox cannot be written, once every channel has come to its end.
        """
        ended = await asyncio.gather(
            *[self._deliver(channel) for channel in self._channels], return_exceptions=True
        )
        for wrong in ended:
            if wrong is not None:
                raise wrong

    async def run(self) -> None:
        """Send what is due, as it becomes due, until cancelled; raises RaterError as `deliver_due` does."""
        while True:
            self._noted.clear()
            await self.deliver_due()
            wait_s = await self._idle_s()
            try:
                await asyncio.wait_for(self._noted.wait(), wait_s)
            except TimeoutError:
                pass

    async def counts(self) -> dict[str, dict[State, int]]:
        """How many notices of each channel are in each state."""
        return {channel.name: await self._in_thread(self._open.counts, channel.name) for channel in self._channels}

    async def _deliver(self, channel: Channel) -> None:
        now_s = self._now_s()
        begun: Begun | None = None
        if now_s >= self._not_before_s.get(channel.name, 0):
            begun = await self._begin(channel)
        try:
            if begun is not None:
                async with channel.connected() as connection:
                    while begun is not None:
                        await self._send(channel, connection, begun)
                        self._failures[channel.name] = 0
                        begun = await self._begin(channel)
        except Unreachable as wrong:
            assert begun is not None
            await self._wait_for(channel, begun, str(wrong))
        await self._show_waiting()

    async def _begin(self, channel: Channel) -> Begun | None:
        now_s = self._now_s()
        return await self._in_thread(self._open.begin, channel.name, now_s)

    async def _send(self, channel: Channel, connection: Connection, begun: Begun) -> None:
        message = begun.message
        facts = {
            "channel": channel.name,
            "tenant": message.tenant,
            "events": [event.id for event in message.events],
        }
        try:
            await connection.send(message)
        except Refused as wrong:
            await self._refused(channel, begun, str(wrong))
            return
        await self._in_thread(self._open.sent, begun)
        self._count(channel, NotificationResult.SENT if len(message.events) == 1 else NotificationResult.DIGESTED)
        log.info("notice.sent", again=message.again, **facts)

    async def _refused(self, channel: Channel, begun: Begun, error: str) -> None:
        now_s = self._now_s()
        outcome, event = NotificationResult.FAILED, "notice.refused"
        if now_s - begun.noted_s > self._settings.refused_hours_max * HOUR_S:
            outcome, event = NotificationResult.ABANDONED, "notice.abandoned"
            await self._in_thread(self._open.abandon, begun, error)
        else:
            due_s = now_s + self._wait_s(begun.attempts)
            await self._in_thread(self._open.postpone, begun, error, due_s)
        self._count(channel, outcome)
        events = [event.id for event in begun.message.events]
        log.error(event, channel=channel.name, events=events, message=error)

    async def _wait_for(self, channel: Channel, begun: Begun, error: str) -> None:
        await self._in_thread(self._open.put_back, begun, error)
        failures = self._failures.get(channel.name, 0)
        wait_s = self._wait_s(failures)
        self._failures[channel.name] = failures + 1
        self._not_before_s[channel.name] = self._now_s() + wait_s
        self._count(channel, NotificationResult.FAILED)
        log.error("channel.unreachable", channel=channel.name, message=error, again_in_s=wait_s)

    async def _idle_s(self) -> float:
        """Seconds until something is due."""
        now_s = self._now_s()
        wait_s = LOOK_AGAIN_S
        for channel in self._channels:
            due_s = await self._in_thread(self._open.next_due_s, channel.name)
            if due_s is not None:
                wait_s = min(wait_s, max(due_s, self._not_before_s.get(channel.name, 0)) - now_s)
        return max(wait_s, 1)

    def _wait_s(self, failures: int) -> int:
        settings = self._settings
        return min(settings.retry_wait_initial_s << min(failures, 20), settings.retry_wait_max_s)

    def _count(self, channel: Channel, result: NotificationResult) -> None:
        if self._metrics is not None:
            self._metrics.notification(_label_of(channel.name), result)

    async def _show_waiting(self) -> None:
        """Channels of one kind are one series."""
        if self._metrics is None:
            return
        waiting: Counter[labels.Channel] = Counter()
        for channel in self._channels:
            counts = await self._in_thread(self._open.counts, channel.name)
            waiting[_label_of(channel.name)] += counts.get(State.QUEUED, 0) + counts.get(State.SENDING, 0)
        for label, messages in waiting.items():
            self._metrics.notifications_waiting(label, messages)

    def _now_s(self) -> int:
        return int(self._clock().timestamp())

    @property
    def _open(self) -> Outbox:
        assert self._outbox is not None, "used outside of `async with`"
        return self._outbox

    async def _in_thread(self, work: Callable[..., _T], *facts: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *facts)


def _label_of(name: str) -> labels.Channel:
    return labels.Channel.EMAIL if name == EMAIL else labels.Channel.WEBHOOK
