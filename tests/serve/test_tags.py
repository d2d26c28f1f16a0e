"""ETags of what is read: the same figures have the same, and are not sent twice."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve.test_reading import CLIENTS, two_tenants
from tests.serve.world import Answer, Serving, call, clients_file

PAGES = ("", "/debits", "/balance", "/statement?period=2026-03", "/spend?by=user&since=2026-03-01&until=2026-04-01")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server with a call of contoso, 2 minutes at 0.05."""
    folder = tmp_path_factory.mktemp("tags")
    with Serving(folder, clients_file(folder, **CLIENTS), commands=two_tenants()) as running:
        assert running.switch("switch").send(call("a")).body["accepted"] == 1
        yield running


def read(server: Serving, path: str, if_none_match: str = "", tenant: str = "contoso") -> Answer:
    """What is below a tenant, for contoso's clerk."""
    return server.switch("clerk").ask(f"/v1/tenants/{tenant}{path}", If_None_Match=if_none_match)


@pytest.mark.parametrize("path", PAGES)
def test_the_same_figures_are_not_sent_twice(server: Serving, path: str) -> None:
    """304 with the tag of the answer, which is one of several, or `*`; another page has another tag."""
    tag = read(server, path).headers["ETag"]
    for known in (tag, "*", f'"other", {tag}', f'W/{tag}, "other"'):
        again = read(server, path, if_none_match=known)
        assert (again.status, again.body, again.headers["ETag"]) == (304, "", tag)
    assert read(server, "/funds", if_none_match=tag).status == 200


def test_what_there_is_not_has_no_tag(server: Serving) -> None:
    """404, also for `*`."""
    assert read(server, "/nowhere", if_none_match="*").status == 404
    assert read(server, "", if_none_match="*", tenant="nobody").status == 404


def test_another_balance_has_another_tag(tmp_path: Path) -> None:
    """100 less a call of 0.1: whoever has the tag of 100 gets 99.9."""
    with Serving(tmp_path, clients_file(tmp_path, **CLIENTS), commands=two_tenants()) as server:
        first = read(server, "/balance")
        assert server.switch("switch").send(call("a")).body["accepted"] == 1
        after = read(server, "/balance", if_none_match=first.headers["ETag"])
    assert (first.body["balance"], after.status, after.body["balance"]) == ("100", 200, "99.9")
