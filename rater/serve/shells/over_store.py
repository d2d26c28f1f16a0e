"""The server over a store: the embedded rater with HTTP in front of it, in one process without Kafka.

One thread writes.  Switches are answered beside it, from a reader of its own that learns of each commit as it
comes.
By the clock of this process time passes: calls in progress are looked at, money expires, months begin, recharges
are tried again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TypeVar

import structlog

from rater.agents.call_control import OVER_EVERY_S, new_over_id
from rater.agents.switches.carriage import Carriage
from rater.agents.switches.completeness import seen_in
from rater.core import (
    Answer,
    AnyCommand,
    CallEvent,
    CallProgress,
    CallRecord,
    CallsOverBrake,
    Question,
    RatingSettings,
    Refusal,
    Reserved,
    RingingCalls,
    Rules,
    Source,
    Tariffs,
)
from rater.embedded.dead_letters import accepted_and_again
from rater.embedded.store import Reader, open_reader
from rater.embedded.store_settings import kept_settings
from rater.engine.batch import Record
from rater.ops.metrics.labels import RecordResult
from rater.serve.group_commit import Item, NotKept
from rater.serve.orders import OrderLog
from rater.serve.results import Result
from rater.serve.shells.due_ticks import DueTicks
from rater.serve.shells.payments import Collecting
from rater.serve.shells.store_writer import Committed, StoreWriter
from rater.wire.admin_audit import AdminAudit
from rater.wire.codec import encode_input
from rater.wire.dead_letters import DlqAudit, Letter, LetterAction, audit_of
from rater.wire.errors import Exit, RaterError

#: How often calls in progress are looked at, and how often everything else that time changes.
_LOOK_S, _TICK_S = 0.1, 5.0
#: A store that fails like this is not served any more: a person must look.
_FATAL = frozenset({Exit.STORE_IN_USE, Exit.STORE_DAMAGED, Exit.STORE_TOO_NEW})

log = structlog.get_logger("rater.serve")
_T = TypeVar("_T")


class StoreEngine:
    """See rater.serve.pages.Engine.  Open after `start`, until `close`; `run` beside the server."""

    accepts_commands = True

    def __init__(self, writer: StoreWriter, carriage: Carriage | None = None, *, time_passes: bool = True) -> None:
        """`carriage` gives orders to end calls to switches; without it they are read at `call-commands` alone.

        Unless `time_passes`, the clocks of tenants stay where they are until a command moves them.
        """
        self._time_passes = time_passes
        self.orders = OrderLog()
        self._writer, self._carriage = writer, carriage
        self._collecting: Collecting | None = None
        self._thread = ThreadPoolExecutor(1, "store")
        self._reader: Reader | None = None
        self._rules = Rules(writer.settings, Tariffs())
        self._ticks = DueTicks(writer.settings)
        self._reserved: dict[str, Reserved] = {}
        self._ringing = RingingCalls()
        self._due_at: datetime | None = None
        self._failed: asyncio.Future[None] | None = None
        self._numbers = 0

    async def start(self) -> None:
        """Open the store; RaterError: it cannot be used."""
        committed = await self._in_thread(self._writer.open)
        self._collecting = Collecting(self._writer.gateway) if self._writer.gateway else None
        reader = self._reader = open_reader(self._writer.path)
        self._failed = asyncio.get_running_loop().create_future()
        self._rules = Rules(self._writer.settings, Tariffs.of(reader.decks()))
        self._ticks = DueTicks(self._writer.settings)
        self._ticks.changed([account for tenant in reader.tenants() if (account := reader.account(tenant))])
        self._learn(committed)

    async def close(self) -> None:
        """Close the store; what is being written is finished before."""
        self.orders.close()
        await self._in_thread(self._writer.close)
        self._thread.shutdown()
        if self._reader is not None:
            self._reader.close()

    async def run(self) -> None:
        """Let time pass and collect payments, until cancelled; RaterError where the store fails for good."""
        assert self._failed is not None, "it was started"
        tasks: list[Awaitable[None]] = [self._failed]
        if self._time_passes:
            tasks += [self._look(), self._tick(), self._count_over()]
        if self._collecting is not None:
            tasks.append(self._collecting.run(self.apply))
        if self._carriage is not None:
            tasks.append(self._carriage.run())
        running = [asyncio.ensure_future(task) for task in tasks]
        try:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def keep(self, items: Sequence[Item]) -> Sequence[Result]:
        """See Keeper: 200 means that the ledger has it."""
        try:
            committed = await self._in_thread(self._writer.keep, items)
        except RaterError as wrong:
            if wrong.exit in _FATAL and self._failed is not None and not self._failed.done():
                self._failed.set_exception(wrong)
            raise NotKept(str(wrong)) from wrong
        self._note_switches(items)
        self._learn(committed)
        now = datetime.now(UTC)
        for item in items:
            if isinstance(item, CallEvent):
                self._ringing.received(item, now)
        return committed.results

    def settings(self, reader: Reader) -> RatingSettings:
        """See rater.serve.web.ordering.desk.Desk: a store keeps its own."""
        return kept_settings(reader)

    async def note_order(self, audit: AdminAudit) -> None:
        """See rater.serve.web.ordering.desk.Desk."""
        try:
            await self._in_thread(self._writer.note_order, audit)
        except RaterError as wrong:
            raise NotKept(str(wrong)) from wrong

    async def replay_letter(self, letter: Letter, by: str, at: datetime, *, accept: bool) -> Result:
        """See rater.serve.web.ordering.desk.Desk.

        What ends between the commit and the note is replayed again, as a duplicate.
        """
        assert self._reader is not None, "it was started"
        account = self._reader.account(letter.letter.tenant) if accept else None
        try:
            records = accepted_and_again(letter, by, at, account.clock if account is not None else None)
        except RaterError as wrong:
            raise NotKept(str(wrong)) from wrong
        result = (await self.keep(records))[-1]
        accepted = result.result is not RecordResult.REFUSED
        await self._note_letter(audit_of(letter, LetterAction.REPLAYED, by, at, accepted=accepted))
        return result

    async def drop_letter(self, letter: Letter, by: str, at: datetime, note: str) -> None:
        """See rater.serve.web.ordering.desk.Desk."""
        await self._note_letter(audit_of(letter, LetterAction.DROPPED, by, at, note=note))

    async def _note_letter(self, audit: DlqAudit) -> None:
        try:
            await self._in_thread(self._writer.note_letter, audit)
        except RaterError as wrong:
            raise NotKept(str(wrong)) from wrong

    async def apply(self, topic: str, commands: Sequence[AnyCommand]) -> None:
        """Apply commands of the clock or of the gateway; raises NotKept."""
        records: list[Item] = []
        for command in commands:
            self._numbers += 1
            records.append(Record("command", Source(topic, 0, self._numbers), encode_input(command), command))
        await self.keep(records)

    def ask(
        self, question: Question, at: datetime, length_s: int | None = None, usage_id: str | None = None
    ) -> Answer | Refusal:
        """See Engine."""
        assert self._reader is not None, "it was started"
        running = self._reserved.get(question.tenant)
        return self._ringing.answer(self._reader, self._rules, question, at, running, length_s, usage_id)

    def waiting_for(self) -> list[str]:
        """See Engine."""
        if self._reader is None:
            return ["the store to be opened"]
        return ["the store, which failed"] if self._failed is None or self._failed.done() else []

    def _learn(self, committed: Committed) -> None:
        """What was committed is what switches are answered by from now on."""
        if committed.state is not None:
            assert self._reader is not None, "it was started"
            self._reader.merge(committed.state.changes())
        self._ticks.changed(committed.accounts)
        self._reserved.update(committed.reserved)
        self._due_at = committed.due_at
        for offset, order in committed.orders:
            self.orders.add(0, offset, order)
        if self._collecting is not None:
            self._collecting.ask_for(committed.requests)
        if self._carriage is not None:
            for order in committed.pressing:
                self._carriage.add(order)

    def _note_switches(self, items: Sequence[Item]) -> None:
        """Which calls are over, so that no order is given for them, and whose records came."""
        if self._carriage is None:
            return
        now_s = datetime.now(UTC).timestamp()
        for item in items:
            if isinstance(item, CallEvent):
                if item.event is CallProgress.ENDED:
                    self._carriage.ended(item.tenant, item.usage_id)
            elif item.kind == "cdr":
                seen = item.decoded if isinstance(item.decoded, CallRecord) else seen_in(item.raw)
                if seen is not None:
                    self._carriage.record_came(seen, now_s)

    async def _look(self) -> None:
        """Calls in progress by the clock: an order is at most so late."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if self._due_at is not None and self._due_at <= datetime.now(UTC):
                await self._quietly(self.keep(()))

    async def _tick(self) -> None:
        while True:
            if ticks := self._ticks.due(datetime.now(UTC)):
                await self._quietly(self.apply("clock", ticks))
            await asyncio.sleep(_TICK_S)

    async def _count_over(self) -> None:
        """Keep how many calls were asked for beyond brakes on calls at once (A50)."""
        waiting: list[CallsOverBrake] = []
        while True:
            await asyncio.sleep(OVER_EVERY_S)
            waiting = waiting or self._ringing.over.pop(datetime.now(UTC), new_over_id)
            if waiting and await self._quietly(self.apply("authorization", waiting)):
                waiting = []

    async def _quietly(self, work: Awaitable[object]) -> bool:
        """Whether it was stored; else it is tried again at the next look.  A bug in it stops nothing else."""
        try:
            await work
            return True
        except NotKept as wrong:
            log.error("time cannot pass", reason=str(wrong))
            await asyncio.sleep(_TICK_S)
        except Exception:
            log.exception("time cannot pass")
            await asyncio.sleep(_TICK_S)
        return False

    async def _in_thread(self, work: Callable[..., _T], *given: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *given)
