"""The records of a tenant's period, found by the lookup, and what moved before and after it: a month reads its own.

What the account does not have yet is left out: a lookup, or a replica, may be ahead of it.
"""

import sqlite3
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple, TypeVar

import msgspec

from rater.core import Account, AccountEvent, Debit, Outcome, RatedCall
from rater.embedded.lookup.instants import micros_of
from rater.embedded.lookup.money import moved_before, moved_in_all
from rater.embedded.lookup.movements import CREDITED, DEBITED
from rater.embedded.store import Reader
from rater.files.statement.facts import CallFacts, facts_of
from rater.files.statement.records import CALLS, DEBITS, EVENTS, kept_since

_FIRST, _LAST = -(2**63), 2**63 - 1
#: Records that one statement reads.
_READ_AT_ONCE = 500
_Record = TypeVar("_Record", AccountEvent, Debit, RatedCall)
_TOPICS = {CREDITED: "account-events", DEBITED: "debits"}
#: Ratings of which a debit stands in the period, and those that have none, by when they were rated.
_CALLS = f"""
    SELECT posted.offset, posted.rating FROM moved
        CROSS JOIN debits ON debits.tenant=moved.tenant AND debits.offset=moved.offset
        CROSS JOIN posted ON posted.rating=debits.rating AND posted.tenant=moved.tenant
        WHERE moved.tenant=:tenant AND moved.at>=:since AND moved.at<:until AND moved.topic={DEBITED}
    UNION SELECT offset, rating FROM posted WHERE tenant=:tenant AND at>=:since AND at<:until
        AND NOT EXISTS (SELECT 1 FROM debits WHERE debits.rating=posted.rating)
    ORDER BY 1
"""  # noqa: S608 - a number of ours


class _Sequenced(msgspec.Struct, gc=False):
    sequence: int


_sequenced = msgspec.json.Decoder(_Sequenced).decode


class Period(NamedTuple):
    """From `since` up to `until`, not with it, in microseconds of Unix time."""

    since: int
    until: int

    @classmethod
    def of(cls, since: datetime | None, until: datetime | None) -> "Period":
        """Between two instants, either of which may be open."""
        first = _FIRST if since is None else micros_of(since)
        return cls(first, _LAST if until is None else micros_of(until))


class PeriodRecords:
    """See rater.files.statement.records.Records.

    The lookup is read when it is made, within a transaction; records are read from the store as they are asked for.
    """

    def __init__(
        self, reader: Reader, connection: sqlite3.Connection, number: int, account: Account, period: Period
    ) -> None:
        self._reader, self._account, self._number = reader, account, number
        self._spans = {
            topic: (int(first), int(last))
            for topic, first, last in connection.execute(
                "SELECT topic, first, last FROM spans WHERE tenant=?", (number,)
            )
        }
        sequences = account.sequences
        self._ends = {
            topic: self._end(topic, last)
            for topic, last in (
                ("account-events", sequences.account_events),
                ("debits", sequences.debits),
                ("rated-calls", sequences.rated_calls),
            )
        }
        self.before, self.after = self._moved_around(connection, period)
        self._moved: dict[str, list[int]] = {topic: [] for topic in _TOPICS.values()}
        rows = connection.execute(
            "SELECT topic, offset FROM moved WHERE tenant=? AND at>=? AND at<? ORDER BY offset", (number, *period)
        )
        for topic, offset in rows:
            self._moved[_TOPICS[topic]].append(offset)
        calls = connection.execute(_CALLS, {"tenant": number, "since": period.since, "until": period.until})
        #: Offset -> the rating's number; None for one that has no debit.
        self._calls = {offset: rating for offset, rating in calls if offset <= self._ends["rated-calls"]}

    def events(self) -> Iterator[AccountEvent]:
        """See Records."""
        return self._read("account-events", self._moved["account-events"], EVENTS)

    def debits(self) -> Iterator[Debit]:
        """See Records."""
        return self._read("debits", self._moved["debits"], DEBITS)

    def calls(self) -> Iterator[RatedCall]:
        """See Records."""
        return self._read("rated-calls", self._calls, CALLS)

    def replaced(self, call: RatedCall) -> CallFacts | None:
        """See Records."""
        if call.outcome is not Outcome.CORRECTED:
            return None
        ratings = map(CALLS.decode, self._reader.rated_calls(call.usage_id, self._account.tenant))
        before = [one for one in ratings if one.sequence < call.sequence]
        return facts_of(before[-1]) if before else None

    def known_ratings(self) -> set[int]:
        """See Records."""
        return {rating for rating in self._calls.values() if rating is not None}

    def kept_since(self) -> tuple[datetime | None, datetime | None]:
        """See Records."""
        return kept_since(self._account, self._first)

    def _first(self, topic: str) -> bytes | None:
        first = self._spans[topic][0] if topic in self._spans else _LAST
        row = self._reader.connection.execute(
            f'SELECT value FROM "{topic}" WHERE tenant=? AND offset>=? ORDER BY offset LIMIT 1',  # noqa: S608 - closed list
            (self._account.tenant, first),
        ).fetchone()
        return None if row is None else bytes(row[0])

    def _end(self, topic: str, last: int) -> int:
        """The offset of the tenant's last record that the account has; records behind it came later."""
        rows = self._reader.connection.execute(
            f'SELECT offset, value FROM "{topic}" WHERE tenant=? AND offset<=? ORDER BY offset DESC',  # noqa: S608 - closed list
            (self._account.tenant, self._spans[topic][1] if topic in self._spans else _FIRST),
        )
        return next((offset for offset, value in rows if _sequenced(value).sequence <= last), 0)

    def _moved_around(self, connection: sqlite3.Connection, period: Period) -> tuple[int, int]:
        """Micro-units that moved before the period, and from its end on."""
        before = moved_before(connection, self._number, period.since) if period.since > _FIRST else 0
        within = moved_before(connection, self._number, period.until) if period.until < _LAST else None
        in_all = moved_in_all(connection, self._number)
        after = 0 if within is None else in_all - within
        if all(self._ends[topic] == self._spans[topic][1] for topic in _TOPICS.values() if topic in self._spans):
            return before, after
        later = connection.execute(
            f"SELECT at, amount FROM moved WHERE tenant=? AND (topic={DEBITED} AND offset>?"  # noqa: S608 - ours
            f" OR topic={CREDITED} AND offset>?)",
            (self._number, self._ends["debits"], self._ends["account-events"]),
        )
        for at, amount in later:
            before -= amount if at < period.since else 0
            after -= amount if at >= period.until else 0
        return before, after

    def _read(
        self, topic: str, offsets: list[int] | dict[int, int], decoder: msgspec.json.Decoder[_Record]
    ) -> Iterator[_Record]:
        end = self._ends[topic]
        mine = [offset for offset in offsets if offset <= end]
        for start in range(0, len(mine), _READ_AT_ONCE):
            part = mine[start : start + _READ_AT_ONCE]
            marks = ",".join("?" * len(part))
            rows = self._reader.connection.execute(
                f'SELECT value FROM "{topic}" WHERE offset IN ({marks}) ORDER BY offset',  # noqa: S608 - marks only
                part,
            )
            for (value,) in rows.fetchall():
                yield decoder.decode(value)
