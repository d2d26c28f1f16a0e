"""Whether a command line that a document or a manifest shows is one that rater understands."""

import re
import shlex
from functools import cache
from pathlib import Path

import click
import typer.main

from rater.cli import build_app


@cache
def _rater() -> click.Command:
    """The command line with every command."""
    return typer.main.get_command(build_app())


def misunderstood(line: str) -> str | None:
    """What is wrong with a line that begins with `rater`, or None."""
    words = shlex.split(line.split("|", maxsplit=1)[0])
    assert words[0] == "rater", line
    found = _rater()
    rest = words[1:]
    while hasattr(found, "commands"):
        if rest[0].startswith("--"):
            break  # an option of rater itself
        if rest[0] not in found.commands:
            return f"{line}: no command {rest[0]}"
        found, rest = found.commands[rest[0]], rest[1:]
    known = {option for parameter in found.params for option in [*parameter.opts, *parameter.secondary_opts]}
    unknown = [word for word in rest if word.startswith("--") and word.partition("=")[0] not in known]
    return f"{line}: no option {', '.join(unknown)}" if unknown else None


def shown_in(path: Path) -> list[str]:
    """Every `rater ...` that a Markdown file shows in backquotes or in indented lines."""
    text = path.read_text("utf-8")
    return [*re.findall(r"`(rater [^`]+)`", text), *re.findall(r"(?m)^    (rater .+?)(?:\s+#.*)?$", text)]
