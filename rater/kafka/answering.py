"""Whether brokers answer while a command works: a broker that hangs accepts connections and does not answer.

The client library waits for its records without end then.  So a small question is asked beside the work, again and
again: after a few seconds without answer a person is informed, after many the work is ended.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaError

from rater.kafka.access_errors import refusal
from rater.kafka.connect import READ, UnreachableError, a_connection
from rater.kafka.port import Doubt
from rater.kafka.settings import KafkaSettings
from rater.kafka.topic_ids import IdsRequest
from rater.wire.errors import Exit, RaterError

#: Seconds without an answer after which a line says that a broker is waited for,
SILENT_S = 3.0
#: and after which nothing more is expected: longer than any request waits (REQUEST_TIMEOUT_MS).
GIVE_UP_S = 30.0
_ASK_EVERY_S = 2.0
#: What the ended work may need to close its clients.
_CLOSE_WITHIN_S = 5.0
#: Exit codes of errors that a silent broker causes; others are the command's own.
_OF_SILENCE = (Exit.UNREACHABLE, Exit.DENIED)

_Answer = TypeVar("_Answer")


class Answering:
    """Asks while the block runs; `say` is given one line when a silence begins."""

    def __init__(self, settings: KafkaSettings, say: Callable[[str], None]) -> None:
        self._settings, self._say = settings, say
        self._connection: AIOKafkaConnection | None = None
        self._asking: asyncio.Task[None] | None = None
        self._silent_since: float | None = None
        self._answered = False
        self._gone = asyncio.Event()

    def is_silent(self) -> bool:
        """Whether the last question was not answered in time."""
        return self._silent_since is not None

    async def __aenter__(self) -> Self:
        """Begin to ask."""
        self._asking = asyncio.create_task(self._ask_again_and_again(), name="asking whether brokers answer")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, wrong: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ask no more."""
        assert self._asking is not None, "entered"
        self._asking.cancel()
        await asyncio.gather(self._asking, return_exceptions=True)
        self._close()

    async def answer(self, work: Coroutine[Any, Any, _Answer]) -> _Answer:
        """What the work returns; UnreachableError if it fails, or goes on, while no broker answers."""
        working, gone = asyncio.create_task(work), asyncio.create_task(self._gone.wait())
        try:
            await asyncio.wait([working, gone], return_when=asyncio.FIRST_COMPLETED)
            if working.done() and not working.cancelled():  # a consumer that is stopped may cancel who stops it
                return working.result()
        except (KafkaError, TimeoutError, Doubt, RaterError) as wrong:
            if self.is_silent() and not (isinstance(wrong, RaterError) and wrong.exit not in _OF_SILENCE):
                raise self.unreachable() from wrong
            if isinstance(wrong, KafkaError):
                raise refusal(self._settings, READ, wrong) from wrong
            raise
        finally:
            gone.cancel()
            working.cancel()
            await asyncio.wait([working], timeout=_CLOSE_WITHIN_S)
        raise self.unreachable()

    def unreachable(self) -> UnreachableError:
        """The error that says that nobody answers."""
        return UnreachableError(self._settings, TimeoutError())

    async def _ask_again_and_again(self) -> None:
        while True:
            try:
                async with asyncio.timeout(SILENT_S):
                    await self._ask()
                self._silent_since = None
                self._answered = True
            except TimeoutError:
                self._note_silence()
            except (KafkaError, OSError):
                self._close()
                if self._answered:  # else the work meets that itself, and says what it is
                    self._note_silence()
            await asyncio.sleep(_ASK_EVERY_S)

    async def _ask(self) -> None:
        if self._connection is None:
            self._connection = await a_connection(self._settings)
        await self._connection.send(IdsRequest([]))

    def _note_silence(self) -> None:
        self._close()
        if self._silent_since is None:
            self._silent_since = time.monotonic()
            self._say(f"waiting for Kafka at {self._settings.bootstrap}, which does not answer")
        if time.monotonic() - self._silent_since > GIVE_UP_S:
            self._gone.set()

    def _close(self) -> None:
        opened, self._connection = self._connection, None
        if opened is not None:
            opened.close()
