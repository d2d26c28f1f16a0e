"""What a balance record says, when it comes, and what time makes due from it.

A minute to Harare costs 0.2.
"""

import msgspec
import pytest

from rater.core.due import funds_in, funds_of
from rater.core.inputs import DeckActivated, RechargeSettings, Source
from rater.core.outputs import AccountEvent, Balance, RechargeRequest, ServiceState
from tests.world import HARARE, US, T, World, ada, at


def balance(world: World) -> Balance:
    """The only balance record of the last step."""
    (found,) = [output for output in world.outputs if isinstance(output, Balance)]
    return found


def request(world: World) -> RechargeRequest:
    """The only request for a payment of the last step."""
    (found,) = [output for output in world.outputs if isinstance(output, RechargeRequest)]
    return found


def asked() -> World:
    """A tenant whose recharge is in flight: 50.1 less 0.2 is below 50."""
    world = ada("MCOPSTNPP", funds="50.1", recharge=("50", "100"))
    world.call(HARARE)
    return world


def test_each_attempt_to_collect_has_a_number_and_an_id() -> None:
    """A8: 1, 2, 3 of one crossing; each is a payment of its own at the gateway, and each balance says which."""
    world = asked()
    first = request(world)
    numbers, ids = [first.attempt], [first.id]
    for failed, again in (("2025-03-11", "2025-03-11 01:00"), ("2025-03-12", "2025-03-12 06:00")):
        world.declined(failed)
        world.tick(again)
        asked_again, emitted = request(world), balance(world)
        assert (emitted.recharge_in_flight, emitted.recharge_attempt) == (asked_again.id, asked_again.attempt)
        assert asked_again.low_since == emitted.low_since == first.low_since
        numbers.append(asked_again.attempt)
        ids.append(asked_again.id)
    assert (numbers, len(set(ids))) == ([1, 2, 3], 3)


def test_each_movement_of_money_is_one_revision() -> None:
    """A call, a reversal and its new debit, a purchase, an expiry."""
    world = ada("MCOPSTNPP", funds=None)
    world.fund("5", "2024-03-15")
    revisions = [world.account.revision]
    world.call(HARARE, id="c")
    revisions.append(world.account.revision)
    world.cdr(HARARE, 120, id="c", version=2)
    revisions.append(world.account.revision)
    world.fund("5", "2025-03-11")
    revisions.append(world.account.revision)
    world.tick("2025-03-15")
    revisions.append(world.account.revision)
    assert revisions == [1, 2, 2 + 2, 5, 6]
    assert balance(world).revision == 6


def test_a_crossing_is_named_by_its_revision() -> None:
    """1 is the purchase, 2 the call that fell below the trigger, 3 the one that reached zero."""
    world = ada("MCOPSTNPP", funds="1.1", recharge=("1", "100"))
    world.configure("2025-03-02", recharge=RechargeSettings(enabled=False))
    world.call(HARARE)
    assert (balance(world).low_since, balance(world).depleted_since) == (2, None)
    world.call(HARARE, 5 * 60)
    assert (balance(world).low_since, balance(world).depleted_since) == (2, 3)
    world.fund("200", "2025-03-11")
    assert (balance(world).low_since, balance(world).depleted_since) == (None, None)


def test_correcting_a_free_call_debits_nothing() -> None:
    """A12: minutes go back to the pool, no money moves."""
    world = ada("MCOPSTN5")
    world.call(US, id="c")
    world.cdr(US, 120, id="c", version=2)
    assert (world.debits, world.pool("MCOPSTN5/US-PR/2025-03")) == ([], (2, 120))
    assert not any(isinstance(output, Balance) for output in world.outputs)


def test_correcting_a_charged_call_to_a_free_one_only_gives_back() -> None:
    """A reversal of 0.2; nothing is debited anew."""
    world = ada("MCOPSTNPP")
    world.call(HARARE, id="c")
    world.cdr(HARARE, 0, id="c", version=2)
    assert (world.debits, world.balance) == ([("reversal", "-0.2")], "100")


def test_nothing_is_looked_for_before_something_is_due() -> None:
    """The next month; a purchase that expires before; a licence that ends a restriction before that."""
    world = ada("MCOPSTN5", funds=None)
    world.tick("2025-03-02")
    assert world.account.wake_at == at("2025-04-01")
    world.fund("5", "2024-03-20")
    assert world.account.wake_at == at("2025-03-20")
    world.call(HARARE)
    world.assign("ada", "MCOPSTNPP", "2025-03-10", effective_from=at("2025-03-12"))
    assert world.account.wake_at == at("2025-03-12")
    assert world.tick("2025-03-12") == ["user.unrestricted"]
    assert world.account.wake_at == at("2025-03-20")
    world.tick("2025-03-20")
    assert world.account.wake_at == at("2025-04-01")
    world.tick("2025-06-07")
    assert world.account.wake_at == at("2025-07-01")


def test_only_those_whose_licence_begins_are_helped() -> None:
    """Rule 53: bob has none to come, olga's begins later; both wait."""
    world = ada("MCOPSTN5", funds=None).user("bob", "US", "MCOPSTN5").user("olga", "US", "MCOPSTN5")
    for user in ("ada", "bob", "olga"):
        world.call(HARARE, user=user)
    world.assign("ada", "MCOPSTNPP", "2025-03-10", effective_from=at("2025-03-12"))
    world.assign("olga", "MCOPSTNPP", "2025-03-10", effective_from=at("2025-03-14"))

    def helped(when: str) -> list[str | None]:
        world.tick(when)
        return [output.user for output in world.outputs if isinstance(output, AccountEvent)]

    assert [helped(f"2025-03-{day}") for day in (11, 12, 13, 14)] == [[], ["ada"], [], ["olga"]]
    assert helped("2025-04-01") == ["bob"]


def test_a_restricted_user_is_helped_again() -> None:
    """A licence that helped once does not help against a new restriction."""
    world = ada("MCOPSTN5", funds=None)
    world.call(HARARE)
    assert world.assign("ada", "MCOPSTNPP", "2025-03-11") == ["user.unrestricted"]
    world.remove("ada", "MCOPSTNPP", "2025-03-12")
    world.call(HARARE, 60, "2025-03-13")
    assert world.events == ["user.restricted"]


@pytest.mark.parametrize("steps", range(6))
def test_an_account_and_its_balance_record_say_the_same(steps: int) -> None:
    """So that every process finds the same things due: from the store, and from the topic of balances."""
    world = asked()
    for step in range(steps):
        match step:
            case 0:
                world.declined("2025-03-11")
            case 1:
                world.tick("2025-03-11 01:00")
            case 2:
                world.fund("2", "2025-03-11 02:00")
            case 3:
                world.paid("2025-03-11 03:00")
            case _:
                world.call(HARARE, 600 * 60, "2025-03-11 04:00")
    nowhere = Source("", 0, 0)
    read, kept = funds_in(balance(world)), funds_of(world.account)
    # Which recharge was answered last is the rater's own affair (A47).
    kept = msgspec.structs.replace(kept, recharge=msgspec.structs.replace(kept.recharge, answered=None))
    assert msgspec.structs.replace(read, source=nowhere) == msgspec.structs.replace(kept, source=nowhere)


def test_what_passing_time_did_before_a_command_stays() -> None:
    """Rule 53: in April ada may call again, whatever made the clock move; so she can be restricted again."""
    world = ada("MCOPSTN5", funds=None)
    world.call(HARARE)
    assert world.events == ["user.restricted"]
    assert world.fund("1", "2025-04-02") == ["user.unrestricted"]
    world.call(HARARE, 60, "2025-04-03")
    assert world.events == ["user.restricted"]


def test_what_a_rejected_command_would_have_passed_is_not_done() -> None:
    """A37: an unpublished deck moves no clock; March's restriction stays."""
    world = ada("MCOPSTN5", funds=None)
    world.call(HARARE)
    clock = world.account.clock
    world.apply(DeckActivated(tenant=T, id="x", at=at("2025-04-02"), version="no such deck"))
    assert (world.refusals, world.events, world.account.clock) == (["unknown_deck"], [], clock)
    assert world.tick("2025-04-02") == ["user.unrestricted"]


def test_a_credit_that_stays_below_the_trigger_is_a_crossing_of_its_own() -> None:
    """A7: 49.9 + 0.05 is below 50; the gateway sees another id than that of the crossing before."""
    world = asked()
    before = request(world)
    world.declined("2025-03-11")
    world.fund("0.05", "2025-03-12")
    assert balance(world).low_since == world.account.revision > before.low_since


def test_one_micro_of_credit_is_credit() -> None:
    """A5: the balance is above zero, so calls on credit may start; at zero they may not."""
    world = ada("MCOPSTNPP", funds=None)
    world.fund("0.000001", "2025-03-01")
    assert [output.state for output in world.outputs if isinstance(output, ServiceState)] == ["active"]
    world.call(US)
    assert [output.state for output in world.outputs if isinstance(output, ServiceState)] == ["suspended"]


@pytest.mark.parametrize(
    "terms",
    [
        RechargeSettings(amount="0"),
        RechargeSettings(amount="-1"),
        RechargeSettings(trigger="-1"),
        RechargeSettings(amount="x"),
    ],
)
def test_recharge_settings_that_are_refused(terms: RechargeSettings) -> None:
    """Rule 58: nothing can be collected in steps of zero; a later command is looked at like the first."""
    world = ada("MCOPSTNPP", recharge=("50", "100"))
    world.configure("2025-03-11", recharge=terms)
    assert world.refusals == ["bad_amount"]
    world.configure("2025-03-11", recharge=RechargeSettings(trigger="0"))
    assert (world.refusals, balance(world).recharge_trigger) == ([], "0")


def test_purchases_are_numbered_as_they_come() -> None:
    """Of two at the same instant the first is used first."""
    world = ada("MCOPSTNPP", funds=None)
    for id in ("b", "a", "c"):
        world.fund("1", "2025-03-01", id=id)
    assert [(lot.lot, lot.number) for lot in world.account.lots] == [("b", 1), ("a", 2), ("c", 3)]
    world.call(HARARE)
    assert world.lots == [("b", "0.8"), ("a", "1"), ("c", "1")]


def test_money_goes_back_to_a_purchase_only_before_it_expires() -> None:
    """A12: a correction at 00:00 of its last day finds it expired; the money goes to the newest."""
    for corrected, lots in (
        ("2025-03-14 23:59:59", [("a", "0.2"), ("b", "5")]),
        ("2025-03-15", [("b", "5.2")]),
    ):
        world = ada("MCOPSTNPP", funds=None)
        world.fund("0.2", "2024-03-15", id="a")
        world.fund("5", "2025-03-01", id="b")
        world.call(HARARE, id="c")
        world.cdr(HARARE, 0, id="c", version=2, received_at=at(corrected))
        assert world.lots == lots


def test_what_expired_purchases_paid_is_forgotten() -> None:
    """A20: they take nothing back, so nobody has to know that they paid for this debt."""
    world = ada("MCOPSTNPP", funds=None)
    world.fund("0.1", "2025-03-02")
    world.call(HARARE)
    world.fund("1", "2024-06-01", id="pays")
    assert [part.lot for part in world.account.debts.parts] == ["pays"]
    world.tick("2025-06-01")
    assert world.account.debts.parts == ()


def test_a_purchase_out_of_date_is_there_until_the_clock_moves() -> None:
    """A19: the same instant again is no time that passes."""
    world = ada("MCOPSTNPP", funds=None)
    world.tick("2025-03-20")
    world.fund("1", "2024-01-01", id="old")
    assert world.tick("2025-03-20") == []
    assert world.lots == [("old", "1")]
    assert world.tick("2025-03-20 00:00:01") == ["funds.expired", "balance.depleted", "credits.suspended"]


def test_a_trigger_at_the_balance_is_not_above_it() -> None:
    """Rule 58: strictly below; a trigger of exactly the balance crosses nothing, one micro more does."""
    world = ada("MCOPSTNPP", funds="50", recharge=("10", "100"))
    revision = world.account.revision
    assert world.configure("2025-03-11", recharge=RechargeSettings(trigger="50")) == []
    assert (balance(world).low_since, balance(world).revision) == (None, revision)
    assert world.configure("2025-03-11", recharge=RechargeSettings(trigger="50.000001")) == ["recharge.requested"]
    assert balance(world).low_since == revision + 1


def test_a_purchase_that_only_paid_debt_wakes_nobody() -> None:
    """Nothing is left of it that could expire on the 20th."""
    world = ada("MCOPSTNPP", funds=None)
    world.fund("0.1", "2025-03-02")
    world.call(HARARE)
    world.fund("0.05", "2024-03-20")
    assert (world.lots, world.balance, world.account.wake_at) == ([], "-0.05", at("2025-04-01"))


def test_changes_of_licences_are_counted() -> None:
    """A kept total of a pool is known to be of another state of the licences by this number."""
    world = ada("MCOPSTN5")
    before = world.account.licenses_revision
    world.assign("ada", "MCOPSTNPP", "2025-03-02")
    world.configure_user("ada", "2025-03-03", outbound_policy="DialoutCPCandPSTNDomestic")
    world.remove("ada", "MCOPSTNPP", "2025-03-04")
    assert world.account.licenses_revision == before + 2


def test_a_licence_of_the_past_helps_nobody() -> None:
    """Rule 53: ada had credits in January; restricted in March, she waits for April."""
    world = ada("MCOPSTN5", funds=None)
    world.assign("ada", "MCOPSTNPP", "2025-01-01", "2025-02-01")
    world.call(HARARE)
    assert world.account.wake_at == at("2025-04-01")
    assert world.tick("2025-03-31") == []


def test_unpaid_debt_outlives_months() -> None:
    """A20: what passes does not forget it; the next purchase pays it."""
    world = ada("MCOPSTNPP", funds=None)
    world.call(HARARE)
    world.tick("2025-06-01")
    assert world.account.debt == 200_000
    world.fund("1", "2025-06-02", id="next")
    assert world.lots == [("next", "0.8")]
