"""Everything that moved a tenant's money, and the balance at any instant."""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import accumulate

import msgspec

from rater.core import Account, AccountEvent, Debit, credited_by, parse_ledger
from rater.embedded.store import Reader

_events = msgspec.json.Decoder(AccountEvent).decode
_debits = msgspec.json.Decoder(Debit).decode
#: Points of a curve.
POINTS = 360


def movements(reader: Reader, tenant: str) -> list[tuple[datetime, int]]:
    """Every movement as (when, micro-units with their sign), by time."""
    return sorted([*_credits(reader, tenant), *_debited(reader, tenant)])


def balance_series(
    account: Account, moved: list[tuple[datetime, int]], since: datetime, until: datetime
) -> list[tuple[datetime, int]]:
    """The balance at `POINTS` instants, in micro-units: what it is now less what came after."""
    times = [when for when, _ in moved]
    sums = [0, *accumulate(amount for _, amount in moved)]
    step = (until - since) / (POINTS - 1)
    instants = [since + step * number for number in range(POINTS - 1)] + [until]
    return [(when, account.balance - sums[-1] + sums[bisect_right(times, when)]) for when in instants]


def crossings(
    account: Account, moved: list[tuple[datetime, int]], since: datetime
) -> list[tuple[datetime, str, int]]:
    """When the balance fell to zero or below, or rose above it, since an instant: (when, fell|rose, balance)."""
    balance = account.balance - sum(amount for _, amount in moved)
    found = []
    for when, amount in moved:
        before, balance = balance, balance + amount
        if when >= since and (before > 0) != (balance > 0):
            found.append((when, "rose" if balance > 0 else "fell", balance))
    return found


def spent_a_day(reader: Reader, account: Account, days: int) -> int:
    """What calls cost a day over the last days before the tenant's clock, in micro-units."""
    since = account.clock - timedelta(days=days)
    spent = 0
    for _, value in reader.topic("debits", account.tenant):
        debit = _debits(value)
        if debit.usage_id is not None and debit.command_id is None and debit.at > since:
            spent += parse_ledger(debit.amount)
    return spent // days


def _credits(reader: Reader, tenant: str) -> Iterator[tuple[datetime, int]]:
    for _, value in reader.topic("account-events", tenant):
        event = _events(value)
        if amount := credited_by(event):
            yield event.at, amount


def _debited(reader: Reader, tenant: str) -> Iterator[tuple[datetime, int]]:
    for _, value in reader.topic("debits", tenant):
        debit = _debits(value)
        yield debit.at, -parse_ledger(debit.amount)
