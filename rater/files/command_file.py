"""The commands of a file, all of them or none; and the names of one."""

from pathlib import Path
from typing import NamedTuple

from rater.core import AnyCommand, Mediated, Refusal
from rater.engine.batch import Record, input_of
from rater.files.recognise import COMMANDS
from rater.files.source import InputFile
from rater.wire.errors import RaterError


class Placed(NamedTuple):
    """A command, and where it was read: `FILE:LINE`."""

    where: str
    command: AnyCommand


def read_commands(path: Path) -> list[Placed]:
    """The commands of JSON Lines, in order; RaterError names the first line that is invalid, and why."""
    file, commands = InputFile(str(path), COMMANDS), list[Placed]()
    for record in file.records():
        assert isinstance(record, Record), "no events of calls in a file of commands"
        value = input_of(record)
        where = f"{path}:{record.source.offset}"
        if isinstance(value, Refusal):
            raise RaterError(f"{f'{where}: {value.field}'.removesuffix(': ')}: {value.message}")
        assert not isinstance(value, Mediated), "read as commands"
        commands.append(Placed(where, value))
    if file.incomplete is not None:
        raise RaterError(file.incomplete)
    if not commands:
        raise RaterError(f"{path}: expected commands, a line each; it has none")
    return commands


def read_names(path: Path) -> tuple[str, ...]:
    """The names of a file, one a line; RaterError if it cannot be read, or has none."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as wrong:
        raise RaterError(f"{path}: expected a text file with a name a line: {wrong}") from wrong
    names = tuple([name for line in text.splitlines() if (name := line.strip())])
    if not names:
        raise RaterError(f"{path}: expected names, one a line; it has none")
    return names
