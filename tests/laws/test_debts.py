"""The line of debts, held against a list that names the payer of every single micro-unit."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rater.core import debt, pages
from rater.core.debt import forget, owe, pay, take_back
from rater.core.entities import Account, Lot, Part
from rater.core.passing_time import open_account
from rater.core.state import Memory, State
from tests.world import T, at

NOBODY, GONE = None, "gone"
LOTS = {
    name: Lot(name, 0, at("2025-03-01"), at(expires))
    for name, expires in (("a", "2026-03-01"), ("b", "2026-03-02"), ("c", "2026-03-03"))
}
_amounts = st.integers(min_value=1, max_value=9)
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("owe"), _amounts),
        st.tuples(st.just("pay"), _amounts, st.sampled_from(sorted(LOTS))),
        st.tuples(st.just("take back"), st.integers(min_value=0, max_value=20)),
        st.tuples(st.just("forget"), st.sampled_from(sorted(LOTS))),
    ),
    max_size=30,
)


@pytest.fixture(scope="module", params=[(100, 100), (2, 1)], ids=["large pages", "small pages"], autouse=True)
def _sizes(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "PAGE_MAX", request.param[0])
        patch.setattr(debt, "PARTS_HOT_MIN", request.param[1])
        yield


def tenant() -> tuple[State, Account]:
    """One that owes nothing."""
    state = State(Memory())
    return state, open_account(state, T, "USD", at("2025-03-01"))


def line_of(state: State, account: Account) -> tuple[Part, ...]:
    """Every part, those in pages first."""
    paged = [part for page in account.debts.pages for part in state.page_of_debts(T, page.number)]
    return (*paged, *account.debts.parts)


def payers(state: State, account: Account) -> list[str | None]:
    """Of every micro-unit of the line who paid it."""
    line: list[str | None] = [GONE] * account.debts.incurred
    for part in line_of(state, account):
        line[part.start : part.end] = [part.lot] * (part.end - part.start)
    return line


@given(_steps)
def test_who_paid_for_what(steps: list[tuple[str, object] | tuple[str, object, object]]) -> None:
    """A12, A20: the oldest debt is paid first; a call takes back its own part, whoever paid it; no part is empty."""
    (state, account), line, calls = tenant(), list[str | None](), list[tuple[int, int]]()
    gone: set[str | None] = {GONE}
    for step in steps:
        match step:
            case ("owe", int(amount)):
                calls.append((len(line), amount))
                line += [NOBODY] * amount
                owe(state, account, amount)
            case ("pay", int(amount), str(lot)) if lot not in gone:
                unpaid = [place for place, payer in enumerate(line) if payer is NOBODY][:amount]
                for place in unpaid:
                    line[place] = lot
                pay(state, account, len(unpaid), LOTS[lot])
            case ("take back", int(which)) if calls:
                start, amount = calls.pop(which % len(calls))
                known = [payer for payer in line[start : start + amount] if payer not in gone]
                line[start : start + amount] = [GONE] * amount
                parts = take_back(state, account, start, amount)
                assert [
                    part.lot for part in parts if part.lot not in gone for _ in range(part.start, part.end)
                ] == known
            case ("forget", str(lot)):
                gone |= {name for name, known in LOTS.items() if known.expires_at <= LOTS[lot].expires_at}
                forget(account, LOTS[lot].expires_at)
        now = [GONE if payer in gone else payer for payer in payers(state, account)]
        assert now == [GONE if payer in gone else payer for payer in line]
        assert all(part.start < part.end for part in line_of(state, account))
        assert len(account.debts.parts) <= 2 * debt.PARTS_HOT_MIN


def test_many_calls_in_debt_are_one_part() -> None:
    """A tenant that stays in debt for a thousand calls is no larger than one that owes for one."""
    state, account = tenant()
    for _ in range(1_000):
        owe(state, account, 7)
    assert line_of(state, account) == (Part(0, 7_000),)


def test_a_short_line_has_no_pages() -> None:
    """Up to twice as many parts as stay in the account; with one more its front goes into pages."""
    state, account = tenant()
    for _ in range(2 * debt.PARTS_HOT_MIN):
        owe(state, account, 7)
        pay(state, account, 3, LOTS["a"])
        pay(state, account, 4, LOTS["b"])
        if len(account.debts.parts) > 2 * debt.PARTS_HOT_MIN - 2:
            break
    assert account.debts.pages == ()
    for _ in range(2):
        owe(state, account, 7)
        pay(state, account, 3, LOTS["a"])
        pay(state, account, 4, LOTS["b"])
    assert account.debts.pages != ()
