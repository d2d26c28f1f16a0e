"""`rater tenant adjust|refund|reverse-payment|promote`: shown, asked, sent; A45, A46."""

import json
from pathlib import Path
from typing import Any

import pytest

from rater.core.inputs import CallRecord
from rater.core.reasons import CallType
from rater.wire.codec import decode_command, encode_input
from tests.commands import rater
from tests.conftest import ROOT
from tests.world import HARARE, at

WHO = ("--reason", "wrong price", "--by", "kim", "--at", "2025-03-12T00:00:00Z")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with a tenant that bought 100 and made a call of 4.2."""
    rater("tenant", "add", "contoso", "--currency", "USD", "--credits", "enabled", cwd=tmp_path, code=0)
    rater(
        "tenant", "fund", "contoso", "100", "--id", "bought", "--at", "2025-03-01T00:00:00Z", cwd=tmp_path, code=0
    )
    rater("tenant", "license", "contoso", "ada", "MCOPSTNPP", "--country", "US", "--at", "2025-03-01T00:00:00Z", cwd=tmp_path, code=0)  # fmt: skip
    call = CallRecord(
        tenant="contoso",
        usage_id="the-call",
        type=CallType.USER_OUT,
        answered_at=at("2025-03-10 10:00"),
        duration_s=21 * 60,
        user="ada",
        calling="+14255550100",
        called=HARARE,
    )
    (tmp_path / "calls.jsonl").write_bytes(encode_input(call) + b"\n")
    deck = ROOT / "tests" / "fixtures" / "deck.csv"
    rater("run", "calls.jsonl", "--deck", deck, cwd=tmp_path, code=0)
    return tmp_path


def shown(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(rater("show", "balance", "contoso", "--json", cwd=folder, code=0).stdout)
    return {"balance": found["balance"], "lots": [(lot["lot"], lot["remaining"]) for lot in found["lots"]]}


def test_a_call_is_credited_once(folder: Path) -> None:
    """A45: all that it cost, and not a second time by mistake; the command names the call."""
    credit = ("tenant", "adjust", "contoso", "--call", "the-call", "--all", *WHO, "--yes")
    given = rater(*credit, "--json", cwd=folder, code=0)
    said = json.loads(given.stdout)
    assert (said["amount"], said["usage_id"], said["reason"], said["by"]) == (
        "4.2",
        "the-call",
        "wrong price",
        "kim",
    )
    assert "balance 95.8 -> 100\n" in given.stderr
    assert shown(folder) == {"balance": "100", "lots": [("bought", "95.8"), ("credit-the-call", "4.2")]}
    again = rater(*credit[:-1], cwd=folder, code=0).stderr
    assert again.endswith(
        "would change nothing: this id was used before; if this is another order, give it an --id of its own\n"
    )
    assert shown(folder)["balance"] == "100"


def test_a_part_of_a_call_is_credited(folder: Path) -> None:
    """A45: 4.16 of 4.2; more than it cost is refused in one line, and so is a call that is not there."""
    words = ("tenant", "adjust", "contoso", "--call", "the-call")
    rater(*words, "4.16", *WHO, "--yes", cwd=folder, code=0)
    assert shown(folder)["balance"] == "99.96"
    beyond = "at most 4.2, what the call cost; got 5; to give more, or to take off what was given, leave out --call"
    assert beyond in rater(*words, "5", *WHO, "--yes", cwd=folder, code=2).stderr
    assert "either --all or an amount" in rater(*words, *WHO, cwd=folder, code=2).stderr
    twice = rater(*words, "4.16", "--reason", "again", "--by", "kim", cwd=folder, code=3)
    assert "it would be refused: id: " in twice.stderr
    assert "Send it?" not in twice.stderr
    assert json.loads(rater("dlq", "ls", "--json", cwd=folder, code=0).stdout) == []
    more = rater(*words, "0.05", "--id", "more", *WHO, "--yes", cwd=folder, code=2).stderr
    assert "at most 0.04, what the call cost (4.2) less the 4.16 that was given back before; got 0.05" in more
    rater(*words, "--all", "--id", "more", *WHO, "--yes", cwd=folder, code=0)
    assert shown(folder)["balance"] == "100", "99.96 + 0.04: no more than the call cost"
    nobody = rater("tenant", "adjust", "contoso", "--call", "x", "--all", *WHO, cwd=folder, code=1)
    assert "contoso has no call 'x'" in nobody.stderr


def test_money_is_taken_off(folder: Path) -> None:
    """A45: an amount below zero is no option of the command line; the preview says what it comes out of."""
    taken = rater("tenant", "adjust", "contoso", "-100", *WHO, "--yes", cwd=folder, code=0)
    assert "adjustment 100 USD: 95.8 of bought, 4.2 of what is owed\nbalance 95.8 -> -4.2\n" in taken.stderr
    assert shown(folder) == {"balance": "-4.2", "lots": []}


def test_reason_and_person_are_asked_for_and_so_is_a_word_before_it_is_sent(folder: Path) -> None:
    """A45: what is not given is asked; `no` changes nothing."""
    words = ("tenant", "adjust", "contoso", "5", "--at", "2025-03-12T00:00:00Z")
    assert rater(*words, cwd=folder, stdin=b"goodwill\nkim\nn\n").returncode != 0
    assert shown(folder)["balance"] == "95.8"
    rater(*words, cwd=folder, stdin=b"goodwill\nkim\ny\n", code=0)
    assert shown(folder)["balance"] == "100.8"


def test_a_refund_and_a_charge_back(folder: Path) -> None:
    """A45: out of one purchase; the preview says what would be refused, and the command is refused."""
    rater("tenant", "refund", "contoso", "bought", "15.8", *WHO, "--yes", cwd=folder, code=0)
    assert shown(folder)["balance"] == "80"
    refused = rater("tenant", "refund", "contoso", "bought", "80.01", *WHO, "--yes", cwd=folder, code=3)
    assert "it would be refused: amount: expected at most what is left of 'bought'" in refused.stderr
    taken = rater("tenant", "reverse-payment", "contoso", "bought", *WHO, "--yes", cwd=folder, code=0)
    assert "charge_back 84.2 USD: 80 of bought, 4.2 of what is owed" in taken.stderr
    assert shown(folder)["balance"] == "-4.2"


def test_a_promotion(folder: Path) -> None:
    """A46: with its expiry, used first."""
    promote = ("tenant", "promote", "contoso", "0.5", "--at", "2025-03-11T00:00:00Z", "--id", "gift", "--yes")
    rater(*promote, "--expires", "2099-01-01T00:00:00Z", cwd=folder, code=0)
    assert shown(folder) == {"balance": "96.3", "lots": [("gift", "0.5"), ("bought", "95.8")]}
    late = rater(*promote, "--expires", "2025-03-11T00:00:00Z", cwd=folder, code=2)
    assert "expires: expected an instant after --at" in late.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["adjust", "contoso", "0"], "amount: expected an amount that is not zero, got 0"),
        (["adjust", "contoso", "ten"], "amount: expected a decimal amount such as 74.948, got 'ten'"),
        (["adjust", "contoso"], "expected an amount, such as 4.16 or -4.16"),
        (["adjust", "contoso", "5", "--all"], "--all needs --call USAGE_ID"),
        (["refund", "contoso", "bought", "0"], "amount: expected an amount that is not zero, got 0"),
        (["adjust", "contoso", "-5", "--expires", "2099-01-01T00:00:00Z"], "expected no --expires"),
    ],
)
def test_what_is_none_is_refused_before_anything_is_sent(words: list[str], said: str, folder: Path) -> None:
    """A45: one line that says what was expected."""
    assert said in rater("tenant", *words, *WHO, "--yes", cwd=folder, code=2).stderr
    assert shown(folder)["balance"] == "95.8"


def test_the_command_is_what_the_topic_accepts(folder: Path) -> None:
    """A45: the same bytes go to Kafka and into a store."""
    given = rater("tenant", "adjust", "contoso", "5", *WHO, "--yes", "--json", "--id", "x", cwd=folder, code=0)
    assert decode_command(given.stdout.encode()).id == "x"  # type: ignore[union-attr]  # it is a command


def test_a_debit_that_is_no_call_is_explained(folder: Path) -> None:
    """A45: by the id of its command: what it took, who moved it, and why; money that came in, too."""
    rater("tenant", "adjust", "contoso", "-100", *WHO, "--id", "off", "--yes", cwd=folder, code=0)
    lines = rater("explain", "off", cwd=folder, code=0).stdout.splitlines()[1:]
    assert lines == [
        "  A person took it off by hand (A45).",
        "  funds.adjusted at 2025-03-12T00:00:00Z by kim: wrong price.",
        "  It took 95.8 from lot bought, 4.2 from debt.",
        "  The balance after it is -4.2 USD.",
    ]
    rater("tenant", "adjust", "contoso", "--call", "the-call", "--all", *WHO, "--yes", cwd=folder, code=0)
    assert rater("explain", "credit-the-call", cwd=folder, code=0).stdout.splitlines() == [
        "Money of contoso: funds.adjusted, 4.2 USD",
        "  funds.adjusted at 2025-03-12T00:00:00Z by kim: wrong price.",
        "  It is about call the-call: rater explain the-call",
        "  It is lot credit-the-call; the balance after the step is 0 USD.",
    ]
    assert "no call with this usage id" in rater("explain", "nothing", cwd=folder, code=1).stderr


def test_funds_add_up_to_the_balance(folder: Path) -> None:
    """A45, A46: what is no call's, with its sign, and the calls: 100 - 4.2 + 0.5 + 5 - 10 - 90 = 1.3."""
    rater("tenant", "promote", "contoso", "0.5", "--at", "2025-03-11T00:00:00Z", "--id", "gift", "--yes", "--expires", "2099-01-01T00:00:00Z", cwd=folder, code=0)  # fmt: skip
    rater("tenant", "adjust", "contoso", "5", *WHO, "--id", "up", "--yes", cwd=folder, code=0)
    rater("tenant", "refund", "contoso", "bought", "10", *WHO, "--id", "out", "--yes", cwd=folder, code=0)
    rater("tenant", "reverse-payment", "contoso", "bought", *WHO, "--id", "bank", "--yes", cwd=folder, code=0)
    rows = [json.loads(line) for line in rater("export", "funds", "--format", "jsonl", cwd=folder, code=0).stdout.splitlines()]  # fmt: skip
    assert [(row["kind"], str(row["amount"]), row["lot"], row["by"]) for row in rows] == [
        ("purchase", "100", "bought", None),
        ("promotion", "0.5", "gift", None),
        ("adjustment", "5", "up", "kim"),
        ("refund", "-10", "bought", "kim"),
        ("charge_back", "-90", "bought", "kim"),
    ]
    assert shown(folder)["balance"] == "1.3"
