"""Through topics with a limit of a megabyte, Kafka's default: what is too large, too deep or no text stops no worker."""

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from rater.core.inputs import TenantConfigured
from rater.core.letters import hash_of
from rater.core.outputs import RatedCall, RejectedCdr
from rater.kafka.connect import connection, reachable
from rater.kafka.topics import compare, config_of
from rater.wire.codec import RECORD_BYTES_MAX, encode_input
from rater.wire.dead_letters import raw_bytes
from rater.wire.topics import load_topics
from tests.kafka.deployment import PARTITIONS, Deployment, until
from tests.simulation.test_sizes import CALL, padded

#: The largest message that a broker accepts by default, batch and all.
DEFAULT_BYTES_MAX = 1_048_588
TENANT = "contoso"
AT = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture
def narrow(deployment: Deployment) -> Deployment:
    """Other topics, with Kafka's default limit."""
    deployment.settings = deployment.settings.model_copy(update={"prefix": f"{deployment.settings.prefix}narrow-"})

    async def create() -> None:
        new = [
            NewTopic(
                deployment.settings.topic(topic.name),
                PARTITIONS,
                1,
                topic_configs=config_of(topic, 1) | {"max.message.bytes": str(DEFAULT_BYTES_MAX)},
            )
            for topic in load_topics().values()
        ]
        async with reachable(deployment.settings, AIOKafkaAdminClient(**connection(deployment.settings))) as admin:
            answer = await admin.create_topics(new)
        assert {code for _, code, *_ in answer.topic_errors} == {0}

    async def there() -> bool:
        states = await compare(deployment.settings, load_topics(), PARTITIONS)
        return all(state.state != "missing" for state in states)

    asyncio.run(create())
    until(lambda: asyncio.run(there()), "the topics to be seen")
    return deployment


def call(id: str, more: bytes = b"") -> bytes:
    """A call to ada, with unknown fields."""
    fields = {
        "tenant": TENANT,
        "usage_id": id,
        "type": "user_in",
        "answered_at": AT,
        "duration_s": 60,
        "user": "ada",
    }
    return msgspec.json.encode(fields)[:-1] + more + b"}"


RATED = {
    "first": call("first"),
    "bigint": call("bigint", b',"x":"\\u0041","n":' + b"1" * 4_301),
    "quotes": call("quotes", b',"x":"' + b'\\"' * 490_000 + b'"'),
    "largest": padded(CALL | {"tenant": TENANT, "usage_id": "largest", "type": "user_in"}),
    "last": call("last"),
}
REFUSED = {
    "nested": call("nested", b',"x":"\\u0041","n":' + b"[" * 994 + b"]" * 994),
    "NUL": b"\x00" * 994_000,
    "controls": b"\x01" * 1_040_000,
    "no UTF-8": b"\xff" * 1_040_000,
    "just over": padded(CALL | {"tenant": TENANT}, RECORD_BYTES_MAX + 1),
}


def test_what_is_too_large_is_one_bounded_letter_and_the_worker_goes_on(narrow: Deployment) -> None:
    """The largest legal record is rated, the largest refused ones are a letter each, their neighbours are rated."""
    configured = encode_input(TenantConfigured(tenant=TENANT, id="s", at=AT, currency="USD"))
    raws = [RATED["first"], *REFUSED.values(), *RATED.values()]
    narrow.publish([("commands", TENANT, configured)])
    for raw in raws:  # one at a time, as a producer that does not batch
        narrow.publish([("cdrs", TENANT, raw), ("commands", TENANT, raw)])
    worker = narrow.start("worker-0")
    narrow.wait_until_rated()
    rated = [msgspec.json.decode(value, type=RatedCall).usage_id for value in narrow.values("rated-calls")]
    assert rated == list(RATED)
    letters = [msgspec.json.decode(value, type=RejectedCdr) for value in narrow.values("rejected-cdrs")]
    kept = [letter.raw_hash or hash_of(raw_bytes(letter)) for letter in letters]
    assert {name: kept.count(hash_of(raw)) for name, raw in REFUSED.items()} == dict.fromkeys(REFUSED, 1)
    assert max(map(len, narrow.values("rejected-cdrs"))) < 110_000
    assert worker.logged("partition stopped") == []
    assert worker.logged("partition is reacquired") == []
    assert narrow.verify().findings == []
