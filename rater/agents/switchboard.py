"""Everything that serves switches in one process: the replica, running calls, orders, and answers over HTTP.

`run` it as a task or Faust service; the HTTP server has a port of its own, because Faust's web server adds to each
answer what a switch does not wait for.  Refuses to know rules.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from rater.agents.authorize import Answer, authorize
from rater.agents.authorize_page import PATH, Ask, AuthorizePage
from rater.agents.call_control import CallControl, OrderSender
from rater.agents.follower import Follower
from rater.agents.funding import Question
from rater.agents.replica import Replica
from rater.core.mediation import Refusal
from rater.core.settings import RatingSettings
from rater.core.step import Rules
from rater.errors import RaterError
from rater.kafka.decks import DeckReader
from rater.kafka.port import Doubt
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import partitions_of
from rater.metrics.meter import Metrics
from rater.secret_source import SecretSource

#: How often versions of the rate deck are looked for; until then a call that needs one is not answered.
_DECKS_S = 1.0

log = structlog.get_logger("rater.agents")


class SwitchboardSettings(BaseModel):
    """Where switches ask; the names are those of the environment: RATER_AUTHORIZE_PORT and so on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    authorize_host: str = "127.0.0.1"
    authorize_port: int = Field(default=6067, ge=0, le=65535, description="0 takes a free one")
    authorize_token_file: Path | None = Field(default=None, description="without it nobody is answered over HTTP")


class Switchboard:
    """One process's service to switches.

    `owns` says for which partitions this process gives orders to end calls; with several processes that all own a
    partition each order comes from each of them, with the same id.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        rating: RatingSettings,
        settings: SwitchboardSettings,
        metrics: Metrics,
        owns: Callable[[int], bool] = lambda _: True,
    ) -> None:
        #: The port that answers, once it does.
        self.port: int | None = None
        self._kafka, self._settings, self._metrics, self._owns = kafka, settings, metrics, owns
        self._decks = DeckReader(kafka, 0)
        self._rules = Rules(rating, self._decks.tariffs)
        self._events: Follower | None = None
        file = settings.authorize_token_file
        self._token = None if file is None else SecretSource(file=file).read("the token that switches show")

    @property
    def ready(self) -> bool:
        """Whether the state and the running calls were read up to the end."""
        return self._events is not None and self._events.caught_up

    async def run(self) -> None:
        """Serve until cancelled; RaterError when topics are not there or the port is taken."""
        replica = Replica(await partitions_of(self._kafka, "state"))
        orders = OrderSender(self._kafka, self._metrics, self._owns)
        await orders.start()
        control = CallControl(replica, self._rules, orders.send, self._metrics)
        state = Follower(self._kafka, ["state"], replica.take)

        async def follow_calls() -> None:
            # only once the state is known: an account as it was long ago must end no call
            await state.wait_until_caught_up()
            self._events = Follower(self._kafka, ["call-events"], control.take)
            await _together(self._events.run(), control.run(), orders.run())

        def ask(question: Question, at: datetime) -> Answer | Refusal:
            reserved = control.running.reserved(question.tenant)
            return authorize(replica.of(question.tenant), self._rules, question, at, reserved)

        await self._decks.start()
        try:
            await _together(state.run(), self._follow_decks(), follow_calls(), self._serve(ask))
        finally:
            await self._decks.stop()

    async def _follow_decks(self) -> None:
        while True:
            await asyncio.sleep(_DECKS_S)
            try:
                await self._decks.read_to_end()
            except Doubt as doubt:
                log.warning("rate decks cannot be read", reason=str(doubt))

    async def _serve(self, ask: Ask) -> None:
        if self._token is None:
            log.info("no authorize_token_file: switches are not answered over HTTP")
            return
        page = AuthorizePage(
            ask, lambda: self.ready, self._token, self._metrics, lambda: datetime.now(UTC), time.perf_counter
        )
        app = web.Application()
        app.router.add_get(PATH, page.respond, allow_head=False)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        host, port = self._settings.authorize_host, self._settings.authorize_port
        try:
            await web.TCPSite(runner, host, port).start()
            self.port = runner.addresses[0][1]
            log.info("switches are answered", address=f"http://{host}:{self.port}{PATH}")
            await asyncio.Event().wait()
        except OSError as wrong:
            raise RaterError(
                f"authorize_port: {host}:{port} cannot be listened on ({wrong.strerror}); choose another"
            ) from wrong
        finally:
            await runner.cleanup()


async def _together(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run all; the first that fails ends the others, and is what is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for coroutine in coroutines:
                group.create_task(coroutine)
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
