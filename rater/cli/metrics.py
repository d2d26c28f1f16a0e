"""`rater metrics`: what operators can watch."""

from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from rater.ops.metrics.listed import METRICS
from rater.ops.metrics.tables import facts_of, markdown, row_of


def register(app: typer.Typer) -> None:
    """Add the command."""
    group = typer.Typer(help="The metrics that rater shows.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command("list")(list_metrics)
    app.add_typer(group, name="metrics")


def list_metrics(
    json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="A Markdown table on standard output.")] = False,
) -> None:
    """List every metric with its kind, labels and meaning.

    Example: rater metrics list --markdown
    """
    if json:
        typer.echo(orjson.dumps([facts_of(metric) for metric in METRICS]))
        return
    if as_markdown:
        typer.echo(markdown(), nl=False)
        return
    table = Table("metric", "kind", "unit", "labels", "what it says")
    for metric in METRICS:
        table.add_row(*row_of(metric))
    Console().print(table)
