"""Mediation: is this record of a call one that can be rated at all?

The checks that types cannot say, the same in every shell.  Rules 15, 23, 68, 72, 73, A13, A14.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b

import msgspec

from rater.core.classify import OUTBOUND
from rater.core.entities import twin
from rater.core.identity import name_key, normal_usage_id
from rater.core.inputs import CallRecord
from rater.core.instants import MonthIndex, as_utc, month_index
from rater.core.numbering import calls_for_help
from rater.core.numbers import (
    dialled,
    domain_of,
    is_address,
    match_plain,
    normal_destination,
    normal_number,
)
from rater.core.reasons import CallType, Reason, Refusal
from rater.core.record_checks import YEARS, ahead_of_arrival, impossible, impossible_time, unreadable

#: Durations recur.
_seconds = lru_cache(maxsize=16384)(lambda seconds: timedelta(seconds=seconds))
#: When a record was received, from which switch and under which number: the same call comes again with others.
_OF_ITS_WAY = (b',"received_at":"', b',"switch":"', b',"switch_sequence":')
assert CallRecord.__struct_fields__[-3:] == ("received_at", "switch", "switch_sequence"), "see content_hash"
#: A record as its canonical JSON.
canonical_json = msgspec.json.Encoder().encode


class Again(msgspec.Struct, frozen=True):
    """How a call is rated again: with which deck, for the how manyth time, and why."""

    deck: str
    rating: int
    reason: str | None = None


class Mediated(msgspec.Struct, frozen=True, gc=False):
    """A record with what follows from it alone, worked out once.

    `cdr` is the record in its normal form (A39 to A42), but for the user's spelling, which may be the one to show;
    `given` the record as it was read, or would have been before A42, where that is another.
    `id` names this version of the call, `content` what it says, `at` is when it reached the rater (without
    `received_at`: when the call ended), `month` that of its start (A4).  `arrival` is the earlier of `received_at`
    and the stamp, None where there is neither; `late_at` decides whether it is late, `latest` is the latest instant
    that it names (A43).  Of an outbound call, `dialled` is the digits, None where some are hidden or there are
    none, and `called_domain` that of an address which was called instead of a number (A39).
    `impossible` and `unreadable` are the refusals it asks for, if any.
    """

    cdr: CallRecord
    id: str
    content: str
    at: datetime
    arrival: datetime | None
    late_at: datetime
    latest: datetime
    month: MonthIndex
    dialled: str | None
    called_domain: str | None
    impossible: Refusal | None
    unreadable: Refusal | None
    given: CallRecord | None = None
    again: Again | None = None  # there for a call that is rated again

    @property
    def tenant(self) -> str:
        """Whose call it is."""
        return self.cdr.tenant


def in_utc(cdr: CallRecord) -> CallRecord | Refusal:
    """The record with every instant in UTC, so that the same call has the same content; or why it has none."""
    for instant in (cdr.answered_at, cdr.ended_at, cdr.received_at):
        if instant is not None and (instant.tzinfo is not UTC or instant.year not in YEARS):
            break
    else:
        return cdr
    given = _instants(cdr)
    refused = impossible_time(**given)
    return refused or msgspec.structs.replace(cdr, **{name: as_utc(at) for name, at in given.items() if at})


def _instants(cdr: CallRecord) -> dict[str, datetime | None]:
    return {"answered_at": cdr.answered_at, "ended_at": cdr.ended_at, "received_at": cdr.received_at}


def mediate(
    cdr: CallRecord,
    canonical: bytes,
    arrived_at: datetime | None = None,
    *,
    arrival_given: bool = False,
    formerly: CallRecord | None = None,
) -> Mediated:
    """What follows from a record alone; `canonical` is its canonical JSON, times in UTC.
    `arrived_at` is the stamp of whoever received it; `arrival_given` says that it may decide what is late (A43).
    `formerly` is the record as it was read before A42, where that is another: its content compares, too.
    """
    as_read = formerly or cdr
    called_is_plain = cdr.called is not None and match_plain(cdr.called) is not None  # nearly always
    calling_is_plain = cdr.calling is not None and match_plain(cdr.calling) is not None
    called = cdr.called if called_is_plain else _normal_called(cdr)
    calling = cdr.calling if calling_is_plain else cdr.calling and normal_number(cdr.calling)
    cdr, canonical = _normal_form(cdr, canonical, calling, called)
    answered_at, received_at, ended_at = cdr.answered_at, cdr.received_at, cdr.ended_at
    hung_up_at = answered_at + _seconds(cdr.duration_s)
    arrival = _arrival(received_at, arrived_at)
    late_at = arrival if arrival and (arrival_given or received_at) else hung_up_at
    return Mediated(
        cdr=cdr,
        id=call_id(cdr),
        content=content_hash(canonical),
        at=received_at or hung_up_at,
        arrival=arrival,
        late_at=late_at,
        latest=max(hung_up_at, answered_at, received_at or answered_at, ended_at or answered_at),
        month=month_index(answered_at),
        dialled=_dialled(cdr.called, called_is_plain) if cdr.type in OUTBOUND else None,
        called_domain=None if called_is_plain else _called_domain(cdr),
        impossible=impossible(cdr, hung_up_at),
        unreadable=unreadable(cdr, numbers_are_plain=called_is_plain and calling_is_plain),
        given=None if cdr is as_read else as_read,
    )


def _arrival(received_at: datetime | None, arrived_at: datetime | None) -> datetime | None:
    """The earlier of what a record says and what was stamped on it."""
    if received_at is None or arrived_at is None:
        return received_at or arrived_at
    return min(received_at, arrived_at)


def _normal_form(
    cdr: CallRecord, canonical: bytes, calling: str | None, called: str | None
) -> tuple[CallRecord, bytes]:
    """The record with these numbers, its ids normal, and the bytes by which it is compared (A39 to A42)."""
    usage_id, user = normal_usage_id(cdr.usage_id), name_key(cdr.user or "") or None
    if usage_id == cdr.usage_id and user == cdr.user and calling == cdr.calling and called == cdr.called:
        return cdr, canonical
    shown = cdr.user.strip() if cdr.user and user else None
    cdr = _with(cdr, usage_id=usage_id, user=shown, calling=calling, called=called)
    return cdr, canonical_json(cdr if user == shown else _with(cdr, user=user))


def _dialled(called: str | None, is_plain: bool) -> str | None:
    return called if is_plain or called is None else dialled(called)


def _normal_called(cdr: CallRecord) -> str | None:
    if cdr.called is None:
        return None
    return normal_destination(cdr.called) if cdr.type in OUTBOUND else normal_number(cdr.called)


def _with(cdr: CallRecord, **changes: str | None) -> CallRecord:
    """The record with other texts; `structs.replace` would take five times as long."""
    changed = twin(cdr)
    for name, text in changes.items():
        if text != getattr(cdr, name):
            msgspec.structs.force_setattr(changed, name, text)
    return changed


def clock_ahead(call: Mediated, hours: int) -> Refusal | None:
    """The first instant of a record that lies too far ahead of its arrival (A43), or None."""
    arrival, cdr = call.arrival, call.cdr
    if arrival is None or call.latest <= arrival:
        return None
    for field, instant in _instants(cdr).items():
        if instant is not None and (wrong := ahead_of_arrival(field, instant, arrival, hours)) is not None:
            return wrong
    return ahead_of_arrival("duration_s", call.latest, arrival, hours)


def former_contents(call: Mediated) -> tuple[str, ...]:
    """What `content` was before A39 to A42: of the record as it was read; CSV came with its users in lower case."""
    given = call.given
    if given is None:
        return ()
    lowered = given if given.user is None else _with(given, user=given.user.casefold())
    return content_hash(canonical_json(given)), content_hash(canonical_json(lowered))


def call_id(cdr: CallRecord, rating: int = 0) -> str:
    """The id of a rating of the call: a hash of tenant, usage id and version, and of the rating after the first."""
    again = f"\0{rating}" if rating else ""
    return blake2b(f"{cdr.tenant}\0{cdr.usage_id}\0{cdr.version}{again}".encode(), digest_size=16).hexdigest()


def content_hash(canonical: bytes) -> str:
    """A hash over every field of a record but those about its way here, from the record's canonical JSON.

    There these fields come last, so the hash ends before the first of them, or before the closing brace (-1).
    """
    for field in _OF_ITS_WAY:
        if (end := canonical.rfind(field)) >= 0:
            return blake2b(canonical[:end], digest_size=8).hexdigest()
    return blake2b(canonical[:-1], digest_size=8).hexdigest()


def refusal(call: Mediated, currency: str, domains: tuple[str, ...], emergency: bool) -> Refusal | None:
    """The first reason for which this record cannot be rated, or None; for help any number may be dialled.

    `domains` are the tenant's own: an address elsewhere is no number (A39).
    """
    if call.impossible is not None:
        return call.impossible
    given = call.cdr.currency
    if given is not None and given != currency:
        return Refusal(
            Reason.CURRENCY_MISMATCH, "currency", f"expected the tenant's currency {currency}, got {given}"
        )
    return None if emergency else call.unreadable or _elsewhere(call, domains)


def emergency_call(call: Mediated, countries: tuple[str, ...], added: tuple[str, ...]) -> bool:
    """Whether this is an emergency call: what the record says, else the lists of the countries (A14, A38)."""
    said = call.cdr.emergency
    return calls_for_help(call.dialled, countries, added) if said is None else said


def is_internal(call: Mediated, domains: tuple[str, ...]) -> bool:
    """Whether the call stayed within the service: by its type, or to one of the tenant's domains (rule 15, A39)."""
    return call.cdr.type is CallType.INTERNAL or (call.called_domain is not None and call.called_domain in domains)


def _called_domain(cdr: CallRecord) -> str | None:
    """The domain of an address that an outbound call went to; empty where it names none."""
    called = cdr.called
    if called is None or called[:1] == "+" or cdr.type not in OUTBOUND or not is_address(called):
        return None
    return domain_of(called)


def _elsewhere(call: Mediated, domains: tuple[str, ...]) -> Refusal | None:
    """An address that an outbound call went to, and that is in none of the tenant's domains."""
    if call.called_domain is None or is_internal(call, domains):
        return None
    expected = f"an address in one of the tenant's domains ({', '.join(domains) or 'none is configured'})"
    message = f"expected an E.164 number such as +14255550100, or {expected}, got {call.cdr.called!r}"
    return Refusal(Reason.NOT_E164, "called", message)
