"""`rater config`: what a deployment sets, looked over before anything is started."""

import os
from pathlib import Path
from typing import Annotated

import orjson
import typer

from rater.ops.configuration import in_force, wrong_in
from rater.wire.errors import Exit


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Look over settings.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command("check")(check)
    app.add_typer(group, name="config")


def check(
    file: Annotated[Path | None, typer.Argument(help="The agents' settings in YAML.")] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON, with the settings in force.")] = False,
) -> None:
    """Check the environment (RATER_...) and a file: one line for each wrong value; exit 1 if there is any.

    Example: RATER_SECURITY=SSL rater config check agents.yaml
    """
    wrong = wrong_in(file, os.environ)
    if json:
        typer.echo(orjson.dumps({"wrong": wrong, "settings": None if wrong else in_force(file, os.environ)}))
    else:
        for line in wrong:
            typer.echo(line)
        typer.echo(f"{len(wrong)} wrong" if wrong else "everything that is set can be used", err=True)
    if wrong:
        raise typer.Exit(Exit.FAILED)
