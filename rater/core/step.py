"""A step: the outputs that inputs of one tenant cause, with sequences and ids given out in order.

The rules decide; here is what follows for the outputs.
"""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from rater.core.entities import Account, InFlight, Share
from rater.core.inputs import Source
from rater.core.lots import lots_with_money, shown_lots
from rater.core.money import format_amount, format_micros
from rater.core.outputs import (
    AccountEvent,
    Balance,
    Debit,
    LotShare,
    LotState,
    Output,
    RechargeRequest,
    ServiceState,
)
from rater.core.reasons import DebitKind, EventKind
from rater.core.settings import RatingSettings
from rater.core.state import State
from rater.core.tariff import Tariffs

#: Kinds of which one undoes or answers another: those of one input are emitted as they happened.
_AS_THEY_HAPPENED = (
    (EventKind.USER_RESTRICTED, EventKind.USER_UNRESTRICTED),
    (EventKind.CREDITS_SUSPENDED, EventKind.CREDITS_RESUMED),
    (EventKind.RECHARGE_SUCCEEDED, EventKind.RECHARGE_FAILED, EventKind.RECHARGE_SUPPRESSED),
)
#: The other events of one input are emitted in the order in which the closed list names their kinds.
_RANK = {kind: rank for rank, kind in enumerate(EventKind)} | {
    kind: tuple(EventKind).index(kinds[0]) for kinds in _AS_THEY_HAPPENED for kind in kinds
}


class Rules(msgspec.Struct, frozen=True):
    """What rating depends on besides state and input: settings, and the decks that were published."""

    settings: RatingSettings
    tariffs: Tariffs


class Step:
    """Collects what inputs of one tenant do, one input after the other.

    A command has a step of its own.  The calls of a tenant share one until a command comes, because a command may
    put another account in this one's place: `begin` each call, let the rules run, then `emit_events`, and nothing
    of a call is left for the next one.
    Outputs are appended to `outputs`, which may be a list that several steps share.
    """

    __slots__ = ("_balance", "_balance_text", "_news", "account", "at", "outputs", "rules", "source", "state")

    def __init__(
        self,
        state: State,
        rules: Rules,
        account: Account,
        source: Source,
        at: datetime,
        outputs: list[Output] | None = None,
    ) -> None:
        self.state = state
        self.rules = rules
        self.account = account
        self.source = source
        self.at = at
        self.outputs: list[Output] = [] if outputs is None else outputs
        self._news: list[tuple[EventKind, dict[str, object]]] = []
        self._balance, self._balance_text = 0, format_micros(0)

    def begin(self, source: Source, at: datetime) -> None:
        """Go on to the tenant's next input; `at` is what its outputs are dated."""
        assert not self._news, "the events of the input before were emitted"
        self.source = source
        self.at = at

    @property
    def balance_text(self) -> str:
        """The balance as outputs show it; formatted only when it has moved."""
        balance = self.account.balance
        if balance != self._balance:
            self._balance, self._balance_text = balance, format_micros(balance)
        return self._balance_text

    def attempt(self) -> "Step":
        """The same step on an overlay of its own: `adopt` it, or drop it and nothing happened."""
        state = State(self.state)
        account = state.account(self.account.tenant)
        assert account is not None, self.account.tenant
        return Step(state, self.rules, account, self.source, self.at)

    def adopt(self, attempt: "Step") -> None:
        """Make what an attempt did this step's own."""
        self.state.absorb(attempt.state)
        self.account = attempt.account
        self.outputs.extend(attempt.outputs)
        self._news.extend(attempt._news)

    def emit(self, kind: EventKind, **facts: object) -> None:
        """Note an event; events are emitted, in their order, when all of the input is done."""
        self._news.append((kind, facts))

    def debit(
        self,
        kind: DebitKind,
        id: str,
        amount: int,
        shares: Iterable[Share],
        usage_id: str | None = None,
        version: int | None = None,
        user: str | None = None,
        period: str | None = None,
        command_id: str | None = None,
    ) -> None:
        """Emit a debit (a reversal is negative) with the balance after it, in the order of Debit's fields."""
        account = self.account
        account.sequences.debits += 1
        self.outputs.append(
            Debit(
                account.tenant,
                id,
                account.sequences.debits,
                self.source,
                kind,
                self.at,
                format_amount(amount),
                account.currency,
                self.balance_text,
                usage_id,
                version,
                user,
                period,
                lot_shares(shares),
                command_id,
            )
        )
        self.balance_changed()

    def balance_changed(self) -> None:
        """The batch owes a balance record for this tenant."""
        self.state.balances_due[self.account.tenant] = (self.source, self.at)

    def request_recharge(self, asked: InFlight, low_since: int) -> None:
        """Emit the request for a payment."""
        account, amount = self.account, format_micros(asked.amount)
        account.sequences.recharges += 1
        self.outputs.append(
            RechargeRequest(
                tenant=account.tenant,
                id=asked.recharge,
                sequence=account.sequences.recharges,
                source=self.source,
                at=self.at,
                amount=amount,
                currency=account.currency,
                attempt=asked.attempt,
                low_since=low_since,
                balance=format_micros(account.balance),
            )
        )
        self.state.asked_for_payment = True
        self.emit(EventKind.RECHARGE_REQUESTED, recharge_id=asked.recharge, amount=amount)
        self.balance_changed()

    def service_state(
        self,
        scope: str,
        state: str,
        reason: str,
        user: str | None = None,
        *,
        brake: str | None = None,
        subject: str | None = None,
        until: datetime | None = None,
    ) -> None:
        """Emit what switches may do from now on, for the tenant, one user, or what a brake is about."""
        account = self.account
        account.sequences.service_states += 1
        sequence = account.sequences.service_states
        self.outputs.append(
            ServiceState(
                tenant=account.tenant,
                id=f"{account.tenant}:service:{sequence}",
                sequence=sequence,
                source=self.source,
                scope=scope,  # type: ignore[arg-type]  # a literal at every call
                state=state,  # type: ignore[arg-type]  # a literal at every call
                since=self.at,
                reason=reason,
                user=user,
                brake=brake,
                subject=subject,
                until=until,
            )
        )

    def emit_events(self) -> None:
        """Emit the events of the input, in their order, once all of it is done."""
        if not self._news:
            return
        account, balance = self.account, self.balance_text
        self._news.sort(key=_event_order)
        for kind, facts in self._news:
            account.sequences.account_events += 1
            sequence = account.sequences.account_events
            self.outputs.append(
                AccountEvent(
                    tenant=account.tenant,
                    id=f"{account.tenant}:event:{sequence}",
                    sequence=sequence,
                    source=self.source,
                    event=kind,
                    at=self.at,
                    balance=balance,
                    currency=account.currency,
                    **facts,  # type: ignore[arg-type]  # the caller names fields of AccountEvent
                )
            )
        self._news.clear()


def _event_order(news: tuple[EventKind, dict[str, object]]) -> tuple[int, str]:
    kind, facts = news
    return _RANK[kind], str(facts.get("pool") or "")


def lot_shares(shares: Iterable[Share]) -> tuple[LotShare, ...]:
    """Shares in micro-units as they stand in outputs."""
    return tuple([LotShare(share.lot, format_amount(share.amount), _owed_from(share)) for share in shares])


def _owed_from(share: Share) -> str | None:
    return None if share.owed_from is None else format_micros(share.owed_from)


def balance_record(account: Account, source: Source, at: datetime, sequence: int) -> Balance:
    """The tenant's balance as others see it."""
    recharge = account.recharge
    in_flight = recharge.in_flight
    lots, total = shown_lots(account), lots_with_money(account)
    return Balance(
        account.tenant,
        f"{account.tenant}:balance:{sequence}",
        sequence,
        source,
        at,
        account.revision,
        account.currency,
        format_micros(account.balance),
        "enabled" if account.credits else "not_set_up",
        recharge.enabled,
        format_amount(recharge.trigger),
        format_amount(recharge.amount),
        in_flight.recharge if in_flight else None,
        recharge.attempt,
        recharge.failures,
        recharge.retry_at,
        recharge.suppressed,
        recharge.requested,
        recharge.low_since,
        account.depleted_since,
        tuple([LotState(lot.lot, format_micros(lot.remaining), lot.purchased_at, lot.expires_at) for lot in lots]),
        total if total > len(lots) else None,
        recharge.stopped,
        account.closed_since,
    )


def close_batch(state: State) -> list[Output]:
    """The balance records that a batch owes: one for each tenant whose balance it touched."""
    records: list[Output] = []
    for tenant, (source, at) in state.balances_due.items():
        account = state.accounts[tenant]
        account.sequences.balances += 1
        records.append(balance_record(account, source, at, account.sequences.balances))
    state.balances_due.clear()
    return records
