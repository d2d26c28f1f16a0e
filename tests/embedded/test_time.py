"""What time makes due in one store: the same ticks as everywhere, by each tenant's own clock."""

from pathlib import Path

from rater.core.inputs import (
    AnyCommand,
    CallRecord,
    FundsAdded,
    LicenseAssigned,
    RechargeSettings,
    TenantConfigured,
)
from rater.core.reasons import CallType
from rater.core.settings import RatingSettings
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Store
from rater.engine.gateway import LocalGateway
from rater.files.deck_csv import read_deck
from rater.files.source import InputFile
from rater.wire.codec import encode_input
from tests.world import DECK, JAMAICA, at

CONTOSO, ADA = "contoso", "ada@contoso.example"
#: Credit of 60, recharged with 1 whenever it is below 50.
SETUP: list[AnyCommand | CallRecord] = [
    TenantConfigured(
        tenant=CONTOSO,
        id="1",
        at=at("2025-03-01"),
        currency="USD",
        credits="enabled",
        recharge=RechargeSettings(enabled=True, trigger="50", amount="1"),
    ),
    FundsAdded(tenant=CONTOSO, id="2", at=at("2025-03-01"), amount="60"),
    LicenseAssigned(tenant=CONTOSO, id="3", at=at("2025-03-01"), user=ADA, sku="MCOPSTNPP", country="US"),
]
#: 30 minutes to Jamaica cost 12, 45 minutes 18; an internal call costs nothing and moves the clock.
CALLS: list[AnyCommand | CallRecord] = [
    CallRecord(tenant=CONTOSO, usage_id="a", answered_at=at("2025-03-10 10:00"), duration_s=1800, user=ADA, type=CallType.USER_OUT, called=JAMAICA),
    CallRecord(tenant=CONTOSO, usage_id="b", answered_at=at("2025-03-10 10:31"), duration_s=2700, user=ADA, type=CallType.USER_OUT, called=JAMAICA),
    CallRecord(tenant=CONTOSO, usage_id="c", answered_at=at("2025-03-10 13:45"), duration_s=60, user=ADA, type=CallType.INTERNAL),
]  # fmt: skip


def test_a_recharge_that_a_limit_held_back_is_asked_for_when_its_window_ends(tmp_path: Path) -> None:
    """A7: with one recharge an hour the requests are an hour apart, although nothing but the clock moved."""
    for name, records in (("setup.jsonl", SETUP), ("calls.jsonl", CALLS)):
        (tmp_path / name).write_bytes(b"".join(encode_input(record) + b"\n" for record in records))
    store = Store(tmp_path / "rater.db")
    rater = EmbeddedRater(store, RatingSettings(recharges_per_hour_max=1), LocalGateway())
    rater.publish(read_deck(DECK, version="d"))
    rater.consume(InputFile(str(tmp_path / "setup.jsonl"), "commands"))
    rater.activate("d")
    rater.consume(InputFile(str(tmp_path / "calls.jsonl")))
    account = store.account(CONTOSO)
    store.close()
    assert account is not None
    assert account.recharge.requested == tuple(at(f"2025-03-10 {hour}:30") for hour in (10, 11, 12, 13))
    assert (account.balance, account.recharge.suppressed) == (34_000_000, True)
