import asyncio
import json
from pathlib import Path

import pytest

from rater.core.inputs import PaymentFailed
from rater.dev.charge_log import ChargeLog, read_charges
from rater.dev.sandbox_rules import read_rule
from rater.wire.errors import Exit, RaterError
from tests.commands import rater
from tests.embedded.test_files import tables
from tests.payments.world import ask, request, sandbox

SETUP = """\
{"command":"tenant_configured","tenant":"contoso","id":"1","at":"2025-01-01T00:00:00Z","currency":"USD",\
"credits":"enabled","recharge":{"enabled":true,"trigger":"250","amount":"100"}}
{"command":"funds_added","tenant":"contoso","id":"2","at":"2025-01-01T00:00:00Z","amount":"10"}
"""


def test_rules_by_tenant_and_amount_after_a_script(tmp_path: Path) -> None:
    """The script first, then the first rule that fits, else approval."""
    options = (
        "--script",
        "approve",
        "--when",
        "tenant:tail=card_expired",
        "--when",
        "amount:13=insufficient_funds",
    )
    asked = [
        request(id="a", tenant="tailspin"),
        request(id="b", tenant="tailspin"),
        request(id="c", amount="13.00"),
        request(id="d"),
    ]
    with sandbox(tmp_path / "charges.jsonl", *options) as gateway:
        answers = asyncio.run(ask(gateway.url, *asked))
    reasons = [answer.reason if isinstance(answer, PaymentFailed) else "paid" for answer in answers]
    assert reasons == ["paid", "card_expired", "insufficient_funds", "paid"]
    assert [(charge.key, charge.reason) for charge in read_charges(tmp_path / "charges.jsonl")] == [
        ("a", None),
        ("b", "card_expired"),
        ("c", "insufficient_funds"),
        ("d", None),
    ]


def test_a_line_that_was_cut_short_was_never_answered(tmp_path: Path) -> None:
    """What a kill left half written is cut off; the charge before it stays, and the log goes on."""
    log = tmp_path / "charges.jsonl"
    with sandbox(log) as gateway:
        asyncio.run(ask(gateway.url, request(id="a")))
    whole = log.read_bytes()
    log.write_bytes(whole + b'{"record":"charge","key":"b","rech')
    assert [charge.key for charge in read_charges(log)] == ["a"]
    with sandbox(log) as gateway:
        asyncio.run(ask(gateway.url, request(id="a"), request(id="b")))
    assert [charge.key for charge in read_charges(log)] == ["a", "b"]
    assert log.read_bytes().startswith(whole)


def test_one_gateway_for_one_log(tmp_path: Path) -> None:
    """A second process on the same log ends with a message; a file that is no log is refused with its line."""
    log = tmp_path / "charges.jsonl"
    with sandbox(log):
        second = rater("dev", "gateway", "--port", "0", "--log", log, cwd=tmp_path)
    assert second.returncode == Exit.STORE_IN_USE
    assert "in use by another gateway" in second.stderr
    log.write_bytes(b'{"record":"charge"}\n')
    with pytest.raises(RaterError, match=r"charges.jsonl:1: expected a charge"):
        ChargeLog(log)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("tailspin=approve", "expected tenant:PREFIX=BEHAVIOUR"),
        ("tenant:=approve", "expected tenant:PREFIX=BEHAVIOUR"),
        ("tenant:x", "expected tenant:PREFIX=BEHAVIOUR"),
        ("tenant:x=explode", "expected one of approve, card_expired"),
        ("amount:1e3=approve", "expected a decimal amount"),
    ],
)
def test_a_rule_that_cannot_be(rule: str, says: str) -> None:
    """It says what was expected."""
    with pytest.raises(RaterError, match=says):
        read_rule(rule)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--script", "late"], "set its address with --webhook-url"),
        (["--webhook-url", "http://127.0.0.1:9/"], "environment variable RATER_WEBHOOK_SECRET"),
        (["--log", "no/such/folder"], "cannot be written"),
    ],
)
def test_a_command_line_that_cannot_be(tmp_path: Path, options: list[str], says: str) -> None:
    """One line on standard error, exit code 2."""
    done = rater("dev", "gateway", "--port", "0", *options, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (Exit.USAGE, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_in_use(tmp_path: Path) -> None:
    """It says what to do."""
    with sandbox(tmp_path / "a.jsonl") as gateway:
        port = gateway.url.rpartition(":")[2]
        done = rater("dev", "gateway", "--port", port, "--log", "b.jsonl", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (Exit.USAGE, "")
    assert "--port 0 chooses a free one" in done.stderr


def test_rules_read_amounts_exactly() -> None:
    """13 and 13.000 are one amount."""
    assert read_rule("amount:13.000=approve") == read_rule("amount:13=approve")


def test_the_embedded_rater_with_an_http_gateway(tmp_path: Path) -> None:
    """10 + 100 + 100 + 100, each asked once more after a lost answer; the same store as with the local gateway."""
    (tmp_path / "setup.jsonl").write_text(SETUP)
    log = tmp_path / "charges.jsonl"
    with sandbox(log, "--script", "drop,html,approve") as gateway:
        done = rater("run", "--commands", "setup.jsonl", "--gateway", gateway.url, "--json", cwd=tmp_path)
    assert done.returncode == Exit.OK, done.stderr
    assert json.loads(done.stdout)["events"]["recharge.succeeded"] == 3
    assert [charge.status for charge in read_charges(log)] == ["succeeded"] * 3
    local = rater("run", "--commands", "setup.jsonl", "--store", "local.db", "--gateway", "pretend", cwd=tmp_path)
    assert local.returncode == Exit.OK, local.stderr
    assert tables(tmp_path / "rater.db") == tables(tmp_path / "local.db")
    assert len(tables(tmp_path / "rater.db")["recharges"]) == 3
