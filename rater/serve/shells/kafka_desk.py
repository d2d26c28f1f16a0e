"""Orders of the page over Kafka: published, and followed in the replica until the rating task has applied them.

An order is stored when the brokers have it; what it did is in the topics, a moment later in the replica.  Where it
is not there in time the page says that it was sent: it is applied all the same, once.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import msgspec

from rater.core import AnyCommand, RatingSettings, Reason, Refusal, RejectedCdr, command_key, letter_id, letter_key
from rater.embedded.store import Reader
from rater.engine.batch import Record
from rater.engine.trial import tried
from rater.kafka.dead_letters import KafkaLetters
from rater.kafka.publisher import NotStored, Publisher
from rater.kafka.settings import KafkaSettings
from rater.ops.metrics.labels import RecordResult
from rater.serve.group_commit import Item, Keeper, NotKept
from rater.serve.reading.desks import Desks
from rater.serve.results import Result, refused
from rater.serve.web.ordering.desk import NotAppliedYet
from rater.wire.admin_audit import TOPIC, AdminAudit
from rater.wire.codec import decode_command
from rater.wire.dead_letters import Letter
from rater.wire.errors import RaterError

#: How long an order is followed before the page says that it was sent.
APPLIED_WITHIN_S = 5.0
_LOOK_EVERY_S = 0.1
_letters = msgspec.json.Decoder(RejectedCdr)


class _Followed(NamedTuple):
    """A command: ids of the dead letters that it may become, and its result, if that is known."""

    record: Record
    command: AnyCommand
    letters: set[str]
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
        after = iter(await self._followed(new))
        return [one.result or next(after) for one in before]

    async def _followed(self, records: Sequence[_Followed]) -> list[Result]:
        until = time.monotonic() + APPLIED_WITHIN_S
        while True:
            found = await self._replica.ask(lambda books: [self._outcome(books.reader, one) for one in records])
            results = [one for one in found if one is not None]
            if len(results) == len(records):
                return results
            if time.monotonic() > until:
                raise NotAppliedYet
            await asyncio.sleep(_LOOK_EVERY_S)

    def _before(self, reader: Reader, record: Record) -> _Followed:
        """A command before it is published; if its id was applied before, with what the rules say of it.

        The same bytes are one letter.  What was refused before and is sent again has a space more, so that its
        outcome can be seen.
        """
        command = _command(record)
        while _refused(reader, command.tenant, letters := _letters_of(command.tenant, record.raw)):
            record = msgspec.structs.replace(record, raw=record.raw + b" ")
        followed = _Followed(record, command, letters, None)
        return followed._replace(result=self._applied(reader, followed, RecordResult.DUPLICATE))

    def _applied(self, reader: Reader, followed: _Followed, same: RecordResult) -> Result | None:
        """The result where the id was applied: `same`, but other money under the same id is refused (A45)."""
        command = followed.command
        if reader.load("seen", command_key(command.tenant, command.id)) is None:
            return None
        assert followed.record.arrived_at is not None, "the page says when an order came"
        trial = tried(reader, self._rating, (), command, followed.record.arrived_at)
        return Result(result=same) if trial.refused is None else refused(trial.refused, None)

    def _outcome(self, reader: Reader, followed: _Followed) -> Result | None:
        """The outcome of a command: applied, refused, or None: neither yet."""
        tenant, applied = followed.command.tenant, self._applied(reader, followed, RecordResult.ACCEPTED)
        if applied is not None:
            return applied
        if not _refused(reader, tenant, followed.letters):
            return None
        for _, value in reader.topic("rejected-cdrs", tenant, newest_first=True):
            letter = _letters.decode(value)
            if letter.id in followed.letters:
                return refused(Refusal(letter.reason, letter.field or "", letter.message), letter.id)
        return None

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


def _command(record: Record) -> AnyCommand:
    decoded = decode_command(record.raw)
    assert not isinstance(decoded, Refusal), "an order is made of a command that was encoded"
    return decoded


def _letters_of(tenant: str, raw: bytes) -> set[str]:
    """The ids of the dead letters that a command may become: one for each reason."""
    return {letter_id(tenant, raw, reason) for reason in Reason}


def _refused(reader: Reader, tenant: str, letters: set[str]) -> bool:
    return any(reader.load("seen", letter_key(tenant, id)) is not None for id in letters)
