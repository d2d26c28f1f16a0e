"""Moves a deployment on one cluster to topics of another prefix with more partitions.

1. check that nobody works, and that everything is rated
2. create the new topics, and note in each partition that it is being filled
3. close the former partitions: whoever owns one later reads that it was moved, and stops
4. copy what happened (rated calls, debits, events, recharges, dead letters, decks) by its new partitions
5. copy the state and the compacted topics, and write a snapshot among the commits
6. open the new topics in one transaction
7. carry over inputs that nobody has rated, and put consumer groups at the end of what was copied

Killed at any point, the same command completes it; after 6 it does 7 again.  Until 6 `abandon` leads back.
"""

from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from rater.core import format_micros
from rater.kafka.changelog import META_KEY, Meta, Moving, pack
from rater.kafka.client import read_partition
from rater.kafka.compacted import LATEST
from rater.kafka.move.checks import check_target, group_ends, must_be_idle, must_stand_well, put_groups_at
from rater.kafka.move.filling import Filling, Money
from rater.kafka.move.former import close_partition, cut_topics, latest_of, state_of_partition, unrated
from rater.kafka.move.routes import (
    COPIED,
    Pairs,
    nobodys_state,
    places_of_copy,
    places_of_input,
    split_state,
)
from rater.kafka.move.writer import SetWriter, Written, append, in_transactions
from rater.kafka.settings import KafkaSettings
from rater.kafka.standing import metas_of
from rater.kafka.topics import apply, change_settings, partitions_of_task
from rater.wire.errors import Exit, RaterError
from rater.wire.topics import load_topics

Say = Callable[[str], None]


class Order(msgspec.Struct, frozen=True):
    """What to move where; `groups` are consumers whose positions are carried over."""

    source: KafkaSettings
    target: KafkaSettings
    partitions: int
    groups: Sequence[str] = ()
    with_unrated: bool = False


def writer_of(target: KafkaSettings) -> SetWriter:
    """Two moves into the same topics fence each other."""
    return SetWriter(target, f"{target.group}.move")


async def move(order: Order, say: Say) -> None:
    """See the module.  RaterError when something must be decided first."""
    source, target = order.source, order.target
    former = await partitions_of_task(source)
    if target.prefix == source.prefix or order.partitions < former:
        raise RaterError(
            f"expected another --to-prefix and at least the {former} partitions that there are, got"
            f" {target.prefix!r} and {order.partitions}"
        )
    await must_be_idle(source, say)
    metas = await metas_of(source, range(former))
    if all(meta.moved_to is None for meta in metas.values()):
        await must_stand_well(source, metas, with_unrated=order.with_unrated)
    groups = await group_ends(source, order.groups, COPIED, former)
    await create_topics(target, order.partitions)
    async with writer_of(target) as writer:
        if not await check_target(target, order.partitions, source.prefix):
            filling = Filling(target, writer, order.partitions, Moving(source.prefix, former))
            await filling.begin()
            for number in range(former):
                await close_partition(source, number, target.prefix)
            say(f"the {former} partitions of prefix {source.prefix!r} are closed")
            await _fill(order, former, filling, say)
            for group, read in groups.items():
                ends = await filling.ends(read)
                places = {(topic, number): ends[number][topic] for topic in read for number in ends}
                await put_groups_at(target, group, places)
            await filling.open(await cut_topics(source, former))
        await _carry_over(order, former, writer, say)
    say(f"open: start workers, agents and whoever publishes with --prefix {target.prefix}; then `rater verify`")


async def create_topics(target: KafkaSettings, partitions: int) -> None:
    """As `rater topics apply` does."""
    _, states = await apply(target, load_topics(), partitions)
    await change_settings(target, load_topics(), states)
    if found := [state for state in states if state.partitions != partitions]:
        raise RaterError(
            f"topics of prefix {target.prefix!r}: expected {partitions} partitions, {found[0].name} has"
            f" {found[0].partitions}; choose another --to-prefix"
        )


async def _fill(order: Order, former: int, filling: Filling, say: Say) -> None:
    source = order.source
    places_of = partial(places_of_copy, partitions=order.partitions)
    for topic in COPIED:
        count = 0
        for number in range(former):
            async for records in read_partition(source, topic, number, filling.copied(topic, number)):
                await filling.copy(records, places_of)
                count += len(records)
        say(f"{topic}: {count:,} records copied")
    for topic in LATEST:
        for number in range(former):
            await filling.put_latest(await latest_of(source, topic, number), places_of)
    left, nobody = Money(), dict[int, Pairs]()
    for number in range(former):
        homes, nobody[number] = split_state(await state_of_partition(source, number, left), order.partitions)
        await filling.put_state(homes)
    await filling.put_state(nobodys_state(nobody, order.partitions))
    await filling.snapshots()
    if (arrived := filling.money) != left:
        raise RaterError(
            f"{left.tenants} tenants with {format_micros(left.balance)} were to be moved, {arrived.tenants} with"
            f" {format_micros(arrived.balance)} arrived; the new topics are not opened. Go back with"
            " `rater partition move --abandon`, and ask the engineers",
            Exit.FAILED,
        )
    say(f"{arrived.tenants:,} tenants, balances {format_micros(arrived.balance)}, as before")


async def _carry_over(order: Order, former: int, writer: SetWriter, say: Say) -> None:
    """Publish what nobody has rated in the new topics, then note how far: a second time it is a duplicate."""
    source, count = order.source, 0
    for number, stands in (await metas_of(source, range(former))).items():
        meta = stands
        for portion in in_transactions(await unrated(source, number, meta)):
            writes: dict[tuple[str, int], list[Written]] = {}
            for record in portion:
                for home in places_of_input(record, order.partitions):
                    place = (order.target.topic(record.topic), home)
                    writes.setdefault(place, []).append(Written(record.key, record.value))
            await append(order.target, writes)
            after = {record.topic: record.offset + 1 for record in portion}
            meta = msgspec.structs.replace(meta, positions=meta.positions | after)
            await writer.commit({(source.topic("state"), number): [Written(META_KEY, pack(meta))]})
            count += len(portion)
    say(f"{count:,} unrated records carried over")


async def abandon(order: Order, say: Say) -> None:
    """Open the former topics again, as long as the new ones are not open; RaterError when they are."""
    source, target = order.source, order.target
    former = await partitions_of_task(source)
    metas: dict[int, Meta] = await metas_of(source, range(former))
    elsewhere = {meta.moved_to for meta in metas.values()} - {None, target.prefix}
    if elsewhere or all(meta.moved_to is None for meta in metas.values()):
        raise RaterError(
            f"prefix {source.prefix!r}: no move to prefix {target.prefix!r} is under way"
            + (f", one to {elsewhere} is" if elsewhere else ""),
            Exit.FAILED,
        )
    async with writer_of(target) as writer:  # fences a move that still runs
        partitions = await partitions_of_task(target)
        if await check_target(target, partitions, source.prefix):
            raise RaterError(
                f"topics of prefix {target.prefix!r} are open: what is rated there is the ledger now", Exit.FAILED
            )
        await Filling(target, writer, partitions, Moving(source.prefix, 0)).abandon()
        for number in range(former):
            await close_partition(source, number, None)
    again = f"workers may own the partitions of prefix {source.prefix!r} again"
    say(f"{again}; delete the topics of prefix {target.prefix!r}")
