"""Takes over from a site that is gone, on the cluster that has its mirror.

1. create new topics, and note in each partition that it is being filled
2. compute each partition again (see `replaying`): the ledger up to the last commit that is wholly mirrored
3. copy decks, decisions about dead letters and call events; carry over inputs that are to be rated anew
4. write state and snapshots, open the new topics in one transaction

Killed at any point, the same command completes it.  The mirror is only read; no more may arrive in it meanwhile.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import msgspec

from rater.core import Account, RatingSettings, RechargeRequest, format_micros
from rater.kafka.changelog import Moving
from rater.kafka.client import read_partition
from rater.kafka.decks import DeckReader
from rater.kafka.move.checks import check_target
from rater.kafka.move.filling import Filling, Money
from rater.kafka.move.moving import Order, Say, create_topics, writer_of
from rater.kafka.move.replaying import Mirror, Replay
from rater.kafka.move.routes import (
    COPIED,
    Pairs,
    nobodys_state,
    places_of_copy,
    places_of_input,
    split_state,
)
from rater.kafka.port import Consumed
from rater.kafka.snapshot import HISTORY
from rater.kafka.topics import partitions_of
from rater.wire.errors import RaterError

_OTHERS = tuple(topic for topic in COPIED if topic not in HISTORY)
_request = msgspec.json.Decoder(RechargeRequest).decode


class Report(msgspec.Struct):
    """What was taken over: `ahead` are outputs of the other site that are not in the ledger here."""

    commits: int = 0
    outputs: int = 0
    unrated: int = 0
    money: Money = msgspec.field(default_factory=Money)
    ahead: list[Consumed] = []
    #: Payments that the other site may have asked for, and that this one may ask for under another id.
    recharges: list[RechargeRequest] = []


async def take_over(order: Order, rating: RatingSettings, say: Say) -> Report:
    """See the module.  RaterError when the mirror does not fit; nothing is open then."""
    source, target = order.source, order.target
    former = await partitions_of(source, "cdrs")
    if target.prefix == source.prefix or order.partitions < former:
        raise RaterError(
            f"expected another --to-prefix and at least the {former} partitions of the mirror, got"
            f" {target.prefix!r} and {order.partitions}"
        )
    await create_topics(target, order.partitions)
    report, decks = Report(), DeckReader(source, 0)
    await decks.start()
    try:
        async with writer_of(target) as writer:
            if await check_target(target, order.partitions, source.prefix):
                say(f"the topics of prefix {target.prefix!r} are open already; nothing was changed")
                return report
            filling = Filling(target, writer, order.partitions, Moving(source.prefix, former))
            await filling.begin()
            cut = await _fill(order, Mirror(source, rating, decks.tariffs, former), filling, report, say)
            await filling.open(tuple(sorted(cut)))
    finally:
        await decks.stop()
    return report


async def _fill(order: Order, mirror: Mirror, filling: Filling, report: Report, say: Say) -> set[str]:
    """Everything but the opening; the topics whose first records are not there."""
    copies = partial(places_of_copy, partitions=order.partitions)
    for topic in _OTHERS:
        for number in range(mirror.partitions):
            async for records in read_partition(order.source, topic, number, filling.copied(topic, number)):
                await filling.copy(records, copies)
    nobody: dict[int, Pairs] = {}
    cut = set[str]()
    for number in range(mirror.partitions):
        replay = await Replay.of(mirror, number)
        async for records in replay.outputs():
            report.outputs += len(records)
            for new in _new(filling, records):
                await filling.copy(new, copies)
        unrated = await replay.unrated()
        for new in _new(filling, unrated):
            await filling.append(new, partial(places_of_input, partitions=order.partitions))
        await filling.put_latest(await replay.latest(), copies)
        homes, nobody[number] = split_state(replay.state(), order.partitions)
        await filling.put_state(homes)
        for account in replay.memory.entities["account"].values():
            assert isinstance(account, Account)
            report.money.add(account)
        _note(report, replay, unrated, await replay.ahead())
        cut |= replay.cut
        say(f"partition {number}: {replay.commits:,} commits computed again, {len(unrated):,} records to be rated")
    await filling.put_state(nobodys_state(nobody, order.partitions))
    await filling.snapshots()
    if filling.money != report.money:
        raise RaterError(
            f"computed {format_micros(report.money.balance)} of {report.money.tenants} tenants, written"
            f" {format_micros(filling.money.balance)} of {filling.money.tenants}: a bug; nothing is open"
        )
    return cut


def _new(filling: Filling, records: Sequence[Consumed]) -> Iterator[list[Consumed]]:
    """Those that an earlier attempt has not written, a topic at a time."""
    for topic in dict.fromkeys(record.topic for record in records):
        of_topic = [record for record in records if record.topic == topic]
        done = filling.copied(topic, of_topic[0].partition) or 0
        if new := [record for record in of_topic if record.offset >= done]:
            yield new


def _note(report: Report, replay: Replay, unrated: list[Consumed], ahead: list[Consumed]) -> None:
    report.commits += replay.commits
    report.unrated += len(unrated)
    report.ahead += ahead
    report.recharges += [_request(record.value or b"") for record in ahead if record.topic == "recharges"]
