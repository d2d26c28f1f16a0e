"""What records of the topics change in a replica.  Does no I/O.

Three kinds of topics.  Of most each record is a row, until the topic deletes it.  Of `balances` and
`service-states`, which are compacted, only the last record of each key is one, so that a file is the same whatever
the broker has compacted already.  `state` and `rate-decks` are what a store keeps as entities and decks.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar

import msgspec

from rater.core import CallCommand, RateDeck, ServiceState, normal_usage_id
from rater.embedded.entities import seen_key
from rater.kafka.changelog import META_KEY, Meta, place_of, read_meta
from rater.kafka.port import Consumed
from rater.wire.codec import decode_deck
from rater.wire.dead_letters import DlqAudit

STATE, DECKS, AUDIT, ORDERS = "state", "rate-decks", "dlq-audit", "call-commands"
#: Every record is a row.
KEPT = ("rated-calls", "debits", "account-events", "recharges", "rejected-cdrs", ORDERS, AUDIT)
#: The last record of each key is a row.
LATEST = ("balances", "service-states")
TOPICS = (STATE, *KEPT, *LATEST, DECKS)
#: Topics of which compaction deletes what another record replaced, and in the end the one that says a key is gone.
COMPACTED = (STATE, *LATEST, DECKS)
#: Records of `state` that wait for the end of their transaction; compaction leaves many that have none any more.
HELD_MAX = 20_000


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class Row(NamedTuple):
    """A row of a topic's table: whose, what it is looked up by, the record."""

    tenant: str
    key: str | None
    value: bytes


class Position(NamedTuple):
    """The next offset, and the broker's stamp of the last record before it, in Unix milliseconds."""

    offset: int
    stamp_ms: int


class Changes:
    """What some records change, to be committed together."""

    def __init__(self) -> None:
        #: Rows of topics that keep every record, with their offsets.
        self.kept: dict[Place, list[tuple[int, Row]]] = {}
        #: By topic and key of the record the row that stands now; None: it is gone.
        self.latest: dict[str, dict[bytes, Row | None]] = {}
        #: By kind, tenant and name; None: it is gone.
        self.entities: dict[tuple[str, str, str], bytes | None] = {}
        #: Ids of commands and dead letters, as a store keeps them; None: it is gone.
        self.seen: dict[bytes, bytes | None] = {}
        self.decks: dict[str, bytes] = {}
        self.positions: dict[Place, Position] = {}
        #: Where records stand that this program cannot read; they are passed over.
        self.unreadable: list[tuple[Place, int]] = []
        #: The rating task's position in each partition.
        self.metas: dict[int, Meta] = {}
        self.records = 0


class Reading:
    """Makes changes of records, each partition's in order; `changes` begins anew each time."""

    def __init__(self) -> None:
        self._changes = Changes()
        self._held: dict[int, list[Consumed]] = {}

    @property
    def held(self) -> int:
        """How many records of `state` wait for the end of their transaction."""
        return sum(map(len, self._held.values()))

    def changes(self) -> Changes:
        """What the records so far change."""
        found, self._changes = self._changes, Changes()
        return found

    def add(self, place: Place, records: Sequence[Consumed]) -> None:
        """The next records of a partition; RaterError if a newer program wrote the state."""
        if place.topic == STATE:
            records = self._whole_transactions(place.partition, records)
        if not records:
            return
        changes = self._changes
        match place.topic:
            case "state":
                self._add_state(place.partition, records)
            case "rate-decks":
                self._add_decks(place, records)
            case topic if topic in LATEST:
                self._add_latest(place, records)
            case _:
                self._add_kept(place, records)
        changes.positions[place] = Position(records[-1].offset + 1, records[-1].published_ms)
        changes.records += len(records)

    def _whole_transactions(self, partition: int, records: Sequence[Consumed]) -> Sequence[Consumed]:
        """What was held and what came, up to the last meta record; it ends the rating task's transactions."""
        held = [*self._held.pop(partition, ()), *records]
        ends = next((at for at in range(len(held), 0, -1) if held[at - 1].key == META_KEY), 0)
        if not ends and len(held) > HELD_MAX:
            ends = len(held)
        if ends < len(held):
            self._held[partition] = held[ends:]
        return held[:ends]

    def _add_state(self, partition: int, records: Sequence[Consumed]) -> None:
        entities, seen = self._changes.entities, self._changes.seen
        for record in records:
            key = record.key or b""
            if key == META_KEY:
                if record.value is not None:
                    self._changes.metas[partition] = read_meta(record.value)
                continue
            kind, name = place_of(key)
            if kind == "seen":
                seen[seen_key(name)] = record.value
            else:
                entities[(kind, *name)] = record.value

    def _add_decks(self, place: Place, records: Sequence[Consumed]) -> None:
        for record in records:
            if not record.value:
                continue  # a record that could not be read was removed
            deck = decode_deck(record.value)
            value = msgspec.json.encode(deck) if isinstance(deck, RateDeck) else b""
            if isinstance(deck, RateDeck) and _decodes(_decks, value):
                self._changes.decks.setdefault(deck.version, value)
            else:
                self._changes.unreadable.append((place, record.offset))

    def _add_latest(self, place: Place, records: Sequence[Consumed]) -> None:
        rows, row_of = self._changes.latest.setdefault(place.topic, {}), _ROW_OF[place.topic]
        for record in records:
            key, row = record.key or b"", None
            if record.value is not None:
                try:
                    row = row_of(record.value)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    self._changes.unreadable.append((place, record.offset))
                    continue
            rows.pop(key, None)  # the last one written has the last row
            rows[key] = row

    def _add_kept(self, place: Place, records: Sequence[Consumed]) -> None:
        rows, row_of = self._changes.kept.setdefault(place, []), _ROW_OF[place.topic]
        for record in records:
            try:
                rows.append((record.offset, row_of(record.value or b"")))
            except (msgspec.DecodeError, UnicodeDecodeError):
                self._changes.unreadable.append((place, record.offset))


class _HasTenant(Protocol):
    @property
    def tenant(self) -> str: ...


class _Named(msgspec.Struct, frozen=True, gc=False):
    """What every output has."""

    tenant: str
    id: str


class _Call(msgspec.Struct, frozen=True, gc=False):
    tenant: str
    usage_id: str


class _Event(msgspec.Struct, frozen=True, gc=False):
    tenant: str
    event: str


_Found = TypeVar("_Found", bound=_HasTenant)
_decks = msgspec.json.Decoder(RateDeck).decode


def _decodes(decode: Callable[[bytes], object], value: bytes) -> bool:
    try:
        decode(value)
    except msgspec.DecodeError:
        return False
    return True


def _found_by(kind: type[_Found], key: Callable[[_Found], str | None]) -> Callable[[bytes], Row]:
    """What makes the row of a record: `kind` is what of it is read, `key` what it is looked up by."""
    decode = msgspec.json.Decoder(kind).decode

    def row(value: bytes) -> Row:
        found = decode(value)
        return Row(found.tenant, key(found), value)

    return row


#: The row that a record is; what it is looked up by is what a store has (see rater.embedded.rows).  A call is found
#: by the normal form of its id, in whatever release it was rated (A41).  Others than the rating task write the last
#: two topics: each record is read whole.
_ROW_OF: dict[str, Callable[[bytes], Row]] = {
    "rated-calls": _found_by(_Call, lambda call: normal_usage_id(call.usage_id)),
    "debits": _found_by(_Named, lambda debit: debit.id),
    "account-events": _found_by(_Event, lambda event: event.event),
    "recharges": _found_by(_Named, lambda recharge: recharge.id),
    "rejected-cdrs": _found_by(_Named, lambda letter: letter.id),
    "balances": _found_by(_Named, lambda balance: balance.tenant),
    "service-states": _found_by(ServiceState, lambda state: state.name),
    ORDERS: _found_by(CallCommand, lambda order: order.id),
    AUDIT: _found_by(DlqAudit, lambda audit: audit.id),
}
