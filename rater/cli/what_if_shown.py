"""What would have been different, for people and as JSON, or into a file."""

import sys
from collections import Counter
from typing import Literal

import orjson
import typer

from rater.cli.printing import counted, show_rows
from rater.core import format_micros
from rater.engine.comparison import Comparison
from rater.engine.difference import AMOUNTS, GROUPS, Line, lines_of
from rater.engine.substitutes import Substitutes
from rater.files.export import write
from rater.files.what_if import SHEET, facts_of, rows_of
from rater.ops.masking import mask_people

Format = Literal["text", "json", "csv", "xlsx"]
_TENANTS = (
    "tenant",
    "currency",
    "debits",
    "difference",
    "credit minutes",
    "recharges",
    "suspensions",
    "restrictions",
)
_OTHERS = ("currency", "debits", "difference", "calls", "minutes", "credit minutes")


def show(found: Comparison, substitutes: Substitutes, format: Format, out: str, most: int) -> None:
    """Print or write every line; as text, of each table the `most` lines that differ most."""
    lines = lines_of(found.was, found.would_be)
    match format:
        case "text":
            _print(list(lines), most)
        case "json":
            typer.echo(orjson.dumps(_facts(found, substitutes, list(lines))))
        case _:
            count = write(SHEET, rows_of(lines), format, out)
            if out != "-":
                print(f"{out}: {count} rows", file=sys.stderr)


def _facts(found: Comparison, substitutes: Substitutes, lines: list[Line]) -> dict[str, object]:
    return {
        "period": substitutes.period,
        "records": found.records,
        "differences": sum(line.differs for line in lines),
        "lines": [facts_of(line) for line in lines],
        "assumed_paid": found.assumed_paid,
        "assumed_declined": found.assumed_declined,
        "refused": [
            {"tenant": one.command.tenant, "id": one.command.id, "why": mask_people(one.why)}
            for one in found.refused
        ],
        "remarks": [
            {"tenant": one.command.tenant, "id": one.command.id, "text": mask_people(one.text)}
            for one in found.remarks
        ],
        "left_out": found.left_out,
        "why_left_out": found.why_left_out if found.left_out else None,
    }


def _print(lines: list[Line], most: int) -> None:
    """A table for each thing that lines are about, the largest differences first; then the sums."""
    for group in GROUPS:
        changed = [line for line in lines if line.by == group and line.differs]
        changed.sort(key=lambda line: (-abs(line.debits_more), line.tenant, line.name))
        if changed:
            columns = _TENANTS if group == "tenant" else ("tenant", group, *_OTHERS)
            show_rows(columns, [_row(line, columns) for line in changed[:most]], json=False)
            if len(changed) > most:
                typer.echo(f"... and {len(changed) - most:,} more; --lines {len(changed)} or --format csv has them")
            typer.echo("")
    _print_sums(lines)


def _row(line: Line, columns: tuple[str, ...]) -> tuple[str, ...]:
    cells = {"tenant": line.tenant, "currency": line.currency, line.by: line.name or line.tenant}
    cells["difference"] = format_micros(line.debits_more)
    return tuple([cells[name] if name in cells else _change(line, name.replace(" ", "_")) for name in columns])


def _change(line: Line, measure: str) -> str:
    """`was -> would be`, or the figure that both are."""
    values = [getattr(sums, measure) for sums in (line.was, line.would_be)]
    was, would_be = [format_micros(value) if measure in AMOUNTS else f"{value:,}" for value in values]
    return was if was == would_be else f"{was} -> {would_be}"


def _print_sums(lines: list[Line]) -> None:
    was: Counter[str] = Counter()
    would_be: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for line in lines:
        if line.by == "tenant" and line.currency:
            was[line.currency] += line.was.debits
            would_be[line.currency] += line.would_be.debits
            calls[line.currency] += line.would_be.calls
    for currency in sorted(was):
        of_calls, more = counted(calls[currency], "call"), format_micros(would_be[currency] - was[currency])
        typer.echo(
            f"{of_calls}: {format_micros(was[currency])} -> {format_micros(would_be[currency])} {currency},"
            f" difference {more}"
        )
