"""Files as people and machines leave them: blank, cut, damaged, quoted badly, half written.  Each is reported on one line,
refuses no more than what is broken, and loses nothing.
"""

import csv
import ctypes
import gzip
import io
import json
import os
import time
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rater.core.reasons import Refusal
from rater.embedded.store import open_reader
from rater.engine.batch import Record
from rater.files.source import InputFile
from rater.wire.errors import Exit, RaterError
from tests.commands import rater
from tests.embedded.usage import GRAPH_ROW, HEADER, SETUP, row, run

OWN_CALL = (
    '{"tenant":"contoso","usage_id":"a","type":"user_out","answered_at":"2025-03-01T10:00:00Z","duration_s":61,'
    '"user":"ada@contoso.example","calling":"+14255550100","called":"+12065550100"}'
)
#: What the setup and the deck rate before any call.
SETTING_UP = 5


def export(*rows: str) -> str:
    return "\n".join([HEADER, *rows]) + "\n"


def read(path: Path, *, growing: bool = False, format: str | None = None) -> list[Record]:
    """The records of a file of contoso."""
    found = list(InputFile(str(path), format, "contoso", growing=growing).records())
    return [record for record in found if isinstance(record, Record)]


def letters(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(rater("dlq", "ls", "--json", "--reveal", cwd=folder).stdout)
    return found


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("usage.csv", export(row("a"))),
        ("cdrs.jsonl", OWN_CALL + "\n"),
        ("rows.json", json.dumps(GRAPH_ROW) + "\n"),
        ("page.json", json.dumps({"value": [GRAPH_ROW]})),
    ],
)
@pytest.mark.parametrize("blank", ["\n", "\r\n \r\n", "\ufeff\n", "\ufeff"])
def test_blank_first_lines_are_skipped(tmp_path: Path, name: str, content: str, blank: str) -> None:
    """A file of any format that begins with blank lines, or with a byte order mark, is read like any other."""
    (tmp_path / name).write_bytes((blank + content).encode())
    (record,) = read(tmp_path / name)
    assert record.raw.decode() in content
    assert not isinstance(record.decoded, Refusal)


def test_blank_first_lines_of_standard_input(folder: Path) -> None:
    """The same through a pipe."""
    assert run(folder, "-", stdin=("\n\n" + export(row("a"))).encode())["outcomes"]["rated"] == SETTING_UP + 1


def test_blank_first_lines_of_commands(folder: Path) -> None:
    """The same for `--commands`; and a row keeps the number of its line."""
    (folder / "setup.jsonl").write_text("\n\n" + SETUP)
    (folder / "usage.csv").write_text("\n" + export(row("a", seconds="long")))
    summary = run(folder, "usage.csv", code=Exit.REFUSED)
    assert summary["outcomes"] == {"rated": SETTING_UP, "rejected": 1}
    assert summary["refused_rows"] == [
        "usage.csv:3: Duration Seconds: expected whole seconds, got 'long' (malformed)"
    ]


def test_calls_are_counted_apart_from_commands(folder: Path) -> None:
    """Two calls that are rated and one that is refused, beside the commands of the set-up; then the same again."""
    (folder / "usage.csv").write_text(export(row("a"), row("b"), row("c", seconds="long")))
    first = run(folder, "usage.csv", code=Exit.REFUSED)
    assert (first["calls"], first["commands"]) == ({"rated": 2, "rejected": 1}, {"applied": SETTING_UP})
    (folder / "usage.csv").write_text(export(row("a"), row("b")) + "\n")
    again = run(folder, "usage.csv")
    assert (again["calls"], again["commands"]) == ({"duplicate": 2}, {})


def test_tabs_with_empty_cells_at_the_ends(folder: Path) -> None:
    """Of 20 cells the last is empty, and of another row the first: both are read as 20 cells, and kept whole."""
    last, first = row("a").split(","), row("").split(",")
    last[-1] = ""
    text = "\n".join("\t".join(cells) for cells in (HEADER.split(","), last, first)) + "\n"
    (folder / "usage.tsv").write_text(text)
    assert run(folder, "usage.tsv", code=Exit.REFUSED)["outcomes"] == {"rated": SETTING_UP + 1, "rejected": 1}
    (letter,) = letters(folder)
    assert (letter["raw"], letter["field"]) == ("\t".join(first), "UsageId")


@pytest.mark.parametrize("shape", ["page", "array", "row"])
@pytest.mark.parametrize("indent", [2, "\t"])
def test_pretty_printed_graph_json(tmp_path: Path, shape: str, indent: int | str) -> None:
    """`json.dump(page, indent=2)` is read as the document that it is."""
    value = {"page": {"value": [GRAPH_ROW]}, "array": [GRAPH_ROW], "row": GRAPH_ROW}[shape]
    (tmp_path / "rows.json").write_text(json.dumps(value, indent=indent))
    assert [getattr(record.decoded, "usage_id", None) for record in read(tmp_path / "rows.json")] == [
        GRAPH_ROW["id"]
    ]


def test_more_pages_are_mentioned(folder: Path) -> None:
    """Graph gives at most 1000 rows a page and a link to the next: a remark says so, nothing is wrong."""
    page = {"@odata.nextLink": "https://graph.microsoft.com/v1.0/next", "value": [GRAPH_ROW]}
    (folder / "rows.json").write_text(json.dumps(page))
    assert "rows.json: the page has an @odata.nextLink" in run(folder, "rows.json")["said"]


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        (('"duration": 219', '"duration": "219"'), "malformed", "duration"),
        (('"duration": 219', '"duration": true'), "malformed", "duration"),
        (('"callType": "user_in"', '"callType": 7'), "malformed", "callType"),
        (('"calleeNumber": "', '"calleeNumber": 1, "x": "'), "malformed", "calleeNumber"),
        (('"duration": 219', '"duration": 219, "duration": 12'), "duplicate_key", "duration"),
    ],
)
@pytest.mark.parametrize("shape", ["{}", '{{"value": [{}]}}'])
def test_graph_rows_are_not_guessed(
    tmp_path: Path, change: tuple[str, str], reason: str, field: str, shape: str
) -> None:
    """A field of another type, or there twice, is refused and the row is kept as it was written."""
    bad = json.dumps(GRAPH_ROW).replace(*change)
    (tmp_path / "rows.json").write_text(shape.format(bad))
    (record,) = read(tmp_path / "rows.json")
    assert isinstance(record.decoded, Refusal)
    assert (record.decoded.reason.value, record.decoded.field, record.raw.decode()) == (reason, field, bad)


def test_a_quote_that_is_never_closed(folder: Path) -> None:
    """Its line is refused, and not the rest of the file."""
    bad = row("bad").replace("Ada,+1", '"Ada,+1')
    rows = [row("a"), bad, *(row(f"call-{number}") for number in range(500))]
    (folder / "usage.csv").write_text(export(*rows))
    summary = run(folder, "usage.csv", code=Exit.REFUSED)
    assert summary["outcomes"] == {"rated": SETTING_UP + 501, "rejected": 1}
    assert summary["refused_rows"] == ["usage.csv:3: not CSV: a quote that is never closed (malformed)"]


def test_unclosed_quotes_take_no_longer_than_other_rows(tmp_path: Path) -> None:
    """4 MB in which every line opens a quote that nothing closes: seconds, where it was minutes."""
    bad = row("bad").replace("Ada,+1", '"Ada,+1').replace("User,", '"" ,')
    (tmp_path / "usage.csv").write_text(export(*[bad] * 20_000))
    began = time.process_time()
    assert len(read(tmp_path / "usage.csv")) > 100
    assert time.process_time() - began < 20


@pytest.mark.parametrize("name", ['Ada "the\nfirst"', 'a "b', '5" pipe', "a, b", "\n\n", '"'])
def test_quotes_that_are_meant(tmp_path: Path, name: str) -> None:
    """RFC 4180: commas, quotes and line ends within a quoted cell belong to it."""
    cells = row("a").split(",")
    cells[6] = name
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    (tmp_path / "usage.csv").write_text(export(row("before"), text.getvalue().rstrip("\r\n"), row("after")))
    assert [getattr(record.decoded, "usage_id", None) for record in read(tmp_path / "usage.csv")] == [
        "before",
        "a",
        "after",
    ]


def test_a_quote_within_a_cell_is_a_sign_like_others(tmp_path: Path) -> None:
    """Two cells with 5" far apart are two rows, and not one."""
    inch = row("inch").replace("Ada,+1", 'Ada 5",+1')
    (tmp_path / "usage.csv").write_text(export(inch, row("b"), inch, row("c")))
    assert len(read(tmp_path / "usage.csv")) == 4


@pytest.mark.parametrize("twice", ["Duration Seconds", "UsageId", "duration seconds"])
def test_a_column_twice(folder: Path, twice: str) -> None:
    """The text does not show which of the two is meant: one line for the file."""
    (folder / "usage.csv").write_text(f"{HEADER},{twice}\n{row('a')},5\n")
    assert "usage.csv:1: expected every column once, got" in run(folder, "usage.csv", code=Exit.USAGE)["said"]


def test_line_ends_of_old_macs(folder: Path) -> None:
    """CR alone: one line that says how to save the file."""
    (folder / "usage.csv").write_text(export(row("a"), row("b")).replace("\n", "\r"), newline="")
    assert "expected a header that ends with LF or CR LF" in run(folder, "usage.csv", code=Exit.USAGE)["said"]


def test_only_ascii_digits_are_seconds(folder: Path) -> None:
    """Digits of another script are no number of this contract."""
    (folder / "usage.csv").write_text(export(row("a", seconds="\u0661\u0662")))
    assert run(folder, "usage.csv", code=Exit.REFUSED)["rejected"] == {"malformed": 1}


def packed_rows(count: int = 2000) -> bytes:
    rows = (row(f"call-{number}-{os.urandom(8).hex()}") for number in range(count))
    return gzip.compress(export(*rows).encode())


@pytest.mark.parametrize("place", ["checksum", "middle"])
def test_a_damaged_gzip(folder: Path, place: str) -> None:
    """A flipped bit: nothing of the file is rated, since the place of the damage is unknown."""
    packed = bytearray(packed_rows())
    packed[-6 if place == "checksum" else len(packed) // 2] ^= 0x10
    (folder / "usage.csv.gz").write_bytes(packed)
    summary = run(folder, "usage.csv.gz", code=Exit.USAGE)
    assert "usage.csv.gz: the compressed file is damaged" in summary["said"]
    assert summary["records"] == SETTING_UP
    assert "damaged" in run(folder, "-", stdin=bytes(packed), code=Exit.USAGE)["said"]


@pytest.mark.parametrize(
    ("ending", "rated", "said"),
    [
        ("followed by garbage", 20, "is followed by bytes that are no gzip"),
        ("followed by another gzip", 20 + 1, ""),
        ("followed by padding", 20, ""),
        ("cut to 2 bytes", 0, "ends early"),
        ("cut by 1 byte", 20, "ends early"),
        ("empty gzip", 0, "the file is empty"),
        ("empty file", 0, "the file is empty"),
    ],
)
def test_how_a_gzip_ends(folder: Path, ending: str, rated: int, said: str) -> None:
    """What was whole is rated, and what is wrong is reported; several gzips in one file are one."""
    whole = packed_rows(20)
    (folder / "usage.csv.gz").write_bytes(
        {
            "followed by garbage": whole + b"garbage",
            "followed by another gzip": whole + gzip.compress(row("more").encode()),
            "followed by padding": whole + bytes(512),
            "cut to 2 bytes": whole[:2],
            "cut by 1 byte": whole[:-1],
            "empty gzip": gzip.compress(b""),
            "empty file": b"",
        }[ending]
    )
    done = rater(
        "run", "usage.csv.gz", "--commands", "setup.jsonl", "--tenant", "contoso", "--deck", "deck.csv", "--json", cwd=folder
    )  # fmt: skip
    assert json.loads(done.stdout)["records"] == SETTING_UP + rated
    assert said in done.stderr
    assert bool(said) == ("rater: " in done.stderr)


def zipped(**files: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name.replace("_", "."), text)
    return content.getvalue()


def test_a_zip(folder: Path) -> None:
    """Rules 2.1: the export comes as a zip with a CSV and parameters.json; through a pipe as well."""
    content = zipped(PSTN_csv=export(row("a"), row("b")), parameters_json="{}")
    (folder / "Calls.Export.1.zip").write_bytes(content)
    assert run(folder, "Calls.Export.1.zip")["outcomes"]["rated"] == SETTING_UP + 2
    assert run(folder, "-", stdin=content)["outcomes"] == {"duplicate": 2}


def test_a_zip_that_cannot_be_read(folder: Path) -> None:
    """Two tables, or a zip that is cut: one line each, and what to do."""
    (folder / "two.zip").write_bytes(zipped(a_csv=export(row("a")), b_csv=export(row("b"))))
    (folder / "cut.zip").write_bytes(zipped(a_csv=export(row("a")))[:-9])
    said = run(folder, "two.zip", "cut.zip", code=Exit.USAGE)["said"]
    assert "two.zip: expected a zip with one" in said
    assert "got 2 files: a.csv, b.csv" in said
    assert "cut.zip: expected a whole zip file" in said


def test_after_a_bad_file_the_others_continue(folder: Path) -> None:
    """Each bad file is one line; the others are rated, the summary is there, and the exit code says it."""
    (folder / "in").mkdir()
    (folder / "in" / "1.csv").write_text("dear diary\n")
    (folder / "in" / "2.csv").write_text(export(row("a")))
    summary = run(folder, "in", "nowhere.csv", code=Exit.USAGE)
    assert summary["outcomes"]["rated"] == SETTING_UP + 1
    first, second = summary["unread_files"]
    assert first.startswith("in/1.csv:1: expected a PSTN usage CSV")
    assert second == "nowhere.csv: cannot be read: No such file or directory"


def test_folders_within_folders(folder: Path) -> None:
    """Files further down are rated too, in the order of their names; hidden ones and the store are left alone."""
    for name in ("in/2025-03/b.csv", "in/2025-02/a.csv", "in/z.csv"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(export(row(name)))
    (folder / "in/.hidden").mkdir()
    (folder / "in/.hidden/x.csv").write_text("dear diary\n")
    assert run(folder, "in", "--store", "in/rater.db")["outcomes"]["rated"] == SETTING_UP + 3
    order = [json.loads(call)["usage_id"] for _, call in open_reader(folder / "in/rater.db").topic("rated-calls")]
    assert order == ["in/2025-02/a.csv", "in/2025-03/b.csv", "in/z.csv"]


def like_any_user() -> None:
    """Root may read everything; without these two capabilities it is a user like others."""
    if os.geteuid() == 0:
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


@pytest.mark.parametrize("watch", [[], ["--watch"]])
def test_a_folder_that_cannot_be_read(folder: Path, watch: list[str]) -> None:
    """One line, whether it is watched or not."""
    (folder / "in").mkdir(mode=0)
    done = rater("run", "in", *watch, "--json", cwd=folder, preexec_fn=like_any_user)
    assert (done.returncode, done.stderr) == (
        Exit.USAGE,
        "rater: in: the folder cannot be read: Permission denied\n",
    )


def test_a_store_that_cannot_be_written(folder: Path) -> None:
    """One line before anything is read."""
    run(folder)
    (folder / "rater.db").chmod(0o444)
    done = rater("run", "--deck", "deck.csv", "--json", cwd=folder, preexec_fn=like_any_user)
    assert done.returncode == Exit.USAGE
    assert done.stderr.startswith(f"rater: {(folder / 'rater.db').resolve()}: cannot be written")
    assert done.stderr.count("\n") == 1


def test_refused_rows_are_named(folder: Path) -> None:
    """The first five with file, row, field and reason, and the command that shows all."""
    (folder / "usage.csv").write_text(export(*(row(f"call-{n}", seconds=f"long-{n}") for n in range(7))))
    arguments = ["usage.csv", "--commands", "setup.jsonl", "--tenant", "contoso", "--store", "a b.db"]
    *_, first, _, _, _, fifth, last = rater("run", *arguments, cwd=folder).stderr.splitlines()
    assert first == "usage.csv:2: Duration Seconds: expected whole seconds, got 'long-0' (malformed)"
    assert fifth.startswith("usage.csv:6: ")
    assert last == "7 records were refused: rater dlq ls --store 'a b.db'"


@pytest.mark.parametrize("extra", ['"value":3', '"value":"x"', '"value":[1]', '"note":"\\"callType\\""'])
def test_fields_of_others_do_not_make_a_graph_row(tmp_path: Path, extra: str) -> None:
    """A record of our own contract may have fields that we do not know."""
    call = OWN_CALL.replace('"user"', extra + ',"user"')
    (tmp_path / "cdrs.jsonl").write_text(call + "\n")
    (record,) = read(tmp_path / "cdrs.jsonl")
    assert (record.envelope, record.decoded, record.raw.decode()) == (None, None, call)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (export(row("a")), "setup.jsonl:1: expected commands in JSON Lines, got 'UsageId"),
        (OWN_CALL + "\n", "setup.jsonl:1: expected commands, got cdrs"),
    ],
)
def test_calls_are_no_commands(folder: Path, content: str, said: str) -> None:
    """Calls given to --commands: one line and nothing is done, instead of a dead letter for each."""
    (folder / "setup.jsonl").write_text(content)
    done = rater("run", "--commands", "setup.jsonl", cwd=folder)
    assert (done.returncode, said in done.stderr) == (Exit.USAGE, True)
    assert letters(folder) == []


def test_pretty_printed_records_of_our_own(folder: Path) -> None:
    """They are not a document of Graph: one line says what to do."""
    (folder / "cdrs.json").write_text(json.dumps(json.loads(OWN_CALL), indent=2))
    said = run(folder, "cdrs.json", code=Exit.USAGE)["said"]
    assert "cdrs.json: expected a page of pstnCallLogRow, or one JSON object a line" in said


def test_records_of_our_own_one_after_another_on_many_lines(folder: Path) -> None:
    """What `jq .` writes: one line that says what is expected."""
    call = json.dumps(json.loads(OWN_CALL), indent=2)
    (folder / "cdrs.json").write_text(f"{call}\n{call}\n")
    assert "got broken JSON" in run(folder, "cdrs.json", code=Exit.USAGE)["said"]


WHOLE_FILES = (
    export(row("a"), row("b").replace("Ada,+1", '"Ada, the\nfirst",+1')).encode(),
    export(row("a")).encode("utf-16"),
    gzip.compress(export(row("a"), row("b")).encode(), mtime=0),
    zipped(usage_csv=export(row("a"))),
    json.dumps({"value": [GRAPH_ROW] * 2}, indent=1).encode(),
    json.dumps(GRAPH_ROW).encode() + b"\n",
    OWN_CALL.encode() + b"\n" + SETUP.encode(),
)


@settings(max_examples=400, deadline=None)
@given(
    whole=st.sampled_from(WHOLE_FILES),
    changes=st.lists(
        st.tuples(st.integers(0, 2000), st.integers(0, 4), st.sampled_from([*b'"\n\r\t,;{}[]\\ 1', 0, 255, 239])),
        min_size=1,
        max_size=4,
    ),
    end=st.integers(0, 3000),
    format=st.sampled_from([None, None, "pstn-csv", "graph", "commands", "cdrs"]),
    growing=st.booleans(),
)
def test_no_file_is_a_traceback(
    whole: bytes, changes: list[tuple[int, int, int]], end: int, format: str | None, growing: bool
) -> None:
    """Whatever is changed, cut out or cut off: records, refusals, or one line about the file."""
    content = bytearray(whole)
    for at, cut_out, put_in in changes:
        content[at % len(whole) : at % len(whole) + cut_out] = bytes([put_in])
    with TemporaryDirectory() as here:
        path = Path(here, "file")
        path.write_bytes(content[:end])
        said = ""
        try:
            read(path, growing=growing, format=format)
        except RaterError as wrong:
            said = str(wrong)
        assert "\n" not in said
