"""Who called whom is for those who need it: refused numbers are masked where people look, and files are their owner's.

Links in folders, cells that a spreadsheet would compute and escapes of terminals: `test_what_people_have.py` and
`test_injections.py`.  Numbers in any text: `tests/test_masking.py`.
"""

import json
from pathlib import Path

import pytest

from rater.wire.errors import Exit
from tests.commands import rater
from tests.embedded.usage import HEADER, row, run

#: Refused: digits without a plus sign.
NUMBER = "00442079460000"
MASKED = "00**********00"


@pytest.fixture
def refused(folder: Path) -> Path:
    """A store with one rated call and one that was refused for its number."""
    (folder / "u.csv").write_text(f"{HEADER}\n{row('good')}\n{row('bad', number=NUMBER)}\n")
    summary = run(folder, "u.csv", code=Exit.REFUSED)
    assert (summary["outcomes"]["rated"], summary["outcomes"]["rejected"]) == (6, 1)
    return folder


def asked(folder: Path, line: str) -> str:
    return rater(*line.split(), cwd=folder, code=Exit.OK).stdout


def letter_of(folder: Path) -> str:
    (letter,) = json.loads(asked(folder, "dlq ls --json"))
    id: str = letter["id"]
    return id


def test_refused_numbers_are_masked_on_screens_and_in_listings(refused: Path) -> None:
    """Also where the record itself is shown, as a table and as JSON: its number, and the user's address."""
    id = letter_of(refused)
    for line in ("dlq ls", "dlq ls --json", f"dlq show {id}", f"dlq show {id} --json"):
        shown = asked(refused, line)
        assert MASKED in shown, line
        assert NUMBER not in shown, line
        assert "Ada@contoso" not in shown, line
    assert "A***@contoso.example" in asked(refused, f"dlq show {id}")


def test_refused_numbers_are_masked_where_a_run_ends(refused: Path) -> None:
    """On the screen and in the summary for programs."""
    (refused / "v.csv").write_text(f"{HEADER}\n{row('worse', number=NUMBER)}\n")
    summary = run(refused, "v.csv", code=Exit.REFUSED)
    assert MASKED in summary["refused_rows"][0]
    assert NUMBER not in json.dumps(summary)
    (refused / "w.csv").write_text(f"{HEADER}\n{row('worst', number=NUMBER)}\n")
    ended = rater("run", "w.csv", "--tenant", "contoso", cwd=refused, code=Exit.REFUSED)
    assert MASKED in ended.stderr
    assert NUMBER not in ended.stderr


def test_who_asks_sees_the_number(refused: Path) -> None:
    """With --reveal; the bytes alone are what was stored, so that they can be corrected and given again."""
    id = letter_of(refused)
    for line in ("dlq ls --reveal", "dlq ls --json --reveal", f"dlq show {id} --reveal", f"dlq show {id} --raw"):
        assert NUMBER in asked(refused, line), line
    assert "Ada@contoso.example" in asked(refused, f"dlq show {id} --reveal")


def test_a_replayed_record_is_whole(refused: Path) -> None:
    """What is masked is what is shown: the record that is rated again has its number, and is refused for it again."""
    rater("dlq", "replay", "--by", "kim", cwd=refused, code=Exit.REFUSED)
    assert NUMBER in asked(refused, "dlq ls --reveal")


def test_bytes_that_are_no_text_are_masked_too(folder: Path) -> None:
    """They are stored as base64, which would hide nothing."""
    (folder / "cdrs.jsonl").write_bytes(b'{"tenant": "contoso", "called": "+442079460000", "user": "\xff"}\n')
    rater("run", "cdrs.jsonl", "--commands", "setup.jsonl", cwd=folder, code=Exit.REFUSED)
    (letter,) = json.loads(asked(folder, "dlq ls --json"))
    assert "+44********00" in letter["raw"]
    (whole,) = json.loads(asked(folder, "dlq ls --json --reveal"))
    assert whole["raw_encoding"] == "base64"


def test_a_bill_is_not_masked(refused: Path) -> None:
    """An export of usage is what is billed: its numbers are whole."""
    assert "+12065550100" in asked(refused, "export usage")


def test_imported_licences_are_their_owners(folder: Path) -> None:
    """The file names every user."""
    (folder / "users.csv").write_text("UPN,SKU,Usage country\nada@contoso.example,MCOPSTN1,US\n")
    options = ("--tenant", "contoso", "--at", "2025-03-01T00:00:00Z", "--out", "licences.jsonl")
    rater("import", "licenses", "users.csv", *options, cwd=folder, code=Exit.OK)
    assert (folder / "licences.jsonl").stat().st_mode & 0o777 == 0o600
