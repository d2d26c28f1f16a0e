"""Options that say how a carrier's price list is written."""

from typing import Annotated, Literal

import typer

from rater.files.price_columns import ROLES, given_columns
from rater.files.price_list import ListOptions

Column = Annotated[
    list[str] | None,
    typer.Option(
        help=f'Which column means what, such as prefix="Dial codes" (may be given again): {", ".join(ROLES)};'
        " status=-: no column.",
        metavar="ROLE=NAME",
    ),
]
DecimalMark = Annotated[
    Literal["point", "comma"] | None,
    typer.Option(help="The decimal mark of prices, where the list does not show it: 1,234 may be two prices."),
]
Rounded = Annotated[
    bool, typer.Option("--round", help="Round prices of more than six decimals, half up; how many is reported.")
]


def list_options(
    column: list[str] | None,
    times: str | None,
    zone: str | None,
    encoding: str | None,
    decimal: Literal["point", "comma"] | None,
    *,
    rounded: bool,
) -> ListOptions:
    """The options of a list; RaterError names an invalid one."""
    return ListOptions(given_columns(column or []), times, zone, encoding, decimal, rounded)
