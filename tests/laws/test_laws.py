"""The laws of the ledger: hypothesis looks for the history that breaks one."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from rater.core.amounts import credited_by
from rater.core.inputs import (
    AnyCommand,
    BrakeConfigured,
    BrakeReleased,
    CallRecord,
    FundsAdded,
    FundsAdjusted,
    FundsRefunded,
    LicenseAssigned,
    LicenseRemoved,
    PaymentFailed,
    PaymentReversed,
    PaymentSucceeded,
    RateDeck,
    Source,
    TenantClosed,
    TenantReopened,
    Tick,
)
from rater.core.lots import lots_with_money, money_in
from rater.core.money import format_micros, parse_micros
from rater.core.outputs import AccountEvent, Debit, Output, RatedCall
from rater.core.reasons import CallType, NumberType, Outcome, Pocket
from rater.core.rerating import rerating_of, same_rating
from rater.core.settings import RatingSettings
from rater.core.state import Memory, State
from rater.core.step import Rules
from rater.core.tariff import Tariffs
from rater.engine.batch import Record, run_batch
from rater.files.deck_csv import read_deck
from rater.wire.codec import encode, encode_input
from tests.world import DECK, HARARE, LONDON, PARIS, US, World, at

START = at("2025-03-01")
USERS = ("ada", "bob", "olga")
SKUS = ("MCOPSTN1", "MCOPSTN5", "MCOPSTN2", "MCOPSTN8", "MCOPSTNPP", "MCOMEETADV")
NUMBERS = (US, LONDON, PARIS, HARARE, "+448701234567", "+68212345", "911")

instants = st.integers(0, 80 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes))
amounts = st.integers(1, 5_000_000).map(lambda micros: f"{micros // 1000}.{micros % 1000:03d}")


@st.composite
def calls(draw: st.DrawFn) -> CallRecord:
    """A call of contoso; few ids, so that duplicates, conflicts and corrections happen."""
    type = draw(st.sampled_from([CallType.USER_OUT, CallType.USER_OUT, CallType.CONF_OUT, CallType.UCAP_IN]))
    return CallRecord(
        tenant="contoso",
        usage_id=f"call-{draw(st.integers(0, 30))}",
        version=draw(st.integers(1, 3)),
        type=type,
        answered_at=draw(instants),
        duration_s=draw(st.sampled_from([0, 1, 60, 61, 600, 3000, 7201])),
        user=None if type is CallType.UCAP_IN else draw(st.sampled_from(USERS)),
        calling=US,
        called=draw(st.sampled_from(NUMBERS)),
        number_type=NumberType.TOLL_FREE if type is CallType.UCAP_IN else NumberType.TOLL,
        received_at=draw(st.none() | instants),
        emergency=draw(st.sampled_from([None, None, None, True, False])),
    )


@st.composite
def commands(draw: st.DrawFn) -> AnyCommand:
    """Something that is not a call."""
    when, id = draw(instants), f"command-{draw(st.integers(0, 40))}"
    match draw(st.sampled_from(["by hand", "payment", "fund", "assign", "remove", "tick", "brake"])):
        case "by hand":
            return draw(money_by_hand(id, when))
        case "brake":
            return draw(brakes(id, when))
        case "payment":
            if draw(st.integers(0, 2)):
                return PaymentSucceeded(tenant="contoso", id=id, at=when)
            return PaymentFailed(tenant="contoso", id=id, at=when)
        case "fund":
            return FundsAdded(tenant="contoso", id=id, at=when, amount=draw(amounts))
        case "assign":
            user, sku = draw(st.sampled_from(USERS)), draw(st.sampled_from(SKUS))
            until = draw(st.none() | instants)
            country = draw(st.sampled_from(["US", "GB", None]))
            return LicenseAssigned(
                tenant="contoso", id=id, at=when, user=user, sku=sku, country=country, effective_to=until
            )
        case "remove":
            user, sku = draw(st.sampled_from(USERS)), draw(st.sampled_from(SKUS))
            return LicenseRemoved(tenant="contoso", id=id, at=when, user=user, sku=sku)
        case _:
            return Tick(tenant="contoso", id=id, at=when)


_SUBJECTS: list[tuple[Literal["tenant", "user", "country", "class"], str | None]] = [
    ("tenant", None),
    ("user", "ada"),
    ("country", "ZW"),
    ("class", "landline"),
]


@st.composite
def brakes(draw: st.DrawFn, id: str, when: datetime) -> AnyCommand:
    """A limit on spending is set, changed or taken away, or a stop is released (A50)."""
    name = draw(st.sampled_from(["one", "two"]))
    if draw(st.integers(0, 4)) == 0:
        subject = draw(st.sampled_from([None, *USERS, "ZW", "landline"]))
        country = draw(st.sampled_from([None, None, "ZW", "GB"]))
        return BrakeReleased(tenant="contoso", id=id, at=when, brake=name, subject=subject, country=country)
    scope, only = draw(st.sampled_from(_SUBJECTS))
    new = scope in ("tenant", "user") and draw(st.booleans())
    return BrakeConfigured(
        tenant="contoso",
        id=id,
        at=when,
        brake=name,
        scope=scope,
        measure="new_countries" if new else "spend",
        window=draw(st.sampled_from(["hour", "day", "month"])),
        limit=draw(st.sampled_from(["0", "1", "3", "10"])),
        mode=draw(st.sampled_from(["shadow", "notify", "stop", "stop", "off"])),
        only=draw(st.sampled_from([None, only])),
    )


@st.composite
def money_by_hand(draw: st.DrawFn, id: str, when: datetime) -> AnyCommand:
    """Promotions, adjustments up and down, refunds and charge-backs of what may be a purchase (A45, A46); closing."""
    lot, amount = f"command-{draw(st.integers(0, 40))}", draw(amounts)
    until = when + timedelta(days=draw(st.integers(1, 60)))
    kinds = ["promote", "adjust", "take off", "refund", "refund", "reverse", "reverse", "close", "reopen", "reopen"]
    match draw(st.sampled_from(kinds)):
        case "promote":
            return FundsAdded(tenant="contoso", id=id, at=when, amount=amount, source="promotion", expires=until)
        case "adjust":
            expires = draw(st.sampled_from([None, until]))
            return FundsAdjusted(
                tenant="contoso", id=id, at=when, amount=amount, reason="x", by="kim", expires=expires
            )
        case "take off":
            return FundsAdjusted(tenant="contoso", id=id, at=when, amount=f"-{amount}", reason="x", by="kim")
        case "refund":
            return FundsRefunded(tenant="contoso", id=id, at=when, lot=lot, amount=amount)
        case "close":
            return TenantClosed(
                tenant="contoso",
                id=id,
                at=when,
                remainder=draw(st.sampled_from(["pay_out", "forfeit"])),
                reason="x",
                by="kim",
            )
        case "reopen":
            return TenantReopened(tenant="contoso", id=id, at=when, reason="x", by="kim")
        case _:
            return PaymentReversed(tenant="contoso", id=id, at=when, lot=lot)


class Rerated(msgspec.Struct, frozen=True):
    """The `number`th call of those that were rated so far is rated again, as it stands or as it stood at first."""

    number: int
    deck: str
    at: datetime
    stale: bool

    def command(self, rated: Sequence[RatedCall]) -> AnyCommand | None:
        """The command, if anything was rated."""
        if not rated:
            return None
        seen = [call for call in rated if call.usage_id == rated[self.number % len(rated)].usage_id]
        return rerating_of(seen[0 if self.stale else -1], self.deck, self.at)


reratings = st.builds(
    Rerated,
    number=st.integers(0, 40),
    deck=st.sampled_from(["deck-1", "dear", "of-other-kinds"]),
    at=instants,
    stale=st.sampled_from([False, False, False, True]),
)

#: What was put in; a new rating is about the outputs before it.
Input = CallRecord | AnyCommand | Rerated
histories = st.lists(st.one_of(calls(), calls(), commands(), reratings), min_size=1, max_size=40)


def other_decks() -> list[RateDeck]:
    """Three times the prices; and one in which the US is premium, Zimbabwe has no row and Paris costs nothing."""
    deck = read_deck(DECK, version="deck-1")
    dear = [
        msgspec.structs.replace(row, price_per_minute=format_micros(3 * parse_micros(row.price_per_minute)))
        for row in deck.rows
    ]
    changes: dict[str, dict[str, str]] = {"1": {"type": "premium"}, "33": {"price_per_minute": "0"}}
    others = [
        msgspec.structs.replace(row, **changes.get(row.prefix, {})) for row in deck.rows if row.prefix != "263"
    ]
    return [
        RateDeck(version=version, currency=deck.currency, rows=tuple(rows))
        for version, rows in (("dear", dear), ("of-other-kinds", others))
    ]


class History:
    """A world that applies inputs, keeps every output, and checks the books after each."""

    def __init__(self, *skus: str) -> None:
        self.world = World(funds=None, conferencing_licenses=1, recharge=("50", "100"))
        for user in USERS:
            self.world.user(user, "US", *(skus or ("MCOPSTN5", "MCOPSTNPP")))
        for deck in other_decks():
            self.world.engine.publish(deck)
        self.outputs: list[Output] = []
        #: What was applied, with new ratings as the commands that they were.
        self.applied: list[CallRecord | AnyCommand] = []

    def apply(self, value: Input) -> Outcome | None:
        """Apply an input; None for a new rating while nothing was rated."""
        given = value.command(self.rated) if isinstance(value, Rerated) else value
        if given is None:
            return None
        self.applied.append(given)
        outcome, outputs = self.world.engine.submit(_kind(given), encode_input(given))
        self.outputs.extend(outputs)
        return outcome

    @property
    def rated(self) -> list[RatedCall]:
        return [output for output in self.outputs if isinstance(output, RatedCall)]

    def of(self, type: type) -> list[Output]:
        return [output for output in self.outputs if isinstance(output, type)]


@given(histories)
def test_money_is_conserved(history: list[Input]) -> None:
    """Credits - debits - expiries = balance = sum of lots - debt, after every input."""
    past = History()
    for value in history:
        past.apply(value)
        account = past.world.account
        events = [event for event in past.of(AccountEvent) if isinstance(event, AccountEvent)]
        credited = sum(map(credited_by, events))
        debited = sum(parse_micros(debit.amount) for debit in past.of(Debit) if isinstance(debit, Debit))
        assert account.balance == credited - debited
        assert account.balance == money_in(account) - account.debt
        assert account.debt == 0 or not lots_with_money(account)
        assert all(lot.remaining >= 0 for lot in (*account.lots, *account.promotions, *account.own_expiry))
        assert account.debt == sum(part.end - part.start for part in account.debts.parts if part.lot is None)


@given(histories)
def test_minutes_are_conserved(history: list[Input]) -> None:
    """A pool's used minutes are those of the live calls, and never above its total."""
    past = History()
    for value in history:
        past.apply(value)
    live: dict[str, RatedCall] = {}
    for call in past.of(RatedCall):
        assert isinstance(call, RatedCall)
        live[call.usage_id] = call
    used: Counter[str] = Counter()
    for call in live.values():
        assert sum(segment.minutes for segment in call.segments) == call.minutes
        for segment in call.segments:
            if segment.pool is not None:
                used[segment.pool] += segment.minutes
                assert (segment.pool_used_after or 0) <= (segment.pool_total or 0)
    for name, minutes in used.items():
        assert past.world.pool(name)[0] == minutes


@given(histories)
def test_sequences_have_no_gaps(history: list[Input]) -> None:
    """Every topic's sequence is 1, 2, 3 ... for the tenant, and no id comes twice."""
    past = History()
    before = {type(o): 0 for o in past.outputs}
    started = past.world.account.sequences
    expected = {
        "RatedCall": started.rated_calls,
        "Debit": started.debits,
        "AccountEvent": started.account_events,
        "Balance": started.balances,
        "ServiceState": started.service_states,
        "RechargeRequest": started.recharges,
        "RejectedCdr": started.rejected_cdrs,
    }
    assert before == {}
    for value in history:
        past.apply(value)
    ids: Counter[tuple[str, str]] = Counter()
    for output in past.outputs:
        name = type(output).__name__
        expected[name] += 1
        assert output.sequence == expected[name]
        ids[(name, output.id)] += 1
    assert [key for key, count in ids.items() if count > 1] == []


@given(histories)
def test_twice_is_once(history: list[Input]) -> None:
    """What was applied is a duplicate when it comes again, and causes nothing; what was refused stays refused."""
    past = History()
    for value in history:
        outcome = past.apply(value)
        if outcome is None:
            continue
        given = past.applied[-1]
        before = msgspec.msgpack.encode(past.world.memory.entities)
        again, outputs = past.world.engine.submit(_kind(given), encode_input(given))
        applied = outcome in (Outcome.RATED, Outcome.CORRECTED) and not isinstance(given, Tick)
        assert (again, outputs) == (Outcome.DUPLICATE if applied else outcome, [])
        assert msgspec.msgpack.encode(past.world.memory.entities) == before


def _kind(value: CallRecord | AnyCommand) -> str:
    return "cdr" if isinstance(value, CallRecord) else "command"


@given(histories)
def test_replay_equals_live(history: list[Input]) -> None:
    """The same inputs give the same bytes, one by one or in batches (balances may be coalesced)."""
    past = History()
    for value in history:
        past.apply(value)
    records = [
        Record("cdr" if isinstance(value, CallRecord) else "command", Source("in", 0, n), encode_input(value))
        for n, value in enumerate(past.applied)
    ]
    assert _bytes(records, 1) == _bytes(records, 7)


def _bytes(records: list[Record], size: int) -> list[bytes]:
    memory, rules = Memory(), Rules(RatingSettings(), Tariffs())
    for deck in (read_deck(DECK, version="deck-1"), *other_decks()):
        rules.tariffs.publish(deck)
    setup = [
        b'{"command":"tenant_configured","tenant":"contoso","id":"s","at":"2025-01-01T00:00:00Z","currency":"USD",'
        b'"credits":"enabled"}',
        b'{"command":"deck_activated","tenant":"contoso","id":"d","at":"2025-01-01T00:00:00Z","version":"deck-1"}',
    ]
    everything = [Record("command", Source("setup", 0, n), raw) for n, raw in enumerate(setup)] + records
    written: list[bytes] = []
    for start in range(0, len(everything), size):
        batch = run_batch(memory, rules, everything[start : start + size])
        written.extend(encode(output) for output in batch.outputs if type(output).__name__ != "Balance")
        memory.merge(batch.state)
    return written


@given(histories, histories)
def test_other_tenants_do_not_matter(mine: list[Input], theirs: list[Input]) -> None:
    """What another tenant does changes nothing of mine."""
    alone, beside = History(), History()
    for value in mine:
        alone.apply(value)
    foreign = [msgspec.structs.replace(v, tenant="fabrikam") for v in theirs if not isinstance(v, Rerated)]
    setup = (
        b'{"command":"tenant_configured","tenant":"fabrikam","id":"s","at":"2025-01-01T00:00:00Z","currency":"USD"}'
    )
    beside.world.engine.submit("command", setup)
    for n, value in enumerate(mine):
        beside.apply(value)
        if n < len(foreign):
            kind = "cdr" if isinstance(foreign[n], CallRecord) else "command"
            beside.world.engine.submit(kind, encode_input(foreign[n]))
    assert _without_source(alone.outputs) == _without_source(beside.outputs)


def _without_source(outputs: list[Output]) -> list[Output]:
    return [msgspec.structs.replace(output, source=Source("", 0, 0)) for output in outputs]


@given(histories, st.sampled_from(["deck-1", "dear", "of-other-kinds"]))
def test_rated_again_twice_is_once(history: list[Input], deck: str) -> None:
    """A12: who rates all calls again with a deck, and then once more, finds nothing that changes.

    Without minutes: those that one call gives back are there for the next.
    """
    past = without_minutes(history)
    rate_all_again(past, deck)
    before = rate_all_again(past, deck)
    assert [id for id, call in standing(past).items() if not same_rating(before[id], call)] == []


@given(histories, st.sampled_from(["dear", "of-other-kinds"]))
def test_there_and_back(history: list[Input], deck: str) -> None:
    """A12: rated again with deck A, B and A, calls cost what they cost after A; without minutes, as above."""
    past = without_minutes(history)
    rate_all_again(past, "deck-1")
    first = {id: call.charge for id, call in standing(past).items()}
    rate_all_again(past, deck)
    rate_all_again(past, "deck-1")
    assert {id: call.charge for id, call in standing(past).items()} == first


def without_minutes(history: list[Input]) -> History:
    """A world in which nobody has a plan, after a history."""
    past = History("MCOPSTNPP")
    for value in history:
        if not isinstance(value, LicenseAssigned | LicenseRemoved):
            past.apply(value)
    return past


def standing(past: History) -> dict[str, RatedCall]:
    """Of each call the rating that stands."""
    return {call.usage_id: call for call in past.rated}


def rate_all_again(past: History, deck: str) -> dict[str, RatedCall]:
    """Every call is rated again, in the order of the first ratings, at the tenant's own time; how they stood."""
    before = standing(past)
    for call in before.values():
        past.world.apply(rerating_of(call, deck, past.world.account.clock))
        assert past.world.outcome == Outcome.CORRECTED
        past.outputs += past.world.outputs
    return before


@given(st.integers(0, 20_000), st.integers(0, 20_000), st.sampled_from(NUMBERS))
def test_more_seconds_never_cost_less(one: int, other: int, called: str) -> None:
    """A longer call costs at least what a shorter one does."""
    shorter, longer = sorted((one, other))
    costs = []
    for seconds in (shorter, longer):
        world = World(funds="1000").user("ada", "GB", "MCOPSTN5", "MCOPSTNPP")
        costs.append(parse_micros(world.call(called, seconds).charge))
    assert costs[0] <= costs[1]


@given(histories)
def test_a_refused_record_changes_nothing(history: list[Input]) -> None:
    """A record that is refused leaves money, minutes and users as they were."""
    past = History()
    for value in history:
        past.apply(value)
    account = past.world.account
    before = (account.balance, account.debt, account.revision, account.sequences.rated_calls)
    past.world.raw(b'{"tenant":"contoso","usage_id":"bad","type":"user_out","answered_at":"2025-03-10T10:00:00Z"}')
    past.world.cdr(US, -5)
    account = past.world.account
    assert before == (account.balance, account.debt, account.revision, account.sequences.rated_calls)


def test_the_engine_reads_its_own_state() -> None:
    """Every entity survives being written and read, which is how a batch gets its own copy."""
    world = World(funds="5").user("ada", "US", "MCOPSTN8", "MCOPSTNPP")
    world.call(US, 121 * 60)
    memory = world.memory
    for kind, entities in memory.entities.items():
        for entity in entities.values():
            assert msgspec.msgpack.decode(msgspec.msgpack.encode(entity), type=type(entity)) == entity, kind
    assert isinstance(State(memory).account("contoso"), type(world.account))
    assert Pocket.POOL in {segment.pocket for segment in world.call(US, 60, "2025-04-01").segments}


def test_instants_are_aware() -> None:
    """No instant of the ledger is without a zone."""
    assert isinstance(World().account.clock, datetime)
    assert World().account.clock.tzinfo is not None
