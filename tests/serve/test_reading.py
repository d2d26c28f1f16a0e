"""Reading over HTTP: a tenant's figures, who may read them, and what is asked of them."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from rater.core import FundsAdded, TenantConfigured
from tests.serve.world import NOON, Answer, Serving, Switch, call, clients_file, setting_up

CLIENTS: dict[str, dict[str, Any]] = {
    "switch": {"may": ["cdrs", "commands"]},
    "operator": {"may": ["read"], "role": "operator", "reads_per_s": 1000},
    "clerk": {"may": ["read"], "role": "billing", "tenant": "contoso", "reads_per_s": 1000},
    "slow": {"may": ["read"], "role": "viewer", "tenant": "contoso", "reads_per_s": 1},
}


def two_tenants() -> list[Any]:
    """contoso with 100 USD, and fabrikam with 5."""
    at = NOON - timedelta(days=1)
    return [
        *setting_up(),
        TenantConfigured(tenant="fabrikam", id="f", at=at, currency="USD", credits="enabled"),
        FundsAdded(tenant="fabrikam", id="f5", at=at, amount="5"),
    ]


class Asked:
    """A server with three calls of contoso: 2, 2 and 5 minutes to London at 0.05, one of them corrected to 4."""

    def __init__(self, server: Serving) -> None:
        self.server = server
        switch = server.switch("switch")
        sent = [
            switch.send(call("a"), call("b", 120)),
            switch.send(call("c", 300)),
            switch.send(call("b", 240, version=2)),
            switch.send(call("wrong", duration_s=-5, called="+442079460000")),
        ]
        assert [one.status for one in sent] == [200] * 4
        self.clerk, self.operator = server.switch("clerk"), server.switch("operator")

    def read(self, path: str, client: Switch | None = None, **headers: str) -> Answer:
        """What is below contoso."""
        return (client or self.clerk).ask(f"/v1/tenants/contoso{path}", **headers)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder = tmp_path_factory.mktemp("reading")
    with Serving(folder, clients_file(folder, **CLIENTS), commands=two_tenants()) as server:
        yield Asked(server)


def test_calls_newest_first_with_the_replaced_one_marked(asked: Asked) -> None:
    """b was 2 minutes (0.1), and is 4 (0.2) since it was corrected: the older rating does not stand."""
    answer = asked.read("/calls")
    assert answer.status == 200
    rows = [(one["usage_id"], one["version"], one["charge"], one["stands"]) for one in answer.body["calls"]]
    assert rows == [("b", 2, "0.2", True), ("c", 1, "0.25", True), ("b", 1, "0.1", False), ("a", 1, "0.1", True)]
    assert answer.body["next"] is None
    assert answer.body["as_of"].endswith("Z")


def test_pages_by_cursor(asked: Asked) -> None:
    """Four ratings in pages of three: the second has one, and no next."""
    first = asked.read("/calls?limit=3").body
    second = asked.read(f"/calls?limit=3&cursor={first['next']}").body
    assert [len(first["calls"]), len(second["calls"]), second["next"]] == [3, 1, None]
    assert asked.read("/calls?cursor=nonsense").status == 400
    assert asked.read(f"/debits?cursor={first['next']}").status == 400, "a cursor of another page"


def test_one_tenant_s_token_sees_no_other(asked: Asked) -> None:
    """A known tenant and an unknown one in the same words; for the operator only the unknown one is missing."""
    others = ["fabrikam", "nobody", "contoso%20", "CONTOSO"]
    answers = [asked.clerk.ask(f"/v1/tenants/{name}/calls") for name in others]
    assert {one.status for one in answers} == {404}
    texts = [one.body["detail"].partition(":")[2] for one in answers]
    assert len(set(texts)) == 1
    assert [one["tenant"] for one in asked.clerk.ask("/v1/tenants").body["tenants"]] == ["contoso"]
    assert [one["tenant"] for one in asked.operator.ask("/v1/tenants").body["tenants"]] == ["contoso", "fabrikam"]
    assert asked.operator.ask("/v1/tenants/fabrikam").body["balance"] == "5"
    assert asked.operator.ask("/v1/tenants/nobody").status == 404


def test_who_may_not_read(asked: Asked) -> None:
    """401 without a token, 403 with one that is a switch's."""
    assert asked.clerk.ask("/v1/tenants/contoso/calls", Authorization="").status == 401
    assert asked.read("/calls", asked.server.switch("switch")).status == 403
