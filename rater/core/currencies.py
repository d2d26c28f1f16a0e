"""Currencies of ISO 4217 and how many decimals each has (its exponent, the "minor unit").

The active codes of national currencies come from a generated table; those that ended after 2013 are added, since
their calls may still be rated and shown.  Metals, bond units, XTS (tests) and XXX (none) are left out: no call is
paid in them.
"""

from collections.abc import Mapping

from rater.core.iso_codes import DECIMALS
from rater.core.reasons import Reason, Refusal

#: Ended after 2013.
_ENDED = {
    "ANG": 2, "BGN": 2, "BYR": 0, "CUC": 2, "HRK": 2, "LTL": 2, "MRO": 2, "SLL": 2, "STD": 2, "VEF": 2, "ZMK": 2,
    "ZWL": 2,
}  # fmt: skip

#: Code -> decimals in which amounts of it are paid.
EXPONENTS: Mapping[str, int] = DECIMALS | _ENDED
#: What people write instead of the code.
_MEANT = {
    "DM": "EUR", "EURO": "EUR", "KCS": "CZK", "NTD": "TWD", "RMB": "CNY", "RUR": "RUB", "SFR": "CHF",
    "STG": "GBP", "UKP": "GBP", "US$": "USD", "USDOLLAR": "USD", "YEN": "JPY",
}  # fmt: skip


def exponent_of(currency: str) -> int:
    """Decimals of a currency; 2 for an invalid code, which an older release accepted."""
    return EXPONENTS.get(currency, 2)


def meant_currency(text: str) -> str:
    """ "; did you mean USD?" where a code is likely meant, else nothing."""
    code = text.strip().upper()
    meant = code if code in EXPONENTS and code != text else _MEANT.get(code)
    return f"; did you mean {meant}?" if meant else ""


def no_currency(code: str | None) -> Refusal | None:
    """Reject codes outside ISO 4217: nobody could pay an amount in them."""
    if code is None or code in EXPONENTS:
        return None
    message = f"expected an ISO 4217 code such as USD, got {code!r:.40}{meant_currency(code)}"
    return Refusal(Reason.MALFORMED, "currency", message)
