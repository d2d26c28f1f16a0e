"""The ledger's side of a reconciliation, from the events that `rater export funds` shows."""

from collections.abc import Iterable

import msgspec

from rater.core import AccountEvent, EventKind, parse_ledger
from rater.files.export_funds import fund_row
from rater.files.settlement_lines import Entry, Kind, Ledger, Request

_events = msgspec.json.Decoder(AccountEvent)
#: Rows of the table of funds that stand on the gateway's side, too.
_KINDS = {
    "purchase": Kind.PAYMENT,
    "recharge": Kind.PAYMENT,
    "refund": Kind.REFUND,
    "charge_back": Kind.CHARGE_BACK,
}


def ledger_of(values: Iterable[bytes], *, purchases: bool = True) -> Ledger:
    """Payments, refunds and charge-backs of `account-events`, in order; with or without purchases by hand.

    Without them also what is about them is left out: it was not paid by the gateway.
    """
    entries: list[Entry] = []
    requests: dict[str, Request] = {}
    mended: dict[tuple[str, str], int] = {}
    ids: set[tuple[str, str]] = set()
    others: set[tuple[str, str]] = set()
    for value in values:
        event = _events.decode(value)
        _follow(requests, event)
        row = fund_row(event)
        if row is None:
            continue
        tenant, _, at, kind, amount, currency, _, lot, command_id, *_ = row
        micros = parse_ledger(f"{amount:f}")
        if command_id is not None:
            ids.add((tenant, command_id))
            if kind == "adjustment":
                mended[(tenant, command_id)] = micros
        if kind == "purchase" and not purchases:
            others.add((tenant, lot or ""))
        if kind in _KINDS and (tenant, lot or "") not in others:
            entry = Entry(
                kind=_KINDS[kind],
                tenant=tenant,
                lot=lot or command_id or "",
                amount=abs(micros),
                currency=currency or "",
                at=at,
                command_id=command_id,
            )
            entries.append(entry)
    return Ledger(entries=tuple(entries), requests=tuple(requests.values()), mended=mended, ids=frozenset(ids))


def _follow(requests: dict[str, Request], event: AccountEvent) -> None:
    """Keep the recharges that were asked for and not paid."""
    recharge = event.recharge_id
    if recharge is None:
        return
    match event.event:
        case EventKind.RECHARGE_REQUESTED:
            amount = parse_ledger(event.amount or "0")
            requests[recharge] = Request(tenant=event.tenant, recharge=recharge, amount=amount, at=event.at)
        case EventKind.RECHARGE_FAILED if recharge in requests:
            requests[recharge] = msgspec.structs.replace(requests[recharge], failed=True)
        case EventKind.RECHARGE_SUCCEEDED:
            requests.pop(recharge, None)
        case _:
            pass
