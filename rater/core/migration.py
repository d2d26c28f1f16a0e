"""When rules change: the state that was made under older rules becomes what the present ones read (A51).

Pure: entities in, entities out, with a report.  Rules 1 are those of release 0.3.0; rules 2 have A25 and what
follows, too.  From 1 to 2 users whose names mean the same become one (A40), with their plans, pools and
restrictions, tenants know the countries of their users (A36), and what one record listed is in pages (restricted
users, instants at which users joined a plan).
"""

from collections import defaultdict
from functools import reduce

import msgspec

from rater.core.entities import Entity, User
from rater.core.entitlements import forget_holder, keep_countries, merge_users, store_user
from rater.core.identity import name_key
from rater.core.joins import join
from rater.core.lists import Restricted
from rater.core.lots import tidy_lots
from rater.core.pools import present_name
from rater.core.restrictions import list_restricted
from rater.core.state import Key, Memory, State

#: The number of the rules of this program.
RULES = 2

#: Kind and key of an entity.
Place = tuple[str, Key]


class MergedUser(msgspec.Struct, frozen=True):
    """Users who turned out to be one: the name that is shown from now on, and the other spellings."""

    tenant: str
    user: str
    others: tuple[str, ...]


class Migration:
    """What a migration did: all entities as they are now, which of them changed, which are gone."""

    def __init__(self, before: Memory, state: State, gone: set[Place], merged: list[MergedUser]) -> None:
        self.after = Memory()
        self.changed: dict[Place, Entity] = {}
        self.gone = sorted(gone)
        self.merged = sorted(merged, key=lambda one: (one.tenant, one.user))
        for kind, entities in before.entities.items():
            self.after.entities[kind] = {key: value for key, value in entities.items() if (kind, key) not in gone}
        for kind, staged in state.changes().items():
            for key, entity in staged.items():
                if (kind, key) not in gone and before.entities[kind].get(key) != entity:
                    self.changed[(kind, key)] = self.after.entities[kind][key] = entity

    @property
    def report(self) -> list[str]:
        """Its report, a line each."""
        counts = f"{len(self.changed)} entities changed, {len(self.gone)} went"
        return [f"state upgraded to rules {RULES}: {counts}", *map(_said, self.merged)]


def _said(one: MergedUser) -> str:
    return f"tenant {one.tenant}: {one.user} and {', '.join(one.others)} are one user now"


def migrate(before: Memory) -> Migration:
    """The state of rules 1 as rules 2 read it; live calls stay as they are."""
    state = State(before)
    gone: set[Place] = set()
    _joins(before, state)
    merged = _users(before, state, gone)
    _pools(before, state, gone)
    _restricted(before, state, gone)
    _lots(before, state)
    return Migration(before, state, gone, merged)


def _users(before: Memory, state: State, gone: set[Place]) -> list[MergedUser]:
    """Users are kept by the key of their name; who differs only in the spelling is one user, and counts once."""
    same: dict[Key, list[User]] = defaultdict(list)
    for (tenant, name), user in sorted(before.entities["user"].items()):
        assert isinstance(user, User)
        same[(tenant, name_key(name))].append(user)
        if name_key(name) != name:
            gone.add(("user", (tenant, name)))
    merged = []
    for (tenant, key), users in same.items():
        # which was configured first is not known any more; one that holds something goes before
        users.sort(key=lambda user: not any(stretch.skus for stretch in user.timeline))
        one = reduce(merge_users, users)
        if (account := state.account(tenant)) is not None:
            keep_countries(account, one)
        if len(users) > 1:
            _count_once(before, state, tenant, users, one, gone)
            merged.append(MergedUser(tenant, one.user, tuple(u.user for u in users if u.user != one.user)))
        elif (tenant, key) not in before.entities["user"]:
            state.users[(tenant, key)] = one
    return merged


def _count_once(before: Memory, state: State, tenant: str, users: list[User], one: User, gone: set[Place]) -> None:
    for user in users:
        forget_holder(state, tenant, user)
    store_user(state, tenant, None, one)
    for key, holders in state.holders.items():
        if key[0] == tenant and not holders.standing and not holders.joins and key in before.entities["holders"]:
            gone.add(("holders", key))


def _pools(before: Memory, state: State, gone: set[Place]) -> None:
    """The minutes of a plan that is counted per user are those of the one user."""
    for (tenant, name), pool in sorted(before.entities["pool"].items()):
        present = present_name(state, tenant, name)
        if present != name:
            gone.add(("pool", (tenant, name)))
            into = state.pool(tenant, present)
            into.used += pool.used  # type: ignore[union-attr]  # kind decides the type
            into.warned |= pool.warned  # type: ignore[union-attr]
            into.exhausted_at = max(into.exhausted_at, pool.exhausted_at)  # type: ignore[union-attr]
            into.counted = -1


def _restricted(before: Memory, state: State, gone: set[Place]) -> None:
    """Restricted users are listed by the key of their name, in pages."""
    for (tenant, name), restricted in before.entities["restricted"].items():
        assert isinstance(restricted, Restricted)
        gone.add(("restricted", (tenant, name)))
        account = state.account(tenant)
        if account is not None and restricted.users:
            list_restricted(state, account, sorted({name_key(user) for user in restricted.users}))


def _joins(before: Memory, state: State) -> None:
    """The instants at which users joined a plan were in one record; they are in pages."""
    for tenant, family in sorted(before.entities["holders"]):
        holders = state.holders_to_change(tenant, family)
        joined, holders.joined = holders.joined, {}
        for month, instants in joined.items():
            join(state, tenant, family, month, *instants)


def _lots(before: Memory, state: State) -> None:
    """An account keeps at hand only the lots that it needs."""
    for tenant, _ in before.entities["account"]:
        account = state.account(tenant)
        if account is not None and account.lots:
            tidy_lots(state, account)
