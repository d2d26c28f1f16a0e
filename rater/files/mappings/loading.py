"""Mapping files: read with line numbers, merged with what they extend, checked before the first record."""

from hashlib import blake2b
from importlib import resources
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from rater.files.mappings.complete import incomplete
from rater.files.mappings.mapping import Mapping
from rater.files.mappings.model import KINDS, MappingFile
from rater.files.mappings.tables import Entries
from rater.wire.errors import RaterError
from rater.wire.yaml_lines import Lines, line_of
from rater.wire.yaml_lines import load as load_with_lines

#: A site extends a preset, which extends another.
EXTENDS_MAX = 5
MAPPING_BYTES_MAX = 1_000_000
_PRESETS = resources.files("rater.files.mappings") / "presets"


def load(place: str | Path) -> Mapping:
    """The mapping of a file, or of a preset's name.  RaterError: one line for each thing that is wrong."""
    path = str(place)
    written, folder = _merged(path, ())
    file = _validated(path, written)
    if missing := incomplete(file):
        raise RaterError("\n".join(f"{path}: {line}" for line in missing))
    try:
        tables = {name: Entries(name, table, folder) for name, table in file.tables.items()}
        name = path if is_preset(path) else Path(path).stem
        return Mapping(
            name, _version(written), path if is_preset(path) else str(Path(path).resolve()), file, tables
        )
    except RaterError as wrong:
        raise wrong if str(wrong).startswith(str(folder)) else RaterError(f"{path}: {wrong}") from wrong


def presets() -> list[str]:
    """The names of the presets, in order."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _PRESETS.iterdir() if entry.name.endswith(".yaml"))


def is_preset(place: str) -> bool:
    """Whether this is a preset's name, and not the path of a file."""
    return "/" not in place and place in presets()


def preset_text(name: str) -> str:
    """A preset as it is written; RaterError lists those that there are."""
    if name not in presets():
        raise RaterError(f"{name}: no such preset; there are: {', '.join(presets())}")
    return (_PRESETS / f"{name}.yaml").read_text(encoding="utf-8")


def preset_file(name: str) -> tuple[MappingFile, list[str]]:
    """A preset, and what a site must set besides."""
    preset_text(name)
    file = _validated(name, _merged(name, ())[0])
    return file, incomplete(file)


class _Written(dict[str, Any]):
    """What a file says, merged; `lines` are those of its own values."""

    lines: Lines


def _merged(place: str, above: tuple[str, ...]) -> tuple[_Written, Path]:
    """What a file and all that it extends say, and its folder."""
    if place in above or len(above) > EXTENDS_MAX:
        raise RaterError(f"{above[0]}: extends: expected at most {EXTENDS_MAX} files (EXTENDS_MAX), none twice")
    folder = Path(place).resolve().parent
    value, lines = load_with_lines(_text(place), place)
    if not isinstance(value, dict):
        raise RaterError(f"{place}:1: expected names with values, got {type(value).__name__}")
    extended = value.pop("extends", None)
    written = _Written(value)
    if extended is not None:
        if not isinstance(extended, str):
            raise RaterError(f"{place}:{line_of(lines, ('extends',))}: extends: expected a preset's name or a file")
        below = extended if is_preset(extended) else str(folder / extended)
        written = _Written(_deep(_merged(below, (*above, place))[0], value))
    written.lines = lines
    return written, folder


def _text(place: str) -> str:
    if is_preset(place):
        return preset_text(place)
    try:
        with Path(place).open("rb") as file:
            raw = file.read(MAPPING_BYTES_MAX + 1)
    except FileNotFoundError:
        raise RaterError(f"{place}: no such file, and no preset: {', '.join(presets())}") from None
    except OSError as wrong:
        raise RaterError(f"{place}: cannot be read: {wrong.strerror}") from wrong
    if len(raw) > MAPPING_BYTES_MAX:
        raise RaterError(f"{place}: expected at most {MAPPING_BYTES_MAX} bytes (MAPPING_BYTES_MAX)")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        raise RaterError(f"{place}: expected UTF-8 text, got byte 0x{raw[wrong.start]:02x}") from wrong


def _deep(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Names within names are merged; lists and single values are replaced."""
    merged = dict(below)
    for name, value in above.items():
        inner = merged.get(name)
        merged[name] = _deep(inner, value) if isinstance(inner, dict) and _merges(inner, value) else value
    return merged


def _merges(inner: dict[str, Any], value: Any) -> bool:
    """A look-up replaces cases, and the other way round: parts of both would be neither."""
    kinds = ("cases", "look_up")
    return isinstance(value, dict) and not any((kind in inner) != (kind in value) for kind in kinds)


def _validated(place: str, written: _Written) -> MappingFile:
    try:
        return MappingFile.model_validate(dict(written), strict=False)
    except ValidationError as wrong:
        raise RaterError("\n".join(_line(place, written, error) for error in wrong.errors()[:20])) from None


def _line(place: str, written: _Written, error: Any) -> str:
    """FILE:LINE: field: what was expected."""
    where: tuple[str | int, ...] = tuple(part for part in error["loc"] if part not in KINDS)
    message = str(error["msg"]).removeprefix("Value error, ")
    name, colon, rest = message.partition(": ")
    if colon and (*where, name) in written.lines:  # of one value among others
        where, message = (*where, name), rest
    shown = ".".join(map(str, where))
    match error["type"]:
        case "missing":
            message = "expected a value, got none"
        case "extra_forbidden":
            message = "no such name in a mapping"
        case "string_type":
            message = f"expected text, got {error['input']!r:.80}; put it between quotes"
        case _:
            message = message[:1].lower() + message[1:]
    return f"{place}:{line_of(written.lines, where)}: {shown}: {message}"


def _version(written: dict[str, Any]) -> str:
    """Of all that it says, what it extends included."""
    return blake2b(orjson.dumps(dict(written), option=orjson.OPT_SORT_KEYS), digest_size=6).hexdigest()
