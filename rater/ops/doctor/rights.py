"""Whether the user that a client connects as holds the rights of a service.

The broker is asked what it would let this user do.
"""

from collections.abc import Collection

from rater.kafka.access_errors import DeniedError
from rater.kafka.rights import missing_rights
from rater.kafka.settings import KafkaSettings
from rater.ops.manifests.acls import CONSUMES, Grant, Resource, grants, of_service
from rater.ops.manifests.services import SERVICES, Service
from rater.wire.errors import RaterError
from rater.wire.topics import Topic, load_topics


def service_named(name: str) -> Service:
    """The service; RaterError says which there are."""
    for service in SERVICES:
        if service.name == name:
            return service
    raise RaterError(f"--service: expected one of {', '.join(known.name for known in SERVICES)}, got {name!r}")


async def lacking(settings: KafkaSettings, service: Service, without: Collection[str] = ()) -> list[str]:
    """The rights of a service that the connecting user lacks, such as "Write topic debits".

    `without`: roles that this process does not play, and needs no rights for.
    """
    topics_of_roles = {name: _without(topic, without) for name, topic in load_topics().items()}
    rows = of_service(grants(topics_of_roles, settings.prefix), service)
    topics = {grant.name: grant.operations for grant in _about(rows, Resource.TOPIC)}
    groups = {_one_of(grant): grant.operations for grant in _about(rows, Resource.GROUP)}
    ids = [_one_of(grant) for grant in _about(rows, Resource.TRANSACTIONAL_ID)]
    return await missing_rights(settings, topics, groups, ids)


async def must_hold(
    settings: KafkaSettings, service: Service, *, reading: bool = False, without: Collection[str] = ()
) -> None:
    """DeniedError that names what is missing first; with `reading` only rights to read topics count.

    `without`: see `lacking`.
    """
    missing = await lacking(settings, service, without)
    if reading:
        missing = [right for right in missing if right.startswith("Read topic ")]
    if missing:
        more = f" (and lacks {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise DeniedError(settings, missing[0] + more)


async def must_read(settings: KafkaSettings, names: Collection[str]) -> None:
    """DeniedError that names what is missing, if one of these topics may not be read."""
    missing = await missing_rights(settings, {settings.topic(name): CONSUMES for name in names}, {})
    if missing:
        raise DeniedError(settings, missing[0])


def _without(topic: Topic, roles: Collection[str]) -> Topic:
    sides = {"consumed_by": topic.consumed_by, "produced_by": topic.produced_by}
    return topic.model_copy(
        update={side: tuple(one for one in played if one not in roles) for side, played in sides.items()}
    )


def _one_of(grant: Grant) -> str:
    """A name that the right is about."""
    return f"{grant.name}0" if grant.prefixed else grant.name


def _about(rows: list[Grant], resource: Resource) -> list[Grant]:
    return [grant for grant in rows if grant.resource is resource]
