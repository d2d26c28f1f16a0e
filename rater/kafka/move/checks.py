"""What must be so before a deployment is moved; each error is one line, and nothing is changed by it."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from rater.core import RESERVED_TENANTS, RULES
from rater.kafka.changelog import META_KEY, Meta, tenant_of
from rater.kafka.client import doubted, read_partition
from rater.kafka.connect import connection, reachable
from rater.kafka.input_topics import INPUTS
from rater.kafka.membership import members_of
from rater.kafka.move.former import first_commit
from rater.kafka.settings import KafkaSettings
from rater.kafka.standing import metas_of, missing_of
from rater.wire.errors import Exit, RaterError

#: Partitions and tenants that an error names.
_NAMED_MAX = 8
#: Seconds to wait: longer than the session of a member that has ended, 10 s and 20 s, if nobody set another.
WORKERS_GONE_S, AGENTS_GONE_S = 15.0, 25.0
_LOOK_AGAIN_S = 0.5


async def must_be_idle(settings: KafkaSettings, say: Callable[[str], None]) -> None:
    """No worker and no agent has joined its group; one that has ended counts until its session ends."""
    began = time.monotonic()
    for service, group, gone_s, variable in (
        ("rater worker", settings.group, WORKERS_GONE_S, "RATER_SESSION_TIMEOUT_MS"),
        ("rater agents", f"{settings.group}-agents", AGENTS_GONE_S, "RATER_SESSION_TIMEOUT_S"),
    ):
        if members := await members_of(settings, group):
            say(f"group {group}: waiting until {len(members)} of `{service}` are gone")
        while members and time.monotonic() < began + gone_s:
            await asyncio.sleep(_LOOK_AGAIN_S)
            members = await members_of(settings, group)
        if members:
            hosts = ", ".join(sorted({member.host for member in members}))
            raise RaterError(
                f"group {group}: {len(members)} of `{service}` run (from {hosts}); stop them, wait for"
                f" {variable}, and run this again; nothing was changed",
                Exit.FAILED,
            )


async def must_stand_well(settings: KafkaSettings, metas: Mapping[int, Meta], *, with_unrated: bool) -> None:
    """Every partition has the present rules, its inputs, no unrated record, and tenants of its own."""
    old = [number for number, meta in metas.items() if meta.rules < RULES]
    if old:
        raise RaterError(
            f"state: partitions {_named(old)} were written by older rules; start a worker of this release once, and"
            " run this again; nothing was changed",
            Exit.FAILED,
        )
    for number, missing in (await missing_of(settings, metas)).items():
        for one in missing:
            raise RaterError(
                f"{one.topic}[{number}]: {one.said}; decide about it first (`rater doctor` names the command) and"
                " start a worker; nothing was changed",
                Exit.FAILED,
            )
    if not with_unrated:
        await _must_be_rated(settings, metas)
    await _must_have_one_account(settings, metas)


async def _must_be_rated(settings: KafkaSettings, metas: Mapping[int, Meta]) -> None:
    waiting = [
        f"{topic}[{number}]"
        for number, meta in metas.items()
        for topic in INPUTS
        if await _has_records(settings, topic, number, meta.positions.get(topic))
    ]
    if waiting:
        raise RaterError(
            f"{_named(waiting)}: records are unrated; start a worker until `rater top` shows none, stop it, and run"
            " this again. Where no worker can rate them: --with-unrated carries them over; their arrival is then"
            " the time of the move. Nothing was changed",
            Exit.FAILED,
        )


async def _has_records(settings: KafkaSettings, topic: str, number: int, start: int | None) -> bool:
    """Whether anything lies behind a position: markers of transactions are nothing."""
    found = False
    async for records in read_partition(settings, topic, number, start):
        found = found or bool(records)
    return found


async def _must_have_one_account(settings: KafkaSettings, metas: Mapping[int, Meta]) -> None:
    homes: dict[str, list[int]] = {}
    for number in metas:
        for tenant in await _tenants_of(settings, number):
            homes.setdefault(tenant, []).append(number)
    twice = [f"{tenant} in {numbers}" for tenant, numbers in sorted(homes.items()) if len(numbers) > 1]
    if twice:
        raise RaterError(
            f"state: tenants have accounts in two partitions: {_named(twice)}; they were configured again after"
            " partitions were added, and two accounts cannot be made one. Nothing was changed; ask the engineers",
            Exit.FAILED,
        )


async def _tenants_of(settings: KafkaSettings, number: int) -> set[str]:
    tenants = set[str]()
    async for records in read_partition(settings, "state", number, None):
        for record in records:
            if record.key != META_KEY and (record.key or b"").startswith(b"account/"):
                tenants.add(tenant_of(record.key or b""))
    return tenants - RESERVED_TENANTS


async def check_target(settings: KafkaSettings, partitions: int, former: str) -> bool:
    """Whether the new topics are open already; RaterError if they are somebody else's."""
    metas = await metas_of(settings, range(partitions))
    for number, meta in metas.items():
        if meta.moving is not None and not meta.moving.partitions:
            raise RaterError(
                f"topics of prefix {settings.prefix!r}: filling them was abandoned, what is in them is old now;"
                " delete them, or choose another --to-prefix",
                Exit.FAILED,
            )
        if meta.moving is not None and meta.moving.prefix != former:
            raise RaterError(
                f"topics of prefix {settings.prefix!r}: are being filled from prefix {meta.moving.prefix!r}, not"
                f" {former!r}; choose another --to-prefix",
                Exit.FAILED,
            )
        if meta.commits and not await _was_filled_from(settings, number, former):
            raise RaterError(
                f"topics of prefix {settings.prefix!r}: a worker rates there; choose another --to-prefix",
                Exit.FAILED,
            )
    return all(meta.commits for meta in metas.values())


async def _was_filled_from(settings: KafkaSettings, number: int, former: str) -> bool:
    commit = await first_commit(settings, number)
    return commit is not None and commit.moved is not None and commit.moved.prefix == former


async def group_ends(
    settings: KafkaSettings, groups: Sequence[str], topics: Sequence[str], partitions: int
) -> dict[str, list[str]]:
    """The topics that each group reads, all of which it has read to the end; RaterError if it has not."""
    found: dict[str, list[str]] = {}
    async with doubted(settings), reachable(settings, AIOKafkaAdminClient(**connection(settings))) as admin:
        offsets = {group: await admin.list_consumer_group_offsets(group) for group in groups}
    for group, committed in offsets.items():
        found[group] = [
            topic for topic in topics if any(place.topic == settings.topic(topic) for place in committed)
        ]
        if not found[group]:
            raise RaterError(
                f"group {group}: has read none of the topics that are copied; leave it out", Exit.FAILED
            )
        for topic in found[group]:
            for number in range(partitions):
                at = committed.get(TopicPartition(settings.topic(topic), number))
                if await _has_records(settings, topic, number, at.offset if at is not None else None):
                    raise RaterError(
                        f"group {group}: has unread records in {topic}[{number}]; let it read to the end, stop"
                        " it, and run this again",
                        Exit.FAILED,
                    )
    return found


async def put_groups_at(settings: KafkaSettings, group: str, positions: Mapping[tuple[str, int], int]) -> None:
    """Commit a group's positions in the new topics; it must have no member."""
    offsets = {
        TopicPartition(settings.topic(topic), number): OffsetAndMetadata(position, "")
        for (topic, number), position in positions.items()
    }
    consumer = AIOKafkaConsumer(**connection(settings), group_id=group, enable_auto_commit=False)
    async with doubted(settings), reachable(settings, consumer):
        consumer.assign(list(offsets))
        await consumer.commit(offsets)


def _named(things: Sequence[object]) -> str:
    """The first of them in words; the rest are counted."""
    more = f" and {len(things) - _NAMED_MAX} more" if len(things) > _NAMED_MAX else ""
    return ", ".join(map(str, things[:_NAMED_MAX])) + more
