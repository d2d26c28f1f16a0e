"""Money by hand, promotions and contradicting payments: A45, A46, A47; Harare costs 0.2 a minute.

The scenario files 67 to 79 show the rules; here is what a file cannot show: events, state of older releases, sums.
"""

from datetime import UTC, datetime

import msgspec
import pytest

from rater.core.entities import Account, Lot, Recharge, Seen
from rater.core.inputs import FundsAdjusted, FundsRefunded, PaymentFailed, PaymentSucceeded
from rater.core.lot_history import paid_lots
from rater.core.lots import money_in
from rater.core.outputs import AccountEvent, Balance, Debit, RejectedCdr
from rater.core.state import State
from tests.world import HARARE, T, World, ada, at


def event_of(world: World) -> AccountEvent:
    """The first event of the last step."""
    return next(output for output in world.outputs if isinstance(output, AccountEvent))


def message_of(world: World) -> str:
    """Why the last step was refused, in words."""
    return next(output.message for output in world.outputs if isinstance(output, RejectedCdr))


def test_a_clerk_gives_a_call_back_and_the_bank_takes_fifty() -> None:
    """A45: the account adds up on paper.

     100.00  bought (funds-1)
    + 50.00  bought (bank)
    -  4.20  21 minutes to Harare at 0.20, of funds-1
    +  4.16  given back for that call by kim
    - 50.00  the bank takes `bank` back: nothing of it was used yet
    =  99.96 95.80 of funds-1 and 4.16 that kim gave
    """
    world = ada("MCOPSTNPP", funds=None)
    world.fund("100", "2025-03-01", id="funds-1")
    world.fund("50", "2025-03-02", id="bank")
    world.call(HARARE, 21 * 60, id="the call")
    world.adjust("4.16", "2025-03-11", id="credit", reason="wrong price", usage_id="the call")
    said = event_of(world)
    assert (said.event, said.amount, said.lot, said.usage_id) == ("funds.adjusted", "4.16", "credit", "the call")
    assert (said.reason, said.by, said.command_id) == ("wrong price", "kim", "credit")
    assert world.reverse_payment("bank", "2025-03-12") == ["payment.reversed"]
    assert world.debits == [("charge_back", "50")]
    assert (world.balance, world.lots) == ("99.96", [("funds-1", "95.8"), ("credit", "4.16")])


def test_a_debit_by_hand_names_its_command_and_its_call() -> None:
    """A45: billing finds the reason of a debit that is no call."""
    world = World(funds="1")
    world.adjust("-0.4", "2025-03-11", id="correction", usage_id="call-7")
    (debit,) = [output for output in world.outputs if isinstance(output, Debit)]
    assert (debit.kind, debit.amount, debit.command_id, debit.usage_id) == (
        ("adjustment", "0.4", "correction", "call-7")
    )
    assert [(share.lot, share.amount) for share in debit.lots] == [(world.lots[0][0], "0.4")]


@pytest.mark.parametrize(("amount", "lot"), [("5", "a"), ("-5", None)])
def test_an_adjustment_names_the_lot_that_it_made(amount: str, lot: str | None) -> None:
    """A45: money that is given is a lot of its own; money that is taken is none."""
    world = World()
    world.adjust(amount, "2025-03-02", id="a")
    (event,) = [output for output in world.outputs if isinstance(output, AccountEvent)]
    assert (event.event, event.lot, event.amount) == ("funds.adjusted", lot, amount)


def test_money_of_other_calls_in_a_reversed_lot_stays_usable() -> None:
    """A45: a charge-back takes at most what was paid for the lot; what calls of other lots left there is used."""
    world = ada("MCOPSTNPP", funds=None)
    world.fund("2", "2024-03-20", id="old")
    world.call(HARARE, 600, "2025-03-10", id="long")
    world.fund("5", "2025-03-11", id="new")
    world.tick("2025-03-20")
    world.cdr(HARARE, 0, "2025-03-10", id="long", version=2)
    assert world.lots == [("new", "7")]
    world.reverse_payment("new", "2025-03-21")
    assert (world.debits, world.lots) == ([("charge_back", "5")], [("new", "2")])
    world.call(HARARE, 60, "2025-03-22")
    assert world.lots == [("new", "1.8")]


def test_money_goes_to_the_newest_lot_that_was_not_reversed_used_up_or_not() -> None:
    """A45, A46: the newest was taken back by the bank, so what its call gives back goes to the one before."""
    world = ada("MCOPSTNPP", funds="0.2")
    world.call(HARARE, 60, "2025-03-02", id="first")
    world.fund("1", "2025-03-03", id="newest")
    world.call(HARARE, 300, "2025-03-04", id="second")
    world.reverse_payment("newest", "2025-03-05")
    assert world.balance == "-1"
    world.cdr(HARARE, 0, "2025-03-04", id="second", version=2)
    assert (world.balance, world.lots, world.account.debt) == ("0", [], 0)
    world.fund("3", "2025-03-06", id="last")
    world.cdr(HARARE, 0, "2025-03-02", id="first", version=2)
    assert [amount for _, amount in world.lots] == ["0.2", "3"]


def test_money_of_a_reversed_lot_alone_makes_a_lot_of_its_own() -> None:
    """A27, A45: there is no other lot."""
    world = ada("MCOPSTNPP", funds=None)
    world.fund("1", "2025-03-03", id="only")
    world.call(HARARE, 120, "2025-03-04", id="x")
    world.reverse_payment("only", "2025-03-05")
    world.adjust("2", "2025-03-06", expires=at("2025-03-07"))
    world.tick("2025-03-08")
    assert world.balance == "0"
    world.cdr(HARARE, 0, "2025-03-04", id="x", version=2)
    ((lot, amount),) = world.lots
    assert (lot.startswith("refund-"), amount) == (True, "0.4")
    world.refund(lot, "0.4", "2025-03-09")
    assert world.refusals == ["not_a_payment"]


def test_a_promotion_pays_debt_and_takes_it_back() -> None:
    """A20, A46: what it paid of a call's debt returns to it, and is forfeited once it has expired."""
    world = ada("MCOPSTNPP", funds=None)
    world.call(HARARE, 600, "2025-03-10", id="x")
    world.promote("5", "2025-03-11", "2025-06-01", id="gift")
    assert (world.balance, world.lots) == ("3", [("gift", "3")])
    world.cdr(HARARE, 300, "2025-03-10", id="x", version=2)
    assert world.lots == [("gift", "4")]
    world.fund("1", "2025-03-12", id="bought")
    world.tick("2025-06-01")
    assert world.debits == [("expiry", "4")]
    world.cdr(HARARE, 0, "2025-03-10", id="x", version=3)
    assert world.debits == [("reversal", "-1"), ("expiry", "1")]
    assert (world.balance, world.lots) == ("1", [("bought", "1")])


def test_adjustments_do_not_count_as_recharges() -> None:
    """A32, A45: five recharges an hour, however much a person gives; each crossing asks as a credit's does."""
    world = World(funds=None, recharge=("50", "1"), recharges_per_hour_max=2)
    assert world.adjust("1", "2025-03-10") == ["funds.adjusted", "recharge.requested"]
    assert world.adjust("1", "2025-03-10") == ["funds.adjusted"]
    assert len(world.account.recharge.requested) == 1


def test_the_balance_says_that_recharge_is_stopped() -> None:
    """A45: agents that work from balances ask for nothing."""
    world = World(funds="60", recharge=("50", "100"))
    assert world.refund(world.lots[0][0], "20", "2025-03-02") == ["funds.refunded"]
    (record,) = [output for output in world.outputs if isinstance(output, Balance)]
    assert (record.recharge_stopped, record.recharge_in_flight, record.recharge_retry_at) == (True, None, None)
    assert world.configure("2025-03-03", payment_method="replaced") == ["recharge.requested"]
    assert not world.account.recharge.stopped


def test_a_charge_back_of_nothing_stops_recharge_too() -> None:
    """A45: an event without a debit."""
    world = World(funds="60", recharge=("50", "100"))
    lot = world.lots[0][0]
    world.refund(lot, "60", "2025-03-02")
    world.configure("2025-03-03", payment_method="replaced")
    world.paid("2025-03-03")
    assert world.reverse_payment(lot, "2025-03-04") == ["payment.reversed"]
    assert (world.debits, event_of(world).amount, world.account.recharge.stopped) == ([], "0", True)


def test_a_conflict_says_what_came_first() -> None:
    """A47: the recharge, its amount, and both results in order."""
    world = World(funds="40", recharge=("50", "100"))
    asked = world.account.recharge.in_flight
    assert asked is not None
    world.declined("2025-03-02")
    late = PaymentSucceeded(tenant=T, id="late", at=at("2025-03-02 00:10"), recharge_id=asked.recharge)
    assert world.apply(late) == ["payment.conflict"]
    said = event_of(world)
    assert (said.recharge_id, said.amount, said.reason) == (asked.recharge, "100", "failed, then succeeded")
    assert (world.apply(late), world.outcome, world.balance) == ([], "duplicate", "40")


def test_the_other_result_under_the_same_id_is_no_repetition() -> None:
    """A47: a gateway that answers twice under one id is not read as one that repeats itself."""
    world = World(funds="40", recharge=("50", "100"))
    world.apply(PaymentSucceeded(tenant=T, id="answer", at=at("2025-03-02")))
    assert world.apply(PaymentFailed(tenant=T, id="answer", at=at("2025-03-03"))) == ["payment.conflict"]
    assert (world.apply(PaymentFailed(tenant=T, id="answer", at=at("2025-03-04"))), world.outcome) == (
        [],
        "duplicate",
    )


@pytest.mark.parametrize("field", ["reason", "by"])
def test_an_adjustment_says_why_and_who(field: str) -> None:
    """A45: blanks are neither."""
    world = World(funds="1")
    world.adjust("1", "2025-03-02", **{field: "  "})
    assert (world.refusals, world.balance) == (["malformed"], "1")


@pytest.mark.parametrize(
    ("amount", "reason"), [("-1", "invalid_amount"), ("ten", "bad_amount"), ("1.0000001", "bad_amount")]
)
def test_no_such_sum_is_paid_out(amount: str, reason: str) -> None:
    """A45: an amount above zero with six decimals."""
    world = World(funds="1")
    world.apply(FundsRefunded(tenant=T, id="r", at=at("2025-03-02"), lot=world.lots[0][0], amount=amount))
    assert (world.refusals, world.balance) == ([reason], "1")


def test_money_by_hand_in_another_currency() -> None:
    """A45: it is the tenant's currency or none."""
    world = World(funds="1")
    world.adjust("1", "2025-03-02", currency="EUR")
    assert world.refusals == ["currency_mismatch"]


def test_a_conflict_of_content_names_both() -> None:
    """A45: where kind, amount and currency are the same, other words differ."""
    world = World(funds="1")
    world.adjust("1", "2025-03-02", id="a")
    world.adjust("1", "2025-03-02", id="a", reason="other")
    assert (world.outcome, world.refusals) == ("conflicting_duplicate", ["conflicting_duplicate"])
    assert "'a' was used by 'funds_adjusted 1 USD'" in message_of(world)


@pytest.mark.in_memory
def test_a_purchase_of_an_older_release_can_be_paid_back() -> None:
    """A45, A51: the command that added it says how much was paid; of a recharge it was not noted."""
    world = World(funds=None)
    world.fund("5", "2025-03-01", id="bought")
    memory, account = world.memory, world.account
    memory.entities["funds"].clear()
    account.lot_added_last = None
    recharge = Lot("recharge", 3_000_000, at("2025-03-02"), at("2026-03-02"), 2)
    account.lots, account.balance = (*account.lots, recharge), 8_000_000
    memory.entities["account"][(T, "")] = account
    memory.entities["seen"][(T, "command/bought")] = Seen(at("2025-03-01"), "funds_added 5 USD")
    world.refund("recharge", "1", "2025-03-03")
    assert world.refusals == ["unknown_lot"]
    assert message_of(world).endswith("a release that did not note its amount; adjust the balance instead")
    world.refund("bought", "1", "2025-03-03")
    world.reverse_payment("bought", "2025-03-04")
    assert (world.debits, world.balance) == ([("charge_back", "4")], "3")


@pytest.mark.in_memory
def test_an_account_of_an_older_release_is_read() -> None:
    """A51: what it does not say has a default."""
    account = World(funds="5").account
    written = msgspec.to_builtins(account)
    for field in ("promotions", "own_expiry", "lot_added_last"):
        del written[field]
    for field in ("stopped", "answered"):
        del written["recharge"][field]
    read = msgspec.convert(written, Account)
    assert (read.promotions, read.own_expiry, read.recharge) == (
        (),
        (),
        msgspec.convert(written["recharge"], Recharge),
    )
    assert money_in(read) == read.balance


def test_the_words_of_a_command_are_content_but_its_time_is_not() -> None:
    """A45: who repeats a command because the answer was lost says a new time."""
    world = World(funds="1")
    said = FundsAdjusted(tenant=T, id="a", at=datetime(2025, 3, 2, tzinfo=UTC), amount="1", reason="x", by="kim")
    world.apply(said)
    world.apply(msgspec.structs.replace(said, at=datetime(2025, 3, 5, tzinfo=UTC), amount="1.00", currency="USD"))
    assert (world.outcome, world.balance) == ("duplicate", "2")


@pytest.mark.in_memory
def test_a_balance_record_shows_the_lot_that_expires_next() -> None:
    """A45: of more than a hundred lots, also where it is used last."""
    world = World(funds=None)
    for number in range(101):
        world.fund("1", f"2025-03-02 00:{number // 60:02}:{number % 60:02}")
    world.adjust("1", "2025-03-03", id="soon", expires=at("2025-03-04"))
    (record,) = [output for output in world.outputs if isinstance(output, Balance)]
    assert (len(record.lots), record.lots[-1].lot, record.lots_total) == (100, "soon", 102)


def test_only_what_somebody_paid_for_is_offered_for_a_refund() -> None:
    """A45: a purchase behind 120 lots that people gave, and no lot of theirs."""
    world = World(funds=None)
    for number in range(120):
        world.adjust("0.01", "2025-03-01", id=f"given-{number}")
    world.fund("500", "2025-03-02", id="bought")
    lots = paid_lots(State(world.engine.committed()), world.account)
    assert [lot.lot for lot in lots] == ["bought"]
