"""Who may ask, how much, and what a server that is busy says."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry

from rater.core import Source
from rater.engine.batch import Record
from rater.ops.metrics.labels import RecordResult
from rater.ops.metrics.meter import Metrics
from rater.serve import group_commit
from rater.serve.clients import Client, Clients, new_token, read_clients
from rater.serve.group_commit import GroupCommit, Item, NotKept
from rater.serve.problems import Kind, ProblemError
from rater.serve.rates import Rates
from rater.serve.results import Result
from rater.wire.errors import RaterError
from tests.serve.world import call, clients_file, serving

TOKEN, HASHED = new_token()


def test_no_token_no_answer(tmp_path: Path) -> None:
    """401 without a good one, 403 for what it may not do; Bearer, or Basic as FreeSWITCH sends it."""
    clients = clients_file(tmp_path, switch={"may": ["cdrs", "authorize"]})
    path = "/v1/authorize?tenant=contoso&user=ada&called=%2B442079460000"
    with serving(tmp_path, clients=clients) as (_, switch):
        wrong = [
            switch.ask(path, Authorization=shown) for shown in ("", "Bearer", "Bearer x", "Basic x", "Basic !")
        ]
        good = [switch.ask(path), switch.basic(path)]
        not_allowed = switch.ask("/v1/call-commands?wait=0")
        open_pages = [switch.ask(page, Authorization="").status for page in ("/livez", "/readyz", "/healthz", "/metrics", "/v1/openapi.json")]  # fmt: skip
    assert [one.status for one in wrong] == [401] * 5
    assert wrong[0].headers["WWW-Authenticate"] == 'Bearer realm="rater", Basic realm="rater"'
    assert [one.status for one in good] == [200, 200]
    assert not_allowed.body["detail"].startswith("switch: expected a token that may do call-commands")
    assert open_pages == [200] * 5


def test_a_token_is_replaced_without_a_restart(tmp_path: Path) -> None:
    """Old and new are good at once; then only the new one.  A file that is wrong changes nothing."""
    old, new = clients_file(tmp_path), new_token()
    clients = Clients(old.path)
    (entry,) = yaml.safe_load(old.path.read_text())["clients"]

    def write(tokens: list[str]) -> list[bool]:
        old.path.write_text(yaml.safe_dump({"clients": [entry | {"tokens": tokens}]}))
        clients.refresh()
        return [clients.of(f"Bearer {token}") is not None for token in (old.tokens["switch"], new[0])]

    hashed = entry["tokens"][0]
    assert write([hashed, new[1]]) == [True, True]
    assert write([new[1], new[1]]) == [False, True]
    assert write(["a token by mistake"]) == [False, True]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("clients: []", "clients: tuple should have at least 1 item"),
        (f"clients: [{{name: a, tokens: ['{TOKEN}']}}]", "clients.0.tokens: expected sha256:SALT:HASH"),
        (f"clients: [{{name: a b, tokens: ['{HASHED}']}}]", "clients.0.name: string should match pattern"),
        (f"clients: [{{name: a, tokens: ['{HASHED}'], may: [money]}}]", "clients.0.may.0: expected 'cdrs'"),
        (f"clients: [{{name: a, tokens: ['{HASHED}']}}, {{name: a, tokens: ['{HASHED}']}}]", "clients: expected each name once"),
        ("clients: [", "expected YAML"),
    ],
    ids=["no client", "a token in the clear", "a name with a space", "an unknown right", "one name twice", "no YAML"],
)  # fmt: skip
def test_a_clients_file_that_is_wrong(text: str, says: str, tmp_path: Path) -> None:
    """One line that names the place; a token that stands there by mistake is not shown."""
    (tmp_path / "clients.yaml").write_text(text)
    with pytest.raises(RaterError) as wrong:
        read_clients(tmp_path / "clients.yaml")
    assert says in str(wrong.value)
    assert TOKEN not in str(wrong.value)


def test_more_records_than_a_client_may_send(tmp_path: Path) -> None:
    """429 with the seconds until it may go on: of 2 a second, 5 were sent at once, so 3 are owed."""
    now = [0.0]
    rates, client = Rates(lambda: now[0]), Client(name="switch", tokens=(HASHED,), records_per_s=2)
    rates.count(client, 5)
    with pytest.raises(ProblemError) as refused:
        rates.count(client, 1)
    assert (refused.value.kind, refused.value.retry_after_s) == (Kind.TOO_MANY, 2)  # 3 / 2, rounded up
    now[0] = 2.0
    rates.count(client, 1)
    rates.count(Client(name="other", tokens=(HASHED,)), 1)
    clients = clients_file(tmp_path, switch={"records_per_s": 1})
    many = [call(f"{number}") for number in range(301)]
    with serving(tmp_path, clients=clients) as (_, switch):
        answers = [switch.send(*many), switch.send(call("a"))]
    assert [one.status for one in answers] == [200, 429]
    assert 1 <= int(answers[1].headers["Retry-After"]) <= 300


class Slow:
    """A keeper that stores when it is allowed to, and remembers what came together."""

    def __init__(self) -> None:
        self.allowed = asyncio.Event()
        self.groups: list[int] = []
        self.wrong: Exception | None = None
        self.bad = b"bad"

    async def keep(self, items: Sequence[Item]) -> Sequence[Result]:
        """See Keeper."""
        await self.allowed.wait()
        self.groups.append(len(items))
        if self.wrong is not None:
            raise self.wrong
        if any(isinstance(item, Record) and item.raw == self.bad for item in items):
            raise ZeroDivisionError
        return [Result(result=RecordResult.ACCEPTED) for _ in items]


def record(raw: bytes = b"{}") -> Record:
    return Record("cdr", Source("http", 0, 0), raw)


async def answers_of(keeper: Slow, requests: Sequence[Sequence[Record]]) -> list[object]:
    """What each request got, all of them being there before the first is stored."""
    commits = GroupCommit(keeper, Metrics(CollectorRegistry()))
    running = asyncio.create_task(commits.run())
    asked = [asyncio.create_task(commits.add(items, 10)) for items in requests]
    for _ in range(5):
        await asyncio.sleep(0)
    keeper.allowed.set()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    running.cancel()
    return [one.kind if isinstance(one, ProblemError) else len(one) for one in answers]  # type: ignore[arg-type]


def test_what_arrives_together_is_stored_together() -> None:
    """The first alone, as it was the first; then all that came meanwhile, in one commit."""

    async def run() -> tuple[list[object], list[int]]:
        keeper = Slow()
        return await answers_of(keeper, [[record()], [record()] * 2, [record()] * 3]), keeper.groups

    answers, groups = asyncio.run(run())
    assert answers == [1, 2, 3]
    assert groups in ([1, 5], [6])


def test_more_than_may_wait_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """503 with Retry-After, instead of memory."""
    monkeypatch.setattr(group_commit, "WAITING_RECORDS_MAX", 3)

    async def run() -> list[object]:
        return await answers_of(Slow(), [[record()] * 2, [record()] * 2, [record()]])

    assert asyncio.run(run()) == [2, Kind.BUSY, 1]


def test_a_bug_at_one_record_fails_its_own_request_only() -> None:
    """500 for it; those that came together with it are stored."""

    async def run() -> list[object]:
        return await answers_of(Slow(), [[record()], [record()], [record(b"bad")], [record()]])

    assert asyncio.run(run()) == [1, 1, Kind.FAILED, 1]


def test_what_cannot_be_stored_is_to_be_sent_again() -> None:
    """503 where the disk is full, or Kafka does not answer."""

    async def run() -> list[object]:
        keeper = Slow()
        keeper.wrong = NotKept("the disk is full")
        return await answers_of(keeper, [[record()], [record()]])

    assert asyncio.run(run()) == [Kind.BUSY, Kind.BUSY]


@pytest.mark.parametrize(
    ("path", "method", "status", "says"),
    [
        ("/", "GET", 404, "/: no such path; /v1/openapi.json lists them"),
        ("/v1/cdrs/", "POST", 404, "no such path"),
        ("/v1/cdrs", "GET", 405, "/v1/cdrs: expected POST, got GET"),
        ("/v1/authorize", "POST", 405, "expected GET"),
        ("/v1/cdrs?a=1", "POST", 400, "a: no such parameter; expected map, tenant, uuid"),
        ("/v1/cdrs?map=a&map=b", "POST", 400, "map: expected it once"),
        ("/v1/call-commands?after=x", "GET", 400, "after: string should match pattern"),
        ("/v1/call-commands?after=1-2", "GET", 400, "after: expected a cursor as an answer has it in `next`"),
        ("/v1/call-commands?wait=61", "GET", 400, "wait: input should be less than or equal to 60"),
    ],
)
def test_invalid_requests(path: str, method: str, status: int, says: str, tmp_path: Path) -> None:
    """One problem, one line; 405 says in Allow what there is."""
    with serving(tmp_path) as (_, switch):
        answer = switch.ask(path, b"{}" if method == "POST" else None, method=method)
    assert (answer.status, answer.body["status"]) == (status, status)
    assert says in answer.body["detail"]
    assert ("Allow" in answer.headers) == (status == 405)
