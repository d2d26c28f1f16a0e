"""What `rater top` shows at one moment, computed from commits, positions and balances.

Callers give records and times.
"""

from collections import deque
from collections.abc import Mapping

import msgspec

from rater.core import RESERVED_TENANTS, Balance, parse_ledger
from rater.wire.commits import Commit

#: The rate is that of so many seconds.
RATE_WINDOW_S = 10.0
#: Tenants and recharges that are named; of the others only the number is shown.
NAMED_MAX = 20


class PartitionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One partition: call records a second, unrated records, and how late it is in seconds.

    `waiting_s` is the age of the oldest call record that waits; `latency_s` the time from the publication of the
    last call record that was rated to its commit; `idle_s` the time since the last commit.  None: no figure.
    """

    partition: int
    rate: float
    cdrs_waiting: int
    commands_waiting: int
    waiting_s: float | None
    latency_s: float | None
    idle_s: float | None


class TenantRow(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant whose credit is below the recharge trigger, or gone."""

    tenant: str
    balance: str
    currency: str
    trigger: str


class RechargeRow(msgspec.Struct, frozen=True, kw_only=True):
    """A recharge that was asked for and not answered yet."""

    tenant: str
    recharge_id: str
    amount: str
    currency: str
    asked_at: str


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """Everything at one moment; `low` and `in_flight` count all, the lists name the first.

    `rate` and `waiting` are of call records; commands that wait are counted apart.
    """

    rate: float
    waiting: int
    commands_waiting: int
    tenants: int
    low: int
    in_flight: int
    partitions: tuple[PartitionRow, ...]
    near_zero: tuple[TenantRow, ...]
    recharges: tuple[RechargeRow, ...]


class Progress:
    """How one partition gets on: its commits of the last seconds."""

    def __init__(self, commands: int, cdrs: int) -> None:
        """Where its inputs begin, for as long as there is no commit."""
        self.commands_next, self.cdrs_next = commands, cdrs
        #: The last commit, and the last that consumed call records, in Unix seconds.
        self.last_at: float | None = None
        self.rated_at: float | None = None
        self._recent: deque[tuple[float, int]] = deque()

    def add(self, commit: Commit, at: float) -> None:
        """A commit and when it was made, in Unix seconds."""
        self.commands_next, self.cdrs_next = commit.commands_next, commit.cdrs_next
        self.last_at = at
        if commit.cdrs_next > commit.cdrs_first:
            self.rated_at = at
        self._recent.append((at, commit.cdrs_next - commit.cdrs_first))

    def rate(self, now: float) -> float:
        """Call records a second."""
        while self._recent and self._recent[0][0] < now - RATE_WINDOW_S:
            self._recent.popleft()
        return sum(records for _, records in self._recent) / RATE_WINDOW_S


def row_of(
    partition: int,
    progress: Progress,
    ends: Mapping[str, int],
    published: tuple[float | None, float | None],
    now: float,
) -> PartitionRow:
    """A partition's row; `published`: its last rated and first waiting call record, in Unix seconds."""
    rated, waits = published
    rated_at = progress.rated_at
    return PartitionRow(
        partition=partition,
        rate=round(progress.rate(now), 1),
        cdrs_waiting=max(0, ends["cdrs"] - progress.cdrs_next),
        commands_waiting=max(0, ends["commands"] - progress.commands_next),
        waiting_s=None if waits is None else round(max(0.0, now - waits), 3),
        latency_s=None if rated is None or rated_at is None else round(max(0.0, rated_at - rated), 3),
        idle_s=None if progress.last_at is None else round(max(0.0, now - progress.last_at), 1),
    )


def picture_of(rows: list[PartitionRow], balances: Mapping[str, Balance]) -> Picture:
    """Partitions and balances together; the poorest tenant first, the oldest recharge first."""
    real = [balance for tenant, balance in balances.items() if tenant not in RESERVED_TENANTS]
    low = sorted((balance for balance in real if _is_low(balance)), key=_by_balance)
    asked = sorted((balance for balance in real if balance.recharge_in_flight), key=_by_request)
    return Picture(
        rate=round(sum(row.rate for row in rows), 1),
        waiting=sum(row.cdrs_waiting for row in rows),
        commands_waiting=sum(row.commands_waiting for row in rows),
        tenants=len(real),
        low=len(low),
        in_flight=len(asked),
        partitions=tuple(rows),
        near_zero=tuple(
            TenantRow(tenant=b.tenant, balance=b.balance, currency=b.currency, trigger=b.recharge_trigger)
            for b in low[:NAMED_MAX]
        ),
        recharges=tuple(
            RechargeRow(
                tenant=b.tenant,
                recharge_id=b.recharge_in_flight or "",
                amount=b.recharge_amount,
                currency=b.currency,
                asked_at=_by_request(b),
            )
            for b in asked[:NAMED_MAX]
        ),
    )


def _is_low(balance: Balance) -> bool:
    """Credits are set up, and the balance is below the trigger of auto-recharge, or gone."""
    micros = parse_ledger(balance.balance)
    return balance.credits == "enabled" and (micros <= 0 or micros < parse_ledger(balance.recharge_trigger))


def _by_balance(balance: Balance) -> tuple[int, str]:
    return parse_ledger(balance.balance), balance.tenant


def _by_request(balance: Balance) -> str:
    """When the recharge that is in flight was asked for; it is the last of the requests."""
    return balance.recharge_requests[-1].isoformat() if balance.recharge_requests else ""
