"""The command line: run as a process or within this one, and whether a line that a document shows is understood."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import typer.core
import typer.main
from typer.testing import CliRunner, Result

from rater.cli import build_app
from tests import forks
from tests.conftest import ROOT

Command = typer.core.TyperCommand | typer.core.TyperGroup


@cache
def command_line() -> typer.core.TyperGroup:
    """The command line with every command."""
    found = typer.main.get_command(build_app())
    assert isinstance(found, typer.core.TyperGroup)
    return found


def misunderstood(line: str) -> str | None:
    """What is wrong with a line that runs `rater`, also after a pipe, or None; a command may be named without its rest."""
    stages = [stage.strip() for stage in line.removesuffix("&").split("|")]
    found = [wrong for stage in stages if stage.startswith("rater ") and (wrong := _misunderstood(stage))]
    return f"{line}: {found[0]}" if found else None


def _misunderstood(stage: str) -> str | None:
    found: Command = command_line()
    rest = shlex.split(stage.partition(" >")[0])[1:]
    while isinstance(found, typer.core.TyperGroup) and rest and not rest[0].startswith("--"):
        if rest[0] not in found.commands:
            return f"no command {rest[0]}"
        inner, rest = found.commands[rest[0]], rest[1:]
        assert isinstance(inner, Command)
        found = inner
    options = {option: each for each in found.params for option in [*each.opts, *each.secondary_opts]}
    known = options.keys() | {"--help"}
    unknown = [word for word in rest if word.startswith("--") and word.partition("=")[0] not in known]
    if unknown:
        return f"no option {', '.join(unknown)}"
    if rest and rest[-1] in known:
        return None  # it ends with the name of an option
    context = found.context_class(found, resilient_parsing=True, **found.context_settings)
    left = found.make_parser(context).parse_args(rest)[1]
    return f"nothing reads {' '.join(left)}" if left and isinstance(found, typer.core.TyperCommand) else None


def rater(
    *words: object,
    cwd: Path = ROOT,
    code: int | None = None,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    preexec_fn: Callable[[], object] | None = None,
) -> subprocess.CompletedProcess[str]:
    """The command line as a process of its own, with no settings but these; `code` is how it must end."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RATER_")}
    env = {**clean, **(environment or {})}
    if preexec_fn is None:
        ran = forks.run(words, cwd=cwd, env=env, stdin=stdin)
    else:
        ran = subprocess.run(
            [sys.executable, "-m", "rater", *map(str, words)],
            cwd=cwd, input=stdin, capture_output=True, check=False, env=env, timeout=300, preexec_fn=preexec_fn,
        )  # fmt: skip
    out, said = ran.stdout.decode(), ran.stderr.decode()
    assert "Traceback" not in said, said
    assert code is None or ran.returncode == code, said
    return subprocess.CompletedProcess(ran.args, ran.returncode, out, said)


def invoke(*words: str, **environment: str) -> Result:
    """The command line within this process: what it prints, and the error that it ends with."""
    return invoke_on(b"", *words, **environment)


def invoke_on(stdin: bytes, /, *words: str, **environment: str) -> Result:
    """The same, with something to read on standard input."""
    return CliRunner().invoke(build_app(words[0] if words else None), list(words), input=stdin, env=environment)


def typed(when: str, **names: str) -> list[list[str]]:
    """The commands that the operators' page has for an occasion, with what NAME and other capitals stand for."""
    page = (ROOT / "docs" / "operators.md").read_text("utf-8").splitlines()
    (line,) = [line for line in page if line.startswith(f"| {when} |")]
    found = [shlex.split(command)[1:] for command in re.findall(r"`(rater [^`]+)`", line)]
    return [[names.get(word, word) for word in words] for words in found]
