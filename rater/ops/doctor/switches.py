"""The switches of `switches.yaml`: whether each can be reached, its last record and its last order."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from rater.agents.order_reader import TOPIC as ORDERS
from rater.agents.order_reader import order_in
from rater.agents.switches.belonging import NoSwitch, Switches
from rater.agents.switches.carrier import Disobeyed
from rater.agents.switches.completeness import seen_in
from rater.agents.switches.kinds import carrier_of
from rater.agents.switches.settings import SwitchEntry, read_switches
from rater.core import CallCommand
from rater.embedded.store import open_reader
from rater.kafka.access_errors import DeniedError
from rater.kafka.consume import read_topic
from rater.kafka.port import Doubt
from rater.kafka.settings import KafkaSettings
from rater.ops.doctor.check import Check, State
from rater.ops.doctor.outside import answer_of
from rater.ops.metrics.listed import SWITCH_LAST_RECORD
from rater.wire.errors import RaterError

#: The last records of each partition that are looked through.
_LOOKED_AT = 500


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
        async for some in read_topic(kafka, "cdrs", last=_LOOKED_AT):
            for record in some:
                if (seen := seen_in(record.value or b"")) is not None:
                    records.note(seen.switch, datetime.fromtimestamp(record.published_ms / 1e3, UTC))
        async for some in read_topic(kafka, ORDERS, last=_LOOKED_AT):
            _note_orders(orders, entries, filter(None, (order_in(record.value) for record in some)))
    except (DeniedError, Doubt, RaterError) as wrong_read:
        cause = str(wrong_read).partition("\n")[0]
        unread_topics = Check("switches' records", State.SKIPPED, cause, "rater acls --service agents")
        return [unread_topics, *[await _look(entry, []) for entry in entries]]
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
        async with answer_of(f"{server.rstrip('/')}/metrics") as answer:
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
