"""The command line: typer and rich; each command is one function elsewhere.

Data goes to standard output, all else to standard error.  `rater.exits` lists the exit codes.
"""

import importlib
import sys

import typer

from rater.errors import RaterError
from rater.exits import Exit

#: Modules that add their commands to the application with `register(app)`.
COMMAND_MODULES = ("run", "check", "show", "export", "generate", "rates", "dlq", "demo", "dev")


def build_app() -> typer.Typer:
    """The application with every command."""
    app = typer.Typer(
        name="rater",
        help="Rate call-detail records against bundled minutes and prepaid credit.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name in COMMAND_MODULES:
        importlib.import_module(f"rater.cli.{name}").register(app)
    return app


def main() -> None:
    """Run the command line; an error that a person can act on is one line on standard error."""
    try:
        build_app()()
    except RaterError as error:
        print(f"rater: {error}", file=sys.stderr)
        sys.exit(error.exit)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(Exit.OK)
    except KeyboardInterrupt:
        print("rater: interrupted; what was committed is kept, run again to go on", file=sys.stderr)
        sys.exit(Exit.INTERRUPTED)
