"""Tenants with very many purchases, or very much money: nothing grows with each, nothing overflows; Harare costs 0.2."""

import sys
from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest

from rater.core.entities import Account, Lot, Part
from rater.core.inputs import FundsAdded, Source
from rater.core.instants import expiry_of
from rater.core.lots import LOTS_SHOWN_MAX, lots_with_money, money_in, shown_lots, tidy_lots
from rater.core.money import BALANCE_MICROS_MAX, CHARGE_MICROS_MAX, LEDGER_MICROS_MAX, format_micros
from rater.core.outputs import Balance, LotState, RatedCall, RejectedCdr
from rater.core.state import State
from rater.engine.batch import Record, run_batch
from rater.kafka.changelog import state_key
from rater.wire.codec import encode_input
from tests.world import HARARE, T, World, ada, at

LARGEST = "1000000000"
#: Larger than any of these accounts is, and a hundredth of what fits a message.
RECORD_BYTES_MAX = 40_000


def purchases(world: World, numbers: range, amount: str, batch: int) -> None:
    """A purchase for each number, a minute apart, in batches."""
    records = [
        Record("command", Source("commands", 0, number), encode_input(command))
        for number in numbers
        for command in [
            FundsAdded(
                tenant=T, id=f"many-{number:06d}", at=at("2025-03-02") + timedelta(minutes=number), amount=amount
            )
        ]
    ]
    for first in range(0, len(records), batch):
        applied = run_batch(world.memory, world.engine.rules, records[first : first + batch])
        world.outputs = applied.outputs
        world.memory.merge(applied.state)


def work_of(task: Callable[[], object]) -> int:
    """How many functions of Python and C are called: the same on every machine."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        task()
    finally:
        sys.setprofile(before)
    return calls


def bytes_of(account: Account) -> int:
    """How large the record is that each commit writes."""
    return len(msgspec.msgpack.encode(account))


@pytest.mark.parametrize("batch", [2_000, 100])
@pytest.mark.in_memory
def test_purchases_cost_no_more_after_twenty_thousand(batch: int) -> None:
    """And the account's record stays small, though each of them still has its money."""
    world = World(funds=None)
    purchases(world, range(2_000), "10", batch)  # so that the pages are there
    early = work_of(lambda: purchases(world, range(2_000, 4_000), "10", batch))
    purchases(world, range(4_000, 18_000), "10", batch)
    late = work_of(lambda: purchases(world, range(18_000, 20_000), "10", batch))
    assert late < 1.5 * early
    account = world.account
    assert (account.balance, lots_with_money(account)) == (200_000_000_000, 20_000)
    assert money_in(account) == account.balance
    assert bytes_of(account) < RECORD_BYTES_MAX


@pytest.mark.in_memory
def test_purchases_that_are_used_up_leave_the_account() -> None:
    """A thousand debts, each paid by the next purchase: neither the lots nor the debts pile up."""
    world = ada("MCOPSTNPP", funds=None)
    for number in range(1_000):
        world.call(HARARE, 60, "2025-03-10 10:00", id=f"call-{number}")
        world.fund("0.2", "2025-03-10 10:01", id=f"paid-{number}")
    account = world.account
    assert (world.balance, [lot.lot for lot in account.lots]) == ("0", ["paid-999"])
    assert bytes_of(account) < RECORD_BYTES_MAX
    world.cdr(HARARE, 0, "2025-03-10 10:00", id="call-7", version=2)
    assert world.lots == [("paid-7", "0.2")]


def test_a_correction_finds_a_purchase_that_was_used_up() -> None:
    """A12: the money goes back to the purchase that paid, in its place by date; once that has expired, to the newest."""
    world = ada("MCOPSTNPP", funds="0.4")
    world.call(HARARE, 120, "2025-03-10 10:00", id="long")
    world.fund("5", "2025-03-10 11:00", id="second")
    world.fund("5", "2025-03-10 11:01", id="third")
    assert [lot.lot for lot in world.account.lots] == ["second", "third"]
    world.cdr(HARARE, 60, "2025-03-10 10:00", id="long", version=2)
    assert world.lots == [("funds-1", "0.2"), ("second", "5"), ("third", "5")]
    world.tick("2026-03-01")
    assert world.debits == [("expiry", "0.2")]
    world.cdr(HARARE, 0, "2025-03-10 10:00", id="long", version=3, received_at=at("2026-03-02"))
    assert world.lots == [("second", "5"), ("third", "5.2")]


@pytest.mark.in_memory
def test_a_balance_record_shows_a_hundred_purchases_and_their_number() -> None:
    """Those that are used next; where all are shown there is no number."""
    world = World(funds=None)
    purchases(world, range(LOTS_SHOWN_MAX), "1", 10)
    record = balance_of(world)
    assert (len(record.lots), record.lots_total) == (LOTS_SHOWN_MAX, None)
    world.fund("1", "2025-03-20")
    record = balance_of(world)
    assert [lot.lot for lot in record.lots] == [f"many-{number:06d}" for number in range(LOTS_SHOWN_MAX)]
    assert record.lots_total == LOTS_SHOWN_MAX + 1


@pytest.mark.in_memory
def test_the_next_hundred_are_shown_however_many_there_are() -> None:
    """Also after some of them were used up."""
    world = ada("MCOPSTNPP", funds=None)
    purchases(world, range(1_000), "0.2", 50)
    for number in range(130):
        world.call(HARARE, 60, "2025-03-10 10:00", id=f"call-{number}")
    shown: tuple[LotState, ...] = balance_of(world).lots
    assert [lot.lot for lot in shown] == [f"many-{number:06d}" for number in range(130, 230)]
    assert balance_of(world).lots_total == 870


@pytest.mark.in_memory
def test_money_of_thousands_of_purchases_expires_in_their_order() -> None:
    """Rule 63, A19: each of them on its day, also those that no balance record showed."""
    world = World(funds=None)
    purchases(world, range(3_000), "1", 500)
    world.tick("2026-03-02")
    assert len(world.debits) == 1_440
    world.tick("2026-03-05")
    assert (len(world.debits), world.balance, world.account.lots) == (1_560, "0", ())


@pytest.mark.in_memory
def test_a_purchase_beyond_the_largest_balance_is_refused_with_the_limit() -> None:
    """A thousand of the largest fit; one more changes nothing."""
    world = ada("MCOPSTNPP", funds=None)
    purchases(world, range(1_000), LARGEST, 100)
    assert world.account.balance == BALANCE_MICROS_MAX
    world.fund("0.000001", "2025-03-20")
    assert (world.refusals, world.account.balance) == (["bad_amount"], BALANCE_MICROS_MAX)
    assert "1000000000000 (BALANCE_MICROS_MAX)" in letter_of(world).message
    assert world.call(HARARE, 60, "2025-03-20 10:00").balance == "999999999999.8"


@pytest.mark.in_memory
def test_a_recharge_beyond_the_largest_balance_is_refused() -> None:
    """It stays in flight, with a dead letter that can be applied when there is room."""
    world = ada("MCOPSTNPP", funds=None, recharge=("1", LARGEST))
    world.configure("2025-03-01 10:00", payment_method="replaced")
    in_flight = world.account.recharge.in_flight
    purchases(world, range(1_000), LARGEST, 100)
    world.paid("2025-03-20")
    assert world.refusals == ["bad_amount"]
    assert (world.account.balance, world.account.recharge.in_flight) == (BALANCE_MICROS_MAX, in_flight)


@pytest.mark.parametrize("field", ["balance", "incurred"])
@pytest.mark.in_memory
def test_who_owes_more_than_the_largest_balance_makes_no_more_calls(field: str) -> None:
    """Each of its records is a dead letter, and nothing overflows."""
    world = ada("MCOPSTNPP")
    account = world.account
    if field == "balance":
        account.balance, account.debt = -BALANCE_MICROS_MAX - 1, BALANCE_MICROS_MAX + 1
    else:
        account.debts = msgspec.structs.replace(account.debts, incurred=LEDGER_MICROS_MAX)
    world.memory.entities["account"][(T, "")] = account
    world.cdr(HARARE, 60)
    assert world.refusals == ["bad_amount"]
    assert "_MICROS_MAX" in letter_of(world).message
    assert world.call("911", 60).balance == format_micros(account.balance)


@pytest.mark.in_memory
@pytest.mark.parametrize(
    ("balance", "incurred", "message"),
    [
        (-BALANCE_MICROS_MAX, 0, None),
        (
            -BALANCE_MICROS_MAX - 1,
            0,
            "expected a tenant with a balance of at least -1000000000000 (BALANCE_MICROS_MAX), got"
            " -1000000000000.000001; look for a wrong price in its rate deck",
        ),
        (100_000_000, LEDGER_MICROS_MAX - CHARGE_MICROS_MAX, None),
        (
            100_000_000,
            LEDGER_MICROS_MAX - CHARGE_MICROS_MAX + 1,
            f"expected a tenant that never owed more than {format_micros(LEDGER_MICROS_MAX - CHARGE_MICROS_MAX)} in all"
            " (LEDGER_MICROS_MAX - CHARGE_MICROS_MAX); look for a wrong price in its rate deck",
        ),
    ],
)
def test_what_a_tenant_may_owe(balance: int, incurred: int, message: str | None) -> None:
    """Exactly the limit is within it; the message says which limit it is."""
    world = ada("MCOPSTNPP")
    account = world.account
    account.balance, account.debt = balance, max(0, -balance)
    account.debts = msgspec.structs.replace(account.debts, incurred=incurred)
    world.memory.entities["account"][(T, "")] = account
    world.cdr("+68212345", 60)
    assert world.refusals == ([] if message is None else ["bad_amount"])
    if message is not None:
        assert letter_of(world).message == message


@pytest.mark.in_memory
def test_an_account_of_version_0_3_0_is_brought_into_order() -> None:
    """It had every purchase in its record, used up or not: none is lost, and the same are used next."""
    world = ada("MCOPSTNPP", funds=None)
    account, state = world.account, State(world.memory)
    bought = [at("2025-03-01") + timedelta(minutes=number // 2) for number in range(500)]
    lots = [Lot(f"old-{number}", number % 3, when, expiry_of(when)) for number, when in enumerate(bought)]
    account.lots = tuple(lots)
    account.debts = msgspec.structs.replace(account.debts, incurred=3, parts=(Part(0, 3, "old-0"),))
    account.balance = sum(lot.remaining for lot in lots)
    tidy_lots(state, account)
    with_money = [lot.lot for lot in lots if lot.remaining]
    assert (money_in(account), lots_with_money(account)) == (account.balance, len(with_money))
    assert [lot.lot for lot in shown_lots(account)] == with_money[:LOTS_SHOWN_MAX]
    assert bytes_of(account) < RECORD_BYTES_MAX
    assert account.debts.parts == (Part(0, 3, "old-0", expiry_of(bought[0])),)
    assert state.shelved_lot(T, "old-0") is not None


def balance_of(world: World) -> Balance:
    """The last step's balance record."""
    return next(output for output in world.outputs if isinstance(output, Balance))


def letter_of(world: World) -> RejectedCdr:
    """The last step's dead letter."""
    assert not any(isinstance(output, RatedCall) for output in world.outputs)
    return next(output for output in world.outputs if isinstance(output, RejectedCdr))


@pytest.mark.in_memory
def test_what_a_used_up_purchase_leaves_is_small() -> None:
    """One entity of at most 70 bytes beside the command's id; pages of lots and debts are used again, not added."""
    world = World(funds=None).user("ada", "US", "MCOPSTNPP")
    for number in range(300):
        world.fund("0.20", f"2025-03-{1 + number % 9:02}", id=f"{number:032x}")
        world.call(HARARE, 60)
    kept = world.memory.entities
    left = [len(msgspec.msgpack.encode(lot)) + len(state_key("lot", key)) for key, lot in kept["lot"].items()]
    assert len(left) == 299
    assert max(left) <= 70
    assert len(kept["lots"]) + len(kept["debts"]) <= 4
