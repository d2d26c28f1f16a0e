"""The records that a statement is added up from: all of a tenant's, or those of a period and sums of the others.

Nothing is read that came after the account: its sequences say how far the topics reached then.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol, TypeVar

import msgspec

from rater.core import Account, AccountEvent, Debit, Outcome, RatedCall, normal_usage_id
from rater.engine.books import Books
from rater.files.statement.facts import CallFacts, facts_of

#: As encoders write it; a quote in a text is escaped, so no text looks like it.
_CORRECTED = b'"outcome":"' + Outcome.CORRECTED.value.encode() + b'"'
_Record = TypeVar("_Record", AccountEvent, Debit, RatedCall)
CALLS = msgspec.json.Decoder(RatedCall)
EVENTS = msgspec.json.Decoder(AccountEvent)
DEBITS = msgspec.json.Decoder(Debit)


class Records(Protocol):
    """What a statement is added up from, each topic in order."""

    @property
    def before(self) -> int:
        """Micro-units that moved before the period in records that are not among these."""

    @property
    def after(self) -> int:
        """The same of the time from the end of the period on."""

    def events(self) -> Iterator[AccountEvent]:
        """What happened to the tenant; at least what credited it."""

    def debits(self) -> Iterator[Debit]:
        """What left the balance."""

    def calls(self) -> Iterator[RatedCall]:
        """Ratings; at least those whose debits are among these, and those of the period that cost nothing."""

    def replaced(self, call: RatedCall) -> CallFacts | None:
        """What the rating was that a call has replaced, if it is kept; calls are asked for in their order."""

    def known_ratings(self) -> set[int] | None:
        """Numbers of the ratings that `calls` gives; None where each debit of a call has its rating among them."""

    def kept_since(self) -> tuple[datetime | None, datetime | None]:
        """Since when all records that moved money are there, and all ratings; None where none was deleted."""


def number_of(id: str) -> int:
    """A number for a rating, of the id of the rated call, or of its debit, which begins with it.

    Half of an id is enough for the ratings of a ledger, and takes a tenth of its memory.
    """
    return int(id[:15], 16)


class AllRecords:
    """Every record of a tenant; of the ratings only those are remembered that corrections ask for."""

    before = after = 0

    def __init__(self, books: Books, account: Account) -> None:
        self._books, self._account = books, account
        self._corrected: set[str] | None = None
        self._standing: dict[str, CallFacts] = {}

    def events(self) -> Iterator[AccountEvent]:
        """See Records."""
        return self._up_to("account-events", EVENTS, self._account.sequences.account_events)

    def debits(self) -> Iterator[Debit]:
        """See Records."""
        return self._up_to("debits", DEBITS, self._account.sequences.debits)

    def calls(self) -> Iterator[RatedCall]:
        """See Records."""
        return self._up_to("rated-calls", CALLS, self._account.sequences.rated_calls)

    def replaced(self, call: RatedCall) -> CallFacts | None:
        """See Records."""
        if self._corrected is None:
            topic = self._books.topic("rated-calls", self._account.tenant)
            ids = [CALLS.decode(value).usage_id for _, value in topic if _CORRECTED in value]
            self._corrected = set(map(normal_usage_id, ids))
        usage_id = normal_usage_id(call.usage_id)
        if usage_id not in self._corrected:
            return None
        before = self._standing.get(usage_id)
        self._standing[usage_id] = facts_of(call)
        return before

    def known_ratings(self) -> set[int] | None:
        """See Records."""
        if self.kept_since()[1] is None:
            return None
        return {number_of(call.id) for call in self.calls()}

    def kept_since(self) -> tuple[datetime | None, datetime | None]:
        """See Records."""
        return kept_since(self._account, lambda topic: next(self._values(topic), None))

    def _values(self, topic: str) -> Iterator[bytes]:
        return (value for _, value in self._books.topic(topic, self._account.tenant))

    def _up_to(self, topic: str, decoder: msgspec.json.Decoder[_Record], last: int) -> Iterator[_Record]:
        """A topic's records that were there when the account was what it is."""
        for value in self._values(topic):
            record = decoder.decode(value)
            if record.sequence > last:
                break
            yield record


class First(Protocol):
    """Gives the first record of a topic that is there, if any is."""

    def __call__(self, topic: str, /) -> bytes | None:
        """Of the tenant."""


def kept_since(account: Account, first: First) -> tuple[datetime | None, datetime | None]:
    """See Records.kept_since; the number of a topic's first record says whether there were others before."""
    sequences = account.sequences
    event, debit, call = first("account-events"), first("debits"), first("rated-calls")
    events = None if event is None else EVENTS.decode(event)
    debits = None if debit is None else DEBITS.decode(debit)
    calls = None if call is None else CALLS.decode(call)
    found = [
        _since(account, sequences.account_events, None if events is None else (events.sequence, events.at)),
        _since(account, sequences.debits, None if debits is None else (debits.sequence, debits.at)),
    ]
    money = max([since for since in found if since is not None], default=None)
    rated = None if calls is None else (calls.sequence, calls.received_at)
    return money, _since(account, sequences.rated_calls, rated)


def _since(account: Account, last: int, first: tuple[int, datetime] | None) -> datetime | None:
    """Since when a topic's records are there; None: from the first one on."""
    if first is None:
        return account.clock if last else None
    sequence, at = first
    return at if 1 < sequence <= last else None
