"""Puts the access rules that `rater acls` prints into a cluster, as kafka-acls.sh would.

Each of its runs starts a Java machine, so the printed lines are read here, with the same options, and sent at once.
"""

import argparse
import shlex
import time

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import CreateAclsRequest_v1, DescribeAclsRequest_v1, Request

from rater.kafka.connect import connection, reachable
from rater.kafka.rights import OPERATIONS
from rater.kafka.settings import KafkaSettings

_RESOURCES = {"topic": 2, "group": 3, "transactional_id": 5}
_PATTERNS = {"literal": 3, "prefixed": 4}
_ALLOW = 3
_ANY = 1
_IN_FORCE_WITHIN_S = 60


class CreateAcls(Request[CreateAclsRequest_v1]):  # type: ignore[misc]  # aiokafka ships no types
    """The rules to create: resource, name, pattern, principal, host, operation, permission."""

    API_KEY = 30

    def __init__(self, rules: list[tuple[object, ...]]) -> None:
        self._rules = rules

    def build(self, request_struct_class: type[CreateAclsRequest_v1]) -> CreateAclsRequest_v1:
        return request_struct_class(self._rules)


class DescribeAcls(Request[DescribeAclsRequest_v1]):  # type: ignore[misc]  # aiokafka ships no types
    """Every rule that a broker knows."""

    API_KEY = 29

    def build(self, request_struct_class: type[DescribeAclsRequest_v1]) -> DescribeAclsRequest_v1:
        return request_struct_class(_ANY, None, _ANY, None, None, _ANY, _ANY)


class Client(AIOKafkaClient):  # type: ignore[misc]  # aiokafka ships no types
    async def start(self) -> None:
        await self.bootstrap()


def rules_of(line: str) -> list[tuple[object, ...]]:
    """What one printed command grants."""
    words = shlex.split(line)
    assert words[:5] == ["kafka-acls.sh", "--bootstrap-server", "$BOOTSTRAP", "--command-config", "$ADMIN_CONFIG"]
    options = argparse.ArgumentParser()
    options.add_argument("--add", action="store_true", required=True)
    options.add_argument("--allow-principal", required=True)
    options.add_argument("--operation", action="append", required=True)
    options.add_argument("--resource-pattern-type", default="literal")
    for resource in _RESOURCES:
        options.add_argument(f"--{resource.replace('_', '-')}", action="append", default=[])
    said = options.parse_args(words[5:])
    return [
        (
            code,
            name,
            _PATTERNS[said.resource_pattern_type],
            said.allow_principal,
            "*",
            OPERATIONS[operation],
            _ALLOW,
        )
        for resource, code in _RESOURCES.items()
        for name in getattr(said, resource)
        for operation in said.operation
    ]


async def apply_rules(bootstrap: str, printed: str) -> None:
    """Create what the printed commands grant, and wait until the broker goes by it.

    `bootstrap` is the listener of whoever sets the cluster up.  The controller answers before the broker knows the
    rules, and a program that starts in between ends because it has no rights.
    """
    settings = KafkaSettings(bootstrap=bootstrap)
    rules = [rule for line in printed.splitlines() for rule in rules_of(line)]
    async with reachable(settings, Client(**connection(settings))) as client:
        answer = await client.send(client.get_random_node(), CreateAcls(rules))
        assert {code for code, _ in answer.creation_responses} == {0}
        deadline = time.monotonic() + _IN_FORCE_WITHIN_S
        while missing := set(rules) - await _in_force(client):
            assert time.monotonic() < deadline, f"waited for the broker to know {missing}"


async def _in_force(client: Client) -> set[tuple[object, ...]]:
    """The rules that the broker goes by."""
    found = await client.send(client.get_random_node(), DescribeAcls())
    return {(code, name, pattern, *rule) for code, name, pattern, rules in found.resources for rule in rules}
