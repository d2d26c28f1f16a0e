"""The sandbox gateway's charges: an append-only file of JSON lines, on the disk before anybody is answered.

A line that was cut short by a kill was never answered, so it is cut off when the file is opened again.
"""

import fcntl
import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from rater.wire.errors import Exit, RaterError


class Charge(msgspec.Struct, frozen=True, kw_only=True, tag_field="record", tag="charge", omit_defaults=True):
    """An order that was decided; money was taken where `status` is `succeeded`.  One for each key, ever."""

    key: str
    recharge_id: str
    tenant: str
    amount: str
    currency: str
    requested_at: datetime
    behaviour: str
    status: Literal["succeeded", "failed"]
    settled_at: datetime
    reason: str | None = None


class Notified(msgspec.Struct, frozen=True, kw_only=True, tag_field="record", tag="told"):
    """The webhook of a charge was accepted."""

    key: str


_decoder = msgspec.json.Decoder(Charge | Notified)


class ChargeLog:
    """One process writes the file; any may read it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._charges: dict[str, Charge] = {}
        self._notified: set[str] = set()
        try:
            self._file = path.open("a+b", buffering=0)
        except OSError as wrong:
            raise RaterError(f"{path}: cannot be written: {wrong.strerror}") from wrong
        try:
            self._lock()
            self._cut_off_unfinished_line()
            for record in _records(path, path.read_bytes()):
                self._remember(record)
        except RaterError:
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def find(self, key: str) -> Charge | None:
        """The charge of an idempotency key."""
        return self._charges.get(key)

    def was_notified(self, key: str) -> bool:
        """Whether the charge's webhook was accepted."""
        return key in self._notified

    def charges(self) -> list[Charge]:
        """All charges, oldest first."""
        return list(self._charges.values())

    def append(self, record: Charge | Notified) -> None:
        """Keep a record; it is on the disk when this returns."""
        self._file.write(msgspec.json.encode(record) + b"\n")
        os.fsync(self._file.fileno())
        self._remember(record)

    def _remember(self, record: Charge | Notified) -> None:
        if isinstance(record, Notified):
            self._notified.add(record.key)
            return
        if record.key in self._charges:
            raise RaterError(f"{self.path}: expected one charge for each key, got {record.key} twice")
        self._charges[record.key] = record

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as wrong:
            message = f"{self.path}: in use by another gateway; end that one, or use another --log"
            raise RaterError(message, Exit.STORE_IN_USE) from wrong

    def _cut_off_unfinished_line(self) -> None:
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole != len(content):
            self._file.truncate(whole)
            os.fsync(self._file.fileno())


def read_charges(path: Path) -> list[Charge]:
    """The charges in a log, oldest first, for whoever compares it with a ledger; the gateway may be running."""
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    return [record for record in _records(path, whole) if isinstance(record, Charge)]


def _records(path: Path, content: bytes) -> Iterable[Charge | Notified]:
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            yield _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
            raise RaterError(f"{path}:{number}: expected a charge as JSON: {wrong}") from wrong
