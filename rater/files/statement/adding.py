"""A statement is added up from the outputs: credits are events, all else is debits; calls say what a debit was for.

It is done in one pass; what is kept is sums.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import chain
from typing import Any

from rater.core import Account, Debit, name_key, parse_amount
from rater.engine.books import Books
from rater.files.export_tables import pool_report
from rater.files.statement.facts import CallFacts
from rater.files.statement.kinds import CallKind
from rater.files.statement.model import (
    ENTRY_OF_KIND,
    CallSum,
    Day,
    Entry,
    EntryName,
    OtherMonth,
    PoolLine,
    Statement,
    Sum,
)
from rater.files.statement.movements import CallStep, Movement, credits_of, debits_of
from rater.files.statement.records import AllRecords, Records
from rater.wire.errors import Exit, RaterError

#: A statement of so many days has a line for each; a longer one for those on which money moved.
_DAYS_MAX = 400
_KINDS = list(CallKind)
_key = lru_cache(maxsize=65536)(name_key)


def statement_of(
    books: Books,
    tenant: str,
    since: datetime | None,
    until: datetime | None,
    records_of: Callable[[Account], Records | None] = lambda _: None,
) -> Statement:
    """The statement of a tenant from `since` up to `until` (exclusive), either of which may be open.

    `records_of` gives the records of the period; where it gives None, all of the tenant's are read.
    Raises RaterError for a tenant that the books do not have.
    """
    account = books.account(tenant)
    if account is None:
        raise RaterError(f"{tenant}: no such tenant", Exit.FAILED)
    records = records_of(account) or AllRecords(books, account)
    sums = _Sums(since, until, records)
    for moved in chain(credits_of(records), debits_of(records)):
        if isinstance(moved, Movement):
            sums.add(moved.at, moved.name, moved.amount)
        else:
            sums.add_step(moved)
    money_since, calls_since = records.kept_since()
    sums.close(account.balance, complete=money_since is None)
    kept = [at for at in (money_since, calls_since) if at is not None]
    pools = tuple(_pools(books, account, since, until))
    return _stated(account, sums, pools, max(kept, default=None))


def _stated(account: Account, sums: "_Sums", pools: tuple[PoolLine, ...], kept_since: datetime | None) -> Statement:
    since, until = sums.since, sums.until
    return Statement(
        tenant=account.tenant,
        currency=account.currency,
        since=since,
        until=until,
        as_of=account.clock,
        closed_since=account.closed_since,
        kept_since=kept_since,
        opening=sums.opening,
        entries=tuple(
            [Entry(name, sums.counts[name], sums.amounts[name]) for name in EntryName if sums.counts[name]]
        ),
        closing=sums.closing,
        moved_since=sums.after,
        balance=account.balance,
        unexplained=account.balance - sums.closing - sums.after,
        calls=tuple([CallSum(key, *figures) for key, figures in _sorted(sums.kinds, _KINDS.index)]),
        users=_named(sums.users, sums.spelled),
        destinations=_named(sums.destinations, {}),
        pools=pools,
        other_months=tuple([OtherMonth(*key, *figures) for key, figures in sorted(sums.other_months.items())]),
        days=tuple(_days(sums, account, since, until)),
    )


class _Sums:
    """What moved before, within and after the period, and the sums of what moved within it."""

    def __init__(self, since: datetime | None, until: datetime | None, records: Records) -> None:
        self.since, self.until = since, until
        self.opening, self.after, self.closing = records.before, records.after, 0
        self.counts: Counter[EntryName] = Counter()
        self.amounts: Counter[EntryName] = Counter()
        self.kinds: dict[CallKind, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        self.users: dict[str | None, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        self.destinations: dict[str | None, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        self.other_months: dict[tuple[str, bool], list[int]] = defaultdict(lambda: [0, 0, 0])
        self.days: dict[date, list[int]] = defaultdict(lambda: [0, 0])
        #: A user's key -> the first spelling.
        self.spelled: dict[str | None, str] = {}

    def add(self, at: datetime, name: EntryName, amount: int) -> None:
        """Add a movement that is no call's."""
        if self._within(at, amount):
            self._enter(name, amount)
            self.days[at.date()][1] += amount

    def add_step(self, step: CallStep) -> None:
        """Add a call: what it took, less what a version before it gave back."""
        taken = parse_amount(step.debit.amount) if step.debit else 0
        given_back = -parse_amount(step.reversal.amount) if step.reversal else 0
        if not self._within(step.at, given_back - taken):
            return
        if step.debit is not None:
            kind = step.now.kind if step.now else CallKind.NOT_KEPT
            self._enter(ENTRY_OF_KIND[kind], -taken)
            self._note_month(step, step.debit, 1, taken, 0)
        if step.reversal is not None:
            self._enter(EntryName.REVERSALS, given_back)
            self._note_month(step, step.reversal, 0, 0, given_back)
        if taken or given_back:
            self.days[step.at.date()][0] += given_back - taken
        self._count(step.now or _unknown(step.debit, taken), 1)
        self._count(step.before or _unknown(step.reversal, given_back), -1)

    def close(self, balance: int, *, complete: bool) -> None:
        """Work out the closing; where older records are gone, backwards from the balance."""
        within = sum(self.amounts.values())
        if not complete:
            self.opening = balance - self.after - within
        self.closing = self.opening + within

    def _within(self, at: datetime, amount: int) -> bool:
        """Whether this instant is in the period; what moved before or after it is summed."""
        if self.since is not None and at < self.since:
            self.opening += amount
            return False
        if self.until is not None and at >= self.until:
            self.after += amount
            return False
        return True

    def _enter(self, name: EntryName, amount: int) -> None:
        self.counts[name] += 1
        self.amounts[name] += amount

    def _note_month(self, step: CallStep, debit: Debit, calls: int, amount: int, given_back: int) -> None:
        """A call that stands in another month than its own."""
        if debit.period is not None and debit.period != _month(step.at.year, step.at.month):
            _add(self.other_months[(debit.period, step.late)], (calls, amount, given_back))

    def _count(self, call: CallFacts | None, sign: int) -> None:
        if call is None:
            return
        user = _key(call.user) if call.user else None
        if call.user and user not in self.spelled:
            self.spelled[user] = call.user
        for sums in (self.kinds[call.kind], self.users[user], self.destinations[call.destination]):
            sums[0] += sign
            sums[1] += sign * call.minutes
            sums[2] += sign * call.pool_minutes
            sums[3] += sign * call.charge


@lru_cache(maxsize=4096)
def _month(year: int, month: int) -> str:
    return f"{year:04d}-{month:02d}"


def _add(sums: list[int], figures: tuple[int, ...]) -> None:
    for place, figure in enumerate(figures):
        sums[place] += figure


def _unknown(debit: Debit | None, amount: int) -> CallFacts | None:
    """A call that is not kept, as its debit or its reversal knows it."""
    return None if debit is None else CallFacts(CallKind.NOT_KEPT, debit.user, None, 0, 0, amount)


def _sorted(sums: dict[Any, list[int]], place: Callable[[Any], int]) -> Iterator[tuple[Any, list[int]]]:
    """Those that are not nothing: what was corrected away is."""
    yield from sorted(((key, sums[key]) for key in sums if any(sums[key])), key=lambda item: place(item[0]))


def _named(sums: dict[str | None, list[int]], spelled: dict[str | None, str]) -> tuple[Sum, ...]:
    """The dearest first, then by name."""
    found = [Sum(spelled.get(key, key), *figures) for key, figures in sums.items() if any(figures)]
    return tuple(sorted(found, key=lambda one: (-one.amount, -one.minutes, one.name or "")))


def _pools(books: Books, account: Account, since: datetime | None, until: datetime | None) -> Iterator[PoolLine]:
    """The pools of the months that the period touches."""
    first = since.strftime("%Y-%m") if since else ""
    last = (until - timedelta(microseconds=1)).strftime("%Y-%m") if until else "9999-12"
    for use in pool_report(books, account, first if first == last else None):
        if first <= use.period <= last:
            yield PoolLine(use.name, use.period, use.used, use.total)


def _days(sums: _Sums, account: Account, since: datetime | None, until: datetime | None) -> Iterator[Day]:
    """The days of the period as far as the tenant's time has come, with the balance at the end of each."""
    moved = sorted(sums.days)
    if not moved and since is None:
        return
    first = since.astimezone(UTC).date() if since else moved[0]
    now = max(account.clock.date(), *moved) if moved else account.clock.date()
    last = min(now, (until - timedelta(microseconds=1)).date()) if until else now
    many = (last - first).days >= _DAYS_MAX
    balance = sums.opening
    for day in moved if many else (first + timedelta(days=n) for n in range((last - first).days + 1)):
        calls, other = sums.days.get(day, (0, 0))
        balance += calls + other
        yield Day(day, calls, other, balance)
