"""Consumers of a group whose members commit what they have done: the bridge, and readers of orders."""

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from rater.kafka.client import FETCH_WAIT_MS, RETRY_BACKOFF_MS
from rater.kafka.connect import connection
from rater.kafka.settings import KafkaSettings

#: So soon a member learns that another one has ended.
_SESSION_TIMEOUT_MS = 10_000


def group_reader(settings: KafkaSettings, group: str) -> AIOKafkaConsumer:
    """A consumer that sees committed records only, from the first on; not started."""
    return AIOKafkaConsumer(
        **connection(settings),
        group_id=group,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        partition_assignment_strategy=(RangePartitionAssignor,),
        session_timeout_ms=_SESSION_TIMEOUT_MS,
        heartbeat_interval_ms=_SESSION_TIMEOUT_MS // 5,
        retry_backoff_ms=RETRY_BACKOFF_MS,
        fetch_max_wait_ms=FETCH_WAIT_MS,
    )
