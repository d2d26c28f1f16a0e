"""Writes rater/core/iso_codes.py from the packages `pycountry` (ISO 3166-1) and `iso4217` (ISO 4217).

The core imports no such library: it reads this table, which says the versions that it was made from.  To renew it,
install other versions and run `python -m rater.dev.iso_codes_generator`.
"""

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import iso4217
import pycountry

from rater.wire.generated_files import write_or_check

TABLE = Path(__file__).parent.parent / "core" / "iso_codes.py"
#: An accounting unit of a fund, in which no call is paid; metals, bond units, tests and none have no minor unit.
NOT_PAID_IN = frozenset({"XAD"})
_HEAD = '''"""Countries of ISO 3166-1 with English names, currencies of ISO 4217 with decimals: two tables.

Generated from the packages pycountry and iso4217 by rater.dev.iso_codes_generator; do not edit.
"""

# fmt: off
#: The versions of the packages that the tables were made from.
VERSIONS = {versions}
'''


def versions() -> dict[str, str]:
    """The versions that are installed."""
    return {name: version(name) for name in ("pycountry", "iso4217")}


def table() -> str:
    """The source text of the generated module."""
    head = _HEAD.format(versions=str(versions()).replace("'", '"'))
    return "\n".join([head, *_countries(), *_currencies(), ""])


def _countries() -> Iterator[str]:
    yield "#: Alpha-2 code -> English names: the common one where there is one, then the standard's short name."
    yield "COUNTRIES = {"
    for code, fields in sorted((country.alpha_2, dict(country)) for country in pycountry.countries):
        names = dict.fromkeys((fields.get("common_name", fields["name"]), fields["name"]))
        quoted = ", ".join(f'"{name}"' for name in names)
        yield f'    "{code}": ({quoted}{"," * (len(names) == 1)}),'
    yield "}"


def _currencies() -> Iterator[str]:
    yield "#: Code of a currency that calls are paid in -> its decimals, the standard's minor unit."
    yield "DECIMALS = {"
    for code, decimals in sorted((currency.code, currency.exponent) for currency in iso4217.Currency):
        if decimals is not None and code not in NOT_PAID_IN:
            yield f'    "{code}": {decimals},'
    yield "}"


if __name__ == "__main__":
    write_or_check("rater.dev.iso_codes_generator", {TABLE: table()})
