"""Usage: the calls of a tenant, newest first, by what people look for."""

from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

import msgspec

from rater.core import MoneyError, RatedCall, exponent_of, parse_ledger, round_to_cents, same_user
from rater.embedded.store import Reader
from rater.serve.web.screens.asked import Asked, WrongQuestion

_calls = msgspec.json.Decoder(RatedCall).decode
CALLS_PER_PAGE = 50


class Wanted(NamedTuple):
    """What a person looks for; None means any."""

    user: str | None = None
    day: date | None = None
    charge: int | None = None
    flagged: bool = False

    def means(self, call: RatedCall) -> bool:
        """Whether a call is one of those."""
        return (
            (self.user is None or (call.user is not None and same_user(self.user, call.user)))
            and (self.day is None or call.answered_at.date() == self.day)
            and (self.charge is None or self._costs(call))
            and (not self.flagged or bool(flags(call)))
        )

    def _costs(self, call: RatedCall) -> bool:
        """Whether it cost this exactly, or as exports show it in its currency (A18)."""
        charge = parse_ledger(call.charge)
        return self.charge in (charge, parse_ledger(round_to_cents(charge, exponent_of(call.currency))))


class Row(NamedTuple):
    """A rating as the list shows it; one that does not stand was replaced by a later one."""

    offset: int
    call: RatedCall
    charge: int
    balance: int
    flags: tuple[str, ...]
    stands: bool


def usage(asked: Asked) -> dict[str, Any]:
    """What `usage.html` shows."""
    query = {name: text.strip() for name, text in asked.query.items() if text.strip()}
    found: list[Row] = []
    after = _offset(query)
    for row in _rows(asked.reader, asked.tenant, after, _wanted(query)):
        found.append(row)
        if len(found) > CALLS_PER_PAGE:
            break
    shown = found[:CALLS_PER_PAGE]
    return {
        "account": asked.account,
        "calls": shown,
        "next": shown[-1].offset if len(found) > CALLS_PER_PAGE else None,
        "query": {name: query.get(name, "") for name in ("user", "day", "charge", "flagged")},
        "is_first": after is None,
    }


def flags(call: RatedCall) -> tuple[str, ...]:
    """Why a person may want to look at a call."""
    found = [why.value for why in call.anomalies]
    found += ["late"] if call.late else []
    return (*found, *(["unfunded"] if parse_ledger(call.unfunded_charge) else []))


def _rows(reader: Reader, tenant: str, after: int | None, wanted: Wanted) -> Iterator[Row]:
    seen: set[str] = set()
    for offset, value in reader.topic("rated-calls", tenant, newest_first=True):
        call = _calls(value)
        stands = call.usage_id not in seen
        seen.add(call.usage_id)
        if (after is None or offset < after) and wanted.means(call):
            yield Row(offset, call, parse_ledger(call.charge), parse_ledger(call.balance), flags(call), stands)


def _wanted(query: dict[str, str]) -> Wanted:
    try:
        day = date.fromisoformat(query["day"]) if "day" in query else None
    except ValueError as wrong:
        raise WrongQuestion("day: expected a day such as 2025-03-12") from wrong
    try:
        charge = parse_ledger(query["charge"]) if "charge" in query else None
    except MoneyError as wrong:
        raise WrongQuestion(f"charge: {wrong}") from wrong
    return Wanted(query.get("user"), day, charge, "flagged" in query)


def _offset(query: dict[str, str]) -> int | None:
    text = query.get("after")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise WrongQuestion("after: expected the number that a page of calls has")
    return int(text)
