"""The switches of `switches.yaml`: whether each can be reached, its last record and its last order."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import msgspec
from aiokafka import ConsumerRecord, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from rater.agents.switches.belonging import NoSwitch, Switches
from rater.agents.switches.carrier import Disobeyed
from rater.agents.switches.completeness import seen_in
from rater.agents.switches.kinds import carrier_of
from rater.agents.switches.settings import SwitchEntry, read_switches
from rater.core import CallCommand
from rater.embedded.store import open_reader
from rater.kafka.access_errors import DeniedError
from rater.kafka.client import committed_reader, unread
from rater.kafka.connect import reachable
from rater.kafka.port import Doubt
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import partitions_of
from rater.ops.doctor.check import Check, State
from rater.ops.metrics.listed import SWITCH_LAST_RECORD
from rater.wire.errors import RaterError

#: The last records of each partition that are looked through.
_LOOKED_AT = 500
_METRICS_WITHIN_S = 10.0
_orders = msgspec.json.Decoder(CallCommand)


class _Last:
    """When something last concerned a switch; `within` is what was looked through."""

    def __init__(self, within: str) -> None:
        self.within = within
        self.at: dict[str, datetime] = {}

    def note(self, switch: str | None, at: datetime) -> None:
        """It concerned this switch at this instant."""
        if switch is not None:
            self.at[switch] = max(at, self.at.get(switch, at))

    def said(self, what: str, switch: str) -> str:
        """In words."""
        if (at := self.at.get(switch)) is None:
            return f"no {what} {self.within}"
        return f"the last {what} {(datetime.now(UTC) - at).total_seconds():,.0f} s ago"


async def on_kafka(file: Path, kafka: KafkaSettings) -> list[Check]:
    """Each switch, with the last records and orders of the topics, as far as they may be read."""
    entries, wrong = _entries(file)
    if wrong is not None:
        return [wrong]
    records, orders = _Last("among the latest"), _Last("among the latest")
    try:
        for record in await _latest(kafka, "cdrs"):
            if (seen := seen_in(record.value or b"")) is not None:
                records.note(seen.switch, datetime.fromtimestamp(record.timestamp / 1e3, UTC))
        decoded = [_orders.decode(record.value or b"{}") for record in await _latest(kafka, "call-commands")]
    except (DeniedError, Doubt, RaterError, msgspec.DecodeError) as wrong_read:
        cause = str(wrong_read).partition("\n")[0]
        unread_topics = Check("switches' records", State.SKIPPED, cause, "rater acls --service agents")
        return [unread_topics, *[await _look(entry, []) for entry in entries]]
    _note_orders(orders, entries, decoded)
    said = [(records, "record"), (orders, "order")]
    return [await _look(entry, [last.said(what, entry.name) for last, what in said]) for entry in entries]


async def on_store(file: Path, store: Path, server: str | None) -> list[Check]:
    """Each switch, with the last order of a store, and the last record that a server over it has counted."""
    entries, wrong = _entries(file)
    if wrong is not None:
        return [wrong]
    orders = _Last("in the store")
    try:
        reader = open_reader(store)
    except RaterError:
        return [await _look(entry, []) for entry in entries]  # what is wrong with the store is another check
    try:
        _note_orders(orders, entries, reader.orders())
    finally:
        reader.close()
    said = [(orders, "order")]
    if server is not None and (records := await _counted(server)) is not None:
        said.insert(0, (records, "record"))
    return [await _look(entry, [last.said(what, entry.name) for last, what in said]) for entry in entries]


async def _counted(server: str) -> _Last | None:
    """When a server's metrics say that each switch's last record came; None: it does not answer."""
    try:
        timeout = aiohttp.ClientTimeout(total=_METRICS_WITHIN_S)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(f"{server}/metrics") as answer:
            text = await answer.text()
    except (TimeoutError, aiohttp.ClientError):
        return None  # what is wrong with the server is another check
    last = _Last("since the server started")
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == SWITCH_LAST_RECORD.name and sample.value:
                last.note(sample.labels["switch"], datetime.fromtimestamp(sample.value, UTC))
    return last


def _entries(file: Path) -> tuple[tuple[SwitchEntry, ...], Check | None]:
    try:
        return read_switches(file).switches, None
    except RaterError as wrong:
        cause = "; ".join(str(wrong).splitlines())
        return (), Check("switches", State.FAIL, cause, f"RATER_SWITCHES_FILE={file} rater config check")


def _note_orders(last: _Last, entries: tuple[SwitchEntry, ...], orders: Iterable[CallCommand]) -> None:
    switches = Switches(entries)
    for order in orders:
        try:
            entry = switches.of(order)
        except NoSwitch:
            continue
        last.note(entry.name if entry is not None else None, order.at)


async def _look(entry: SwitchEntry, said: list[str]) -> Check:
    name = f"switch {entry.name}"
    try:
        async with carrier_of(entry, lambda: datetime.now(UTC)) as carrier:
            found = await carrier.look()
    except (Disobeyed, RaterError) as wrong:
        return Check(name, State.FAIL, "; ".join([str(wrong), *said]), f"curl -v {entry.address}")
    return Check(name, State.OK, "; ".join([found, *said]))


async def _latest(kafka: KafkaSettings, topic: str) -> list[ConsumerRecord]:
    """The last records of each partition."""
    count = await partitions_of(kafka, topic)
    places = [TopicPartition(kafka.topic(topic), number) for number in range(count)]
    found: list[ConsumerRecord] = []
    async with reachable(kafka, committed_reader(kafka)) as consumer:
        first: Mapping[TopicPartition, int] = await consumer.beginning_offsets(places)
        ends: Mapping[TopicPartition, int] = await consumer.end_offsets(places)
        consumer.assign(places)
        for place in places:
            consumer.seek(place, max(first[place], ends[place] - _LOOKED_AT))
        async for _, records in unread(consumer):
            found += records
    return found
