"""Every choice that a deployment may make about rating: one frozen value, one name each.

The names are those that scenario files use under `settings:`.  The defaults are the decisions in RULES.md.
"""

import re
from typing import Annotated, Literal

import msgspec

from rater.core.country_names import ISO_COUNTRIES, meant_country
from rater.core.inputs import DURATION_S_MAX, END

#: Largest values, so that no sum of times leaves the calendar and no list grows without end.
HOURS_MAX = 24 * 366
RECHARGES_MAX = 1_000
RETRIES_MAX = 100
EMERGENCY_NUMBERS_MAX = 1_000

EmergencyNumber = Annotated[str, msgspec.Meta(pattern=rf"^[A-Z]{{2}}:[0-9]{{2,15}}{END}")]
_EMERGENCY_NUMBER = re.compile(r"([A-Z]{2}):[0-9]{2,15}")
Hours = Annotated[int, msgspec.Meta(ge=0, le=HOURS_MAX)]
Recharges = Annotated[int, msgspec.Meta(ge=0, le=RECHARGES_MAX)]


class RatingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Choices that change what a call costs or which events it emits."""

    #: A2: reaching the domestic or the international cap of a plan closes both.
    linked_caps: bool = True
    #: A3: a call that crosses the pool's end is split at the minute, or goes whole to credits.
    straddle: Literal["split", "whole_to_credits"] = "split"
    #: A15: an empty dial-out pool is followed by the organizer's calling plan before credits.
    conf_fallback_to_calling_plan: bool = False
    #: A9: what the dial-out pool counts; `by_date` is assigned before 2020-10-22, purchased from then.
    dial_out_basis: Literal["by_date", "assigned", "purchased"] = "by_date"
    #: A38: national emergency numbers that the numbering plan lacks, each as "CC:number", such as "IT:1530".
    emergency_numbers: Annotated[tuple[EmergencyNumber, ...], msgspec.Meta(max_length=EMERGENCY_NUMBERS_MAX)] = ()
    #: A12: a month stays open this long; a record received later is marked late.
    grace_hours: Hours = 72
    #: Rule 56: a pool's warning is emitted at this share of its total.
    pool_warning_percent: Annotated[int, msgspec.Meta(ge=0, le=100)] = 80
    #: A7: requests for recharge in any 60 minutes; one more is suppressed.
    recharges_per_hour_max: Recharges = 5
    #: The same in any 24 hours.
    recharges_per_day_max: Recharges = 20
    #: The same in any 30 days.
    recharges_per_month_max: Recharges = 200
    #: A43: a time further ahead of a record's arrival than this is a clock that runs ahead.
    clock_ahead_max_h: Hours = 36
    #: A44: a longer call is held until a person accepts it; none is authorised for longer.  A tenant may say more.
    call_duration_max_s: Annotated[int, msgspec.Meta(ge=1, le=DURATION_S_MAX)] = 43_200
    #: A8: hours to wait after each failed recharge in a row; then it is switched off.
    recharge_retry_hours: Annotated[tuple[Hours, ...], msgspec.Meta(max_length=RETRIES_MAX)] = (1, 6, 24)


def read_emergency_numbers(text: str) -> tuple[str, ...]:
    """Emergency numbers as a deployment writes them: "IT:1530, CH:1414" (A38); ValueError names the invalid one."""
    entries = tuple(dict.fromkeys(entry.strip() for entry in text.split(",") if entry.strip()))
    if len(entries) > EMERGENCY_NUMBERS_MAX:
        raise ValueError(f"expected at most {EMERGENCY_NUMBERS_MAX} numbers, got {len(entries)}")
    for entry in entries:
        found = _EMERGENCY_NUMBER.fullmatch(entry)
        if found is None or found[1] not in ISO_COUNTRIES:
            country = meant_country(entry.partition(":")[0]) if found else ""
            raise ValueError(
                "expected a country and 2 to 15 digits such as IT:1530, with commas between,"
                f" got {entry!r:.60}{country}"
            )
    return entries
