"""What happened to a tenant in the demo's month, collected from the store's topics."""

from collections import Counter
from datetime import datetime

import msgspec

from rater.core import (
    Account,
    AccountEvent,
    CallCommand,
    Debit,
    EventKind,
    Pocket,
    PoolUse,
    RatedCall,
    credited_by,
    parse_ledger,
)
from rater.embedded.store import Reader
from rater.files.export_tables import pool_report

_calls = msgspec.json.Decoder(RatedCall)
_debits = msgspec.json.Decoder(Debit)
_events = msgspec.json.Decoder(AccountEvent)


class Findings(msgspec.Struct, frozen=True):
    """A tenant's month.  Amounts are micro-units."""

    account: Account
    pools: list[PoolUse]
    calls: int
    late: int
    corrected: int
    credited: int
    debited: dict[str, int]
    events: dict[str, int]
    suspended: list[datetime]
    recharged: list[datetime]
    curve: list[tuple[datetime, int]]
    ended: list[tuple[CallCommand, RatedCall]]
    examples: list[RatedCall]

    @property
    def balance_by_hand(self) -> int:
        """Credits minus debits, reversals and expiries: must be the balance."""
        return self.credited - sum(self.debited.values())


def find(reader: Reader, tenant: str) -> Findings:
    """Everything about a tenant."""
    account = reader.account(tenant)
    assert account is not None, tenant
    calls = [_calls.decode(value) for _, value in reader.topic("rated-calls", tenant)]
    debited: Counter[str] = Counter()
    curve: list[tuple[datetime, int]] = []
    for _, value in reader.topic("debits", tenant):
        debit = _debits.decode(value)
        debited[debit.kind.value] += parse_ledger(debit.amount)
        curve.append((debit.at, parse_ledger(debit.balance)))
    events = [_events.decode(value) for _, value in reader.topic("account-events", tenant)]
    credits = [event for event in events if credited_by(event)]
    curve.extend((event.at, parse_ledger(event.balance or "0")) for event in credits)
    return Findings(
        account=account,
        pools=pool_report(reader, account),
        calls=len(calls),
        late=sum(call.late for call in calls),
        corrected=sum(call.corrects_version is not None for call in calls),
        credited=sum(map(credited_by, credits)),
        debited=dict(debited),
        events=dict(Counter(event.event.value for event in events)),
        suspended=[event.at for event in events if event.event is EventKind.CREDITS_SUSPENDED],
        recharged=[event.at for event in events if event.event is EventKind.RECHARGE_SUCCEEDED],
        curve=sorted(curve),
        ended=[
            (order, call)
            for order in reader.orders(tenant)
            for call in calls
            if call.usage_id == order.usage_id and call.authorized_s is not None
        ],
        examples=_examples(calls),
    )


def _examples(calls: list[RatedCall]) -> list[RatedCall]:
    """A call that straddles the end of a pool, and one that credit paid whole: to check by hand."""
    straddles = [call for call in calls if [s.pocket for s in call.segments] == [Pocket.POOL, Pocket.CREDIT]]
    paid = [call for call in calls if [s.pocket for s in call.segments] == [Pocket.CREDIT] and call.minutes > 2]
    return [*straddles[:1], *paid[:1]]
