"""Inputs that are made to fill a machine: refused by the name of a limit, in little memory; what is ordinary passes."""

import gzip
import io
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from subprocess import run as start

import pytest

from rater.core.reasons import Refusal
from rater.embedded.store import open_reader
from rater.engine.batch import Record
from rater.files.compressed import UNPACKED_FREE_BYTES
from rater.files.graph import DOCUMENT_BYTES_MAX, DOCUMENT_ROWS_MAX
from rater.files.lines import LONG_LINE_KEPT_BYTES
from rater.files.source import InputFile
from rater.wire.codec import RECORD_BYTES_MAX
from rater.wire.errors import Exit, RaterError
from tests.embedded.usage import GRAPH_ROW, HEADER, row, run

CALL = b'{"tenant":"contoso","usage_id":"%b","type":"user_in","answered_at":"2025-03-01T10:00:00Z","user":"ada"}\n'
MEMORY_MAX = 1_000_000_000


def zipped(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("usage.csv", content)
    return out.getvalue()


def read(path: Path, tenant: str = "contoso") -> list[Record]:
    return [record for record in InputFile(str(path), None, tenant).records() if isinstance(record, Record)]


@pytest.mark.parametrize("pack", [gzip.compress, zipped])
@pytest.mark.parametrize("line", [b"\n", b"{}\n", b" " * 10_000], ids=["empty lines", "short lines", "one line"])
def test_what_unpacks_to_many_times_its_size_is_refused(
    tmp_path: Path, pack: Callable[[bytes], bytes], line: bytes
) -> None:
    """Nothing of it is rated, and the limit is named."""
    (tmp_path / "bomb").write_bytes(pack(line * (20_000_000 // len(line))))
    with pytest.raises(RaterError, match=r"UNPACKED_RATIO_MAX.*unpack it first"):
        read(tmp_path / "bomb")


@pytest.mark.parametrize("pack", [gzip.compress, zipped])
def test_logs_that_compress_well_pass(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """Calls that differ in their ids only, compressed 20 times and more, and more than is free whatever the size."""
    content = b"".join(CALL % b"%d" % number for number in range(100_000))
    packed = pack(content)
    assert len(content) > UNPACKED_FREE_BYTES
    assert len(content) > 20 * len(packed)
    (tmp_path / "cdrs.packed").write_bytes(packed)
    assert len(read(tmp_path / "cdrs.packed")) == 100_000


def test_a_zip_that_is_not_deflated_is_refused(tmp_path: Path) -> None:
    """LZMA says itself how much memory it takes."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("usage.csv", HEADER)
    with pytest.raises(RaterError, match="deflate"):
        read(tmp_path / "a.zip")


@pytest.mark.parametrize("value", [b"1,", json.dumps(GRAPH_ROW).encode() + b","], ids=["numbers", "rows"])
def test_documents_that_are_too_large_to_be_read_whole_are_refused(tmp_path: Path, value: bytes) -> None:
    """Each by its limit, with what to do."""
    (tmp_path / "bytes.json").write_bytes(b"[" + value * (DOCUMENT_BYTES_MAX // len(value) + 1) + b"1]")
    with pytest.raises(RaterError, match=r"DOCUMENT_BYTES_MAX.*one row a line"):
        read(tmp_path / "bytes.json")
    (tmp_path / "rows.json").write_bytes(b"[" + b"1," * DOCUMENT_ROWS_MAX + b"1]")
    with pytest.raises(RaterError, match="DOCUMENT_ROWS_MAX"):
        read(tmp_path / "rows.json")


@pytest.mark.parametrize("name", ["cdrs.jsonl", "usage.csv", "rows.jsonl", "rows.json", "first.jsonl"])
def test_a_row_longer_than_a_record_is_one_refusal_with_its_beginning(tmp_path: Path, name: str) -> None:
    """Its length and hash are reported, the rest is not kept, and the other rows are read."""
    long = b"x" * (2 * RECORD_BYTES_MAX)
    graph = json.dumps(GRAPH_ROW).encode()
    content = {
        "cdrs.jsonl": CALL % b"a" + CALL % long + CALL % b"b",
        "first.jsonl": CALL % long + CALL % b"a" + CALL % b"b",
        "usage.csv": "\n".join([HEADER, row("a"), row(long.decode()), row("b")]).encode(),
        "rows.jsonl": b'{"callType":"%b"}\n' % long + graph + b"\n" + graph,
        "rows.json": b'[%b,{"callType":"%b"},%b]' % (graph, long, graph),
    }[name]
    (tmp_path / name).write_bytes(content)
    records = read(tmp_path / name)
    refused = [record for record in records if isinstance(record.decoded, Refusal)]
    assert (len(records), len(refused)) == (3, 1)
    assert isinstance(refused[0].decoded, Refusal)
    assert refused[0].decoded.message.startswith("expected at most 1000000 bytes (RECORD_BYTES_MAX), got 2000")
    assert len(refused[0].raw) == LONG_LINE_KEPT_BYTES


def test_a_long_row_is_known_when_the_file_is_read_again(folder: Path) -> None:
    """Its hash stands for it; another long row with the same beginning is other content."""
    path = folder / "cdrs.jsonl"
    long = CALL % (b"x" * 2 * RECORD_BYTES_MAX)
    path.write_bytes(CALL % b"a" + long)
    assert run(folder, "cdrs.jsonl", code=Exit.REFUSED)["rejected"] == {"too_large": 1}
    assert run(folder, "cdrs.jsonl")["records"] == 0
    before, after = InputFile(str(path)), InputFile(str(path))
    assert len(list(before.records())) == 2
    path.write_bytes(CALL % b"a" + long.replace(b'x"', b'y"'))
    assert len(list(after.records(before.records_read, before.digest))) == 2


def memory_of_run(folder: Path) -> int:
    """The most memory that `rater run` took on the calls of a folder, in bytes."""
    script = (
        "from rater.cli import main\ntry: main()\n"
        "finally: print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    done = start(
        [sys.executable, "-c", script, "run", "cdrs.jsonl", "--commands", "setup.jsonl"],
        cwd=folder, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode in (Exit.OK, Exit.REFUSED), done.stderr
    return int(done.stdout.split()[-1]) * 1024


def test_a_batch_ends_by_its_bytes_as_well(folder: Path) -> None:
    """Three hundred records of 900 kB are rated in the memory of a few: they are never held at the same time."""
    padded = (CALL % b"%d").replace(b'"user"', b'"x":"%b","user"' % (b"x" * 900_000))
    with (folder / "cdrs.jsonl").open("wb") as file:
        file.writelines(padded % number for number in range(300))
    assert memory_of_run(folder) < 300 * 900_000
    assert len(open_reader(folder / "rater.db").rated_calls("299")) == 1


def test_rows_of_50_mb_take_little_memory(folder: Path) -> None:
    """A run with one stays far under 1 GB."""
    (folder / "cdrs.jsonl").write_bytes(CALL % b"a" + CALL % (b"x" * 50_000_000) + CALL % b"b")
    assert memory_of_run(folder) < MEMORY_MAX
    assert len(open_reader(folder / "rater.db").rated_calls("b")) == 1
