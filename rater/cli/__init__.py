"""The command line: typer and rich; each command is one function elsewhere.

Data goes to standard output, all else to standard error.  `rater.exits` lists the exit codes.
"""

import importlib
import sys

import typer

from rater.errors import RaterError
from rater.exits import Exit
from rater.kafka.port import Doubt

#: Command -> the module that adds it with `register(app)`; only what is asked for is imported.
COMMANDS = {
    "run": "run",
    "check": "check",
    "show": "show",
    "explain": "show",
    "export": "export",
    "generate": "generate",
    "import": "rates",
    "rates": "rates",
    "dlq": "dlq",
    "demo": "demo",
    "dev": "dev",
    "top": "top",
    "topics": "topics",
    "publish": "publish",
    "worker": "worker",
    "agents": "agents",
    "consume": "consume",
    "verify": "verify",
    "metrics": "metrics",
    "acls": "acls",
    "tenant": "tenant",
    "config": "config",
    "doctor": "doctor",
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
    app.callback()(_nothing)
    for module in [COMMANDS[command]] if command in COMMANDS else dict.fromkeys(COMMANDS.values()):
        importlib.import_module(f"rater.cli.{module}").register(app)
    return app


def _nothing() -> None:
    """Rate call-detail records against bundled minutes and prepaid credit."""


def main() -> None:
    """Run the command line; an error that a person can act on is one line on standard error."""
    try:
        build_app(sys.argv[1] if len(sys.argv) > 1 else None)()
    except RaterError as error:
        print(f"rater: {error}", file=sys.stderr)
        sys.exit(error.exit)
    except Doubt as doubt:
        print(f"rater: Kafka: {doubt}; nothing was changed, run the command again", file=sys.stderr)
        sys.exit(Exit.UNREACHABLE)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(Exit.OK)
    except KeyboardInterrupt:
        print("rater: interrupted; what was committed is kept, run again to go on", file=sys.stderr)
        sys.exit(Exit.INTERRUPTED)
