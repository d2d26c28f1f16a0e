"""Access rights: the least that each service needs, from the topics' own list."""

import json
import shlex

import pytest
import yaml

from rater.kafka.settings import KafkaSettings
from rater.ops.manifests.acls import commands, grants, of_service
from rater.ops.manifests.services import SERVICES, service_of
from rater.wire.topics import Topic, load_topics
from tests.commands import rater


def rights(service: str) -> dict[str, set[str]]:
    """Topic (or group:, id:) to operations."""
    (found,) = [known for known in SERVICES if known.name == service]
    short = {"topic": "", "group": "group:", "transactionalId": "id:"}
    return {
        short[grant.resource] + grant.name: set(grant.operations)
        for grant in of_service(grants(load_topics()), found)
    }


def test_every_role_is_played_once() -> None:
    """Each word of `produced_by` and `consumed_by` belongs to one service, and each service's roles are used."""
    named = {role for topic in load_topics().values() for role in [*topic.produced_by, *topic.consumed_by]}
    assert {service_of(role).name for role in named} == {service.name for service in SERVICES if service.roles}
    assert sum(len(service.roles) for service in SERVICES) == len(
        {role for service in SERVICES for role in service.roles}
    )


def test_a_role_that_nobody_plays_is_found() -> None:
    """A new word in a topic's file must be given to a service, or its owner could do nothing."""
    topic = Topic(
        name="x",
        purpose="x",
        key="x",
        partitions=1,
        cleanup_policy="delete",
        produced_by=("stranger",),
        consumed_by=(),
    )
    with pytest.raises(KeyError, match=r"stranger: no service of rater\.ops\.manifests\.services plays this role"):
        grants({"x": topic})


@pytest.mark.parametrize(
    ("service", "may", "may_not"),
    [
        (
            "worker",
            {
                "cdrs": {"Read", "Describe"},
                "debits": {"Write", "Describe"},
                "state": {"Read", "Write", "Describe"},
                "group:rater": {"Read", "Describe"},
                "id:rater.": {"Write", "Describe"},
            },
            {"group:rater-agents"},
        ),
        (
            "switches",
            {"cdrs": {"Write", "Describe"}, "service-states": {"Read", "Describe"}},
            {"commands", "debits", "state", "id:rater."},
        ),
        (
            "billing",
            {"debits": {"Read", "Describe"}, "group:rater-billing": {"Read", "Describe"}},
            {"cdrs", "commands", "rated-calls", "id:rater."},
        ),
        (
            "agents",
            {
                "balances": {"Read", "Describe"},
                "commands": {"Write", "Describe"},
                "cdrs": {"Read", "Describe"},
                "call-commands": {"Read", "Write", "Describe"},
            },
            {"debits", "id:rater."},
        ),
        (
            "operators",
            {"rejected-cdrs": {"Read", "Describe", "DescribeConfigs"}, "group:rater": {"Describe"}},
            {"id:rater."},
        ),
        (
            "topics",
            {"cdrs": {"Create", "Describe", "Alter", "DescribeConfigs", "AlterConfigs"}},
            {"group:rater", "id:rater."},
        ),
    ],
)
def test_what_a_service_may(service: str, may: dict[str, set[str]], may_not: set[str]) -> None:
    """Reading rights for what it consumes, writing for what it produces, nothing else."""
    held = rights(service)
    assert {name: held.get(name) for name in may} == may
    assert not may_not & held.keys()


def test_only_the_worker_writes_the_ledger() -> None:
    """Whoever could write to these topics could make money."""
    for topic in ("debits", "balances", "rated-calls", "state", "commits", "account-events"):
        assert {service.name for service in SERVICES if "Write" in rights(service.name).get(topic, ())} == {
            "worker"
        }


def test_names_are_those_of_the_worker() -> None:
    """Group and transactional ids, with a deployment's prefix, as the worker uses them."""
    settings = KafkaSettings(prefix="blue-")
    names = {grant.name for grant in grants(load_topics(), "blue-") if grant.service.name == "worker"}
    assert settings.group in names
    assert settings.topic("cdrs") in names
    assert any(settings.transactional_id(7).startswith(name) for name in names if name.endswith("."))


def test_the_command_in_three_forms() -> None:
    """Commands, KafkaUser resources and JSON have the same rights."""
    rows = json.loads(rater("acls", "--json").stdout)
    lines = [shlex.split(line) for line in rater("acls").stdout.splitlines()]
    users = list(yaml.safe_load_all(rater("acls", "--strimzi").stdout))
    options = {"--topic", "--group", "--transactional-id"}
    assert (
        len(rows)
        == sum(word in options for line in lines for word in line)
        == sum(len(user["spec"]["authorization"]["acls"]) for user in users)
    )
    assert {line[line.index("--allow-principal") + 1] for line in lines} == {f"User:{row['user']}" for row in rows}
    assert {user["metadata"]["name"] for user in users} == {row["user"] for row in rows}
    tls = rater("acls", "--service", "worker", "--mtls").stdout
    assert "User:CN=rater-worker" in tls
    assert "rater-agents" not in tls


def test_an_unknown_service_is_one_clear_line() -> None:
    """What was expected, what came."""
    refused = rater("acls", "--service", "nobody")
    assert refused.returncode == 2
    assert (
        refused.stderr
        == "rater: --service: expected one of worker, agents, server, bridge, switches, publisher, billing, operators, topics, got 'nobody'\n"
    )


def test_names_are_quoted_for_the_shell() -> None:
    """A prefix with odd characters cannot become a command."""
    text = commands(grants(load_topics(), "a;b "))
    assert "--topic 'a;b cdrs'" in text
