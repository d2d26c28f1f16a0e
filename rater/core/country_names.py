"""Names of countries: from the words of a usage report or a plan's page to ISO 3166-1 alpha-2.

Rules 20 (the plan's page has its own names) and 72 (fall back to "Destination Dialed").
"""

from collections.abc import Iterator

from rater.core.iso_codes import COUNTRIES

#: Shown instead of the standard's name.
_SHOWN = {
    "AX": "Aland Islands", "BL": "Saint Barthelemy", "BN": "Brunei", "CD": "Congo, Democratic Republic of",
    "CI": "Cote d'Ivoire", "CW": "Curacao", "FK": "Falkland Islands", "FM": "Micronesia", "MF": "Saint Martin",
    "PS": "Palestine", "RE": "Reunion", "RU": "Russia", "SH": "Saint Helena", "SX": "Sint Maarten", "TR": "Turkey",
    "VA": "Vatican City", "VG": "British Virgin Islands", "VI": "U.S. Virgin Islands",
}  # fmt: skip
#: Names that reports and pages use beside these and the standard's.
_OTHER_NAMES = """
AN Netherlands Antilles; BN Bunei Darussalam; CD Democratic Republic of the Congo; CG Congo, People's Republic of;
CG Congo, Republic of; CV Cape Verde; CZ Czech Republic; GB United Kingdom (U.K.); GB Great Britain; GB UK;
HK Hong Kong SAR; KR Korea; LA Lao; MO Macau; MO Macau SAR; MK Macedonia; MM Burma; PM St. Pierre and Miquelon;
PS Palestinian Authority; PS Palestinian Territory; SZ Swaziland; TC Turks and Caicos; TL East Timor; TR Turkiye;
US United States (U.S.); US USA; US United States of America; AE United Arab Emirates (U.A.E); AE UAE;
VA Vatican City State; VA Holy See; VG Virgin Islands (British); VI Virgin Islands (U.S.); XK Kosovo;
WF Wallis and Futuna Islands; KN St. Kitts and Nevis; LC St. Lucia; VC St. Vincent and the Grenadines
"""


def _names() -> Iterator[tuple[str, str]]:
    """Every name with its country."""
    for code, names in COUNTRIES.items():
        yield from ((name, code) for name in names)
    yield from ((name, code) for code, name in _SHOWN.items())
    yield from ((entry[3:], entry[:2]) for entry in " ".join(_OTHER_NAMES.split()).split("; "))


#: With Kosovo's user-assigned code, which price lists use.
ISO_COUNTRIES = frozenset(COUNTRIES) | {"XK"}
COUNTRY_NAMES = {name.casefold(): code for name, code in _names()}


def country_of_name(name: str) -> str | None:
    """The country that a destination's name means: "France - Mobile" is FR; None when it means none."""
    wanted = " ".join(name.split()).casefold()
    for separator in ("", " - ", "-", " (", ",", " mobile"):
        found = COUNTRY_NAMES.get(wanted.partition(separator)[0].strip() if separator else wanted)
        if found is not None:
            return found
    return None


def meant_country(code: str) -> str:
    """A question for who wrote this instead of a code, such as "; did you mean GB?" for UK; empty if unclear."""
    meant = code.upper() if code.upper() in ISO_COUNTRIES else country_of_name(code)
    return f"; did you mean {meant}?" if meant else ""


def country_name(code: str) -> str:
    """The name of a country for people; the code itself when it is not one."""
    return _SHOWN.get(code) or COUNTRIES.get(code, (code,))[0]
