"""What people gave back for a call by hand (A45), so that it is never more than the call cost."""

from collections.abc import Iterable

import msgspec

from rater.core import AccountEvent, EventKind, parse_ledger

_events = msgspec.json.Decoder(AccountEvent)


def given_back(events: Iterable[bytes], usage_id: str, id: str | None) -> int:
    """Micro-units that a tenant's events gave for a call, but for what this id gave: again it changes nothing."""
    quoted = msgspec.json.encode(usage_id)
    return sum(
        parse_ledger(event.amount or "0")
        for event in map(_events.decode, (value for value in events if quoted in value))
        if event.event is EventKind.FUNDS_ADJUSTED and event.usage_id == usage_id and event.command_id != id
    )
