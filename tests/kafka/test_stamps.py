"""Who says when a record arrived: the broker's stamp, never the clock of a switch (A43)."""

import asyncio
import json
from datetime import UTC, datetime

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from rater.core.inputs import AnyCommand, FundsAdded, TenantConfigured
from rater.core.outputs import Balance, RejectedCdr
from rater.kafka.connect import connection, reachable
from rater.kafka.publisher import partition_of
from rater.kafka.topics import config_of
from rater.ops.doctor.check import State
from rater.ops.doctor.cluster import topics as topics_check
from rater.wire.codec import encode_input
from rater.wire.topics import load_topics
from tests.commands import invoke
from tests.kafka.deployment import PARTITIONS, Deployment, until
from tests.kafka.test_commands import at

AT = datetime(2025, 1, 1, tzinfo=UTC)
FAR = datetime(2199, 1, 1, tzinfo=UTC)
CALL = (
    b'{"tenant":"contoso","usage_id":"%s","type":"user_in","answered_at":"%s-03-10T12:00:00Z","duration_s":60,'
    b'"user":"ada@contoso.example"}'
)


async def produce(deployment: Deployment, topic: str, values: list[bytes], created_at: datetime) -> list[int]:
    """Publish with the time that a switch claims; which type of stamp the broker gave each."""
    producer = AIOKafkaProducer(**connection(deployment.settings))
    name, partition = deployment.settings.topic(topic), partition_of("contoso", PARTITIONS)
    async with reachable(deployment.settings, producer):
        return [
            (
                await producer.send_and_wait(
                    name,
                    value,
                    key=b"contoso",
                    partition=partition,
                    timestamp_ms=int(created_at.timestamp() * 1000),
                )
            ).timestamp_type
            for value in values
        ]


async def let_writers_stamp(deployment: Deployment, *names: str) -> None:
    """The topics as release 0.3.0 created them, and with a setting that an operator chose."""
    async with reachable(deployment.settings, AIOKafkaAdminClient(**connection(deployment.settings))) as admin:
        for name in names:
            config = config_of(load_topics()[name], 1) | {
                "message.timestamp.type": "CreateTime",
                "segment.ms": "7200000",
            }
            resource = ConfigResource(ConfigResourceType.TOPIC, deployment.settings.topic(name), config)
            (answer,) = await admin.alter_configs([resource])
            assert answer.resources[0][0] == 0, answer


async def setting(deployment: Deployment, name: str, key: str) -> str:
    """What a topic has."""
    async with reachable(deployment.settings, AIOKafkaAdminClient(**connection(deployment.settings))) as admin:
        resource = ConfigResource(ConfigResourceType.TOPIC, deployment.settings.topic(name))
        (answer,) = await admin.describe_configs([resource])
    return str({entry[0]: entry[1] for entry in answer.resources[0][4]}[key])


def topics_apply(deployment: Deployment) -> dict[str, list[str]]:
    """`rater topics apply`."""
    ran = invoke("topics", "apply", *at(deployment), f"--partitions={PARTITIONS}", "--json")
    assert ran.exit_code == 0, ran.output
    found: dict[str, list[str]] = json.loads(ran.stdout)
    return found


def test_a_producer_cannot_vouch_for_its_own_clock(deployment: Deployment) -> None:
    """Records that claim to be created in 2199 are judged by the broker's stamp; no money moves by them."""
    commands: list[AnyCommand] = [
        TenantConfigured(tenant="contoso", id="s", at=AT, currency="USD", credits="enabled"),
        FundsAdded(tenant="contoso", id="f", at=AT, amount="10"),
        FundsAdded(tenant="contoso", id="ahead", at=FAR, amount="5"),
    ]
    stamps = asyncio.run(produce(deployment, "commands", [encode_input(command) for command in commands], FAR))
    stamps += asyncio.run(produce(deployment, "cdrs", [CALL % (b"ahead", b"2199"), CALL % (b"now", b"2025")], FAR))
    assert set(stamps) == {1}, "1 is LogAppendTime"
    deployment.start("worker-0")
    deployment.wait_until_rated()
    letters = [msgspec.json.decode(value, type=RejectedCdr) for value in deployment.values("rejected-cdrs")]
    assert {(letter.reason.value, letter.source.topic) for letter in letters} == {
        ("impossible_time", "commands"),
        ("impossible_time", "cdrs"),
    }
    balances = [msgspec.json.decode(value, type=Balance) for value in deployment.values("balances")]
    assert balances[-1].balance == "10"
    assert deployment.verify().findings == []


@pytest.mark.parametrize("names", [("cdrs",), ("cdrs", "commands")])
def test_topics_that_writers_stamp_are_found_and_mended(deployment: Deployment, names: tuple[str, ...]) -> None:
    """Doctor warns and says what to type; `rater topics apply` does it and leaves every other setting alone."""
    asyncio.run(let_writers_stamp(deployment, *names))
    key = "message.timestamp.type"
    until(lambda: {asyncio.run(setting(deployment, name, key)) for name in names} == {"CreateTime"}, "the change")
    check = asyncio.run(topics_check(deployment.settings))
    assert (check.state, check.fix) == (State.WARN, "rater topics apply")
    assert f"writers stamp the records of {', '.join(names)}" in check.cause
    assert sorted(topics_apply(deployment)["changed"]) == list(names)
    assert topics_apply(deployment)["changed"] == []
    for name in names:
        assert asyncio.run(setting(deployment, name, key)) == "LogAppendTime"
        assert asyncio.run(setting(deployment, name, "segment.ms")) == "7200000"
        kept_ms = (load_topics()[name].retention_hours or 0) * 3_600_000
        assert asyncio.run(setting(deployment, name, "retention.ms")) == str(kept_ms)
    assert "writers stamp" not in asyncio.run(topics_check(deployment.settings)).cause


def test_topics_of_an_earlier_release_are_given_the_settings_of_compacted_topics(deployment: Deployment) -> None:
    """`state` as release 0.3.0 created it: doctor says it, `rater topics apply` changes it, once."""
    asyncio.run(let_writers_stamp(deployment, "cdrs"))  # any change of another topic
    assert asyncio.run(setting(deployment, "state", "segment.bytes")) == "134217728"

    async def forget() -> None:
        async with reachable(deployment.settings, AIOKafkaAdminClient(**connection(deployment.settings))) as admin:
            name = deployment.settings.topic("state")
            await admin.alter_configs(
                [ConfigResource(ConfigResourceType.TOPIC, name, {"cleanup.policy": "compact"})]
            )

    asyncio.run(forget())
    until(lambda: asyncio.run(setting(deployment, "state", "segment.bytes")) == "1073741824", "the change")
    check = asyncio.run(topics_check(deployment.settings))
    assert (check.state, check.fix) == (State.WARN, "rater topics apply")
    assert "state" in topics_apply(deployment)["changed"]
    assert asyncio.run(setting(deployment, "state", "segment.bytes")) == "134217728"
    assert asyncio.run(setting(deployment, "state", "max.compaction.lag.ms")) == "86400000"
    assert topics_apply(deployment)["changed"] == []
