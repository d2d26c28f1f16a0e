"""The lookup of a store: each question is answered as a plain loop over the topics answers it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rater.core import CallType, EventKind, RatedCall, month_start, name_key, parse_ledger, parse_period
from rater.embedded.dead_letters import letters_of
from rater.embedded.lookup import FLAGS, By, CallFilter, Lookup, catching_up, open_lookup
from rater.embedded.lookup.finding import Range, find_calls
from rater.embedded.lookup.names import Names
from rater.embedded.store import Reader, open_reader
from rater.files.statement import statement_of
from rater.wire.dead_letters import SETTLED
from tests.embedded.ledgers import Loops, write_ledger
from tests.engines import OnSqlite, played_on
from tests.laws.test_laws import History, Input, histories
from tests.world import at

TENANT = "tenant-0000"
KEYS: dict[By, Any] = {
    "day": lambda call: call.answered_at.date().isoformat(),
    "destination": lambda call: call.destination,
    "user": lambda call: call.user and name_key(call.user),
}
RECHARGES = {EventKind(f"recharge.{name}") for name in ("requested", "succeeded", "failed", "suppressed")}
MICROSECOND = timedelta(microseconds=1)
instants = st.integers(-(3 * 1440), 35 * 1440).map(lambda minutes: at("2025-03-01") + timedelta(minutes=minutes))


class Ledger(NamedTuple):
    """A store with its lookup, and what plain loops say of one tenant."""

    reader: Reader
    lookup: Lookup
    loops: Loops


@contextmanager
def opened(path: Path, tenant: str = TENANT) -> Iterator[Ledger]:
    reader = open_reader(path)
    lookup = open_lookup(reader)
    try:
        yield Ledger(reader, lookup, Loops(reader, tenant))
    finally:
        lookup.close()
        reader.close()


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    path = tmp_path_factory.mktemp("ledger") / "rater.db"
    write_ledger(path)
    patched = pytest.MonkeyPatch()
    patched.setattr(catching_up, "PART_RECORDS", 97)  # so that corrections are filled apart from what they replace
    with opened(path) as found:
        yield found
    patched.undo()


def all_calls(lookup: Lookup, wanted: CallFilter, limit: int, tenant: str = TENANT) -> list[tuple[RatedCall, bool]]:
    """Page by page."""
    page = lookup.calls(tenant, wanted, None, limit)
    found = list(page.calls)
    while page.next is not None:
        page = lookup.calls(tenant, wanted, page.next, limit)
        found += page.calls
    return found


@st.composite
def filters(draw: st.DrawFn, loops: Loops) -> CallFilter:
    """Filters whose values are mostly those of one call, so that something is found."""
    call = draw(st.sampled_from(loops.rated))
    day = datetime.combine(call.answered_at.date(), time(), UTC)
    times = draw(
        st.sampled_from([(None, None), (day, day + timedelta(days=1)), (day, None), (None, call.answered_at)])
    )
    charge = parse_ledger(call.charge)
    cents = -(-charge // 10_000) * 10_000
    return CallFilter(
        user=draw(st.sampled_from([None, None, call.user, (call.user or "").upper() or None, "nobody"])),
        since=times[0],
        until=times[1],
        charge=draw(st.sampled_from([None, None, charge, cents, 4_020_000])),
        destination=draw(st.sampled_from([None, None, call.destination, "Nowhere"])),
        type=draw(st.sampled_from([None, None, call.type, CallType.INTERNAL])),
        flag=draw(st.sampled_from([None, None, None, *FLAGS])),
        number=draw(st.sampled_from([None, None, (call.called or "+100")[1:5], (call.calling or "+100")[-4:]])),
    )


@settings(max_examples=150, deadline=None)
@given(data=st.data(), limit=st.integers(1, 400))
def test_calls_are_those_of_a_plain_loop(ledger: Ledger, data: st.DataObject, limit: int) -> None:
    """Whatever is asked, in whatever pages."""
    wanted = data.draw(filters(ledger.loops))
    assert all_calls(ledger.lookup, wanted, limit) == ledger.loops.calls(wanted)


@pytest.mark.parametrize(
    "wanted",
    [
        CallFilter(),
        CallFilter(user="user000000@tenant-0000.example"),
        CallFilter(flag="late"),
        CallFilter(type=CallType.USER_OUT),
        CallFilter(charge=0),
    ],
    ids=["times", "user", "flag", "type", "charge"],
)
def test_no_page_is_sorted(ledger: Ledger, wanted: CallFilter) -> None:
    """Whatever is asked for besides the times, one index has the calls in their order, from the page's place on."""
    asked: list[str] = []
    connection, wanted = ledger.lookup.connection, wanted._replace(since=at("2025-03-01"), until=at("2025-03-20"))
    connection.set_trace_callback(asked.append)
    page = ledger.lookup.calls(TENANT, wanted, None, 1)
    ledger.lookup.calls(TENANT, wanted, page.next, 10)
    connection.set_trace_callback(None)
    asked = [query for query in asked if "ORDER BY" in query]
    assert asked
    for query in asked:
        plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}"))
        assert "TEMP B-TREE" not in plan
        assert "at>?" in plan


def test_the_generated_ledger_has_what_the_filters_ask_for(ledger: Ledger) -> None:
    """Corrections, late, premium, unfunded and odd calls, users, charges: else the test above would say little."""
    assert not all(ledger.loops.stands)
    for wanted in [CallFilter(flag=flag) for flag in ("late", "premium", "unfunded", "no_rate")]:
        assert ledger.loops.calls(wanted), wanted
    assert [event.event.value for event in ledger.loops.funds()][-1:] == ["funds.added"]
    assert "recharge.succeeded" in {event.event.value for event in ledger.loops.funds()}
    assert {debit.kind.value for debit in ledger.loops.debited} >= {"call", "reversal"}


@pytest.mark.parametrize("scanned", [1, 7, 100])
def test_a_page_looks_at_so_many_rows_and_goes_on_from_there(ledger: Ledger, scanned: int) -> None:
    """A filter that few calls fit gives short pages, and in the end the same calls."""
    wanted = CallFilter(flag="late", type=CallType.USER_OUT)
    id = Names(ledger.lookup.connection).known(TENANT)
    assert id is not None
    found, after = [], None
    while True:
        page = find_calls(ledger.lookup.connection, id, "USD", wanted, Range(after, 5, scanned_max=scanned))
        found += page.places
        if (after := page.next) is None:
            break
    values = dict(ledger.reader.topic("rated-calls", TENANT))
    usage_ids = [call.usage_id for call, _ in ledger.loops.calls(wanted)]
    assert len(found) == len(usage_ids)
    assert all(
        usage_id.encode() in values[place.offset] for (place, _), usage_id in zip(found, usage_ids, strict=True)
    )


def test_only_standing_calls(ledger: Ledger) -> None:
    """Ratings that were replaced are left out."""
    page = ledger.lookup.standing_calls(TENANT, CallFilter(flag="late"), None, 1_000)
    assert page.calls == [one for one in ledger.loops.calls(CallFilter(flag="late")) if one[1]]


@pytest.mark.parametrize("period", [None, "2025-02", "2025-03", "2025-04", "1999-01"])
def test_debits_and_funds(ledger: Ledger, period: str | None) -> None:
    """In pages of seven, the newest first."""
    debits, after = [], None
    while True:
        page = ledger.lookup.debits(TENANT, period, after, 7)
        debits += page.debits
        if (after := page.next) is None:
            break
    assert debits == ledger.loops.debits(period)
    assert ledger.lookup.funds(TENANT, None, 1_000).events == ledger.loops.funds()


def test_attempts_to_recharge_and_crossings_of_zero(ledger: Ledger) -> None:
    """The newest first, as many as are asked for."""
    events = ledger.loops.events[::-1]
    attempts = [one for one in events if one.event in RECHARGES]
    crossings = [one for one in events if one.event in (EventKind.BALANCE_DEPLETED, EventKind.CREDITS_RESUMED)]
    assert len(attempts) > 1
    assert ledger.lookup.recharges(TENANT, None, 1_000).events == attempts
    assert ledger.lookup.recharges(TENANT, None, 1).events == attempts[:1]
    assert ledger.lookup.crossings(TENANT, None, 1_000).events == crossings


@settings(max_examples=100, deadline=None)
@given(since=instants, until=instants, by=st.sampled_from(sorted(KEYS)))
def test_spend_is_that_of_a_plain_loop(ledger: Ledger, since: datetime, until: datetime, by: By) -> None:
    """Whole days from their sums, the rest call by call; what a correction replaced counts nowhere."""
    found = ledger.lookup.spend(TENANT, by, since, until)
    assert set(found) == ledger.loops.spend(KEYS[by], since, until)
    assert len(found) == len(set(found))


@settings(max_examples=100, deadline=None)
@given(when=instants)
def test_the_balance_at_an_instant(ledger: Ledger, when: datetime) -> None:
    """Credits less debits up to and including it."""
    assert ledger.lookup.balance_at(TENANT, when) == ledger.loops.balance_at(when)


def test_the_balance_now_is_the_account_s(ledger: Ledger) -> None:
    """To the micro-unit; and a series begins and ends at its ends."""
    account = ledger.reader.account(TENANT)
    assert account is not None
    since, until = at("2025-02-01"), at("2025-05-01")
    series = ledger.lookup.balance_series(TENANT, since, until, 90)
    assert (series[0][0], series[-1]) == (since, (until, account.balance))
    assert [micros for _, micros in series] == [ledger.loops.balance_at(when) for when, _ in series]


def test_refused_records(ledger: Ledger) -> None:
    """Those of the tenant, the newest first; each letter once."""
    waiting = [one for one in letters_of(ledger.reader) if one.owner == TENANT and one.state not in SETTLED]
    found, after = [], None
    while True:
        page = ledger.lookup.refused(TENANT, after, 2)
        found += page.letters
        if (after := page.next) is None:
            break
    assert waiting
    assert sorted(one.letter.id for one in found) == sorted(one.letter.id for one in waiting)
    assert [one.letter.sequence for one in found] == sorted([one.letter.sequence for one in found], reverse=True)


def test_a_tenant_that_there_is_not(ledger: Ledger) -> None:
    """Nothing, and no error."""
    lookup = ledger.lookup
    assert lookup.calls("nobody", CallFilter(), None, 10).calls == []
    assert (lookup.debits("nobody", None, None, 10).debits, lookup.funds("nobody", None, 10).events) == ([], [])
    assert (lookup.balance_at("nobody", at("2025-04-01")), lookup.spend("nobody", "day", at("2025-03-01"), at("2025-04-01"))) == (0, [])  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories)
def test_every_history(history: list[Input]) -> None:
    """All kinds of money, corrections, new ratings, closings: calls, sums and balances are those of plain loops.

    At the beginning of each month the balance is what a statement begins and ends with: late calls included.
    """
    with played_on("sqlite"):
        past = History()
        for value in history:
            past.apply(value)
        engine = past.world.engine
        assert isinstance(engine, OnSqlite)
        with opened(engine.path, "contoso") as found:
            assert all_calls(found.lookup, CallFilter(), 7, "contoso") == found.loops.calls(CallFilter())
            assert found.lookup.funds("contoso", None, 1_000).events == found.loops.funds()
            since, until = at("2025-01-01"), datetime.combine(date(2026, 1, 1), time(), UTC)
            for by, key in KEYS.items():
                assert set(found.lookup.spend("contoso", by, since, until)) == found.loops.spend(key, since, until)
            assert found.lookup.balance_at("contoso", until) == past.world.account.balance
            for month in (month_start(parse_period("2025-02") + number) for number in range(8)):
                stated = statement_of(found.reader, "contoso", month, None)
                assert found.lookup.balance_at("contoso", month - MICROSECOND) == stated.opening
                assert found.lookup.statement("contoso", month, None) == stated
                debited = statement_of(found.reader, "contoso", None, month)
                assert found.lookup.statement("contoso", None, month) == debited
                assert found.lookup.balance_at("contoso", month - MICROSECOND) == debited.closing
                until = month_start(parse_period(f"{month:%Y-%m}") + 1)
                assert found.lookup.statement("contoso", month, until) == statement_of(
                    found.reader, "contoso", month, until
                )
            for event in found.loops.events:
                assert found.lookup.balance_at("contoso", event.at) == found.loops.balance_at(event.at)
