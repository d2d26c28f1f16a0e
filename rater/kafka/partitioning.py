"""Which partition a tenant belongs to: Kafka's own default, murmur2 of the key.  Refuses to know anything else."""

from collections.abc import Callable
from functools import lru_cache

from aiokafka.partitioner import murmur2

from rater.core.inputs import RESERVED_TENANTS
from rater.core.reasons import Reason, Refusal


@lru_cache(maxsize=65_536)
def partition_of(tenant: str, partitions: int) -> int:
    """The partition of a tenant among so many."""
    return int((murmur2(tenant.encode()) & 0x7FFFFFFF) % partitions)


def admission(partition: int, partitions: int) -> Callable[[str], Refusal | None]:
    """Says why a tenant's record must not be rated in this partition: a tenant has one writer."""

    def admit(tenant: str) -> Refusal | None:
        right = partition_of(tenant, partitions)
        if right == partition or tenant in RESERVED_TENANTS:
            return None
        message = (
            f"expected tenant {tenant!r} in partition {right}, got partition {partition};"
            " publish with the tenant as key and the murmur2 partitioner (kcat: -X topic.partitioner=murmur2)"
        )
        return Refusal(Reason.WRONG_PARTITION, "tenant", message)

    return admit
