"""What a balance record says, when it comes, and what time makes due from it.

A minute to Harare costs 0.2.
"""

import msgspec
import pytest

from rater.core.due import funds_in, funds_of
from rater.core.inputs import RechargeSettings, Source
from rater.core.outputs import AccountEvent, Balance, RechargeRequest
from tests.world import HARARE, US, World, ada, at


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
        asked_again, told = request(world), balance(world)
        assert (told.recharge_in_flight, told.recharge_attempt) == (asked_again.id, asked_again.attempt)
        assert asked_again.low_since == told.low_since == first.low_since
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
    assert msgspec.structs.replace(read, source=nowhere) == msgspec.structs.replace(kept, source=nowhere)
