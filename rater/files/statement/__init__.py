"""A tenant's statement: what it had, what moved it by kind, and what is left, to the micro-unit; in five formats.

`statement_of(books, tenant, since, until)` adds it up, `write_statement(statement, format, out)` writes it.
"""

from rater.files.statement.adding import statement_of
from rater.files.statement.model import Statement
from rater.files.statement.text import as_text
from rater.files.statement.writing import FORMATS, MEDIA_TYPES, ON_SCREEN, Format, plain, rendered, write_statement

__all__ = [
    "FORMATS",
    "MEDIA_TYPES",
    "ON_SCREEN",
    "Format",
    "Statement",
    "as_text",
    "plain",
    "rendered",
    "statement_of",
    "write_statement",
]
