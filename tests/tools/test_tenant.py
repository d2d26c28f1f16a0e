"""`rater tenant`: what people type is checked, published once, and answered with the command's id."""

import json
from pathlib import Path
from typing import Any

import pytest

from rater.core.catalogue import SKUS
from rater.core.inputs import FundsAdded
from rater.wire.codec import decode_command
from tests.commands import rater


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def shown(folder: Path, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(rater("show", *words, "--json", cwd=folder, code=0).stdout)
    return found


def test_a_tenant_from_the_first_command_to_the_last(folder: Path) -> None:
    """Set up, funded, given licences, changed: each command says its id, and the store shows it."""
    added = rater("tenant", "add", "contoso", "--currency", "usd", "--country", "de", "--credits", "enabled", "--id", "1", cwd=folder, code=0)  # fmt: skip
    assert (added.stdout, added.stderr) == ("1\n", "done\n")
    rater("tenant", "fund", "contoso", "500", "--purchase-order", "PO 7", cwd=folder, code=0)
    rater(
        "tenant", "license", "contoso", "maria@contoso.example", "MCOPSTN1", "--country", "DE", cwd=folder, code=0
    )
    rater("tenant", "configure", "contoso", "--recharge", "--recharge-trigger", "100", "--recharge-amount", "200", cwd=folder, code=0)  # fmt: skip
    tenant = shown(folder, "tenant", "contoso")
    assert {name: tenant[name] for name in ("currency", "country", "balance", "recharge", "recharge_trigger", "recharge_amount")} == {
        "currency": "USD", "country": "DE", "balance": "500", "recharge": "on", "recharge_trigger": "100", "recharge_amount": "200",
    }  # fmt: skip


def test_a_tenants_own_domains(folder: Path) -> None:
    """A39: given when it is set up or later; what is no domain is refused by its name."""
    added = rater("tenant", "add", "contoso", "--currency", "USD", "--domain", "contoso.example", "--domain", "fabrikam.example:5060", "--json", cwd=folder, code=0)  # fmt: skip
    assert json.loads(added.stdout)["domains"] == ["contoso.example", "fabrikam.example:5060"]
    refused = rater("tenant", "configure", "contoso", "--domain", "sip:bob@contoso.example", cwd=folder, code=3)
    assert (
        "domains: expected a SIP domain such as contoso.example, got 'sip:b***@contoso.example'" in refused.stderr
    )


def test_how_long_a_tenants_calls_may_last(folder: Path) -> None:
    """A44: given when it is set up or later; more than a record can hold is refused in one line."""
    added = rater("tenant", "add", "contoso", "--currency", "USD", "--call-duration-max-s", "90000", "--json", cwd=folder)  # fmt: skip
    assert json.loads(added.stdout)["call_duration_max_s"] == 90_000
    changed = rater("tenant", "configure", "contoso", "--call-duration-max-s", "100000", "--json", cwd=folder)
    assert json.loads(changed.stdout)["call_duration_max_s"] == 100_000
    for wrong in ("0", "31622401", "9" * 30):
        refused = rater("tenant", "configure", "contoso", "--call-duration-max-s", wrong, cwd=folder, code=2)
        assert "call-duration-max-s" in refused.stderr


def test_the_same_id_again_changes_nothing(folder: Path) -> None:
    """A command that may have been lost can be repeated: 500, not 1,000."""
    rater("tenant", "add", "contoso", "--currency", "USD", cwd=folder, code=0)
    for said in ("done\n", "nothing changed: this id was used before; if this is another order, give it an --id"):
        assert rater("tenant", "fund", "contoso", "500", "--id", "invoice-1", cwd=folder, code=0).stderr.startswith(
            said
        )
    assert shown(folder, "balance", "contoso")["balance"] == "500"
    first, second = (rater("tenant", "fund", "contoso", "50", cwd=folder, code=0).stdout for _ in range(2))
    assert first != second
    assert shown(folder, "balance", "contoso")["balance"] == "600"


def test_other_money_under_an_id_that_was_used(folder: Path) -> None:
    """70 under the id of 500 is not added, and the message says which id, what used it, what to do."""
    rater("tenant", "add", "contoso", "--currency", "USD", cwd=folder, code=0)
    rater("tenant", "fund", "contoso", "500", "--id", "used", cwd=folder, code=0)
    for _ in range(2):
        refused = rater("tenant", "fund", "contoso", "70", "--id", "used", cwd=folder, code=3)
        assert refused.stderr.startswith(
            "rater: contoso: refused: id: expected an id of its own for 'funds_added 70 USD':"
            " 'used' was used by 'funds_added 500 USD' at "
        )
    assert shown(folder, "balance", "contoso")["balance"] == "500"
    assert {letter["reason"] for letter in json.loads(rater("dlq", "ls", "--json", cwd=folder, code=0).stdout)} == {
        "conflicting_duplicate"
    }


def test_the_nearest_tenant_is_suggested(folder: Path) -> None:
    """contso is not known; contoso is, and fabrikam is not meant."""
    for tenant in ("contoso", "fabrikam"):
        rater("tenant", "add", tenant, "--currency", "USD", cwd=folder, code=0)
    assert rater("tenant", "fund", "contso", "50", cwd=folder, code=3).stderr.endswith("; did you mean contoso?\n")
    assert "did you mean" not in rater("tenant", "fund", "northwind", "50", cwd=folder, code=3).stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fund", "c", "49"], "amount: expected a whole amount of at least 50, got 49; that is the minimum of what people type (rule 61), a file for rater run --commands may say any amount"),
        (["fund", "c", "50.5"], "amount: expected a whole amount of at least 50, got 50.5"),
        (["fund", "c", "1e3"], "amount: expected a decimal amount such as 74.948, got '1e3'"),
        (["fund", "c", "ten"], "amount: expected a decimal amount such as 74.948, got 'ten'"),
        (["fund", "c", "99999999999999"], "amount: expected an amount up to 1000000000, got '99999999999999'"),
        (["fund", "c", "50", "--currency", "DOLLAR"], "currency: expected an ISO 4217 currency such as USD, got 'DOLLAR'"),
        (["fund", "c", "50", "--at", "2025-03-01"], "--at: expected a time with zone such as 2025-03-01T10:00:00Z, got '2025-03-01'"),
        (["fund", "*", "50"], "tenant: expected a tenant's name, got '*'"),
        (["fund", "", "50"], "tenant: string should have at least 1 character"),
        (["add", "c", "--currency", "XXX"], "currency: expected an ISO 4217 currency such as USD, got 'XXX'"),
        (["add", "c", "--currency", "EUR", "--country", "UK"], "country: expected an ISO 3166-1 alpha-2 country such as DE, got 'UK'; did you mean GB?"),
        (["add", "c", "--currency", "EUR", "--recharge"], "expected --recharge-trigger and --recharge-amount with --recharge"),
        (["add", "c", "--currency", "EUR", "--recharge-trigger", "10"], "recharge-trigger: expected a whole amount of at least 50, got 10"),
        (["configure", "c"], "expected something to change; see `rater tenant configure --help`"),
        (["license", "c", "u", "E5"], "sku: expected one of "),
        (["license", "c", "u", "MCOPSNT1"], f"sku: expected one of {', '.join(sorted(SKUS))}, got 'MCOPSNT1'; did you mean MCOPSTN1?"),
        (["license", "c", "u", "MCOPSTN1", "--effective-from", "2025-03-01T00:00:00Z", "--effective-to", "2025-02-01T00:00:00Z"], "effective_to: expected an instant after effective_from"),
    ],
)  # fmt: skip
def test_what_is_typed_wrong_is_one_clear_line(folder: Path, words: list[str], said: str) -> None:
    """Rule 61 and others: which option, what was expected, what was given; nothing is written."""
    refused = rater("tenant", *words, cwd=folder, code=2)
    assert refused.stderr.startswith(f"rater: {said}")
    assert len(refused.stderr.splitlines()) == 1
    assert list(folder.iterdir()) == []


def test_what_the_rules_refuse(folder: Path) -> None:
    """An unknown tenant, another currency: exit 3, with the reason, and a dead letter."""
    refused = rater("tenant", "fund", "nobody", "50", cwd=folder, code=3)
    assert "refused: tenant: expected a tenant that was configured" in refused.stderr
    rater("tenant", "add", "contoso", "--currency", "USD", cwd=folder, code=0)
    refused = rater("tenant", "fund", "contoso", "50", "--currency", "EUR", "--id", "7", cwd=folder, code=3)
    assert "refused: currency: expected the tenant's currency USD, got EUR" in refused.stderr
    assert len(json.loads(rater("dlq", "ls", "--json", cwd=folder, code=0).stdout)) == 2


def test_the_command_as_json(folder: Path) -> None:
    """What is printed with --json is the command as the topic has it."""
    rater("tenant", "add", "contoso", "--currency", "USD", cwd=folder, code=0)
    printed = rater("tenant", "fund", "contoso", "50", "--id", "x", "--json", cwd=folder, code=0).stdout
    command = decode_command(printed.encode())
    assert isinstance(command, FundsAdded)
    assert (command.id, command.amount) == ("x", "50")
