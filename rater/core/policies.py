"""The twelve named outbound calling policies (rule 24): what may be dialled out of a meeting, and by a user.

A call that was made is never refused for its policy: policies are for authorisation before a call, and for a
flag on the rated call.
"""

from datetime import date

import msgspec

from rater.core.geography import ZONE_A, destination_country, domestic_countries
from rater.core.reasons import ClosedList


class DialOut(ClosedList):
    """Where a meeting may dial out to."""

    ANY = "any"
    DOMESTIC = "domestic"  # the organizer's country only
    ZONE_A = "zone_a"
    NONE = "none"


class Pstn(ClosedList):
    """Where a user may call."""

    INTERNATIONAL = "international"
    DOMESTIC = "domestic"
    NONE = "none"  # besides emergency


class OutboundPolicy(msgspec.Struct, frozen=True):
    """One named policy."""

    dial_out: DialOut
    pstn: Pstn


_CONFERENCE = {
    "CPCInternational": DialOut.ANY,
    "CPCDomestic": DialOut.DOMESTIC,
    "CPCZoneA": DialOut.ZONE_A,
    "CPCDisabled": DialOut.NONE,
}
_USER = {
    "PSTNInternational": Pstn.INTERNATIONAL,
    "PSTNDomestic": Pstn.DOMESTIC,
    "PSTNDisabled": Pstn.NONE,
}
#: Where both parts are the same, the name says it once.
_SAME = {
    "DialoutCPCInternationalPSTNInternational": "DialoutCPCandPSTNInternational",
    "DialoutCPCDomesticPSTNDomestic": "DialoutCPCandPSTNDomestic",
    "DialoutCPCDisabledPSTNDisabled": "DialoutCPCandPSTNDisabled",
}
POLICIES: dict[str, OutboundPolicy] = {
    _SAME.get(f"Dialout{conference}{user}", f"Dialout{conference}{user}"): OutboundPolicy(dial_out, pstn)
    for conference, dial_out in _CONFERENCE.items()
    for user, pstn in _USER.items()
}
DEFAULT_POLICY = "DialoutCPCandPSTNInternational"


def policy_allows(
    policy: str, conference: bool, called_country: str | None, user_country: str | None, on: date
) -> bool:
    """Whether a call out of a meeting (or of a user) to a country is allowed; an unknown name is the default."""
    named = POLICIES.get(policy, POLICIES[DEFAULT_POLICY])
    scope = named.dial_out.value if conference else named.pstn.value
    if scope in ("any", "international"):
        return True
    if scope == "zone_a":
        return destination_country(called_country) in ZONE_A
    return (
        scope == "domestic" and user_country is not None and called_country in domestic_countries(user_country, on)
    )
