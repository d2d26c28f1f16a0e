"""How far each input was read, as the store keeps it."""

import msgspec

from rater.files.arrival import Arrival

_arrival_decoder = msgspec.json.Decoder(Arrival)


class Position(msgspec.Struct, frozen=True):
    """How much of an input was consumed: records, bytes, and a digest of those bytes.

    `arrival` is there while a run is not through with the input: if it is killed, the rest has this arrival (A43).
    `rated_at` is when a run reached its end.
    """

    records: int = 0
    size: int = 0
    digest: bytes = b""
    arrival: Arrival | None = None
    rated_at: str | None = None


def position_row(at: Position) -> tuple[object, ...]:
    """The columns of the table `inputs` after the name."""
    arrival = msgspec.json.encode(at.arrival) if at.arrival else None
    return at.records, at.size, at.digest, arrival, at.rated_at


def read_arrival(kept: bytes | None) -> Arrival | None:
    """The arrival of an input that was not read to its end."""
    return _arrival_decoder.decode(kept) if kept else None
