"""Names of countries and decimals of currencies: a table made from the standards, and what is read and shown."""

import pytest

from rater.core.country_names import COUNTRY_NAMES, country_name, country_of_name
from rater.core.currencies import EXPONENTS
from rater.core.iso_codes import COUNTRIES, VERSIONS
from rater.dev.iso_codes_generator import TABLE, table, versions


def test_the_table_is_what_the_generator_makes() -> None:
    """ISO 3166-1 and ISO 4217: the committed table comes from the versions that it names."""
    if versions() != VERSIONS:
        pytest.skip(f"the table was made from {VERSIONS}")
    assert TABLE.read_text(encoding="utf-8") == table()


def test_every_name_of_the_standard_is_read_as_its_country() -> None:
    """In capitals, too, as carriers write them; no name belongs to two countries."""
    for code, names in COUNTRIES.items():
        assert [country_of_name(name.upper()) for name in names] == [code] * len(names)
        assert COUNTRY_NAMES[country_name(code).casefold()] == code


@pytest.mark.parametrize(
    ("name", "country"),
    [
        ("North Korea", "KP"),
        ("Korea, Democratic People's Republic of", "KP"),  # and not KR, which `Korea` alone means
        ("Korea", "KR"),
        ("Congo, The Democratic Republic of the", "CD"),  # and not CG, which `Congo` alone means
        ("Congo", "CG"),
        ("Virgin Islands, U.S.", "VI"),
        ("Virgin Islands, British", "VG"),
        ("Virgin Islands", None),  # which of the two is not said
        ("Côte d'Ivoire - Mobile", "CI"),
        ("Cote d'Ivoire", "CI"),
        ("Türkiye", "TR"),
        ("Turkey", "TR"),
        ("Kosovo", "XK"),
        ("Bunei Darussalam", "BN"),  # as the plan's page has it
        ("Atlantis", None),
    ],
)
def test_what_a_name_means(name: str, country: str | None) -> None:
    """Rules 20, 72: the standard's names, common ones, and those of reports and pages."""
    assert country_of_name(name) == country


def test_names_that_are_shown() -> None:
    """Common names without accents, as exports always had them; a code that is none is shown as it is."""
    shown = {code: country_name(code) for code in ("CI", "KR", "RU", "TR", "VI", "DE", "ZZ")}
    assert shown == {
        "CI": "Cote d'Ivoire",
        "KR": "South Korea",
        "RU": "Russia",
        "TR": "Turkey",
        "VI": "U.S. Virgin Islands",
        "DE": "Germany",
        "ZZ": "ZZ",
    }


def test_decimals() -> None:
    """ISO 4217's minor units; the kuna ended in 2023 and is still shown; gold, tests and accounting units pay no call."""
    assert {code: EXPONENTS[code] for code in ("USD", "JPY", "KWD", "CLF", "HRK", "BYR")} == {
        "USD": 2,
        "JPY": 0,
        "KWD": 3,
        "CLF": 4,
        "HRK": 2,
        "BYR": 0,
    }
    assert not EXPONENTS.keys() & {"XAU", "XTS", "XXX", "XDR", "XAD"}
