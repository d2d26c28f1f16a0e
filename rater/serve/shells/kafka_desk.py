"""Orders of the page over Kafka: published, and followed in the replica until the rating task has applied them.

An order is stored when the brokers have it; what it did is in the topics, a moment later in the replica.  Where it
is not there in time the page says that it was sent, and goes on looking: it is applied all the same, once.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import msgspec

from rater.core import RatingSettings
from rater.embedded.store import Reader
from rater.engine.batch import Record
from rater.kafka.dead_letters import KafkaLetters
from rater.kafka.publisher import NotStored, Publisher
from rater.kafka.settings import KafkaSettings
from rater.ops.metrics.labels import RecordResult
from rater.serve.group_commit import Item, Keeper, NotKept
from rater.serve.reading.desks import Desks
from rater.serve.results import Result
from rater.serve.web.ordering.desk import NotAppliedYet
from rater.serve.web.ordering.outcomes import Followed
from rater.wire.admin_audit import TOPIC, AdminAudit
from rater.wire.dead_letters import Letter
from rater.wire.errors import RaterError

#: How long an order is followed before the page says that it was sent.
APPLIED_WITHIN_S = 5.0
_LOOK_EVERY_S = 0.1


class _Sent(NamedTuple):
    """A command, how it is followed, and its result, if that is known."""

    record: Record
    followed: Followed
    result: Result | None


class KafkaDesk:
    """See rater.serve.web.ordering.desk.Desk."""

    def __init__(
        self, kafka: KafkaSettings, rating: RatingSettings, publisher: Publisher, keeper: Keeper, replica: Desks
    ) -> None:
        """`keeper` publishes commands; `replica` is read for their outcomes; `rating` is what workers rate by."""
        self._rating, self._publisher, self._keeper, self._replica = rating, publisher, keeper, replica
        self._box = KafkaLetters(kafka, _talk, APPLIED_WITHIN_S)

    def settings(self, _: Reader) -> RatingSettings:
        """See Desk."""
        return self._rating

    async def note_order(self, audit: AdminAudit) -> None:
        """Publish who ordered what; raises NotKept."""
        try:
            await self._publisher.publish(TOPIC, audit.tenant, msgspec.json.encode(audit))
        except NotStored as wrong:
            raise NotKept(str(wrong)) from wrong

    async def keep(self, items: Sequence[Item]) -> Sequence[Result]:
        """Publish commands, and follow them; what was applied before is not published again.

        Raises NotKept, or NotAppliedYet: they are stored, and will be applied.
        """
        records = [item for item in items if isinstance(item, Record)]
        before = await self._replica.ask(lambda books: [self._before(books.reader, record) for record in records])
        new = [one for one in before if one.result is None]
        if new:
            await self._keeper.keep([one.record for one in new])
        found = await self._followed([one.followed for one in new])
        if found is None:
            raise NotAppliedYet([one.record.raw for one in before])
        after = iter(found)
        return [one.result or next(after) for one in before]

    async def _followed(self, commands: Sequence[Followed]) -> list[Result] | None:
        until = time.monotonic() + APPLIED_WITHIN_S
        while True:
            found = await self._replica.ask(
                lambda books: [one.outcome(books.reader, self._rating) for one in commands]
            )
            results = [one for one in found if one is not None]
            if len(results) == len(commands):
                return results
            if time.monotonic() > until:
                return None
            await asyncio.sleep(_LOOK_EVERY_S)

    def _before(self, reader: Reader, record: Record) -> _Sent:
        """A command before it is published; if its id was applied before, with what the rules say of it.

        The same bytes are one letter.  What was refused before and is sent again has a space more, so that its
        outcome can be seen.
        """
        assert record.arrived_at is not None, "the page says when an order came"
        while (followed := Followed.of(record.raw, record.arrived_at)).is_refused(reader):
            record = msgspec.structs.replace(record, raw=record.raw + b" ")
        return _Sent(record, followed, followed.applied(reader, self._rating, RecordResult.DUPLICATE))

    async def replay_letter(self, letter: Letter, by: str, at: datetime, *, accept: bool) -> Result:
        """See Desk; raises NotAppliedYet where the outcome is not known in time."""
        (audit,) = await _in_thread(partial(self._box.replay, [letter], by, at, accept=accept)) or [None]
        if audit is None:
            raise NotKept("expected a record that may be replayed and whose bytes are kept; drop it")
        if audit.accepted is None:
            raise NotAppliedYet
        if audit.accepted:
            return Result(result=RecordResult.ACCEPTED)
        message = "it was refused again; its dead letter says why"
        return Result(result=RecordResult.REFUSED, message=message, dead_letter=letter.letter.id)

    async def drop_letter(self, letter: Letter, by: str, at: datetime, note: str) -> None:
        """See Desk."""
        await _in_thread(partial(self._box.drop, [letter], by, at, note))


async def _in_thread(work: Callable[[], Any]) -> Any:
    """What speaks with the cluster in a loop of its own, as the command line does."""
    try:
        return await asyncio.to_thread(work)
    except RaterError as wrong:
        raise NotKept(str(wrong)) from wrong


def _talk(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)
