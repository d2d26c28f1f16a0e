"""What the switches send in a simulated hour: calls of a few tenants, with duplicates, corrections, swaps and poison."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import msgspec

from rater.core.inputs import (
    AnyCommand,
    CallRecord,
    CallRerated,
    DeckActivated,
    FundsAdded,
    FundsAdjusted,
    FundsRefunded,
    LicenseAssigned,
    PaymentFailed,
    PaymentReversed,
    PaymentSucceeded,
    RechargeSettings,
    TenantClosed,
    TenantConfigured,
    TenantReopened,
    UserErased,
)
from rater.core.mediation import mediate
from rater.core.reasons import CallType
from rater.core.tariff import Tariffs
from rater.files.deck_csv import read_deck
from rater.kafka.publisher import partition_of
from rater.wire.codec import encode_input
from tests.simulation.broker import Broker
from tests.simulation.cluster import PARTITIONS

_DECK = Path(__file__).parent.parent / "fixtures" / "deck.csv"
_START = datetime(2025, 3, 10, 10, tzinfo=UTC)
TENANTS = ("ada-ltd", "bell-inc", "curie-sa", "darwin-co", "euler-ag", "fermi-spa")
_NUMBERS = ("+12065550100", "+442079460000", "+263242700000", "+81312345678", "+449012345678")


@cache
def tariffs() -> Tariffs:
    """The deck of the fixtures, and the same with prices of 0.03, published once."""
    published, deck = Tariffs(), read_deck(_DECK, version="deck-1")
    rows = [msgspec.structs.replace(row, price_per_minute="0.03") for row in deck.rows]
    for known in (deck, msgspec.structs.replace(deck, version="at-three-cents", rows=tuple(rows))):
        published.publish(known)
    return published


def provision(broker: Broker) -> None:
    """Every tenant has two users with a small plan and little credit, so that pools and balances are used up."""
    for tenant in TENANTS:
        commands: list[AnyCommand] = [
            TenantConfigured(
                tenant=tenant,
                id="setup",
                at=_START,
                currency="USD",
                credits="enabled",
                recharge=RechargeSettings(enabled=True, trigger="2", amount="5"),
            ),
            DeckActivated(tenant=tenant, id="deck", at=_START, version="deck-1"),
            FundsAdded(tenant=tenant, id="funds", at=_START, amount="6"),
            LicenseAssigned(
                tenant=tenant, id="u1", at=_START, user="u1", sku="MCOPSTN5", country="US", since_ever=True
            ),
            LicenseAssigned(
                tenant=tenant, id="u2", at=_START, user="u1", sku="MCOPSTNPP", country="US", since_ever=True
            ),
        ]
        for command in commands:
            _append(broker, "commands", tenant, encode_input(command))


def calls(broker: Broker, chance: random.Random, count: int) -> list[CallRecord]:
    """Call records as switches deliver them; those that can be rated."""
    sent: list[CallRecord] = []
    held: list[tuple[str, bytes]] = []
    for number in range(count):
        dice = chance.random()
        if dice < 0.02:
            held.append((chance.choice(TENANTS), b'{"tenant": "ada-ltd", "usage_id": "broken'))
            continue
        if sent and dice < 0.12:
            record = chance.choice(sent)
        elif sent and dice < 0.15:
            before = chance.choice(sent)
            record = msgspec.structs.replace(before, version=before.version + 1, duration_s=before.duration_s + 60)
            sent.append(record)
        else:
            record = _call(chance, number)
            sent.append(record)
        held.append((record.tenant, encode_input(record)))
    for first in range(len(held) - 1):
        if chance.random() < 0.1:
            held[first], held[first + 1] = held[first + 1], held[first]
    for tenant, value in held:
        _append(broker, "cdrs", tenant, value)
    return sent


def reratings(broker: Broker, chance: random.Random, sent: Sequence[CallRecord], count: int) -> None:
    """Calls are rated again with other prices, once or more, some twice with one command; some were corrected since."""
    for number in range(count):
        record, rating = chance.choice(sent), chance.choice((1, 1, 1, 2))
        deck = chance.choice(("deck-1", "at-three-cents", "nobody-knows" if number % 8 == 0 else "at-three-cents"))
        command = CallRerated(
            tenant=record.tenant,
            id=f"rerate-{record.usage_id}-{record.version}-{rating}-{deck}",
            at=_START + timedelta(minutes=number),
            call=msgspec.structs.replace(record, emergency=False),
            content=mediate(record, encode_input(record)).content,
            rating=rating,
            deck=deck,
        )
        for _ in range(chance.choice((1, 1, 2))):
            _append(broker, "commands", record.tenant, encode_input(command))


def money(broker: Broker, chance: random.Random, count: int) -> None:
    """What people do with money, and a gateway that says what it likes: A45 to A47; some ids come twice."""
    for number in range(count):
        tenant, at = chance.choice(TENANTS), _START + timedelta(minutes=number)
        for _ in range(chance.choice((1, 1, 1, 2))):
            _append(broker, "commands", tenant, encode_input(_money(chance, tenant, at)))


def _money(chance: random.Random, tenant: str, at: datetime) -> AnyCommand:
    number = chance.randrange(30)
    id, lot = f"money-{number}", chance.choice(("funds", f"money-{chance.randrange(30)}"))
    amount = chance.choice(("0.5", "2", "7"))
    match number % 7:
        case 0:
            return FundsAdded(tenant=tenant, id=id, at=at, amount=amount)
        case 1:
            until = _START + timedelta(minutes=5 * number)
            return FundsAdded(tenant=tenant, id=id, at=at, amount=amount, source="promotion", expires=until)
        case 2 | 3:
            sign = chance.choice(("", "-"))
            return FundsAdjusted(tenant=tenant, id=id, at=at, amount=sign + amount, reason="goodwill", by="kim")
        case 4:
            return FundsRefunded(tenant=tenant, id=id, at=at, lot=lot, amount=amount)
        case 5 if number > 20:
            return UserErased(tenant=tenant, id=id, at=at, user="u1", key="0123456789abcdef" * 2)
        case 5:
            return PaymentReversed(tenant=tenant, id=id, at=at, lot=lot)
        case _:
            return _answer_or_end(number, tenant, id, at)


def _answer_or_end(number: int, tenant: str, id: str, at: datetime) -> AnyCommand:
    """The gateway answers, or the tenant is closed, and soon reopened."""
    match number // 7:
        case 0:
            return PaymentFailed(tenant=tenant, id=id, at=at)
        case 1:
            return TenantClosed(tenant=tenant, id=id, at=at, remainder="pay_out", reason="ended", by="kim")
        case 2:
            return TenantReopened(tenant=tenant, id=id, at=at, reason="mistake", by="kim")
        case _:
            return PaymentSucceeded(tenant=tenant, id=id, at=at)


def _call(chance: random.Random, number: int) -> CallRecord:
    return call_record(
        chance.choice(TENANTS),
        number,
        duration_s=chance.choice((0, 30, 61, 600, 1800)),
        called=chance.choice(_NUMBERS),
    )


def call_record(tenant: str, number: int, duration_s: int = 60, called: str = "+442079460000") -> CallRecord:
    """A call; those with higher numbers start later."""
    start = _START + timedelta(seconds=17 * number)
    return CallRecord(
        tenant=tenant,
        usage_id=f"call-{number}",
        type=CallType.USER_OUT,
        answered_at=start,
        duration_s=duration_s,
        user="u1",
        calling="+14255550100",
        called=called,
        received_at=start + timedelta(seconds=duration_s + 2),
    )


def _append(broker: Broker, topic: str, tenant: str, value: bytes) -> None:
    broker.append((topic, partition_of(tenant, PARTITIONS)), tenant.encode(), value)
