"""The payment gateway is a setting of the store: no money is credited that was not collected."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rater.embedded.payments import GATEWAY, PRETENDED
from rater.embedded.store import open_reader
from rater.wire.errors import Exit
from tests.commands import rater
from tests.payments.world import sandbox

#: 40 is below the trigger of 50, so a recharge of 100 is requested at once.
SETUP = """\
{"command":"tenant_configured","tenant":"contoso","id":"1","at":"2025-03-01T00:00:00Z","currency":"USD",\
"credits":"enabled","recharge":{"enabled":true,"trigger":"50","amount":"100"}}
{"command":"funds_added","tenant":"contoso","id":"2","at":"2025-03-01T00:00:00Z","amount":"40"}
"""
WAITS = "1 payment waits for an answer, nothing was credited"
LATER = ("tenant", "license", "contoso", "ada@contoso.example", "MCOPSTN1", "--country", "US", "--at", "2025-03-02T00:00:00Z")  # fmt: skip


@pytest.fixture
def waiting(tmp_path: Path) -> Path:
    """A store without a gateway, in which one recharge was requested."""
    (tmp_path / "setup.jsonl").write_text(SETUP)
    return tmp_path


def _run(folder: Path, *words: str) -> str:
    """What a command says to people; it ends well."""
    done = rater(*words, cwd=folder)
    assert done.returncode == Exit.OK, done.stderr
    return done.stderr


def _balance(folder: Path) -> int:
    """In whole dollars."""
    reader = open_reader(folder / "rater.db")
    try:
        account = reader.account("contoso")
        assert account is not None
        return account.balance // 1_000_000
    finally:
        reader.close()


def _summary(folder: Path, *words: str) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads(rater("run", "--json", *words, cwd=folder).stdout)["payments"]
    return summary


def _forget_settings(folder: Path) -> None:
    """The store as 0.3.0 wrote it."""
    with closing(sqlite3.connect(folder / "rater.db")) as connection, connection:
        connection.execute("DROP TABLE settings")


def test_without_a_gateway_a_recharge_waits(waiting: Path) -> None:
    """It is requested by the rules; the summary says that it waits, and no later command credits it."""
    assert WAITS in _run(waiting, "run", "--commands", "setup.jsonl")
    assert WAITS in _run(waiting, *LATER)
    assert WAITS in _run(waiting, "run")
    summary = _summary(waiting)
    assert (summary["gateway"], summary["pretended"], summary["waiting"]) == (None, False, 1)
    assert WAITS in summary["note"]
    assert _balance(waiting) == 40


def test_the_summary_gives_the_command_that_answers(waiting: Path) -> None:
    """What it says to type is a line of commands: 40 + 100."""
    said = _run(waiting, "run", "--commands", "setup.jsonl")
    (waiting / "answers.jsonl").write_text(said[said.index('{"command"') :])
    assert WAITS not in _run(waiting, "run", "--commands", "answers.jsonl")
    assert _balance(waiting) == 140


def test_a_store_of_an_earlier_version_waits_until_a_gateway_is_set(waiting: Path) -> None:
    """It has no settings; it can be read, and what was in flight is not credited by default."""
    _run(waiting, "run", "--commands", "setup.jsonl")
    _forget_settings(waiting)
    reader = open_reader(waiting / "rater.db")
    assert reader.setting(GATEWAY) is None
    reader.close()
    assert WAITS in _run(waiting, *LATER)
    assert _balance(waiting) == 40
    assert PRETENDED in _run(waiting, "run", "--gateway", "pretend")
    assert _balance(waiting) == 140


@pytest.mark.parametrize(
    ("gateway", "balance"),
    [
        ("pretend", 40 + 100),
        ("pretend:decline", 40),
        ("pretend:decline:contoso,fabrikam", 40),
        ("pretend:decline:fabrikam", 40 + 100),
    ],
)
def test_pretended_payments_are_reported_by_each_command(waiting: Path, gateway: str, balance: int) -> None:
    """Said once, kept by the store; a run, a run with --json and a command of a tenant each say it."""
    assert PRETENDED in _run(waiting, "run", "--commands", "setup.jsonl", "--gateway", gateway)
    assert _balance(waiting) == balance
    assert PRETENDED in _run(waiting, "run")
    assert PRETENDED in _run(waiting, *LATER)
    assert _summary(waiting) == {"gateway": gateway, "pretended": True, "waiting": 0, "note": PRETENDED}


def test_dead_letters_are_replayed_with_the_gateway_of_the_store(waiting: Path) -> None:
    """A replay may pretend a payment; a line says that."""
    (waiting / "cdrs.jsonl").write_text('{"tenant":"contoso"}\n')
    rater("run", "cdrs.jsonl", "--commands", "setup.jsonl", "--gateway", "pretend", cwd=waiting)
    done = rater("dlq", "replay", "--by", "ada", cwd=waiting)
    assert (done.returncode, PRETENDED in done.stderr) == (Exit.REFUSED, True)


def test_another_gateway_replaces_the_one_of_the_store(waiting: Path) -> None:
    """One line says so; `none` removes it, and payments wait again."""
    _run(waiting, "run", "--gateway", "pretend:decline")
    assert "now pretend; it was pretend:decline\n" in _run(waiting, "run", "--gateway", "pretend")
    assert "it was" not in _run(waiting, "run", "--gateway", "pretend")
    assert "now none; it was pretend\n" in _run(waiting, "run", "--gateway", "none")
    assert WAITS in _run(waiting, "run", "--commands", "setup.jsonl")


@pytest.mark.parametrize(
    ("gateway", "said"),
    [
        ("approve", "approve is written pretend now"),
        ("decline", "decline is written pretend:decline now"),
        ("decline:contoso", "decline:contoso is written pretend:decline:contoso now"),
        ("maybe", "got 'maybe'"),
        ("pretend:decline:", "got 'pretend:decline:'"),
        ("https://ada:secret@pay.example.com", "expected no password in the address"),
    ],
)
def test_what_is_no_gateway_is_one_line_and_is_not_kept(waiting: Path, gateway: str, said: str) -> None:
    """Also the old spellings, with the new one; the secret of an address is not kept."""
    done = rater("run", "--gateway", gateway, cwd=waiting)
    assert done.returncode == Exit.USAGE
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert _summary(waiting)["gateway"] is None


def test_the_address_of_a_gateway_is_kept(waiting: Path) -> None:
    """The next command asks it without being given it; a real payment is not called pretended."""
    with sandbox(waiting / "charges.jsonl") as gateway:
        _run(waiting, "run", "--gateway", gateway.url)
        said = _run(waiting, "run", "--commands", "setup.jsonl")
        assert _summary(waiting) == {"gateway": gateway.url, "pretended": False, "waiting": 0, "note": None}
    assert PRETENDED not in said
    assert _balance(waiting) == 140
