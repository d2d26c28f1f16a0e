"""State of rules 1 as rules 2 read it (A40, A51): spellings of a user become one, and the report says so."""

import msgspec
import pytest

from rater.core.entities import Account, PoolMonth, User
from rater.core.entitlements import new_user, store_user, with_license
from rater.core.identity import name_key
from rater.core.lists import Holders, Restricted, Restrictions
from rater.core.migration import RULES, migrate
from rater.core.passing_time import open_account
from rater.core.state import Memory, State
from tests.world import T, at

pytestmark = pytest.mark.in_memory

FOREVER = None
TOTAL = "MCOPSTN5/US-PR"


def rules_1(*users: User, **more: dict[str, object]) -> Memory:
    """A store in which each spelling was a user of its own, and counted."""
    memory = Memory()
    state = State(memory)
    open_account(state, T, "USD", at("2025-01-01"))
    memory.merge(state)
    for user in users:
        state = State(memory)
        store_user(state, T, None, user)
        del state.users[(T, name_key(user.user))]
        state.users[(T, user.user)] = user
        memory.merge(state)
    account = memory.entities["account"][(T, "")]
    assert isinstance(account, Account)
    account.user_countries = ()  # it did not know them
    for kind, entities in more.items():
        for name, entity in entities.items():
            memory.entities[kind][(T, name)] = entity  # type: ignore[assignment]  # of this kind
    return memory


def holder(name: str, country: str = "US") -> User:
    return with_license(new_user(name, country), "MCOPSTN5", FOREVER, None)


def test_users_of_one_name_become_one() -> None:
    """The one that holds something goes before; the report names both; the plan is counted once."""
    before = rules_1(new_user("ADA", "GB"), holder("Ada"), holder("bob"))
    migration = migrate(before)
    assert [(one.tenant, one.user, one.others) for one in migration.merged] == [(T, "Ada", ("ADA",))]
    assert migration.report[1:] == [f"tenant {T}: Ada and ADA are one user now"]
    users = migration.after.entities["user"]
    assert sorted(name for _, name in users) == ["ada", "bob"]
    assert migration.gone == [("user", (T, "ADA")), ("user", (T, "Ada"))]
    merged = users[(T, "ada")]
    assert isinstance(merged, User)
    assert (merged.user, [s.country for s in merged.timeline]) == ("Ada", ["US"])
    account = migration.after.entities["account"][(T, "")]
    assert isinstance(account, Account)
    assert account.user_countries == ("US",)


def test_a_plan_that_two_spellings_held_is_counted_once() -> None:
    """Two of ada and one of bob were three; they are two."""
    before = rules_1(holder("ADA"), holder("Ada"), holder("bob"))
    holders = migrate(before).after.entities["holders"][(T, TOTAL)]
    assert isinstance(holders, Holders)
    assert (holders.standing, holders.joined) == ({0: 2}, {})


def test_the_report_counts_what_changed() -> None:
    """Nothing did where every name was its own key: only the account knows its countries now."""
    migration = migrate(rules_1(holder("ada"), new_user("bob", "GB")))
    assert (migration.merged, migration.gone) == ([], [])
    assert migration.report == [
        f"state upgraded to rules {RULES}: {len(migration.changed)} entities changed, 0 went"
    ]
    again = migrate(migration.after)
    assert (again.changed, again.gone) == ({}, [])
    assert msgspec.msgpack.encode(again.after.entities) == msgspec.msgpack.encode(migration.after.entities)


def test_one_user_under_another_key_only_moves() -> None:
    """`Ada` is kept under `ada`, shown as before, and nobody merged."""
    migration = migrate(rules_1(holder("Ada")))
    assert migration.merged == []
    assert migration.gone == [("user", (T, "Ada"))]
    assert migration.after.entities["user"] == {(T, "ada"): holder("Ada")}
    assert migration.changed[("user", (T, "ada"))] == holder("Ada")


def test_minutes_of_a_plan_per_user_are_added_up() -> None:
    """MCOPSTN8 is counted per user: what both spellings used, warned if either was."""
    plan = [with_license(new_user(name, "US"), "MCOPSTN8", FOREVER, None) for name in ("ADA", "Ada")]
    pools: dict[str, object] = {
        "MCOPSTN8/ADA/2025-03": PoolMonth(used=30, warned=True, exhausted_at=0, total=120, counted=7),
        "MCOPSTN8/Ada/2025-03": PoolMonth(used=12, warned=False, exhausted_at=120, total=120, counted=8),
        "MCOPSTN5/US-PR/2025-03": PoolMonth(used=5),
    }
    migration = migrate(rules_1(*plan, pool=pools))
    merged = migration.merged[0].user
    gone = next(name for name in ("ADA", "Ada") if name != merged)
    found = migration.after.entities["pool"]
    one = found[(T, f"MCOPSTN8/{merged}/2025-03")]
    assert isinstance(one, PoolMonth)
    assert (one.used, one.warned, one.exhausted_at, one.counted) == (42, True, 120, -1)
    assert ("pool", (T, f"MCOPSTN8/{gone}/2025-03")) in migration.gone
    assert found[(T, "MCOPSTN5/US-PR/2025-03")] == PoolMonth(used=5)


@pytest.mark.parametrize("first", ["ADA", "Ada"])
def test_restricted_users_are_so_since_the_earlier_instant(first: str) -> None:
    """Rule 53: whichever spelling was restricted first."""
    since = {name: at("2025-03-05" if name == first else "2025-03-06") for name in ("ADA", "Ada")}
    since |= {"Bob": at("2025-03-07")}
    users = [msgspec.structs.replace(holder(name), restricted_since=when) for name, when in since.items()]
    migration = migrate(rules_1(*users, restricted={"": Restricted(since)}))
    found = {key: user for (_, key), user in migration.after.entities["user"].items() if isinstance(user, User)}
    assert {key: user.restricted_since for key, user in found.items()} == {
        "ada": at("2025-03-05"),
        "bob": at("2025-03-07"),
    }
    account = migration.after.entities["account"][(T, "")]
    assert isinstance(account, Account)
    assert account.restrictions == Restrictions(2, 2)
