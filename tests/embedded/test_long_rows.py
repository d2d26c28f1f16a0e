"""Rows of 50 MB in every format: one dead letter, or one line that names the limit; the rest of the file goes on."""

import gzip
import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from rater.core.letters import hash_of
from rater.core.outputs import RejectedCdr
from rater.core.settings import RatingSettings
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Store
from rater.engine.gateway import LocalGateway
from rater.files.source import InputFile
from rater.wire.codec import RECORD_BYTES_MAX
from rater.wire.errors import Exit, RaterError
from tests.commands import rater
from tests.embedded.usage import GRAPH_ROW, HEADER, row

SIZE = 50_000_000
#: Bytes that compress little, as a file of real calls does.
NOISE = bytes(33 + byte % 64 if byte % 64 not in (1, 59) else 45 for byte in random.Random(1).randbytes(1 << 20))
LONG = (NOISE * (SIZE // len(NOISE) + 1))[:SIZE]
CALL = b'{"tenant":"contoso","usage_id":"%b","type":"user_in","answered_at":"2025-03-01T10:00:00Z","user":"ada"}'
EVENT = b'{"tenant":"contoso","usage_id":"%b","type":"user_in","event":"started","at":"2025-03-01T10:00:00Z","user":"a"}'


def lines(*rows: bytes) -> bytes:
    return b"\n".join(rows) + b"\n"


def graph(id: bytes) -> bytes:
    return json.dumps(GRAPH_ROW | {"id": "ID"}).encode().replace(b"ID", id, 1)


def usage(id: bytes) -> bytes:
    return row("ID").encode().replace(b"ID", id, 1)


def tabbed(text: bytes) -> bytes:
    return text.replace(b",", b"\t")


def zipped(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("usage.csv", content)
    return out.getvalue()


def rated(folder: Path, path: Path, format: str | None = None) -> tuple[list[str], list[RejectedCdr]]:
    """Ids of the calls of a file that were rated, and the letters of it."""
    store = Store(folder / "rater.db")
    try:
        loop = EmbeddedRater(store, RatingSettings(), LocalGateway())
        loop.consume(InputFile(str(folder / "setup.jsonl"), "commands"))
        loop.consume(InputFile(str(path), format, "contoso"))
        calls = [json.loads(value)["usage_id"] for _, value in store.topic("rated-calls")]
        return calls, [msgspec.json.decode(value, type=RejectedCdr) for _, value in store.topic("rejected-cdrs")]
    finally:
        store.close()


FILES: dict[str, Callable[[bytes], tuple[bytes, bytes]]] = {
    "usage.csv": lambda end: (lines(HEADER.encode(), usage(b"a"), long := usage(LONG + end), usage(b"b")), long),
    "usage.tsv": lambda end: (
        lines(tabbed(HEADER.encode()), tabbed(usage(b"a")), long := tabbed(usage(LONG + end)), tabbed(usage(b"b"))),
        long,
    ),
    "cdrs.jsonl": lambda end: (lines(CALL % b"a", long := CALL % (LONG + end), CALL % b"b"), long),
    "first.jsonl": lambda end: (lines(long := CALL % (LONG + end), CALL % b"a", CALL % b"b"), long),
    "rows.jsonl": lambda end: (lines(graph(b"a"), long := graph(LONG + end), graph(b"b")), long),
    "last.jsonl": lambda end: (lines(CALL % b"a", CALL % b"b") + (long := CALL % (LONG + end)), long),
}


@pytest.mark.parametrize("name", FILES)
def test_a_row_of_50_mb_is_one_dead_letter(folder: Path, name: str) -> None:
    """With length and hash of all of it; the rows beside it are rated; another row that begins alike is another."""
    letters: list[RejectedCdr] = []
    for number, end in enumerate((b"1", b"2", b"1")):
        content, long = FILES[name](end)
        path = folder / f"{number}-{name}"
        path.write_bytes(content)
        calls, letters = rated(folder, path)
        assert calls == ["a", "b"]
        assert (letters[-1].reason.value, letters[-1].raw_cut) == ("too_large", True)
        if number < 2:
            assert (letters[-1].raw_length, letters[-1].raw_hash) == (len(long), hash_of(long))
            assert f"(RECORD_BYTES_MAX), got {len(long)} with" in letters[-1].message
    assert len({letter.id for letter in letters}) == len(letters) == 2


@pytest.mark.parametrize("pack", [gzip.compress, zipped], ids=["gz", "zip"])
def test_a_compressed_file_with_a_row_of_50_mb(folder: Path, pack: Callable[[bytes], bytes]) -> None:
    """The same as unpacked."""
    content, long = FILES["usage.csv"](b"1")
    (folder / "usage.csv.packed").write_bytes(pack(content))
    calls, letters = rated(folder, folder / "usage.csv.packed")
    assert calls == ["a", "b"]
    assert [(letter.reason.value, letter.raw_length) for letter in letters] == [("too_large", len(long))]


def test_a_page_of_graph_with_a_row_of_50_mb_is_one_line(folder: Path) -> None:
    """Pages are read whole, and Graph writes none of this size: the file is refused by the name of the limit."""
    (folder / "page.json").write_bytes(b'{"value":[%b,%b]}' % (graph(b"a"), graph(LONG)))
    done = rater("run", "page.json", "--tenant", "contoso", cwd=folder)
    assert done.returncode == Exit.USAGE
    assert ("DOCUMENT_BYTES_MAX" in done.stderr, "Traceback" in done.stderr) == (True, False)


def test_a_page_of_graph_with_a_row_that_is_too_long(folder: Path) -> None:
    """Where the page can be read, the row is one dead letter."""
    long = graph(LONG[: 2 * RECORD_BYTES_MAX])
    (folder / "page.json").write_bytes(b'{"value":[%b,%b,%b]}' % (graph(b"a"), long, graph(b"b")))
    calls, letters = rated(folder, folder / "page.json")
    assert calls == ["a", "b"]
    assert [(letter.raw_length, letter.raw_hash) for letter in letters] == [(len(long), hash_of(long))]


def test_a_header_of_50_mb_is_one_line(folder: Path) -> None:
    """Nothing can be read without it."""
    (folder / "usage.csv").write_bytes(lines(HEADER.encode() + b"," + LONG, usage(b"a")))
    with pytest.raises(RaterError, match=r"usage.csv:1: expected a header .*RECORD_BYTES_MAX"):
        rated(folder, folder / "usage.csv")


def test_a_command_of_50_mb_is_one_dead_letter(folder: Path) -> None:
    """The commands after it are applied."""
    setup = (folder / "setup.jsonl").read_bytes().splitlines()
    long = setup[0].replace(b'"id":"s"', b'"id":"%b"' % LONG)
    (folder / "setup.jsonl").write_bytes(lines(setup[0], long, *setup[1:]))
    path = folder / "cdrs.jsonl"
    path.write_bytes(lines(CALL % b"a"))
    calls, letters = rated(folder, path)
    assert (calls, [letter.reason.value for letter in letters]) == (["a"], ["too_large"])
    assert letters[0].format == "commands"


def test_an_event_of_50_mb_is_one_dead_letter(folder: Path) -> None:
    """Events of other calls are read."""
    path = folder / "events.jsonl"
    path.write_bytes(lines(EVENT % b"a", EVENT % LONG, EVENT % b"b"))
    _, letters = rated(folder, path)
    assert [(letter.reason.value, letter.format) for letter in letters] == [("too_large", "call-events")]


def test_a_letter_with_a_part_of_its_header_is_not_replayed(folder: Path) -> None:
    """Its row could not be read by it; who asks is referred to the file."""
    header = HEADER + "," + "x" * 50_000
    (folder / "usage.csv").write_text("\n".join([header, row("a", type="sms_out") + ",", row("b") + ","]) + "\n")
    calls, (letter,) = rated(folder, folder / "usage.csv")
    assert (calls, letter.header_cut, letter.header_length) == (["b"], True, len(header))
    done = rater("dlq", "replay", cwd=folder)
    assert (
        f"not replayed: only a part of the {len(header)} bytes of its file's header was kept; the whole record was"
        " read at usage.csv:2" in done.stderr
    )
