"""Which column of a carrier's price list means what: by the names that carriers use, or as a person says."""

import re
from collections.abc import Mapping

from rater.wire.errors import RaterError

#: Role -> the names of columns that mean it, as `_key` writes them.  The first role that has a name gets it.
_NAMES = {
    "prefix": "prefix prefixes code codes dialcode dialcodes dialingcode dialingcodes dialprefix destinationcode"
    " vorwahl vorwahlen indicatif prefijo",
    "price": "price pricemin priceperminute rate ratemin rateperminute newrate newprice preis preismin"
    " preisprominute prix tarif tarifa minuteprice",
    "destination": "destination destinationname name description ziel zielname destino area location",
    "country": "country countrycode countryname iso isocode iso2 land landcode pays pais",
    "type": "type destinationtype",
    "connection_fee": "connectionfee setupfee connectfee connectioncharge",
    "increments": "increment increments billingincrement billingincrements billing taktung",
    "valid_from": "effectivedate effective effectivefrom effectivetime validfrom startdate gueltigab gültigab",
    "valid_to": "validto enddate expirydate expires gueltigbis gültigbis",
    "status": "status change ratechange changetype indicator action",
}
ROLES = tuple(_NAMES)
_ROLE_OF = {name: role for role, names in _NAMES.items() for name in names.split()}
_NEEDED = ("prefix", "price")
#: What a person says instead of a name: there is no such column, whatever one is called.
NO_COLUMN = "-"


def given_columns(words: list[str]) -> dict[str, str]:
    """What `--column ROLE=NAME` says, by role; RaterError names the option."""
    given: dict[str, str] = {}
    for word in words:
        role, equals, name = word.partition("=")
        if role not in ROLES or not equals or not name.strip():
            raise RaterError(
                f'--column: expected ROLE=NAME such as prefix="Dial codes" with one of {", ".join(ROLES)}'
                f" ({NO_COLUMN} as name: none), got {word!r}"
            )
        if role in given:
            raise RaterError(f"--column: expected one column for {role}, got {given[role]!r} and {name!r}")
        given[role] = name.strip()
    return given


def columns_of(where: str, header: list[str], given: Mapping[str, str]) -> dict[str, int]:
    """The place of each role's column in a header; RaterError says what to do about a missing or unclear one."""
    found: dict[str, int] = {}
    for role, name in given.items():
        places = [place for place, cell in enumerate(header) if cell.casefold() == name.casefold()]
        if name != NO_COLUMN and len(places) != 1:
            raise RaterError(
                f"{where}: --column {role}: expected one column {name!r}, got {len(places)}; the columns are"
                f" {', '.join(filter(None, header))}"
            )
        if places:
            found[role] = places[0]
    for place, cell in enumerate(header):
        known = _role_of(cell)
        if known is None or known in given or place in found.values():
            continue
        if known in found:
            raise RaterError(
                f"{where}: {header[found[known]]!r} and {cell!r} both may be the {known}; name it with"
                f" --column {known}={_quoted(cell)}"
            )
        found[known] = place
    for role in _NEEDED:
        if role not in found:
            raise RaterError(
                f"{where}: no column is known to be the {role}; the columns are {', '.join(filter(None, header))};"
                f" name it with --column {role}=NAME"
            )
    return found


def is_header(cells: list[str], given: Mapping[str, str]) -> bool:
    """Whether a row has a prefix and a price by name: carriers put titles and dates above their header."""
    names = {cell.casefold() for cell in cells}
    roles = {_role_of(cell) for cell in cells}
    return all((role in given and given[role].casefold() in names) or role in roles for role in _NEEDED)


def _role_of(name: str) -> str | None:
    """The role that a column's name means; of `Country / Destination` the destination, which says more."""
    roles = [_ROLE_OF.get(_key(part)) for part in (name, *name.split("/"))]
    known = [role for role in roles if role is not None]
    return "destination" if "destination" in known else next(iter(known), None)


def _key(name: str) -> str:
    """A name without case, blanks, signs, and what stands in parentheses."""
    return re.sub(r"\(.*?\)|[\W_]", "", name.casefold())


def _quoted(name: str) -> str:
    return f'"{name}"' if " " in name else name
