"""Which partition a tenant belongs to: Kafka's own default, murmur2 of the key.  Refuses to know anything else."""

from functools import lru_cache

from aiokafka.partitioner import murmur2


@lru_cache(maxsize=65_536)
def partition_of(tenant: str, partitions: int) -> int:
    """The partition of a tenant among so many."""
    return int((murmur2(tenant.encode()) & 0x7FFFFFFF) % partitions)
