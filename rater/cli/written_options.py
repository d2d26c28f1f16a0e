"""Options that say how files are written, for every command that reads them."""

from typing import Annotated

import typer

from rater.files.written import Written

Times = Annotated[
    str | None,
    typer.Option(
        help="How times are written: day-first (05/03/2025 is 5 March), month-first, iso, or a pattern such as"
        " '%d.%m.%Y %H:%M:%S'.  RFC 3339 if not given."
    ),
]
Zone = Annotated[
    str | None,
    typer.Option(help="The zone of times without one, such as Europe/Berlin or UTC.", metavar="ZONE"),
]
Encoding = Annotated[str | None, typer.Option(help="The encoding of text files, such as windows-1252; else UTF-8.")]


def written(times: str | None, zone: str | None, encoding: str | None) -> Written:
    """What was said; RaterError names the option that is not understood."""
    said = Written(times, zone, encoding)
    said.check()
    return said
