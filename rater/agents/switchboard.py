"""Everything that serves switches in one process: the replica, running calls, orders, and answers over HTTP.

Each process reads everything, so each can answer for every tenant.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, model_validator

from rater.agents.call_control import CallControl, OrderSender, OverSender
from rater.agents.follower import Follower
from rater.agents.order_reader import OrderReader
from rater.agents.replica import Replica
from rater.agents.switches.carriage import Carriage
from rater.agents.switches.completeness import seen_in
from rater.agents.switches.settings import read_switches
from rater.core import Answer, Question, RatingSettings, Refusal, RingingCalls, Rules, Why
from rater.kafka.decks import DeckReader
from rater.kafka.port import Consumed, Doubt
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import partitions_of
from rater.ops.metrics.meter import Metrics
from rater.ops.secrets import SecretSource
from rater.serve.authorize_page import PATH, AuthorizePage

#: How often versions of the rate deck are looked for; until then a call that needs one is not answered.
_DECKS_S = 1.0
#: From when on call records are looked at: what overtook one another was published within it.
_RECORDS_SINCE_S = 600.0

log = structlog.get_logger("rater.agents")


class SwitchSettings(BaseModel):
    """How switches are served."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: Every switch shows this token when it asks; without it none may ask.
    token: SecretSource | None = None
    #: The switches that orders to end calls are carried to; without it they read the orders themselves.
    file: Path | None = None

    @model_validator(mode="after")
    def _something_is_set(self) -> Self:
        if self.token is None and self.file is None:
            raise ValueError("expected token, file or both")
        return self


class Switchboard:
    """One process's service to switches: `add_to` its web server, and `run`.

    `publish` stores a record (topic, tenant, bytes) or raises NotStored; `owns` says of which tenants this process
    gives orders to end calls.  Where several do, each order comes from each of them, with the same id.
    Without `settings` it is asked by `ask` alone.  RaterError at once for a token that is not there.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        rating: RatingSettings,
        settings: SwitchSettings | None,
        metrics: Metrics,
        publish: Callable[[str, str, bytes], Awaitable[None]],
        owns: Callable[[str], bool],
    ) -> None:
        self._kafka, self._metrics = kafka, metrics
        token = settings.token if settings is not None else None
        self._token = token.read("the token that switches show") if token is not None else None
        self.carriage: Carriage | None = None
        self._reader: OrderReader | None = None
        if settings is not None and settings.file is not None:
            self.carriage = Carriage(read_switches(settings.file).switches, metrics)
            self._reader = OrderReader(kafka, self.carriage, metrics)
        self._decks = DeckReader(kafka, 0)
        self._rules = Rules(rating, self._decks.tariffs)
        self._ringing = RingingCalls()
        self._orders = OrderSender(publish, owns, metrics)
        self._over = OverSender(publish, self._ringing.over)
        self._replica: Replica | None = None
        self._control: CallControl | None = None
        self._events: Follower | None = None

    @property
    def ready(self) -> bool:
        """Whether the state and the running calls were read up to the end."""
        return self._events is not None and self._events.caught_up

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Answer at /v1/authorize, where a token is set."""
        if self._token is None:
            return
        page = AuthorizePage(self.ask, self._token, self._metrics, lambda: datetime.now(UTC), time.perf_counter)
        router.add_get(PATH, page.respond, allow_head=False)

    def ask(
        self, question: Question, at: datetime, length_s: int | None = None, usage_id: str | None = None
    ) -> Answer | Refusal:
        """Whether a call may start, beside those that run or ring; emergency calls may before anything is known."""
        replica = self._replica or Replica(1)
        running = self._control.running.reserved(question.tenant) if self._control else None
        named = usage_id if self.ready else None
        answer = self._ringing.answer(
            replica.of(question.tenant), self._rules, question, at, running, length_s, named
        )
        if self.ready or isinstance(answer, Refusal) or answer.reason is Why.EMERGENCY:
            return answer
        return Answer(False, Why.NOT_READY, 0)

    async def run(self) -> None:
        """Follow until cancelled; RaterError when topics are not there."""
        replica = Replica(await partitions_of(self._kafka, "state"))
        ended = self.carriage.ended if self.carriage is not None else None
        control = CallControl(
            replica, self._rules, self._orders.send, self._metrics, ended=ended, ringing=self._ringing
        )
        state = Follower(self._kafka, ["state"], replica.apply)

        async def follow_calls() -> None:
            # only once the state is known: an account as it was long ago must end no call
            await state.wait_until_caught_up()
            self._events = Follower(self._kafka, ["call-events"], control.apply)
            await together(
                self._events.run(), control.run(), self._orders.run(), self._over.run(), self._carry(self._events)
            )

        await self._decks.start()
        self._replica, self._control = replica, control
        try:
            await together(state.run(), self._follow_decks(), follow_calls())
        finally:
            await self._decks.stop()

    async def _carry(self, events: Follower) -> None:
        """Carry orders to switches, once it is known which calls have ended."""
        if self.carriage is None or self._reader is None:
            return
        await events.wait_until_caught_up()
        records = Follower(self._kafka, ["cdrs"], self._note_record, since_s=_RECORDS_SINCE_S)
        async with self.carriage:
            await together(self.carriage.run(), self._reader.run(), records.run())

    def _note_record(self, record: Consumed) -> None:
        assert self.carriage is not None, "it is carried"
        if (seen := seen_in(record.value or b"")) is not None:
            self.carriage.record_came(seen, record.published_ms / 1e3)

    async def _follow_decks(self) -> None:
        while True:
            await asyncio.sleep(_DECKS_S)
            try:
                await self._decks.read_to_end()
            except Doubt as doubt:
                log.warning("rate decks cannot be read", reason=str(doubt))


async def together(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run all; the first that fails ends the others, and is what is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for coroutine in coroutines:
                group.create_task(coroutine)
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
