"""Confusable names of tenants are reported, wherever one appears; nothing is refused or merged for it: a name is exact."""

import json
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from rater.core.inputs import Source
from rater.core.settings import RatingSettings
from rater.core.state import Memory
from rater.core.step import Rules
from rater.core.tariff import Tariffs
from rater.engine.batch import Record, run_batch
from rater.kafka.observe import Watch
from rater.ops.metrics.meter import Metrics
from rater.wire.commits import Commit
from rater.wire.lookalikes import SAID_MAX, Lookalikes
from tests.commands import rater

NEW = (
    '{{"command":"tenant_configured","tenant":{name},"id":"s","at":"2025-01-01T00:00:00Z","currency":"USD",'
    '"credits":"enabled"}}\n'
)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("contoso", "Contoso"),  # case
        ("contoso", "CONTOSO"),
        ("contoso", "contoso "),  # blanks
        ("contoso", "con toso"),
        ("contoso", "con\u00a0toso"),
        ("contoso", "ｃｏｎｔｏｓｏ"),  # NFKC
        ("caf\u00e9", "cafe\u0301"),
        ("contoso", "c\u043entoso"),  # Cyrillic
        ("acme", "\u0430cme"),  # Cyrillic
        ("ACME", "\u0410CME"),
        ("contoso", "contos\u03bf"),  # Greek
        ("contoso", "con\u200btoso"),  # zero width
        ("contoso", "contoso\u00ad"),
        ("contoso", "c0ntoso"),  # 0 and o
        ("fabrikam1", "fabrikaml"),  # 1 and l
        ("Illy", "llly"),
        ("tailspin", "tai1spin"),
    ],
)
def test_names_that_look_alike(name: str, other: str) -> None:
    """Case, blanks, NFKC, other scripts, invisible characters, 0 and O, 1, l and I."""
    expected = f"tenant {other!a} looks like {name!a}: they are different tenants; is one of them a slip?"
    assert [*Lookalikes([name]).remarks([other])] == [expected]
    assert [*Lookalikes([other]).remarks([name])]


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("contoso", "fabrikam"),
        ("contoso", "contosa"),
        ("tenant-0001", "tenant-0002"),
        ("\u7532", "\u4e59"),
        ("a1", "a2"),
        ("t-1-11", "t-11-1"),
    ],
)
def test_names_that_do_not(name: str, other: str) -> None:
    """Other letters, other numbers, other signs; and no name looks like itself."""
    assert [*Lookalikes([name, other]).remarks([name, other])] == []


def test_a_pair_is_reported_once_and_many_are_cut() -> None:
    """Both names of a pair are one line; an operator is not flooded."""
    assert len([*Lookalikes(["a", "A"]).remarks(["a", "A"])]) == 1
    many = [f"{letters}x" for number in range(100) for letters in (f"t{number}", f"T{number}")]
    assert len([*Lookalikes(many).remarks(many)]) <= SAID_MAX


def test_a_run_says_it(folder: Path) -> None:
    """A tenant that is configured, and one that is not; both are kept apart, and nothing is refused for it."""
    (folder / "other.jsonl").write_text(NEW.format(name=json.dumps("c\u043entoso")))
    call = {
        "tenant": "Contoso", "usage_id": "a", "type": "user_out", "answered_at": "2025-03-01T10:00:00Z",
        "duration_s": 60, "user": "ada@contoso.example", "called": "+12065550100",
    }  # fmt: skip
    (folder / "cdrs.jsonl").write_text(json.dumps(call) + "\n")
    done = rater(
        "run", "cdrs.jsonl", "--commands", "setup.jsonl", "--commands", "other.jsonl", "--deck", "deck.csv", "--json",
        cwd=folder,
    )  # fmt: skip
    summary = json.loads(done.stdout)
    assert summary["rejected"] == {"unknown_tenant": 1}
    assert summary["events"]["tenant.configured"] == 2
    (said,) = summary["lookalike_tenants"]
    assert said.startswith("tenant 'Contoso' looks like 'contoso', 'c\\u043entoso': they are different tenants")
    assert said in done.stderr
    (folder / "cdrs.jsonl").write_text(json.dumps(call | {"tenant": "contoso"}) + "\n")
    again = rater("run", "cdrs.jsonl", "--commands", "setup.jsonl", "--json", cwd=folder)
    assert json.loads(again.stdout)["lookalike_tenants"] == []


def test_the_input_of_commands_reports_it(folder: Path) -> None:
    """`rater tenant add` of a name that looks like another one: done, with a remark."""
    assert rater("tenant", "add", "contoso", "--currency", "USD", cwd=folder).returncode == 0
    done = rater("tenant", "add", "c0ntoso", "--currency", "USD", cwd=folder)
    assert done.returncode == 0
    assert "rater: tenant 'c0ntoso' looks like 'contoso': they are different tenants" in done.stderr


def test_a_worker_logs_it_once() -> None:
    """Once for each tenant, however many records name it."""
    watch, memory, rules = Watch(Metrics(CollectorRegistry())), Memory(), Rules(RatingSettings(), Tariffs())
    with capture_logs() as logs:
        for number, name in enumerate(["contoso", "C0ntoso", "C0ntoso", "fabrikam"]):
            raw = NEW.format(name=json.dumps(name)).strip().replace('"id":"s"', f'"id":"{number}"').encode()
            batch = run_batch(memory, rules, [Record("command", Source("commands", 0, number), raw)])
            commit = Commit(
                partition=0, sequence=number + 1, commands_first=number, commands_next=number + 1, cdrs_first=0,
                cdrs_next=0, outcomes={},
            )  # fmt: skip
            watch.consumed([])
            watch.committed([], batch, commit)
            memory.merge(batch.state)
    said = [line["remark"] for line in logs if line["event"] == "tenants look alike"]
    assert said == ["tenant 'C0ntoso' looks like 'contoso': they are different tenants; is one of them a slip?"]
