"""A call that a wrong price list priced is rated again: reversed, and rated in its month with a deck that is named.

It follows the path of a correction (A12), but the version stays as it is and `rating` counts, so that the switch's
next version still corrects the call.  The command carries the call as `rated-calls` says it: nothing is looked up
but the live version.  Of a number with hidden digits (rule 72) the destination is the one that priced it before.
"""

from datetime import datetime

import msgspec

from rater.core.calls import live_version, owes_too_much, rate_or_refuse
from rater.core.entities import LiveCall, Stretch, User
from rater.core.identity import digest, normal_usage_id
from rater.core.inputs import CallRecord, CallRerated, Source
from rater.core.instants import month_closes_at
from rater.core.limits import may_name_too_many_lots
from rater.core.mediation import Again, Mediated, call_id, emergency_call, in_utc, mediate, refusal
from rater.core.numbers import HIDDEN
from rater.core.outputs import RatedCall
from rater.core.pricing import EMERGENCY_RULE, NOT_CONNECTED_RULE, deck_in_force
from rater.core.provisioning import no_such_deck
from rater.core.rating import countries_of_help, named, payer
from rater.core.reasons import Reason, Refusal
from rater.core.state import State
from rater.core.step import Rules, Step

#: Fields of a rated call that are those of its record.
_AS_RATED = (
    "tenant", "usage_id", "version", "type", "answered_at", "duration_s", "user", "calling", "called",
    "number_type", "authorized_s", "call_id", "conference_id", "destination", "user_country", "user_object_id",
    "user_display_name", "received_at",
)  # fmt: skip


def record_as_rated(call: RatedCall) -> CallRecord:
    """The record of a call, as the rated call says it.

    One that nobody answered may have been for help, and costs nothing either way.  Where hidden digits were part of
    the prefix that priced it, the prefix says them.
    """
    fields = {name: getattr(call, name) for name in _AS_RATED}
    for party in ("calling", "called"):
        fields[party] = _as_priced(fields[party], call.prefix)
    return CallRecord(**fields, emergency=call.rule in (EMERGENCY_RULE, NOT_CONNECTED_RULE))


def _as_priced(number: str | None, prefix: str | None) -> str | None:
    """A number of which as many digits are to be seen as the prefix has that it was priced by."""
    if number is None or prefix is None or number[-1:] != "*":
        return number
    seen = number[1:].rstrip("*")
    return f"+{prefix}{HIDDEN}" if len(seen) < len(prefix) and prefix.startswith(seen) else number


def call_as_rated(call: RatedCall, grace_hours: int) -> Mediated:
    """The call as the rated call says it, for whoever rates it anew and has its record no more.

    The destination is that of the price list, so it is left out but where digits are hidden (rule 72).
    """
    cdr = record_as_rated(call)
    if call.prefix is not None and (call.called or "")[-1:] != "*":
        cdr = msgspec.structs.replace(cdr, destination=None)
    return _as_rated(cdr, call.content, call.late, grace_hours)


def _as_rated(cdr: CallRecord, content: str, late: bool, grace_hours: int) -> Mediated:
    """A record that was compared by this content, and that was late, or was not."""
    call = mediate(cdr, b"")
    late_at = month_closes_at(call.month, grace_hours) if late else cdr.answered_at
    return msgspec.structs.replace(call, content=content, late_at=late_at)


def rerating_of(
    call: RatedCall, deck: str, at: datetime, reason: str | None = None, by: str | None = None
) -> CallRerated:
    """The command that rates a call again; its id is the same whoever asks for it, so that it is done once."""
    rating = call.rating + 1
    return CallRerated(
        tenant=call.tenant,
        id=f"rerate-{digest(call.tenant, normal_usage_id(call.usage_id), call.version, rating, deck)}",
        at=at,
        call=record_as_rated(call),
        content=call.content,
        rating=rating,
        deck=deck,
        late=call.late,
        reason=reason,
        by=by,
    )


def rerating_id(command: CallRerated) -> str:
    """The id of the rated call that the command causes."""
    normal = msgspec.structs.replace(command.call, usage_id=normal_usage_id(command.call.usage_id))
    return call_id(normal, command.rating)


def same_rating(one: RatedCall, other: RatedCall) -> bool:
    """Whether two ratings of a call have the same charge and the same minutes of the same pockets."""
    return _came_to(one) == _came_to(other)


def _came_to(call: RatedCall) -> tuple[object, ...]:
    segments = [(part.pocket, part.minutes, part.charge, part.pool) for part in call.segments]
    return call.charge, call.unfunded_charge, call.connection_fee, segments


def deck_stands(state: State, rules: Rules, tenant: str, at: datetime) -> str | None:
    """The deck that prices a tenant's calls of an instant which arrive from now on."""
    account = state.account(tenant)
    return None if account is None else deck_in_force(Step(state, rules, account, Source("", 0, 0), at), at)


class _Found(msgspec.Struct, frozen=True):
    """The call of a command with its live version, and who pays."""

    call: Mediated
    live: LiveCall | None
    user: User | None
    held: Stretch
    emergency: bool


def unreadable_call(command: CallRerated) -> Refusal | None:
    """Why no call is meant: it is another tenant's, or its times cannot be."""
    if command.call.tenant != command.tenant:
        message = f"expected the tenant of the command, {command.tenant!r}, got {command.call.tenant!r}"
        return Refusal(Reason.MALFORMED, "call.tenant", message)
    cdr = in_utc(command.call)
    return cdr if isinstance(cdr, Refusal) else mediate(cdr, b"").impossible


def rerating_refused(step: Step, command: CallRerated) -> Refusal | None:
    """Why the call cannot be rated again; found before anything is changed."""
    refused = no_such_deck(step, command.deck, "deck")
    if refused is not None:
        return refused
    found = _found(step, command)
    account = step.account
    return (
        _changed(command, found)
        or refusal(found.call, account.currency, account.domains, found.emergency)
        or owes_too_much(account)
        or (_rated(step.attempt(), found) if may_name_too_many_lots(account) else None)
    )


def rerate(step: Step, command: CallRerated) -> None:
    """Give back all that the call used, and rate it again."""
    refused = _rated(step, _found(step, command))
    assert refused is None, refused


def _rated(step: Step, found: _Found) -> Refusal | None:
    return rate_or_refuse(step, found.call, found.user, found.held, found.emergency, found.live)


def _found(step: Step, command: CallRerated) -> _Found:
    cdr = in_utc(command.call)
    assert isinstance(cdr, CallRecord), cdr
    user, held = payer(step, cdr)
    call = _as_rated(cdr, command.content, command.late, step.rules.settings.grace_hours)
    call = msgspec.structs.replace(
        named(call, user),
        id=call_id(call.cdr, command.rating),
        again=Again(command.deck, command.rating, command.reason),
    )
    countries = countries_of_help(step.account, held.country, cdr.user_country)
    emergency = emergency_call(call, countries, step.rules.settings.emergency_numbers)
    return _Found(call, live_version(step, call), user, held, emergency)


def _changed(command: CallRerated, found: _Found) -> Refusal | None:
    """Why the call is not what the command says: nobody rated it, or it was corrected or rated again since."""
    live, cdr = found.live, found.call.cdr
    if live is None:
        message = f"expected the usage id of a rated call, got {cdr.usage_id!r}"
        return Refusal(Reason.UNKNOWN_CALL, "call.usage_id", message)
    expected = (cdr.version, command.rating - 1, command.content, found.call.month)
    if expected == (live.version, live.rating, live.content, live.month):
        return None
    message = (
        f"expected version {live.version} and rating {live.rating + 1}, got version {cdr.version} and rating"
        f" {command.rating}: the call was corrected or rated again since it was looked at; nothing was changed;"
        " run rater rerate again"
    )
    return Refusal(Reason.CALL_CHANGED, "call.version", message)
