"""Lots in pages, held against one list of all lots; and that nothing grows with the number of purchases."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rater.core import debt, lots, pages
from rater.core.credit import credit, debit, debit_lot, expire, forfeit, refund
from rater.core.entities import Account, Lot, Share
from rater.core.lot_history import known_lot, note_reversed
from rater.core.lots import lots_with_money, money_in
from rater.core.own_expiry import place_of
from rater.core.passing_time import open_account, set_alarm
from rater.core.reasons import LotKind
from rater.core.state import Memory, State
from tests.laws.simple_lots import SimpleLots
from tests.world import T, at

START = at("2025-03-01")
#: A purchase, some days before or after the start; equal days are equal times.
_purchases = st.tuples(st.just("credit"), st.integers(1, 9), st.integers(-400, 20))
_steps = st.lists(
    st.one_of(
        _purchases,
        _purchases,
        st.tuples(st.just("debit"), st.integers(1, 30), st.just(0)),
        st.tuples(st.just("debit"), st.integers(1, 12), st.just(0)),
        st.tuples(st.just("refund"), st.integers(0, 50), st.just(0)),
        st.tuples(st.just("adjust"), st.integers(1, 9), st.integers(-20, 20)),
        st.tuples(st.just("promote"), st.integers(1, 9), st.integers(-20, 20)),
        st.tuples(st.just("pay out"), st.integers(0, 50), st.integers(1, 9)),
        st.tuples(st.just("reverse"), st.integers(0, 50), st.integers(1, 9)),
        st.tuples(st.just("pass"), st.sampled_from([0, 1, 30, 200]), st.just(0)),
        st.tuples(st.just("commit"), st.just(0), st.just(0)),
    ),
    max_size=70,
)


@pytest.fixture(scope="module", autouse=True)
def _small_pages() -> Iterator[None]:
    """Three lots to a page, so that a short history fills some."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "PAGE_MAX", 3)
        patch.setattr(lots, "LOTS_HOT_MIN", 2)
        patch.setattr(lots, "LOTS_HOT_MAX", 4)
        patch.setattr(debt, "PARTS_HOT_MIN", 2)
        yield


class Both:
    """The rater's lots and the simple ones, which must agree after each step."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.state = State(self.memory)
        self.account: Account = open_account(self.state, T, "USD", START)
        self.simple = SimpleLots()
        self.charges: list[list[Share]] = []
        self.bought: list[str] = []
        self.steps = 0

    def step(self, kind: str, number: int, days: int) -> None:
        self.steps += 1
        match kind:
            case "credit":
                bought = START + timedelta(days=days)
                credit(self.state, self.account, f"lot-{self.steps}", number, bought)
                set_alarm(self.account)
                self.simple.credit(f"lot-{self.steps}", number, bought)
                self.bought.append(f"lot-{self.steps}")
            case "debit":
                shares = debit(self.state, self.account, number)
                assert shares == self.simple.debit(number)
                self.charges.append(shares)
            case "refund" if self.charges:
                shares = self.charges.pop(number % len(self.charges))
                name, clock = f"refund-{self.steps}", self.account.clock
                self.simple.clock = clock
                went, over = refund(self.state, self.account, shares, name, clock)
                assert (went, over) == self.simple.refund(shares, name, clock)
                for share in over:
                    forfeit(self.state, self.account, share)
                    self.simple.balance -= share.amount
            case "adjust" | "promote":
                self.own_expiry(kind, number, days)
            case "pay out" | "reverse" if self.bought:
                self.take_back(kind, self.bought[number % len(self.bought)], days)
            case "pass":
                self.clock(self.account.clock + timedelta(days=number))
            case "commit":
                self.commit()
        self.compare()

    def own_expiry(self, kind: str, amount: int, days: int) -> None:
        """Money that says when it expires: added now or somewhat earlier, for 1 to 41 days (A45, A46)."""
        name, now = f"lot-{self.steps}", self.account.clock
        added, expires = now - timedelta(days=abs(days)), now + timedelta(days=days + 21)
        lot_kind = LotKind.PROMOTION if kind == "promote" else LotKind.ADJUSTMENT
        credit(self.state, self.account, name, amount, added, lot_kind, expires)
        self.simple.credit(name, amount, added, expires, promotion=kind == "promote")

    def take_back(self, kind: str, name: str, amount: int) -> None:
        """Money of one lot is paid out or charged back; a reversed one takes nothing back any more (A45)."""
        amount = abs(amount) or 1
        history = known_lot(self.state, self.account, name)
        assert history is not None, name
        if kind == "reverse":
            note_reversed(self.state, self.account, name, history)
            self.simple.reversed.add(name)
        assert debit_lot(self.state, self.account, name, amount) == self.simple.debit_lot(name, amount)

    def clock(self, now: datetime) -> None:
        """Time passes; what expires is looked for when the account has it due."""
        if now <= self.account.clock:
            return
        self.account.clock = now
        forfeited = []
        if now >= self.account.wake_at:
            forfeited = expire(self.state, self.account, now)
            set_alarm(self.account)
        assert forfeited == self.simple.expire(now)

    def commit(self) -> None:
        """The batch ends: what was kept is read again, from its bytes."""
        self.memory.merge(self.state)
        for kind, entities in self.memory.entities.items():
            for key, entity in entities.items():
                packed = msgspec.msgpack.encode(entity)
                self.memory.entities[kind][key] = msgspec.msgpack.decode(packed, type=type(entity))
        self.state = State(self.memory)
        found = self.state.account(T)
        assert found is not None
        self.account = found

    def compare(self) -> None:
        account, simple = self.account, self.simple
        assert (account.balance, account.debt) == (simple.balance, simple.debt)
        assert account.balance == money_in(account) - account.debt
        kept = [*account.lots[:-1], *self._in_pages(), *account.lots[-1:], *account.promotions, *account.own_expiry]
        kept.sort(key=place_of)
        assert [(lot.lot, lot.remaining) for lot in kept if lot.remaining] == [
            (lot.lot, lot.remaining) for lot in simple.lots if lot.remaining
        ]
        assert lots_with_money(account) == sum(lot.remaining > 0 for lot in simple.lots)
        assert all(lot.remaining for lot in account.lots[:-1])
        assert len(account.lots) <= lots.LOTS_HOT_MAX + 1
        assert len(account.debts.parts) <= 2 * debt.PARTS_HOT_MIN
        assert not account.lot_pages or len(account.lots) > lots.LOTS_HOT_MIN

    def _in_pages(self) -> Iterator[Lot]:
        for page in self.account.lot_pages:
            found = self.state.page_of_lots(T, page.number)
            assert 0 < len(found) <= pages.PAGE_MAX
            assert (len(found), sum(lot.remaining for lot in found)) == (page.count, page.money)
            yield from found


@given(_steps)
def test_lots_in_pages_do_what_a_list_of_all_lots_does(steps: list[tuple[str, int, int]]) -> None:
    """Rules 63, 64, A12, A19, A20, A27, A45, A46: the same shares, refunds and expiries, whatever happens in what order."""
    both = Both()
    for step in steps:
        both.step(*step)


@pytest.mark.parametrize("seed", range(20))
def test_long_histories_too(seed: int) -> None:
    """Hundreds of purchases, debts and corrections, with many pages."""
    chance, both = random.Random(seed), Both()
    spent, bought = (12, 2) if seed % 2 else (30, 1)
    for _ in range(600):
        others = ["adjust", "promote", "pay out", "reverse"] if chance.random() < 0.2 else []
        kind = chance.choice([*["credit"] * bought, "debit", "debit", "refund", "pass", "commit", *others])
        number = {"debit": chance.randint(1, spent), "pass": chance.choice([0, 1])}.get(kind, chance.randint(1, 20))
        both.step(kind, number, chance.randint(-300, 600))


def test_a_lot_that_was_used_up_wakes_the_clock_again_when_it_gets_money() -> None:
    """A19: money that a correction gives back is forfeited on the day on which its lot expires."""
    both = Both()
    both.step("credit", 5, -355)
    both.step("credit", 5, 0)
    both.step("debit", 5, 0)
    both.step("credit", 5, 1)
    both.step("pass", 1, 0)
    assert both.account.wake_at == at("2025-04-01")
    both.step("refund", 0, 0)
    assert both.account.wake_at == at("2025-03-11")
    both.step("pass", 12, 0)
    assert both.account.balance == 10


def test_a_lot_bought_out_of_date_is_there_until_the_clock_moves() -> None:
    """A12, A19: until then a correction gives back to it, used up or not, as to any other."""
    both = Both()
    for _ in range(3):
        both.step("credit", 5, -400)
        both.step("credit", 5, 0)
    both.step("debit", 12, 0)
    both.step("refund", 0, 0)
    assert both.account.lots[0].remaining == 5
    both.step("pass", 1, 0)
    assert both.account.balance == 15


def test_purchases_that_come_the_oldest_last() -> None:
    """Each goes before all that there are, and pages before pages; then all is used, the oldest first."""
    both = Both()
    for days in range(20, -20, -1):
        both.step("credit", 2, days)
    for _ in range(27):
        both.step("debit", 3, 0)
    both.step("refund", 3, 0)


def test_as_many_lots_as_may_be_are_at_hand() -> None:
    """With the newest one more than LOTS_HOT_MAX; then all but LOTS_HOT_MIN of them go into pages."""
    both = Both()
    for number in range(lots.LOTS_HOT_MAX + 1):
        both.step("credit", 2, number)
    assert (len(both.account.lots), both.account.lot_pages) == (lots.LOTS_HOT_MAX + 1, ())
    both.step("credit", 2, 30)
    assert len(both.account.lots) == lots.LOTS_HOT_MIN + 1
    assert sum(page.count for page in both.account.lot_pages) == lots.LOTS_HOT_MAX + 2 - len(both.account.lots)
