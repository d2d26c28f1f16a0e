"""The command line: typer and rich; each command is one function elsewhere.

Data goes to standard output, all else to standard error.  `rater.wire.errors` lists the exit codes.
"""

import importlib
import os
import sqlite3
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from rater import __version__
from rater.kafka.port import Doubt
from rater.wire.errors import NO_ROOM, Exit, RaterError
from rater.wire.visible import visible_lines

#: Command -> the module that adds it with `register(app)`; only what is asked for is imported.
COMMANDS = {
    "run": "run",
    "check": "check",
    "show": "show",
    "explain": "explain",
    "export": "export",
    "statement": "statement",
    "generate": "generate",
    "map": "map",
    "import": "rates",
    "rates": "rates",
    "dlq": "dlq",
    "partition": "partition",
    "demo": "demo",
    "dev": "dev",
    "top": "top",
    "topics": "topics",
    "publish": "publish",
    "worker": "worker",
    "agents": "agents",
    "rerate": "rerate",
    "consume": "consume",
    "verify": "verify",
    "metrics": "metrics",
    "acls": "acls",
    "tenant": "tenant",
    "payments": "payments",
    "config": "config",
    "doctor": "doctor",
    "serve": "serve",
    "serve-token": "serve",
    "token": "token",
    "backup": "backup",
    "erase": "erase",
    "prune": "prune",
    "what-if": "what_if",
    "quote": "quote",
    "forecast": "forecast",
    "recommend": "forecast",
}


def build_app(command: str | None = None) -> typer.Typer:
    """The application with one command, or with every one."""
    app = typer.Typer(
        name="rater",
        help="Rate call-detail records against bundled minutes and prepaid credit.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for module in [COMMANDS[command]] if command in COMMANDS else dict.fromkeys(COMMANDS.values()):
        importlib.import_module(f"rater.cli.{module}").register(app)
    return app


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"rater {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Rate call-detail records against bundled minutes and prepaid credit."""


def main() -> None:
    """Run the command line; an error that a person can act on is one line on standard error."""
    try:
        _run(build_app(sys.argv[1] if len(sys.argv) > 1 else None))
    except RaterError as error:
        _end(error.exit, str(error))
    except Doubt as doubt:
        _end(Exit.UNREACHABLE, f"Kafka: {doubt}; nothing was changed, run the command again")
    except KeyboardInterrupt:
        _end(Exit.INTERRUPTED, "interrupted; what was committed is kept, run the same command again")
    except BrokenPipeError:
        _forget_output()
        sys.exit(Exit.OK)
    except sqlite3.Error as wrong:
        _end_of_store(wrong)
    except OSError as wrong:
        if wrong.errno not in NO_ROOM:
            raise
        _forget_output()
        where = wrong.filename or "standard output or a temporary file"
        _end(Exit.DISK_FULL, f"{where}: the disk is full; free some space and run the same command again")


def _run(app: typer.Typer) -> None:
    """Run a command with all that it printed; raises what ended it, where typer would keep it to itself."""
    try:
        app()
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):
            raise BrokenPipeError from ended
        if ended.code == Exit.INTERRUPTED:
            raise KeyboardInterrupt from ended
        sys.stdout.flush()
        raise


def _end(code: Exit, message: str) -> NoReturn:
    print(f"rater: {visible_lines(message)}", file=sys.stderr)
    sys.exit(code)


def _end_of_store(wrong: sqlite3.Error) -> NoReturn:
    """What SQLite says while a store is read; it does not say of which one, so the command line is asked."""
    error_of = importlib.import_module("rater.embedded.failures").error_of
    given = [value for option, value in zip(sys.argv, sys.argv[1:], strict=False) if option == "--store"]
    given += [word.removeprefix("--store=") for word in sys.argv if word.startswith("--store=")]
    error = error_of(Path(given[-1] if given else "rater.db"), wrong)
    _end(error.exit, str(error))


def _forget_output() -> None:
    """What cannot be written any more is not tried again when Python ends, which would print a traceback."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
