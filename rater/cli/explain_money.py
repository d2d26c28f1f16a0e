"""What books say of money that is no call's: found by the id of its command, its debit, or its lot."""

from collections.abc import Iterator

import msgspec

from rater.core import AccountEvent, Debit, DebitKind, credited_by, explain_credit, explain_debit
from rater.engine.books import Books

_debits = msgspec.json.Decoder(Debit).decode
_events = msgspec.json.Decoder(AccountEvent).decode
_OF_CALLS = (DebitKind.CALL, DebitKind.REVERSAL)


def explained_money(books: Books, id: str, tenant: str | None) -> Iterator[tuple[bytes, str]]:
    """Each debit and each credit of this id, in order: as JSON, and explained."""
    quoted = msgspec.json.encode(id)
    events = [
        (value, event)
        for _, value in books.topic("account-events", tenant)
        if quoted in value and id in ((event := _events(value)).command_id, event.lot, event.recharge_id)
    ]
    by_command = {event.command_id: event for _, event in events if event.command_id}
    for value, event in events:
        if credited_by(event):
            yield value, "\n".join(explain_credit(event))
    for _, value in books.topic("debits", tenant):
        if quoted not in value:
            continue
        debit = _debits(value)
        if debit.kind not in _OF_CALLS and id in (debit.id, debit.command_id, *[share.lot for share in debit.lots]):
            yield value, "\n".join(explain_debit(debit, by_command.get(debit.command_id or "")))
