"""What a batch of the rating task is made from, and what it writes: topics' records on either side of the rules."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

import msgspec

from rater.core import CallRerated, DeckActivated, Output, Reason, Refusal, ServiceState, Source, name_key
from rater.engine.batch import Batch, Record
from rater.kafka.changelog import META_KEY, Meta, changes_of, pack
from rater.kafka.not_mapped import BEGINNING, unframed
from rater.kafka.port import Consumed
from rater.kafka.topics import MESSAGE_BYTES_MAX
from rater.wire.codec import decode_command, encode
from rater.wire.commits import Commit

#: What a record may have, key and value, so that it and its frame are a message within the topic's limit.
WRITTEN_BYTES_MAX = MESSAGE_BYTES_MAX - 10_000
#: The last second that a calendar has.
_STAMP_MAX_MS = 253_402_300_799_000
_SKIPPED = Refusal(
    Reason.SKIPPED, "", "applying it raised an error of the rater; the topic dlq-audit says who went on without it"
)


class OversizeError(Exception):
    """A record too large for its topic: every input is bounded so that this is a bug."""


class Given(NamedTuple):
    """A record as it was consumed, and what the core is given of it."""

    consumed: Consumed
    record: Record


def given_of(records: Iterable[Consumed], skipped: Collection[Source]) -> list[Given]:
    """Each record with what the core is given of it."""
    return [Given(record, _record(record, skipped)) for record in records]


def records_of(records: Iterable[Consumed], skipped: Collection[Source] = ()) -> list[Record]:
    """What the core is given of records of `commands` and `cdrs`, in their order."""
    return [_record(record, skipped) for record in records]


def _record(record: Consumed, skipped: Collection[Source]) -> Record:
    raw, source, arrived_at = record.value or b"", source_of(record), arrival_of(record.published_ms)
    is_command = record.topic == "commands"
    if source in skipped:
        return Record("command" if is_command else "cdr", source, raw, _SKIPPED)
    # the broker's stamp decides what is late (A43)
    if is_command:
        return Record("command", source, raw, decode_command(raw), arrived_at=arrived_at, arrival_given=True)
    read = Record("cdr", source, raw, arrived_at=arrived_at, arrival_given=True)
    return unframed(read) if raw.startswith(BEGINNING) else read


@lru_cache(maxsize=4096)
def arrival_of(published_ms: int) -> datetime | None:
    """When the broker stored a record, by its stamp in Unix milliseconds (A43); None where there is no stamp.

    A producer may stamp its records itself where the topic has CreateTime: a year after 9999 is no stamp either.
    """
    return datetime.fromtimestamp(published_ms / 1000, UTC) if 0 < published_ms <= _STAMP_MAX_MS else None


def in_order(records: Sequence[Consumed]) -> list[Consumed]:
    """Commands first, then call records, each in the order of its topic: the order of a replay, too."""
    return sorted(records, key=lambda record: record.topic != "commands")


def portions(given: Iterable[Given], bytes_max: int, decks_max: int) -> Iterator[list[Given]]:
    """Records in their order, in batches of at most so many bytes and names of decks; a larger record is alone."""
    portion: list[Given] = []
    size, decks = 0, set[str]()
    for one in given:
        its_size = len(one.consumed.key or b"") + len(one.consumed.value or b"")
        deck = deck_named_by(one.record.decoded)
        is_another = deck is not None and deck not in decks
        if portion and (size + its_size > bytes_max or (is_another and len(decks) == decks_max)):
            yield portion
            portion, size, decks = [], 0, set()
        portion.append(one)
        size += its_size
        if deck is not None:
            decks.add(deck)
    if portion:
        yield portion


def deck_named_by(command: object) -> str | None:
    """The version of a deck that a command names, if it names one."""
    match command:
        case DeckActivated(version=version) | CallRerated(deck=version):
            return version
        case _:
            return None


def source_of(record: Consumed) -> Source:
    """Where a record stands."""
    return Source(record.topic, record.partition, record.offset)


def positions_after(positions: dict[str, int], records: Iterable[Consumed]) -> dict[str, int]:
    """Records of one topic come in the order of their offsets."""
    return positions | {record.topic: record.offset + 1 for record in records}


def writes_of(batch: Batch, meta: Meta, commit: Commit) -> dict[str, list[tuple[bytes, bytes | None]]]:
    """Everything that one transaction writes."""
    writes: dict[str, list[tuple[bytes, bytes | None]]] = {
        topic: [(record_key(output), encode(output)) for output in outputs]
        for topic, outputs in batch.by_topic().items()
    }
    if erased := erased_states(batch):
        writes.setdefault("service-states", []).extend((key, None) for key in erased)
    writes["state"] = [*changes_of(batch.state), (META_KEY, pack(meta))]
    writes["commits"] = [(str(commit.partition).encode(), msgspec.json.encode(commit))]
    for topic, records in writes.items():
        for key, value in records:
            if len(key) + len(value or b"") > WRITTEN_BYTES_MAX:
                size = len(key) + len(value or b"")
                raise OversizeError(f"{topic}: a record of {size} bytes; at most {WRITTEN_BYTES_MAX} are stored")
    return writes


def erased_states(batch: Batch) -> list[bytes]:
    """Keys in the topic of service states that name users who were erased: what they say is deleted."""
    keys = []
    for kind, (tenant, name) in sorted(batch.state.gone):
        if kind == "user":
            keys.append(f"{tenant}/{name}".encode())
        elif kind == "spent":
            _, _, user = name.partition("/")
            for stated in batch.state.spent[(tenant, name)].stated:
                brake, _, country = stated.partition("/")
                keys.append(_brake_key(tenant, brake, country or None, user))
    return keys


def record_key(output: Output) -> bytes:
    """The tenant; of the service state of a user or a brake its name, too, because that topic is compacted."""
    if isinstance(output, ServiceState) and output.brake is not None:
        return _brake_key(output.tenant, output.brake, output.subject, output.user)
    if isinstance(output, ServiceState) and output.user is not None:
        return f"{output.tenant}/{name_key(output.user)}".encode()
    return output.tenant.encode()


def _brake_key(tenant: str, brake: str, subject: str | None, user: str | None) -> bytes:
    """Of what a brake is about, in any spelling; no key of a user has a capital letter."""
    about = "/".join([one for one in (subject, user) if one is not None])
    return f"{tenant}/Brake/{brake}/{name_key(about)}".encode()
