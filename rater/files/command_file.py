"""The commands of a file, all of them or none."""

from pathlib import Path

from rater.core import AnyCommand, Mediated, Refusal
from rater.engine.batch import Record, input_of
from rater.files.recognise import COMMANDS
from rater.files.source import InputFile
from rater.wire.errors import RaterError


def read_commands(path: Path) -> list[AnyCommand]:
    """The commands of JSON Lines, in order; RaterError names the first line that is invalid, and why."""
    file, commands = InputFile(str(path), COMMANDS), []
    for record in file.records():
        assert isinstance(record, Record), "no events of calls in a file of commands"
        value = input_of(record)
        if isinstance(value, Refusal):
            where = f"{path}:{record.source.offset}: {value.field}".removesuffix(": ")
            raise RaterError(f"{where}: {value.message}")
        assert not isinstance(value, Mediated), "read as commands"
        commands.append(value)
    if file.incomplete is not None:
        raise RaterError(file.incomplete)
    return commands
