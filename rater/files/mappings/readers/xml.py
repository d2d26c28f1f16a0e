"""XML: a document that is one record, or a list of elements.  No document type, so no entities of its own."""

from collections.abc import Mapping
from typing import Any, BinaryIO
from xml.parsers import expat

from rater.files.lines import EndsEarly
from rater.files.mappings.readers.base import (
    CELLS_MAX,
    DEPTH_MAX,
    DOCUMENT_RECORDS_MAX,
    Opened,
    RecordReader,
    text_in,
    whole_document,
)
from rater.files.mappings.readers.spec import Reader
from rater.files.mappings.results import Unmapped
from rater.wire.errors import RaterError


class Xml:
    """Elements by name, texts as values, attributes as `@name`; an element that comes again makes a list."""

    def __init__(self, spec: Reader) -> None:
        self._spec = spec

    def open(self, path: str, stream: BinaryIO, *, must_end: bool) -> Opened:
        """See RecordReader."""
        document = whole_document(path, stream)
        if not document.strip():
            return Opened(iter(()))
        if must_end and not _is_whole(document):
            raise EndsEarly
        if self._spec.list is None:
            return Opened(iter([document]))
        return Opened(iter(_elements(path, document, tuple(self._spec.list.split(".")))))

    def bind(self, _: str | None) -> RecordReader:
        """See RecordReader."""
        return self

    def fields(self, raw: bytes) -> Mapping[str, Any]:
        """See RecordReader."""
        tree = _Tree()
        _parse(text_in(raw, self._spec.encoding), tree)
        return tree.root

    def names(self) -> None:
        """See RecordReader: every record has its own."""
        return


class _Tree:
    """What the root element holds."""

    def __init__(self) -> None:
        self.root: dict[str, Any] = {}
        self._open: list[tuple[str, dict[str, Any], list[str]]] = []
        self._elements = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        self._elements += 1 + len(attributes)
        if self._elements > CELLS_MAX:
            raise Unmapped("", f"expected at most {CELLS_MAX} elements and attributes (CELLS_MAX)")
        if len(self._open) >= DEPTH_MAX:
            raise Unmapped("", f"expected at most {DEPTH_MAX} levels of elements (DEPTH_MAX)")
        self._open.append((name, {f"@{key}": value for key, value in attributes.items()}, []))

    def text(self, text: str) -> None:
        """Text within the element that is open."""
        self._open[-1][2].append(text)

    def end(self, _: str) -> None:
        """An element ends: it is its text, or what it holds."""
        name, held, texts = self._open.pop()
        if not self._open:
            self.root = held
            return
        value: Any = held if held and not "".join(texts).strip() else "".join(texts)
        around = self._open[-1][1]
        if name not in around:
            around[name] = value
        elif isinstance(around[name], list):
            around[name].append(value)
        else:
            around[name] = [around[name], value]


class _Places:
    """Where the elements of a list begin and end in a document."""

    def __init__(self, path: tuple[str, ...]) -> None:
        self.found: list[tuple[int, int]] = []
        self._path = path
        self._open: list[str] = []
        self._began = 0
        self.parser: Any = None

    def start(self, name: str, _: dict[str, str]) -> None:
        """An element begins; the path leaves out the root."""
        self._open.append(name)
        if len(self._open) > DEPTH_MAX:
            raise Unmapped("", f"expected at most {DEPTH_MAX} levels of elements (DEPTH_MAX)")
        if tuple(self._open[1:]) == self._path:
            self._began = self.parser.CurrentByteIndex

    def text(self, _: str) -> None:
        """Text is read with its element."""

    def end(self, _: str) -> None:
        """An element ends: up to its end tag, which is added again."""
        if tuple(self._open[1:]) == self._path:
            self.found.append((self._began, self.parser.CurrentByteIndex))
        self._open.pop()


def _elements(path: str, document: bytes, names: tuple[str, ...]) -> list[bytes]:
    places = _Places(names)
    try:
        _parse(document, places)
    except Unmapped as wrong:
        raise RaterError(f"{path}: {wrong}") from None
    if len(places.found) > DOCUMENT_RECORDS_MAX:
        raise RaterError(f"{path}: expected at most {DOCUMENT_RECORDS_MAX} records (DOCUMENT_RECORDS_MAX)")
    tag = f"</{names[-1]}>".encode()
    # An element without content has no end tag of its own, and stands whole.
    return [
        document[began:end] + (tag if document.startswith(b"</", end) else b"")
        for began, end in _nonempty(document, places.found)
    ]


def _nonempty(document: bytes, found: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """An empty element `<cdr/>` begins and ends at one place: it reaches to its bracket."""
    return [(began, end if end > began else document.index(b">", began) + 1) for began, end in found]


def _is_whole(document: bytes) -> bool:
    try:
        _parse(document, None)
    except Unmapped as wrong:
        return "no element found" not in str(wrong) and "unclosed token" not in str(wrong)
    return True


def _parse(document: str | bytes, into: "_Tree | _Places | None") -> None:
    """Read a document into `into`; Unmapped of all that is no XML, and of document types."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    if into is not None:
        parser.StartElementHandler = into.start
        parser.EndElementHandler = into.end
        parser.CharacterDataHandler = into.text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    if isinstance(into, _Places):
        into.parser = parser
    try:
        parser.Parse(document, True)
    except (expat.ExpatError, ValueError, LookupError) as wrong:
        raise Unmapped("", f"not XML: {wrong}") from None


def _refuse_doctype(*_: object) -> None:
    raise Unmapped("", "expected XML without a document type (DOCTYPE): in it entities are declared")
