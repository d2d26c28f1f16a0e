"""Who is in a consumer group, and which partitions each member owns, as the group's coordinator says."""

import msgspec
from aiokafka.client import CoordinationType
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment

from rater.kafka.connect import connection, reachable
from rater.kafka.rights import GroupsRequest
from rater.kafka.settings import KafkaSettings
from rater.kafka.topic_ids import Client


class Member(msgspec.Struct, frozen=True):
    """One process: where it connects from, and the (topic, partition) that it owns."""

    host: str
    owns: frozenset[tuple[str, int]]


async def members_of(settings: KafkaSettings, group: str) -> list[Member]:
    """The members of a group; none where nobody ever joined it."""
    async with reachable(settings, Client(**connection(settings))) as client:
        node = await client.coordinator_lookup(CoordinationType.GROUP, group)
        answer = await client.send(node, GroupsRequest([group]))
    (found,) = answer.to_object()["groups"]
    return [Member(member["client_host"], _owned(member["member_assignment"])) for member in found["members"]]


def _owned(assignment: bytes | None) -> frozenset[tuple[str, int]]:
    """A member that has just joined owns nothing yet."""
    if not assignment:
        return frozenset()
    decoded = ConsumerProtocolMemberAssignment.decode(assignment)
    return frozenset((topic, number) for topic, numbers in decoded.assignment for number in numbers)
