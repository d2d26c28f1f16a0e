"""Money that is forfeited soon: one notice for each purchase, made from a balance.

The notice's id and time are those of the purchase, so that it is told once however often it is looked for.
Source: rating-rules 63.  Refuses to know clocks and who is told.
"""

from datetime import datetime, timedelta

from rater.core.entities import Account
from rater.core.inputs import Source
from rater.core.money import parse_ledger
from rater.core.outputs import AccountEvent, Balance
from rater.core.reasons import EventKind
from rater.core.step import balance_record

#: How long before the end it is told.
EXPIRING = timedelta(days=30)
_CLOCK = Source("clock", 0, 0)


def expiring_notices(balance: Balance, now: datetime) -> list[AccountEvent]:
    """A notice for each purchase with money left that expires within 30 days; `at` is when those began."""
    return [
        AccountEvent(
            tenant=balance.tenant,
            id=f"{balance.tenant}:expiring:{lot.lot}",
            sequence=balance.sequence,
            source=balance.source,
            event=EventKind.FUNDS_EXPIRING,
            at=lot.expires_at - EXPIRING,
            balance=balance.balance,
            amount=lot.remaining,
            currency=balance.currency,
            lot=lot.lot,
        )
        for lot in balance.lots
        if now < lot.expires_at <= now + EXPIRING and parse_ledger(lot.remaining) > 0
    ]


def expiring_of(account: Account) -> list[AccountEvent]:
    """The same for an account as it stands, by its own clock."""
    balance = balance_record(account, _CLOCK, account.clock, account.sequences.balances)
    return expiring_notices(balance, account.clock)
