"""Who is who, and which usage ids are the same: decisions A40 and A41, and content compared after them."""

import json
from typing import Any

import msgspec
import pytest

from rater.core.entities import LiveCall, User
from rater.core.entitlements import merge_users, new_user, stretch_at, with_license
from rater.core.identity import name_key, normal_usage_id, same_user
from rater.core.inputs import CallRecord, LicenseAssigned, LicenseRemoved, UserConfigured
from rater.core.instants import parse_period
from rater.core.mediation import content_hash, former_contents, mediate
from rater.core.numbers import dialled
from rater.core.outputs import AccountEvent, Debit, RatedCall, RejectedCdr, ServiceState
from rater.core.reasons import Refusal
from rater.files.usage_csv import record_of
from rater.wire.codec import decode_call, encode_input
from tests.agents.switch import may
from tests.world import HARARE, LONDON, US, T, World, ada, at, pockets

GUID = "8d344131-a97e-ea41-d7e9-d48a832febc2"
SPELLINGS = [
    GUID,
    GUID.upper(),
    GUID.replace("-", ""),
    GUID.replace("-", "").upper(),
    "{" + GUID + "}",
    "(" + GUID.upper() + ")",
    "{" + GUID.replace("-", "") + "}",
    "urn:uuid:" + GUID,
    "URN:UUID:" + GUID.upper(),
]
MIXED = "Ada@Contoso.example"
ADA_ID = "db1d2f05-c4d7-4f3b-a9d7-7b3f7f4ab7e0"


def users_of(world: World) -> list[str | None]:
    """The users that the outputs of the last step name."""
    kinds = (RatedCall, Debit, AccountEvent, ServiceState)
    return [output.user for output in world.outputs if isinstance(output, kinds) and output.user is not None]


def record(**fields: Any) -> dict[str, Any]:
    """A call of a minute within the United States."""
    return {
        "tenant": T,
        "usage_id": "x",
        "type": "user_out",
        "answered_at": "2025-03-10T10:00:00Z",
        "duration_s": 60,
        "user": "ada",
        "called": US,
    } | fields


def rated_before_a41(world: World, **fields: Any) -> bytes:
    """A record that release 0.3.0 rated: its id and its content as they were spelled; its bytes."""
    raw = json.dumps(record(**fields)).encode()
    decoded = decode_call(raw)
    assert not isinstance(decoded, Refusal)
    cdr, canonical, formerly = decoded
    live = LiveCall(
        cdr.version, content_hash(encode_input(formerly) if formerly else canonical), parse_period("2025-03")
    )
    world.memory.entities["call"][(T, cdr.usage_id)] = live
    return raw


# A40: names of users


@pytest.mark.parametrize(
    "name", ["ada@contoso.example", "ADA@CONTOSO.EXAMPLE", " Ada@contoso.example ", "\tada@contoso.example"]
)
def test_names_are_compared_without_case_and_blanks(name: str) -> None:
    """A40: a record finds the licences of its user however the name is spelled."""
    assert pockets(ada("MCOPSTN1", name=MIXED).call(US, 61, user=name)) == [("pool", 2)]


def test_case_is_that_of_unicode() -> None:
    """A40: casefold, so that the German sharp s and its two capitals are one."""
    assert pockets(ada("MCOPSTN1", name="strauß").call(US, 61, user="STRAUSS")) == [("pool", 2)]


def test_the_first_spelling_of_a_configuration_is_shown() -> None:
    """A40: in the rated call, the debit, the events and the service state."""
    world = ada("MCOPSTNPP", name=MIXED)
    assert world.call(LONDON, 60, user="ADA@contoso.example").user == "Ada@Contoso.example"
    assert users_of(world) == ["Ada@Contoso.example"] * 2
    world.assign("ada@contoso.EXAMPLE", "MCOPSTN1", "2025-03-01")
    assert users_of(world) == ["Ada@Contoso.example"]
    world.remove("ADA@contoso.EXAMPLE", "MCOPSTN1", "2025-03-02")
    assert users_of(world) == ["Ada@Contoso.example"]
    world.configure_user("ADA@contoso.EXAMPLE", "2025-03-03", country="CA")
    assert users_of(world) == ["Ada@Contoso.example"]


def test_a_plan_per_user_is_named_by_the_spelling_that_is_shown() -> None:
    """A40, rule 7: one pool, however the calls spell the user."""
    world = ada("MCOPSTN8", name="Ada")
    world.call(US, 61, user="ADA")
    world.call(US, 61, user="ada")
    assert world.pool("MCOPSTN8/Ada/2025-03")[0] == 4


def test_without_a_configuration_the_first_accepted_record_gives_the_spelling() -> None:
    """A40: a refused record does not."""
    world = World()
    world.cdr("123", user="ADA")
    assert world.refusals == ["not_e164"]
    assert [world.call(US, 60, user=name).user for name in ("Ada", "ada", "ADA")] == ["Ada", "Ada", "Ada"]


def test_a_later_configuration_gives_the_spelling_that_is_shown() -> None:
    """A40: its first spelling goes before that of records."""
    world = World()
    world.call(US, 60, user="ADA")
    world.user("Ada", "US", "MCOPSTN1")
    call = world.call(US, 60, user="ada")
    assert (call.user, pockets(call)) == ("Ada", [("pool", 1)])


def test_a_user_who_is_only_known_from_records_holds_nothing() -> None:
    """A40: the second call is flagged as the first was."""
    world = World()
    for _ in range(2):
        assert "unknown_user" in world.call(US, 60, user="nobody").anomalies
    assert world.remove("Nobody", "MCOPSTN1", "2025-03-11") == []
    assert "unknown_user" in world.call(US, 60, user="NOBODY").anomalies


def test_two_spellings_hold_a_plan_once() -> None:
    """A40, A10: commands whose users differ in case are about one user, who is counted once."""
    world = ada("MCOPSTN1", name="Ada").user("ADA", "US", "MCOPSTN1")
    world.call(US, 60, user="ada")
    assert world.pool("MCOPSTN1/US-PR/2025-03") == (1, 3000)


def test_a_user_is_restricted_and_let_call_again_in_any_spelling() -> None:
    """A40, rule 53: one restriction; the licence that ends it may spell the user as it likes."""
    world = ada(name="Ada")
    world.call(HARARE, 60, user="ADA")
    assert (world.events, set(users_of(world))) == (["user.restricted"], {"Ada"})
    world.call(HARARE, 60, user="ada")
    assert world.events == []
    assert may(world, HARARE, user="aDa") == ("user_restricted", 0)
    assert world.assign("aDA", "MCOPSTNPP", "2025-03-11") == ["user.unrestricted"]
    assert set(users_of(world)) == {"Ada"}


def test_an_unknown_user_who_was_restricted_stays_so_until_a_licence_helps() -> None:
    """A40, rule 53: the configuration finds what the records left."""
    world = World()
    world.call(HARARE, 60, user="ADA")
    assert world.events == ["user.restricted"]
    assert world.assign("Ada", "MCOPSTNPP", "2025-03-11") == ["user.unrestricted"]
    assert set(users_of(world)) == {"Ada"}


def test_a_quarantined_record_names_the_user_as_shown() -> None:
    """A40: the event of a conflicting duplicate, too."""
    world = ada("MCOPSTN1", name="Ada")
    world.call(US, 60, id="x", user="ADA")
    assert world.cdr(US, 120, id="x", user="ADA") == "conflicting_duplicate"
    assert users_of(world) == ["Ada"]


@pytest.mark.parametrize("blank", [" ", "\t", "   "])
def test_a_name_of_blanks_is_none(blank: str) -> None:
    """A40: a record without a user; a command that names nobody is refused."""
    world = ada("MCOPSTN1", name=MIXED)
    world.cdr(US, user=blank)
    assert world.refusals == ["no_user"]
    for command in (
        UserConfigured(tenant=T, id="u", at=at("2025-03-01"), user=blank),
        LicenseAssigned(tenant=T, id="a", at=at("2025-03-01"), user=blank, sku="MCOPSTN1"),
        LicenseRemoved(tenant=T, id="r", at=at("2025-03-01"), user=blank, sku="MCOPSTN1"),
    ):
        world.apply(command)
        assert world.refusals == ["malformed"]


def test_authorisation_and_records_mean_the_same_user() -> None:
    """A40: the pool that would carry the call is found in any spelling."""
    assert may(ada("MCOPSTN1", name=MIXED), US, user=" ADA@contoso.example") == ("pool", 43_200)


def test_a_usage_export_keeps_the_spelling() -> None:
    """A40: of two spellings the first is shown, so a reader of files must not change it."""
    given = {
        "UsageId": "o1",
        "Call Type": "user_out",
        "Start Time": "2025-03-01T10:00:00Z",
        "Duration Seconds": "61",
        "UPN": "ADA@contoso.example",
    }
    read = record_of(T, given)
    assert isinstance(read, CallRecord)
    assert read.user == "ADA@contoso.example"


# A40: object ids


def test_an_object_id_links_a_new_name_where_a_configuration_says_so() -> None:
    """A40: the record's name is new, its object id is Ada's."""
    world = ada("MCOPSTN1", name="Ada")
    world.configure_user("ada", "2025-03-01", object_id=ADA_ID)
    call = world.call(US, 60, user="ada.byron", user_object_id=ADA_ID.upper())
    assert (call.user, pockets(call)) == ("Ada", [("pool", 1)])


def test_a_record_with_an_object_id_alone_is_its_user() -> None:
    """A40: exports that give no name give the object id in its place."""
    world = ada("MCOPSTN1", name="Ada")
    assert "unknown_user" in world.call(US, 60, user=ADA_ID).anomalies
    world.configure_user("ada", "2025-03-11", object_id="{" + ADA_ID + "}")
    assert world.call(US, 60, user=ADA_ID, user_object_id=ADA_ID).user == "Ada"


def test_a_record_alone_links_nothing() -> None:
    """A40: Ada's calls carry an object id; another name with the same id is still another user."""
    world = ada("MCOPSTN1", name="Ada")
    world.call(US, 60, user="ada", user_object_id=ADA_ID)
    call = world.call(US, 60, user="ada.byron", user_object_id=ADA_ID)
    assert (call.user, call.anomalies) == ("ada.byron", ("unknown_user",))


def test_a_new_name_with_a_known_object_id_is_another_name_of_the_same_user() -> None:
    """A40: Ada married; her licences, and her first spelling, stay hers; records need no object id for it."""
    world = ada("MCOPSTN1", name="Ada")
    world.configure_user("Ada", "2025-03-01", object_id=ADA_ID)
    world.configure_user("Ada.Lovelace", "2025-03-02", object_id=ADA_ID)
    call = world.call(US, 60, user="ADA.lovelace")
    assert (call.user, pockets(call)) == ("Ada", [("pool", 1)])
    world.user("Ada.Lovelace", "US", "MCOPSTN1")
    assert world.pool("MCOPSTN1/US-PR/2025-03") == (1, 3000)


def test_a_name_that_is_configured_goes_before_an_object_id() -> None:
    """A40: an object id links new names only."""
    world = ada("MCOPSTN1", name="Ada").user("bob", "US")
    world.configure_user("ada", "2025-03-01", object_id=ADA_ID)
    assert world.call(US, 60, user="BOB", user_object_id=ADA_ID).user == "bob"


# A40: users that turn out to be one


def test_two_users_become_one_who_holds_what_either_held() -> None:
    """A40: the first one's name and country; each licence at the times at which either held it."""
    first = with_license(new_user("Ada", "US"), "MCOPSTN1", None, at("2025-03-01"))
    other = with_license(new_user("ada", "CA"), "MCOPSTNPP", at("2025-02-01"), None)
    other = with_license(other, "MCOPSTN1", at("2025-04-01"), None)
    merged = merge_users(first, msgspec.structs.replace(other, restricted_since=at("2025-03-05")))
    held = {
        day: stretch_at(merged, at(day)).skus for day in ("2025-01-15", "2025-02-15", "2025-03-15", "2025-04-15")
    }
    assert held == {
        "2025-01-15": ("MCOPSTN1",),
        "2025-02-15": ("MCOPSTN1", "MCOPSTNPP"),
        "2025-03-15": ("MCOPSTNPP",),
        "2025-04-15": ("MCOPSTN1", "MCOPSTNPP"),
    }
    assert (merged.user, merged.restricted_since) == ("Ada", at("2025-03-05"))
    assert {stretch.country for stretch in merged.timeline} == {"US"}


def test_what_both_hold_alike_is_one_stretch() -> None:
    """A40: nothing changes for the one user when only one of two spellings gets what the other has."""
    first = with_license(new_user("Ada", "US"), "MCOPSTN1", None, None)
    other = with_license(new_user("ada", "US"), "MCOPSTN1", at("2025-03-01"), at("2025-04-01"))
    assert merge_users(first, other).timeline == first.timeline


def test_of_two_users_the_one_who_was_configured_gives_the_name() -> None:
    """A40: whichever was seen first."""
    seen = User("ADA", new_user("ADA", None).timeline, configured=False)
    assert merge_users(seen, new_user("Ada", "US")).user == "Ada"


# A41: usage ids


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_guid_is_one_usage_id_in_every_spelling(spelling: str) -> None:
    """A41: the same call again is a duplicate; outputs show lower case with dashes."""
    world = ada("MCOPSTN1", name=MIXED)
    assert world.call(US, 60, id=spelling).usage_id == GUID
    for again in SPELLINGS:
        assert world.cdr(US, 60, id=again) == "duplicate"


@pytest.mark.parametrize(
    "id",
    [
        "Call-1",
        "{" + GUID + ")",
        "{" + GUID,
        GUID[:-1],
        GUID + "0",
        GUID.replace("8d34", "8x34"),
        "8d344131-a97eea41d7e9d48a832febc2",
        " " + GUID,
        "uuid:" + GUID,
        GUID.replace("8", "\N{FULLWIDTH DIGIT EIGHT}"),
    ],
)
def test_other_usage_ids_stay_as_they_are(id: str) -> None:
    """A41: only 32 hexadecimal digits in a usual spelling are a GUID."""
    assert normal_usage_id(id) == id


def test_other_usage_ids_know_case() -> None:
    """A41: `Call-1` and `CALL-1` are two calls."""
    world = ada("MCOPSTN1", name=MIXED)
    world.call(US, 60, id="Call-1")
    assert world.call(US, 60, id="CALL-1").usage_id == "CALL-1"


def test_a_correction_may_spell_the_id_in_another_way() -> None:
    """A41, A12: version 2 replaces version 1."""
    world = ada("MCOPSTN1", name="ada")
    world.call(US, 600, id=GUID)
    call = world.call(US, 60, id="{" + GUID.upper() + "}", version=2)
    assert (call.outcome, call.corrects_version) == ("corrected", 1)
    assert world.pool("MCOPSTN1/US-PR/2025-03") == (1, 3000)


def test_a_dead_letter_shows_the_normal_id() -> None:
    """A41: so that it can be found."""
    world = ada("MCOPSTN1", name=MIXED)
    world.cdr("123", id=GUID.upper())
    (letter,) = world.outputs
    assert isinstance(letter, RejectedCdr)
    assert letter.usage_id == GUID


# content


def test_the_same_call_with_another_spelling_of_the_user_is_a_duplicate() -> None:
    """A41: content is compared after A40."""
    world = ada("MCOPSTN1", name=MIXED)
    world.call(US, 60, id="x", user="ada@contoso.example")
    assert world.cdr(US, 60, id="x", user=" ADA@Contoso.example") == "duplicate"
    assert world.cdr(US, 61, id="x", user="ada@contoso.example") == "conflicting_duplicate"


def test_content_that_is_normal_already_is_hashed_as_before() -> None:
    """A51: hashes of earlier releases stay comparable."""
    cdr = msgspec.convert(record(), CallRecord)
    world = ada("MCOPSTN1", name="ada")
    assert world.call(US, 60, id="x", calling=None).content == content_hash(encode_input(cdr))


# A51: what was rated before


@pytest.mark.parametrize(
    "fields", [{"usage_id": spelling} for spelling in SPELLINGS] + [{"user": "Ada"}, {"user": " ADA "}]
)
@pytest.mark.in_memory
def test_a_call_sent_again_after_the_upgrade_is_a_duplicate(fields: dict[str, str]) -> None:
    """A51: usage ids are also found as they were spelled, and old content compares as before."""
    world = ada("MCOPSTN1", name="ada")
    assert world.raw(rated_before_a41(world, **fields)) == "duplicate"


@pytest.mark.in_memory
def test_two_spellings_that_were_two_calls_are_both_duplicates() -> None:
    """A51: 0.3.0 rated a GUID in two spellings as two calls; neither is rated again."""
    world = ada("MCOPSTN1", name="ada")
    one = rated_before_a41(world, usage_id=GUID.upper())
    two = rated_before_a41(world, usage_id=GUID, duration_s=90)
    assert [world.raw(one), world.raw(two)] == ["duplicate", "duplicate"]


@pytest.mark.in_memory
def test_a_file_that_was_rated_with_names_in_lower_case_is_a_duplicate() -> None:
    """A51: 0.3.0 read names in usage exports in lower case; ids in braces make no difference."""
    world = ada("MCOPSTN1", name="ada")
    rated_before_a41(world, usage_id="{" + GUID + "}", user="ada")
    assert world.raw(json.dumps(record(usage_id="{" + GUID + "}", user="ADA")).encode()) == "duplicate"


@pytest.mark.in_memory
def test_a_call_with_a_seventh_digit_that_was_rated_rounded_is_a_duplicate() -> None:
    """A51, A42: 0.3.0 rounded half a millionth of a second up, and rated the call under that content."""
    world = ada("MCOPSTN1", name="ada")
    raw = rated_before_a41(world, usage_id="f7", answered_at="2025-03-10T10:00:00.1234567Z")
    assert world.raw(raw) == "duplicate"
    other = raw.replace(b"1234567Z", b"1234587Z")
    assert world.raw(other) == "conflicting_duplicate"


@pytest.mark.in_memory
def test_a_correction_of_what_was_rated_before_is_kept_under_the_normal_id() -> None:
    """A51, A41: version 2 replaces version 1, and from then on every spelling finds it."""
    world = ada("MCOPSTN1", name="ada")
    first = rated_before_a41(world, usage_id=GUID.upper())
    call = world.call(US, 120, id=GUID.upper(), version=2)
    assert (call.outcome, call.corrects_version, call.usage_id) == ("corrected", 1, GUID)
    assert world.cdr(US, 120, id="{" + GUID + "}", version=2) == "duplicate"
    assert world.raw(first) == "duplicate"


def test_keys_do_not_change_when_they_are_made_again() -> None:
    """A40, A41: the key of a key is itself, so that stores may be looked up by either."""
    for name in ("Straße", " ADA ", "İstanbul"):
        assert name_key(name_key(name)) == name_key(name)
        assert same_user(name, name_key(name))
    assert {normal_usage_id(normal_usage_id(spelling)) for spelling in SPELLINGS} == {GUID}


def test_a_start_that_was_rounded_before_is_compared_as_it_was_read_then() -> None:
    """A51, A42: 59.9999999 s was read as the next minute; the same record again is a duplicate."""
    rounded = msgspec.convert(record(answered_at="2025-03-10T10:01:00Z"), CallRecord)
    cut = msgspec.convert(record(answered_at="2025-03-10T10:00:59.999999Z"), CallRecord)
    call = mediate(cut, encode_input(cut), formerly=rounded)
    assert content_hash(encode_input(rounded)) in former_contents(call)


@pytest.mark.parametrize(
    "called", ["tel:+1-206-555-0100", "sip:+12065550100@sbc.example;user=phone", "+1 (206) 555-0100"]
)
@pytest.mark.in_memory
def test_the_same_call_with_another_spelling_of_a_number_is_a_duplicate(called: str) -> None:
    """A41: content is compared after A39; what was rated with this spelling before is a duplicate, too (A51)."""
    world = ada("MCOPSTN1", name="ada")
    world.call(US, 60, id="x", user="ada")
    assert world.cdr(called, 60, id="x", user="ADA") == "duplicate"
    assert world.raw(rated_before_a41(world, usage_id=GUID.upper(), user="Ada", called=called)) == "duplicate"


@pytest.mark.parametrize("first", [True, False])
def test_the_policy_of_either_spelling_is_that_of_the_one_user(first: bool) -> None:
    """A40: only one of the two was given a policy; toll-free is off if it was off for either."""
    policy = "DialoutCPCandPSTNDomestic"
    one, other = new_user("ada", "US"), new_user("Ada", "US")
    given = msgspec.structs.replace(one if first else other, outbound_policy=policy, toll_free_dial_in=False)
    merged = merge_users(given, other) if first else merge_users(one, given)
    assert (merged.outbound_policy, merged.toll_free_dial_in) == (policy, False)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("<tel:112", None),
        ("tel:112>", None),
        ("<tel:112>", "112"),
        ("+49112*", None),
        ("sip:tel:112@contoso.example", None),
    ],
)
def test_what_is_dialled_in_an_address(text: str, number: str | None) -> None:
    """A38: only whole brackets are brackets; a number of which digits are hidden is not known."""
    assert dialled(text) == number
