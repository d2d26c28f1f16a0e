"""`rater show calls`: the calls of a tenant, by what people look for."""

import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from rater.cli.found_calls import read_amount, read_day, read_number
from rater.cli.lookup import check_user, known_account
from rater.cli.printing import show_rows
from rater.cli.run import DEFAULT_STORE, StoreOption
from rater.cli.sending import Tenant
from rater.core import CallType, RatedCall, format_micros
from rater.embedded.lookup import ANOMALY, FLAGS, CallFilter, Lookup, day_bounds, looked_up
from rater.embedded.store import open_reader
from rater.wire.errors import RaterError


def calls(
    tenant: Tenant,
    user: Annotated[str | None, typer.Option(help="Only this user's.")] = None,
    on: Annotated[str | None, typer.Option(help="Only calls that began on this day, in UTC (YYYY-MM-DD).")] = None,
    charge: Annotated[
        str | None, typer.Option(help="Only calls that cost this, exactly or as an export rounds it, such as 4.02.")
    ] = None,
    number: Annotated[
        str | None, typer.Option(help="Only calls to or from numbers that contain these digits, such as +442079.")
    ] = None,
    destination: Annotated[str | None, typer.Option(help="Only calls to this name of the price list.")] = None,
    type: Annotated[CallType | None, typer.Option(help="Only calls of this type.")] = None,
    anomalies: Annotated[
        bool,
        typer.Option("--anomalies", help="Only calls that a person should look at, and why, such as no price."),
    ] = False,
    flag: Annotated[
        str | None, typer.Option(help=f"Only calls with this mark: {', '.join(FLAGS)}.", metavar="FLAG")
    ] = None,
    last: Annotated[int, typer.Option(help="How many, counted from the newest.", min=1, max=1_000_000)] = 20,
    store: StoreOption = DEFAULT_STORE,
    json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """The last calls that were rated; or those of a user, of a day, or with a charge that stands on a bill.

    Example: rater show calls contoso --on 2025-03-12 --charge 4.02

    Example: rater show calls contoso --number +442079

    Example: rater show calls contoso --anomalies --on 2025-03-12

    Example: rater show calls contoso --flag unfunded
    """
    wanted = _wanted(user, on, charge, ANOMALY if anomalies else flag)
    wanted = wanted._replace(number=read_number("--number", number), destination=destination, type=type)
    _find(store, tenant, wanted, last, anomalies, json)


def _wanted(user: str | None, on: str | None, charge: str | None, flag: str | None) -> CallFilter:
    """The filter that options say; RaterError names the option."""
    day = read_day("--on", on)
    since, until = (None, None) if day is None else day_bounds(day)
    if flag is not None and flag not in FLAGS:
        raise RaterError(f"--flag: expected one of {', '.join(FLAGS)}, got {flag!r}")
    return CallFilter(user=user, since=since, until=until, charge=read_amount("--charge", charge), flag=flag)


def _find(store: Path, tenant: str, wanted: CallFilter, last: int, anomalies: bool, json: bool) -> None:
    """Show so many, the newest last."""
    with closing(open_reader(store)) as reader:
        known_account(reader, tenant)
        found = looked_up(reader, lambda lookup: _newest(lookup, tenant, wanted, last + 1))
        shown = found[:last][::-1]
        if wanted.user is not None and not shown:
            check_user(reader, tenant, wanted.user)
    if not shown:
        print(_nothing(tenant, wanted), file=sys.stderr)
    _show([call for call, _ in shown], [stands for _, stands in shown], anomalies, json)
    if len(found) > last:
        print(f"there are more: --last {2 * last} shows twice as many", file=sys.stderr)


def _nothing(tenant: str, wanted: CallFilter) -> str:
    """That no call was found, with what was looked for."""
    said = [
        f" that began on {wanted.since:%Y-%m-%d}" if wanted.since is not None else "",
        f" and cost {format_micros(wanted.charge)}" if wanted.charge is not None else "",
        f" with {wanted.number} in a number" if wanted.number is not None else "",
        f" to {wanted.destination}" if wanted.destination is not None else "",
        f" of type {wanted.type.value}" if wanted.type is not None else "",
        f" with the flag {wanted.flag}" if wanted.flag is not None else "",
    ]
    return f"no call of {wanted.user or tenant}{''.join(said)} was rated" + ("" if any(said) else " yet")


def _newest(lookup: Lookup, tenant: str, wanted: CallFilter, count: int) -> list[tuple[RatedCall, bool]]:
    """So many ratings, the newest first; with a flag only those that stand."""
    ask = lookup.calls if wanted.flag is None else lookup.standing_calls
    found: list[tuple[RatedCall, bool]] = []
    after = None
    while len(found) < count:
        page = ask(tenant, wanted, after, count - len(found))
        found += page.calls
        after = page.next
        if after is None:
            break
    return found


def _show(calls: list[RatedCall], stand: list[bool], anomalies: bool, json: bool) -> None:
    """A row for each rating: whether a later one replaced it, and why a person should look, if that was asked."""
    names: tuple[str, ...] = ("usage_id", "answered_at", "type", "called", "minutes", "charge", "balance")
    rows: list[tuple[object, ...]] = [
        (call.usage_id, call.answered_at, call.type.value, call.called, call.minutes, call.charge, call.balance)
        for call in calls
    ]
    if not all(stand):
        names = (*names, "rating")
        rows = [(*row, "stands" if one else "replaced") for row, one in zip(rows, stand, strict=True)]
    if anomalies:
        names = (*names, "anomalies")
        whys = (", ".join(why.value for why in call.anomalies) for call in calls)
        rows = [(*row, why) for row, why in zip(rows, whys, strict=True)]
    show_rows(names, rows, json)
