"""Money by hand on a real broker: every command of `rater tenant` about money, as a clerk types it, and the audit."""

import json
from typing import Any

import msgspec
import pytest

from rater.core.inputs import CallRecord
from rater.core.outputs import Debit, ServiceState
from rater.core.reasons import CallType
from rater.wire.codec import encode_input
from tests.commands import rater
from tests.conftest import ROOT
from tests.kafka.deployment import Deployment, until
from tests.world import HARARE, at

DECK = ROOT / "tests" / "fixtures" / "deck.csv"
WHO = ("--reason", "wrong price", "--by", "kim", "--yes")


class Clerk:
    """Somebody who types commands, and looks at their outcomes."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.environment = {
            "RATER_BOOTSTRAP": deployment.settings.bootstrap,
            "RATER_PREFIX": deployment.settings.prefix,
        }

    def types(self, *words: str, code: int = 0) -> tuple[str, str]:
        """A command about money; what it printed, once it is rated."""
        ran = rater(*words, cwd=self.deployment.folder, code=code, environment=self.environment)
        self.deployment.wait_until_rated()
        return ran.stdout, ran.stderr

    def refused_at_once(self, what: str, *words: str) -> None:
        """A command that is not sent."""
        assert what in rater(*words, cwd=self.deployment.folder, code=2, environment=self.environment).stderr

    def statement(self) -> dict[str, Any]:
        """The statement: the entries by name, and what is left."""
        said = json.loads(self.types("statement", "contoso", "--format", "json")[0])
        assert (said["unexplained"], said["kept_since"]) == ("0", None)
        return {entry["name"]: entry["amount"] for entry in said["entries"]} | {"closing": said["closing"]}

    def debits(self) -> list[tuple[str, str, str]]:
        """Kind, amount, and the balance after it."""
        found = [msgspec.json.decode(value, type=Debit) for value in self.deployment.values("debits")]
        return [(debit.kind.value, debit.amount, debit.balance) for debit in found]

    def publish(self, id: str, minutes: int, when: str) -> None:
        """The record of a call to Harare, at 0.20 a minute."""
        call = CallRecord(
            tenant="contoso",
            usage_id=id,
            type=CallType.USER_OUT,
            answered_at=at(when),
            duration_s=60 * minutes,
            user="ada",
            calling="+14255550100",
            called=HARARE,
        )
        self.deployment.publish([("cdrs", "contoso", encode_input(call))])
        self.deployment.wait_until_rated()


@pytest.fixture
def clerk(deployment: Deployment) -> Clerk:
    """A tenant that bought 50 twice and made a call of 21 minutes: 4.20."""
    clerk = Clerk(deployment)
    worker = deployment.start("worker-0")
    until(lambda: len(worker.logged("partition owned")) == 4, "the worker to own its partitions")
    when = ("--at", "2026-03-01T00:00:00Z")
    clerk.types("tenant", "add", "contoso", "--currency", "USD", "--credits", "enabled", *when)
    clerk.types("publish", "--deck", str(DECK))
    for lot in ("first", "second"):
        clerk.types("tenant", "fund", "contoso", "50", "--id", lot, *when)
    clerk.types("tenant", "license", "contoso", "ada", "MCOPSTNPP", "--country", "US", *when)
    clerk.publish("the-call", 21, "2026-03-10 10:00")
    assert clerk.debits() == [("call", "4.2", "95.8")]
    return clerk


def test_every_command_about_money(clerk: Clerk) -> None:
    """A45 to A47, closing: each is shown with what it does, is rated, and all of it adds up on paper and for `verify`.

    posting                          amount   balance
    two purchases of 50             +100.00    100.00
    the call, 21 minutes at 0.20      -4.20     95.80
    the clerk gives 4.16 of it        +4.16     99.96
    a refund out of `second`         -10.00     89.96
    the bank takes `first` back      -50.00     39.96   45.80 are left of it, 4.20 of `second`
    a promotion                       +3.00     42.96
    closing: the promotion            -3.00     39.96   forfeited
    closing: the rest                -39.96      0.00   paid out: 35.80 of `second`, 4.16 of the adjustment
    a call that ran at the closing    -0.40     -0.40   2 minutes
    """
    when = ("--at", "2026-03-12T00:00:00Z")
    about = ("tenant", "adjust", "contoso", "--call", "the-call", "--by", "kim", "--reason", "wrong price")
    asked = rater(*about, "--all", cwd=clerk.deployment.folder, stdin=b"n\n", environment=clerk.environment)
    assert (asked.returncode, "adjustment of 4.2 by kim: wrong price (call the-call)" in asked.stderr) == (1, True)
    clerk.refused_at_once("at most 4.2, what the call cost; got 5", *about, "5")
    _, said = clerk.types(*about, "4.16", "--yes", *when)
    assert "balance 95.8 -> 99.96\n" in said
    _, said = clerk.types("tenant", "refund", "contoso", "second", "10", *WHO, *when)
    assert "refund 10 USD: 10 of second\nbalance 99.96 -> 89.96\n" in said
    _, said = clerk.types("tenant", "reverse-payment", "contoso", "first", *WHO, *when)
    assert "charge_back 50 USD: 45.8 of first, 4.2 of second\nbalance 89.96 -> 39.96\n" in said
    _, said = clerk.types("tenant", "promote", "contoso", "3", "--expires", "2099-01-01T00:00:00Z", "--yes", *when)
    assert "balance 39.96 -> 42.96\n" in said
    out, said = clerk.types("tenant", "close", "contoso", "--pay-out", *WHO, *when)
    assert "  by kind of lot: adjustment 4.16, purchase 35.8\n" in said
    assert "balance 42.96 -> 0\n" in said
    assert [line.split() for line in out.splitlines() if "Closing" in line][-1] == ["Closing", "balance", "0.00"]
    clerk.publish("late", 2, "2026-03-11 23:59")
    assert clerk.debits() == [
        ("call", "4.2", "95.8"),
        ("refund", "10", "89.96"),
        ("charge_back", "50", "39.96"),
        ("forfeit", "3", "39.96"),
        ("pay_out", "39.96", "0"),
        ("call", "0.4", "-0.4"),
    ]
    assert clerk.statement() == {
        "purchases": "100",
        "promotions": "3",
        "adjustments": "4.16",
        "calls_international": "-4.6",
        "refunds": "-10",
        "charge_backs": "-50",
        "paid_out": "-39.96",
        "forfeited": "-3",
        "closing": "-0.4",
    }
    _, said = clerk.types("tenant", "refund", "contoso", "second", "10", *WHO)
    assert "it would be refused: amount: expected at most what is left of 'second' (0 left to refund)" in said
    services = [
        msgspec.json.decode(value, type=ServiceState) for value in clerk.deployment.values("service-states")
    ]
    assert services[-1].state == "closed"
    report = clerk.deployment.verify()
    assert report.findings == []
