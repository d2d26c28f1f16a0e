"""Balances, requests and events as agents meet them, and a clock that tests set."""

from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from rater.core.inputs import Source
from rater.core.outputs import Balance, LotState, Output, RechargeRequest, ServiceState
from rater.kafka.port import Consumed
from rater.wire.codec import encode
from tests.world import at

NOW = datetime(2025, 3, 10, 12, 0, tzinfo=UTC)
SOURCE = Source("cdrs", 0, 7)


def balance(**changes: Any) -> Balance:
    """Contoso, below its trigger of 50, recharge on."""
    return msgspec.structs.replace(
        Balance(
            tenant="contoso",
            id="contoso:balance:1",
            sequence=1,
            source=SOURCE,
            at=at("2025-03-10 09:00:00"),
            revision=3,
            currency="USD",
            balance="40",
            credits="enabled",
            recharge_enabled=True,
            recharge_trigger="50",
            recharge_amount="100",
            low_since=3,
        ),
        **changes,
    )


def lot(name: str, expires: str, remaining: str = "10") -> LotState:
    return LotState(name, remaining, at(expires).replace(year=at(expires).year - 1), at(expires))


def request(id: str = "r1", tenant: str = "contoso") -> RechargeRequest:
    return RechargeRequest(
        tenant=tenant,
        id=id,
        sequence=1,
        source=SOURCE,
        at=at("2025-03-10 09:00:00"),
        amount="100",
        currency="USD",
        attempt=1,
        low_since=3,
        balance="40",
    )


def service(
    user: str, state: Literal["allowed", "restricted"], since: str, tenant: str = "contoso"
) -> ServiceState:
    return ServiceState(
        tenant=tenant,
        id="1",
        sequence=1,
        source=SOURCE,
        scope="user",
        state=state,
        since=at(since),
        reason="no_funds",
        user=user,
    )


def consumed(topic: str, value: Output | bytes, offset: int = 0) -> Consumed:
    raw = value if isinstance(value, bytes) else encode(value)
    return Consumed(topic, 0, offset, b"contoso", raw)


class Clock:
    """Seconds, as a test says they are."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds
