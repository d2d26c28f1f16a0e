"""Sets of countries that rules speak of, and numbers that are never bundled minutes.

Rules 6, 21, 22, 27, 30, 67, 72, A49.  Codes are ISO 3166-1 alpha-2.
"""

from datetime import date
from functools import lru_cache

from rater.core.country_names import country_name

#: Conference dial-out destinations that the Audio Conferencing pool covers (rule 27).
ZONE_A = frozenset(
    [
        "AU",
        "AT",
        "BE",
        "BR",
        "BG",
        "CA",
        "CN",
        "HR",
        "CZ",
        "DK",
        "EE",
        "FI",
        "FR",
        "DE",
        "GR",
        "HK",
        "HU",
        "IN",
        "IE",
        "IT",
        "JP",
        "LU",
        "MY",
        "MX",
        "NL",
        "NZ",
        "NO",
        "PL",
        "PT",
        "PR",
        "RO",
        "RU",
        "SG",
        "SK",
        "SI",
        "ZA",
        "KR",
        "ES",
        "SE",
        "CH",
        "TW",
        "TH",
        "GB",
        "US",
    ]
)

EUROPEAN_UNION = frozenset(
    [
        "AT",
        "BE",
        "BG",
        "HR",
        "CY",
        "CZ",
        "DK",
        "EE",
        "FI",
        "FR",
        "DE",
        "GR",
        "HU",
        "IE",
        "IT",
        "LV",
        "LT",
        "LU",
        "MT",
        "NL",
        "PL",
        "PT",
        "RO",
        "SK",
        "SI",
        "ES",
        "SE",
    ]
)

#: Destinations of Domestic & International plans (rule 20); AN with the states that followed it.
INTERNATIONAL_PLAN = frozenset(
    [
        "AF",
        "AL",
        "DZ",
        "AS",
        "AD",
        "AO",
        "AI",
        "AG",
        "AR",
        "AM",
        "AW",
        "AU",
        "AT",
        "AZ",
        "BS",
        "BH",
        "BD",
        "BB",
        "BY",
        "BE",
        "BZ",
        "BJ",
        "BM",
        "BT",
        "BO",
        "BA",
        "BW",
        "BR",
        "BG",
        "BN",
        "BF",
        "KH",
        "CM",
        "CA",
        "CV",
        "KY",
        "CF",
        "CL",
        "CN",
        "CO",
        "KM",
        "CD",
        "CG",
        "CR",
        "CI",
        "HR",
        "CY",
        "CZ",
        "DK",
        "DJ",
        "DM",
        "DO",
        "EC",
        "EG",
        "SV",
        "GQ",
        "ER",
        "EE",
        "ET",
        "FO",
        "FJ",
        "FI",
        "FR",
        "GF",
        "PF",
        "GE",
        "DE",
        "GH",
        "GI",
        "GR",
        "GL",
        "GD",
        "GP",
        "GU",
        "GT",
        "GN",
        "GY",
        "HT",
        "HN",
        "HK",
        "HU",
        "IS",
        "IN",
        "ID",
        "IR",
        "IQ",
        "IE",
        "IL",
        "IT",
        "JM",
        "JP",
        "JO",
        "KZ",
        "KE",
        "KR",
        "KW",
        "KG",
        "LA",
        "LV",
        "LB",
        "LS",
        "LY",
        "LI",
        "LT",
        "LU",
        "MO",
        "MK",
        "MW",
        "MY",
        "ML",
        "MT",
        "MH",
        "MQ",
        "MU",
        "YT",
        "MX",
        "FM",
        "MD",
        "MC",
        "MN",
        "ME",
        "MS",
        "MA",
        "MZ",
        "MM",
        "NA",
        "NP",
        "NL",
        "AN",
        "BQ",
        "CW",
        "SX",
        "NC",
        "NZ",
        "NI",
        "NE",
        "NG",
        "MP",
        "NO",
        "OM",
        "PK",
        "PW",
        "PS",
        "PA",
        "PY",
        "PE",
        "PH",
        "PL",
        "PT",
        "PR",
        "QA",
        "RE",
        "RO",
        "RU",
        "RW",
        "KN",
        "LC",
        "VC",
        "SM",
        "SA",
        "SN",
        "RS",
        "SG",
        "SK",
        "SI",
        "ZA",
        "SS",
        "ES",
        "LK",
        "PM",
        "SD",
        "SR",
        "SZ",
        "SE",
        "CH",
        "SY",
        "TW",
        "TJ",
        "TZ",
        "TH",
        "TG",
        "TT",
        "TR",
        "TM",
        "TC",
        "UG",
        "UA",
        "AE",
        "GB",
        "US",
        "UY",
        "UZ",
        "VA",
        "VE",
        "VN",
        "VG",
        "VI",
        "WF",
        "YE",
        "ZM",
        "ZW",
    ]
)

#: Credits are not sold to tenants of these countries (rule 67).
NO_CREDITS = frozenset(["BH", "CN", "IN", "KZ", "MK", "NI", "PK", "RU", "KR", "TW", "UA"])

#: Tenants of these countries kept the 900-minute dial-out scheme (rule 30).
DIAL_OUT_900 = frozenset(["RU", "KR", "TW"])

#: How many last digits reports hide, by the tenant's country (rule 72).
OBFUSCATED_DIGITS = dict.fromkeys(["BE", "DE", "DK", "ES", "FI", "IT", "NL", "NO", "SE"], 3) | {
    "CH": 4,
    "FR": 4,
}

#: Prefixes known to be premium or not reachable, consulted before any deck (rule 22).
PREMIUM_OVERLAY: tuple[tuple[str, str], ...] = (
    *((prefix, "premium") for prefix in ["44843", "44844", "44845", "44870", "44871", "44872"]),
    ("449", "unsupported"),
    ("1900", "unsupported"),
)

#: Territories that count as the country whose numbering plan they share (A49).
_COUNTS_AS: dict[str | None, str] = {
    "AX": "FI",
    "SJ": "NO",
    "CX": "AU",
    "CC": "AU",
    "BL": "GP",
    "MF": "GP",
    "EH": "MA",
}
#: The same for the international list, Zone A and dial-out, but not for what is domestic (A49).
_COUNTS_AS_ABROAD: dict[str | None, str] = {"JE": "GB", "GG": "GB", "IM": "GB"}

#: The 2019-03 spreadsheet lists Canada as domestic for the United States already; the page only from here on.
DOMESTIC_CANADA_FROM = date(2020, 5, 1)

_UNITED_STATES = frozenset({"US", "PR"})
_NORTH_AMERICA = frozenset({"US", "PR", "CA"})


def counted_country(country: str | None) -> str | None:
    """The country as which a territory counts in every rule (A49)."""
    return _COUNTS_AS.get(country, country)


def destination_country(country: str | None) -> str | None:
    """The country as which a called one counts in rules 20, 27 and 28: the Channel Islands and Man are Britain."""
    return _COUNTS_AS_ABROAD.get(country, country)


def pool_country(country: str) -> str:
    """The country part of a pool's name: the United States and Puerto Rico share theirs (rule 6)."""
    return "US-PR" if country in _UNITED_STATES else country


def pool_country_name(key: str) -> str:
    """The name that reports give to a pool's country."""
    return "United States (including Puerto Rico)" if key == "US-PR" else country_name(key)


@lru_cache(maxsize=4096)
def domestic_countries(country: str, on: date) -> frozenset[str]:
    """The countries that are domestic for a user of this country (rule 21, A49)."""
    country = _COUNTS_AS.get(country, country)
    if country in _UNITED_STATES:
        return _NORTH_AMERICA if on >= DOMESTIC_CANADA_FROM else _UNITED_STATES
    return _NORTH_AMERICA if country == "CA" else frozenset({country})
