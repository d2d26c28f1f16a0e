"""JSON and forms: a record a line, or a list of records within a document."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, BinaryIO
from urllib.parse import parse_qsl

import msgspec

from rater.core import Reason
from rater.files.lines import EndsEarly, is_json, json_lines, lines_of
from rater.files.mappings.readers.base import (
    CELLS_MAX,
    DOCUMENT_RECORDS_MAX,
    Opened,
    RecordReader,
    ended_lines,
    text_in,
    whole_document,
)
from rater.files.mappings.readers.spec import Reader
from rater.files.mappings.results import Unmapped
from rater.wire.errors import RaterError
from rater.wire.repeated_keys import repeated_key

#: No switch writes a longer number.
_NUMBER_LENGTH_MAX = 40
#: The list is the document itself.
WHOLE = "."


def _exact(text: str) -> Decimal:
    """A number with a fraction, exactly as it was written."""
    if len(text) > _NUMBER_LENGTH_MAX:
        raise ValueError(f"a number of {len(text)} characters")
    try:
        return Decimal(text)
    except InvalidOperation as wrong:
        raise ValueError(f"not a number: {text!r}") from wrong


_any = msgspec.json.Decoder(float_hook=_exact)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list = msgspec.json.Decoder(list[msgspec.Raw])


class Json:
    """One JSON object a line, or a document with a list of them."""

    def __init__(self, spec: Reader) -> None:
        self._spec = spec

    def open(self, path: str, stream: BinaryIO, *, must_end: bool) -> Opened:
        """See RecordReader."""
        if self._spec.list is None:
            return Opened(json_lines(lines_of(stream), must_end=must_end))
        document = whole_document(path, stream)
        if must_end and not is_json(document):
            raise EndsEarly
        return Opened(iter(self._listed(path, document)))

    def bind(self, _: str | None) -> RecordReader:
        """See RecordReader."""
        return self

    def fields(self, raw: bytes) -> Mapping[str, Any]:
        """See RecordReader."""
        return json_object(text_in(raw, self._spec.encoding))

    def names(self) -> None:
        """See RecordReader: every record has its own."""
        return

    def _listed(self, path: str, document: bytes) -> list[bytes]:
        if not document.strip():
            return []
        names = [] if self._spec.list in (WHOLE, None) else str(self._spec.list).split(".")
        try:
            value = msgspec.Raw(document.removeprefix(b"\xef\xbb\xbf"))
            for name in names:
                value = _object.decode(value)[name]
            found = _list.decode(value)
        except KeyError as wrong:
            raise RaterError(
                f"{path}: expected a list {self._spec.list!r} in the document, got no {wrong}"
            ) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
            raise RaterError(f"{path}: expected JSON with a list {self._spec.list!r}: {wrong}") from wrong
        if len(found) > DOCUMENT_RECORDS_MAX:
            raise RaterError(
                f"{path}: expected at most {DOCUMENT_RECORDS_MAX} records (DOCUMENT_RECORDS_MAX), got {len(found)}"
            )
        return [bytes(one) for one in found]


class Form:
    """Form-urlencoded bodies, one a line; a field of the form may hold the record in JSON."""

    def __init__(self, spec: Reader) -> None:
        self._spec = spec

    def open(self, _: str, stream: BinaryIO, *, must_end: bool) -> Opened:
        """See RecordReader."""
        return Opened(ended_lines(stream, must_end=must_end))

    def bind(self, _: str | None) -> RecordReader:
        """See RecordReader."""
        return self

    def fields(self, raw: bytes) -> Mapping[str, Any]:
        """See RecordReader."""
        text, encoding = text_in(raw, self._spec.encoding), self._spec.encoding
        try:
            pairs = parse_qsl(
                text.strip(), keep_blank_values=True, strict_parsing=True, encoding=encoding, errors="strict",
                max_num_fields=CELLS_MAX,
            )  # fmt: skip
        except ValueError as wrong:
            raise Unmapped("", f"expected a form such as cdr=%7B...%7D: {wrong}") from None
        found: dict[str, str] = {}
        for name, value in pairs:
            if found.setdefault(name, value) is not value:
                raise Unmapped(name, f"expected every field once, got {name!r:.80} twice", Reason.DUPLICATE_KEY)
        if self._spec.field is None:
            return found
        if self._spec.field not in found:
            raise Unmapped(self._spec.field, "expected this field in the form, got none")
        return json_object(found[self._spec.field])

    def names(self) -> None:
        """See RecordReader: every form has its own."""
        return


def json_object(text: str) -> Mapping[str, Any]:
    """The members of a JSON object, numbers being exact.  Raises Unmapped."""
    try:
        raw = text.encode()
        value = _any.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError) as wrong:
        said = "nested too deeply" if isinstance(wrong, RecursionError) else str(wrong)
        raise Unmapped("", f"not JSON: {said:.200}") from None
    if not isinstance(value, dict):
        raise Unmapped("", "expected a JSON object")
    if repeated := repeated_key(raw):
        raise Unmapped(repeated, f"expected every field once, got {repeated!r} twice", Reason.DUPLICATE_KEY)
    return value
