"""Which format a file has, by its first line.  Refuses to read further."""

from typing import Any

import orjson

from rater.wire.errors import RaterError

PSTN_CSV, GRAPH, COMMANDS, CDRS, CALL_EVENTS = "pstn-csv", "graph", "commands", "cdrs", "call-events"
#: What a file of calls may have.  Commands are none of them: they have inputs of their own (A48).
FORMATS: tuple[str, ...] = (CDRS, PSTN_CSV, GRAPH, CALL_EVENTS)


def check_format(format: str | None) -> None:
    """That an option names a format of files of calls, if it is given; RaterError says what to do."""
    if format == COMMANDS:
        raise RaterError(
            "--format commands: the files are of calls only (A48); give a file of commands with --commands"
        )
    if format is not None and format not in FORMATS:
        raise RaterError(f"--format: expected one of {', '.join(FORMATS)}, got {format!r}")


def recognise(path: str, row: int, first: bytes) -> str:
    """The format that the first line of a file shows, which is its line `row`; RaterError when it shows none.

    A file is never read as commands because it looks like them (A48): they are refused as records of calls.
    """
    start = first.lstrip()
    if not _is_json(start):
        if b"usageid" in start.lower():
            return PSTN_CSV
        raise RaterError(
            f"{path}:{row}: expected a PSTN usage CSV, Graph pstnCallLogRow JSON, or cdrs or call-events"
            f" JSON Lines, got {_shown(start)}; give the format with --format"
        )
    if start.rstrip() in {b"{", b"["} or start.startswith(b"["):
        return GRAPH  # a document, on one line or on many: no other format is one
    fields = _fields(start)
    if is_graph(fields):
        return GRAPH
    if "event" in fields and "duration_s" not in fields:
        return CALL_EVENTS
    return CDRS


def check_commands(path: str, row: int, first: bytes) -> None:
    """That the first line can be a command, by the option; RaterError if the file is of another kind."""
    start = first.lstrip()
    if not _is_json(start):
        raise RaterError(f"{path}:{row}: expected commands in JSON Lines, got {_shown(start)}")
    fields = _fields(start)
    if fields and "command" not in fields:
        raise RaterError(f"{path}:{row}: expected commands, got {recognise(path, row, first)}: {_shown(start)}")


def is_graph(fields: dict[str, Any]) -> bool:
    """Whether these are fields of a row, of a page, or of the beginning of a page; a call of ours is not one."""
    is_page = isinstance(fields.get("value"), list) or any(name.startswith("@odata") for name in fields)
    return "callType" in fields or (is_page and "usage_id" not in fields)


def _fields(start: bytes) -> dict[str, Any]:
    """The fields of a line of JSON; as far as can be seen, where it is the beginning of a document or is broken."""
    try:
        value = orjson.loads(start)
    except (orjson.JSONDecodeError, RecursionError):
        names = {"callType", "@odata.context", "usage_id", "event", "duration_s", "command"}
        seen: dict[str, Any] = {name: None for name in names if f'"{name}"'.encode() in start}
        return seen | ({"value": []} if b'"value"' in start else {})
    return value if isinstance(value, dict) else {}


def _is_json(start: bytes) -> bool:
    return start[:1] in {b"{", b"["}


def _shown(start: bytes) -> str:
    return repr(start[:60].decode("utf-8", "replace").strip())
