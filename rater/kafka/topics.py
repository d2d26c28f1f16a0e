"""Topics on a cluster: create what is missing, and show what differs from `topics/*.yaml`.

A difference in partitions, cleanup policy or retention is never changed: it would move tenants or lose records.
Who stamps records is changed, since arrival is the broker's stamp (A43) and the topics of release 0.3.0 have the
writers'; and so is what a topic's file has under `settings`.
"""

import asyncio
from collections.abc import Sequence
from typing import Literal

import msgspec
import stamina
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import NodeNotReadyError

from rater.kafka.access_errors import TOPIC_DENIED, DeniedError
from rater.kafka.connect import READ, connection, reachable, started
from rater.kafka.settings import KafkaSettings
from rater.wire.errors import RaterError
from rater.wire.topics import Topic, load_topics

RATING_TASK = "rating task"
#: Kafka's code for a setting that a topic has of its own.
_OF_TOPIC = 1
#: What was created is seen by every broker a little later.
_VISIBLE_TRIES, _VISIBLE_WAIT_S = 50, 0.1
_HOUR_MS = 3_600_000
_STAMPS = "message.timestamp.type"
#: Rate decks are as large as they need to be; a record of a partition is far smaller (see `letters`).
MESSAGE_BYTES_MAX = 4_000_000


class TopicState(msgspec.Struct, frozen=True):
    """The state of one topic: `differences` are sentences; no change of a setting repairs the `fatal` ones."""

    name: str
    state: Literal["missing", "as expected", "differs"]
    partitions: int | None = None
    differences: tuple[str, ...] = ()
    fatal: bool = False


def config_of(topic: Topic, brokers: int) -> dict[str, str]:
    """The settings of a topic on a cluster of so many brokers."""
    config = {
        "cleanup.policy": topic.cleanup_policy,
        "min.insync.replicas": str(min(topic.min_insync_replicas, max(1, brokers - 1))),
        "max.message.bytes": str(MESSAGE_BYTES_MAX),
    }
    if topic.timestamps == "broker":
        config[_STAMPS] = "LogAppendTime"
    config |= topic.settings
    if topic.cleanup_policy == "delete":
        config["retention.ms"] = str(topic.retention_hours * _HOUR_MS if topic.retention_hours else -1)
    return config


async def compare(
    settings: KafkaSettings, topics: dict[str, Topic], partitions: int | None = None
) -> list[TopicState]:
    """How the cluster's topics differ from the list; `partitions` stands for the number in the list."""
    async with reachable(settings, AIOKafkaAdminClient(**connection(settings))) as admin:
        brokers = len((await admin.describe_cluster())["brokers"])
        return [await _compare_one(admin, settings, topic, brokers, partitions) for topic in topics.values()]


async def apply(
    settings: KafkaSettings, topics: dict[str, Topic], partitions: int | None = None
) -> tuple[list[str], list[TopicState]]:
    """Create what is missing; the names that were created, and how all stand afterwards."""
    before = await compare(settings, topics, partitions)
    missing = [topics[state.name] for state in before if state.state == "missing"]
    async with reachable(settings, AIOKafkaAdminClient(**connection(settings))) as admin:
        brokers = len((await admin.describe_cluster())["brokers"])
        new = [
            NewTopic(
                settings.topic(topic.name),
                partitions or topic.partitions,
                min(3, brokers),
                topic_configs=config_of(topic, brokers),
            )
            for topic in missing
        ]
        answer = await admin.create_topics(new) if new else None
    for name, code, *rest in answer.topic_errors if answer else ():
        if code == TOPIC_DENIED:
            raise DeniedError(settings, f"Create topic {name}")
        if code:
            raise RaterError(f"topic {name}: could not be created: {rest[0] if rest else f'error {code}'}")
    states = await compare(settings, topics, partitions)
    for _ in range(_VISIBLE_TRIES):
        if all(state.state != "missing" for state in states):
            break
        await asyncio.sleep(_VISIBLE_WAIT_S)
        states = await compare(settings, topics, partitions)
    return [topic.name for topic in missing], states


def stamped_by_writers(state: TopicState) -> bool:
    """Whether records of the topic have the time that their writers say, and should have the broker's (A43)."""
    return any(_STAMPS in difference for difference in state.differences)


def alter_command(settings: KafkaSettings, topic: str, config: str) -> str:
    """What an administrator of the cluster types to give a topic a setting, such as `retention.ms=-1`."""
    entity = f"--entity-type topics --entity-name {settings.topic(topic)}"
    return f"kafka-configs.sh --bootstrap-server {settings.bootstrap} --alter {entity} --add-config {config}"


def changeable(topic: Topic) -> dict[str, str]:
    """The settings that may be changed in a topic that has records."""
    stamps = {_STAMPS: "LogAppendTime"} if topic.timestamps == "broker" else {}
    return topic.settings | stamps


async def change_settings(
    settings: KafkaSettings, topics: dict[str, Topic], states: list[TopicState]
) -> dict[str, dict[str, str]]:
    """Give existing topics the settings that they should have and may be given; what was changed, by topic.

    Every setting that the topic has of its own is written again, because the request resets those that it lacks.
    """
    differing = [topics[state.name] for state in states if state.differences and changeable(topics[state.name])]
    changed = {}
    async with reachable(settings, AIOKafkaAdminClient(**connection(settings))) as admin:
        for topic in differing:
            name = settings.topic(topic.name)
            actual = await _actual_config(admin, settings, name)
            wanted = {key: value for key, value in changeable(topic).items() if actual.get(key) != value}
            if wanted:
                await _change(admin, settings, name, wanted)
                changed[topic.name] = wanted
    return changed


async def _change(admin: AIOKafkaAdminClient, settings: KafkaSettings, name: str, wanted: dict[str, str]) -> None:
    """Change settings of one topic, and wait until the brokers report them."""
    config = await _actual_config(admin, settings, name, own=True) | wanted
    for answer in await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, config)]):
        for code, message, *_ in answer.resources:
            if code == TOPIC_DENIED:
                raise DeniedError(settings, f"AlterConfigs topic {name}")
            if code:
                raise RaterError(f"topic {name}: {', '.join(wanted)} not changed: {message}")
    for _ in range(_VISIBLE_TRIES):
        actual = await _actual_config(admin, settings, name)
        if all(actual.get(key) == value for key, value in wanted.items()):
            break
        await asyncio.sleep(_VISIBLE_WAIT_S)


async def partitions_of(settings: KafkaSettings, topic: str, right: str = READ) -> int:
    """How many partitions a topic has; RaterError if it is not there, DeniedError if this right is missing."""
    (count,) = await _partition_counts(settings, [topic], right)
    return count


async def partitions_of_all(settings: KafkaSettings, topics: Sequence[str]) -> dict[str, int]:
    """How many partitions each topic has, asked once; errors as of `partitions_of`."""
    return dict(zip(topics, await _partition_counts(settings, list(topics)), strict=True))


async def partitions_of_task(settings: KafkaSettings) -> int:
    """How many partitions the rating task's topics have; RaterError if one is missing or differs from `cdrs`."""
    names = [topic.name for topic in load_topics().values() if RATING_TASK in topic.produced_by + topic.consumed_by]
    counts = dict(zip(names, await _partition_counts(settings, names), strict=True))
    wanted = counts["cdrs"]
    wrong = [f"{name} has {count}" for name, count in counts.items() if count != wanted and name != "rate-decks"]
    if wrong:
        raise RaterError(
            f"topics of the rating task: expected {wanted} partitions as cdrs has, {', '.join(wrong)};"
            " a tenant's records would land in different partitions. Create them anew with `rater topics apply`"
        )
    return wanted


@stamina.retry(on=NodeNotReadyError, attempts=10)
async def _partition_counts(settings: KafkaSettings, topics: list[str], right: str = READ) -> list[int]:
    """A broker that just crashed is asked no more."""
    admin = await started(settings, AIOKafkaAdminClient(**connection(settings)))
    try:
        described = await admin.describe_topics([settings.topic(topic) for topic in topics])
    finally:
        await admin.close()
    found = {topic["topic"]: len(topic["partitions"]) for topic in described if not topic["error_code"]}
    denied = sorted(topic["topic"] for topic in described if topic["error_code"] == TOPIC_DENIED)
    if denied:
        raise DeniedError(settings, f"{right} topic {', '.join(denied)}")
    missing = [name for topic in topics if (name := settings.topic(topic)) not in found]
    if missing:
        raise RaterError(
            f"no topic {', '.join(missing)} on {settings.bootstrap}; `rater topics apply` creates what is missing"
        )
    return [found[settings.topic(topic)] for topic in topics]


async def _compare_one(
    admin: AIOKafkaAdminClient, settings: KafkaSettings, topic: Topic, brokers: int, partitions: int | None
) -> TopicState:
    name = settings.topic(topic.name)
    described = (await admin.describe_topics([name]))[0]
    if described["error_code"] == TOPIC_DENIED:
        raise DeniedError(settings, f"Describe topic {name}")
    if described["error_code"]:
        return TopicState(topic.name, "missing")
    found, wanted = len(described["partitions"]), partitions or topic.partitions
    differences = []
    if found != wanted:
        differences.append(f"expected {wanted} partitions, found {found}")
    fatal = bool(differences)
    actual = await _actual_config(admin, settings, name)
    for key, value in config_of(topic, brokers).items():
        if actual.get(key) != value:
            differences.append(f"expected {key}={value}, found {actual.get(key)}")
            fatal = fatal or key == "cleanup.policy"
    return TopicState(topic.name, "differs" if differences else "as expected", found, tuple(differences), fatal)


async def _actual_config(
    admin: AIOKafkaAdminClient, settings: KafkaSettings, name: str, *, own: bool = False
) -> dict[str, str]:
    """The settings of a topic; only those that are its `own`, not the cluster's, if asked for."""
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    code, _, _, _, entries = answers[0].resources[0]
    if code == TOPIC_DENIED:
        raise DeniedError(settings, f"DescribeConfigs topic {name}")
    return {entry[0]: entry[1] for entry in entries if not own or entry[3] == _OF_TOPIC}
