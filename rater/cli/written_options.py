"""Options that say how files are written, for every command that reads them."""

from typing import Annotated

import typer

from rater.files.mappings import Mapping, load
from rater.files.written import Written
from rater.wire.errors import RaterError

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
Version = Annotated[
    int | None,
    typer.Option(
        "--version",
        min=2,
        max=2**31,
        help="The version of the files' calls: 2 corrects those rated before, as with a wrong --zone or --map.",
    ),
]
Encoding = Annotated[str | None, typer.Option(help="The encoding of text files, such as windows-1252; else UTF-8.")]

MapOption = Annotated[
    str | None,
    typer.Option(
        "--map",
        help="The mapping that reads the files: a YAML file, or a preset (rater map list).",
        metavar="MAPPING",
    ),
]


def mapping_of(place: str | None, format: str | None, said: Written) -> Mapping | None:
    """The mapping that was given; RaterError where another option says how the files are written, too."""
    if place is None:
        return None
    if format is not None or said.times is not None or said.zone is not None:
        raise RaterError("--map: the mapping says format, times and zone; leave out --format, --times and --zone")
    return load(place)


def written(times: str | None, zone: str | None, encoding: str | None, version: int | None) -> Written:
    """The options; RaterError names an invalid one."""
    said = Written(times, zone, encoding, version)
    said.check()
    return said
