"""Types the commands of the documents one after another, as a reader would, and compares with what a page shows."""

import itertools
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

import typer.core

from tests.commands import Command, command_line, invoke_on
from tests.conftest import ROOT
from tests.docs.pages import PAGES, Shown, shown_on
from tests.forks import Forked
from tests.kafka.deployment import until

#: Says what a word of a page stands for, such as USAGE_ID, when the story has come to it.
Names = Mapping[str, Callable[[], str]]


class Typed(NamedTuple):
    """What is typed, how it ends, what the page shows for it if that is another line, and for which lines it counts, too."""

    typed: str
    code: int = 0
    shown: str | None = None
    also: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """As the page shows it."""
        return self.shown or self.typed

    def covers(self, command: str) -> bool:
        """Whether this is what the page shows, or more than it names: `rater export`, `rater publish --from-topic`."""
        if command in (self.command, *self.also):
            return True
        words, typed = command.split(), self.typed.split()
        names = list(itertools.takewhile(lambda word: not word.startswith("--"), words))
        options = words[len(names) :]
        if not is_command(names) or not all(word.startswith("--") for word in options):
            return False
        return names == typed[: len(names)] and set(options) <= {word.partition("=")[0] for word in typed}


def is_command(words: list[str]) -> bool:
    """Whether these words are the name of a command of `rater`, or of a group of them, and nothing else."""
    found: Command = command_line()
    for word in words[1:]:
        if not isinstance(found, typer.core.TyperGroup) or word not in found.commands:
            return False
        inner = found.commands[word]
        assert isinstance(inner, Command)
        found = inner
    return words[:1] == ["rater"]


@cache
def outputs() -> dict[str, tuple[str, ...]]:
    """What the documents show below a command."""
    return {shown.command: shown.output for page in PAGES for shown in shown_on(page) if shown.output}


def alike(line: str) -> str:
    """A pattern for a line of a page: other figures and other names are alike, and `...` stands for anything."""
    pattern = re.escape(re.sub(r"\s+", " ", line.strip()))
    pattern = re.sub(r"[0-9][0-9,]*(?:\\\.[0-9]+)?", "[0-9,.]+", pattern)
    pattern = re.sub(r"'[\w\\-]*'", r"'[\\w-]*'", pattern)
    return pattern.replace(r"\.\.\.", ".*").replace("\\ ", r"\s+")


def missing(shown: Iterable[str], printed: str) -> list[str]:
    """Lines of a page that are not in what was printed, in their order; a line that is only `...` is left out."""
    at = 0
    found = []
    for line in shown:
        match = re.compile(alike(line), re.DOTALL).search(printed, at) if line.strip() not in ("", "...") else None
        if match:
            at = match.end()
        elif line.strip() not in ("", "..."):
            found.append(line)
    return found


def filled(line: str, names: Names) -> str:
    """A line with what each word of the page stands for."""
    for name, value in names.items():
        if re.search(rf"\b{name}\b", line):
            line = re.sub(rf"\b{name}\b", value().replace("\\", r"\\"), line)
    return line


def play(story: Iterable[Typed], folder: Path, names: Names | None = None, **environment: str) -> None:
    """Type each line in a folder: each ends as it must, and prints what a page shows below it."""
    for step in story:
        line = filled(step.typed, names or {})
        code, printed = _run(line, folder, environment)
        assert code == step.code, f"{line}: exit code {code}, expected {step.code}\n{printed}"
        lines = missing(outputs().get(step.command, ()), printed)
        assert not lines, f"{line}: the page shows {lines}, it printed\n{printed}"


def _run(line: str, folder: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """What `rater` does within this process, which saves its start, if the line has nothing but it and pipes; else a shell."""
    stages = [stage.strip() for stage in line.split(" | ")]
    if not stages[0].startswith("rater ") or set(line) & set(">;$&"):
        return _in_shell(line, folder, environment, b"")
    code, out, said = 0, b"", ""
    for stage in stages:
        code, out, said = _stage(stage, folder, environment, out)
    return code, out.decode() + said


def _stage(stage: str, folder: Path, environment: Mapping[str, str], piped: bytes) -> tuple[int, bytes, str]:
    words = shlex.split(stage)
    if words[0] != "rater":
        code, printed = _in_shell(stage, folder, environment, piped)
        return code, printed.encode(), ""
    done = invoke_on(piped, *words[1:], **environment)
    return done.exit_code, done.stdout_bytes, f"{done.stderr}{done.exception or ''}"


def _in_shell(line: str, folder: Path, environment: Mapping[str, str], piped: bytes) -> tuple[int, str]:
    words = ["sh", "-e", "-c", line]
    ran = subprocess.run(
        words, cwd=folder, env=typist(folder, environment), input=piped, capture_output=True, check=False
    )
    return ran.returncode, (ran.stdout + ran.stderr).decode()


@contextmanager
def running(step: Typed, folder: Path, said: str, names: Names | None = None, **environment: str) -> Iterator[None]:
    """A command that goes on until SIGTERM, from the moment in which its log says this."""
    log = folder / f"log-{len(list(folder.glob('log-*')))}"
    words = [*shlex.split(filled(step.typed, names or {}))[1:]]
    with log.open("wb") as out:
        process = Forked(words, cwd=folder, env=os.environ | environment, stdout=out, stderr=out)
    try:
        until(lambda: said in log.read_text() or process.poll() is not None, f"{step.typed}: {said}")
        assert process.poll() is None, f"{step.typed} ended:\n{log.read_text()}"
        yield
        process.terminate()
        assert process.wait(timeout=30) == step.code, f"{step.typed}:\n{log.read_text()}"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def typist(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a shell in which `rater` and `python` are those of this checkout."""
    programs = folder / ".bin"
    if not programs.exists():
        programs.mkdir()
        for name, words in (("rater", "-m rater"), ("python", "")):
            (programs / name).write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} {words} "$@"\n')
            (programs / name).chmod(0o755)
    return os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"} | dict(environment)


def unproven(shown: Iterable[Shown], steps: Iterable[Typed], others: Callable[[str], bool]) -> list[Shown]:
    """Commands that no story types and that are in no other table."""
    known = list(steps)
    return [one for one in shown if not (others(one.command) or any(step.covers(one.command) for step in known))]
