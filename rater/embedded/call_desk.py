"""Calls in progress in the embedded rater: events of switches in, orders to end calls out.

There is no clock here: a tenant's time is that of its latest event, or of its account where that is later.  So an
event that is older than another of its tenant by the silence of a call is history, and changes nothing.
What is decided is handed over to be committed with what caused it, and with all that the next process needs to go
on; killed before that, the same follows from the same records again.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from rater.core import (
    CallCommand,
    CallEvent,
    CallRecord,
    Committed,
    Entity,
    Key,
    Question,
    Quote,
    Refusal,
    Reserved,
    Rules,
    RunningCalls,
    State,
    quote,
)
from rater.embedded.call_tables import CallChanges, KnownCalls
from rater.embedded.store import Store


class _Tenant:
    """One tenant's running calls, and when the last event happened."""

    def __init__(self, known: KnownCalls, running: RunningCalls) -> None:
        self.last_event_at = known.last_event_at
        self.running = running

    def known(self) -> KnownCalls:
        """What the next process goes on from."""
        return KnownCalls(self.last_event_at, self.running.standing())


class CallDesk:
    """Each method may order calls to end; `changes` is what follows from all of them until that is `committed`."""

    def __init__(self, store: Store, rules: Rules) -> None:
        self._store, self._rules = store, rules
        self._committed: Committed = store
        self._tenants = {tenant: self._tenant(known) for tenant, known in store.known_calls()}
        self._touched: set[str] = set()
        self._orders: dict[str, CallCommand] = {}
        #: What switches say of later is not believed; None where files are read, whose clock is the records'.
        self._now: datetime | None = None

    def __len__(self) -> int:
        return sum(len(tenant.running) for tenant in self._tenants.values())

    def apply(self, events: Iterable[CallEvent]) -> None:
        """Switches send events of running calls, in this order."""
        for event in events:
            tenant = self._tenants.get(event.tenant)
            if tenant is None:
                tenant = self._tenants[event.tenant] = self._tenant(KnownCalls(self._believed(event.at)))
            tenant.last_event_at = max(tenant.last_event_at, self._believed(event.at))
            self._touched.add(event.tenant)
            self._order(tenant.running.due(tenant.last_event_at))
            self._order(tenant.running.apply(event, tenant.last_event_at))

    def accounts_changed(self, state: State) -> None:
        """A batch is about to be committed: does its tenants' credit still cover their calls?"""
        touched = [(account, self._tenants[name]) for name, account in state.accounts.items() if self._runs(name)]
        if not touched:
            return
        self._committed = _Staged(state, self._store)
        for account, tenant in touched:
            at = max(self._believed(account.clock), tenant.last_event_at)
            self._touched.add(account.tenant)
            self._order(tenant.running.due(at))
            self._order(tenant.running.service_changed(account.tenant, account.service, at))
        self._committed = self._store

    def pass_time(self, at: datetime) -> bool:
        """Look at every tenant's calls by a clock; whether something is to be committed.

        From now on no event and no record counts as later than this clock: one switch whose clock is ahead would
        make the calls of all others silent, and none of them would be ended.
        """
        self._now = at
        due = [
            (name, tenant)
            for name, tenant in self._tenants.items()
            if tenant.running.due_at is not None and tenant.running.due_at <= at
        ]
        for name, tenant in due:
            tenant.last_event_at = max(tenant.last_event_at, at)
            self._touched.add(name)
            self._order(tenant.running.due(at))
        return bool(due)

    def reserved(self, tenants: Iterable[str]) -> dict[str, Reserved]:
        """A copy of what the running calls of these tenants may still cost."""
        known = [(name, self._tenants[name].running) for name in tenants if name in self._tenants]
        return {
            name: Reserved(found.money, dict(found.pools), dict(found.brakes))
            for name, running in known
            for found in (running.reserved(name),)
        }

    def orders_of(self, calls: Iterable[tuple[str, str]]) -> list[CallCommand]:
        """The orders that these calls (tenant, usage id) were given, of those that go on."""
        known = [(self._tenants[tenant], tenant, id) for tenant, id in calls if tenant in self._tenants]
        orders = [of.running.order_of(tenant, id) for of, tenant, id in known]
        return [order for order in orders if order is not None]

    @property
    def due_at(self) -> datetime | None:
        """When `pass_time` next has something to look at; None without calls."""
        due = [at for tenant in self._tenants.values() if (at := tenant.running.due_at) is not None]
        return min(due, default=None)

    def changes(self) -> CallChanges:
        """What is to be committed: new orders, and the running calls of each tenant that may have others now."""
        return CallChanges(
            list(self._orders.values()),
            {name: self._tenants[name].known() for name in sorted(self._touched)},
        )

    def committed(self) -> None:
        """The changes were committed."""
        self._orders.clear()
        self._touched.clear()

    def _believed(self, at: datetime) -> datetime:
        return at if self._now is None else min(at, self._now)

    def _runs(self, tenant: str) -> bool:
        return tenant in self._tenants and tenant in self._tenants[tenant].running

    def _tenant(self, known: KnownCalls) -> _Tenant:
        return _Tenant(known, RunningCalls(self._quote, known.standing))

    def _quote(self, question: Question, started_at: datetime, at: datetime, reserved: Reserved) -> Quote | Refusal:
        return quote(self._committed, self._rules, question, started_at, at, reserved)

    def _order(self, orders: Iterable[CallCommand]) -> None:
        """The first order to end a call is the one that counts; it is repeated while the call goes on."""
        for order in orders:
            if order.id not in self._orders and not self._store.ordered(order.id):
                self._orders[order.id] = order


class _Staged(Committed):
    """What will be committed with a batch: its changes over the store."""

    def __init__(self, state: State, committed: Committed) -> None:
        self._changes, self._gone = state.changes(), state.gone
        self._committed = committed

    def load(self, kind: str, key: Key) -> Entity | None:
        """See Committed."""
        if (kind, key) in self._gone:
            return None
        return self._changes[kind].get(key) or self._committed.load(kind, key)

    def prepare(self, calls: Sequence[CallRecord]) -> None:
        """See Committed: not needed here."""
