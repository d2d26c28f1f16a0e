"""What a batch of the rating task is made from, and what it writes: topics' records on either side of the rules.

Refuses to know transactions.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from rater.contracts.codec import decode_command, encode
from rater.contracts.commits import Commit
from rater.core.identity import name_key
from rater.core.inputs import Source
from rater.core.outputs import Output, ServiceState
from rater.kafka.changelog import META_KEY, Meta, changes_of, pack
from rater.kafka.port import Consumed
from rater.task import Batch, Record


def records_of(commands: Sequence[Consumed], cdrs: Sequence[Consumed]) -> list[Record]:
    """What the core is given: commands first, then call records, each in the order of its topic."""
    return [_command(record) for record in commands] + [
        Record("cdr", _source(record), record.value or b"", None, None, arrival_of(record.published_ms), True)
        for record in cdrs
    ]


def _command(record: Consumed) -> Record:
    raw = record.value or b""
    arrived_at = arrival_of(record.published_ms)
    return Record("command", _source(record), raw, decode_command(raw), None, arrived_at, True)


@lru_cache(maxsize=4096)
def arrival_of(published_ms: int) -> datetime | None:
    """When the broker stored a record, by its stamp in Unix milliseconds (A43); None where there is no stamp."""
    return datetime.fromtimestamp(published_ms / 1000, UTC) if published_ms > 0 else None


def _source(record: Consumed) -> Source:
    return Source(record.topic, record.partition, record.offset)


def positions_after(positions: dict[str, int], records: Sequence[Consumed]) -> dict[str, int]:
    """Records of one topic come in the order of their offsets."""
    return positions | {record.topic: record.offset + 1 for record in records}


def writes_of(batch: Batch, meta: Meta, commit: Commit) -> dict[str, list[tuple[bytes, bytes]]]:
    """Everything that one transaction writes."""
    writes = {
        topic: [(record_key(output), encode(output)) for output in outputs]
        for topic, outputs in batch.by_topic().items()
    }
    writes["state"] = [*changes_of(batch.state), (META_KEY, pack(meta))]
    writes["commits"] = [(str(commit.partition).encode(), msgspec.json.encode(commit))]
    return writes


def record_key(output: Output) -> bytes:
    """The tenant; for a user's service state the user too, because that topic is compacted, in any spelling."""
    if isinstance(output, ServiceState) and output.user is not None:
        return f"{output.tenant}/{name_key(output.user)}".encode()
    return output.tenant.encode()
