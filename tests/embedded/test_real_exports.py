"""What real usage exports hold: call types of other operators, bots and unassigned numbers; calls without a duration."""

import json
from pathlib import Path
from typing import Any

import pytest

from rater.core.classify import DIRECT_INBOUND, DIRECT_ROUTING
from rater.core.inputs import CallRecord
from rater.core.reasons import CallType, Refusal
from rater.embedded.store import open_reader
from rater.files.graph import GraphRows
from rater.files.usage_csv import COLUMNS, PstnCsv
from rater.wire.codec import decode_cdr
from rater.wire.errors import Exit
from tests.commands import rater
from tests.embedded.usage import GRAPH_ROW, HEADER, row, run

REAL = [
    *(
        "oc_user_out",
        "oc_user_in",
        "oc_user_out_conf",
        "oc_fmc_out",
        "oc_fmc_in",
        "oc_fmc_user_in",
        "oc_fmc_user_out",
    ),
    *("unassigned_in", "dr_unassigned_in", "dr_in_bot", "dr_out_bot", "ByotIn", "ByotOut", "OC_User_Out", "Dr_In"),
]
NEAR, FAR = "+14255550100", "+12065550100"
ROWS = PstnCsv("contoso", ",", COLUMNS)


def graph(**fields: Any) -> CallRecord:
    call = GraphRows("contoso").decode(json.dumps(GRAPH_ROW | fields).encode())
    assert isinstance(call, CallRecord)
    return call


@pytest.mark.parametrize("type", REAL)
def test_calls_of_another_operator_are_kept_and_free(folder: Path, type: str) -> None:
    """Rule 38: they take no minutes and no money, in the usage export and in Graph, in any case of letters."""
    (folder / "usage.csv").write_text(f"{HEADER}\n{row('a', '+263242700000', type=type)}\n")
    (folder / "rows.json").write_text(json.dumps([GRAPH_ROW | {"id": "b", "callType": type}]))
    assert "debited" not in (summary := run(folder, "usage.csv", "rows.json")) or not summary["debited"]
    store = open_reader(folder / "rater.db")
    for id in ("a", "b"):
        (call,) = [json.loads(value) for value in store.rated_calls(id)]
        assert (call["type"], [segment["pocket"] for segment in call["segments"]]) == (type.casefold(), ["free"])


def test_the_direction_decides_which_number_is_whose() -> None:
    """Rules 2.1: in the export `Caller ID` is the own number; Graph says caller and callee."""
    for type in DIRECT_ROUTING:
        call = ROWS.decode(row("a", FAR, type=type.value).encode())
        assert isinstance(call, CallRecord)
        inbound = type in DIRECT_INBOUND
        assert inbound is not ("out" in type.value)
        assert (call.calling, call.called) == ((FAR, NEAR) if inbound else (NEAR, FAR))
        same = graph(callType=type.value)
        assert (same.calling, same.called) == (GRAPH_ROW["callerNumber"], GRAPH_ROW["calleeNumber"])


def test_an_unknown_type_is_one_dead_letter_that_names_it(folder: Path) -> None:
    """The other rows go on; the message shows what is expected."""
    (folder / "usage.csv").write_text("\n".join([HEADER, row("a", type="sms_out"), row("b")]) + "\n")
    summary = run(folder, "usage.csv", code=Exit.REFUSED)
    assert summary["refused_rows"] == [
        "usage.csv:2: type: expected a call type such as user_out, conf_in, dr_out or oc_user_in, got 'sms_out'"
        " (malformed)"
    ]
    (letter,) = json.loads(rater("dlq", "ls", "--json", "--reveal", cwd=folder).stdout)
    assert letter["raw"] == row("a", type="sms_out")


def test_an_unknown_type_in_our_own_records_is_named_in_a_short_line() -> None:
    """Some of the many types are shown."""
    refused = decode_cdr(
        b'{"tenant":"contoso","usage_id":"a","type":"sms_out","answered_at":"2025-03-01T10:00:00Z"}'
    )
    assert isinstance(refused, Refusal)
    assert refused.message.startswith(f"expected one of {len(CallType)} values such as ")
    assert refused.message.endswith(", got 'sms_out'")
    assert len(refused.message) < 200


OURS = {
    "tenant": "contoso",
    "usage_id": "b",
    "type": "sms_out",
    "answered_at": "2025-03-01T10:00:00Z",
    "user": "ada",
}


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("rows.json", [GRAPH_ROW | {"id": "b", "callType": "sms_out"}, GRAPH_ROW]),
        ("rows.jsonl", [GRAPH_ROW | {"id": "b", "callType": "sms_out"}, GRAPH_ROW]),
        ("cdrs.jsonl", [OURS, OURS | {"type": "user_in"}]),
    ],
    ids=["a page of Graph", "rows of Graph", "our own records"],
)
def test_an_unknown_type_in_json_is_one_dead_letter_that_names_it(
    folder: Path, name: str, rows: list[dict[str, Any]]
) -> None:
    """The other records go on, also where it stands first."""
    text = (
        json.dumps({"value": rows}) if name.endswith(".json") else "".join(json.dumps(row) + "\n" for row in rows)
    )
    (folder / name).write_text(text)
    summary = run(folder, name, code=Exit.REFUSED)
    assert (summary["outcomes"], summary["rejected"]) == ({"rated": 5 + 1, "rejected": 1}, {"malformed": 1})
    (letter,) = json.loads(rater("dlq", "ls", "--json", "--reveal", cwd=folder).stdout)
    assert (letter["field"], letter["raw"]) == ("type", json.dumps(rows[0]))
    assert letter["message"].endswith("got 'sms_out'")


def test_the_exports_that_operators_sent(folder: Path, shared: Path) -> None:
    """Of the types only those that no operator has, and none, are refused; of the durations only what is no number."""
    for name in ("call-types-of-real-exports.csv", "durations.csv"):
        (folder / name).write_bytes((shared / "cases" / name).read_bytes())
    run(folder, "call-types-of-real-exports.csv", "durations.csv", code=Exit.REFUSED)
    letters = json.loads(rater("dlq", "ls", "--json", "--reveal", cwd=folder).stdout)
    types = [letter["message"] for letter in letters if letter["source"]["topic"] != "durations.csv"]
    assert [message.rpartition(", got ")[2] for message in types] == ["'emergency_out'", "'sms_out'", "none"]
    refused = {letter["source"]["offset"] - 2 for letter in letters if letter["source"]["topic"] == "durations.csv"}
    # 61, 61.0, 61,0, empty, 0, -0 and 61 between blanks are whole seconds
    assert refused == {*range(19)} - {0, 1, 2, 6, 7, 9, 11}


@pytest.mark.parametrize("seconds", ["", "<No data>", "0"])
def test_without_a_duration_a_call_was_not_connected(folder: Path, seconds: str) -> None:
    """Rule 73: it is kept, with no minutes and no charge."""
    (folder / "usage.csv").write_text(f"{HEADER}\n{row('a', '+263242700000', seconds)}\n")
    assert run(folder, "usage.csv")["outcomes"] == {"rated": 5 + 1}
    (call,) = [json.loads(value) for value in open_reader(folder / "rater.db").rated_calls("a")]
    assert (call["minutes"], call.get("charge", "0")) == (0, "0")


def test_a_null_duration_is_none() -> None:
    """Rule 73, in Graph and in our own records; it is the same content as a record without the field."""
    assert graph(duration=None).duration_s == 0
    without = (
        b'{"tenant":"contoso","usage_id":"a","type":"user_in","answered_at":"2025-03-01T10:00:00Z","user":"u"}'
    )
    null = without.replace(b'"user":', b'"duration_s":null,"user":')
    assert decode_cdr(null) == decode_cdr(without) != decode_cdr(null.replace(b"null", b"61"))
    twice = decode_cdr(null.replace(b'"user":', b'"duration_s":61,"user":'))
    assert isinstance(twice, Refusal)
    assert twice.reason.value == "duplicate_key"


@pytest.mark.parametrize("seconds", ["61.0", '"61,0"'])
def test_whole_seconds_may_be_written_with_a_decimal_mark(seconds: str) -> None:
    """Spreadsheets write them so."""
    read = ROWS.decode(row("a", seconds=seconds).encode())
    assert isinstance(read, CallRecord)
    assert read.duration_s == 61


@pytest.mark.parametrize("seconds", ["61.5", "00:01:01", "1:01", "61s", "6.1E1", "1 061", "0x3d", "NaN"])
def test_no_duration_is_guessed(seconds: str) -> None:
    """What is not whole seconds stays refused."""
    assert isinstance(ROWS.decode(row("a", seconds=seconds).encode()), Refusal)


def test_another_tenants_rows_of_our_own_export_are_refused() -> None:
    """Our export of several tenants names each row's: nobody pays for another's calls."""
    rows = PstnCsv("contoso", ",", ("Tenant", *COLUMNS))
    assert isinstance(rows.decode(f"contoso,{row('a')}".encode()), CallRecord)
    refused = rows.decode(f"tailspin,{row('a')}".encode())
    assert isinstance(refused, Refusal)
    assert (refused.field, refused.message) == ("Tenant", "expected calls of contoso (--tenant), got 'tailspin'")
