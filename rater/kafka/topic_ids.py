"""Which topics these are: the id that a topic is given when it is created, and what its partitions keep.

A topic that is deleted and created again has another id.  Kafka gives it since 2.8 (KIP-516); aiokafka's request
is older, so ours stands here.
"""

from collections.abc import Iterable
from io import BytesIO
from uuid import UUID

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from rater.kafka.access_errors import TOPIC_DENIED, DeniedError
from rater.kafka.connect import READ, connection, started
from rater.kafka.port import Doubt
from rater.kafka.settings import KafkaSettings

_TEXT = CompactString("utf-8")
_UUID_BYTES = 16
_NO_ID = UUID(int=0)


class _Uuid(AbstractType):  # type: ignore[misc]  # aiokafka has no types
    """Sixteen bytes."""

    @classmethod
    def encode(cls, value: UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        return UUID(bytes=data.read(_UUID_BYTES))


class IdsResponse(Response):  # type: ignore[misc]  # aiokafka has no types
    """Metadata, version 10."""

    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT), ("tags", TaggedFields)
            ),
        ),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", _TEXT),
                ("id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class IdsRequestStruct(RequestStruct):  # type: ignore[misc]  # aiokafka has no types
    """Metadata, version 10."""

    API_KEY = 3
    API_VERSION = 10
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = IdsResponse
    SCHEMA = Schema(
        ("topics", CompactArray(("id", _Uuid), ("topic", _TEXT), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class IdsRequest(Request[IdsRequestStruct]):  # type: ignore[misc]  # aiokafka has no types
    """Which topics are there."""

    API_KEY = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[IdsRequestStruct]) -> IdsRequestStruct:
        """See Request."""
        wanted: list[tuple[UUID, str, dict[int, bytes]]] = [(_NO_ID, topic, {}) for topic in self._topics]
        return request_struct_class(wanted, False, False, False, {})


class Client(AIOKafkaClient):  # type: ignore[misc]  # aiokafka has no types
    """Asks single questions."""

    async def start(self) -> None:
        """Connect."""
        await self.bootstrap()

    async def stop(self) -> None:
        """Disconnect."""
        await self.close()


class TopicIds:
    """Asks again and again over one connection, which is opened when it is needed."""

    def __init__(self, settings: KafkaSettings, topics: Iterable[str]) -> None:
        self._settings = settings
        self._names = {settings.topic(topic): topic for topic in topics}
        self._client: Client | None = None

    async def look(self) -> dict[str, str]:
        """Each topic's id; Doubt where one is not there or nobody answers, DeniedError if it may not be seen."""
        try:
            if self._client is None:
                self._client = await started(self._settings, Client(**connection(self._settings)))
            answer = await self._client.send(self._client.get_random_node(), IdsRequest(list(self._names)))
        except (KafkaError, OSError, TimeoutError) as wrong:
            await self.close()
            raise Doubt(f"topics' ids are not known: {type(wrong).__name__}: {wrong}") from wrong
        found = answer.to_object()["topics"]
        denied = [topic["topic"] for topic in found if topic["error_code"] == TOPIC_DENIED]
        if denied:
            raise DeniedError(self._settings, f"{READ} topic {', '.join(denied)}")
        missing = [topic["topic"] for topic in found if topic["error_code"]]
        if missing:
            raise Doubt(f"no topic {', '.join(missing)}")
        return {self._names[topic["topic"]]: str(topic["id"]) for topic in found}

    async def close(self) -> None:
        """Disconnect."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()


async def topic_ids(settings: KafkaSettings, topics: Iterable[str]) -> dict[str, str]:
    """Each topic's id, asked once; see TopicIds.look."""
    ids = TopicIds(settings, topics)
    try:
        return await ids.look()
    finally:
        await ids.close()
