"""Topics and users as resources of Strimzi's operators, version v1.

The label that names one is set where the resources are put together.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from rater.kafka.topics import config_of
from rater.ops.manifests.acls import Grant
from rater.ops.manifests.services import SERVICES
from rater.wire.topics import Topic

API = "kafka.strimzi.io/v1"
#: The Kafka resource that topics and users belong to.
CLUSTER = "rater"
REPLICAS = 3
#: SCRAM names and passwords, or certificates; both come from Strimzi.
AUTHENTICATIONS = ("scram-sha-512", "tls")


def kafka_topic(topic: Topic, prefix: str = "") -> dict[str, Any]:
    """A KafkaTopic with the settings that `rater topics apply` would give it."""
    return {
        "apiVersion": API,
        "kind": "KafkaTopic",
        "metadata": {"name": prefix + topic.name, "labels": {"strimzi.io/cluster": CLUSTER}},
        "spec": {
            "partitions": topic.partitions,
            "replicas": REPLICAS,
            "config": config_of(topic, REPLICAS),
        },
    }


def kafka_topics(topics: Mapping[str, Topic], prefix: str = "") -> list[dict[str, Any]]:
    """Every topic."""
    return [kafka_topic(topic, prefix) for topic in topics.values()]


def kafka_users(granted: Iterable[Grant], authentication: str = AUTHENTICATIONS[0]) -> list[dict[str, Any]]:
    """A KafkaUser for every service that has rights among these."""
    rows = list(granted)
    return [
        {
            "apiVersion": API,
            "kind": "KafkaUser",
            "metadata": {"name": service.user, "labels": {"strimzi.io/cluster": CLUSTER}},
            "spec": {
                "authentication": {"type": authentication},
                "authorization": {
                    "type": "simple",
                    "acls": [_acl(grant) for grant in rows if grant.service == service],
                },
            },
        }
        for service in SERVICES
        if any(grant.service == service for grant in rows)
    ]


def _acl(grant: Grant) -> dict[str, Any]:
    pattern = "prefix" if grant.prefixed else "literal"
    resource = {"type": grant.resource.value, "name": grant.name, "patternType": pattern}
    return {"resource": resource, "operations": list(grant.operations)}
