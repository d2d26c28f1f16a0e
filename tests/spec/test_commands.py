"""Commands that are refused: another currency's deck, an id that was used, invalid countries and policies."""

from typing import Any

import msgspec
import pytest

from rater.core.entities import Seen
from rater.core.inputs import (
    EVERY_TENANT,
    DeckActivated,
    FundsAdded,
    LicenseAssigned,
    PaymentFailed,
    RechargeSettings,
    TenantConfigured,
    UserConfigured,
)
from rater.core.outputs import RejectedCdr
from rater.core.reasons import Outcome
from rater.files.deck_csv import read_deck
from tests.world import BEGINNING, DECK, HARARE, T, World, at, pockets


def refused(world: World) -> tuple[str, str]:
    """The reason and the message of the only dead letter."""
    (letter,) = [output for output in world.outputs if isinstance(output, RejectedCdr)]
    return letter.reason.value, letter.message


def in_euros(world: World) -> None:
    """Publish the fixture's deck in euros."""
    world.engine.publish(msgspec.structs.replace(read_deck(DECK, version="euro"), currency="EUR"))


def test_a_tenant_cannot_be_given_a_deck_of_another_currency() -> None:
    """The tenant's ledger is in USD: prices in EUR cannot be debited from it."""
    world = World(deck=False)
    in_euros(world)
    world.apply(DeckActivated(tenant=T, id="euro", at=BEGINNING, version="euro"))
    message = "expected a deck in the tenant's currency USD, got deck 'euro' in EUR"
    assert (world.outcome, refused(world)) == (Outcome.REJECTED, ("currency_mismatch", message))


def test_everybodys_deck_of_another_currency_prices_nothing() -> None:
    """Rule 48: no deck in the tenant's currency is no rate: free, with an event; its own currency's deck prices it."""
    world = World(deck=False).user("ada", "US", "MCOPSTNPP")
    in_euros(world)
    world.apply(DeckActivated(tenant=EVERY_TENANT, id="euro", at=BEGINNING, version="euro"))
    call = world.call(HARARE)
    assert (pockets(call), call.charge, world.events) == ([("free", 1)], "0", ["rating.exception"])
    world.apply(DeckActivated(tenant=EVERY_TENANT, id="dollar", at=BEGINNING, version="deck-1"))
    world.apply(DeckActivated(tenant=EVERY_TENANT, id="euro again", at=BEGINNING, version="euro"))
    assert (world.call(HARARE).charge, world.call(HARARE).deck) == ("0.2", "deck-1")


def funds(id: str, amount: str, when: str = "2025-03-02", **more: Any) -> FundsAdded:
    return FundsAdded(tenant=T, id=id, at=at(when), amount=amount, **more)


@pytest.mark.parametrize(
    "again", [funds("f", "70", "2025-03-05"), funds("f", "70.0"), funds("f", "70", currency="USD", source="manual")]
)
def test_the_same_funds_again_are_a_duplicate(again: FundsAdded) -> None:
    """100 + 70, once: at another time, written in another way, or with the default written out."""
    world = World()
    world.apply(funds("f", "70"))
    world.apply(again)
    assert (world.outcome, world.refusals, world.balance) == (Outcome.DUPLICATE, [], "170")


@pytest.mark.parametrize(
    ("again", "got"),
    [
        (funds("f", "80"), "funds_added 80 USD"),
        (funds("f", "70.5"), "funds_added 70.5 USD"),
        (funds("f", "70", currency="EUR"), "funds_added 70 EUR"),
    ],
)
def test_other_funds_under_an_id_that_was_used_are_refused(again: FundsAdded, got: str) -> None:
    """Money is never lost silently: a dead letter names both and what to do."""
    world = World()
    world.apply(funds("f", "70"))
    world.apply(again)
    message = (
        f"expected an id of its own for '{got}': 'f' was used by 'funds_added 70 USD'"
        " at 2025-03-02T00:00:00+00:00; nothing was added"
    )
    assert (world.outcome, refused(world)) == (Outcome.CONFLICTING_DUPLICATE, ("conflicting_duplicate", message))
    assert world.balance == "170"


@pytest.mark.parametrize(("id", "kind"), [("setup", "tenant_configured"), ("u", "user_configured")])
def test_funds_under_the_id_of_another_command_are_refused(id: str, kind: str) -> None:
    """A tenant's ids are one list, whatever the command; the first configuration has one too."""
    world = World()
    world.apply(UserConfigured(tenant=T, id="u", at=BEGINNING, user="ada"))
    world.apply(funds(id, "70"))
    reason, message = refused(world)
    assert (reason, world.balance) == ("conflicting_duplicate", "100")
    assert message.startswith(
        f"expected an id of its own for 'funds_added 70 USD': '{id}' was used by '{kind}' at "
    )


@pytest.mark.in_memory
def test_funds_that_an_older_rater_applied() -> None:
    """It did not remember what a command said: the same id again is a duplicate, as it was then."""
    world = World()
    world.memory.entities["seen"][(T, "command/f")] = Seen(at("2025-03-02"))
    world.apply(funds("f", "70"))
    assert (world.outcome, world.refusals) == (Outcome.DUPLICATE, [])


def test_other_commands_under_an_id_that_was_used_are_duplicates() -> None:
    """Agents repeat the gateway's answers with other words and times."""
    world = World(funds="50", recharge=("100", "10")).user("ada", "US", "MCOPSTNPP")
    world.call(HARARE)
    world.apply(PaymentFailed(tenant=T, id="answer", at=at("2025-03-11"), reason="declined"))
    world.apply(PaymentFailed(tenant=T, id="answer", at=at("2025-03-12"), reason="card lost"))
    assert (world.outcome, world.refusals) == (Outcome.DUPLICATE, [])
    world.apply(TenantConfigured(tenant=T, id="answer", at=at("2025-03-12"), credits="not_set_up"))
    assert (world.outcome, world.account.credits) == (Outcome.DUPLICATE, True)


@pytest.mark.parametrize(
    "command",
    [
        UserConfigured(tenant=T, id="x", at=BEGINNING, user="ada", country="UK"),
        LicenseAssigned(tenant=T, id="x", at=BEGINNING, user="ada", sku="MCOPSTN1", country="UK"),
        TenantConfigured(tenant=T, id="x", at=BEGINNING, country="UK"),
        TenantConfigured(tenant="fabrikam", id="x", at=BEGINNING, currency="GBP", country="UK"),
    ],
)
def test_an_invalid_country_is_refused_with_the_one_that_is_meant(command: Any) -> None:
    """ISO 3166-1: the United Kingdom is GB; a user in UK would have no domestic calls and no minutes."""
    world = World()
    world.apply(command)
    message = "expected an ISO 3166-1 alpha-2 country, got 'UK'; did you mean GB?"
    assert (world.outcome, refused(world)) == (Outcome.REJECTED, ("malformed", message))


def test_a_first_configuration_with_an_invalid_amount_is_refused() -> None:
    """The first command of a tenant is looked at as closely as the later ones."""
    world = World()
    terms = RechargeSettings(enabled=True, trigger="fifty", amount="100")
    world.apply(TenantConfigured(tenant="fabrikam", id="1", at=BEGINNING, currency="USD", recharge=terms))
    assert refused(world)[0] == "bad_amount"
    terms = RechargeSettings(enabled=False, trigger="0", amount="0")
    world.apply(TenantConfigured(tenant="fabrikam", id="2", at=BEGINNING, currency="USD", recharge=terms))
    assert world.outcome is Outcome.RATED


def test_an_unknown_policy_is_refused_with_the_twelve() -> None:
    """Rule 24: a misspelt policy would allow every call."""
    world = World()
    world.configure_user("ada", "2025-03-01", outbound_policy="DialoutCPCandPSTNDomestc")
    reason, message = refused(world)
    assert reason == "malformed"
    assert message.startswith("expected one of DialoutCPCDisabledPSTNDomestic, ")
    assert message.endswith("; got 'DialoutCPCandPSTNDomestc'")
    world.configure_user("ada", "2025-03-01", outbound_policy="DialoutCPCandPSTNDomestic")
    assert world.outcome is Outcome.RATED
