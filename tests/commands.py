"""Whether a command line that a document or a manifest shows is one that rater understands."""

import re
import shlex
from functools import cache
from pathlib import Path

import typer.core
import typer.main

from rater.cli import build_app

Command = typer.core.TyperCommand | typer.core.TyperGroup


@cache
def command_line() -> typer.core.TyperGroup:
    """The command line with every command."""
    found = typer.main.get_command(build_app())
    assert isinstance(found, typer.core.TyperGroup)
    return found


def misunderstood(line: str) -> str | None:
    """What is wrong with a line that begins with `rater`, or None."""
    words = shlex.split(line.split("|", maxsplit=1)[0])
    assert words[0] == "rater", line
    found: Command = command_line()
    rest = words[1:]
    while isinstance(found, typer.core.TyperGroup):
        if rest[0].startswith("--"):
            break  # an option of rater itself
        if rest[0] not in found.commands:
            return f"{line}: no command {rest[0]}"
        inner, rest = found.commands[rest[0]], rest[1:]
        assert isinstance(inner, Command)
        found = inner
    known = {option for parameter in found.params for option in [*parameter.opts, *parameter.secondary_opts]}
    unknown = [word for word in rest if word.startswith("--") and word.partition("=")[0] not in known]
    return f"{line}: no option {', '.join(unknown)}" if unknown else None


def shown_in(path: Path) -> list[str]:
    """Every `rater ...` that a Markdown file shows in backquotes or in indented lines."""
    text = path.read_text("utf-8")
    return [*re.findall(r"`(rater [^`]+)`", text), *re.findall(r"(?m)^    (rater .+?)(?:\s+#.*)?$", text)]
