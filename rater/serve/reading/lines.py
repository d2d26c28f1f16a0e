"""Records of the ledger as lines of the read API's answers."""

from rater.core import AccountEvent, Brake, Debit, RatedCall, format_micros
from rater.embedded.lookup import Spend, flags_of
from rater.engine.brake_report import BrakeWindow, KnownCountries, in_its_measure
from rater.files.export_funds import fund_row
from rater.ops.masking import mask_people
from rater.serve.reading.answers import CallLine, DebitLine, FundLine, RefusedLine, SegmentLine, SpendLine
from rater.serve.reading.brake_answers import BrakeLine, BrakeWindowLine, KnownLine
from rater.wire.dead_letters import Letter, place_of, raw_bytes

#: Characters of a refused record that are shown.
RAW_SHOWN_MAX = 1_000


def call_line(call: RatedCall, stands: bool) -> CallLine:
    """A rating of a call."""
    return CallLine(
        usage_id=call.usage_id,
        version=call.version,
        rating=call.rating,
        stands=stands,
        outcome=call.outcome,
        type=call.type,
        answered_at=call.answered_at,
        period=call.period,
        duration_s=call.duration_s,
        minutes=call.minutes,
        user=call.user,
        calling=call.calling,
        called=call.called,
        destination=call.destination,
        charge=call.charge,
        unfunded_charge=call.unfunded_charge,
        balance=call.balance,
        currency=call.currency,
        rule=call.rule,
        flags=flags_of(call),
        segments=[
            SegmentLine(one.pocket, one.minutes, one.charge if isinstance(one.charge, str) else None, one.pool)
            for one in call.segments
        ],
    )


def brake_line(brake: Brake) -> BrakeLine:
    """A limit."""
    limit = in_its_measure(brake, brake.limit)
    return BrakeLine(brake.name, brake.mode, brake.scope, brake.measure, brake.window, limit, brake.only)


def brake_window_line(one: BrakeWindow) -> BrakeWindowLine:
    """What a brake counted of a subject in a window."""
    window = one.counted
    return BrakeWindowLine(
        brake=window.brake,
        subject=one.subject or None,
        country=window.country,
        since=window.start,
        until=window.end,
        counted=in_its_measure(one.brake, window.spent),
        reached_at=one.reached_at,
        released=one.released,
        over_calls=window.over_calls,
        over_charge=format_micros(window.over_money),
    )


def known_line(one: KnownCountries) -> KnownLine:
    """What a brake on new countries learned of a subject."""
    return KnownLine(one.brake.name, one.subject or None, one.countries)


def debit_line(debit: Debit) -> DebitLine:
    """A debit."""
    return DebitLine(
        id=debit.id,
        sequence=debit.sequence,
        kind=debit.kind,
        at=debit.at,
        amount=debit.amount,
        balance=debit.balance,
        currency=debit.currency,
        usage_id=debit.usage_id,
        version=debit.version,
        user=debit.user,
        period=debit.period,
        lots=list(debit.lots),
        command_id=debit.command_id,
    )


def fund_line(event: AccountEvent) -> FundLine:
    """Money that is no call's; the kind and the sign are those of `rater export funds`."""
    row = fund_row(event)
    assert row is not None, event.event
    return FundLine(
        sequence=row.sequence,
        at=row.at,
        event=event.event,
        kind=row.kind,
        amount=format_micros(row.micros),
        balance=event.balance or "0",
        currency=row.currency,
        lot=row.lot,
        command_id=row.command_id,
        usage_id=row.usage_id,
        reason=row.reason,
        by=row.by,
    )


def spend_line(one: Spend) -> SpendLine:
    """A sum of calls."""
    return SpendLine(one.key, one.calls, one.minutes, format_micros(one.charge_micros))


def refused_line(letter: Letter) -> RefusedLine:
    """A dead letter; what people must not read is masked."""
    about = letter.letter
    raw = mask_people(raw_bytes(about).decode("utf-8", "replace"))[:RAW_SHOWN_MAX]
    return RefusedLine(
        id=about.id,
        reason=about.reason,
        message=mask_people(about.message),
        state=letter.state,
        field=about.field,
        usage_id=about.usage_id,
        place=place_of(about),
        raw=raw,
    )
