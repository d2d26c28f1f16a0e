"""A user is erased: what the rules say of it from then on, on every engine.

The tenant has a user, ada, who is erased on 11 March; the key is the same everywhere, so that names can be written
down here.  A minute to London costs 0.05.
"""

from typing import Any

import msgspec

from rater.core.identity import is_pseudonym, name_key, pseudonym_of
from rater.core.inputs import LicenseAssigned, UserConfigured, UserErased
from rater.core.outputs import AccountEvent, Debit, RatedCall, ServiceState
from rater.core.rerating import rerating_of
from rater.core.state import State
from rater.wire.codec import encode_input
from tests.world import BEGINNING, HARARE, LONDON, US, T, World, ada, at, pockets

KEY = "0123456789abcdef0123456789abcdef"
ADA = pseudonym_of(KEY, "ada")
WHEN = "2025-03-11"


def erase(world: World, user: str = "ada", *also: str, when: str = WHEN, key: str = KEY) -> list[AccountEvent]:
    """The user is erased; the events."""
    world.happened += 1
    id = f"erase-{world.happened}"
    world.apply(
        UserErased(tenant=T, id=id, at=at(when), user=user, also=also, key=key, reason="request 4711", by="kim")
    )
    return [output for output in world.outputs if isinstance(output, AccountEvent)]


def test_calls_are_written_down_under_the_pseudonym() -> None:
    """The rule erasure: priced as before, with the name, the object id and the last four digits replaced."""
    before, after = ada("MCOPSTNPP"), ada("MCOPSTNPP")
    erase(after)
    said: dict[str, Any] = {"user_object_id": "4b1c", "user_display_name": "Ada Lovelace", "id": "c"}
    whole = before.call(LONDON, 600, "2025-03-12 10:00", user="ADA ", **said)
    hidden = after.call(LONDON, 600, "2025-03-12 10:00", user="ADA ", **said)
    assert (whole.charge, whole.minutes, whole.balance) == ("0.5", 10, "99.5")  # 10 x 0.05
    assert (hidden.user, hidden.user_object_id, hidden.user_display_name) == (ADA, ADA, ADA)
    assert (hidden.calling, hidden.called) == ("+1425555****", "+44207946****")
    changed = dict.fromkeys(("user", "user_object_id", "user_display_name", "calling", "called"))
    different = {"sequence": 0, "source": whole.source}
    assert msgspec.structs.replace(hidden, **changed, **different) == msgspec.structs.replace(
        whole, **changed, **different
    )
    assert [output.user for output in after.outputs if isinstance(output, Debit)] == [ADA]


def test_what_names_nobody_stays() -> None:
    """The rule erasure: a number for help, a caller who withheld the number, and the domain of an address."""
    world = ada("MCOPSTN1")
    world.configure("2025-03-02", domains=("contoso.example",))
    erase(world)
    help = world.call("911", 60, "2025-03-12 10:00", calling="anonymous")
    assert (help.called, help.calling, help.charge) == ("911", "anonymous", "0")
    colleague = world.call("sip:bob@contoso.example", 60, "2025-03-12 11:00")
    assert colleague.called == f"{pseudonym_of(KEY, 'bob@contoso.example')}@contoso.example"
    assert colleague.rule == "15 internal"


def test_minutes_go_on_where_they_were() -> None:
    """The rule erasure: of the tenant's pool and of the user's own, corrections of calls before it included."""
    world = ada("MCOPSTN8").user("bob", "US", "MCOPSTN1")
    own = world.call(US, 180, "2025-03-10 10:00", id="own")
    assert pockets(own) == [("pool", 3)]
    assert world.pool("MCOPSTN8/ada/2025-03") == (3, 120)
    erase(world)
    assert world.pool(f"MCOPSTN8/{ADA}/2025-03") == (3, 120)
    world.call(US, 60, "2025-03-12 10:00")
    assert world.pool(f"MCOPSTN8/{ADA}/2025-03") == (4, 120)  # 3 + 1
    world.call(US, 60, "2025-03-10 10:00", id="own", version=2)
    assert world.pool(f"MCOPSTN8/{ADA}/2025-03") == (2, 120)  # 4 - 3 + 1
    world.call(US, 60, "2025-03-12 10:00", user="bob")
    assert world.pool("MCOPSTN1/US-PR/2025-03") == (1, 3000)


def test_a_licence_in_the_middle_of_a_month_stays_counted() -> None:
    """The rule erasure: the user's own plan that began on the 5th, A10; another one begins on the 20th."""
    world = ada().user("bob", "US")
    world.assign("ada", "MCOPSTN8", "2025-03-05")
    erase(world)
    assert world.pool(f"MCOPSTN8/{ADA}/2025-03") == (0, 120)
    world.remove("ada", "MCOPSTN8", "2025-04-01")
    assert world.pool(f"MCOPSTN8/{ADA}/2025-03") == (0, 120)
    assert world.pool(f"MCOPSTN8/{ADA}/2025-04") == (0, 0)


def test_money_does_not_move() -> None:
    """The rule erasure: an event, and no debit; a correction of a call before it is that of the same call."""
    world = ada("MCOPSTNPP")
    world.call(LONDON, 600, "2025-03-10 10:00", id="c")
    (event,) = erase(world)
    assert (event.event.value, event.user, event.reason, event.by) == ("user.erased", ADA, "request 4711", "kim")
    assert (world.debits, world.balance) == ([], "99.5")
    world.call(LONDON, 60, "2025-03-10 10:00", id="c", version=2)
    assert world.debits == [("reversal", "-0.5"), ("call", "0.05")]
    assert world.balance == "99.95"


def test_the_same_record_again_is_a_duplicate() -> None:
    """The rule erasure: what a switch sends again has its names, and is the call that was rated."""
    world = ada("MCOPSTNPP")
    world.call(LONDON, 600, "2025-03-10 10:00", id="c")
    sent = world.sent
    erase(world)
    assert world.raw(sent) == "duplicate"


def test_a_hidden_call_is_rated_again() -> None:
    """The rule erasure: with another price list, from the destination that priced it before (rule 72)."""
    world = ada("MCOPSTNPP")
    erase(world)
    call = world.call(LONDON, 600, "2025-03-12 10:00")
    world.apply(rerating_of(call, "deck-1", at("2025-03-20")))
    (rated,) = [output for output in world.outputs if isinstance(output, RatedCall)]
    assert (rated.user, rated.called, rated.charge, rated.prefix) == (ADA, call.called, "0.5", call.prefix)


def test_other_names_and_later_commands_mean_the_same_user() -> None:
    """The rule erasure: an object id, another name (A40), and a licence that is imported again; no name comes back."""
    world = ada("MCOPSTNPP", name="ada")
    directory = "db03c14b-06eb-4189-939b-7cbf3a20ba27"
    linked = UserConfigured(tenant=T, id="l", at=BEGINNING, user="countess", object_id=directory)
    world.apply(UserConfigured(tenant=T, id="k", at=BEGINNING, user="ada", object_id=directory))
    world.apply(linked)
    erase(world, "countess", "ada", directory)
    for name in ("ada", "Countess", directory):
        assert world.call(LONDON, 60, "2025-03-12 10:00", user=name).user == ADA
    assert world.call(LONDON, 60, "2025-03-12 10:00", user="renamed", user_object_id=directory).user == ADA
    world.apply(LicenseAssigned(tenant=T, id="m", at=at("2025-03-13"), user="ada", sku="MCOPSTN1", country="US"))
    world.apply(UserConfigured(tenant=T, id="n", at=at("2025-03-13"), user="countess", object_id=directory))
    assert [output.user for output in world.outputs if isinstance(output, AccountEvent)] == [ADA]
    call = world.call(US, 60, "2025-03-14 10:00", user="countess")
    assert (call.user, pockets(call)) == (ADA, [("pool", 1)])


def test_a_user_who_is_only_known_from_records() -> None:
    """The rule erasure: it holds nothing; who is configured under the name later is the pseudonym."""
    world = ada("MCOPSTNPP")
    world.call(HARARE, 60, "2025-03-10 10:00", user="eve")
    erase(world, "eve")
    eve = pseudonym_of(KEY, "eve")
    assert world.call(HARARE, 60, "2025-03-12 10:00", user="Eve").user == eve
    world.assign("eve", "MCOPSTNPP", "2025-03-13", country="US")
    assert world.call(HARARE, 60, "2025-03-14 10:00", user="eve").user == eve
    erase(world, "nobody")
    assert world.call(HARARE, 60, "2025-03-15 10:00", user="nobody").user == pseudonym_of(KEY, "nobody")


def test_a_restricted_user_stays_restricted() -> None:
    """The rule erasure, rule 53: until the next month, when switches get it under the pseudonym."""
    world = ada("MCOPSTN1", credits="not_set_up")
    world.call(HARARE, 60, "2025-03-10 10:00")
    assert [output.state for output in world.outputs if isinstance(output, ServiceState)] == ["restricted"]
    erase(world)
    assert world.account.restrictions.users == 1
    world.tick("2025-04-01")
    states = [(output.user, output.state) for output in world.outputs if isinstance(output, ServiceState)]
    assert (states, world.account.restrictions.users) == ([(ADA, "allowed")], 0)


def test_twice_is_once() -> None:
    """The rule erasure: also with another key, which does not count any more, and by the pseudonym."""
    world = ada("MCOPSTNPP")
    erase(world)
    (again,) = erase(world, key="f" * 64)
    (by_pseudonym,) = erase(world, ADA, key="f" * 64)
    assert (again.user, by_pseudonym.user) == (ADA, ADA)
    assert world.call(LONDON, 60, "2025-03-12 10:00").user == ADA


def test_a_closed_tenants_user_is_erased() -> None:
    """The rule erasure: privacy does not end with the contract."""
    world = ada("MCOPSTNPP")
    world.close("2025-03-10")
    erase(world)
    assert world.call(LONDON, 60, "2025-03-09 10:00").user == ADA


def test_nothing_is_kept_under_the_old_name() -> None:
    """The rule erasure: not the user, its pools, its plans, nor its other names; the next owner reads the same."""
    world = ada("MCOPSTN8")
    world.apply(UserConfigured(tenant=T, id="k", at=BEGINNING, user="ada", object_id="4b1c"))
    world.call(US, 180, "2025-03-10 10:00")
    erase(world, "ada", "4b1c")
    committed = world.engine.committed()
    for kind, name in (
        ("user", "ada"),
        ("pool", "MCOPSTN8/ada/2025-03"),
        ("holders", "MCOPSTN8/ada"),
        ("alias", "object/4b1c"),
    ):
        assert committed.load(kind, (T, name)) is None, (kind, name)
    found = State(committed).user_meant_by(T, "ada")
    assert found is not None
    assert (found.user, [stretch.skus for stretch in found.timeline]) == (ADA, [("MCOPSTN8",)])
    assert is_pseudonym(name_key(found.user))


def test_other_users_are_as_they_were() -> None:
    """The rule erasure: their names and numbers stay."""
    world = ada("MCOPSTNPP").user("bob", "US", "MCOPSTNPP")
    erase(world)
    call = world.call(LONDON, 60, "2025-03-12 10:00", user="bob")
    assert (call.user, call.called, call.calling) == ("bob", LONDON, "+14255550100")


def test_a_name_of_blanks_is_refused() -> None:
    """The rule erasure: nobody is meant by it; a key that can be guessed is refused as well."""
    world = ada("MCOPSTNPP")
    erase(world, "  ")
    assert world.refusals == ["malformed"]
    short = encode_input(UserErased(tenant=T, id="x", at=at(WHEN), user="ada", key=KEY)).replace(
        b'"key":"0', b'"key":"'
    )
    world._submit("command", short)
    assert world.refusals == ["malformed"]
