"""`rater quote` over a store: what a call would cost, who pays it, and whether it may start."""

import json
from pathlib import Path
from typing import Any

import pytest

from rater.wire.errors import Exit
from tests.commands import rater
from tests.embedded.usage import SETUP
from tests.world import DECK

MARCH_10 = "2025-03-10T12:00:00Z"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ada has MCOPSTN5 (120 minutes, US only) and may spend 10 USD; London costs 0.05 a minute, Seattle 0.01."""
    (tmp_path / "setup.jsonl").write_text(SETUP)
    rater("run", "--commands", "setup.jsonl", "--deck", str(DECK), cwd=tmp_path)
    return tmp_path


def quote(folder: Path, called: str, *words: str, code: int = 0) -> str:
    done = rater(
        "quote", "contoso", "--user", "ada@contoso.example", "--called", called, "--at", MARCH_10, *words,
        cwd=folder, code=code,
    )  # fmt: skip
    return done.stdout + done.stderr


def facts(folder: Path, called: str, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(quote(folder, called, "--json", *words))
    return found


@pytest.mark.parametrize(
    ("called", "minutes", "charge", "segments"),
    [
        ("+442079460000", "3", "0.15", [("credit", 3, "0.15")]),  # 3 x 0.05
        ("+12065550177", "3", "0", [("pool", 3, "0")]),
        ("+12065550177", "130", "0.1", [("pool", 120, "0"), ("credit", 10, "0.1")]),  # 10 x 0.01
        ("911", "3", "0", [("free", 3, "0")]),
    ],
)
def test_who_pays_for_which_minutes(
    folder: Path, called: str, minutes: str, charge: str, segments: list[tuple[str, int, str]]
) -> None:
    """The plan first, then credit; calls for help are free."""
    cost = facts(folder, called, "--minutes", minutes)["cost"]
    assert cost["charge"] == charge
    assert [(part["pocket"], part["minutes"], part["charge"]) for part in cost["segments"]] == segments


def test_as_a_person_reads_it(folder: Path) -> None:
    """Three minutes if no length is given; the price of a minute, and for how long 10 USD last."""
    said = quote(folder, "+442079460000")
    for part in ("3 minutes, 0.15 USD", "0.05 USD a minute (60/60)", "yes, credit", "12000 s"):  # 10 / 0.05 minutes
        assert part in said


def test_nothing_is_changed(folder: Path) -> None:
    """The store is what it was, byte for byte."""
    before = (folder / "rater.db").read_bytes()
    quote(folder, "+442079460000")
    assert (folder / "rater.db").read_bytes() == before


def test_what_no_call_can_be(folder: Path) -> None:
    """The option, what was expected, what was given; a tenant that is not configured."""
    assert "--called: expected an E.164 number" in quote(folder, "2079", code=Exit.USAGE)
    unknown = rater("quote", "nobody", "--user", "x", "--called", "+442079460000", cwd=folder, code=Exit.FAILED)
    assert unknown.stderr == "rater: nobody: expected a tenant that was configured\n"
