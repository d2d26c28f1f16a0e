"""Whether partitions are those that a state was written for: their number, and that it was not moved elsewhere.

A tenant's partition follows from the number of partitions.  A worker that went on after partitions were added would
look for accounts where they are not, and open a second account for a tenant that is configured again.
"""

from collections.abc import Iterable, Mapping

from rater.core import RESERVED_TENANTS
from rater.kafka.changelog import Meta
from rater.kafka.publisher import partition_of
from rater.wire.errors import Exit, RaterError

_WAY_OUT = (
    "the topics were given more partitions; nothing was rated since. Stop publishing, and carry everything over to"
    " topics of a new prefix: rater partition move --to-prefix NEW --partitions {partitions} --with-unrated"
    ' (deploy/drills.md, "More partitions")'
)


class PartitionsAddedError(RaterError):
    """The topics were given more partitions: a tenant's records would go to another one than its account is in."""

    def __init__(self, said: str, partitions: int) -> None:
        super().__init__(f"{said}: {_WAY_OUT.format(partitions=partitions)}", Exit.FAILED)


class MovedError(RaterError):
    """A partition that no worker may own: its topics are being filled, or everything was moved elsewhere."""


def must_be_here(partition: int, partitions: int, tenants: Iterable[str]) -> None:
    """PartitionsAddedError for a tenant whose records go to another partition than its account is in."""
    for tenant in tenants:
        right = partition_of(tenant, partitions)
        if right != partition and tenant not in RESERVED_TENANTS:
            said = (
                f"state[{partition}]: the account of tenant {tenant!r} is in this partition,"
                f" its records would go to partition {right}"
            )
            raise PartitionsAddedError(said, partitions)


def must_be_so_many(metas: Mapping[int, Meta], partitions: int) -> None:
    """PartitionsAddedError if a state was written when there were fewer or more partitions."""
    for number, meta in sorted(metas.items()):
        if meta.partitions not in (0, partitions):
            said = f"state[{number}]: was written for {meta.partitions} partitions, there are {partitions}"
            raise PartitionsAddedError(said, partitions)


def must_be_open(partition: int, meta: Meta) -> None:
    """MovedError if the partition is being filled from other topics, or was moved to others."""
    if meta.moving is not None:
        former = f" --prefix {meta.moving.prefix}" if meta.moving.prefix else ""
        raise MovedError(
            f"state[{partition}]: these topics are being filled and not complete; run the command again that fills"
            f" them from those of prefix {meta.moving.prefix!r}: rater partition move{former} --to-prefix NEW, or"
            " rater partition take-over",
            Exit.FAILED,
        )
    if meta.moved_to is not None:
        raise MovedError(
            f"state[{partition}]: everything was moved to the topics of prefix {meta.moved_to!r}; nothing is rated"
            f" here any more. Start workers, agents and whoever publishes with --prefix {meta.moved_to}",
            Exit.FAILED,
        )
