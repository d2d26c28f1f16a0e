"""Tenants with very many users: no record and no commit grows with each user who is restricted or stopped, or joins a plan."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

import msgspec
import pytest

from rater.core.brake_stops import list_stopped, listed_as_stopped
from rater.core.entities import Account
from rater.core.entitlements import holders_count
from rater.core.inputs import LicenseAssigned, Source
from rater.core.instants import month_index
from rater.core.joins import JOINED_PAGE_MAX, join, joined_until, leave
from rater.core.lists import Holders, Restricted, Restrictions
from rater.core.migration import migrate
from rater.core.outputs import AccountEvent
from rater.core.reasons import EventKind
from rater.core.restrictions import RESTRICTED_PAGE_MAX, add_restriction, remove_restriction, restricted_users
from rater.core.state import Memory, State
from rater.engine.batch import Record, run_batch
from rater.wire.codec import encode_input
from tests.world import HARARE, T, World, ada, at

#: Far below the megabyte of a message.
RECORD_BYTES_MAX = 64_000
#: What one more user may cost a commit that applies nothing else, however many came before.
CHANGE_BYTES_MAX = 25_000
MANY = 20_000
FAMILY = "MCOPSTN1/US-PR"
pytestmark = pytest.mark.in_memory


def commit(memory: Memory, state: State) -> list[int]:
    """Merge a batch; the sizes of the records that it writes."""
    sizes = [
        len(msgspec.msgpack.encode(entity)) for changed in state.changes().values() for entity in changed.values()
    ]
    memory.merge(state)
    return sizes


def names(count: int, letters: int = 30) -> list[str]:
    return [f"{number:06d}".ljust(letters - 8, "x") + "@contoso" for number in range(count)]


def account_of(state: State) -> Account:
    account = state.account(T)
    assert account is not None
    return account


def freed_in(world: World) -> list[str | None]:
    """Who may call out again since the last step, in order."""
    events = [output for output in world.outputs if isinstance(output, AccountEvent)]
    return [event.user for event in events if event.event is EventKind.USER_UNRESTRICTED]


def test_twenty_thousand_users_are_restricted_one_after_the_other() -> None:
    """Rule 53: each writes its own record, a page and the account; and all may call again when the month begins."""
    world = ada("MCOPSTNPP", funds=None)
    memory, largest, written = world.memory, 0, 0
    for name in names(MANY):
        state = State(memory)
        user = state.user(T, "ada")
        assert user is not None
        add_restriction(state, account_of(state), msgspec.structs.replace(user, user=name), at("2025-03-10"))
        sizes = commit(memory, state)
        largest, written = max(largest, *sizes), max(written, sum(sizes))
    assert (largest < RECORD_BYTES_MAX, written < CHANGE_BYTES_MAX) == (True, True), (largest, written)
    assert restricted_users(State(memory), world.account) == names(MANY)
    world.tick("2025-04-01")
    assert world.events == ["user.unrestricted"] * MANY
    assert freed_in(world) == names(MANY)
    assert world.account.restrictions == Restrictions(0, 0)
    assert not any(page.users for page in memory.entities["restrictions"].values())  # type: ignore[union-attr]


def test_a_page_of_the_longest_names_is_small() -> None:
    """128 letters of four bytes each."""
    state = State(ada("MCOPSTNPP", funds=None).memory)
    user = state.user(T, "ada")
    assert user is not None
    for number in range(3 * RESTRICTED_PAGE_MAX):
        longest = msgspec.structs.replace(user, user=f"{number:03}" + "\U00020000" * 125)
        add_restriction(state, account_of(state), longest, at("2025-03-10"))
    assert max(commit(Memory(), state)) < RECORD_BYTES_MAX


def test_the_list_does_not_grow_with_a_user_who_is_restricted_again_and_again() -> None:
    """While another stays restricted; names that are out of date leave the list when they are the most."""
    state = State(ada("MCOPSTNPP", funds=None).memory)
    account, user = account_of(state), state.user(T, "ada")
    assert user is not None
    add_restriction(state, account, msgspec.structs.replace(user, user="bob"), at("2025-03-10"))
    for _ in range(1_000):
        add_restriction(state, account, user, at("2025-03-10"))
        assert restricted_users(state, account) == ["ada", "bob"]
        freed = remove_restriction(state, account, "ada")
        assert freed is not None
        user = freed
        assert account.restrictions.listed <= RESTRICTED_PAGE_MAX + 5
    assert remove_restriction(state, account, "ada") is None
    assert restricted_users(state, account) == ["bob"]


def test_users_may_call_again_in_the_order_of_their_names() -> None:
    """Over all pages of the list, whoever came first."""
    world = World(credits="not_set_up", funds=None)
    users = [f"user-{number:03}" for number in range(3 * RESTRICTED_PAGE_MAX)]
    Random(7).shuffle(users)
    for name in users:
        world.user(name, "US", "MCOPSTNPP").call(HARARE, 60, "2025-03-10", id=name, user=name)
    assert world.account.restrictions.users == len(users)
    world.configure("2025-03-12", credits="enabled")
    assert freed_in(world) == sorted(users)


def joins(world: World, count: int) -> Iterator[list[int]]:
    """Licences that begin within March, one a commit, out of order; the sizes of what each commit writes."""
    for number in range(count):
        since = at("2025-03-02") + timedelta(microseconds=number * 7_919_000_003 % 2_400_000_000_000)
        command = LicenseAssigned(
            tenant=T, id=f"l-{number}", at=at("2025-03-02"), user=f"u-{number}", sku="MCOPSTN1", country="US",
            effective_from=since,
        )  # fmt: skip
        record = Record("command", Source("commands", 0, number), encode_input(command))
        yield commit(world.memory, run_batch(world.memory, world.engine.rules, [record]).state)


def test_twenty_thousand_users_join_a_plan_within_a_month() -> None:
    """A10: each join writes one page and its month's entries, and the minutes are those of all who joined until then."""
    world = World(funds=None)
    largest = written = 0
    for sizes in joins(world, MANY):
        largest, written = max(largest, *sizes), max(written, sum(sizes))
    assert (largest < RECORD_BYTES_MAX, written < CHANGE_BYTES_MAX) == (True, True), (largest, written)
    state, month = State(world.memory), month_index(at("2025-03-01"))
    assert holders_count(state, T, FAMILY, month, at("2025-03-02")) == 1
    assert holders_count(state, T, FAMILY, month, at("2025-03-31")) == MANY
    assert holders_count(state, T, FAMILY, month + 1, at("2025-04-01")) == MANY


def test_joins_in_pages_count_as_in_one_list() -> None:
    """In any order, with many at one instant, and with some who leave again."""
    random, state, month = Random(5), State(Memory()), month_index(at("2025-03-01"))
    joined: list[datetime] = []
    for number in range(6 * JOINED_PAGE_MAX):
        if number % 3 == 2:
            leave(state, T, FAMILY, month, joined.pop(random.randrange(len(joined))))
            continue
        joined.append(at("2025-03-02") + timedelta(minutes=random.randrange(900)))
        join(state, T, FAMILY, month, joined[-1])
        if number % 50 == 0:
            until = at("2025-03-02") + timedelta(minutes=random.randrange(900))
            assert joined_until(state, T, FAMILY, month, until) == sum(one <= until for one in joined)
    for until in [at("2025-03-02") + timedelta(minutes=minute) for minute in range(-1, 902)]:
        assert joined_until(state, T, FAMILY, month, until) == sum(one <= until for one in joined)
    for one in joined:
        leave(state, T, FAMILY, month, one)
    assert state.holders[(T, FAMILY)].joins == {}
    assert joined_until(state, T, FAMILY, month, at("2025-03-31")) == 0


def test_long_lists_of_release_0_3_0_are_brought_into_pages() -> None:
    """A51: it had every restricted user of a tenant in one record, and every instant of a plan in another."""
    world = ada("MCOPSTN1", funds=None)
    users, month = names(20_000), month_index(at("2025-03-01"))
    state = State(world.memory)
    user = state.user(T, "ada")
    assert user is not None
    instants = [at("2025-03-02") + timedelta(minutes=number // 2) for number in range(20_000)]
    for name in users:
        state.users[(T, name)] = msgspec.structs.replace(user, user=name, restricted_since=at("2025-03-10"))
    world.memory.merge(state)
    world.memory.entities["restricted"][(T, "")] = Restricted(dict.fromkeys(users, at("2025-03-10")))
    world.memory.entities["holders"][(T, FAMILY)] = Holders({month + 1: 20_000}, joined={month: instants})
    migrated = migrate(world.memory)
    assert ("restricted", (T, "")) in migrated.gone
    assert max(len(msgspec.msgpack.encode(entity)) for entity in migrated.changed.values()) < RECORD_BYTES_MAX
    after = State(migrated.after)
    assert restricted_users(after, account_of(after)) == users
    assert [holders_count(after, T, FAMILY, month, instants[n]) for n in (0, 999, 19_999)] == [2, 1_000, 20_000]


def test_twenty_thousand_users_are_stopped_by_a_brake() -> None:
    """A50: each writes a list of some; of those whose day is over none is listed when others follow."""
    memory, users = Memory(), names(MANY)
    for day in (11, 12):
        for user in users:
            state = State(memory)
            list_stopped(state, T, "daily", user, at(f"2025-03-{day}"), at(f"2025-03-{day - 1}"))
            assert max(commit(memory, state)) <= CHANGE_BYTES_MAX
    assert sorted(listed_as_stopped(State(memory), T, "daily")) == users
    for user in names(MANY // 10):
        state = State(memory)
        list_stopped(state, T, "daily", user, at("2025-03-13"), at("2025-03-12"))
        commit(memory, state)
    assert len(list(listed_as_stopped(State(memory), T, "daily"))) == MANY // 10
