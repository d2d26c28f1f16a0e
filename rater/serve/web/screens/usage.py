"""Usage: the calls of a tenant, newest first, by what people look for; and the sums of their charges."""

from datetime import UTC, date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple

from rater.core import CallType, MoneyError, RatedCall, name_key, parse_ledger
from rater.embedded.lookup import FLAGS, PAGE_MAX, By, CallFilter, CallPage, Spend, day_bounds, digits_of, flags_of
from rater.engine.given_back import is_given_back
from rater.files.export import write
from rater.files.export_tables import TABLES, usage_row
from rater.files.statement import MEDIA_TYPES
from rater.serve.web.amounts import plain_amount
from rater.serve.web.screens.asked import (
    Asked,
    File,
    NoSuchThing,
    WrongField,
    WrongQuestion,
    check_offered,
    offered,
    place_in,
)
from rater.serve.web.screens.call import given_of

CALLS_PER_PAGE = 50
#: The days of which sums are shown, and how many destinations.
SPEND_DAYS, DESTINATIONS_MAX = 31, 15
#: Files of the calls that are found, and how many calls they have at most.
EXPORT_FORMATS: tuple[Literal["csv", "xlsx"], ...] = ("csv", "xlsx")
EXPORT_MAX = 20_000
_FILTERS = ("day", "charge", "user", "number", "destination", "type", "flag")
_TYPES = [one.value for one in CallType]
#: Names that are offered where several contain what was typed; destinations of so many days.
OFFERED_MAX, OFFERED_DAYS = 20, 400


class Row(NamedTuple):
    """A rating as the list shows it; one that does not stand was replaced by a later one."""

    call: RatedCall
    charge: int
    balance: int
    flags: list[str]
    stands: bool


def usage(asked: Asked) -> dict[str, Any]:
    """What `usage.html` shows."""
    query = {name: text.strip() for name, text in asked.query.items() if text.strip()}
    after, wrong, currency = place_in(query, "after"), None, asked.account.currency
    names: dict[str, list[str]] = {}
    try:
        page = asked.lookup.calls(asked.tenant, _wanted(query, currency), after, CALLS_PER_PAGE)
    except WrongField as found:
        page, wrong = CallPage([], None), found
    is_first = after is None and wrong is None
    if is_first and not page.calls:
        names = _names(asked, query)
        meant = query | {field: found[0] for field, found in names.items() if len(found) == 1}
        if meant != query:
            query = meant
            page = asked.lookup.calls(asked.tenant, _wanted(query, currency), after, CALLS_PER_PAGE)
    given = given_of(asked) if page.calls else {}
    return {
        "account": asked.account,
        "calls": [_row(call, stands) for call, stands in page.calls],
        "given": given,
        "given_back": {id for id, events in given.items() if is_given_back(id, events)},
        "next": page.next and f"{page.next.at}.{page.next.offset}",
        "query": {name: query.get(name, "") for name in _FILTERS},
        "names": {} if page.calls else names,
        "flag_names": FLAGS,
        "types": _TYPES,
        "is_first": is_first,
        "wrong": wrong,
        "export_formats": offered(EXPORT_FORMATS),
        "all_formats": offered(EXPORT_FORMATS) == [*EXPORT_FORMATS],
        "spend_days": SPEND_DAYS,
        "by_day": _spend(asked, "day") if is_first else [],
        "by_destination": _dearest(_spend(asked, "destination")) if is_first else [],
    }


def _names(asked: Asked, query: dict[str, str]) -> dict[str, list[str]]:
    """Users and destinations whose names contain what was typed, where it is none itself."""
    found = {}
    if "user" in query:
        users = asked.reader.names("user", asked.tenant)
        found["user"] = [name for name in users if name_key(query["user"]) in name]
    if "destination" in query:
        sums = _spend(asked, "destination", OFFERED_DAYS)
        wanted = query["destination"].casefold()
        found["destination"] = sorted({one.key for one in sums if one.key and wanted in one.key.casefold()})
    return {
        field: names[:OFFERED_MAX]
        for field, names in found.items()
        if query[field].casefold() not in map(str.casefold, names)
    }


def usage_file(asked: Asked, format: str) -> File:
    """The calls that are found, as `rater export usage` writes them, the newest first; of each the standing rating.

    NoSuchThing: there is no such format; WrongQuestion: it is more than a page may give.
    """
    chosen = next((one for one in EXPORT_FORMATS if one == format), None)
    if chosen is None:
        raise NoSuchThing
    check_offered(chosen)
    typed = {name: text.strip() for name, text in asked.query.items() if text.strip()}
    wanted = _wanted(typed, asked.account.currency)
    page = asked.lookup.standing_calls(asked.tenant, wanted, None, PAGE_MAX)
    rows = [usage_row(call) for call, _ in page.calls]
    while page.next is not None:
        if len(rows) >= EXPORT_MAX:
            raise WrongQuestion(
                f"expected filters that leave at most {EXPORT_MAX} calls; `rater export usage` writes any number"
            )
        page = asked.lookup.standing_calls(asked.tenant, wanted, page.next, PAGE_MAX)
        rows += [usage_row(call) for call, _ in page.calls]
    with TemporaryDirectory() as folder:
        path = Path(folder, "usage")
        write(TABLES["usage"], rows, chosen, str(path))
        return File(f"usage.{chosen}", MEDIA_TYPES[chosen], path.read_bytes())


def _row(call: RatedCall, stands: bool) -> Row:
    return Row(call, parse_ledger(call.charge), parse_ledger(call.balance), flags_of(call), stands)


def _spend(asked: Asked, by: By, days: int = SPEND_DAYS) -> list[Spend]:
    """Sums of the last days before the tenant's clock, whole days in UTC."""
    end = asked.account.clock.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return asked.lookup.spend(asked.tenant, by, end - timedelta(days=days), end)


def _dearest(sums: list[Spend]) -> list[Spend]:
    paid = [one for one in sums if one.charge_micros]
    return sorted(paid, key=lambda one: (-one.charge_micros, one.key or ""))[:DESTINATIONS_MAX]


def _wanted(query: dict[str, str], currency: str) -> CallFilter:
    """What a person looks for; WrongQuestion says what was expected."""
    since = until = None
    try:
        if "day" in query:
            since, until = day_bounds(date.fromisoformat(query["day"]))
    except (ValueError, OverflowError) as wrong:
        raise WrongField("day", "expected a day such as 2025-03-12") from wrong
    try:
        charge = parse_ledger(plain_amount(query["charge"], currency)) if "charge" in query else None
    except MoneyError as wrong:
        raise WrongField("charge", str(wrong)) from wrong
    try:
        number = digits_of(query["number"]) if "number" in query else None
    except ValueError as wrong:
        raise WrongField("number", str(wrong)) from wrong
    for field, known in (("flag", FLAGS), ("type", _TYPES)):
        if field in query and query[field] not in known:
            raise WrongField(field, f"expected one of {', '.join(known)}")
    type = CallType(query["type"]) if "type" in query else None
    return CallFilter(
        query.get("user"), since, until, charge, query.get("destination"), type, query.get("flag"), number
    )
