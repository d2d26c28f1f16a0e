"""The partitions of the rating task: who owns them, whether they are rated, and what keeps them from it."""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import aiohttp
from aiokafka import TopicPartition

from rater.core import DeckActivated, Refusal
from rater.kafka.changelog import Meta
from rater.kafka.client import committed_reader, doubted, unread
from rater.kafka.connect import reachable
from rater.kafka.consume import read_topic
from rater.kafka.input_topics import COMMANDS, INPUTS, Missing
from rater.kafka.membership import members_of
from rater.kafka.settings import KafkaSettings
from rater.kafka.snapshot import SNAPSHOT_EVERY_S
from rater.kafka.standing import kept_everywhere, metas_of, missing_of
from rater.kafka.topics import alter_command, partitions_of
from rater.ops.doctor.check import Check, State, why_silent
from rater.ops.top.follower import Board
from rater.ops.top.picture import PartitionRow
from rater.wire.codec import decode_command, decode_deck
from rater.wire.topics import load_topics

#: Inputs that wait for longer than this, as the alert RaterLagHigh has it.
WAITING_FAIL_S = 60.0
#: No commit for so long while inputs wait: no worker makes progress.
IDLE_FAIL_S = 60.0
#: Of the time that inputs are kept: from here on a record that waits is in danger of being deleted.
_KEPT_SHARE_FAIL = 0.5
_DISK_WARN_SHARE, _DISK_FAIL_SHARE = 0.15, 0.05
_WORKER_TIMEOUT_S = 5
#: Unread commands of a partition that are looked through for decks.
_COMMANDS_LOOKED_AT = 10_000
_NAMED_MAX = 8
_HOUR_S = 3600


async def owners(settings: KafkaSettings) -> Check:
    """Whether every partition has a worker."""
    count = await partitions_of(settings, "cdrs")
    members = await members_of(settings, settings.group)
    owned = {number for member in members for topic, number in member.owns if topic == settings.topic("cdrs")}
    without = sorted(set(range(count)) - owned)
    said = f"{len(members)} workers own {len(owned)} of {count} partitions"
    if without:
        cause = f"{said}; no worker owns {_numbers(without)}"
        return Check("owners", State.FAIL, cause, f"rater worker --bootstrap {settings.bootstrap}")
    return Check("owners", State.OK, said)


async def progress(settings: KafkaSettings) -> Check:
    """The last commit and the oldest unrated record of each partition."""
    async with Board(settings) as board:
        rows = (await board.look()).partitions
    late = [row for row in rows if is_late(row)]
    waiting = sum(row.cdrs_waiting + row.commands_waiting for row in rows)
    if late:
        worst = max(late, key=lambda row: max(row.waiting_s or 0, row.idle_s or 0))
        oldest = "" if worst.waiting_s is None else f", the oldest call record for {worst.waiting_s:,.0f} s"
        last = "none ever" if worst.idle_s is None else f"{worst.idle_s:,.0f} s ago"
        cause = (
            f"{_numbers([row.partition for row in late])}: {waiting:,} records are unrated; in partition"
            f" {worst.partition} {worst.cdrs_waiting + worst.commands_waiting:,}{oldest}, last commit {last}"
        )
        return Check("progress", State.FAIL, cause, "curl -m 5 'http://WORKER:6066/healthz?verbose'")
    return Check("progress", State.OK, f"{waiting:,} records wait, none for more than {WAITING_FAIL_S:.0f} s")


def is_late(row: PartitionRow) -> bool:
    """Whether inputs wait and nothing was committed for a while, or the oldest waits for too long."""
    if not row.cdrs_waiting + row.commands_waiting:
        return False
    return (row.waiting_s or 0) > WAITING_FAIL_S or row.idle_s is None or row.idle_s > IDLE_FAIL_S


async def inputs(settings: KafkaSettings) -> Check:
    """Whether topics were created again, or records deleted before they were rated."""
    count = await partitions_of(settings, "cdrs")
    found = [(number, one) for number, all in (await missing_of(settings, range(count))).items() for one in all]
    if not found:
        return Check("inputs", State.OK, "topics are those that were read, and keep what is still to be rated")
    number, first = found[0]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return Check("inputs", State.FAIL, f"{first.topic}[{number}]: {first.said}{more}", _way_out(number, first))


def _way_out(number: int, missing: Missing) -> str:
    return f"{COMMANDS[missing.action]} --partition {number} --topic {missing.topic} --note WHY"


async def retention(settings: KafkaSettings) -> Check:
    """Whether unrated inputs are about to be deleted, and how far back `verify` can compute commits again."""
    count = await partitions_of(settings, "cdrs")
    numbers = range(count)
    metas, kept = await metas_of(settings, numbers), await kept_everywhere(settings, INPUTS, numbers)
    async with Board(settings) as board:
        rows = (await board.look()).partitions
    hours = load_topics()["cdrs"].retention_hours or 0
    oldest = max(rows, key=lambda row: row.waiting_s or 0)
    if hours and (oldest.waiting_s or 0) > hours * _HOUR_S * _KEPT_SHARE_FAIL:
        cause = (
            f"partition {oldest.partition}: the oldest unrated call record is"
            f" {(oldest.waiting_s or 0) / _HOUR_S:,.0f} h old and cdrs keeps {hours} h; then it is deleted"
        )
        return Check("retention", State.FAIL, cause, alter_command(settings, "cdrs", "retention.ms=-1"))
    gone = [number for number in numbers if any(there.first for there in kept[number].values())]
    old = [number for number in gone if _snapshot_is_old(metas[number], hours)]
    if old:
        cause = (
            f"{_numbers(old)}: inputs begin after the last snapshot, so `rater verify` follows commits and computes"
            " none again; a worker that is restarted writes a snapshot"
        )
        return Check("retention", State.WARN, cause, "restart the workers, one after the other")
    if gone:
        cause = f"inputs are kept {hours} h: `rater verify` computes again from the first snapshot within them"
        return Check("retention", State.OK, cause)
    return Check("retention", State.OK, "every input is kept: `rater verify` computes everything again")


def _snapshot_is_old(meta: Meta, hours: int) -> bool:
    return time.time() - meta.snapshot_at > max(hours * _HOUR_S, SNAPSHOT_EVERY_S)


async def decks_awaited(settings: KafkaSettings) -> Check:
    """Whether an unread command puts a deck in force that is not published: its partition waits for it."""
    published = {
        deck.version
        async for records in read_topic(settings, "rate-decks")
        for record in records
        if not isinstance(deck := decode_deck(record.value or b""), Refusal)
    }
    count = await partitions_of(settings, "commands")
    metas = await metas_of(settings, range(count))
    awaited: dict[str, set[int]] = {}
    for number, version in await _activations(settings, metas):
        if version not in published:
            awaited.setdefault(version, set()).add(number)
    if not awaited:
        return Check("decks awaited", State.OK, "no unread command names a deck that is not published")
    said = "; ".join(f"{version} by {_numbers(sorted(numbers))}" for version, numbers in sorted(awaited.items()))
    return Check(
        "decks awaited",
        State.FAIL,
        f"not published: {said}; each waits for RATER_DECK_WAIT_S, then rejects the command",
        "rater publish --deck FILE",
    )


async def _activations(settings: KafkaSettings, metas: Mapping[int, Meta]) -> list[tuple[int, str]]:
    """Partition and version of each unread command that puts a deck in force."""
    places = {TopicPartition(settings.topic("commands"), number): number for number in metas}
    found = []
    async with doubted(settings), reachable(settings, committed_reader(settings)) as consumer:
        first, ends = await consumer.beginning_offsets(list(places)), await consumer.end_offsets(list(places))
        consumer.assign(list(places))
        for place, number in places.items():
            start = min(max(first[place], metas[number].positions.get("commands", 0)), ends[place])
            ends[place] = min(ends[place], start + _COMMANDS_LOOKED_AT)
            consumer.seek(place, start)
        async for place, records in unread(consumer, ends):
            for record in records:
                command = decode_command(record.value or b"")
                if isinstance(command, DeckActivated):
                    found.append((place.partition, command.version))
    return found


async def workers(addresses: list[str]) -> Check:
    """What workers and agents say: partitions that stopped, with the command past that; agents set differently."""
    stopped, silent = [], []
    settings: dict[str, str] = {}
    timeout = aiohttp.ClientTimeout(total=_WORKER_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for address in addresses:
            try:
                async with session.get(f"{address.rstrip('/')}/healthz?verbose") as answer:
                    text = await answer.text()
            except (TimeoutError, aiohttp.ClientError) as wrong:
                silent.append(f"{address}: {why_silent(wrong)}")
                continue
            lines = [line for line in text.splitlines() if line.startswith("settings: ")]
            settings |= dict.fromkeys([address] if lines else [], "".join(lines))
            stopped += [f"{address}: {line}" for line in text.splitlines() if ": stopped: " in line]
    if stopped:
        command = stopped[0].rpartition("rater partition ")[2]
        fix = f"rater partition {command}" if "rater partition " in stopped[0] else "rater partition --help"
        return Check("workers", State.FAIL, "; ".join([*stopped, *silent]), fix)
    if silent:
        fix = f"curl -m {_WORKER_TIMEOUT_S} '{silent[0].partition(': ')[0]}/healthz?verbose'"
        return Check("workers", State.FAIL, "; ".join(silent), fix)
    if len(set(settings.values())) > 1:
        cause = "agents are set differently: " + ", ".join(f"{at} {line}" for at, line in settings.items())
        return Check("workers", State.WARN, cause, "give every `rater agents` the same --config and RATER_...")
    if not addresses:
        return Check("workers", State.SKIPPED, "none is named: --worker http://HOST:6066 for each")
    return Check("workers", State.OK, f"{len(addresses)} answer, no partition stopped")


def disk(folder: Path) -> Check:
    """Whether the disk of an index or a store has room."""
    if not folder.exists():
        return Check("disk", State.SKIPPED, f"no {folder} here; --index names a worker's folder")
    room = shutil.disk_usage(folder)
    said = f"{folder.absolute()}: {room.free / 2**30:,.1f} of {room.total / 2**30:,.1f} GiB are free"
    fix = f"df -h {folder}"
    if room.free < room.total * _DISK_FAIL_SHARE:
        return Check("disk", State.FAIL, said, fix)
    return Check("disk", State.WARN if room.free < room.total * _DISK_WARN_SHARE else State.OK, said, fix)


def _numbers(numbers: list[int]) -> str:
    """Partitions in words; many are counted."""
    if len(numbers) > _NAMED_MAX:
        return f"partitions {', '.join(map(str, numbers[:_NAMED_MAX]))} and {len(numbers) - _NAMED_MAX} more"
    return f"partition{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
