"""`rater rerate` on a real broker: sums, commands on their way, workers that rate them, and the audit; A12."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec

from rater.core.inputs import (
    AnyCommand,
    CallRecord,
    DeckActivated,
    FundsAdded,
    LicenseAssigned,
    TenantConfigured,
)
from rater.core.money import format_micros, parse_micros
from rater.core.outputs import Balance, RatedCall
from rater.core.reasons import CallType
from rater.files.deck_csv import read_deck
from rater.kafka.batch_publisher import publish
from rater.wire.codec import encode_input
from tests.commands import rater
from tests.kafka.deployment import Deployment
from tests.kafka.test_commands import at as options
from tests.world import BEGINNING, DECK, HARARE, LONDON, at

TENANTS = ("contoso", "fabrikam")
MARCH = ("--from", "2025-03-01T00:00:00Z", "--to", "2025-04-01T00:00:00Z")


def setup(tenant: str) -> list[AnyCommand]:
    """100 of credit and no minutes; the wrong list is in force."""
    return [
        TenantConfigured(tenant=tenant, id="setup", at=BEGINNING, currency="USD", credits="enabled"),
        DeckActivated(tenant=tenant, id="deck", at=BEGINNING, version="wrong"),
        FundsAdded(tenant=tenant, id="funds", at=at("2026-06-01"), amount="100"),
        LicenseAssigned(
            tenant=tenant, id="l", at=BEGINNING, user="ada", sku="MCOPSTNPP", country="US", since_ever=True
        ),
    ]


def call(tenant: str, number: int, called: str, seconds: int, version: int = 1) -> CallRecord:
    return CallRecord(
        tenant=tenant,
        usage_id=f"call-{number}",
        version=version,
        type=CallType.USER_OUT,
        answered_at=at(f"2025-03-{10 + number} 10:00"),
        duration_s=seconds,
        user="ada",
        calling="+14255550100",
        called=called,
    )


def send(deployment: Deployment, *calls: CallRecord) -> None:
    asyncio.run(publish(deployment.settings, [("cdrs", one.tenant, encode_input(one)) for one in calls]))
    deployment.wait_until_rated()


def balances(deployment: Deployment) -> dict[str, str]:
    found = [msgspec.json.decode(value, type=Balance) for value in deployment.values("balances") if value]
    return {balance.tenant: balance.balance for balance in found}


def rerate(deployment: Deployment, folder: Path, *words: str, code: int = 0) -> dict[str, Any]:
    all = ("rerate", "--deck", "right.csv", *words, *MARCH, *options(deployment), "--json")
    said: dict[str, Any] = json.loads(rater(*all, cwd=folder, code=code).stdout)
    return said


def test_rated_again_without_a_worker_and_then_by_one(deployment: Deployment, tmp_path: Path) -> None:
    """A12: Harare 10 minutes at 2 instead of 0.2, London 1 at 0.5 instead of 0.05: 20.5 become 2.05 for each tenant.

    The commands are sent twice while no worker runs, as by a run that was killed; each call is rated again once.
    """
    (tmp_path / "right.csv").write_bytes(DECK.read_bytes())
    right = read_deck(DECK)
    rows = [
        msgspec.structs.replace(row, price_per_minute=format_micros(10 * parse_micros(row.price_per_minute)))
        for row in right.rows
    ]
    wrong = msgspec.structs.replace(right, version="wrong", rows=tuple(rows))
    deployment.publish([("rate-decks", "wrong", encode_input(wrong))])
    deployment.publish([("commands", tenant, encode_input(one)) for tenant in TENANTS for one in setup(tenant)])
    worker = deployment.start("first")
    calls = [call(tenant, *rest) for tenant in TENANTS for rest in ((0, HARARE, 600), (1, LONDON, 60))]
    send(deployment, *calls)
    assert balances(deployment) == dict.fromkeys(TENANTS, "79.5")
    dry = rerate(deployment, tmp_path, "--all", "--dry-run")
    assert [(line["destination"], line["old"], line["new"]) for line in dry["sums"]] == [
        ("United Kingdom", "0.5", "0.05"),
        ("Zimbabwe", "20", "2"),
    ] * 2
    worker.stop()
    for _ in range(2):
        came = rerate(deployment, tmp_path, "--all", "--yes", "--wait", "1", code=3)["came"]
        assert (came["rated_again"], came["waiting"]) == (0, 4)
    deployment.start("second")
    deployment.wait_until_rated()
    assert balances(deployment) == dict.fromkeys(TENANTS, "97.95")
    again = rerate(deployment, tmp_path, "--all", "--yes")
    assert (again["sums"], again["unchanged"]) == ([], 4)
    send(deployment, *calls, call("contoso", 0, HARARE, 60, version=2), call("contoso", 2, HARARE, 60))
    assert balances(deployment) == {"contoso": "95.95", "fabrikam": "97.95"}  # + 2 - 2 - 2, by the deck in force
    came = rerate(deployment, tmp_path, "--tenant", "contoso", "--yes")["came"]
    assert (came["rated_again"], came["waiting"], came["refused"]) == (2, 0, {})
    assert balances(deployment)["contoso"] == "99.55"  # 100 - 0.2 - 0.05 - 0.2
    ratings = [msgspec.json.decode(value, type=RatedCall) for value in deployment.values("rated-calls")]
    assert sum(one.rating == 1 for one in ratings) == 6
    report = deployment.verify()
    assert (report.findings, report.found) == ([], 0)
