"""Every field of a rated call, for one call of each kind; capabilities of usage rows; decks by the instant.

A minute to London costs 0.05, to Paris 0.07, to Harare 0.2; toll-free from the United States 0.022, from Canada 0.025.
"""

from typing import Any

import msgspec
import pytest

from rater.core.inputs import DeckActivated, RateDeck, RateRow
from rater.core.outputs import RatedCall
from rater.files.deck_csv import read_deck
from tests.world import DECK, HARARE, LONDON, PARIS, US, T, World, ada, at, plain, pockets

OBJECT_ID = "9c4984c7-6c3c-427d-a30c-bd0b2eacee90"
ALWAYS = {
    "tenant": T, "usage_id": "c", "version": 1, "outcome": "rated", "answered_at": "2025-03-10T10:00:00Z",
    "duration_s": 61, "received_at": "2025-03-10T10:01:01Z", "period": "2025-03", "minutes": 2, "currency": "USD",
    "unfunded_charge": "0", "connection_fee": "0", "calling": "+14255550100", "deck": "deck-1",
}  # fmt: skip
ON_ADA = {"user": "ada", "user_country": "US"}
CREDIT = {"increments": "60/60", "billed_overflow_s": 61, "capability": "MCOPSTNPP"}


def whole(call: RatedCall) -> dict[str, Any]:
    """All fields, without ids and hashes."""
    return {k: v for k, v in plain(call).items() if k not in ("id", "sequence", "source", "content")}


def paid(amount: str, minutes: int = 2) -> dict[str, Any]:
    lots = ({"lot": "funds-1", "amount": amount},)
    return {"pocket": "credit", "minutes": minutes, "charge": amount, "lots": lots}


def test_a_call_on_credit() -> None:
    """2 x 0.05 = 0.1; everything that the switch said about the call stays with it."""
    said: dict[str, Any] = {
        "call_id": "leg",
        "conference_id": "m",
        "user_object_id": OBJECT_ID,
        "user_display_name": "Ada",
        "authorized_s": 300,
    }
    call = ada("MCOPSTN5", "MCOPSTNPP").call(LONDON, 61, id="c", **said)
    assert whole(call) == ALWAYS | ON_ADA | CREDIT | said | {
        "type": "user_out", "rule": "17, 20 calling plan", "called": LONDON, "context": "international",
        "country": "GB", "destination": "United Kingdom", "prefix": "44", "price_per_minute": "0.05",
        "charge": "0.1", "balance": "99.9", "segments": (paid("0.1"),),
    }  # fmt: skip


def test_a_call_on_a_pool() -> None:
    """Two of 120 minutes; no price, since no money was needed."""
    call = ada("MCOPSTN5", "MCOPSTNPP").call(US, 61, id="c")
    pool = {"pool": "MCOPSTN5/US-PR/2025-03", "pool_used_before": 0, "pool_used_after": 2, "pool_total": 120}
    assert whole(call) == ALWAYS | ON_ADA | {
        "type": "user_out", "rule": "17, 20 calling plan", "called": US, "context": "domestic", "country": "US",
        "destination": "United States", "prefix": "1", "charge": "0", "balance": "100", "capability": "MCOPSTN5",
        "segments": ({"pocket": "pool", "minutes": 2, **pool},),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("calling", "amount", "balance", "price", "country", "prefix", "name"),
    [
        ("+14255550100", "0.044", "99.956", "0.022", "US", "1", "the United States"),
        ("+14165550100", "0.05", "99.95", "0.025", "CA", "1416", "Canada"),
    ],
)
def test_a_toll_free_call_of_a_queue(
    calling: str, amount: str, balance: str, price: str, country: str, prefix: str, name: str
) -> None:
    """Rule 42: priced by its origin, whose country it shows; of the tenant only."""
    world = World()
    call = world.call(US, 61, id="c", user=None, type="ucap_in", toll_free=True, calling=calling)
    assert whole(call) == ALWAYS | CREDIT | {
        "type": "ucap_in", "rule": "39 toll-free inbound", "number_type": "toll_free", "calling": calling,
        "called": US, "country": country, "destination": f"Toll-free from {name}", "prefix": prefix,
        "price_per_minute": price, "charge": amount, "balance": balance,
        "segments": (paid(amount),),
    }  # fmt: skip


def test_a_call_that_straddles_the_end_of_the_dial_out_pool() -> None:
    """Rule 29: 60 minutes of the pool, one of 0.07; the user's row is that of the money."""
    world = ada("MCOMEETADV", "MCOPSTNPP", conferencing_licenses=1)
    call = world.call(PARIS, 61 * 60, id="c", type="conf_out")
    pool = {"pool": "MCOMEETADV/zone-a/2025-03", "pool_used_before": 0, "pool_used_after": 60, "pool_total": 60}
    assert whole(call) == ALWAYS | ON_ADA | CREDIT | {
        "type": "conf_out", "rule": "27 Zone A dial-out", "duration_s": 3660, "minutes": 61,
        "received_at": "2025-03-10T11:01:00Z", "called": PARIS, "context": "international", "country": "FR",
        "destination": "France", "prefix": "33", "price_per_minute": "0.07", "charge": "0.07", "balance": "99.93",
        "billed_overflow_s": 60, "segments": ({"pocket": "pool", "minutes": 60, **pool}, paid("0.07", 1)),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("skus", "type", "called", "capability"),
    [
        (("MCOPSTN5", "MCOMEETADV"), "user_out", HARARE, "MCOPSTN5"),
        (("MCOPSTN5", "MCOMEETADV"), "conf_out", HARARE, "MCOMEETADD"),
        (("MCOMEETADV",), "conf_out", HARARE, "MCOMEETADD"),
        (("MCOPSTN5",), "conf_out", HARARE, "MCOPSTN5"),
        (("MCOPSTN_PAYG_1",), "user_out", HARARE, "MCOPSTN_PAYG_1"),
        ((), "user_out", HARARE, None),
        (("MCOPSTN5",), "user_out", "+68212345", "FREECALL"),
        (("MCOPSTN5",), "user_in", US, "MCOPSTN5"),
        (("MCOMEETADV", "MCOPSTN5"), "conf_in", US, "MCOMEETADD"),
    ],
)
def test_the_licence_of_a_usage_row(skus: tuple[str, ...], type: str, called: str, capability: str | None) -> None:
    """Where no money moves it is the plan's or the conference's; credits are not set up here."""
    world = ada(*skus, funds=None, credits="not_set_up")
    assert world.call(called, 60, type=type).capability == capability


@pytest.mark.parametrize(
    ("credits", "reason"), [("enabled", "no_credits_license"), ("not_set_up", "credits_not_set_up")]
)
def test_why_a_user_was_restricted(credits: Any, reason: str) -> None:
    """Rule 50: the user has no licence for credits, or the tenant set none up."""
    world = ada("MCOPSTN5", credits=credits)
    world.call(HARARE)
    emitted = [plain(output) for output in world.outputs]
    assert [output["reason"] for output in emitted if "reason" in output] == [reason, reason]


def deck(version: str, *rows: RateRow) -> RateDeck:
    return msgspec.structs.replace(read_deck(DECK, version=version), rows=rows)


def row(prefix: str, price: str, direction: Any = "outbound") -> RateRow:
    return msgspec.structs.replace(
        read_deck(DECK, version="x").rows[0], direction=direction, prefix=prefix, price_per_minute=price
    )


def test_a_deck_is_in_force_from_its_instant_on() -> None:
    """The call's start decides: a second before, the former deck; the instant itself, the new one."""
    world = ada("MCOPSTNPP")
    world.engine.publish(deck("deck-2", row("263", "0.9")))
    instant = at("2025-03-10 10:00")
    world.apply(DeckActivated(tenant=T, id="two", at=at("2025-03-02"), version="deck-2", effective_from=instant))
    used = [
        world.call(HARARE, 60, when) for when in ("2025-03-10 09:59:59", "2025-03-10 10:00", "2025-03-10 10:00:01")
    ]
    assert [(call.deck, call.charge) for call in used] == [("deck-1", "0.2"), ("deck-2", "0.9"), ("deck-2", "0.9")]


def test_a_row_prices_its_direction_only() -> None:
    """Rule 42: the price of toll-free calls from Poland does not apply to calls to Poland, nor the reverse."""
    world = ada("MCOPSTNPP", deck=False)
    world.engine.publish(deck("one", row("48", "0.5", "toll_free_inbound"), row("263", "0.2")))
    world.apply(DeckActivated(tenant=T, id="one", at=at("2025-03-02"), version="one"))
    assert pockets(world.call("+48123456789")) == [("free", 1)]
    inbound: dict[str, Any] = {"user": None, "type": "ucap_in", "toll_free": True}
    assert world.call(US, 60, calling="+48123456789", **inbound).charge == "0.5"
    assert pockets(world.call(US, 60, calling=HARARE, **inbound)) == [("free", 1)]


@pytest.mark.parametrize(("pooled", "balance"), [(2, "100"), (3, "99.98")])
def test_minutes_of_a_pool_are_taken_before_money(pooled: int, balance: str) -> None:
    """118 + 2 are all; the third minute beyond is 2 x 0.01 with the second."""
    world = ada("MCOPSTN5", "MCOPSTNPP")
    world.call(US, 118 * 60)
    world.call(US, (2 if pooled == 2 else 4) * 60)
    assert (world.pool("MCOPSTN5/US-PR/2025-03"), world.balance) == ((120, 120), balance)


def test_the_warning_is_by_the_total_of_now() -> None:
    """Rule 56: five hold the plan, a sixth joins on the 15th; 80 percent of 720 are 576 minutes, not 575."""
    world = World()
    for name in ("a", "b", "c", "d", "e"):
        world.user(name, "US", "MCOPSTN5")
    world.user("f", "US").assign("f", "MCOPSTN5", "2025-03-01", effective_from=at("2025-03-15"))
    world.tick("2025-03-20")
    world.call(US, 575 * 60, "2025-03-14", user="a")
    assert world.events == []
    world.call(US, 60, "2025-03-14", user="a")
    assert world.events == ["pool.warning"]


def test_two_users_with_new_names_stay_two() -> None:
    """A40: each object id means its user, and so does each new name."""
    world = World()
    for name, digit in (("ada", "1"), ("bob", "2")):
        id = f"{digit * 8}-0000-0000-0000-000000000000"
        world.user(name, "US", "MCOPSTNPP")
        world.configure_user(name, "2025-03-01", object_id=id)
        world.configure_user(f"{name}.new", "2025-03-02", object_id=id)
    assert [world.call(US, user=f"{name}.new").user for name in ("ada", "bob")] == ["ada", "bob"]


def test_the_id_of_a_version_never_changes() -> None:
    """Rule 71: whoever stored a call finds it again by the same id, whatever release rates it."""
    world = ada("MCOPSTNPP")
    ids = [world.call(US, 60, id="c").id, world.call(US, 61, id="c", version=2).id]
    assert ids == ["677f48e4cf19c43d088d45ad4cc3f7c0", "63a338afbdf943aa84caa399516a8bdf"]


def test_the_licence_of_a_call_that_found_its_pool_empty() -> None:
    """Its row is the plan's: no money moved."""
    world = ada("MCOPSTN5")
    world.call(US, 120 * 60)
    call = world.call(US)
    assert (pockets(call), call.capability) == ([("unfunded", 1)], "MCOPSTN5")


def test_a_user_named_like_the_country_of_a_pool() -> None:
    """A40: a pool's name says a country, and not a user; a correction finds the same pool."""
    world = ada("MCOPSTN5").user("us-pr", "US", "MCOPSTN5")
    world.call(US, 600, id="c")
    world.cdr(US, 60, id="c", version=2)
    assert world.pool("MCOPSTN5/US-PR/2025-03") == (1, 240)


def test_a_conflicting_record_without_a_user_is_kept_aside() -> None:
    """Rule 71: a queue's call, its caller spelled in another way, with other seconds: nothing of it is rated."""
    inbound: dict[str, Any] = {"user": None, "type": "ucap_in", "id": "c"}
    world = World()
    world.call(US, 60, calling="tel:+14255550100", **inbound)
    assert world.cdr(US, 61, calling="tel:+1-425-555-0100", **inbound).value == "conflicting_duplicate"
    assert world.cdr(US, 60, calling="tel:+1-425-555-0100", **inbound).value == "duplicate"


@pytest.mark.parametrize(
    ("sku", "emitted"),
    [
        ("MCOEV", []),
        ("UNHEARD-OF", []),
        ("MCOPSTNPP", ["user.unrestricted"]),
        ("MCOPSTN1", ["user.unrestricted"]),
        ("MCOMEETADV", ["user.unrestricted"]),
    ],
)
def test_which_licences_lift_a_restriction(sku: str, emitted: list[str]) -> None:
    """Rule 53: those that give minutes for calls, or credits."""
    world = ada("MCOPSTN5", funds=None)
    world.call(HARARE)
    assert world.assign("ada", sku, "2025-03-11") == emitted
