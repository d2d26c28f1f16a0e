"""The state of the rater as the rules see it: entities of one batch, staged over what was committed.

A shell hands in a `Committed`, and after its own commit calls `merge`; dropping the State leaves no trace.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from rater.core.entities import (
    Account,
    Alias,
    DebtPage,
    Entity,
    LiveCall,
    Lot,
    LotHistory,
    LotPage,
    Part,
    PoolMonth,
    Seen,
    ShelvedLot,
    Spent,
    User,
    twin,
)
from rater.core.identity import erased_alias, name_alias, name_key, object_alias
from rater.core.inputs import CallRecord, Source
from rater.core.lists import Holders, JoinedPage, JoinsOfMonth, Restricted, RestrictedPage, StoppedList

#: Kind of entity -> its type; the kind is part of the key under which a shell stores it.
KINDS: dict[str, type[Entity]] = {
    "account": Account,
    "user": User,
    "alias": Alias,
    "holders": Holders,
    "joins": JoinsOfMonth,
    "joined": JoinedPage,
    "pool": PoolMonth,
    "restricted": Restricted,
    "restrictions": RestrictedPage,
    "call": LiveCall,
    "seen": Seen,
    "lot": ShelvedLot,
    "lots": LotPage,
    "debts": DebtPage,
    "funds": LotHistory,
    "spent": Spent,
    "stopped": StoppedList,
}

#: (tenant, name within the tenant); the name is empty for what a tenant has only one of.
Key = tuple[str, str]


def command_key(tenant: str, id: str) -> Key:
    """Under which it is noted that a command of this id was applied."""
    return tenant, f"command/{id}"


def letter_key(tenant: str, id: str) -> Key:
    """Under which it is noted that a dead letter of this id was written."""
    return tenant, f"rejected/{id}"


class Committed(Protocol):
    """The committed entities under a batch: a shell's store."""

    def load(self, kind: str, key: Key) -> Entity | None:
        """The committed entity, or None.  The caller does not change what it gets."""

    def prepare(self, calls: Sequence[CallRecord]) -> None:
        """A part of a batch is about to rate these calls, and no others: what they need may be fetched at once.

        They are as they were read: their live versions may be kept under the id in any of two spellings (A51).
        """


class State(Committed):
    """Reads through to the committed entities and keeps every change of the batch to itself."""

    __slots__ = (
        "_committed",
        "_staged",
        "accounts",
        "aliases",
        "asked_for_payment",
        "balances_due",
        "calls",
        "debt_pages",
        "gone",
        "holders",
        "joined",
        "joins",
        "lot_histories",
        "lot_pages",
        "pools",
        "restrictions",
        "seen_now",
        "shelved_lots",
        "spent",
        "stopped",
        "users",
    )

    def __init__(self, committed: Committed) -> None:
        self._committed = committed
        self.accounts: dict[str, Account] = {}
        self.users: dict[Key, User] = {}
        self.aliases: dict[Key, Alias] = {}
        self.holders: dict[Key, Holders] = {}
        self.joins: dict[Key, JoinsOfMonth] = {}
        self.joined: dict[Key, JoinedPage] = {}
        self.pools: dict[Key, PoolMonth] = {}
        self.restrictions: dict[Key, RestrictedPage] = {}
        self.calls: dict[Key, LiveCall] = {}
        self.seen_now: dict[Key, Seen] = {}
        self.shelved_lots: dict[Key, ShelvedLot] = {}
        self.lot_pages: dict[Key, LotPage] = {}
        self.debt_pages: dict[Key, DebtPage] = {}
        self.lot_histories: dict[Key, LotHistory] = {}
        self.spent: dict[Key, Spent] = {}
        self.stopped: dict[Key, StoppedList] = {}
        self._staged: dict[str, Mapping[Key, Entity]] = {
            "user": self.users,
            "alias": self.aliases,
            "holders": self.holders,
            "joins": self.joins,
            "joined": self.joined,
            "pool": self.pools,
            "restricted": {},  # of rules 1: read by a migration, never written
            "restrictions": self.restrictions,
            "call": self.calls,
            "seen": self.seen_now,
            "lot": self.shelved_lots,
            "lots": self.lot_pages,
            "debts": self.debt_pages,
            "funds": self.lot_histories,
            "spent": self.spent,
            "stopped": self.stopped,
        }
        self.gone: set[tuple[str, Key]] = set()  # entities that are no more; what stands for them is never written
        self.asked_for_payment = False
        #: Tenants whose balance this batch touched, with the input that did so last.
        self.balances_due: dict[str, tuple[Source, datetime]] = {}

    def account(self, tenant: str) -> Account | None:
        """The tenant's account, this batch's own copy; None for an unconfigured tenant."""
        account = self.accounts.get(tenant)
        if account is None:
            committed = self._committed.load("account", (tenant, ""))
            if committed is None:
                return None
            assert isinstance(committed, Account)
            account = self.accounts[tenant] = committed.own_copy()
        return account

    def user(self, tenant: str, user: str) -> User | None:
        """The user, frozen, however its name is spelled; None for one who is not known."""
        key = (tenant, name_key(user))
        return self.users.get(key) or self._committed.load("user", key)  # type: ignore[return-value]  # kind decides the type

    def user_meant_by(self, tenant: str, user: str, object_id: str | None = None) -> User | None:
        """The user whom a name means, by itself or because a configuration linked it or the object id (A40)."""
        found = self.user(tenant, user)
        if found is not None and found.configured:
            return found
        for name in self._aliases_of(tenant, user, object_id):
            alias = self._alias(tenant, name)
            if alias is not None and alias.user:
                return self.user(tenant, alias.user)
        return found

    def _aliases_of(self, tenant: str, user: str, object_id: str | None) -> list[str]:
        """Under which other names a user may be found; of erased ones names are hashes."""
        names = [user] if object_id is None else [user, object_id]
        aliases = [name_alias(user), *map(object_alias, names)]
        account = self.accounts.get(tenant) or self._committed.load("account", (tenant, ""))
        if isinstance(account, Account) and account.pseudonym_key is not None:
            aliases += [erased_alias(account.pseudonym_key, name) for name in names]
        return aliases

    def _alias(self, tenant: str, name: str) -> Alias | None:
        return self.aliases.get((tenant, name)) or self._committed.load("alias", (tenant, name))  # type: ignore[return-value]  # kind decides the type

    def pool(self, tenant: str, name: str) -> PoolMonth:
        """A pool's month, this batch's own copy; a new one when it was never used."""
        key = (tenant, name)
        pool = self.pools.get(key)
        if pool is None:
            committed = self._committed.load("pool", key)
            assert committed is None or isinstance(committed, PoolMonth)
            pool = self.pools[key] = PoolMonth() if committed is None else twin(committed)
        return pool

    def peek_pool(self, tenant: str, name: str) -> PoolMonth:
        """A pool's month for reading only: nothing is staged."""
        found = self.pools.get((tenant, name)) or self._committed.load("pool", (tenant, name))
        return PoolMonth() if found is None else found  # type: ignore[return-value]  # kind decides the type

    def holders_of(self, tenant: str, family: str) -> Holders:
        """Who holds a plan, for reading."""
        found = self.holders.get((tenant, family)) or self._committed.load("holders", (tenant, family))
        return Holders() if found is None else found  # type: ignore[return-value]  # kind decides the type

    def holders_to_change(self, tenant: str, family: str) -> Holders:
        """Who holds a plan, this batch's own copy."""
        key = (tenant, family)
        if key not in self.holders:
            found = self.holders_of(tenant, family)
            self.holders[key] = msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=Holders)
        return self.holders[key]

    def call(self, tenant: str, usage_id: str) -> LiveCall | None:
        """The live version of a usage id, or None."""
        key = (tenant, usage_id)
        return self.calls.get(key) or self._committed.load("call", key)  # type: ignore[return-value]  # kind decides the type

    def seen(self, key: Key) -> Seen | None:
        """Whether a command or a dead letter of this name was applied before."""
        return self.seen_now.get(key) or self._committed.load("seen", key)  # type: ignore[return-value]  # kind decides the type

    def load(self, kind: str, key: Key) -> Entity | None:
        """See Committed: an overlay may lie over another."""
        staged = self.accounts.get(key[0]) if kind == "account" else self._staged[kind].get(key)
        return staged if staged is not None else self._committed.load(kind, key)

    def prepare(self, calls: Sequence[CallRecord]) -> None:
        """See Committed; the overlay under this one was prepared."""

    def absorb(self, other: "State") -> None:
        """Merge every change of an overlay that lies over this one."""
        for kind, changed in other._staged.items():
            self._staged[kind].update(changed)  # type: ignore[attr-defined]  # the dictionaries of this overlay
        self.gone |= other.gone
        self.accounts.update(other.accounts)
        self.balances_due.update(other.balances_due)
        self.asked_for_payment |= other.asked_for_payment

    def shelved_lot(self, tenant: str, lot: str) -> ShelvedLot | None:
        """Where a lot belongs that is not at hand; None for one that always was, or that never was."""
        key = (tenant, lot)
        return self.shelved_lots.get(key) or self._committed.load("lot", key)  # type: ignore[return-value]  # kind decides the type

    def lot_history(self, tenant: str, lot: str) -> LotHistory | None:
        """A lot's history; None for one that never was, or that a release added that did not note it."""
        key = (tenant, lot)
        return self.lot_histories.get(key) or self._committed.load("funds", key)  # type: ignore[return-value]  # kind decides the type

    def page_of_lots(self, tenant: str, number: int) -> tuple[Lot, ...]:
        """The lots of a page that the account names."""
        key = (tenant, str(number))
        page = self.lot_pages.get(key) or self._committed.load("lots", key)
        assert isinstance(page, LotPage), key
        return page.lots

    def save_page_of_lots(self, tenant: str, number: int, lots: tuple[Lot, ...]) -> None:
        """The lots of a page from now on."""
        self.lot_pages[(tenant, str(number))] = LotPage(lots)

    def page_of_debts(self, tenant: str, number: int) -> tuple[Part, ...]:
        """The parts of a page that the account names."""
        key = (tenant, str(number))
        page = self.debt_pages.get(key) or self._committed.load("debts", key)
        assert isinstance(page, DebtPage), key
        return page.parts

    def save_page_of_debts(self, tenant: str, number: int, parts: tuple[Part, ...]) -> None:
        """The parts of a page from now on."""
        self.debt_pages[(tenant, str(number))] = DebtPage(parts)

    def changes(self) -> dict[str, Mapping[Key, Entity]]:
        """Every entity that this batch may have changed, by kind: what a shell writes, beside deleting `gone`."""
        changed = {"account": {(tenant, ""): account for tenant, account in self.accounts.items()}, **self._staged}
        for kind in {kind for kind, _ in self.gone}:
            changed[kind] = {key: one for key, one in changed[kind].items() if (kind, key) not in self.gone}
        return changed


class Memory(Committed):
    """Committed entities in a dictionary: for tests, scenarios and benchmarks."""

    def __init__(self) -> None:
        self.entities: dict[str, dict[Key, Entity]] = {kind: {} for kind in KINDS}

    def load(self, kind: str, key: Key) -> Entity | None:
        """See Committed."""
        return self.entities[kind].get(key)

    def prepare(self, calls: Sequence[CallRecord]) -> None:
        """See Committed; everything is at hand here."""

    def merge(self, state: State) -> None:
        """Merge a batch's changes: the commit of this store."""
        for kind, changed in state.changes().items():
            self.entities[kind].update(changed)
        for kind, key in state.gone:
            self.entities[kind].pop(key, None)
