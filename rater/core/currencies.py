"""Currencies of ISO 4217 and how many decimals each has (its exponent, the "minor unit").

A generated table: the active codes of national currencies, and those that ended after 2013, since their calls may
still be rated and shown.  Metals, bond units, XTS (tests) and XXX (none) are left out: no call is paid in them.
"""

from collections.abc import Mapping

from rater.core.reasons import Reason, Refusal

_TWO_DECIMALS = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF
    CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL
    HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU
    MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR
    SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED
    VES WST XCD XCG YER ZAR ZMW ZWG
"""
_ENDED = """
    ANG BGN CUC HRK LTL MRO SLL STD VEF ZMK ZWL
"""
_NO_DECIMALS = """
    BIF BYR CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF
"""
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
_FOUR_DECIMALS = "CLF UYW"

#: Code -> decimals in which amounts of it are paid.
EXPONENTS: Mapping[str, int] = (
    dict.fromkeys(_TWO_DECIMALS.split() + _ENDED.split(), 2)
    | dict.fromkeys(_NO_DECIMALS.split(), 0)
    | dict.fromkeys(_THREE_DECIMALS.split(), 3)
    | dict.fromkeys(_FOUR_DECIMALS.split(), 4)
)
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
