"""What one batch did, summed up from its outputs: money, minutes, refusals, and each tenant's own sums.

One look at each output, and one increment a batch for each series: cheap enough to run beside the rating.
"""

from collections import Counter
from collections.abc import Iterable

from rater.core import (
    TOPIC_OF,
    AccountEvent,
    Anomaly,
    Balance,
    Debit,
    DebitKind,
    EventKind,
    LotKind,
    Output,
    Pocket,
    RatedCall,
    Reason,
    RechargeRequest,
    RejectedCdr,
    credited_by,
    parse_amount,
)
from rater.ops.metrics.labels import NO_COUNTRY, NO_PLAN, BrakeMode, CreditSource, RechargeResult, plan_of_pool

_CREDIT_SOURCES = {
    EventKind.FUNDS_ADDED: CreditSource.FUNDS,
    EventKind.FUNDS_ADJUSTED: CreditSource.ADJUSTMENT,
    EventKind.RECHARGE_SUCCEEDED: CreditSource.RECHARGE,
}
_RECHARGE_RESULTS = {
    EventKind.RECHARGE_SUCCEEDED: RechargeResult.SUCCEEDED,
    EventKind.RECHARGE_FAILED: RechargeResult.FAILED,
    EventKind.RECHARGE_SUPPRESSED: RechargeResult.SUPPRESSED,
    EventKind.PAYMENT_CONFLICT: RechargeResult.CONFLICT,
}


class Tally:
    """Sums of one batch, in micro-units and billed minutes.

    `moved` is what each tenant's balance must have moved by, `last` the sequence that the last output of each
    (topic, tenant) bears, and `outputs` how many there were.
    """

    __slots__ = (
        "anomalies", "brakes", "credited", "debited", "last", "minutes", "moved", "outputs", "overrun", "recharges",
        "rejected", "spend", "unfunded",
    )  # fmt: skip

    def __init__(self) -> None:
        self.debited: Counter[tuple[DebitKind, str]] = Counter()
        self.credited: Counter[tuple[CreditSource, str]] = Counter()
        self.spend: Counter[tuple[str, str]] = Counter()
        self.minutes: Counter[tuple[Pocket, str]] = Counter()
        self.overrun: Counter[str] = Counter()
        self.unfunded: Counter[str] = Counter()
        self.rejected: Counter[Reason] = Counter()
        self.anomalies: Counter[Anomaly] = Counter()
        self.recharges: Counter[RechargeResult] = Counter()
        self.brakes: Counter[BrakeMode] = Counter()
        self.moved: Counter[str] = Counter()
        self.outputs: Counter[tuple[str, str]] = Counter()
        self.last: dict[tuple[str, str], int] = {}


def tally(outputs: Iterable[Output]) -> Tally:
    """Sum a batch's outputs up."""
    sums = Tally()
    add_outputs(sums, outputs)
    return sums


def add_outputs(sums: Tally, outputs: Iterable[Output]) -> None:
    """Add the next outputs of a batch."""
    count, last = sums.outputs, sums.last
    for output in outputs:
        kind = type(output)
        key = (TOPIC_OF[kind], output.tenant)
        count[key] += 1
        last[key] = output.sequence
        if kind is RatedCall:
            _add_call(sums, output)  # type: ignore[arg-type]  # its type was just looked at
        elif kind is Debit:
            _add_debit(sums, output)  # type: ignore[arg-type]  # the same
        elif kind is not Balance:
            _add_rare(sums, output)


def _add_call(sums: Tally, call: RatedCall) -> None:
    minutes = sums.minutes
    for segment in call.segments:
        pool = segment.pool
        minutes[segment.pocket, NO_PLAN if pool is None else plan_of_pool(pool)] += segment.minutes
    if call.charge != "0":
        sums.spend[call.country or NO_COUNTRY, call.currency] += parse_amount(call.charge)
    if call.unfunded_charge != "0":
        sums.unfunded[call.currency] += parse_amount(call.unfunded_charge)
    if call.anomalies:
        sums.anomalies.update(call.anomalies)


def _add_debit(sums: Tally, debit: Debit) -> None:
    amount = parse_amount(debit.amount)
    sums.moved[debit.tenant] -= amount
    sums.debited[debit.kind, debit.currency] += -amount if debit.kind is DebitKind.REVERSAL else amount
    if debit.kind is DebitKind.CALL:
        for share in debit.lots:
            if not share.lot:
                sums.overrun[debit.currency] += parse_amount(share.amount)


def _add_rare(sums: Tally, output: Output) -> None:
    match output:
        case AccountEvent():
            source, result = _CREDIT_SOURCES.get(output.event), _RECHARGE_RESULTS.get(output.event)
            if source is not None:
                amount = credited_by(output)
                if output.lot_kind is LotKind.PROMOTION:
                    source = CreditSource.PROMOTION
                sums.credited[source, output.currency or ""] += amount
                sums.moved[output.tenant] += amount
            if result is not None:
                sums.recharges[result] += 1
            if output.event is EventKind.BRAKE_REACHED:
                sums.brakes[BrakeMode(output.reason or "")] += 1
        case RechargeRequest():
            sums.recharges[RechargeResult.REQUESTED] += 1
        case RejectedCdr():
            sums.rejected[output.reason] += 1
        case _:
            pass
