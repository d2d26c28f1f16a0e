"""The least that each service may do on Kafka, from who produces and consumes what.

As `kafka-acls.sh` commands, and as rows that other forms are made from.
"""

import shlex
from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from rater.ops.manifests.services import SERVICES, Service, service_of
from rater.wire.topics import Topic


class Resource(StrEnum):
    """What a right is about; the option of kafka-acls.sh and Strimzi's type are made from it."""

    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactionalId"


class Grant(msgspec.Struct, frozen=True):
    """A service may do these operations on one resource, or on all whose name begins with it (`prefixed`)."""

    service: Service
    resource: Resource
    name: str
    operations: tuple[str, ...]
    prefixed: bool = False


_PRODUCES = ("Write", "Describe")
CONSUMES = ("Read", "Describe")
_COMPARES = ("DescribeConfigs", "Describe")
_CREATES = ("Create", "Describe", "Alter", "DescribeConfigs", "AlterConfigs")
_ORDER = ("Read", "Write", "Create", "Alter", "Describe", "DescribeConfigs", "AlterConfigs")


def grants(topics: Mapping[str, Topic], prefix: str = "") -> list[Grant]:
    """Every right of every service, topics in order; `prefix` begins every name of the deployment.

    A transactional producer needs no more for its idempotence than to write, since Kafka 2.8.
    Raises KeyError for a role of a topic that no service plays.
    """
    found: list[Grant] = []
    for service in SERVICES:
        for topic in topics.values():
            operations = _operations(service, topic)
            if operations:
                found.append(Grant(service, Resource.TOPIC, prefix + topic.name, operations))
        if service.group:
            name, prefixed = prefix + service.group, service.group_prefixed
            found.append(Grant(service, Resource.GROUP, name, ("Read", "Describe"), prefixed=prefixed))
        if service.compares:
            others = [other for other in SERVICES if other.group and other != service]
            found.extend(
                Grant(
                    service, Resource.GROUP, f"{prefix}{other.group}", ("Describe",), prefixed=other.group_prefixed
                )
                for other in others
            )
        if service.transactional_prefix:
            name = prefix + service.transactional_prefix
            found.append(Grant(service, Resource.TRANSACTIONAL_ID, name, ("Write", "Describe"), prefixed=True))
    return found


def of_service(granted: Iterable[Grant], service: Service) -> list[Grant]:
    """The rights of one service."""
    return [grant for grant in granted if grant.service == service]


def commands(granted: Iterable[Grant], *, certificate_names: bool = False) -> str:
    """The rights as `kafka-acls.sh` commands for a shell; `$BOOTSTRAP` and `$ADMIN_CONFIG` are the operator's.

    Names with the same rights share a command, for each starts a Java machine.  With `certificate_names` users
    are known by their certificates (`CN=...`), else by their SCRAM names.
    """
    together: dict[tuple[Service, Resource, tuple[str, ...], bool], list[str]] = {}
    for grant in granted:
        together.setdefault((grant.service, grant.resource, grant.operations, grant.prefixed), []).append(
            grant.name
        )
    lines = []
    for (service, resource, operations, prefixed), names in together.items():
        user = f"CN={service.user}" if certificate_names else service.user
        words = ["--add", "--allow-principal", f"User:{user}"]
        words += [word for operation in operations for word in ("--operation", operation)]
        words += [word for name in names for word in (_OPTIONS[resource], name)]
        words += ["--resource-pattern-type", "prefixed"] if prefixed else []
        lines.append(
            f'kafka-acls.sh --bootstrap-server "$BOOTSTRAP" --command-config "$ADMIN_CONFIG" {shlex.join(words)}\n'
        )
    return "".join(lines)


def _operations(service: Service, topic: Topic) -> tuple[str, ...]:
    wanted: set[str] = set()
    if service in [service_of(role) for role in topic.produced_by]:
        wanted.update(_PRODUCES)
    if service in [service_of(role) for role in topic.consumed_by]:
        wanted.update(CONSUMES)
    if service.compares:
        wanted.update(_COMPARES)
    if service.creates:
        wanted.update(_CREATES)
    return tuple(operation for operation in _ORDER if operation in wanted)


_OPTIONS = {
    Resource.TOPIC: "--topic",
    Resource.GROUP: "--group",
    Resource.TRANSACTIONAL_ID: "--transactional-id",
}
