"""What moved a tenant's balance, one movement at a time: events that credit, debits, and the call of each debit.

A step that rates a call writes down the call, its reversal and its debit, whose ids begin with that of the call.
So calls and debits are read side by side, and none is kept.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from rater.core import (
    Debit,
    DebitKind,
    EventKind,
    LotKind,
    RatedCall,
    credited_by,
    month_start,
    parse_ledger,
    parse_period,
)
from rater.files.statement.facts import CallFacts, facts_of
from rater.files.statement.model import EntryName
from rater.files.statement.records import Records, number_of

_OF_DEBIT = {
    DebitKind.EXPIRY: EntryName.EXPIRIES,
    DebitKind.ADJUSTMENT: EntryName.ADJUSTMENTS,
    DebitKind.REFUND: EntryName.REFUNDS,
    DebitKind.CHARGE_BACK: EntryName.CHARGE_BACKS,
    DebitKind.PAY_OUT: EntryName.PAID_OUT,
    DebitKind.FORFEIT: EntryName.FORFEITED,
}
_OF_EVENT = {
    EventKind.FUNDS_ADDED: EntryName.PURCHASES,
    EventKind.RECHARGE_SUCCEEDED: EntryName.RECHARGES,
    EventKind.FUNDS_ADJUSTED: EntryName.ADJUSTMENTS,
}
_OF_CALLS = (DebitKind.CALL, DebitKind.REVERSAL)


class Movement(NamedTuple):
    """Money that is no call's, with the sign with which it moved the balance."""

    at: datetime
    name: EntryName
    amount: int


class CallStep(NamedTuple):
    """A call was rated: when, the debit, the reversal and the facts of what it replaced.

    `now` and `before` are None where they are not kept any more, or there was nothing before.
    """

    at: datetime
    late: bool
    now: CallFacts | None
    before: CallFacts | None
    debit: Debit | None
    reversal: Debit | None


def credits_of(records: Records) -> Iterator[Movement]:
    """What came in, in order."""
    for event in records.events():
        amount = credited_by(event)
        if amount:
            promotion = event.lot_kind is LotKind.PROMOTION
            yield Movement(event.at, EntryName.PROMOTIONS if promotion else _OF_EVENT[event.event], amount)


def debits_of(records: Records) -> Iterator[Movement | CallStep]:
    """What calls took and got back, and what else went out; calls that cost nothing are there, too."""
    debits = _Debits(records)
    for call in records.calls():
        yield from debits.before(call)
        reversal = debits.pop_if(f"{call.id}-0")
        if reversal is not None:  # what came back to a lot that has expired is forfeited before the call is debited
            yield from debits.until_a_call()
        debit = debits.pop_if(f"{call.id}-1")
        moved = debit or reversal
        at = posted(call.received_at if moved is None else moved.at, call.period, late=call.late)
        yield CallStep(at, call.late, facts_of(call), records.replaced(call), debit, reversal)
    yield from debits.rest()


def posted(at: datetime, period: str, *, late: bool) -> datetime:
    """When a call is debited on a statement.

    Records without `received_at` have the time at which the call ended.  A late one came after its month was
    closed, so it never stands in it: at the earliest it stands at the beginning of the next one.
    """
    return max(at, month_start(parse_period(period) + 1)) if late else at


class _Debits:
    """The debits in order, as the calls come by to which they belong."""

    def __init__(self, records: Records) -> None:
        self._rest = records.debits()
        self._next = next(self._rest, None)
        #: A debit of a call whose rating is not there is not waited for.
        self._known = records.known_ratings()

    def before(self, call: RatedCall) -> Iterator[Movement | CallStep]:
        """What went out before a call was rated."""
        while self._next is not None and not self._waits_for(self._next, call):
            yield self._alone(self._pop())

    def until_a_call(self) -> Iterator[Movement | CallStep]:
        """What goes out before the next debit or reversal of a call."""
        while self._next is not None and self._next.kind not in _OF_CALLS:
            yield self._alone(self._pop())

    def pop_if(self, id: str) -> Debit | None:
        """The next debit, if it has this id; the one after it is then the next."""
        return self._pop() if self._next is not None and self._next.id == id else None

    def rest(self) -> Iterator[Movement | CallStep]:
        """What went out after the last call."""
        while self._next is not None:
            yield self._alone(self._pop())

    def _pop(self) -> Debit:
        popped = self._next
        assert popped is not None
        self._next = next(self._rest, None)
        return popped

    def _waits_for(self, debit: Debit, call: RatedCall) -> bool:
        """Whether a debit belongs to this call or to one that comes later."""
        if debit.kind not in _OF_CALLS:
            return False
        return self._known is None or debit.id.startswith(call.id) or number_of(debit.id) in self._known

    @staticmethod
    def _alone(debit: Debit) -> Movement | CallStep:
        match debit.kind:
            case DebitKind.CALL:
                return CallStep(debit.at, False, None, None, debit, None)
            case DebitKind.REVERSAL:
                return CallStep(debit.at, False, None, None, None, debit)
            case other:
                return Movement(debit.at, _OF_DEBIT[other], -parse_ledger(debit.amount))
