"""Structured logs: one line for each decision that a person may ask about, as JSON or for a console.

`tenant`, `usage_id` and `sequence` are fields, never parts of the sentence.  Lines of libraries go the same way, so
that what hides numbers and secrets sees them too.  Whoever sets logging
up hands the processors in.
"""

import logging
import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from rater.ops.masking import mask_log_entry

#: Fields whose value is never printed, whoever logs them.
SECRET_FIELDS = frozenset(
    {"api_key", "authorization", "password", "private_key", "sasl_plain_password", "secret", "token"}
)
HIDDEN = "***"

_FIRST: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    structlog.processors.StackInfoRenderer(),
)


class Style(StrEnum):
    """How a line looks."""

    JSON = "json"
    CONSOLE = "console"


def configure(
    style: Style = Style.JSON,
    *,
    level: str = "INFO",
    processors: Sequence[Processor] = (),
    stream: TextIO | None = None,
) -> None:
    """Send every log line of the process to standard error, or a stream, in one style.

    `processors` see each line last, with its traceback as text, before it is rendered: the place for masking.
    Raises ValueError for a level that logging does not know.
    """
    last: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        hide_secrets,
        *processors,
        _renderer(style, stream or sys.stderr),
    ]
    output = logging.StreamHandler(stream or sys.stderr)
    output.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_FIRST, processors=last))
    root = logging.getLogger()
    root.handlers[:] = [output]
    root.setLevel(level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_FIRST,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def log_to_stderr(style: Style = Style.JSON, level: str = "INFO") -> None:
    """The logs of a service: as `configure` does, phone numbers masked."""
    configure(style, level=level, processors=[mask_log_entry])


def hide_secrets(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:  # noqa: ARG001 - structlog's signature
    """Replace the value of every field that is named like a secret, at any depth of mappings."""
    return _hidden(event)


def _hidden(fields: EventDict) -> EventDict:
    for name, value in fields.items():
        if name.lower() in SECRET_FIELDS:
            fields[name] = HIDDEN
        elif isinstance(value, dict):
            fields[name] = _hidden({**value})
    return fields


def _renderer(style: Style, stream: TextIO) -> Processor:
    if style is Style.CONSOLE:
        return structlog.dev.ConsoleRenderer(colors=stream.isatty())
    return structlog.processors.JSONRenderer(serializer=_json)


def _json(fields: EventDict, **_: object) -> str:
    return orjson.dumps(fields, default=str).decode()
