"""Every choice that a deployment may make about rating: one frozen value, one name each.

The names are those that scenario files use under `settings:`.  The defaults are the decisions in RULES.md.
"""

from typing import Annotated, Literal

import msgspec

EmergencyNumber = Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}:[0-9]{2,15}$")]


class RatingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Choices that change what a call costs or what is told about it."""

    #: A2: reaching the domestic or the international cap of a plan closes both.
    linked_caps: bool = True
    #: A3: a call that crosses the pool's end is split at the minute, or goes whole to credits.
    straddle: Literal["split", "whole_to_credits"] = "split"
    #: A15: an empty dial-out pool is followed by the organizer's calling plan before credits.
    conf_fallback_to_calling_plan: bool = False
    #: A9: what the dial-out pool counts; `by_date` is assigned before 2020-10-22, purchased from then.
    dial_out_basis: Literal["by_date", "assigned", "purchased"] = "by_date"
    #: A38: national emergency numbers that the numbering plan lacks, each as "CC:number", such as "IT:1530".
    emergency_numbers: tuple[EmergencyNumber, ...] = ()
    #: A12: a month stays open this long; a record received later is marked late.
    grace_hours: int = 72
    #: Rule 56: a pool's warning is told at this share of its total.
    pool_warning_percent: int = 80
    #: A7: requests for recharge in any 60 minutes; one more is suppressed.
    recharges_per_hour_max: int = 5
    #: The same in any 24 hours.
    recharges_per_day_max: int = 20
    #: The same in any 30 days.
    recharges_per_month_max: int = 200
    #: A43: a time further ahead of a record's arrival than this is a clock that runs ahead.
    clock_ahead_max_h: int = 36
    #: A44: a longer call is held until a person accepts it; none is authorised for longer.  A tenant may say more.
    call_duration_max_s: int = 43_200
    #: A8: hours to wait after each failed recharge in a row; then it is switched off.
    recharge_retry_hours: tuple[int, ...] = (1, 6, 24)
