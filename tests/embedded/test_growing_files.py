"""Files that are written while they are read: what is not ended waits, what is whole is rated once."""

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rater.core.settings import RatingSettings
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Store
from rater.engine.gateway import LocalGateway
from rater.files.source import InputFile
from rater.wire.errors import Exit
from tests.embedded.test_broken_files import OWN_CALL, export
from tests.embedded.usage import GRAPH_ROW, HEADER, row

QUOTED = row("q").replace("Ada,+1", '"Ada\nthe first",+1')
CSV = export(row("a"), QUOTED, row("b")).encode()
JSON_LINES = "".join(OWN_CALL.replace('"a"', f'"{id}"') + "\n" for id in ("a", "q", "b")).encode()
ROWS = [GRAPH_ROW | {"id": id} for id in ("a", "q", "b")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("usage.csv", CSV),
        ("usage.csv.gz", gzip.compress(CSV, mtime=0)),
        ("cdrs.jsonl", JSON_LINES),
        ("page.json", json.dumps({"value": ROWS}).encode()),
        ("pretty.json", json.dumps({"value": ROWS}, indent=2).encode()),
    ],
    ids=["csv", "gzip", "lines", "page", "pretty page"],
)
def test_a_file_that_comes_in_pieces(folder: Path, name: str, content: bytes) -> None:
    """Wherever a piece ends, in a header, a number or a quoted cell: each call is rated once, and none is refused."""
    store = Store(folder / "rater.db")
    try:
        rater = EmbeddedRater(store, RatingSettings(), LocalGateway())
        rater.consume(InputFile(str(folder / "setup.jsonl"), "commands"))
        set_up = rater.summary.records
        for end in [*range(1, len(content), 17), len(content)]:
            (folder / name).write_bytes(content[:end])
            rater.consume(InputFile(str(folder / name), None, "contoso", growing=True))
        assert rater.summary.records - set_up == 3
        assert not rater.summary.rejected
        assert not rater.summary.incomplete
    finally:
        store.close()


def test_a_last_line_without_end_waits_only_while_it_may_grow(tmp_path: Path) -> None:
    """A file that is read once may lack the last line end; one that grows is waited for, and a line says that."""
    (tmp_path / "usage.csv").write_bytes(CSV[:-1])
    once, growing = (
        InputFile(str(tmp_path / "usage.csv"), None, "contoso", growing=grows) for grows in (False, True)
    )
    assert (len(list(once.records())), once.incomplete) == (3, None)
    assert len(list(growing.records())) == 2
    assert "the last record is not ended" in (growing.incomplete or "")


def test_a_line_end_that_comes_later_is_no_other_content(tmp_path: Path) -> None:
    """A file without last line end was rated; then it grows: only what is new is read."""
    usage = tmp_path / "usage.csv"
    usage.write_bytes(CSV[:-1])
    before = InputFile(str(usage), None, "contoso")
    assert len(list(before.records())) == 3
    usage.write_bytes(CSV + row("c").encode())
    after = InputFile(str(usage), None, "contoso")
    assert len(list(after.records(before.records_read, before.digest))) == 1


def test_a_shorter_file_in_place_of_a_longer_one(tmp_path: Path) -> None:
    """Other calls under a known name, not all there yet: they are read from the start, none is skipped."""
    usage = tmp_path / "usage.csv"
    usage.write_bytes(CSV)
    before = InputFile(str(usage), None, "contoso")
    list(before.records())
    usage.write_text("\n".join([HEADER, row("x"), row("y")]))
    after = InputFile(str(usage), None, "contoso", growing=True)
    assert len(list(after.records(before.records_read, before.digest))) == 1


class Watching:
    """`rater run in --watch`, and what it says."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rater", "run", "in", "--watch", "--commands", "setup.jsonl", "--deck", "deck.csv",
             "--tenant", "contoso", "--json"],
            cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def waits_for(self, is_it: Callable[[str], bool]) -> str:
        """The next line that is it."""
        assert self.process.stderr is not None
        return next(line for line in map(bytes.decode, self.process.stderr) if is_it(line))

    def ends(self) -> tuple[int, dict[str, dict[str, int]]]:
        """SIGTERM; the exit code and the summary."""
        self.process.terminate()
        out, _ = self.process.communicate(timeout=60)
        return self.process.returncode, json.loads(out)


def test_watching_goes_on_after_a_bad_file(folder: Path) -> None:
    """A bad file is reported; when it is repaired it is rated, and so are others, also further down."""
    (folder / "in" / "below").mkdir(parents=True)
    (folder / "in" / "1.csv").write_text("dear diary\n")
    watching = Watching(folder)
    try:
        watching.waits_for(lambda line: "in/1.csv:1: expected a PSTN usage CSV" in line)
        (folder / "in" / "below" / "2.csv").write_text(export(row("a")) + row("b"))
        watching.waits_for(lambda line: "in/below/2.csv: the last record is not ended" in line)
        (folder / "in" / "1.csv").write_text(export(row("c")))
        watching.waits_for(lambda line: "in/1.csv: 7 records so far" in line)
        (folder / "in" / "below" / "2.csv").write_text(export(row("a"), row("b")))
        watching.waits_for(lambda line: "in/below/2.csv: 8 records so far" in line)
    finally:
        code, summary = watching.ends()
    assert code == Exit.OK
    assert summary["outcomes"]["rated"] == 5 + 3
