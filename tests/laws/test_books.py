"""The books, kept by hand beside the rater: every kind of input in any order, and a full audit after each step."""

from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rater.core.amounts import credited_by
from rater.core.inputs import RechargeSettings
from rater.core.lots import lots_with_money, money_in
from rater.core.money import parse_micros
from rater.core.outputs import AccountEvent, Debit, Output, RatedCall, RechargeRequest
from tests.world import HARARE, LONDON, PARIS, US, World, at

USERS = st.sampled_from(["ada", "bob", "olga"])
SKUS = st.sampled_from(["MCOPSTN1", "MCOPSTN2", "MCOPSTN5", "MCOPSTN8", "MCOPSTNPP", "MCOMEETADV"])
NUMBERS = st.sampled_from([US, LONDON, PARIS, HARARE, "+448701234567"])
SECONDS = st.sampled_from([0, 1, 60, 301, 3600, 7320])
DAYS = st.integers(1, 60).map(lambda day: f"2025-{3 + (day - 1) // 30:02d}-{1 + (day - 1) % 30:02d} 10:00")
UNTIL = ["2025-05-15", "2025-07-01", "2026-04-01"]
AMOUNTS = st.sampled_from(["0.01", "1", "50", "99.999999"])


class Books(RuleBasedStateMachine):
    """Mixes calls, corrections, duplicates, licences, funds, recharges and time."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(funds="20", recharge=("10", "25"), conferencing_licenses=1)
        for user in ("ada", "bob", "olga"):
            self.world.user(user, "US", "MCOPSTN5", "MCOPSTNPP")
        self.credited = parse_micros("20")
        self.debited = 0
        self.live: dict[str, RatedCall] = {}
        self.seen: Counter[tuple[str, str]] = Counter()
        self.last: dict[str, int] = {}
        self.ids = 0
        self.reversed: set[str] = set()

    def audit(self) -> None:
        """Book what the last step caused."""
        for output in self.world.outputs:
            name = type(output).__name__
            assert output.sequence == self.last.get(name, output.sequence - 1) + 1, f"a gap in {name}"
            self.last[name] = output.sequence
            self.seen[(name, output.id)] += 1
            assert self.seen[(name, output.id)] == 1, f"{name} {output.id} came twice"
            self.book(output)

    def book(self, output: Output) -> None:
        match output:
            case Debit(amount=amount):
                self.debited += parse_micros(amount)
            case AccountEvent():
                self.credited += credited_by(output)
            case RatedCall(usage_id=id):
                self.live[id] = output

    @rule(user=USERS, called=NUMBERS, seconds=SECONDS, when=DAYS, kind=st.sampled_from(["user_out", "conf_out"]))
    def call(self, user: str, called: str, seconds: int, when: str, kind: str) -> None:
        self.ids += 1
        self.world.cdr(called, seconds, when, user=user, type=kind, id=f"c{self.ids}")
        self.audit()

    @rule(seconds=SECONDS, when=DAYS)
    def toll_free(self, seconds: int, when: str) -> None:
        self.ids += 1
        self.world.cdr(
            "+18005550100", seconds, when, user=None, type="ucap_in", calling=US, toll_free=True, id=f"c{self.ids}"
        )
        self.audit()

    @precondition(lambda self: self.ids)
    @rule(pick=st.integers(0, 1000), version=st.integers(1, 3), called=NUMBERS, seconds=SECONDS, when=DAYS)
    def again(self, pick: int, version: int, called: str, seconds: int, when: str) -> None:
        """A known id once more: a duplicate, a conflict or a correction."""
        self.world.cdr(called, seconds, when, id=f"c{1 + pick % self.ids}", version=version)
        self.audit()

    @rule(amount=AMOUNTS, when=DAYS)
    def fund(self, amount: str, when: str) -> None:
        self.world.fund(amount, when)
        self.audit()

    @rule(amount=AMOUNTS, when=DAYS, sign=st.sampled_from(["", "-"]), until=st.none() | st.sampled_from(UNTIL))
    def adjust(self, amount: str, when: str, sign: str, until: str | None) -> None:
        """A45: a person gives money or takes it off."""
        self.world.adjust(sign + amount, when, expires=at(until) if until else None)
        self.audit()

    @rule(amount=AMOUNTS, when=DAYS, until=st.sampled_from(UNTIL))
    def promote(self, amount: str, when: str, until: str) -> None:
        """A46: promotional credit."""
        self.world.promote(amount, when, until)
        self.audit()

    @rule(pick=st.integers(0, 1000), amount=AMOUNTS, when=DAYS)
    def refund(self, pick: int, amount: str, when: str) -> None:
        """A45: of some lot, whatever it is, at most what is left of it."""
        lots = dict(self.world.lots) or {"funds-1": "0"}
        lot = sorted(lots)[pick % len(lots)]
        self.world.refund(lot, amount, when)
        if not self.world.refusals:
            assert parse_micros(amount) <= parse_micros(lots[lot])
            self.no_request()
        self.audit()

    @rule(pick=st.integers(0, 1000), when=DAYS)
    def reverse(self, pick: int, when: str) -> None:
        """A45: some lot, at most once."""
        lots = sorted({*dict(self.world.lots), *self.reversed, "funds-1"})
        lot = lots[pick % len(lots)]
        self.world.reverse_payment(lot, when)
        if not self.world.refusals:
            assert lot not in self.reversed
            self.reversed.add(lot)
            self.no_request()
        self.audit()

    def no_request(self) -> None:
        """A45: auto-recharge is stopped, whatever was in flight."""
        assert self.world.account.recharge.stopped

    @rule(when=DAYS, remainder=st.sampled_from(["pay_out", "forfeit"]))
    def close(self, when: str, remainder: str) -> None:
        """Nothing is left, and nothing is asked for; what is owed stays."""
        owed = min(0, self.world.account.balance)
        self.world.close(when, remainder)
        if not self.world.refusals:
            assert self.world.account.balance == owed or self.expired()
            self.no_request()
        self.audit()

    def expired(self) -> bool:
        """Whether time that passed in the step took money, too."""
        return any(kind == "expiry" for kind, _ in self.world.debits)

    @precondition(lambda self: self.world.account.closed_since is not None)
    @rule(when=DAYS)
    def reopen(self, when: str) -> None:
        self.world.reopen(when)
        assert self.world.account.closed_since is None
        self.audit()

    @rule(user=USERS, sku=SKUS, when=DAYS)
    def assign(self, user: str, sku: str, when: str) -> None:
        self.world.assign(user, sku, when)
        self.audit()

    @rule(user=USERS, sku=SKUS, when=DAYS)
    def remove(self, user: str, sku: str, when: str) -> None:
        self.world.remove(user, sku, when)
        self.audit()

    @rule(when=DAYS, works=st.booleans())
    def answer(self, when: str, works: bool) -> None:
        """The gateway answers, also when nobody asked."""
        (self.world.paid if works else self.world.declined)(when)
        self.audit()

    @rule(when=DAYS, enabled=st.booleans(), trigger=st.sampled_from(["5", "10", "500"]))
    def configure(self, when: str, enabled: bool, trigger: str) -> None:
        self.world.configure(when, recharge=RechargeSettings(enabled=enabled, trigger=trigger))
        self.audit()

    @rule(when=st.sampled_from(["2025-04-01", "2025-05-01", "2026-03-01", "2026-05-15"]))
    def tick(self, when: str) -> None:
        self.world.tick(when)
        self.audit()

    @invariant()
    def money_is_conserved(self) -> None:
        account = self.world.account
        assert account.balance == self.credited - self.debited
        assert account.balance == money_in(account) - account.debt
        assert account.debt == 0 or not lots_with_money(account)
        assert account.debt == sum(part.end - part.start for part in account.debts.parts if part.lot is None)

    @invariant()
    def a_closed_tenant_asks_for_nothing_and_promises_nothing(self) -> None:
        account = self.world.account
        if account.closed_since is not None:
            assert account.service == "closed"
            assert not account.promotions
            assert not any(isinstance(output, RechargeRequest) for output in self.world.outputs)

    @invariant()
    def minutes_are_conserved(self) -> None:
        used: Counter[str] = Counter()
        for call in self.live.values():
            for segment in call.segments:
                if segment.pool:
                    used[segment.pool] += segment.minutes
        for name, minutes in used.items():
            pool_used, total = self.world.pool(name)
            assert pool_used == minutes
            assert pool_used <= total


TestBooks = Books.TestCase
