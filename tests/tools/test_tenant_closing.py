"""`rater tenant close|reopen` and `rater statement`: the rule closing, as a clerk types it."""

import json
from pathlib import Path

import pytest

from rater.core.inputs import CallRecord
from rater.core.reasons import CallType
from rater.wire.codec import encode_input
from tests.commands import rater
from tests.conftest import ROOT
from tests.world import HARARE, at

BOUGHT = ("--at", "2025-03-01T00:00:00Z")
WHO = ("--reason", "contract ended", "--by", "kim", "--yes", "--at", "2025-03-12T00:00:00Z")
DECK = ROOT / "tests" / "fixtures" / "deck.csv"


def call(id: str, when: str) -> bytes:
    """The record of a call of 21 minutes at 0.20: 4.20."""
    record = CallRecord(
        tenant="contoso",
        usage_id=id,
        type=CallType.USER_OUT,
        answered_at=at(when),
        duration_s=21 * 60,
        user="ada",
        calling="+14255550100",
        called=HARARE,
    )
    return encode_input(record) + b"\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with a tenant that bought 100 and made a call of 4.20."""
    rater("tenant", "add", "contoso", "--currency", "USD", "--credits", "enabled", *BOUGHT, cwd=tmp_path, code=0)
    rater("tenant", "fund", "contoso", "100", "--id", "bought", *BOUGHT, cwd=tmp_path, code=0)
    rater("tenant", "license", "contoso", "ada", "MCOPSTNPP", "--country", "US", *BOUGHT, cwd=tmp_path, code=0)
    (tmp_path / "calls.jsonl").write_bytes(call("the-call", "2025-03-10 10:00"))
    rater("run", "calls.jsonl", "--deck", DECK, cwd=tmp_path, code=0)
    return tmp_path


def test_a_tenant_is_closed_with_a_last_statement(folder: Path) -> None:
    """The rule closing: shown by kind of lot, sent, and the statement ends at 0; a call that comes late is owed."""
    closed = rater("tenant", "close", "contoso", "--pay-out", *WHO, cwd=folder, code=0)
    assert "pay_out 95.8 USD: 95.8 of bought\n  by kind of lot: purchase 95.8\nbalance 95.8 -> 0\n" in closed.stderr
    rows = [line.split() for line in closed.stdout.splitlines()]
    assert rows[rows.index(["Account"]) + 2 : rows.index(["Calls", "by", "kind"]) - 1] == [
        ["Opening", "balance", "0.00"],
        ["Purchases", "1", "100.00", "100.00"],
        ["Calls:", "international", "1", "-4.20", "95.80"],
        ["Paid", "out", "at", "the", "closing", "1", "-95.80", "0.00"],
        ["Closing", "balance", "0.00"],
    ]
    (folder / "late.jsonl").write_bytes(call("late", "2025-03-11 10:00"))
    rater("run", "late.jsonl", cwd=folder, code=0)
    shown = json.loads(rater("show", "tenant", "contoso", "--json", cwd=folder, code=0).stdout)
    assert (shown["closed"], shown["service"]) == ("since 2025-03-12T00:00:00Z, owes 4.2", "closed")
    refused = rater("tenant", "fund", "contoso", "100", cwd=folder, code=3)
    assert "which is closed since 2025-03-12T00:00:00+00:00; rater tenant reopen opens it again" in refused.stderr
    funds = rater("export", "funds", "--format", "jsonl", cwd=folder, code=0).stdout.splitlines()
    assert [(row["kind"], row["amount"]) for row in map(json.loads, funds)] == [
        ("purchase", "100"),
        ("pay_out", "-95.8"),
    ]


def test_a_statement_of_a_part_of_the_time(folder: Path) -> None:
    """What was before `--since` is the opening: 100, less the call of 4.20."""
    since = ("--since", "2025-03-05T00:00:00Z", "--format", "json")
    said = json.loads(rater("statement", "contoso", *since, cwd=folder, code=0).stdout)
    assert (said["opening"], said["entries"], said["closing"]) == (
        "100",
        [{"name": "calls_international", "count": 1, "amount": "-4.2"}],
        "95.8",
    )


def test_what_becomes_of_the_money_must_be_said(folder: Path) -> None:
    """The rule closing: neither, or both, is one line; nothing is sent."""
    for words in ((), ("--pay-out", "--forfeit")):
        refused = rater("tenant", "close", "contoso", *words, *WHO, cwd=folder, code=2)
        assert "expected either --pay-out or --forfeit" in refused.stderr
    refused = rater("tenant", "reopen", "contoso", *WHO, cwd=folder, code=3)
    assert "it would be refused: tenant: expected a closed tenant, got 'contoso', which is open" in refused.stderr


def test_a_tenant_is_reopened(folder: Path) -> None:
    """The rule closing: all was forfeited, and does not come back by itself."""
    rater("tenant", "close", "contoso", "--forfeit", *WHO, cwd=folder, code=0)
    rater("tenant", "reopen", "contoso", *WHO, cwd=folder, code=0)
    shown = json.loads(rater("show", "tenant", "contoso", "--json", cwd=folder, code=0).stdout)
    assert ("closed" in shown, shown["balance"], shown["service"]) == (False, "0", "suspended")
