"""Calls that a wrong price list priced are rated again, as by a correction; A12."""

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from rater.core.explanation import explain
from rater.core.inputs import CallRerated, DeckActivated, RateDeck, UserConfigured
from rater.core.mediation import call_id
from rater.core.money import format_micros, parse_micros
from rater.core.outputs import Debit, RatedCall, RejectedCdr
from rater.core.reasons import Outcome
from rater.core.rerating import record_as_rated, rerating_id, rerating_of
from rater.engine.rerating import Order, Plan, Standing, plan_of
from rater.files.deck_csv import read_deck
from rater.wire.codec import encode, encode_input
from tests.world import BEGINNING, DECK, HARARE, LONDON, PARIS, US, T, World, ada, at, pockets


def times(factor: int, version: str) -> RateDeck:
    """The deck of the fixtures with every price and fee so many times as high."""
    deck = read_deck(DECK, version=version)
    rows = [
        msgspec.structs.replace(row, price_per_minute=format_micros(factor * parse_micros(row.price_per_minute)))
        for row in deck.rows
    ]
    return RateDeck(version=version, currency=deck.currency, rows=tuple(rows))


def with_lists(world: World) -> World:
    """The lists `wrong` (ten times the prices of deck-1) and `half-wrong` (three times) are published."""
    for factor, version in ((10, "wrong"), (3, "half-wrong")):
        world.engine.publish(times(factor, version))
    return world


def activate(world: World, version: str, when: str, since: str | None = None) -> None:
    world.apply(
        DeckActivated(
            tenant=T,
            id=f"{version}-{when}",
            at=at(when),
            version=version,
            effective_from=at(since) if since else None,
        )
    )


def again(world: World, call: RatedCall, deck: str, when: str = "2025-03-20", **more: Any) -> RatedCall:
    """The call, rated again as it was looked at."""
    world.apply(rerating_of(call, deck, at(when), **more))
    (rated,) = [output for output in world.outputs if isinstance(output, RatedCall)]
    return rated


def rated(outputs: Iterable[object]) -> list[RatedCall]:
    return [output for output in outputs if isinstance(output, RatedCall)]


def planned(world: World, calls: Iterable[RatedCall], deck: str, since: str, until: str, when: str) -> Plan:
    """What `rater rerate` would send for the ratings of the world so far."""
    order = Order(deck, T, at(since), at(until), at(when))
    standing, plan = Standing(order), Plan()
    for call in calls:
        standing.note(encode(call))
    plan_of(world.engine.committed(), world.engine.rules, order, standing.calls(), plan)
    return plan


def test_a_wrong_list_costs_nothing_in_the_end() -> None:
    """A12: ten times too dear from the 3rd, corrected on the 5th: the balance is that of the right list from the start.

    Calls by day: the 2nd Harare 10 min, the 3rd Harare 10 min, the 4th London 5 min and Paris 4 min, the 5th London
    1 min.  A minute to Harare is 0.2, to London and Paris 0.05.  The 3rd and 4th cost 20 + 2.5 + 2 instead of
    2 + 0.25 + 0.2: 24.5 instead of 2.45.
    """
    calls = [(HARARE, 600, 2), (HARARE, 600, 3), (LONDON, 300, 4), (PARIS, 240, 4), (LONDON, 60, 5)]
    right = with_lists(ada("MCOPSTNPP"))
    prices = [right.call(called, seconds, f"2025-03-0{day} 10:00").charge for called, seconds, day in calls]
    world, seen = with_lists(ada("MCOPSTNPP")), list[RatedCall]()
    for called, seconds, day in calls:
        if day == 3:
            activate(world, "wrong", "2025-03-03", "2025-03-03")
        if day == 5:
            activate(world, "deck-1", "2025-03-05", "2025-03-03")
        seen.append(world.call(called, seconds, f"2025-03-0{day} 10:00"))
    lost = parse_micros(right.balance) - parse_micros(world.balance)
    plan = planned(world, seen, "deck-1", "2025-03-03", "2025-03-05", "2025-03-05 12:00")
    sums = plan.sums()["USD"]
    assert (sums.calls, sums.minutes, sums.amounts(), plan.unchanged) == (
        3,
        19,
        tuple(map(format_micros, (lost + sums.new, sums.new, -lost))),
        0,
    )
    assert plan.priced_otherwise == {}
    for command in plan.commands:
        world.apply(command)
        seen += rated(world.outputs)
    last = {call.usage_id: call.charge for call in seen}
    assert (world.balance, list(last.values())) == (right.balance, prices)
    after = planned(world, seen, "deck-1", "2025-03-03", "2025-03-05", "2025-03-05 13:00")
    assert (after.commands, after.unchanged) == ([], 3), "the second run finds nothing to do"


def test_a_new_rating_says_what_it_is() -> None:
    """A12: it names its deck, its number and its reason; its source is the command; the rest is as it was."""
    world = with_lists(ada("MCOPSTNPP"))
    first = world.call(HARARE, 600, call_id="leg-1", user_display_name="Ada")
    second = again(world, first, "wrong", reason="a test")
    stays = {"id", "sequence", "source", "outcome", "charge", "balance", "segments", "deck", "price_per_minute"}
    stays |= {"corrects_version", "rating", "reason"}
    differ = {name for name in first.__struct_fields__ if getattr(first, name) != getattr(second, name)}
    assert differ == stays
    assert (second.deck, second.rating, second.corrects_version, second.outcome) == ("wrong", 1, 1, "corrected")
    assert (second.source.topic, second.charge) == ("commands", "20")
    assert "Rated again (rating 1) with deck wrong: a test." in "\n".join(explain(second))


def test_ids_are_new_and_those_of_first_ratings_stay() -> None:
    """A12: the ids of a rating and its debits are hashes with `rating` only where it is above zero."""
    world = with_lists(ada("MCOPSTNPP"))
    first = world.call(HARARE, 600, id="x")
    ids = [output.id for output in world.outputs if isinstance(output, Debit)]
    command = rerating_of(first, "wrong", at("2025-03-20"))
    assert first.id == call_id(command.call), "as before there were ratings"
    second = again(world, first, "wrong")
    ids += [output.id for output in world.outputs if isinstance(output, Debit)]
    third = again(world, second, "deck-1")
    ids += [output.id for output in world.outputs if isinstance(output, Debit)]
    assert second.id == rerating_id(command)
    assert ids == [f"{first.id}-1", f"{second.id}-0", f"{second.id}-1", f"{third.id}-0", f"{third.id}-1"]
    assert len({first.id, second.id, third.id}) == 3


def test_what_is_sent_twice_is_applied_once() -> None:
    """A12: the same command is a duplicate, whenever it comes; a second one for the same rating is refused."""
    world = with_lists(ada("MCOPSTNPP"))
    first = world.call(HARARE, 600)
    again(world, first, "wrong")
    world.apply(rerating_of(first, "wrong", at("2025-03-21"), reason="another word"))
    assert (world.outcome, world.outputs) == ("duplicate", [])
    world.apply(rerating_of(first, "half-wrong", at("2025-03-21")))
    assert (world.outcome, world.refusals, world.balance) == ("rejected", ["call_changed"], "80")


@pytest.mark.parametrize(
    ("wrong", "reason", "field"),
    [
        ({"deck": "nobody-knows"}, "unknown_deck", "deck"),
        ({"content": "0123456789abcdef"}, "call_changed", "call.version"),
        ({"rating": 3}, "call_changed", "call.version"),
    ],
)
def test_a_command_that_does_not_fit_changes_nothing(wrong: dict[str, Any], reason: str, field: str) -> None:
    """A12: the deck must be published, and the call must stand as the command says."""
    world = with_lists(ada("MCOPSTNPP"))
    first = world.call(HARARE, 600)
    world.apply(msgspec.structs.replace(rerating_of(first, "wrong", at("2025-03-20")), **wrong))
    (letter,) = [output for output in world.outputs if isinstance(output, RejectedCdr)]
    assert (world.outcome, letter.reason, letter.field, world.balance) == ("rejected", reason, field, "98")


def test_a_command_about_another_call_changes_nothing() -> None:
    """A12: a call that was not rated, another tenant's, one of another month, one whose time cannot be."""
    world = with_lists(ada("MCOPSTNPP"))
    command = rerating_of(world.call(HARARE, 600), "wrong", at("2025-03-20"))

    def reasons(**changes: Any) -> list[str]:
        call = msgspec.structs.replace(command.call, **changes)
        world.apply(msgspec.structs.replace(command, call=call))
        return world.refusals

    assert reasons(usage_id="nobody") == ["unknown_call"]
    assert reasons(tenant="fabrikam") == ["malformed"]
    assert reasons(answered_at=at("2025-04-10")) == ["call_changed"]
    assert reasons(duration_s=-1) == ["negative_duration"]
    assert reasons(answered_at=at("1800-04-10"), received_at=None) == ["impossible_time"]
    assert world.balance == "98"


def test_a_deck_of_another_currency_prices_nothing() -> None:
    """A12: as for activations, the deck must be in the currency of the tenant."""
    world = with_lists(ada("MCOPSTNPP"))
    euros = msgspec.structs.replace(times(1, "euros"), currency="EUR")
    world.engine.publish(euros)
    world.apply(rerating_of(world.call(HARARE, 600), "euros", at("2025-03-20")))
    assert (world.outcome, world.refusals) == ("rejected", ["currency_mismatch"])


def test_a_call_under_another_spelling_of_its_id() -> None:
    """A12, A41: a new rating is found by the next record in every spelling."""
    world = with_lists(ada("MCOPSTNPP"))
    first = world.call(HARARE, 600, id="{9C4984C7-6C3C-427D-A30C-BD0B2EACEE90}")
    command = rerating_of(first, "wrong", at("2025-03-20"))
    spelled = msgspec.structs.replace(command.call, usage_id="9C4984C76C3C427DA30CBD0B2EACEE90")
    assert rerating_id(msgspec.structs.replace(command, call=spelled)) == rerating_id(command)
    world.apply(msgspec.structs.replace(command, call=spelled))
    assert (world.outcome, world.balance) == ("corrected", "80")
    corrected = world.call(HARARE, 60, id="9c4984c7-6c3c-427d-a30c-bd0b2eacee90", version=2)
    assert (corrected.outcome, world.balance, corrected.rating) == ("corrected", "99.8", 0)


def test_a_call_whose_user_was_not_known() -> None:
    """A12, A40: who pays is looked up anew, as for a correction: the licences of the start of the call."""
    world = with_lists(World())
    first = world.call(HARARE, 600, user="New@Contoso.example", user_country="US")
    assert (first.charge, first.unfunded_charge, first.user) == ("0", "2", "New@Contoso.example")
    world.apply(UserConfigured(tenant=T, id="u", at=BEGINNING, user="new@contoso.example", country="US"))
    world.assign("new@contoso.example", "MCOPSTNPP", None)
    second = again(world, first, "wrong")
    assert (second.charge, second.user_country, pockets(second)) == ("20", "US", [("credit", 10)])


def test_a_call_of_hidden_digits() -> None:
    """A12, rule 72: the destination that priced it before prices it again."""
    world = with_lists(ada("MCOPSTNPP"))
    first = world.call("+26324****", 600, destination="Zimbabwe")
    second = again(world, first, "wrong")
    assert (first.charge, second.charge, second.destination) == ("2", "20", first.destination)


def test_a_held_call_that_was_accepted_is_rated_again() -> None:
    """A12, A44: a call that a person accepted needs no second acceptance."""
    world = with_lists(ada("MCOPSTNPP"))
    world.cdr(HARARE, 90_000, id="long")
    world.accept("2025-03-12")
    (first,) = rated(world.outputs)
    assert (first.charge, again(world, first, "half-wrong").charge) == ("300", "900")


def test_a_plan_leaves_alone_what_does_not_change() -> None:
    """A12: calls that a pool covers, internal calls and calls for help cost the same with every list."""
    world = with_lists(ada("MCOPSTN1", "MCOPSTNPP"))
    seen = [
        world.call(US, 600, "2025-03-10 09:00"),
        world.call("911", 60, "2025-03-10 10:00"),
        world.call(HARARE, 600, "2025-03-10 11:00"),
        world.call(HARARE, 600, "2025-03-10 12:00"),
    ]
    plan = planned(world, seen, "wrong", "2025-03-10", "2025-03-10 12:00:00", "2025-03-20")
    assert (plan.unchanged, [command.call.usage_id for command in plan.commands]) == (2, [seen[2].usage_id])
    assert plan.rows() == [(T, "Zimbabwe", "USD", "2", "20", "18", 1, 10)]
    assert plan.priced_otherwise == {T: "deck-1"}, "late calls are priced by the deck in force"
    assert world.balance == "96", "a plan changes nothing"


def test_a_plan_knows_the_last_rating_of_a_call() -> None:
    """A12: the version that stands counts, also where a correction moved the call out of the time."""
    world = with_lists(ada("MCOPSTNPP"))
    seen = [
        world.call(HARARE, 600, "2025-03-10 09:00", id="a"),
        world.call(HARARE, 600, "2025-03-10 10:00", id="b"),
        world.call(HARARE, 60, "2025-03-10 09:00", id="a", version=2),
        world.call(HARARE, 600, "2025-03-12 10:00", id="b", version=2),
    ]
    plan = planned(world, seen, "wrong", "2025-03-10", "2025-03-11", "2025-03-20")
    assert [(command.call.usage_id, command.call.version) for command in plan.commands] == [("a", 2)]


def test_an_old_rated_call_has_rating_zero() -> None:
    """A12: a record without `rating` is read as the first, and a first rating is written without it."""
    world = with_lists(ada("MCOPSTNPP"))
    first = world.call(HARARE, 600)
    assert b'"rating"' not in encode(first)
    assert b'"reason"' not in encode(first)
    assert msgspec.json.decode(encode(first), type=RatedCall).rating == 0
    command = msgspec.json.decode(encode_input(rerating_of(first, "wrong", at("2025-03-20"))), type=CallRerated)
    assert command == rerating_of(first, "wrong", at("2025-03-20"))


def test_a_call_for_help_that_nobody_answered_is_rated_again() -> None:
    """A14, rule 73: 911 of no second costs nothing with another list either."""
    world = with_lists(ada("MCOPSTNPP"))
    call = world.call("911", 0)
    assert (again(world, call, "wrong").charge, world.outcome) == ("0", Outcome.CORRECTED)
    call = world.call("999", 0, emergency=True)
    assert (again(world, call, "wrong").charge, world.outcome) == ("0", Outcome.CORRECTED)


def test_what_the_switch_says_is_no_call_for_help_is_none_when_it_is_rated_again() -> None:
    """A14: a user in Germany and a number that ends as the one for help there, with a list ten times as dear."""
    world = with_lists(World()).user("ada", "DE", "MCOPSTNPP")
    call = world.call("+49112", 60, emergency=False)
    dear = again(world, call, "wrong")
    assert parse_micros(dear.charge) == 10 * parse_micros(call.charge) > 0


@pytest.mark.parametrize(
    ("called", "prefix", "expected"),
    [
        ("+372500****", "3725001", "+3725001****"),  # a digit that is hidden now was part of the prefix
        ("+372500****", "372", "+372500****"),
        ("+372500****", "4425001", "+372500****"),
        ("+3725001234", "3725001234", "+3725001234"),
    ],
)
def test_hidden_digits_that_priced_a_call_price_it_again(called: str, prefix: str, expected: str) -> None:
    """Of a user who was erased: as many digits as the prefix has, which the record says."""
    call = msgspec.structs.replace(ada("MCOPSTNPP").call(LONDON), called=called, prefix=prefix)
    assert record_as_rated(call).called == expected
