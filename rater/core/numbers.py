"""Telephone numbers: E.164 with a legal run of `*` at the end, and addresses that are not numbers.

Sources: rating-rules 72 (obfuscated tails), rule 15 (internal calls).  Refuses to know which country a
number belongs to: that is the rate deck's knowledge.
"""

import re

_match_e164 = re.compile(r"\+[1-9](?:[0-9]{1,14}\**|\*+)", re.ASCII).fullmatch
#: What switches write when the caller withheld the number.
_WITHHELD = frozenset({"", "anonymous", "restricted", "unavailable", "unknown", "private", "<no data>"})


def is_e164(number: str) -> bool:
    """A plus sign, country code and subscriber number, 15 digits at most; the last may be hidden as `*`."""
    return len(number) <= 16 and _match_e164(number) is not None


def is_withheld(number: str | None) -> bool:
    """Whether the caller's number is not known, which is legal for inbound calls."""
    return number is None or number.casefold() in _WITHHELD


def is_address(number: str) -> bool:
    """A SIP or user address instead of a number: the call never touched the telephone network."""
    return "@" in number or number[:4].casefold() == "sip:"


def digits_of(number: str) -> str:
    """The digits that prefixes are matched against: without plus sign and hidden tail."""
    return number.strip("+*")
