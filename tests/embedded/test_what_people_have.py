"""Usage exports as people leave them are read, or refused in one line that names the option."""

import json
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from zipfile import ZipFile

import pytest
from openpyxl import Workbook

from rater.core.reasons import Refusal
from rater.embedded.store import open_reader
from rater.files.local_times import LocalTimes, UnreadableTime
from rater.files.usage_csv import COLUMNS, PstnCsv
from rater.wire.errors import Exit
from tests.commands import rater
from tests.embedded.test_broken_files import SETTING_UP
from tests.embedded.usage import HEADER, row, run

ZONED = "expected a time with zone such as 2025-03-01T10:00:00Z, got "
EUROPEAN = {"start": "05/03/2025 16:02:00", "end": "05/03/2025 16:03:01"}
BERLIN = ("--times", "day-first", "--zone", "Europe/Berlin")


def export(*rows: str) -> str:
    """As a European spreadsheet saves it: semicolons and decimal commas."""
    return "\n".join([HEADER, *rows]).replace("0.00", "0#00").replace(",", ";").replace("#", ",") + "\n"


def starts(folder: Path) -> dict[str, str]:
    calls = [json.loads(value) for _, value in open_reader(folder / "rater.db").topic("rated-calls")]
    return {call["usage_id"]: call["answered_at"] for call in calls}


def test_an_export_that_was_saved_again_in_europe(folder: Path) -> None:
    """Refused as a whole, naming the options; with them, 16:02 in Berlin's winter is 15:02 UTC."""
    (folder / "u.csv").write_text(export(row("a", **EUROPEAN)), encoding="utf-8-sig")
    (line,) = run(folder, "u.csv", code=Exit.USAGE)["unread_files"]
    assert line == (
        f"u.csv:2: Start Time: {ZONED}'05/03/2025 16:02:00', where either the day or the month may come"
        " first; give --times day-first or --times month-first, and give --zone UTC for an export of a portal, also if a"
        " spreadsheet saved it, or a switch's own zone.  None of its first 1 rows can be read, so nothing of it was rated"
    )
    assert run(folder, "u.csv", *BERLIN)["outcomes"] == {"rated": 1}
    assert starts(folder)["a"] == "2025-03-05T15:02:00Z"


def test_an_export_in_windows_1252(folder: Path) -> None:
    """Both messages come at once."""
    text = export(row("a", **EUROPEAN).replace(",Ada,", ",J\xfcrgen,"), row("b", **EUROPEAN))
    (folder / "u.csv").write_bytes(text.encode("windows-1252"))
    (line,) = run(folder, "u.csv", code=Exit.USAGE)["unread_files"]
    assert "byte 0xfc" in line
    assert "--encoding windows-1252" in line
    assert "--times day-first" in line
    assert run(folder, "u.csv", *BERLIN, "--encoding", "windows-1252")["outcomes"] == {"rated": 2}
    (call,) = [json.loads(value) for value in open_reader(folder / "rater.db").rated_calls("a")]
    assert call["user_display_name"] == "J\xfcrgen"


def test_a_dead_letter_remembers_how_its_times_are_read(folder: Path) -> None:
    """A row whose user is missing is replayed with the order and the zone that its file was read with."""
    held = {"start": "05/03/2025 16:02:00", "end": "06/03/2025 16:02:00"}
    (folder / "u.csv").write_text(export(row("a", **EUROPEAN), row("b", seconds=80_000, **held)))
    assert run(folder, "u.csv", *BERLIN, code=Exit.REFUSED)["rejected"] == {"implausible_duration": 1}
    (letter,) = json.loads(rater("dlq", "ls", "--json", "--reveal", cwd=folder).stdout)
    rater("dlq", "replay", letter["id"], "--accept", cwd=folder, code=Exit.OK)
    assert starts(folder)["b"] == "2025-03-05T15:02:00Z"


def test_a_month_with_a_wrong_zone_is_corrected(folder: Path) -> None:
    """A12: the same file with the right zone and --version 2 replaces its calls; what is refused keeps the version."""
    held = {"start": "05/03/2025 16:02:00", "end": "06/03/2025 16:02:00"}
    utc = ("--times", "day-first", "--zone", "UTC")
    (folder / "u.csv").write_text(export(row("a", **EUROPEAN)))
    run(folder, "u.csv", *BERLIN)
    assert run(folder, "u.csv", *utc, code=Exit.REFUSED)["outcomes"] == {"conflicting_duplicate": 1}
    (folder / "u.csv").write_text(export(row("a", **EUROPEAN), row("b", seconds=80_000, **held)))
    corrected = run(folder, "u.csv", *utc, "--version", "2", code=Exit.REFUSED)
    assert corrected["outcomes"] == {"corrected": 1, "rejected": 1}
    assert starts(folder)["a"] == "2025-03-05T16:02:00Z"
    letters = json.loads(rater("dlq", "ls", "--json", "--reveal", cwd=folder).stdout)
    (letter,) = [letter["id"] for letter in letters if letter["reason"] == "implausible_duration"]
    rater("dlq", "replay", letter, "--accept", cwd=folder, code=Exit.OK)
    (call,) = [json.loads(value) for value in open_reader(folder / "rater.db").rated_calls("b")]
    assert (call["version"], call["answered_at"]) == (2, "2025-03-05T16:02:00Z")


def test_records_that_say_their_version_are_given_none(folder: Path) -> None:
    """JSON Lines of the contract name the version of each call."""
    (folder / "u.jsonl").write_text('{"tenant":"contoso","usage_id":"a"}\n')
    (line,) = run(folder, "u.jsonl", "--version", "2", code=Exit.USAGE)["unread_files"]
    assert line == "u.jsonl: --version: expected a usage export, Graph rows or --map, got cdrs"


@pytest.mark.parametrize("column", ["UsageId", "Caller ID", "Destination Number"])
def test_numbers_that_a_spreadsheet_rounded(column: str) -> None:
    """The digits are lost: the message names the row, and what to do."""
    cells = row("a").split(",")
    cells[COLUMNS.index(column)] = "1,20656E+10"
    refused = PstnCsv("contoso", ";", COLUMNS).decode(";".join(cells).encode())
    assert isinstance(refused, Refusal)
    assert (refused.field, refused.message) == (
        column,
        "expected every digit, got '1,20656E+10': a spreadsheet rounded the number; export the file again and give it"
        " as it comes, or format this column as text before a spreadsheet reads the file",
    )


@pytest.mark.parametrize(
    ("text", "times", "zone", "read"),
    [
        ("2025-03-01T10:00:00z", None, None, "2025-03-01T10:00:00Z"),
        ("2025-03-01T10:00:00 UTC", None, None, "2025-03-01T10:00:00Z"),
        ("2025-03-01T10:00Z", None, None, "2025-03-01T10:00:00Z"),
        ("2025-03-01T10:00:00,123Z", None, None, "2025-03-01T10:00:00.123000Z"),
        ("2025-03-01 10:00:00", None, "America/New_York", "2025-03-01T15:00:00Z"),
        ("3/1/2025 10:00", "month-first", "UTC", "2025-03-01T10:00:00Z"),
        ("3/1/2025 10:00", "day-first", "UTC", "2025-01-03T10:00:00Z"),
        ("3/1/2025 12:05:00 AM", "month-first", "UTC", "2025-03-01T00:05:00Z"),
        ("01.03.2025 10:00:00 +01:00", "day-first", None, "2025-03-01T09:00:00Z"),
        ("1 Mar 2025 10.00", "%d %b %Y %H.%M", "Europe/Paris", "2025-03-01T09:00:00Z"),
    ],
)
def test_times_that_are_read(text: str, times: str | None, zone: str | None, read: str) -> None:
    """What is certain, and what the options set."""
    assert LocalTimes(times, zone).read(text) == read


@pytest.mark.parametrize(
    ("text", "zone", "why"),
    [
        ("2025-03-01T10:00:60Z", None, ", whose second is 60; a leap second is written as the second before it"),
        ("2025-03-01T24:00:00Z", None, ", whose hour is 24; write 00:00:00 of the next day"),
        ("2025-02-29T10:00:00Z", None, "; there is no day 2025-02-29"),
        ("2025-03-01T10:00:00+24:00", None, ", whose offset is a day or more, or has over 59 minutes"),
        ("2025-03-01T10:00:00", None, ", which has no zone; give --zone UTC for an export of a portal, also if a spreadsheet saved it, or a switch's own zone"),
        ("1740823200", None, ", which may be seconds since 1970; write it as a date and a time"),
        ("20250301T100000Z", None, "; write it with dashes and colons"),
        (
            "2025-10-26 02:30:00",
            "Europe/Berlin",
            ", which came twice in Europe/Berlin, when clocks were turned back; if the file's times are UTC, give --zone UTC, else write it with its offset:"
            " 2025-10-26T02:30:00+02:00 or 2025-10-26T02:30:00+01:00",
        ),
        (
            "2025-03-30 02:30:00",
            "Europe/Berlin",
            ", which Europe/Berlin never had, because clocks were turned forward over it; if the file's times are UTC, give --zone UTC, else write it with its offset:"
            " 2025-03-30T02:30:00+01:00 or 2025-03-30T02:30:00+02:00",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_time(text: str, zone: str | None, why: str) -> None:
    """Each refusal says what is wrong with that time, and what to write."""
    with pytest.raises(UnreadableTime) as wrong:
        LocalTimes(None, zone).converted(text)
    assert str(wrong.value) == f"{ZONED}{text!r}{why}"


@pytest.mark.parametrize(
    ("option", "word"), [("--times", "day-frst"), ("--times", "%H:%M"), ("--zone", "Berln"), ("--encoding", "w-1")]
)
def test_options_that_are_not_understood(folder: Path, option: str, word: str) -> None:
    """One line that names the option, before anything is rated."""
    refused = rater("run", option, word, "u.csv", cwd=folder, code=Exit.USAGE)
    assert refused.stderr.startswith(f"rater: {option}: expected ")
    assert not (folder / "rater.db").exists()


@pytest.mark.parametrize(("cell", "seconds"), [("61.0", 61), ("61,0", 61), ("61,00", 61), ("1,061", None), ("61.9", None)])  # fmt: skip
def test_durations_with_decimals(cell: str, seconds: int | None) -> None:
    """Spreadsheets add zeros; three could be thousands, and other decimals would have to be rounded."""
    decoded = PstnCsv("contoso", "\t", COLUMNS).decode(
        row("a", seconds="#").replace(",", "\t").replace("#", cell).encode()
    )
    assert (None if isinstance(decoded, Refusal) else decoded.duration_s) == seconds


def test_a_workbook(folder: Path) -> None:
    """Times of cells are local; numbers are their digits.  Our own export says UTC, and is read back as it is."""
    book = Workbook()
    assert book.active is not None
    book.active.append(COLUMNS)
    book.active.append([*row("a").split(",")[:13], datetime(2025, 3, 5, 16, 2), None, 61, None, None, "USD", None])
    book.save(folder / "u.xlsx")
    assert "give --zone" in run(folder, "u.xlsx", code=Exit.USAGE)["unread_files"][0]
    assert run(folder, "u.xlsx", "--zone", "Europe/Berlin")["outcomes"]["rated"] == 1
    assert starts(folder)["a"] == "2025-03-05T15:02:00Z"
    rater("export", "usage", "--format", "xlsx", "--out", "own.xlsx", cwd=folder, code=Exit.OK)
    (folder / "rater.db").unlink()
    run(folder, "own.xlsx")
    assert starts(folder)["a"] == "2025-03-05T15:02:00Z"


def test_a_zip_with_two_tables(folder: Path) -> None:
    """The portal's zip: the usage export in it is rated, and what is left out is reported; of two exports, neither."""
    with ZipFile(folder / "portal.zip", "w") as archive:
        archive.writestr("PSTN.calls.csv", f"{HEADER}\n{row('a')}\n")
        archive.writestr("DirectRouting.calls.csv", "CorrelationId,SIP Address\nd1,ada@contoso.example\n")
        archive.writestr("parameters.json", "{}")
    summary = run(folder, "portal.zip")
    assert summary["outcomes"]["rated"] == SETTING_UP + 1
    assert "DirectRouting.calls.csv in it was left out: it is no PSTN usage export" in summary["said"]
    with ZipFile(folder / "both.zip", "w") as archive:
        for name in ("1.csv", "2.csv"):
            archive.writestr(name, f"{HEADER}\n{row(name)}\n")
    (line,) = run(folder, "both.zip", code=Exit.USAGE)["unread_files"]
    assert "got 2 files: 1.csv, 2.csv" in line


def test_a_link_in_a_folder_is_not_followed(folder: Path) -> None:
    """It could lead to any file: it is named, and the other files are rated."""
    (folder / "in").mkdir()
    (folder / "in" / "a.csv").write_text(f"{HEADER}\n{row('a')}\n")
    (folder / "elsewhere.csv").write_text(f"{HEADER}\n{row('b')}\n")
    (folder / "in" / "b.csv").symlink_to(folder / "elsewhere.csv")
    (folder / "in" / "c").symlink_to(folder)
    summary = run(folder, "in", code=Exit.USAGE)
    assert (summary["outcomes"]["rated"], len(summary["unread_files"])) == (SETTING_UP + 1, 2)
    assert "a symbolic link in a folder is not followed" in summary["unread_files"][0]


def test_stores_and_exports_are_their_owners(folder: Path) -> None:
    """They say who called whom; an export that somebody shares keeps the rights that were given."""
    (folder / "u.csv").write_text(f"{HEADER}\n{row('a')}\n")
    run(folder, "u.csv")
    rater("export", "usage", "--out", "usage.csv", cwd=folder, code=Exit.OK)
    rights = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert {rights["rater.db"], rights["rater.db.lock"], rights["usage.csv"]} == {0o600}
    (folder / "usage.csv").chmod(0o640)
    rater("export", "usage", "--out", "usage.csv", cwd=folder, code=Exit.OK)
    assert (folder / "usage.csv").stat().st_mode & 0o777 == 0o640


def test_a_file_that_was_rated_before_is_reported(folder: Path) -> None:
    """In plain words, with the day; exit 0, nothing changes."""
    (folder / "u.csv").write_text(f"{HEADER}\n{row('a')}\n")
    assert run(folder, "u.csv")["already_rated"] == []
    again = run(folder, "u.csv")
    assert again["already_rated"] == ["u.csv"]
    assert "rater: u.csv: already rated on 20" in again["said"]


def test_calls_by_what_stands_on_a_bill(folder: Path) -> None:
    """`--on` is the day in UTC, `--charge` the amount exactly or as exports round it."""
    rows = [
        row("a", number="+263242700000"),
        row("b", number="+263242700000", start="2025-03-02T10:00:00Z", end=""),
    ]
    (folder / "u.csv").write_text("\n".join([HEADER, *rows, row("c")]) + "\n")
    run(folder, "u.csv")
    (call,) = [json.loads(value) for value in open_reader(folder / "rater.db").rated_calls("b")]
    found = rater(
        "show", "calls", "contoso", "--on", "2025-03-02", "--charge", call["charge"], "--json", cwd=folder
    )
    assert [each["usage_id"] for each in json.loads(found.stdout)] == ["b"]
    shown = Decimal(call["charge"]).quantize(Decimal("0.01"), ROUND_HALF_UP)
    both = rater("show", "calls", "contoso", "--charge", str(shown), "--json", cwd=folder)
    assert [each["usage_id"] for each in json.loads(both.stdout)] == ["a", "b"]
    none = rater("show", "calls", "contoso", "--on", "2025-03-03", "--charge", "4.02", cwd=folder, code=Exit.OK)
    assert "no call of contoso that began on 2025-03-03 and cost 4.02 was rated" in none.stderr
