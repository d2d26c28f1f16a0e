"""Logs: JSON lines on standard error, phone numbers masked.

Standard output belongs to what a command prints.  Refuses to know what is logged.
"""

import sys

import structlog

from rater.masking import mask_log_entry


def log_to_stderr() -> None:
    """Send every structlog entry of this process to standard error."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            mask_log_entry,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
