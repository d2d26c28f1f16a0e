"""The kinds of calls on a statement.  One table, read from the top; the first row that fits a rated call decides.

A kind says why a call cost money, or which minutes covered it.  Rules 17, 22, 28, 39, 47.
"""

from functools import lru_cache

import msgspec

from rater.core import DIRECT_INBOUND, INBOUND, PREMIUM_RULES, CallType, ClosedList, NumberType, Pocket, RatedCall


class CallKind(ClosedList):
    """The kinds of calls, in the order in which they are shown; the first six may cost money."""

    OVERFLOW = "overflow"  # domestic, beyond the plan's minutes or without such a plan
    INTERNATIONAL = (
        "international"  # to another country, and no minutes of a plan were left for it, or none reach it
    )
    TOLL_FREE = "toll_free"  # somebody called a toll-free number of the tenant
    CONFERENCING = "conferencing"  # meetings: dial-out, or dial-in that is paid by the minute
    PREMIUM = "premium"  # to a number of special rate, which no plan includes
    OTHER = "other"  # paid, and none of the above
    POOL = "pool"  # covered by minutes of a plan
    INCLUDED = "included"  # the licence includes it, and no minutes are counted
    UNFUNDED = "unfunded"  # priced, and nobody had the right to spend credits on it
    FREE = "free"  # nobody pays: not connected, emergency, internal, direct routing, or without a price
    NOT_KEPT = "not_kept"  # its debit is there, and the rated call itself is not kept any more


#: Of these a statement has an entry each.
PAID = (
    CallKind.OVERFLOW,
    CallKind.INTERNATIONAL,
    CallKind.TOLL_FREE,
    CallKind.CONFERENCING,
    CallKind.PREMIUM,
    CallKind.OTHER,
    CallKind.NOT_KEPT,
)
#: The pocket that decides is the first of these that a call drew on: a call of which a part was paid is a paid one.
_DECIDES = (Pocket.CREDIT, Pocket.UNFUNDED, Pocket.POOL, Pocket.INCLUDED)
_MEETINGS = frozenset({CallType.CONF_IN, CallType.CONF_OUT})


class KindRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table.  A condition that is None is not asked."""

    kind: CallKind
    pocket: Pocket
    types: frozenset[CallType] | None = None
    number_type: NumberType | None = None
    context: str | None = None
    rules: frozenset[str] | None = None

    def fits(self, pocket: Pocket, type: CallType, number_type: NumberType, context: str | None, rule: str) -> bool:
        """Whether every condition of the row holds for a call; `pocket` is the one that decides."""
        return (
            self.pocket is pocket
            and (self.types is None or type in self.types)
            and (self.number_type is None or self.number_type is number_type)
            and (self.context is None or self.context == context)
            and (self.rules is None or rule in self.rules)
        )


KINDS = (
    KindRow(
        kind=CallKind.TOLL_FREE,
        pocket=Pocket.CREDIT,
        types=INBOUND | DIRECT_INBOUND,
        number_type=NumberType.TOLL_FREE,
    ),
    KindRow(kind=CallKind.CONFERENCING, pocket=Pocket.CREDIT, types=_MEETINGS),
    KindRow(kind=CallKind.PREMIUM, pocket=Pocket.CREDIT, rules=PREMIUM_RULES),
    KindRow(kind=CallKind.INTERNATIONAL, pocket=Pocket.CREDIT, context="international"),
    KindRow(kind=CallKind.OVERFLOW, pocket=Pocket.CREDIT, context="domestic"),
    KindRow(kind=CallKind.OTHER, pocket=Pocket.CREDIT),
    KindRow(kind=CallKind.UNFUNDED, pocket=Pocket.UNFUNDED),
    KindRow(kind=CallKind.POOL, pocket=Pocket.POOL),
    KindRow(kind=CallKind.INCLUDED, pocket=Pocket.INCLUDED),
    KindRow(kind=CallKind.FREE, pocket=Pocket.FREE),
)


def kind_of(call: RatedCall) -> CallKind:
    """The kind of a call; one that was not connected has no minutes and is free."""
    drawn = [segment.pocket for segment in call.segments]
    pocket = drawn[0] if len(drawn) == 1 else next((each for each in _DECIDES if each in drawn), Pocket.FREE)
    return _kind(pocket, call.type, call.number_type, call.context, call.rule)


@lru_cache(maxsize=4096)
def _kind(pocket: Pocket, type: CallType, number_type: NumberType, context: str | None, rule: str) -> CallKind:
    return next(row.kind for row in KINDS if row.fits(pocket, type, number_type, context, rule))
