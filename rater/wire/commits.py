"""What one commit of the rating task consumed, in order: the record of the `commits` topic.

With it the result can be computed again: commits in their order, in each the commands before the call records.
"""

from datetime import datetime

import msgspec

from rater.core import Outcome, Source


class Gap(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Inputs that an operator gave up: what was kept of a topic no longer began where reading stood.

    `next_was` is the offset that would have been read next, `goes_on_at` the one that was read instead.  Those
    between are lost; with `topic_id` the topic is another one under the same name, and all that the former one
    kept beyond `next_was` is lost.
    """

    topic: str
    next_was: int
    goes_on_at: int
    by: str
    at: datetime
    topic_id: str | None = None
    note: str | None = None


class Moved(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where everything before a partition's first commit was copied from: topics of another prefix.

    They had so many partitions; of the topics in `cut` they did not keep the first records any more.
    """

    prefix: str
    partitions: int
    cut: tuple[str, ...] = ()


class Commit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Offsets consumed from the two inputs (`first` up to, not including, `next`), and the outcomes of the records.

    `sequence` is gapless per partition, from 1.  `unknown_decks` are versions that commands of this commit named
    and that were not published at that time; `skipped` are the records that an operator decided to pass over.
    `rules` is the number of the rules (A51); `migrated`, in the first commit of a new number and now and then, the
    digest of the state that it begins with, whose parts stand before it.  `gaps` are inputs that were given up
    before it; `outputs`, where a snapshot stands, the positions after the last record of each output topic.
    `moved`, in the first commit of topics that were filled from others, says from which; then `outputs` has
    compacted topics, too.
    """

    partition: int
    sequence: int
    commands_first: int
    commands_next: int
    cdrs_first: int
    cdrs_next: int
    outcomes: dict[Outcome, int]
    unknown_decks: tuple[str, ...] = ()
    rules: int = 1
    migrated: str | None = None
    skipped: tuple[Source, ...] = ()
    gaps: tuple[Gap, ...] = ()
    outputs: dict[str, int] = {}
    moved: Moved | None = None


#: Of the number of a part; Python reads no number of more than 4,300 digits.
_DIGITS_MAX = 9


def part_key(partition: int, number: int) -> bytes:
    """The key of a part of a migrated state, which stands among the commits."""
    return f"{partition}/state/{number}".encode()


def part_of(key: bytes | None) -> int | None:
    """The number of a part of a migrated state; None for a commit."""
    _, mark, number = (key or b"").partition(b"/state/")
    return int(number) if mark and number.isdigit() and len(number) <= _DIGITS_MAX else None
