"""Refused records in a store: however many and however large, the others are rated and the run goes on."""

import json
from pathlib import Path

import pytest

from rater.wire.errors import Exit
from tests.commands import rater
from tests.embedded.test_broken_files import OWN_CALL, SETTING_UP, export, letters
from tests.embedded.usage import killed_at, row, run


def test_a_hole_of_nul_bytes_is_one_letter_that_says_where_the_whole_is(folder: Path) -> None:
    """The records on either side are rated; the letter is bounded, and is not replayed from a part of it."""
    (folder / "nul.jsonl").write_bytes(OWN_CALL.encode() + b"\n" + bytes(994_000) + OWN_CALL.encode() + b"\n")
    summary = run(folder, "nul.jsonl", code=Exit.REFUSED)
    assert summary["outcomes"] == {"rated": SETTING_UP + 1, "rejected": 1}
    (letter,) = letters(folder)
    assert (letter["raw_cut"], letter["raw_length"]) == (True, 994_000 + len(OWN_CALL))
    assert len(json.dumps(letter)) < 101_000
    done = rater("dlq", "replay", cwd=folder)
    assert done.returncode == Exit.REFUSED
    assert "of its 994" in done.stderr
    assert "read at nul.jsonl:2" in done.stderr


def test_a_file_in_which_1500_rows_in_a_row_are_refused_stops_nothing(folder: Path) -> None:
    """A spreadsheet removed the plus signs: each row is a letter, and the call after them is rated."""
    bad = [row(f"x{number}", number="12065550123") for number in range(1500)]
    (folder / "excel.csv").write_text(export(*bad, row("good")))
    summary = run(folder, "excel.csv", code=Exit.REFUSED)
    assert summary["outcomes"] == {"rated": SETTING_UP + 1, "rejected": 1500}
    assert len(letters(folder)) == 1500


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("commit", [3, 4])
def test_a_run_after_a_kill_ends_as_the_whole_would_have(folder: Path, when: str, commit: int) -> None:
    """Its third commit has the refused row, the fourth the other file: exit 3 in every case; the run after that, 0."""
    (folder / "bad.csv").write_text(export(row("a", number="12065550123")))
    (folder / "good.csv").write_text(export(row("b")))
    words = ("bad.csv", "good.csv", "--commands", "setup.jsonl", "--deck", "deck.csv", "--tenant", "contoso")
    rater("run", *words, "--store", "whole.db", cwd=folder, code=Exit.REFUSED)
    killed_at(folder, when, commit, "run", *words)
    again = rater("run", *words, cwd=folder, code=Exit.REFUSED)
    mentioned = "rater: the run before was broken off; records refused in it: 1" in again.stderr
    assert mentioned == ((when, commit) != ("before", 3))  # else this run refuses it itself
    assert len(letters(folder)) == 1
    rater("run", *words, cwd=folder, code=Exit.OK)


def test_a_run_after_a_kill_in_which_nothing_was_refused(folder: Path) -> None:
    """The whole ends with 0, and so does the run that goes on."""
    (folder / "good.csv").write_text(export(row("b")))
    words = ("run", "good.csv", "--commands", "setup.jsonl", "--deck", "deck.csv", "--tenant", "contoso")
    killed_at(folder, "after", 3, *words)
    assert "broken off" not in rater(*words, cwd=folder, code=Exit.OK).stderr
