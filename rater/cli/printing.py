"""Facts and rows as tables for people, or as JSON.  Nothing is cut: an id that is shown can be pasted."""

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import IO, Any

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Column, Table

from rater.wire.visible import visible

#: A longer value goes on in the next line, in a pipe, too.  Ids are shorter.
FACT_WIDTH = 100


def show_facts(facts: dict[str, Any], json: bool) -> None:
    """Names with their values; a value that is a list has a line for each of its entries, a long one several."""
    if json:
        typer.echo(orjson.dumps(facts))
        return
    table = Table(Column(), Column(overflow="fold", max_width=FACT_WIDTH), show_header=False)
    for name, value in facts.items():
        table.add_row(name, escape(text_of(value)))
    show_table(table)


def show_rows(
    columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]], json: bool, file: IO[str] | None = None
) -> None:
    """Rows under their columns' names, one a line also where a terminal has to go on in the next."""
    if json:
        typer.echo(orjson.dumps([dict(zip(columns, row, strict=True)) for row in rows]))
        return
    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(*[escape(text_of(value)) for value in row])
    show_table(table, fold=False, file=file)


def show_table(table: Table, *, fold: bool = True, file: IO[str] | None = None) -> None:
    """Print a table and flush it, so that messages on standard error come after it.

    A file or a pipe is as wide as the table; on a terminal its columns may fold.
    """
    console = Console(file=file)
    if not (fold and console.is_terminal):
        console.width = max(
            console.width, Measurement.get(console, console.options.update(width=10_000), table).maximum
        )
    console.print(table)
    sys.stdout.flush()


def text_of(value: Any) -> str:
    """A value for people: times as RFC 3339 in UTC, a mapping as `name value, name value`."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case dict():
            return ", ".join(f"{name} {text_of(each)}" for name, each in value.items())
        case list() | tuple():
            return "\n".join(map(text_of, value))
        case _:
            return visible(str(value))


def counted(count: int, noun: str) -> str:
    """`1 record`, `2 records`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
