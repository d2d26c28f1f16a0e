"""Inbound toll-free prices, which price lists do not have: the published ones, and one for callers from elsewhere.

Rule 42: by the country that the call comes from; +1 has many countries, each with its own rate.
Refuses to guess prices of other countries: calls from there have none and
are rated free with an exception (rule 48), unless a price is given.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from rater.core import MoneyError, RateRow, parse_price
from rater.wire.errors import RaterError

#: Countries with a calling code of their own, with their prices per minute in USD.
_BY_CALLING_CODE = (
    ("44", "GB", "0.029"),
    ("49", "DE", "0.175"),
    ("39", "IT", "0.3415"),
    ("34", "ES", "0.22"),
    ("61", "AU", "0.175"),
    ("86", "CN", "0.3168"),
    ("65", "SG", "0.065"),
    ("852", "HK", "0.0672"),
)
#: Countries that share +1 with others which have no published price: only their own area codes are priced.
_BY_AREA_CODE = {"US": "0.022", "CA": "0.022"}
PUBLISHED = (*_BY_AREA_CODE, *(country for _, country, _ in _BY_CALLING_CODE))


def published_toll_free(rows: Iterable[RateRow]) -> tuple[RateRow, ...]:
    """The published prices as rows; the area codes of +1 are those that the rows given price calls to.

    A row for 1 itself does not name who else shares it, so it is no area code.
    """
    areas = {
        row.prefix: row.country
        for row in rows
        if row.direction == "outbound"
        and row.country in _BY_AREA_CODE
        and row.prefix[:1] == "1"
        and row.prefix != "1"
    }
    return (
        *(_row(prefix, country, _BY_AREA_CODE[country]) for prefix, country in sorted(areas.items()) if country),
        *(_row(prefix, country, price) for prefix, country, price in _BY_CALLING_CODE),
    )


def toll_free_elsewhere(price: str) -> RateRow:
    """The row for callers of every other country, and for withheld numbers; RaterError if it is no price."""
    try:
        parse_price(price)
    except MoneyError as wrong:
        raise RaterError(f"--toll-free-elsewhere: {wrong}") from wrong
    return _row("*", None, price)


def what_is_priced(rows: Iterable[RateRow]) -> Iterator[str]:
    """Sentences about the toll-free rows of a deck: who is priced, who is not, and what to do."""
    inbound = [row for row in rows if row.direction == "toll_free_inbound"]
    areas = Counter(row.country for row in inbound if row.prefix[:1] == "1")
    for country in _BY_AREA_CODE:
        if areas[country]:
            yield f"toll-free: {areas[country]} area codes of {country} are priced"
        else:
            yield (
                f"toll-free: the list has no area code of +1 with the country {country}: callers from there have no"
                " price; add rows toll_free_inbound for its area codes"
            )
    if not any(row.prefix == "*" for row in inbound):
        yield (
            "toll-free: callers from countries without a row have no price, their calls are rated free with an"
            " exception; price them with --toll-free-elsewhere, or add rows"
        )


def _row(prefix: str, country: str | None, price: str) -> RateRow:
    return RateRow(
        direction="toll_free_inbound",
        prefix=prefix,
        destination=f"Toll-free from {country or 'anywhere'}",
        country=country,
        type="toll_free",
        price_per_minute=price,
    )
