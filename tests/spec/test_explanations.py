"""Why a call cost what it did, line by line, as a clerk reads it to a customer.

A minute to London costs 0.05, to Harare 0.2, within the United States 0.01; the pool has 120 minutes.
"""

from typing import Any

import pytest

from rater.core import explain
from rater.core.classify import TABLE
from rater.core.coverage import SAYS
from rater.core.entities import User
from rater.core.outputs import RatedCall
from tests.world import GB_PREMIUM, GB_SPECIAL, HARARE, LONDON, NOWHERE, US, T, World, ada, at


def lines(call: RatedCall, user: User | None = None) -> list[str]:
    return [line.strip() for line in explain(call, user)]


def payer(world: World) -> User:
    user = world.engine.committed().load("user", (T, "ada"))
    assert isinstance(user, User)
    return user


def test_a_call_on_credit_from_its_record_to_its_price() -> None:
    """61 s are two minutes: 2 x 0.05 = 0.1."""
    call = ada("MCOPSTN5", "MCOPSTNPP").call(LONDON, 61, id="c")
    assert lines(call) == [
        "Call c version 1 of contoso: user_out, rated",
        "From +14255550100 to +442079460000, on ada (US).",
        "Started 2025-03-10T10:00:00Z, so it belongs to 2025-03 (UTC).",
        "It lasted 61 s = 2 minutes (61 / 60, rounded up).",
        "By rule 17, 20 calling plan.",
        "The number matches prefix 44 (United Kingdom) of deck deck-1.",
        "2 min from credit: 2 x 0.05 = 0.1 USD, 0.1 from lot funds-1.",
        "Debited: 0.1 USD; the balance after it is 99.9 USD.",
    ]


def test_a_corrected_call_says_what_it_replaces() -> None:
    """Version 1 had three minutes, one of the pool; version 2 has two."""
    world = ada("MCOPSTN5", "MCOPSTNPP")
    world.call(US, 119 * 60)
    world.call(US, 180, id="c")
    found = lines(world.call(US, 120, id="c", version=2))
    assert found[:2] == [
        "Call c version 2 of contoso: user_out, corrected",
        "It replaces version 1, of which everything was given back first.",
    ]
    assert found[7:9] == [
        "1 min from pool MCOPSTN5/US-PR/2025-03: 119 + 1 = 120 of 120 used.",
        "1 min from credit: 1 x 0.01 = 0.01 USD, 0.01 from lot funds-1.",
    ]


@pytest.mark.parametrize(
    ("called", "seconds", "more", "sentence"),
    [
        (US, 0, {}, "It was not connected: 0 seconds, 0 minutes."),
        (US, 1, {}, "It lasted 1 s = 1 minute (1 / 60, rounded up)."),
        (HARARE, 600, {"authorized_s": 600}, "It lasted 600 s = 10 minutes (600 / 60, rounded up)."),
        (
            HARARE,
            601,
            {"authorized_s": 600},
            "It lasted 601 s, but the rater ended it: at most the authorised 600 s are billed, 10 minutes.",
        ),
        (US, 60, {"calling": None}, "From a withheld number to +12065550100, on ada (US)."),
        (GB_SPECIAL, 61, {}, "2 min from credit: 2 x 0.5 + connection fee 0.15 = 1.15 USD, 1.15 from lot funds-1."),
        (GB_PREMIUM, 61, {}, "Note: a number that should not have connected, so the call is free."),
        (GB_PREMIUM, 61, {}, "The number matches prefix 449 (United Kingdom - premium) of deck deck-1."),
        (NOWHERE, 61, {}, "Note: no row of the deck matches the number, so the call is free."),
        (NOWHERE, 61, {}, "2 min free."),
        (
            "+390612345678",
            31,
            {},
            "1 min from credit: 31 s in increments of 30/6 s at 0.06 a minute + connection fee 0.05 = 0.086 USD,"
            " 0.086 from lot funds-1.",
        ),
        (
            US,
            60,
            {"user": None, "type": "ucap_in", "toll_free": True},
            "From +14255550100 to +12065550100, on the tenant itself.",
        ),
        (
            US,
            60,
            {"when": "2025-02-10 10:00", "received_at": at("2025-03-20")},
            "Started 2025-02-10T10:00:00Z, so it belongs to 2025-02 (UTC), late: its month was closed.",
        ),
    ],
)
def test_one_sentence_of_an_explanation(called: str, seconds: int, more: dict[str, Any], sentence: str) -> None:
    """Each fact of a call is named where it holds."""
    call = ada("MCOPSTNPP").call(called, seconds, **more)
    assert sentence in lines(call)


def test_a_call_without_a_row_names_no_prefix() -> None:
    """Rule 48: nothing matched, so there is nothing to name."""
    assert not any("prefix" in line for line in lines(ada("MCOPSTNPP").call(NOWHERE)))


def test_rater_s_own_list_of_premium_prefixes_is_named() -> None:
    """Rule 22: where the deck has no premium row, the list of this house says that the number is premium."""
    (found,) = [line for line in lines(ada("MCOPSTNPP").call("+448431234567")) if "matches" in line]
    assert found.endswith("of rater's own list of premium prefixes; deck deck-1 has no price for it.")


def test_a_call_that_made_debt_says_so() -> None:
    """300 s are five minutes of 0.2; the lot had 0.5."""
    call = ada("MCOPSTNPP", funds="0.5").call(HARARE, 300)
    assert lines(call)[-3:] == [
        "5 min from credit: 5 x 0.2 = 1 USD, 0.5 from lot funds-1, 0.5 from debt.",
        "Note: credit was used up, and the switch let the call go on: what it did not pay is owed.",
        "Debited: 1 USD; the balance after it is -0.5 USD.",
    ]


def test_an_unfunded_call_names_the_licences_that_came_too_late() -> None:
    """Rules 14, 50: each once, and only those that came after the call."""
    world = ada("MCOPSTN5", funds="0.5")
    world.assign("ada", "MCOMEETADV", "2025-03-09")
    call = world.call(HARARE)
    world.assign("ada", "MCOPSTNPP", "2025-03-12")
    world.assign("ada", "MCOPSTN8", "2025-03-14")
    assert lines(call, payer(world))[6:] == [
        "1 min unfunded: 1 x 0.2 = 0.2 USD, not debited: the payer has no access to credits, or the tenant did not"
        " set them up.",
        "Note: ada holds MCOPSTNPP only from 2025-03-12T00:00:00Z on, after this call.",
        "Note: ada holds MCOPSTN8 only from 2025-03-14T00:00:00Z on, after this call.",
        "Debited: 0 USD; the balance after it is 0.5 USD.",
    ]
    assert not any(line.startswith("Note: ada holds") for line in lines(call))


def test_a_funded_call_names_no_later_licences() -> None:
    """They would have changed nothing."""
    world = ada("MCOPSTNPP")
    call = world.call(HARARE)
    world.assign("ada", "MCOPSTN5", "2025-03-12")
    assert not any("only from" in line for line in lines(call, payer(world)))


@pytest.mark.parametrize(
    ("licences", "called", "said"),
    [
        (("MCOPSTN5", "MCOPSTNPP"), LONDON, "The user's plan has no minutes for calls to United Kingdom."),
        (("MCOPSTN5", "MCOPSTNPP"), US, "Minutes of the plan paid for it."),
        (("MCOPSTN5", "MCOPSTNPP"), GB_SPECIAL, "No plan has minutes for premium numbers: they are always paid from credit."),
        (("MCOPSTNPP",), US, "The user's licences give no minutes."),
        (("MCOPSTN5",), "911", "Calls for help cost nothing."),
    ],
)  # fmt: skip
def test_why_minutes_of_a_plan_paid_or_not(licences: tuple[str, ...], called: str, said: str) -> None:
    """Each with the rule behind it."""
    world = ada(*licences)
    call = world.call(called, 60)
    assert lines(call, payer(world))[4] == f"{said} Rule {call.rule}."


def test_minutes_that_were_used_up_are_named() -> None:
    """120 minutes of the month are gone within the first of two calls."""
    world = ada("MCOPSTN5", "MCOPSTNPP")
    first = world.call(US, 121 * 60)
    assert lines(first, payer(world))[4].startswith("Minutes of the plan paid until they were used up.")
    second = lines(world.call(US, 60), payer(world))
    assert second[4].startswith("The minutes of the plan (MCOPSTN5/US-PR/2025-03) were used up.")


def test_every_row_of_the_table_has_its_sentence() -> None:
    """A row that is added says in plain words what it draws on; of calling plans it depends on the user."""
    assert {row.rule for row in TABLE} - set(SAYS) == {"17, 20 calling plan"}
