"""What the cluster lets this client do, asked of the broker itself and not tried out.

Kafka says for each topic and group which operations the asking user may use (KIP-430); aiokafka's own requests are
older than that, so ours stand here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    GroupAuthorizationFailedError,
    NotCoordinatorForGroupError,
    TransactionalIdAuthorizationFailed,
    for_code,
)
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Bytes, Int16, Int32, Schema, String

from rater.kafka.access_errors import DeniedError
from rater.kafka.connect import WRITE, connection, reachable
from rater.kafka.settings import KafkaSettings

#: Kafka's codes of operations, by the names that access rules use.
OPERATIONS = {
    "Read": 3,
    "Write": 4,
    "Create": 5,
    "Delete": 6,
    "Alter": 7,
    "Describe": 8,
    "DescribeConfigs": 10,
    "AlterConfigs": 11,
}
_TEXT = String("utf-8")
_UNKNOWN_TOPIC = 3
#: How often a cluster that has just started is asked who coordinates.
_TRIES = 100
_PAUSE_S = 0.1


class TopicsResponse(Response):  # type: ignore[misc]  # aiokafka has no types
    """Metadata, version 8."""

    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", Array(("node_id", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT))),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", _TEXT),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class TopicsRequestStruct(RequestStruct):  # type: ignore[misc]  # aiokafka has no types
    """Metadata, version 8."""

    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = TopicsResponse
    SCHEMA = Schema(
        ("topics", Array(_TEXT)),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class TopicsRequest(Request[TopicsRequestStruct]):  # type: ignore[misc]  # aiokafka has no types
    """Which topics are there, and what may be done with each."""

    API_KEY = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[TopicsRequestStruct]) -> TopicsRequestStruct:
        """See Request."""
        return request_struct_class(self._topics, False, False, True)


class GroupsResponse(Response):  # type: ignore[misc]  # aiokafka has no types
    """DescribeGroups, version 3."""

    API_KEY = 15
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "groups",
            Array(
                ("error_code", Int16),
                ("group", _TEXT),
                ("state", _TEXT),
                ("protocol_type", _TEXT),
                ("protocol", _TEXT),
                (
                    "members",
                    Array(
                        ("member_id", _TEXT),
                        ("client_id", _TEXT),
                        ("client_host", _TEXT),
                        ("member_metadata", Bytes),
                        ("member_assignment", Bytes),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
    )


class GroupsRequestStruct(RequestStruct):  # type: ignore[misc]  # aiokafka has no types
    """DescribeGroups, version 3."""

    API_KEY = 15
    API_VERSION = 3
    RESPONSE_TYPE = GroupsResponse
    SCHEMA = Schema(("groups", Array(_TEXT)), ("include_authorized_operations", Boolean))


class GroupsRequest(Request[GroupsRequestStruct]):  # type: ignore[misc]  # aiokafka has no types
    """Who is in a group, and what may be done with it."""

    API_KEY = 15

    def __init__(self, groups: list[str]) -> None:
        self._groups = groups

    def build(self, request_struct_class: type[GroupsRequestStruct]) -> GroupsRequestStruct:
        """See Request."""
        return request_struct_class(self._groups, True)


class _Client(AIOKafkaClient):  # type: ignore[misc]  # aiokafka has no types
    """Asks single questions."""

    async def start(self) -> None:
        await self.bootstrap()


async def missing_rights(
    settings: KafkaSettings,
    topics: Mapping[str, Iterable[str]],
    groups: Mapping[str, Iterable[str]],
    transactional_ids: Iterable[str] = (),
) -> list[str]:
    """The rights that the user lacks, each as "Write topic debits"; names are those on the cluster.

    A topic that is not there counts as lacking only if it may not be seen.  Of a transactional id it can be asked
    only whether it may be seen.
    """
    async with reachable(settings, _Client(**connection(settings))) as client:
        missing = await _missing_on_topics(client, topics)
        for group, operations in groups.items():
            missing += await _missing_on_group(client, group, operations)
        for name in transactional_ids:
            missing += await _missing_on_id(client, name)
    return missing


async def coordinator_answers(settings: KafkaSettings, transactional_id: str) -> int:
    """The broker that coordinates a transactional id; DeniedError where that may not be seen."""
    async with reachable(settings, _Client(**connection(settings)), WRITE) as client:
        try:
            return await _patiently(
                partial(client.coordinator_lookup, CoordinationType.TRANSACTION, transactional_id)
            )
        except TransactionalIdAuthorizationFailed:
            raise DeniedError(settings, f"Describe transactional id {transactional_id}") from None


async def _missing_on_topics(client: AIOKafkaClient, topics: Mapping[str, Iterable[str]]) -> list[str]:
    answer = await client.send(client.get_random_node(), TopicsRequest(list(topics)))
    lacking: dict[str, list[str]] = {}
    for topic in answer.to_object()["topics"]:
        if topic["error_code"] == _UNKNOWN_TOPIC:
            continue
        for operation in _absent(topic["authorized_operations"], topics[topic["topic"]]):
            lacking.setdefault(operation, []).append(topic["topic"])
    return [f"{operation} topic {', '.join(sorted(names))}" for operation, names in lacking.items()]


async def _missing_on_group(client: AIOKafkaClient, group: str, operations: Iterable[str]) -> list[str]:
    async def asked() -> int:
        node = await client.coordinator_lookup(CoordinationType.GROUP, group)
        answer = await client.send(node, GroupsRequest([group]))
        found = answer.to_object()["groups"][0]
        if found["error_code"]:
            raise for_code(found["error_code"])
        return int(found["authorized_operations"])

    try:
        allowed = await _patiently(asked)
    except GroupAuthorizationFailedError:
        allowed = 0
    return [f"{operation} group {group}" for operation in _absent(allowed, operations)]


async def _missing_on_id(client: AIOKafkaClient, name: str) -> list[str]:
    try:
        await _patiently(partial(client.coordinator_lookup, CoordinationType.TRANSACTION, name))
    except TransactionalIdAuthorizationFailed:
        return [f"Write transactional id {name}"]
    return []


async def _patiently(ask: Callable[[], Awaitable[int]]) -> int:
    """Asking for the first time makes the cluster create the topic behind it, which takes a moment."""
    for _ in range(_TRIES - 1):
        try:
            return await ask()
        except (CoordinatorNotAvailableError, CoordinatorLoadInProgressError, NotCoordinatorForGroupError):
            await asyncio.sleep(_PAUSE_S)
    return await ask()


def _absent(allowed: int, wanted: Iterable[str]) -> list[str]:
    return [operation for operation in wanted if not allowed & 1 << OPERATIONS[operation]]
