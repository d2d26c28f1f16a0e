"""Each question of the read API, asked of the books: the figures are those of `rater show` and `rater export`."""

from datetime import datetime

import msgspec

from rater.core import (
    Account,
    LotState,
    RatedCall,
    alerts_of,
    brakes_of,
    explain,
    format_micros,
    lots_with_money,
    month_start,
    parse_period,
    shown_lots,
)
from rater.engine.books import payer_of
from rater.engine.brake_report import brake_knowledge, brake_windows
from rater.files.export_tables import pool_uses
from rater.serve.problems import Kind, ProblemError
from rater.serve.reading import answers, asked
from rater.serve.reading.brake_answers import Brakes
from rater.serve.reading.cursors import cursor_of, name_of, offset_of, place_of
from rater.serve.reading.desks import Books
from rater.serve.reading.lines import (
    brake_line,
    brake_window_line,
    call_line,
    debit_line,
    fund_line,
    known_line,
    refused_line,
    spend_line,
)
from rater.serve.reading.statement_answers import StatementAnswer, statement_answer

#: Ratings of one call that are explained.
RATINGS_MAX = 100
#: Movements of money that one statement adds up; beyond that: `rater statement`.
STATEMENT_RECORDS_MAX = 200_000
_calls = msgspec.json.Decoder(RatedCall)


def no_such_tenant(tenant: str) -> ProblemError:
    """The problem of a tenant that there is not, or that the client may not read: the same words for both."""
    return ProblemError(Kind.NOT_FOUND, f"{tenant[:80]}: no such tenant, or the token may not read it")


def account_of(books: Books, tenant: str) -> Account:
    """The tenant's present state; ProblemError if there is none of this name."""
    account = books.reader.account(tenant)
    if account is None:
        raise no_such_tenant(tenant)
    return account


def tenants(books: Books, only: str | None, query: asked.PageAsked) -> answers.Tenants:
    """Tenants by name; `only` is the one that the client may read."""
    after = name_of("tenants", query.cursor) or ""
    known = [only] if only is not None else books.reader.tenants_after(after, query.limit + 1)
    names = [name for name in known[: query.limit] if name > after]
    accounts = [account for name in names if (account := books.reader.account(name))]
    lines = [
        answers.TenantLine(one.tenant, one.currency, format_micros(one.balance), one.service, one.clock)
        for one in accounts
    ]
    next = names[-1] if len(known) > query.limit else None
    return answers.Tenants(lines, cursor_of("tenants", next), max((one.as_of for one in lines), default=None))


def tenant(books: Books, account: Account) -> answers.TenantNow:
    """Balance, lots, debt, recharge, service state and since when."""
    terms = account.recharge
    in_flight = None if terms.in_flight is None else terms.in_flight.recharge
    return answers.TenantNow(
        tenant=account.tenant,
        as_of=account.clock,
        currency=account.currency,
        balance=format_micros(account.balance),
        debt=format_micros(account.debt),
        lots=[
            LotState(lot.lot, format_micros(lot.remaining), lot.purchased_at, lot.expires_at)
            for lot in shown_lots(account)
        ],
        lots_total=lots_with_money(account),
        credits="enabled" if account.credits else "not_set_up",
        service=account.service,
        service_since=_service_since(books, account),
        recharge=answers.Recharge(
            terms.state, format_micros(terms.trigger), format_micros(terms.amount), terms.failures, in_flight
        ),
        closed_since=account.closed_since,
        country=account.country,
    )


def pools(books: Books, account: Account, query: asked.PoolsAsked) -> answers.Pools:
    """Used and total minutes of the pools that were drawn on, by name."""
    after, ending = name_of("pools", query.cursor) or "", "" if query.period is None else f"/{query.period}"
    names = books.reader.names_after("pool", account.tenant, after, ending, query.limit + 1)
    lines = [
        answers.PoolLine(use.name, use.period, use.used, use.total, use.total - use.used)
        for use in pool_uses(books.reader, account, names[: query.limit])
    ]
    next = names[query.limit - 1] if len(names) > query.limit else None
    return answers.Pools(lines, cursor_of("pools", next), account.clock)


def calls(books: Books, account: Account, query: asked.CallsAsked) -> answers.Calls:
    """A page of calls."""
    page = books.lookup.calls(account.tenant, query.wanted(), place_of("calls", query.cursor), query.limit)
    lines = [call_line(call, stands) for call, stands in page.calls]
    return answers.Calls(lines, cursor_of("calls", page.next), account.clock)


def explanation(books: Books, account: Account, usage_id: str) -> answers.Explanation:
    """Why a call cost what it did, each of its ratings; ProblemError for a call that was never rated."""
    found = [_calls.decode(value) for value in books.reader.rated_calls(usage_id, account.tenant)[-RATINGS_MAX:]]
    if not found:
        raise ProblemError(
            Kind.NOT_FOUND, f"{usage_id[:80]}: no call of {account.tenant} with this usage id was rated"
        )
    ratings = [
        answers.RatingExplained(
            call is found[-1], list(explain(call, payer_of(books.reader, call))), call_line(call, call is found[-1])
        )
        for call in found
    ]
    return answers.Explanation(found[-1].usage_id, ratings, account.clock)


def debits(books: Books, account: Account, query: asked.DebitsAsked) -> answers.Debits:
    """A page of debits."""
    page = books.lookup.debits(account.tenant, query.period, offset_of("debits", query.cursor), query.limit)
    lines = [debit_line(debit) for debit in page.debits]
    return answers.Debits(lines, cursor_of("debits", page.next), account.clock)


def funds(books: Books, account: Account, query: asked.PageAsked) -> answers.Funds:
    """A page of money that is no call's."""
    page = books.lookup.funds(account.tenant, offset_of("funds", query.cursor), query.limit)
    lines = [fund_line(event) for event in page.events]
    return answers.Funds(lines, cursor_of("funds", page.next), account.clock)


def statement_of(books: Books, account: Account, query: asked.StatementAsked) -> StatementAnswer:
    """Opening, entries, closing and the sums of calls; ProblemError for more records than STATEMENT_RECORDS_MAX."""
    month = None if query.period is None else parse_period(query.period)
    since, until = (None, None) if month is None else (month_start(month), month_start(month + 1))
    records = books.lookup.count_moved(account.tenant, since, until)
    if records > STATEMENT_RECORDS_MAX:
        raise ProblemError(
            Kind.TOO_LARGE,
            f"{account.tenant}: {records} records, more than a request adds up (STATEMENT_RECORDS_MAX"
            f" {STATEMENT_RECORDS_MAX}); use rater statement",
        )
    return statement_answer(books.lookup.statement(account.tenant, since, until))


def balance(books: Books, account: Account, query: asked.BalanceAsked) -> answers.BalanceAt:
    """The balance at an instant, else now; ProblemError before the first record that is still there."""
    at = query.at
    if at is None:
        return answers.BalanceAt(account.clock, format_micros(account.balance), account.currency, account.clock)
    known = books.lookup.balance_known_since(account.tenant)
    if known is not None and at < known:
        raise ProblemError(Kind.NOT_FOUND, f"at: older records were deleted; expected {known.isoformat()} or later")
    micros = books.lookup.balance_at(account.tenant, at)
    return answers.BalanceAt(at, format_micros(micros), account.currency, account.clock)


def spend(books: Books, account: Account, query: asked.SpendAsked) -> answers.SpendAnswer:
    """Sums of calls."""
    found = books.lookup.spend(account.tenant, query.by, *query.times())
    return answers.SpendAnswer(query.by, account.currency, [spend_line(one) for one in found], account.clock)


def brakes(books: Books, account: Account, query: asked.PageAsked) -> Brakes:
    """Limits on spending, and a page of what they counted."""
    after = name_of("brakes", query.cursor) or ""
    subjects = books.reader.names_after("spent", account.tenant, after, "", query.limit + 1)
    next = subjects[query.limit - 1] if len(subjects) > query.limit else None
    return Brakes(
        brakes=[brake_line(brake) for brake in brakes_of(account)],
        windows=[brake_window_line(one) for one in brake_windows(books.reader, account, subjects[: query.limit])],
        known=[known_line(one) for one in brake_knowledge(books.reader, account, subjects[: query.limit])],
        alerts=[format_micros(amount) for amount in alerts_of(account)],
        currency=account.currency,
        next=cursor_of("brakes", next),
        as_of=account.clock,
    )


def refused(books: Books, account: Account, query: asked.PageAsked) -> answers.Refused:
    """A page of dead letters."""
    page = books.lookup.refused(account.tenant, offset_of("refused", query.cursor), query.limit)
    lines = [refused_line(letter) for letter in page.letters]
    return answers.Refused(lines, cursor_of("refused", page.next), account.clock)


def _service_since(books: Books, account: Account) -> datetime | None:
    """When the tenant's service state last changed."""
    state = books.lookup.service_state(account.tenant)
    return None if state is None else state.since
