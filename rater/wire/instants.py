"""Instants that people write: RFC 3339 with a zone."""

from datetime import UTC, datetime

from rater.core import impossible_time
from rater.wire.errors import RaterError


def read_instant(field: str, text: str) -> datetime:
    """The instant in UTC; RaterError names the field and says what was expected."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise RaterError(f"{field}: expected a time with zone such as 2025-03-01T10:00:00Z, got {text!r}")
    if refused := impossible_time(**{field: instant}):
        raise RaterError(f"{field}: {refused.message}")
    return instant.astimezone(UTC)
