"""A mapping that is ready: bytes of a switch in, call records out, or why not."""

from collections.abc import Iterable, Iterator
from io import BufferedReader, BytesIO, RawIOBase
from typing import Any, BinaryIO, NamedTuple, cast

from rater.core import CallRecord, Refusal
from rater.files.mappings.missing import Missing
from rater.files.mappings.model import MappingFile
from rater.files.mappings.plan import Plan
from rater.files.mappings.readers.base import RecordReader
from rater.files.mappings.readers.of_kind import reader_of_kind
from rater.files.mappings.results import HEADER_AGAIN, NotSelected, Unmapped
from rater.files.mappings.tables import Entries
from rater.wire.errors import RaterError

#: The outcome of a record.
Mapped = CallRecord | Refusal | NotSelected


class MappedFile(NamedTuple):
    """A file's records as bytes, what maps them, the header that they need, and the rows before the first."""

    raws: Iterator[bytes]
    mapping: "Mapping"
    header: str | None
    rows_before: int


class Mapping:
    """`name` and `version` (a hash of its content) stand in what it makes; `place` is what loads it again.

    The same bytes give the same result, whatever came before them, as long as its tables are the same.
    """

    def __init__(
        self,
        name: str,
        version: str,
        place: str,
        file: MappingFile,
        tables: dict[str, Entries],
        tenant: str | None = None,
    ) -> None:
        self.name = name
        self.version = version
        self.place = place
        self.file = file
        self._tables = tables
        self._tenant = tenant
        self._plan = Plan(file, tables, tenant)
        self._reader: RecordReader = reader_of_kind(file.reader)
        self._check_names(self._reader)

    def missing(self) -> Missing:
        """What finds those of its fields that no record of a file has; columns of CSV are checked beforehand."""
        used = frozenset[str]() if self.file.reader.kind == "csv" else self._plan.used
        return Missing(used, self.file.reader.optional)

    @property
    def tenant(self) -> str | None:
        """The tenant of records that do not name one."""
        return self._tenant

    def for_tenant(self, tenant: str | None) -> "Mapping":
        """The same mapping for records that do not name their tenant.  RaterError: nobody says whose they are."""
        if tenant is None and self.file.call.tenant is None:
            raise RaterError(f"{self.place}: expected call.tenant, or --tenant: whose are the records?")
        if tenant is None or self.file.call.tenant is not None:
            return self
        return Mapping(self.name, self.version, self.place, self.file, self._tables, tenant)

    def refresh(self) -> list[str]:
        """Read tables again whose files changed; lines for people about those that cannot be read."""
        return [line for table in self._tables.values() if (line := table.refresh())]

    def open(self, path: str, stream: BinaryIO, *, must_end: bool = False) -> MappedFile:
        """The records of a file.  RaterError: it is not of this format; EndsEarly: its last record is not ended."""
        opened = self._reader.open(path, stream, must_end=must_end)
        try:
            bound = self.bind(opened.header)
        except RaterError as wrong:
            raise RaterError(f"{path}: {wrong}") from wrong
        return MappedFile(opened.raws, bound, opened.header, opened.rows_before)

    def bind(self, header: str | None) -> "Mapping":
        """The same mapping for records below a header; RaterError names columns that the header lacks."""
        reader = self._reader.bind(header)
        if reader is self._reader:
            return self
        bound = Mapping.__new__(Mapping)
        bound.__dict__.update(self.__dict__)
        bound._reader = reader
        bound._check_names(reader)
        return bound

    def map_one(self, raw: bytes) -> Mapped:
        """The outcome of one record."""
        try:
            fields = self.fields(raw)
        except Unmapped as wrong:
            return wrong.refusal
        return NotSelected(HEADER_AGAIN) if fields is None else self._plan.map(fields)

    def fields(self, raw: bytes) -> Any:
        """The fields of a record, as its reader sees them.  Raises Unmapped."""
        return self._reader.fields(raw)

    def read(self, given: bytes | Iterable[bytes]) -> Iterator[tuple[Mapped, bytes]]:
        """The outcome of each record of a file, a body or a stream in chunks, with its bytes."""
        stream = BytesIO(given) if isinstance(given, bytes) else BufferedReader(_Chunks(given))
        opened = self.open("input", cast("BinaryIO", stream))
        for raw in opened.raws:
            text = raw.rstrip(b"\r\n")
            if text.strip():
                yield opened.mapping.map_one(text), text

    def _check_names(self, reader: RecordReader) -> None:
        names = reader.names()
        if names is not None and (missing := sorted(self._plan.used - names)):
            raise RaterError(f"expected the columns {', '.join(missing)}, got {', '.join(sorted(names))[:400]}")


class _Chunks(RawIOBase):
    """Chunks of bytes as a stream."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._held = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._held:
            if (chunk := next(self._chunks, None)) is None:
                return 0
            self._held = chunk
        given = self._held[: len(buffer)]
        buffer[: len(given)] = given
        self._held = self._held[len(given) :]
        return len(given)
