"""The store behind the server: everything that touches it runs in one thread, one after the other."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from rater.core import (
    Account,
    AccountEvent,
    CallCommand,
    CallEvent,
    RatingSettings,
    RechargeRequest,
    Reserved,
    State,
)
from rater.embedded.call_tables import read_orders_after
from rater.embedded.payments import unanswered
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Store
from rater.engine.gateway import PaymentGateway
from rater.ops.metrics.meter import Metrics
from rater.serve.group_commit import Item
from rater.serve.orders import KEPT_MAX
from rater.serve.results import Result
from rater.serve.shells.results_of import results_of
from rater.wire.admin_audit import AdminAudit
from rater.wire.dead_letters import DlqAudit

#: Orders with the offsets at which the store keeps them.
Orders = list[tuple[int, CallCommand]]


class Committed(NamedTuple):
    """What one commit changed, for those who read beside it."""

    results: list[Result]
    state: State | None
    reserved: dict[str, Reserved]
    orders: Orders
    requests: list[RechargeRequest]
    #: Orders of calls that go on: new ones, and those whose call had an event.
    pressing: list[CallCommand]
    #: When calls in progress are next to be looked at.
    due_at: datetime | None

    @property
    def accounts(self) -> list[Account]:
        """The accounts that the commit wrote."""
        return list(self.state.accounts.values()) if self.state is not None else []


class StoreWriter:
    """Open from `open` to `close`, all in one thread."""

    def __init__(
        self,
        path: Path,
        settings_of: Callable[[Store], RatingSettings],
        gateway_of: Callable[[Store], PaymentGateway | None],
        prepare: Callable[[EmbeddedRater], None],
        metrics: Metrics,
        note: Callable[[list[AccountEvent]], None] | None,
    ) -> None:
        self.path = path
        self.settings = RatingSettings()
        self.gateway: PaymentGateway | None = None
        self._settings_of, self._gateway_of, self._prepare = settings_of, gateway_of, prepare
        self._metrics, self._note = metrics, note
        self._store: Store | None = None
        self._rater: EmbeddedRater | None = None
        self._orders_until = 0

    def open(self) -> Committed:
        """Open the store; what is known of it then.  RaterError: it cannot be used."""
        store = self._store = Store(self.path)
        try:
            self.settings, self.gateway = self._settings_of(store), self._gateway_of(store)
            self._begin()
            self._prepare(self._open)
            orders = read_orders_after(store.connection, 0)
            self._orders_until = orders[-1][0] if orders else 0
            desk = self._open.desk
            reserved = desk.reserved([tenant for tenant, _ in store.known_calls()])
            pressing = desk.orders_of([(order.tenant, order.usage_id) for _, order in orders])
            return Committed([], None, reserved, orders[-KEPT_MAX:], unanswered(store), pressing, desk.due_at)
        except BaseException:
            self.close()
            raise

    def keep(self, items: Sequence[Item]) -> Committed:
        """Apply what arrived, in one transaction; where that fails nothing of it is kept, in memory neither."""
        rater = self._open
        try:
            batch, requests, ordered = rater.apply_arrived(items, datetime.now(UTC))
        except BaseException:
            self._begin()
            raise
        orders = self._new_orders() if ordered else []
        events = [item for item in items if isinstance(item, CallEvent)]
        touched = {*batch.state.accounts, *(event.tenant for event in events)}
        touched |= {order.tenant for order in ordered}
        calls = {(order.tenant, order.usage_id) for order in ordered}
        calls |= {(event.tenant, event.usage_id) for event in events}
        pressing = rater.desk.orders_of(sorted(calls))
        return Committed(
            results_of(items, batch),
            batch.state,
            rater.desk.reserved(touched),
            orders,
            requests,
            pressing,
            rater.desk.due_at,
        )

    def note_order(self, audit: AdminAudit) -> None:
        """Keep who ordered what on the page; RaterError: it cannot be written."""
        assert self._store is not None, "it is open"
        self._store.note_order(audit)

    def note_letter(self, audit: DlqAudit) -> None:
        """Keep what somebody did with a dead letter; RaterError: it cannot be written."""
        assert self._store is not None, "it is open"
        self._store.note([audit])

    def close(self) -> None:
        """Close the store."""
        if self._store is not None:
            self._store.close()
        self._store = self._rater = None

    def _begin(self) -> None:
        """From what is committed."""
        assert self._store is not None, "it is open"
        self._rater = EmbeddedRater(self._store, self.settings, None, self._metrics, self._note)

    def _new_orders(self) -> Orders:
        assert self._store is not None, "it is open"
        orders = read_orders_after(self._store.connection, self._orders_until)
        self._orders_until = orders[-1][0] if orders else self._orders_until
        return orders

    @property
    def _open(self) -> EmbeddedRater:
        assert self._rater is not None, "it is open"
        return self._rater
