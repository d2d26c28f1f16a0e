"""Files into the embedded rater: every format, twice, cut short, broken, and by hand."""

import gzip
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rater.core.outputs import OUTPUT_TOPICS
from rater.core.settings import RatingSettings
from rater.dev.generate import Spec, generate_calls, generate_commands
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Store, open_reader
from rater.engine.gateway import LocalGateway
from rater.files.deck_csv import read_deck
from rater.files.source import InputFile
from rater.wire.codec import encode_input
from rater.wire.errors import Exit, RaterError
from tests.commands import rater
from tests.embedded.usage import GRAPH_ROW, HEADER, row, run
from tests.world import DECK


def tables(path: Path) -> dict[str, list[Any]]:
    """Everything in a store that a run wrote."""
    with closing(sqlite3.connect(path)) as connection, connection:
        return {
            name: connection.execute(f'SELECT * FROM "{name}" ORDER BY 1, 2').fetchall()
            for name in (*OUTPUT_TOPICS, "entities", "seen")
        }


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_a_pstn_usage_export(folder: Path, delimiter: str) -> None:
    """Rules 2.1: the real 20 columns, comma or tab, `<No data>` and a byte order mark included."""
    text = "\n".join([HEADER, row("a"), row("b", "+263242700000", 120), row("c", type="user_in")]) + "\n"
    (folder / "usage.csv").write_text("\ufeff" + text.replace(",", delimiter))
    summary = run(folder, "usage.csv")
    assert summary["debited"] == {"USD": "0.4"}
    calls = open_reader(folder / "rater.db").rated_calls("a")
    assert json.loads(calls[0])["user"] == "ada@contoso.example"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("compressed", [False, True])
def test_an_export_in_utf_16(folder: Path, encoding: str, compressed: bool) -> None:
    """Rules 2.1: what a spreadsheet saves as Unicode text is read by its byte order mark, as are decks."""
    rows = [HEADER, row("a"), row("\u010d\u20ac", "+263242700000", 120), row("c", type="user_in")]
    usage = ("\ufeff" + "\r\n".join(rows) + "\r\n").encode(encoding)
    (folder / "usage.csv").write_bytes(gzip.compress(usage) if compressed else usage)
    (folder / "deck.csv").write_bytes(("\ufeff" + DECK.read_text()).encode(encoding))
    assert run(folder, "usage.csv")["debited"] == {"USD": "0.4"}
    assert open_reader(folder / "rater.db").rated_calls("\u010d\u20ac")
    assert run(folder, "usage.csv")["records"] == 0


@pytest.mark.parametrize("shape", ["page", "array", "lines"])
def test_graph_rows(folder: Path, shape: str) -> None:
    """Rules 2.2: seven-digit seconds and an unknown capability are accepted, in a page, an array or lines."""
    text = {
        "page": json.dumps({"@odata.context": "x", "value": [GRAPH_ROW]}),
        "array": json.dumps([GRAPH_ROW]),
        "lines": json.dumps(GRAPH_ROW) + "\n",
    }[shape]
    (folder / "rows.json").write_text(text)
    assert run(folder, "rows.json")["outcomes"]["rated"] == 5 + 1
    call = json.loads(open_reader(folder / "rater.db").rated_calls(GRAPH_ROW["id"])[0])
    assert (call["minutes"], call["answered_at"]) == (4, "2025-03-01T00:00:08.258993Z")


def test_standard_input_and_gzip(folder: Path) -> None:
    """A compressed export on standard input is rated; the same again is all duplicates."""
    packed = gzip.compress("\n".join([HEADER, row("a"), row("b")]).encode())
    assert run(folder, "-", stdin=packed)["outcomes"]["rated"] == 5 + 2
    assert run(folder, "-", stdin=packed)["outcomes"] == {"duplicate": 2}


def test_a_file_twice_changes_nothing(folder: Path) -> None:
    """A file that was consumed is not read again; a file that grew goes on where it ended."""
    usage = folder / "usage.csv"
    usage.write_text("\n".join([HEADER, row("a"), row("b")]) + "\n")
    run(folder, "usage.csv")
    before = tables(folder / "rater.db")
    assert run(folder, "usage.csv")["records"] == 0
    assert tables(folder / "rater.db") == before
    usage.write_text(usage.read_text() + row("c") + "\n")
    assert run(folder, "usage.csv")["outcomes"] == {"rated": 1}


def test_another_file_of_the_same_name(folder: Path) -> None:
    """Other content under a known name is read from its start; known calls in it are duplicates."""
    usage = folder / "usage.csv"
    usage.write_text("\n".join([HEADER, row("a"), row("b")]) + "\n")
    run(folder, "usage.csv")
    usage.write_text("\n".join([HEADER, row("z"), row("b")]) + "\n")
    assert run(folder, "usage.csv")["outcomes"] == {"duplicate": 1, "rated": 1}


def test_a_folder(folder: Path) -> None:
    """Every file of a folder, in order."""
    (folder / "in").mkdir()
    for name in ("1", "2"):
        (folder / "in" / f"{name}.csv").write_text("\n".join([HEADER, row(name)]) + "\n")
    assert run(folder, "in")["outcomes"]["rated"] == 5 + 2


@pytest.mark.parametrize(
    ("cells", "reason", "field"),
    [
        ({"seconds": "-5"}, "negative_duration", "duration_s"),
        ({"seconds": "long"}, "malformed", "Duration Seconds"),
        ({"seconds": "99999999999999999999"}, "malformed", "Duration Seconds"),
        ({"seconds": "4000"}, "impossible_duration", "duration_s"),
        ({"start": "2025-03-01T10:00:00"}, "time_without_zone", "Start Time"),
        ({"end": "2025-03-01T09:00:00Z"}, "ends_before_start", "ended_at"),
        ({"number": "2065550100"}, "not_e164", "called"),
        ({"type": "user_sideways"}, "malformed", "type"),
    ],
)
def test_bad_rows(folder: Path, cells: dict[str, str], reason: str, field: str) -> None:
    """Bad input: the row is kept with its text, row number, reason and field; the run goes on."""
    bad = row("bad", **cells)
    (folder / "usage.csv").write_text("\n".join([HEADER, bad, row("good")]) + "\n")
    summary = run(folder, "usage.csv", code=Exit.REFUSED)
    assert (summary["rejected"], summary["outcomes"]["rated"]) == ({reason: 1}, 5 + 1)
    (letter,) = [json.loads(value) for _, value in open_reader(folder / "rater.db").topic("rejected-cdrs")]
    assert (letter["raw"], letter["field"], letter["source"]["offset"]) == (bad, field, 2)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (HEADER.replace("UsageId,", "").encode(), "expected a PSTN usage CSV"),
        (HEADER.replace("Charge,", "").encode(), "missing columns Charge"),
        (HEADER.encode("utf-16-le"), "expected a PSTN usage CSV"),
        (HEADER.replace("UPN", "\xdcPN").encode("latin-1"), "expected UTF-8"),
        (b"GIF89a", "expected a PSTN usage CSV"),
    ],
)
def test_invalid_files(folder: Path, content: bytes, said: str) -> None:
    """Bad input: missing columns, wrong encoding, another kind of file: one line, nothing consumed."""
    (folder / "usage.csv").write_bytes(content + b"\n")
    done = rater("run", "usage.csv", "--commands", "setup.jsonl", "--tenant", "contoso", cwd=folder)
    assert done.returncode == Exit.USAGE
    lines = done.stderr.splitlines()
    assert [said in line for line in lines if line.startswith("rater: ")] == [True]
    assert lines[-1] == "1 of the files could not be read: see above"


def test_swapped_columns(folder: Path) -> None:
    """Bad input: columns in another order are read by name; swapped contents are refused row by row."""
    names, cells = HEADER.split(","), row("a").split(",")
    order = [19, *range(19)]
    text = "\n".join([",".join(names[i] for i in order), ",".join(cells[i] for i in order)])
    (folder / "usage.csv").write_text(text + "\n")
    assert run(folder, "usage.csv")["outcomes"]["rated"] == 5 + 1
    cells[13], cells[15] = cells[15], cells[13]
    (folder / "swapped.csv").write_text(HEADER + "\n" + ",".join(cells) + "\n")
    assert run(folder, "swapped.csv", code=Exit.REFUSED)["rejected"] == {"malformed": 1}


def test_a_cut_gzip(folder: Path) -> None:
    """Bad input: whole records are rated, one line says it, and the complete file goes on from there."""
    rows = [HEADER, *(row(f"call-{n}-{os.urandom(8).hex()}") for n in range(2000))]
    whole = gzip.compress("\n".join(rows).encode() + b"\n")
    (folder / "usage.csv.gz").write_bytes(whole[: len(whole) // 2])
    summary = run(folder, "usage.csv.gz", code=Exit.REFUSED)
    assert "ends early" in summary["said"]
    first = summary["outcomes"]["rated"] - 5
    assert 0 < first < 2000
    (folder / "usage.csv.gz").write_bytes(whole)
    again = run(folder, "usage.csv.gz")["outcomes"]
    assert first + again["rated"] == 2000


def test_replay_after_a_fix(folder: Path) -> None:
    """Bad records can be rated again after a fix: here the tenant is configured afterwards."""
    (folder / "usage.csv").write_text("\n".join([HEADER, row("a")]) + "\n")
    done = rater("run", "usage.csv", "--tenant", "contoso", "--json", cwd=folder)
    assert json.loads(done.stdout)["rejected"] == {"unknown_tenant": 1}
    assert run(folder)["outcomes"] == {"rated": 5}
    assert "1 record would be tried" in rater("dlq", "replay", "--dry-run", cwd=folder).stderr
    assert "1 of 1 records accepted" in rater("dlq", "replay", cwd=folder).stderr
    assert json.loads(rater("dlq", "ls", "--json", "--reveal", cwd=folder).stdout) == []
    (letter,) = json.loads(rater("dlq", "ls", "--json", "--reveal", "--all", cwd=folder).stdout)
    assert (letter["state"], letter["history"][0]["accepted"]) == ("accepted", True)
    assert "2 minutes" in rater("explain", "a", cwd=folder).stdout


def test_a_letter_is_dropped(folder: Path) -> None:
    """A dead letter that was dropped is not listed any more; who dropped it and why is kept in the store."""
    (folder / "usage.csv").write_text("\n".join([HEADER, row("a")]) + "\n")
    rater("run", "usage.csv", "--tenant", "contoso", cwd=folder)
    (letter,) = json.loads(rater("dlq", "ls", "--json", "--reveal", cwd=folder).stdout)
    dropped = rater("dlq", "drop", letter["id"][:8], "--note", "a test", "--by", "maria", cwd=folder)
    assert dropped.stderr == "1 record dropped\n"
    assert json.loads(rater("dlq", "ls", "--json", "--reveal", cwd=folder).stdout) == []
    shown = rater("dlq", "show", letter["id"], cwd=folder).stdout
    assert "dropped by maria (a test)" in shown
    assert "no dead letter with this id" in rater("dlq", "show", "0", cwd=folder).stderr


def month(folder: Path, calls: int = 9000) -> None:
    """A generated month with a tenant that recharges often, and decks for it."""
    spec = Spec(calls=calls, funds="60", poison_share=0.01, duplicate_share=0.03, correction_share=0.02)
    (folder / "setup.jsonl").write_bytes(b"\n".join(map(encode_input, generate_commands(spec))) + b"\n")
    lines = (call if isinstance(call, bytes) else encode_input(call) for call in generate_calls(spec))
    (folder / "cdrs.jsonl").write_bytes(b"\n".join(lines) + b"\n")


MONTH = ["cdrs.jsonl", "--commands", "setup.jsonl", "--deck", "deck.csv", "--json"]


@pytest.fixture(scope="module")
def left_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A month, and the store of a run on it that nothing broke off."""
    folder = tmp_path_factory.mktemp("month")
    (folder / "deck.csv").write_bytes(DECK.read_bytes())
    month(folder)
    assert rater("run", *MONTH, "--store", "whole.db", cwd=folder).returncode == Exit.REFUSED
    return folder


@pytest.fixture
def of_the_month(left_alone: Path, folder: Path) -> Path:
    """The files of that month alone, where a test runs on them."""
    for name in ("setup.jsonl", "cdrs.jsonl"):
        shutil.copy(left_alone / name, folder)
    return folder


@pytest.mark.parametrize("kill_after", [1, 2, 3])
def test_kill_and_run_again(left_alone: Path, of_the_month: Path, kill_after: int) -> None:
    """`kill -9` at a commit, then the same command: the same bytes as a run that was left alone."""
    folder = of_the_month
    script = (
        "import os, signal, sys\n"
        "from rater.embedded.store import Store\n"
        "commit, left = Store.commit, [int(sys.argv.pop(1))]\n"
        "def last_commit(self, *args):\n"
        "    commit(self, *args)\n"
        "    left[0] -= bool(args[1].by_topic['rated-calls'])\n"
        "    if not left[0]:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "Store.commit = last_commit\n"
        "from rater.cli import main\n"
        "main()\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script, str(kill_after), "run", *MONTH, "--store", "killed.db"],
        cwd=folder, capture_output=True, check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    partly = tables(folder / "killed.db")
    done = rater("run", *MONTH, "--store", "killed.db", cwd=folder)
    assert done.returncode == Exit.REFUSED
    whole = tables(left_alone / "whole.db")
    assert len(partly["rated-calls"]) < len(whole["rated-calls"])
    assert tables(folder / "killed.db") == whole


def test_a_store_in_use(folder: Path) -> None:
    """Bad input: another process has the store; the line names it."""
    store = Store(folder / "rater.db")
    try:
        done = rater("run", "--json", cwd=folder)
    finally:
        store.close()
    assert done.returncode == Exit.STORE_IN_USE
    assert f"in use by process {os.getpid()}" in done.stderr


def test_a_store_of_a_newer_version(folder: Path) -> None:
    """Bad input: a newer store is left alone."""
    Store(folder / "rater.db").close()
    with closing(sqlite3.connect(folder / "rater.db")) as connection, connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    done = rater("run", "--json", cwd=folder)
    assert (done.returncode, "newer rater" in done.stderr) == (Exit.STORE_TOO_NEW, True)


def test_a_file_that_is_no_store(folder: Path) -> None:
    """Bad input: a file of another program is left alone."""
    (folder / "rater.db").write_text("dear diary")
    done = rater("run", "--json", cwd=folder)
    assert (done.returncode, done.stderr.count("\n")) == (Exit.USAGE, 1)


def test_a_full_disk(left_alone: Path, of_the_month: Path) -> None:
    """Bad input: no room for a batch: it is undone, reported on one line, and the next run completes."""
    folder = of_the_month

    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))

    full = rater("run", *MONTH, cwd=folder, preexec_fn=small_files)
    assert full.returncode == Exit.DISK_FULL, full.stderr
    assert "disk is full" in full.stderr
    assert rater("run", *MONTH, cwd=folder).returncode == Exit.REFUSED
    assert tables(folder / "rater.db") == tables(left_alone / "whole.db")


def test_declined_cards(folder: Path) -> None:
    """The local gateway declines by rule: it is tried again after 1, 6 and 24 hours, then it is off."""
    month(folder)
    store = Store(folder / "rater.db")
    try:
        embedded = EmbeddedRater(store, RatingSettings(), LocalGateway(["tenant-0001"]))
        embedded.consume(InputFile(str(folder / "setup.jsonl"), "commands"))
        deck = read_deck(DECK, version="d")
        embedded.publish(deck)
        embedded.activate("d")
        embedded.consume(InputFile(str(folder / "cdrs.jsonl")))
        accounts = {tenant: store.account(tenant) for tenant in store.tenants()}
    finally:
        store.close()
    failed = accounts["tenant-0001"]
    assert failed is not None
    assert failed.recharge.failures in (0, 4)
    assert embedded.summary.events["recharge.succeeded"] > 0


def test_watch_reads_new_files(folder: Path) -> None:
    """A watched folder: a new file is rated while the process runs; SIGTERM ends it cleanly."""
    (folder / "in").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "rater", "run", "in", "--watch", "--commands", "setup.jsonl", "--deck", "deck.csv",
         "--tenant", "contoso", "--json"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        assert b"watching" in process.stderr.readline()
        (folder / "in" / "new.csv").write_text("\n".join([HEADER, row("a")]) + "\n")
        assert b"new.csv" in process.stderr.readline()
    finally:
        process.terminate()
        out, _ = process.communicate(timeout=60)
    assert process.returncode == Exit.OK
    assert json.loads(out)["outcomes"]["rated"] == 5 + 1


def test_an_unknown_option_value_is_one_line(folder: Path) -> None:
    """One clear error: what, where, what was expected."""
    for arguments, said in (
        (["--gateway", "maybe"], "--gateway: expected"),
        (["--format", "xml"], "--format: expected"),
        (["--until", "tomorrow"], "--until: expected a time with zone"),
        (["nowhere.csv"], "nowhere.csv: cannot be read"),
    ):
        done = rater("run", *arguments, cwd=folder)
        assert (done.returncode, said in done.stderr) == (Exit.USAGE, True), done.stderr
    with pytest.raises(RaterError):
        open_reader(folder / "nothing.db")


def test_a_call_is_found_without_reading_the_others(folder: Path) -> None:
    """Architecture "The usage-id index": the topic of rated calls is the dedupe log, and has an index."""
    (folder / "usage.csv").write_text("\n".join([HEADER, row("a")]) + "\n")
    run(folder, "usage.csv")
    with closing(sqlite3.connect(folder / "rater.db")) as connection, connection:
        plan = connection.execute(
            'EXPLAIN QUERY PLAN SELECT value FROM "rated-calls" WHERE key=? ORDER BY offset', ("a",)
        ).fetchall()
    assert [step[-1] for step in plan] == ["SEARCH rated-calls USING INDEX rated_calls_by_usage_id (key=?)"]


def test_a_store_of_an_older_version(folder: Path) -> None:
    """Embedded: a store of version 1, with its table of live calls and no index, is brought up to date."""
    (folder / "usage.csv").write_text("\n".join([HEADER, row("a"), row("b")]) + "\n")
    run(folder, "usage.csv")
    with closing(sqlite3.connect(folder / "rater.db")) as connection, connection:
        connection.execute("DROP INDEX rated_calls_by_usage_id")
        connection.execute("CREATE TABLE calls (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")
        connection.execute("PRAGMA user_version=1")
    (folder / "again.csv").write_text("\n".join([HEADER, row("b"), row("c")]) + "\n")
    outcomes = run(folder, "again.csv")["outcomes"]
    assert (outcomes["rated"], outcomes["duplicate"]) == (1, 1)
