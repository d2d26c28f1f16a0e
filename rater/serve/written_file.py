"""A file in YAML that people and programs write while the server runs: read again when it changes."""

from pathlib import Path
from typing import Generic, TypeVar

import structlog
import yaml
from pydantic import BaseModel, ValidationError

from rater.wire.bounded_yaml import load_yaml, problem_of
from rater.wire.errors import RaterError

log = structlog.get_logger("rater.serve")
_Model = TypeVar("_Model", bound=BaseModel)


class WrittenFile(Generic[_Model]):
    """`content` is the file as a model; `what` is the word for it, such as "clients"."""

    def __init__(self, path: Path, model: type[_Model], what: str) -> None:
        """RaterError: the file cannot be read, or is wrong."""
        self._path, self._model, self._what = path, model, what
        self._changed = _changed(path, what)
        self.content = read_file(path, model, what)

    def refresh(self) -> bool:
        """Read the file again if it changed: whether it was read.  An error in it is logged and changes nothing."""
        try:
            if (changed := _changed(self._path, self._what)) == self._changed:
                return False
            self._changed = changed
            self.content = read_file(self._path, self._model, self._what)
        except RaterError as wrong:
            log.error(f"the {self._what} stay as they were", reason=str(wrong))
            return False
        return True


def read_file(path: Path, model: type[_Model], what: str) -> _Model:
    """A file as a model; RaterError says in one line what is wrong."""
    try:
        written = load_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as wrong:
        raise RaterError(f"{path}: the {what} cannot be read: {wrong}") from wrong
    except yaml.YAMLError as wrong:
        line, problem = problem_of(wrong)
        raise RaterError(f"{path}:{line}: expected YAML: {problem}") from wrong
    try:
        return model.model_validate(written)
    except ValidationError as wrong:
        raise RaterError(f"{path}: {first_problem(wrong)}") from None


def first_problem(wrong: ValidationError) -> str:
    """The first thing that is wrong: where, and what was expected; never what was found, which may be a secret."""
    first = wrong.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"])) or "the file"
    message = first["msg"].removeprefix("Value error, ").replace("Input should be", "expected", 1)
    return f"{place}: {message[:1].lower()}{message[1:]}"


def _changed(path: Path, what: str) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError as wrong:
        raise RaterError(f"{path}: the {what} cannot be read: {wrong.strerror}") from wrong
    return stat.st_size, stat.st_mtime_ns
