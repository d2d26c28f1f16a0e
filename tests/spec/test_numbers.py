"""Numbers in every spelling, calls for help, and countries that share a calling code: A26, A36, A38, A39, A49."""

import random
from pathlib import Path

import phonenumbers
import pytest

from rater.core.country_names import country_of_name
from rater.core.geography import INTERNATIONAL_PLAN
from rater.core.inputs import DeckActivated, RateDeck, RateRow
from rater.core.numbering import country_of, prefix_region, region_of
from rater.core.numbering_plan import EMERGENCY, REGIONS, VERSION
from rater.core.numbers import domain_of, is_withheld, normal_number
from rater.core.outputs import RatedCall
from rater.core.tariff import Tariff
from rater.dev.numbering_plan_generator import TABLE, table
from tests.agents.switch import A_DAY, Switch, may
from tests.conftest import ROOT
from tests.world import JAMAICA, LONDON, US, T, World, ada, at, pockets

SEATTLE = "+12065550100"
JERSEY, VATICAN, KAZAKHSTAN, ALAND, DOMINICAN = (
    "+441534555012",
    "+390669812345",
    "+77012345678",
    "+35818123456",
    "+18095550123",
)
DESTINATIONS = ROOT.parent / "shared" / "data" / "international-plan-destinations-2021.txt"


@pytest.mark.parametrize(
    "text",
    [
        "+1 (206) 555-0100",
        "+1.206.555.0100",
        "+1\u00a0206\u00a0555\u00a00100",
        "tel:+1-206-555-0100",
        "TEL:+12065550100;ext=5",
        "sip:+12065550100@sbc.example",
        "SIP:+12065550100",
        "sips:+12065550100@sbc.example:5061;transport=tls",
        "+12065550100@sbc.example",
        "sip:+12065550100;ext=5@sbc.example;user=phone",
        "sip:+1(206)555-0100:secret@sbc.example",
        "sip:%2B12065550100@sbc.example",
        '"Ada" <sip:+12065550100@sbc.example>;tag=7',
        "+12065550100;phone-context=+1",
    ],
)
def test_a_number_in_a_uri_is_the_number(text: str) -> None:
    """A39: the user part is the number when it begins with `+`; plain numbers are read the same way."""
    call = ada("MCOPSTN1").call(text, 60, calling=text)
    assert (normal_number(text), call.called, call.calling) == (SEATTLE, SEATTLE, SEATTLE)
    assert pockets(call) == [("pool", 1)]


def test_a_hidden_tail_is_legal_in_a_uri() -> None:
    """A39, rule 72: a trailing run of `*` is part of the number."""
    assert normal_number("sip:+1-206-555-****@sbc.example") == "+1206555****"


@pytest.mark.parametrize(
    "text",
    [
        "2065550100",
        "sip:2065550100@sbc.example;user=phone",
        "tel:2065550100",
        "sip:2065550100",
        "+1206555O100",
    ],
)
def test_digits_without_a_plus_sign_are_no_number(text: str) -> None:
    """A39: they are refused as the called number, and no country is guessed."""
    world = ada("MCOPSTN1")
    assert normal_number(text) == text
    assert world.cdr(text, 60) == "rejected"
    assert world.refusals == ["not_e164"]


def test_a_plus_sign_may_stand_within_separators() -> None:
    """A39: parentheses around the country code are separators like others."""
    assert normal_number("(+1)206-555-0100") == "+12065550100"
    assert ada("MCOPSTN1").call("(+1)206-555-0100").called == "+12065550100"


def test_digits_alone_are_never_internal() -> None:
    """A39: not even in one of the tenant's domains."""
    world = ada("MCOPSTN1")
    world.configure("2025-03-02", domains=("contoso.example",))
    assert world.cdr("sip:442079460000@contoso.example", 60) == "rejected"
    assert world.refusals == ["not_e164"]


@pytest.mark.parametrize(
    "address",
    [
        "sip:bob@contoso.example",
        "bob@CONTOSO.example",
        "SIPS:bob@Contoso.Example:5061;transport=tls",
        "<sip:bob@contoso.example>",
    ],
)
def test_an_address_is_internal_in_the_tenants_own_domains_only(address: str) -> None:
    """A39, rule 15: domains are compared without port and case; elsewhere it is no number."""
    world = ada("MCOPSTN1")
    assert world.cdr(address, 60) == "rejected"
    assert world.refusals == ["not_e164"]
    world.configure("2025-03-02", domains=("fabrikam.example", "Contoso.example:5060"))
    assert pockets(world.call(address, 60)) == [("free", 1)]
    assert world.cdr("sip:bob@other.example", 60) == "rejected"


def test_an_invalid_domain_is_refused() -> None:
    """A39: a configuration with a wrong domain is refused, and changes nothing."""
    world = ada()
    world.configure("2025-03-02", domains=("sip:bob@contoso.example",))
    assert (world.outcome, world.account.domains) == ("rejected", ())


def test_an_address_that_a_toll_free_number_was_called_from_counts_as_withheld() -> None:
    """A35, A39: the `*` row, as for an anonymous caller, even where the address begins with digits."""
    assert is_withheld("1206@sbc.example")
    for calling in ("sip:bob@other.example", "12065550100@sbc.example"):
        call = World().call("+18005550100", 60, type="ucap_in", user=None, calling=calling, toll_free=True)
        assert call.charge == "0.3"


def test_the_same_number_in_another_spelling_is_the_same_content() -> None:
    """A39, A41: content is compared after numbers have their normal form."""
    world = ada("MCOPSTN1")
    world.call(SEATTLE, 60, id="x")
    assert world.cdr("sip:+1-206-555-0100@sbc.example", 60, id="x") == "duplicate"
    assert domain_of("sip:bob@Contoso.example:5060;x=y") == "contoso.example"


@pytest.mark.parametrize(
    "called",
    [
        "911",
        "+911",
        "tel:911",
        "tel:+911",
        "sip:911@contoso.example",
        "+911;phone-context=+1",
        "112",
        "+112",
        "tel:112",
        "sip:112@sbc.example:5060",
        "933",
        "+933",
        "+1911",
        "+1112",
    ],
)
def test_emergency_numbers_in_other_clothes(called: str) -> None:
    """A38: free, whatever the pool and the balance; also after the country's calling code."""
    world = ada(funds=None, credits="not_set_up")
    call = world.call(called, 301, id="x")
    assert pockets(call) == [("free", 6)]
    assert call.called is not None
    assert call.called.removeprefix("+").isdigit()
    assert world.cdr(call.called, 301, id="x") == "duplicate"
    assert world.events == []
    assert may(world, called) == ("emergency", A_DAY)


@pytest.mark.parametrize(
    ("country", "called", "help"),
    [
        ("DE", "+49112", True),
        ("DE", "110", True),
        ("DE", "+110", True),
        ("DE", "+49110", True),
        ("DE", "+44999", False),
        ("DE", "+49911", True),
        ("JP", "+81112", True),
        ("DE", "999", False),
        ("DE", "911", True),
        ("GB", "999", True),
        ("GB", "+999", True),
        ("GB", "+933", False),
        ("AU", "000", True),
        ("JP", "119", True),
        ("US", "+9110", False),
        ("US", "9111", False),
        ("US", "+999", False),
        ("US", "110", False),
    ],
)  # fmt: skip
def test_the_lists_are_those_of_the_users_country(country: str, called: str, help: bool) -> None:
    """A38: exactly the digits of a number of the user's country, or 112 or 911."""
    world = ada(country=country, funds=None)
    outcome = world.cdr(called, 60)
    rules = [output.rule for output in world.outputs if isinstance(output, RatedCall)]
    assert (outcome == "rated" and rules == ["23 emergency"]) is help


def test_an_inbound_call_is_never_an_emergency_call() -> None:
    """A38: what was dialled counts, not who calls."""
    assert ada("MCOPSTN1").call("+911", 60, type="user_in").rule == "16 inbound, toll"


def test_numbers_that_the_plan_lacks_may_be_added() -> None:
    """A38: `emergency_numbers` names country and number."""
    assert ada(country="IT", emergency_numbers=("IT:1530",)).call("1530", 60).rule == "23 emergency"
    assert ada(country="IT", emergency_numbers=("IT:1530",)).call("+391530", 60).rule == "23 emergency"
    assert ada(country="FR", emergency_numbers=("IT:1530",)).cdr("1530", 60) == "rejected"


def test_an_unknown_user_has_the_lists_of_the_tenants_countries() -> None:
    """A36: those of all countries in which the tenant has users, besides 112 and 911."""
    world = World(funds=None).user("ada", "US").user("gil", "GB")
    for called in ("999", "+44999", "933", "112", "911", "+911"):
        assert world.call(called, 60, user="nobody").rule == "23 emergency"
    assert world.cdr("110", 60, user="nobody") == "rejected"
    assert World().cdr("999", 60, user="nobody") == "rejected"
    assert World().call("112", 60, user="nobody").rule == "23 emergency"


def test_the_country_that_a_record_says_adds_to_the_lists_of_the_tenants_countries() -> None:
    """A36: of an unknown user the record's country is no reason to leave out those in which the tenant has users."""
    world = World(funds=None).user("gil", "GB")
    for called in ("999", "110", "+49110"):
        assert world.call(called, 60, user="nobody", user_country="DE").rule == "23 emergency"
    assert world.cdr("110", 60, user="gil", user_country="DE") == "rejected"


def test_a_running_call_for_help_is_never_ended() -> None:
    """A38, rule 40: five cents do not pay for a call to India, and `+911` is no emergency number."""
    for called in ("911", "+911", "tel:112", "sip:911@contoso.example"):
        switch = Switch(World(funds="0.05").user("ada", "US", "MCOPSTN_PAYG_1", "MCOPSTNPP"))
        switch.start("a", called)
        for _ in range(4):
            assert switch.wait(60) == []
            assert switch.beat("a", called) == []


@pytest.mark.parametrize(
    ("country", "called", "side", "pocket", "shown"),
    [
        ("US", JAMAICA, "international", "unfunded", "JM"),
        ("US", DOMINICAN, "international", "unfunded", "DO"),
        ("US", SEATTLE, "domestic", "pool", "US"),
        ("CA", "+12042345678", "domestic", "pool", "CA"),
        ("GB", LONDON, "domestic", "pool", "GB"),
        ("GB", JERSEY, "international", "unfunded", "JE"),
        ("IT", "+390612345678", "domestic", "pool", "IT"),
        ("IT", VATICAN, "international", "unfunded", "VA"),
    ],
)  # fmt: skip
def test_the_numbering_plan_decides_what_is_domestic(
    country: str, called: str, side: str, pocket: str, shown: str
) -> None:
    """A49, rule 21: under a shared calling code the plan says the country, and the row the price."""
    call = ada("MCOPSTN1", country=country).call(called, 60)
    assert (call.context, pockets(call), call.country) == (side, [(pocket, 1)], shown)


def test_the_row_decides_the_price() -> None:
    """A49: a Dominican number under the root row costs what the root row says."""
    call = ada("MCOPSTN_PAYG_1", "MCOPSTNPP").call(DOMINICAN, 60)
    assert (call.prefix, call.charge, call.country) == ("1", "0.01", "DO")


@pytest.mark.parametrize("called", ["+1809555****", "+1809", "+180955501234"])
def test_where_the_plan_knows_no_region_the_row_decides(called: str) -> None:
    """A49: a number with `*`, and one of a length that no plan has, take the row's country."""
    expected = "DO" if called != "+1809555****" else "US"
    assert ada("MCOPSTN1").call(called, 60).country == expected


def test_jersey_counts_as_britain_abroad() -> None:
    """A49, rules 20, 27, 28: for the international list, Zone A and dial-out, not for what is domestic."""
    assert pockets(ada("MCOPSTN2", country="GB").call(JERSEY, 60)) == [("pool", 1)]
    world = World(conferencing_licenses=1).user("olga", "GB", "MCOMEETADV")
    assert pockets(world.call(JERSEY, 60, user="olga", type="conf_out")) == [("pool", 1)]


ISLANDS = {"JE": JERSEY, "GG": "+441481256789", "IM": "+441624756789", "mobile": "+447797555012"}


@pytest.mark.parametrize("called", ISLANDS.values(), ids=ISLANDS)
def test_the_islands_are_abroad_for_british_users_and_britain_for_all_others(called: str) -> None:
    """A49: JE, GG and IM are not domestic for GB users; the international list, Zone A and dial-out count them as GB."""
    world = World(conferencing_licenses=1).user("olga", "GB", "MCOMEETADV")
    world.user("one", "GB", "MCOPSTN1").user("two", "GB", "MCOPSTN2").user("us", "US", "MCOPSTN2")
    assert pockets(world.call(called, user="one")) == [("unfunded", 1)]
    for user, type in (("two", "user_out"), ("us", "user_out"), ("olga", "conf_out")):
        assert pockets(world.call(called, user=user, type=type)) == [("pool", 1)], user
    assert world.pool("MCOPSTN2/GB/international/2025-03")[0] == 1
    assert world.call("+4415345550**", user="one").context == "domestic"


@pytest.mark.parametrize(
    ("country", "called", "row", "context"),
    [
        ("FI", "+35818123456", "FI", "domestic"),
        ("AX", "+358401234567", "FI", "domestic"),
        ("NO", "+4779021234", "NO", "domestic"),
        ("SJ", "+4722123456", "NO", "domestic"),
        ("AU", "+61891641234", "AU", "domestic"),
        ("AU", "+61891621234", "AU", "domestic"),
        ("CX", "+61891621234", "AU", "domestic"),
        ("GP", "+590590271234", "GP", "domestic"),
        ("MF", "+590590271234", "GP", "domestic"),
        ("MA", "+212528812345", "EH", "domestic"),
        ("MA", "+2125288*****", "EH", "domestic"),
        ("EH", "+212522123456", "MA", "domestic"),
        ("RU", "+77012345678", "RU", "international"),
        ("KZ", "+77012345678", "RU", "domestic"),
        ("RU", "+7701234****", "RU", "domestic"),
        ("IT", VATICAN, "IT", "international"),
        ("VA", VATICAN, "IT", "domestic"),
        ("RE", "+262639012345", "RE", "international"),
        ("CW", "+59994351234", "BQ", "domestic"),
        ("BQ", "+59994351234", "BQ", "international"),
    ],
)  # fmt: skip
def test_what_is_domestic_under_every_shared_calling_code(
    country: str, called: str, row: str, context: str
) -> None:
    """A49, rule 21: the plan decides, also where the deck has one row for all; with `*` the row's country does."""
    digits = called[1:4]
    rows = [
        RateRow(
            direction="outbound", prefix=digits, destination=row, country=row, type="landline", price_per_minute="1"
        )
    ]
    world = World(deck=False).user("ada", country)
    world.engine.publish(RateDeck(version="one-row", currency="USD", rows=tuple(rows)))
    world.apply(DeckActivated(tenant=T, id="one-row", at=at("1970-01-01"), version="one-row"))
    assert world.call(called).context == context


def test_jamaica_is_outside_zone_a_whatever_the_row_says() -> None:
    """A49, rule 28: the Dominican Republic under a root row of the United States is no Zone A."""
    world = World(conferencing_licenses=1).user("olga", "US", "MCOMEETADV", "MCOPSTNPP")
    assert pockets(world.call(DOMINICAN, 60, user="olga", type="conf_out")) == [("credit", 1)]
    assert pockets(world.call(US, 60, user="olga", type="conf_out")) == [("pool", 1)]


def test_territories_count_as_their_country() -> None:
    """A49: AX, SJ, CX, CC, BL, MF and EH count as FI, NO, AU, AU, GP, GP and MA."""
    pairs = [
        ("+35818123456", "AX", "FI"),
        ("+4779021234", "SJ", "NO"),
        ("+61891641234", "CX", "AU"),
        ("+61891621234", "CC", "AU"),
    ]
    pairs += [("+590590271234", "BL", "GP")]
    for number, region, country in pairs:
        assert (region_of(number), country_of(number, "XX")) == (region, country)
    assert country_of("+212528812345", "EH") == country_of("+2125288*****", "EH") == "MA"


@pytest.mark.in_memory
def test_the_table_is_what_the_generator_makes() -> None:
    """A38, A49: the committed table comes from the metadata of the version that it names."""
    if phonenumbers.__version__ != VERSION:
        pytest.skip(f"the table was made from phonenumbers {VERSION}")
    assert Path(TABLE).read_text() == table()


@pytest.mark.in_memory
def test_the_table_knows_what_phonenumbers_knows() -> None:
    """A49: the region of 20,000 numbers, valid ones and others, and of each region's example."""
    draw = random.Random(49)
    numbers = [
        f"+{code}{draw.randrange(10 ** draw.choice([6, 7, 8, 9, 9, 10, 10, 10]))}"
        for code in REGIONS
        for _ in range(2000)
    ]
    examples = [phonenumbers.example_number(region) for regions in REGIONS.values() for region, _ in regions]
    numbers += [
        f"+{found.country_code}{phonenumbers.national_significant_number(found)}" for found in examples if found
    ]
    known = 0
    for number in numbers:
        parsed = phonenumbers.parse(number) if len(number) > 6 else None
        if parsed and f"+{parsed.country_code}{phonenumbers.national_significant_number(parsed)}" == number:
            known += region_of(number) is not None
            assert region_of(number) == phonenumbers.region_code_for_number(parsed), number
    assert known > 5000


def test_the_lists_of_emergency_numbers_are_exact() -> None:
    """A38: every number of the lists is one by `is_emergency_number`."""
    assert all(
        phonenumbers.is_emergency_number(number, country)
        for country, numbers in EMERGENCY.items()
        for number in numbers.split()
    )


def test_a_prefix_has_a_region_where_all_its_numbers_have_the_same() -> None:
    """A49: lint compares rows only where the prefix alone says the country."""
    assert [prefix_region(prefix) for prefix in ("1876", "1", "7727", "33", "441534")] == [
        "JM",
        None,
        "KZ",
        None,
        "JE",
    ]


def test_a_premium_prefix_without_a_premium_row() -> None:
    """A26: free and flagged, also where an ordinary row has exactly that prefix."""
    rows = [
        RateRow(
            direction="outbound",
            prefix=prefix,
            destination="UK",
            country="GB",
            type="landline",
            price_per_minute="0.1",
        )
        for prefix in ("44", "44844", "4484512")
    ]
    tariff = Tariff(RateDeck(version="d", currency="USD", rows=tuple(rows)))
    found = {
        called: tariff.to(called, at("2025-03-01"))
        for called in ("+448441234567", "+448431234567", "+448451234567", "+442079460000")
    }
    assert [rate.priced for rate in found.values() if rate] == [False, False, True, True]


@pytest.mark.parametrize(
    "name", ["Slovenia", "Slovakia", "Serbia", "South Sudan", "Netherlands Antilles", "Vatican City"]
)
def test_slovenia_is_a_destination_of_the_international_plan(name: str) -> None:
    """Rule 20: a call there takes minutes of the international pool."""
    assert country_of_name(name) in INTERNATIONAL_PLAN


def test_every_destination_of_the_published_list_is_in_the_plan() -> None:
    """Rule 20: the 198 names of the public page."""
    if not DESTINATIONS.exists():
        pytest.skip("the public list is not beside this checkout")
    names = DESTINATIONS.read_text().split("\n")
    assert {name for name in names if name.strip() and country_of_name(name) not in INTERNATIONAL_PLAN} == set()


def test_the_cases_of_calls_for_help_and_uris() -> None:
    """A38, A39: the called numbers of the case plus911-and-sip-uris, by a user in the United States."""
    world = ada("MCOPSTN_PAYG_1", "MCOPSTNPP")
    london = [
        "sip:+442079460000@sbc.example",
        "+442079460000@sbc.example",
        "SIP:+442079460000",
        "sips:+442079460000@x.example",
    ]
    assert {world.call(called, 61).charge for called in london} == {"0.1"}
    for called in ("sip:442079460000@sbc.example;user=phone", "442079460000@10.0.0.1", "sip:bob@contoso.example"):
        assert world.cdr(called, 61) == "rejected"
    for called in ("+911", "+112", "+933", "112", "+911;phone-context=+1", "tel:911", "sip:911@contoso.example"):
        assert world.call(called, 61).rule == "23 emergency"
    assert world.call("+999", 61).anomalies == ("no_rate",)
