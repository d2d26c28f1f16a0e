"""What moved a tenant's balance, one movement at a time: events that credit, debits, and the call of each debit.

A step that rates a call writes down the call, its reversal and its debit, whose ids begin with that of the call.
So calls and debits are read side by side, and none is kept but what corrections will ask for.

Nothing is read that came after the account: its sequences say how far the topics reached then.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple, TypeVar

import msgspec

from rater.core import (
    Account,
    AccountEvent,
    Debit,
    DebitKind,
    EventKind,
    LotKind,
    Outcome,
    Pocket,
    RatedCall,
    credited_by,
    month_start,
    normal_usage_id,
    parse_amount,
    parse_ledger,
    parse_period,
)
from rater.engine.books import Books
from rater.files.statement.kinds import CallKind, kind_of
from rater.files.statement.model import EntryName

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
#: As encoders write it; a quote in a text is escaped, so no text looks like it.
_CORRECTED = b'"outcome":"' + Outcome.CORRECTED.value.encode() + b'"'
_OF_CALLS = (DebitKind.CALL, DebitKind.REVERSAL)
_Record = TypeVar("_Record", AccountEvent, Debit, RatedCall)
_calls = msgspec.json.Decoder(RatedCall)
_events = msgspec.json.Decoder(AccountEvent)
_debits = msgspec.json.Decoder(Debit)


class Movement(NamedTuple):
    """Money that is no call's, with the sign with which it moved the balance."""

    at: datetime
    name: EntryName
    amount: int


class CallFacts(NamedTuple):
    """Of a rated call what sums need."""

    kind: CallKind
    user: str | None
    destination: str | None
    minutes: int
    pool_minutes: int
    charge: int


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


class Completeness:
    """Whether the first records of topics are still there, and since when all of them are."""

    def __init__(self) -> None:
        self.since: datetime | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return self.since is None

    def note_first(self, sequence: int, at: datetime) -> None:
        """Note the first record of a topic that is there."""
        if sequence != 1:
            self.since = at if self.since is None else max(self.since, at)


def _up_to(
    values: Iterator[tuple[int, bytes]],
    decoder: msgspec.json.Decoder[_Record],
    account: Account,
    last: int,
    kept: Completeness,
) -> Iterator[_Record]:
    """A topic's records that were there when the account was what it is."""
    number = 0
    for number, (_, value) in enumerate(values, start=1):
        record = decoder.decode(value)
        if record.sequence > last:
            break
        if number == 1:
            kept.note_first(record.sequence, record.received_at if isinstance(record, RatedCall) else record.at)
        yield record
    if last and not number:
        kept.note_first(0, account.clock)


def credits_of(books: Books, account: Account, kept: Completeness) -> Iterator[Movement]:
    """What came in, in order."""
    topic = books.topic("account-events", account.tenant)
    for event in _up_to(topic, _events, account, account.sequences.account_events, kept):
        amount = credited_by(event)
        if amount:
            promotion = event.lot_kind is LotKind.PROMOTION
            yield Movement(event.at, EntryName.PROMOTIONS if promotion else _OF_EVENT[event.event], amount)


def debits_of(
    books: Books, account: Account, kept: Completeness, kept_calls: Completeness
) -> Iterator[Movement | CallStep]:
    """What calls took and got back, and what else went out; calls that cost nothing are there, too."""
    debits = _Debits(books, account, kept)
    corrected = _corrected(books, account)
    facts: dict[str, CallFacts] = {}
    for call in _rated(books, account, kept_calls):
        yield from debits.before(call)
        usage_id = normal_usage_id(call.usage_id)
        known = usage_id in corrected
        now, before = facts_of(call), facts.get(usage_id) if known else None
        if known:
            facts[usage_id] = now
        reversal = debits.pop_if(f"{call.id}-0")
        if reversal is not None:  # what came back to a lot that has expired is forfeited before the call is debited
            yield from debits.until_a_call()
        debit = debits.pop_if(f"{call.id}-1")
        moved = debit or reversal
        at = call.received_at if moved is None else moved.at
        yield CallStep(_posted(at, call.period, call.late), call.late, now, before, debit, reversal)
    yield from debits.rest()


def facts_of(call: RatedCall) -> CallFacts:
    """What sums need of a call; where neither its record nor a price names the destination, its country does."""
    pool = sum([segment.minutes for segment in call.segments if segment.pocket is Pocket.POOL])
    destination = call.destination or call.country
    return CallFacts(kind_of(call), call.user, destination, call.minutes, pool, parse_amount(call.charge))


def _posted(at: datetime, period: str, late: bool) -> datetime:
    """When a call is debited on a statement.

    Records without `received_at` have the time at which the call ended.  A late one came after its month was
    closed, so it never stands in it: at the earliest it stands at the beginning of the next one.
    """
    return max(at, month_start(parse_period(period) + 1)) if late else at


def _rated(books: Books, account: Account, kept: Completeness) -> Iterator[RatedCall]:
    topic = books.topic("rated-calls", account.tenant)
    return _up_to(topic, _calls, account, account.sequences.rated_calls, kept)


def _corrected(books: Books, account: Account) -> set[str]:
    """Usage ids of calls that were corrected or rated again: only of these the rating before is asked for."""
    topic = books.topic("rated-calls", account.tenant)
    return {normal_usage_id(_calls.decode(value).usage_id) for _, value in topic if _CORRECTED in value}


class _Debits:
    """The debits in order, as the calls come by to which they belong."""

    def __init__(self, books: Books, account: Account, kept: Completeness) -> None:
        topic = books.topic("debits", account.tenant)
        self._rest = _up_to(topic, _debits, account, account.sequences.debits, kept)
        self._next = next(self._rest, None)
        #: Ratings that are there, where older ones are not: a debit of one of those is not waited for.
        self._known: set[int] | None = None
        kept_calls = Completeness()
        next(_rated(books, account, kept_calls), None)
        if not kept_calls.complete:
            self._known = {_number(call.id) for call in _rated(books, account, Completeness())}

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
        return self._known is None or debit.id.startswith(call.id) or _number(debit.id) in self._known

    @staticmethod
    def _alone(debit: Debit) -> Movement | CallStep:
        match debit.kind:
            case DebitKind.CALL:
                return CallStep(debit.at, False, None, None, debit, None)
            case DebitKind.REVERSAL:
                return CallStep(debit.at, False, None, None, None, debit)
            case other:
                return Movement(debit.at, _OF_DEBIT[other], -parse_ledger(debit.amount))


def _number(id: str) -> int:
    """Half of an id: enough to distinguish ratings of a tenant, and a tenth of the memory."""
    return int(id[:16], 16)
