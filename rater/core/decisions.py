"""Decisions: whether to ask for a recharge, whether credit-funded calls may start.

Each is a pure function of one balance record, so that whoever reads the record decides the same.
Sources: rating-rules 50, 54, 58, 59, 62, 66, A5 to A8.  Refuses to know where a balance came from.
"""

from datetime import timedelta
from hashlib import blake2b
from typing import Literal

import msgspec

from rater.core.money import parse_ledger
from rater.core.outputs import Balance
from rater.core.settings import RatingSettings


class Ask(msgspec.Struct, frozen=True):
    """Ask the gateway for this recharge; its id is the same however often the balance is read."""

    recharge: str
    attempt: int


class Suppress(msgspec.Struct, frozen=True):
    """A recharge is due but one of the limits is reached; `limit` is the setting's name."""

    limit: str


def decide_recharge(balance: Balance, settings: RatingSettings) -> Ask | Suppress | None:
    """Strictly below the trigger, switched on, none in flight, not waiting after a failure, within the limits."""
    if not balance.recharge_enabled or balance.credits != "enabled" or balance.recharge_in_flight is not None:
        return None
    if balance.low_since is None or parse_ledger(balance.balance) >= parse_ledger(balance.recharge_trigger):
        return None
    if balance.recharge_failures and (balance.recharge_retry_at is None or balance.at < balance.recharge_retry_at):
        return None
    for limit, hours in (
        ("recharges_per_hour_max", 1),
        ("recharges_per_day_max", 24),
        ("recharges_per_month_max", 30 * 24),
    ):
        since = balance.at - timedelta(hours=hours)
        if sum([asked > since for asked in balance.recharge_requests]) >= getattr(settings, limit):
            return Suppress(limit)
    attempt = balance.recharge_attempt + 1
    return Ask(recharge_id(balance.tenant, balance.low_since, attempt), attempt)


def decide_service(balance: Balance) -> Literal["active", "suspended"]:
    """Credit-funded calls may start only while credits are set up and the balance is above zero (rule 50, A5)."""
    return service_of(balance.credits == "enabled", parse_ledger(balance.balance))


def service_of(credits: bool, balance: int) -> Literal["active", "suspended"]:
    """The same for micro-units."""
    return "active" if credits and balance > 0 else "suspended"


def recharge_id(tenant: str, low_since: int, attempt: int) -> str:
    """The id of an attempt to pay one crossing below the trigger: the gateway's idempotency key."""
    return digest(tenant, "recharge", low_since, attempt)


def digest(*parts: object) -> str:
    """A deterministic id of 32 hexadecimal digits."""
    return blake2b("\0".join(map(str, parts)).encode(), digest_size=16).hexdigest()
