"""The questions that are asked of a store, each answered from its lookup, for the CLI, the API and the page."""

import sqlite3
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TypeVar

import msgspec

from rater.core import Account, AccountEvent, Debit, RatedCall, RejectedCdr, ServiceState
from rater.embedded.dead_letters import with_what_was_done
from rater.embedded.lookup.asked import (
    PAGE_MAX,
    POINTS_MAX,
    By,
    CallFilter,
    CallPage,
    CallPlace,
    DebitPage,
    FundPage,
    RefusedPage,
    Spend,
)
from rater.embedded.lookup.catching_up import LookupFile
from rater.embedded.lookup.file import forget_lookup, is_damaged
from rater.embedded.lookup.finding import Found, Range, find_calls
from rater.embedded.lookup.instants import instant_of, month_of_period
from rater.embedded.lookup.money import balance_at, carried, first_moved, spend
from rater.embedded.lookup.movements import ATTEMPTS, CROSSINGS, FUNDS
from rater.embedded.lookup.names import Names
from rater.embedded.lookup.numbers import find_number
from rater.embedded.lookup.periods import Period, PeriodRecords
from rater.embedded.store import Reader
from rater.files.statement import Statement, statement_of
from rater.wire.dead_letters import DlqAudit, Letter

_LAST = 2**63 - 1
#: How long one transaction reads the store's records; where somebody waits for an answer, a moment.
_TRANSACTION_S, _PART_S = 5.0, 0.5
_calls = msgspec.json.Decoder(RatedCall)
_debits = msgspec.json.Decoder(Debit)
_events = msgspec.json.Decoder(AccountEvent)
_audits = msgspec.json.Decoder(DlqAudit)
_letters = msgspec.json.Decoder(RejectedCdr)
_services = msgspec.json.Decoder(ServiceState)
_Record = TypeVar("_Record")
_Answer = TypeVar("_Answer")


class Lookup:
    """Answers for one store.  Used by one thread at a time; the reader must stay open as long as it is used."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._file = LookupFile(reader)

    def close(self) -> None:
        """Close the file; the reader stays open."""
        self._file.close()

    @property
    def connection(self) -> sqlite3.Connection:
        """What reads the file, for who bounds how long it may take."""
        return self._file.connection

    def catch_up(self) -> int:
        """Read everything that was committed since: how many records."""
        total = 0
        while part := self._file.fill_part(_TRANSACTION_S):
            total += part
        return total

    def catch_up_part(self) -> bool:
        """Read more records for a moment: whether all are there now."""
        return self._file.fill_part(_PART_S) == 0 or self._file.behind() == 0

    def behind(self) -> int:
        """How many records of the store were not read yet."""
        return self._file.behind()

    def calls(self, tenant: str, wanted: CallFilter, after: CallPlace | None, limit: int) -> CallPage:
        """The ratings of a tenant's calls after `after` in the order of CallPage; at most PAGE_MAX of them."""
        return self._calls(tenant, wanted, Range(after, min(limit, PAGE_MAX)))

    def standing_calls(self, tenant: str, wanted: CallFilter, after: CallPlace | None, limit: int) -> CallPage:
        """The same, without ratings that a later one replaced."""
        return self._calls(tenant, wanted, Range(after, min(limit, PAGE_MAX), standing=True))

    def debits(self, tenant: str, period: str | None, after: int | None, limit: int) -> DebitPage:
        """Debits of a tenant, the newest first; `period` is the month (2025-03) in which they were debited."""
        where, given = ("", ()) if period is None else (" AND month=?", (month_of_period(period),))
        offsets, next = self._page(f"debits WHERE tenant=?{where}", tenant, given, after, limit)
        return DebitPage(list(self._records("debits", offsets, _debits)), next)

    def funds(self, tenant: str, after: int | None, limit: int) -> FundPage:
        """Purchases, recharges, adjustments, refunds, charge-backs, expiries, the newest first."""
        return self._listed(tenant, FUNDS, after, limit)

    def recharges(self, tenant: str, after: int | None, limit: int) -> FundPage:
        """Attempts to recharge and their outcomes, the newest first."""
        return self._listed(tenant, ATTEMPTS, after, limit)

    def crossings(self, tenant: str, after: int | None, limit: int) -> FundPage:
        """When the balance fell to zero or below, or calls on credit were possible again, the newest first."""
        return self._listed(tenant, CROSSINGS, after, limit)

    def refused(self, tenant: str, after: int | None, limit: int) -> RefusedPage:
        """Dead letters about a tenant, the newest first, with what was done about each."""
        offsets, next = self._page("refused WHERE tenant=?", tenant, (), after, limit)
        letters = list(self._records("rejected-cdrs", offsets, _letters))
        return RefusedPage(with_what_was_done(self._reader, letters, self._audits(letters)), next)

    def waiting(self, most: int) -> dict[str, int]:
        """Of each tenant that has any: how many dead letters nobody settled yet, at most so many."""
        found: dict[str, int] = {}
        find = "SELECT id, name FROM names WHERE id=(SELECT min(tenant) FROM waiting WHERE tenant>?)"
        count = "SELECT count(*) FROM (SELECT 1 FROM waiting WHERE tenant=? LIMIT ?)"
        id = 0
        while (row := self.connection.execute(find, (id,)).fetchone()) is not None:
            id, name = row
            found[name] = int(self.connection.execute(count, (id, most)).fetchone()[0])
        return found

    def letter(self, tenant: str, id: str) -> Letter | None:
        """The dead letter about a tenant with this id, with what was done about it; None: there is none."""
        row = self.connection.execute(
            "SELECT offset FROM refused WHERE tenant=? AND id=?", (self._tenant(tenant), id)
        ).fetchone()
        return None if row is None else next(iter(self.refused(tenant, row[0] + 1, 1).letters), None)

    def statement(self, tenant: str, since: datetime | None, until: datetime | None) -> Statement:
        """See `rater.files.statement.statement_of`; of a part of the time only its own records are read."""
        return statement_of(
            self._reader, tenant, since, until, lambda account: self._records_of(account, Period.of(since, until))
        )

    def count_moved(self, tenant: str, since: datetime | None, until: datetime | None) -> int:
        """How many records moved money within a period."""
        find = "SELECT count(*) FROM moved WHERE tenant=? AND at>=? AND at<?"
        given = (self._tenant(tenant), *Period.of(since, until))
        return int(self.connection.execute(find, given).fetchone()[0])

    def spend(self, tenant: str, by: By, since: datetime, until: datetime) -> list[Spend]:
        """Sums of calls that began in [since, until): standing ratings only; see `money.spend`."""
        id = self._tenant(tenant)
        return [] if id is None else spend(self._file.connection, id, by, since, until)

    def balance_at(self, tenant: str, at: datetime) -> int:
        """Credits less debits up to and including `at`, in micro-units: now it is the account's balance.

        Where older records were deleted (`balance_known_since`) it holds from the first one that is there.
        """
        id = self._tenant(tenant)
        return 0 if id is None else balance_at(self._file.connection, id, at)

    def balance_known_since(self, tenant: str) -> datetime | None:
        """From when on balances are exact: None where no record that moved money was deleted."""
        id = self._tenant(tenant)
        if id is None or carried(self._file.connection, id) == 0:
            return None
        first = first_moved(self._file.connection, id)
        return None if first is None else instant_of(first)

    def balance_series(
        self, tenant: str, since: datetime, until: datetime, points: int
    ) -> list[tuple[datetime, int]]:
        """The balance at so many instants (2 to POINTS_MAX), the first at `since`, the last at `until`."""
        points = max(2, min(points, POINTS_MAX))
        step = (until - since) / (points - 1)
        instants = [*[since + number * step for number in range(points - 1)], until]
        id = self._tenant(tenant)
        return [(at, 0 if id is None else balance_at(self._file.connection, id, at)) for at in instants]

    def service_state(self, tenant: str) -> ServiceState | None:
        """The last change of whether credit-funded calls may start; None if it never changed."""
        row = self.connection.execute(
            "SELECT offset FROM services WHERE tenant=?", (self._tenant(tenant),)
        ).fetchone()
        return None if row is None else next(self._records("service-states", [row[0]], _services), None)

    def _tenant(self, tenant: str) -> int | None:
        return Names(self._file.connection).known(tenant)

    def _records_of(self, account: Account, period: Period) -> PeriodRecords | None:
        """None for all of the time, and where the account has records that are not here."""
        if period == Period.of(None, None):
            return None
        if self.behind() and not self._reader.connection.in_transaction:
            self.catch_up()
        id = self._tenant(account.tenant)
        if id is None or self.behind():
            return None
        self.connection.execute("BEGIN")
        try:
            return PeriodRecords(self._reader, self.connection, id, account, period)
        finally:
            self.connection.execute("COMMIT")

    def _calls(self, tenant: str, wanted: CallFilter, within: Range) -> CallPage:
        id, account = self._tenant(tenant), self._reader.account(tenant)
        if id is None or account is None:
            return CallPage([], None)

        def find(within: Range) -> Found:
            return find_calls(self._file.connection, id, account.currency, wanted, within)

        found = find(within) if wanted.number is None else find_number(self._reader, wanted.number, within, find)
        calls = []
        for place, stands in found.places:
            calls += [(call, stands) for call in self._records("rated-calls", [place.offset], _calls)]
        return CallPage(calls, found.next)

    def _page(
        self, where: str, tenant: str, given: tuple[int, ...], after: int | None, limit: int
    ) -> tuple[list[int], int | None]:
        id, limit = self._tenant(tenant), min(limit, PAGE_MAX)
        if id is None:
            return [], None
        rows = self._file.connection.execute(
            f"SELECT offset FROM {where} AND offset<? ORDER BY offset DESC LIMIT ?",  # noqa: S608 - closed lists
            (id, *given, _LAST if after is None else after, limit + 1),
        ).fetchall()
        offsets = [int(offset) for (offset,) in rows[:limit]]
        return offsets, offsets[-1] if len(rows) > limit else None

    def _listed(self, tenant: str, list: int, after: int | None, limit: int) -> FundPage:
        offsets, next = self._page("events WHERE tenant=? AND list=?", tenant, (list,), after, limit)
        return FundPage([*self._records("account-events", offsets, _events)], next)

    def _audits(self, letters: list[RejectedCdr]) -> list[DlqAudit]:
        """What people did with these letters, oldest first."""
        find = "SELECT offset FROM handled WHERE id=?"
        ids = {letter.id for letter in letters}
        offsets = sorted(offset for id in ids for (offset,) in self.connection.execute(find, (id,)))
        return list(self._records("dlq-audit", offsets, _audits))

    def _records(self, topic: str, offsets: list[int], decoder: msgspec.json.Decoder[_Record]) -> Iterator[_Record]:
        """The records; one that was deleted since is left out."""
        for offset in offsets:
            row = self._reader.connection.execute(
                f'SELECT value FROM "{topic}" WHERE offset=?',  # noqa: S608 - closed list
                (offset,),
            ).fetchone()
            if row is not None:
                yield decoder.decode(row[0])


def open_lookup(reader: Reader) -> Lookup:
    """The lookup of a store, with everything that is committed by now."""
    return looked_up(reader, lambda lookup: lookup)


def looked_up(reader: Reader, question: Callable[[Lookup], _Answer]) -> _Answer:
    """The answer of a lookup that has everything that is committed by now; a damaged file is made anew once."""
    lookup = Lookup(reader)
    try:
        lookup.catch_up()
        return question(lookup)
    except sqlite3.DatabaseError as wrong:
        lookup.close()
        if not is_damaged(wrong):
            raise
    forget_lookup(reader.path)
    lookup = Lookup(reader)
    lookup.catch_up()
    return question(lookup)
