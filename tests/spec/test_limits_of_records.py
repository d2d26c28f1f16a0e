"""No record grows without end: what commands add to one is refused beyond a limit, with its name."""

from datetime import timedelta

import msgspec
import pytest

from rater.core.entities import DebtPage, DebtPageEntry, Lot, LotPage, LotPageEntry, Part
from rater.core.inputs import DeckActivated, FundsAdded, FundsAdjusted, Source, UserConfigured
from rater.core.limits import CALL_LOTS_MAX, DATED_BYTES_MAX, OWN_EXPIRY_MAX, PAGES_MAX, USER_BYTES_MAX
from rater.core.lots import lots_with_money
from rater.core.outputs import RatedCall, RejectedCdr
from rater.engine.batch import Record, run_batch
from rater.wire.codec import encode_input
from tests.world import HARARE, T, World, ada, at

#: The largest message of a topic.
MESSAGE_BYTES_MAX = 1_000_000
WIDE = "\U00020000"
pytestmark = pytest.mark.in_memory


def letter_of(world: World) -> RejectedCdr:
    """The last step's dead letter."""
    return next(output for output in world.outputs if isinstance(output, RejectedCdr))


def largest_entity(world: World) -> int:
    return max(
        len(msgspec.msgpack.encode(entity)) for kept in world.memory.entities.values() for entity in kept.values()
    )


def test_a_user_has_at_most_so_many_dated_licences() -> None:
    """Some hundred changes; one more is refused and changes nothing."""
    world = World(funds=None).user("ada", "US")
    changes = 0
    while not world.refusals:
        changes += 1
        world.assign("ada", "MCOPSTN1", f"{2000 + changes // 300}-{1 + changes % 12:02}-{1 + changes % 25:02}")
        world.remove("ada", "MCOPSTN1", f"{2000 + changes // 300}-{1 + changes % 12:02}-{2 + changes % 25:02}")
        if changes % 12 == 0:
            world.assign("ada", f"OF-MY-OWN-{changes:0110}", f"{2000 + changes // 300}-{1 + changes % 12:02}-28")
    assert world.refusals == ["too_many"]
    assert f"{USER_BYTES_MAX} bytes (USER_BYTES_MAX)" in letter_of(world).message
    assert changes > 100
    assert largest_entity(world) <= USER_BYTES_MAX
    world.assign("bob", "MCOPSTN1", "2025-03-10")
    assert world.refusals == []


@pytest.mark.parametrize("kind", ["promotion", "adjustment"])
def test_a_tenant_has_at_most_so_much_money_with_an_expiry_of_its_own(kind: str) -> None:
    """A46: promotions and adjustments that expire are in the account's record; one more is refused, purchases are not."""
    world, given = World(funds=None), 0
    while not world.refusals:
        when = at("2025-03-02") + timedelta(seconds=given)
        if kind == "promotion":
            expires = at("2025-06-01")
            command: FundsAdded | FundsAdjusted = FundsAdded(
                tenant=T, id=f"p-{given}", at=when, amount="0.000001", source="promotion", expires=expires
            )
        else:
            command = FundsAdjusted(
                tenant=T,
                id=f"a-{given}",
                at=when,
                amount="0.000001",
                reason="goodwill",
                by="kim",
                expires=at("2025-06-01"),
            )
        world.apply(command)
        given += not world.refusals
    assert (given, world.refusals) == (OWN_EXPIRY_MAX, ["too_many"])
    assert "OWN_EXPIRY_MAX" in letter_of(world).message
    assert largest_entity(world) < MESSAGE_BYTES_MAX / 10
    world.apply(FundsAdded(tenant=T, id="bought", at=at("2025-03-10"), amount="10"))
    assert world.refusals == []


def test_what_an_earlier_release_let_in_pays_for_no_more_than_a_record_names() -> None:
    """More promotions than may be added now: a call that more than 1,000 of them would pay is refused, whole."""
    world = World(funds=None).user("ada", "US", "MCOPSTNPP")
    account = world.account
    lots = [
        Lot(f"p-{number}", 100, at("2025-03-01"), at("2025-06-01"), number, promotion=True)
        for number in range(1_100)
    ]
    account.promotions, account.balance = tuple(lots), 110_000
    world.memory.entities["account"][(T, "")] = account
    world.cdr(HARARE, 30)  # a minute costs 0.2: all of them, and a debt
    assert world.refusals == ["too_many"]
    assert world.account.balance == 110_000


@pytest.mark.parametrize("change", ["assign", "configure"])
def test_a_user_of_the_longest_licences_is_bounded(change: str) -> None:
    """128 letters of four bytes each; another country at each date counts, too."""
    world = World(funds=None)
    for number in range(2_000):
        when = at("2020-01-01") + timedelta(days=number)
        if change == "assign" or number < 50:
            world.assign("ada", f"{number:03}" + WIDE * 125, str(when.date()), country=("US", "CA")[number % 2])
        else:
            country = ("US", "CA")[number % 2]
            world.apply(UserConfigured(tenant=T, id=f"c-{number}", at=when, user="ada", country=country))
        if world.refusals:
            break
    assert world.refusals == ["too_many"]
    assert largest_entity(world) <= USER_BYTES_MAX


def test_a_tenant_has_at_most_so_many_dated_decks() -> None:
    """Some two thousand; the account's record stays small."""
    world = World(funds=None)
    account = world.account
    account.decks = tuple((at("2000-01-01") + timedelta(days=day), f"deck-of-{day:012}") for day in range(2_000))
    assert len(msgspec.msgpack.encode(account.decks)) < DATED_BYTES_MAX
    world.memory.entities["account"][(T, "")] = account
    while not world.refusals:
        world.happened += 1
        command = DeckActivated(tenant=T, id=f"d-{world.happened}", at=at("2025-03-10"), version="deck-1")
        world.apply(command)
    assert world.refusals == ["too_many"]
    assert f"decks that fit {DATED_BYTES_MAX} bytes (DATED_BYTES_MAX)" in letter_of(world).message
    assert largest_entity(world) < DATED_BYTES_MAX + 2_000


def test_a_tenant_has_at_most_so_many_dated_counts_of_licences() -> None:
    """Some five thousand changes of how many it has bought; other settings can be changed all the same."""
    world = World(funds=None)
    account = world.account
    account.conferencing_licenses = tuple((at("2000-01-01") + timedelta(days=day), 70_000) for day in range(5_000))
    world.memory.entities["account"][(T, "")] = account
    while not world.refusals:
        world.configure("2025-03-10", audio_conferencing_licenses=70_000)
    assert world.refusals == ["too_many"]
    assert "changes of audio_conferencing_licenses that fit" in letter_of(world).message
    world.configure("2025-03-11", credits="enabled")
    assert world.refusals == []


@pytest.mark.parametrize("what", ["lots", "debts"])
def test_a_tenant_has_at_most_half_a_million_purchases(what: str) -> None:
    """With something left, or that paid debts; their pages are named in the account, which stays below a message."""
    world = World(funds="5")
    account = world.account
    bought, wide = at("2025-02-01"), 1 << 50
    if what == "lots":
        account.lot_pages = tuple(LotPageEntry(1 << 20, bought, 1 << 20, 100, wide) for _ in range(PAGES_MAX))
        world.memory.entities["lots"][(T, str(1 << 20))] = LotPage(account.lots)
    else:
        pages = [DebtPageEntry(1 << 20, wide, wide, wide, at("2027-01-01")) for _ in range(PAGES_MAX)]
        account.debts = msgspec.structs.replace(account.debts, pages=tuple(pages))
        world.memory.entities["debts"][(T, str(1 << 20))] = DebtPage((Part(0, 1),))
    world.memory.entities["account"][(T, "")] = account
    assert len(msgspec.msgpack.encode(account)) < 250_000
    world.fund("5", "2025-03-10")
    assert world.refusals == ["too_many"]
    assert "expected fewer than 500000 purchases" in letter_of(world).message


def tiny(world: World, count: int) -> None:
    """As many purchases of a millionth."""
    for number in range(count):
        when = at("2025-03-02") + timedelta(seconds=number)
        command = FundsAdded(tenant=T, id=f"{number:05}" + WIDE * 123, at=when, amount="0.000001")
        record = Record("command", Source("commands", 0, number), encode_input(command))
        world.memory.merge(run_batch(world.memory, world.engine.rules, [record]).state)


def test_a_call_is_paid_by_at_most_a_thousand_purchases() -> None:
    """A debit names them all: what would not fit a message is refused, and no money was taken."""
    world = ada("MCOPSTNPP", funds=None)
    tiny(world, CALL_LOTS_MAX + 500)
    world.cdr(HARARE, 60, id="one")
    assert world.refusals == ["too_many"]
    assert "at most 1000 purchases pay (CALL_LOTS_MAX), got 1501" in letter_of(world).message
    assert (world.balance, lots_with_money(world.account)) == ("0.0015", CALL_LOTS_MAX + 500)
    assert world.call("911", 60).charge == "0"


def test_a_call_that_too_many_purchases_would_pay_moves_no_clock() -> None:
    """A37: the purchase of 1 March 2025 has not expired a year later, because that call was refused."""
    world = ada("MCOPSTNPP", funds="1")
    tiny(world, CALL_LOTS_MAX + 500)
    clock = world.account.clock
    world.cdr(HARARE, 60, "2026-03-01 10:00", id="one")
    assert world.refusals == ["too_many"]
    assert "got 1501" in letter_of(world).message  # without the purchase of 1 March, and with the debt
    assert (world.balance, world.account.clock) == ("1.0015", clock)
    world.tick("2026-03-01 10:00")
    assert world.balance == "0.0015"  # 1.0015 - 1


def test_a_call_that_a_thousand_purchases_pay_fits_a_message() -> None:
    """With the longest names; a correction gives each its money back."""
    world = ada("MCOPSTNPP", funds=None)
    tiny(world, CALL_LOTS_MAX - 1)
    world.cdr(HARARE, 60, id="one")
    assert [len(msgspec.json.encode(output)) < MESSAGE_BYTES_MAX for output in world.outputs] == [True] * len(
        world.outputs
    )
    assert next(o for o in world.outputs if isinstance(o, RatedCall)).charge == "0.2"
    world.cdr(HARARE, 0, id="one", version=2)
    assert (world.balance, lots_with_money(world.account)) == ("0.000999", CALL_LOTS_MAX - 1)


def test_a_correction_that_too_many_purchases_would_share_is_refused() -> None:
    """They paid the call's debt, each a millionth; the call stays as it was rated."""
    world = ada("MCOPSTNPP", funds=None)
    world.call(HARARE, 60, "2025-03-01 10:00", id="one")
    tiny(world, CALL_LOTS_MAX + 200)
    before = world.account
    world.cdr(HARARE, 0, "2025-03-01 10:00", id="one", version=2)
    assert world.refusals == ["too_many"]
    assert (world.account.balance, world.account.debt) == (before.balance, before.debt)
