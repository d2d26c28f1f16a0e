"""Calls of a deployment that are rated again: which ones another price list changes, and the commands on their way.

What the rules need to know is read from the topics `state` and `rated-calls`, as a worker does that acquires a
partition over; so the sums are those that the worker comes to, unless calls come in between.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from rater.core import (
    RULES,
    CallRecord,
    CallRerated,
    Committed,
    Entity,
    Key,
    Outcome,
    RatedCall,
    RateDeck,
    RatingSettings,
    Reason,
    Refusal,
    RejectedCdr,
    Rules,
    rerating_id,
)
from rater.engine.rerating import Order, Plan, Standing, plan_of
from rater.kafka.batch_publisher import publish
from rater.kafka.changelog import Entities
from rater.kafka.client import read_partition
from rater.kafka.consume import ends_of
from rater.kafka.decks import DeckReader
from rater.kafka.publisher import partition_of
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import partitions_of
from rater.wire.codec import decode_command, encode_input
from rater.wire.commits import Commit, part_of
from rater.wire.errors import Exit, RaterError

#: How often a partition is read anew because calls of it were corrected meanwhile.
_TRIES = 5
_LOOK_AGAIN_S = 0.3
#: Versions of decks that an error names: the last ones.
_NAMED_MAX = 10
_FOLLOWED = ("commits", "rated-calls", "rejected-cdrs")

_calls = msgspec.json.Decoder(RatedCall)
_letters = msgspec.json.Decoder(RejectedCdr)
_commits = msgspec.json.Decoder(Commit)


class Planned(msgspec.Struct, frozen=True):
    """A plan with the ends of the topics before it was made: what the commands cause stands behind them."""

    plan: Plan
    before: dict[str, dict[int, int]]


class Came(msgspec.Struct, frozen=True):
    """Outcomes of the commands: `repeated` had been applied before, `waiting` are not rated yet."""

    rated: int
    refused: dict[Reason, int]
    repeated: int
    waiting: int


class _Partition(Committed):
    """A partition as the topics say it; see rater.core.state.Committed."""

    def __init__(self, entities: Entities, standing: Standing) -> None:
        self._entities, self._standing = entities, standing

    def load(self, kind: str, key: Key) -> Entity | None:
        """See Committed."""
        return self._standing.live(*key) if kind == "call" else self._entities.load(kind, key)

    def prepare(self, calls: Sequence[CallRecord]) -> None:
        """See Committed; everything is at hand."""


async def planned(
    settings: KafkaSettings,
    rating: RatingSettings,
    order: Order,
    deck: RateDeck | None,
    progress: Callable[[int], None] = lambda _: None,
) -> Planned:
    """What the order changes; `deck` is one that is not published yet.  RaterError if the order's is neither."""
    before = {topic: await ends_of(settings, topic) for topic in _FOLLOWED}
    decks = DeckReader(settings, 0)
    await decks.start()
    await decks.stop()
    if deck is not None:
        decks.tariffs.publish(deck)
    if order.deck not in decks.tariffs:
        raise RaterError(
            f"--deck: expected a CSV file or the version of a published deck, got {order.deck!r};"
            f" published are {', '.join(sorted(decks.tariffs)[-_NAMED_MAX:]) or 'none'}"
        )
    plan, count = Plan(), await partitions_of(settings, "rated-calls")
    for partition in range(count) if order.tenant is None else (partition_of(order.tenant, count),):
        entities, standing = await _read(settings, order, partition)
        committed = _Partition(entities, standing)
        plan_of(committed, Rules(rating, decks.tariffs), order, standing.calls(), plan, progress)
    return Planned(plan, before)


async def _read(settings: KafkaSettings, order: Order, partition: int) -> tuple[Entities, Standing]:
    """The state of a partition and its calls: none of the calls is older than the state says."""
    standing = Standing(order)
    position, _ = await _note_calls(settings, order, partition, standing, 0)
    for _ in range(_TRIES):
        entities = Entities()
        async for records in read_partition(settings, "state", partition, None):
            for record in records:
                assert record.key is not None
                entities.apply(record.key, record.value)
        if entities.meta.rules < RULES:
            raise RaterError(f"partition {partition}: written by an older rater; start a worker of this one first")
        position, corrected = await _note_calls(settings, order, partition, standing, position)
        if not corrected:
            return entities, standing
    raise RaterError(
        f"partition {partition}: calls are being corrected at this moment; run the command again", Exit.FAILED
    )


async def _note_calls(
    settings: KafkaSettings, order: Order, partition: int, standing: Standing, start: int
) -> tuple[int, bool]:
    """The position after the last call, and whether one of the order's tenants was corrected."""
    corrected = False
    async for records in read_partition(settings, "rated-calls", partition, start):
        for record in records:
            call = standing.note(record.value or b"")
            corrected |= call.outcome is Outcome.CORRECTED and order.tenant in (None, call.tenant)
            start = record.offset + 1
    return start, corrected


async def send(
    settings: KafkaSettings, planned: Planned, wait_s: float, progress: Callable[[int], None] = lambda _: None
) -> Came:
    """Publish the commands in their order and follow them; until none was rated for `wait_s` seconds."""
    commands = planned.plan.commands
    await publish(settings, [("commands", c.tenant, encode_input(c)) for c in commands], progress)
    return await _Followed(settings, commands, planned.before).came(wait_s)


class _Followed:
    """Commands that were published, and what the rating task has written about them so far."""

    def __init__(
        self, settings: KafkaSettings, commands: Sequence[CallRerated], before: dict[str, dict[int, int]]
    ) -> None:
        self._settings = settings
        self._positions = before
        self._expected = {rerating_id(command): command for command in commands}
        self._ids = {command.id for command in commands}
        self._taken: dict[int, int] = {}
        self._rated: set[str] = set()
        self._refused: Counter[Reason] = Counter()

    async def came(self, wait_s: float) -> Came:
        """Their outcomes, once all were applied or no worker applies them any more."""
        count = await partitions_of(self._settings, "commands")
        ends = await ends_of(self._settings, "commands")
        partitions = {partition_of(command.tenant, count) for command in self._expected.values()}
        deadline = time.monotonic() + wait_s
        while waiting := [n for n in partitions if self._taken.get(n, 0) < ends[n]]:
            before = dict(self._taken)
            for partition in waiting:
                await self._note_commits(partition)
            if self._taken != before:
                deadline = time.monotonic() + wait_s
            elif time.monotonic() > deadline:
                break
            await asyncio.sleep(_LOOK_AGAIN_S)  # a transaction becomes visible topic by topic
        for partition in partitions:
            await self._note_outputs(partition)
        left = [
            command for id, command in self._expected.items() if id not in self._rated and command.id in self._ids
        ]
        late = sum(partition_of(command.tenant, count) in waiting for command in left)
        return Came(len(self._rated), dict(self._refused), len(left) - late, late)

    async def _note_commits(self, partition: int) -> None:
        async for value in self._values("commits", partition):
            self._taken[partition] = _commits.decode(value).commands_next

    async def _note_outputs(self, partition: int) -> None:
        async for value in self._values("rated-calls", partition):
            if (id := _calls.decode(value).id) in self._expected:
                self._rated.add(id)
        async for value in self._values("rejected-cdrs", partition):
            letter = _letters.decode(value)
            if letter.source.topic == "commands" and (id := _id_of(letter)) in self._ids:
                self._ids.discard(id)
                self._refused[letter.reason] += 1

    async def _values(self, topic: str, partition: int) -> AsyncIterator[bytes]:
        async for records in read_partition(self._settings, topic, partition, self._positions[topic][partition]):
            for record in records:
                self._positions[topic][partition] = record.offset + 1
                if topic != "commits" or part_of(record.key) is None:
                    yield record.value or b""


def _id_of(letter: RejectedCdr) -> str:
    """The id of a command that was refused; empty where its bytes do not say one."""
    command = decode_command(letter.raw.encode())
    return "" if isinstance(command, Refusal) else command.id
