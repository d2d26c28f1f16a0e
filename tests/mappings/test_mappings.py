"""What a mapping may say, and what each of its parts does to a record."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rater.core.inputs import CallRecord
from rater.core.reasons import Reason, Refusal
from rater.files.mappings import Mapping, NotSelected, load
from rater.files.mappings.durations import parts_of, whole_seconds
from rater.files.mappings.model import NumberRules
from rater.files.mappings.numbers import read_number
from rater.files.mappings.readers.base import CELLS_MAX
from rater.files.mappings.results import Unmapped
from rater.wire.errors import RaterError

SITE = """\
reader: {kind: csv, header: false, columns: [id, from, to, start, end, secs, way, account]}
times: {as: "%d.%m.%Y %H:%M:%S", zone: Europe/Berlin}
numbers: {country: DE, international: ["00"], strip: ["0,"]}
call:
  usage_id: "{id}"
  answered_at: "{start}"
  ended_at: "{end}"
  duration: {from: "{secs}", round: half}
  calling: "{from}"
  called: "{to}"
  type: user_out
  user: "{call.calling}"
  tenant: "{account}"
"""
ROW = b"c1,+4930123456,0033199001234,10.03.2025 10:00:07,10.03.2025 10:03:42,215.48,out,contoso"


def mapping(tmp_path: Path, text: str = SITE, **changes: str) -> Mapping:
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "site.yaml"
    path.write_text(text)
    return load(path)


def site(tmp_path: Path, old: str, new: str) -> Mapping:
    assert old in SITE
    return mapping(tmp_path, SITE.replace(old, new))


def rated(found: Any) -> CallRecord:
    assert isinstance(found, CallRecord), found
    return found


def refused(found: Any) -> Refusal:
    assert isinstance(found, Refusal), found
    return found


def test_a_row(tmp_path: Path) -> None:
    """Berlin is an hour ahead in March: 10:00:07 is 09:00:07 UTC; 00 is dialled before a country code; 215.48 is 215."""
    call = rated(site(tmp_path, ', strip: ["0,"]', "").map_one(ROW))
    assert (call.called, call.duration_s, call.user) == ("+33199001234", 215, "+4930123456")
    assert call.answered_at.isoformat() == "2025-03-10T09:00:07+00:00"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("round: half", "unit: s", "call.duration.round: expected up, down or half"),
        (', zone: Europe/Berlin', "", "times.zone: expected the zone"),
        ('usage_id: "{id}"', "usage_id: fixed", "call.usage_id: expected fields of the record"),
        ("columns: [id,", "columns: [row_number,", "charged twice"),
        ("type: user_out", "typ: user_out", "site.yaml:11: call.typ: no such name"),
        ("country: DE", "country: XX", "expected a country of ISO 3166-1"),
        ("Europe/Berlin", "Europe/Bonn", "expected one of the IANA list"),
        ("%d.%m.%Y %H:%M:%S", "%d.%m. %H:%M", "expected iso, epoch_s"),
        ("[id,", "[id, id,", "id twice"),
        ('"{to}"', '"{two}"', "expected the columns two"),
        ("user_out", "{look_up: nowhere, key: '{id}'}", "expected one of the mapping's tables"),
        ("{call.calling}", "{call.user}", "expected a field of the record, or one of"),
        ("reader:", "reader: {}\nreader:", "site.yaml:2: reader: expected once, stands twice"),
        ("reader:", "extends: nothing-like-it\nreader:", "no such file, and no preset"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_reported_before_the_first_record(tmp_path: Path, old: str, new: str, said: str) -> None:
    """One line: file, line where it is known, name, and what was expected."""
    text = SITE.replace(', strip: ["0,"]', "").replace(old, new)
    if "row_number" in new:
        text = text.replace("{id}", "{row_number}")
    with pytest.raises(RaterError) as wrong:
        mapping(tmp_path, text)
    assert said in str(wrong.value)


@pytest.mark.parametrize(
    ("text", "unit", "rounding", "seconds"),
    [
        ("215.48", "s", "up", 216), ("215.48", "s", "down", 215), ("215.48", "s", "half", 215),
        ("215480", "ms", "up", 216), ("40", "ms", "up", 1), ("40", "ms", "half", 0), ("500", "ms", "half", 1),
        ("215000000", "us", "up", 215), ("0.1", "min", "up", 6), ("00:03:35", "clock", "down", 215), ("-0.5", "s", "up", 0),
        ("0.000000000001", "s", "up", 1),
    ],
)  # fmt: skip
def test_fractions_become_whole_seconds_as_the_mapping_says(
    text: str, unit: str, rounding: str, seconds: int
) -> None:
    """Exact: the last row is 10^-12 s, which no float of 215 s would keep."""
    assert whole_seconds(parts_of(text, unit), rounding) == seconds


WITH_AUTHORIZED = SITE.replace(', strip: ["0,"]', "").replace(
    "type: user_out", 'type: user_out\n  authorized_s: "{way}"'
)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [pytest.param(b"180", 180, id="the rater ended it"), pytest.param(b"", None, id="somebody hung up")],
)
def test_seconds_that_the_rater_authorized(tmp_path: Path, written: bytes, seconds: int | None) -> None:
    """They are in the records of calls that the rater ended, and absent in all others."""
    found = mapping(tmp_path, WITH_AUTHORIZED)
    assert rated(found.map_one(ROW.replace(b",out,", b"," + written + b","))).authorized_s == seconds


@pytest.mark.parametrize(
    "written", [b"-1", b"3.5", b"out", "\u0661".encode()], ids=["negative", "a part", "a word", "Arabic"]
)
def test_authorized_seconds_that_are_no_number(tmp_path: Path, written: bytes) -> None:
    """The record is refused."""
    found = mapping(tmp_path, WITH_AUTHORIZED)
    wrong = refused(found.map_one(ROW.replace(b",out,", b"," + written + b",")))
    assert (wrong.field, wrong.message[:23]) == ("authorized_s", "expected a whole number")


@pytest.mark.parametrize(
    ("start", "ambiguous", "hour"),
    [
        ("26.10.2025 02:30:00", None, None),  # came twice
        ("26.10.2025 02:30:00", "earlier", 0),  # summer time, +02:00
        ("26.10.2025 02:30:00", "later", 1),  # winter time, +01:00
        ("30.03.2025 02:30:00", None, None),  # never came
        ("30.03.2025 02:30:00", "later", 1),
        ("10.03.2025 02:30:00", None, 1),
    ],
)
def test_an_hour_that_came_twice_is_refused_unless_the_mapping_says_which(
    tmp_path: Path, start: str, ambiguous: str | None, hour: int | None
) -> None:
    """Berlin turns its clocks on 26 October back from 3 to 2, on 30 March forward from 2 to 3."""
    said = f", ambiguous: {ambiguous}" if ambiguous else ""
    made = mapping(
        tmp_path, SITE.replace(', strip: ["0,"]', "").replace("zone: Europe/Berlin", f"zone: Europe/Berlin{said}")
    )
    row = ROW.replace(b"10.03.2025 10:00:07", start.encode()).replace(
        b"10.03.2025 10:03:42", b"27.10.2025 12:00:00"
    )
    found = made.map_one(row)
    if hour is None:
        assert refused(found).reason is Reason.TIME_WITHOUT_ZONE
    else:
        assert rated(found).answered_at.hour == hour


@pytest.mark.parametrize(
    ("text", "rules", "number"),
    [
        ("4255550101", {"country": "US"}, "+14255550101"),
        ("030 123456", {"country": "DE"}, "+4930123456"),
        ("0033199001234", {"country": "DE", "international": ("00",)}, "+33199001234"),
        ("9011442079460011", {"country": "US", "strip": ("9",), "international": ("011",)}, "+442079460011"),
        ("14255550101", {"plus_missing": True}, "+14255550101"),
        ("4101", {"extensions": {"digits": (4, 4), "add": "+1425555"}}, "+14255554101"),
        ("4101", {"extensions": {"digits": (4, 4), "domain": "contoso.example"}}, "4101@contoso.example"),
        ("sip:+1(425)555-0101@sbc.example;user=phone", {}, "+14255550101"),
        ("tel:+1-425-555-0101", {}, "+14255550101"),
        ("sip:4255550101@sbc.example", {"country": "US"}, "+14255550101"),
        ("911", {"country": "US", "extensions": {"digits": (3, 4), "add": "+1425555"}}, "911"),
        ("9911", {"country": "US", "strip": ("9",)}, "911"),
        ("110", {"country": "DE"}, "110"),
        ("sip:ada@contoso.example", {"addresses": "keep"}, "sip:ada@contoso.example"),
        ("sip:ada@contoso.example", {}, None),
        ("4255550101", {}, None),
        ("123", {"plus_missing": True}, None),
        ("12", {"country": "US"}, None),
        ("Anonymous", {}, ""),
    ],
)  # fmt: skip
def test_numbers(text: str, rules: dict[str, Any], number: str | None) -> None:
    """None: refused as not_e164.  An empty text: withheld.  Emergency numbers come before everything else."""
    read = NumberRules.model_validate(rules)
    if number is None:
        with pytest.raises(Unmapped) as wrong:
            read_number("called", text, read)
        assert wrong.value.refusal.reason is Reason.NOT_E164
    else:
        assert (read_number("called", text, read) or "") == number


TABLES = (
    SITE.replace(', strip: ["0,"]', "").replace(
        'tenant: "{account}"', "tenant: {look_up: accounts, key: '{account}'}"
    )
    + "tables: {accounts: {file: accounts.csv, key: account, value: tenant, match: prefix}}\n"
)


def test_an_account_without_entry_is_refused_until_the_table_is_mended(tmp_path: Path) -> None:
    """`unknown_account`; the table is read again when its file has changed.  The longest prefix counts."""
    table = tmp_path / "accounts.csv"
    table.write_text("account,tenant\nfab,fabrikam\n")
    made = mapping(tmp_path, TABLES)
    assert refused(made.map_one(ROW)).reason is Reason.UNKNOWN_ACCOUNT
    table.write_text("account,tenant\ncon,other\nconto,contoso\n")
    assert made.refresh() == []
    assert rated(made.map_one(ROW)).tenant == "contoso"
    table.write_text("account,tenant\ncon,a\ncon,b\n")
    os.utime(table, (1, 1))
    assert "stays as it was" in made.refresh()[0]
    assert rated(made.map_one(ROW)).tenant == "contoso"


CASES = SITE.replace(', strip: ["0,"]', "").replace("type: user_out", """\
type:
    cases:
      - if: {way: in}
        then: user_in
      - if: {way: {prefix: [out, fwd]}, secs: {above: 5}}
        then: user_out
    otherwise_refuse: way is in, out or fwd""")  # fmt: skip


@pytest.mark.parametrize(
    ("way", "type"), [("in", "user_in"), ("out", "user_out"), ("fwd-1", "user_out"), ("loop", None)]
)
def test_the_first_case_that_holds_counts(tmp_path: Path, way: str, type: str | None) -> None:
    """Where none holds, the mapping says whether there is a default or the record is refused."""
    found = mapping(tmp_path, CASES).map_one(ROW.replace(b",out,", f",{way},".encode()))
    assert (found.type.value if isinstance(found, CallRecord) else None) == type


def read_one(tmp_path: Path, reader: str, raw: bytes) -> list[Any]:
    text = (
        f"reader: {reader}\ntimes: {{as: epoch_s}}\ncall:\n  usage_id: '{{id}}'\n  answered_at: '{{at}}'\n"
        "  duration: {from: '{secs}', round: up}\n  type: user_in\n  user: ada\n  tenant: contoso\n"
    )
    made = mapping(tmp_path, text)
    whole = [found for found, _ in made.read(raw)]
    assert [found for found, _ in made.read(raw[at : at + 3] for at in range(0, len(raw), 3))] == whole
    return whole


@pytest.mark.parametrize(
    ("reader", "raw"),
    [
        ("{kind: csv}", b"id,at,secs\nc1,1741597207,60\nid,at,secs\nc2,1741597208,60\n"),
        ("{kind: csv, delimiter: '|', quotes: none, skip_lines: 1}", b"report\nid|at|secs\nc1 | 1741597207 |60\nid|at|secs\nc2|1741597208|60"),
        ("{kind: csv, quotes: unescaped, skip_after_header: 1}", b'"id","at", "secs"\nx,y,z\n"c1","1741597207", "60"\n"id","at","secs"\n"c2","1741597208","60"\n'),
        ("{kind: json}", b'{"id":"c1","at":1741597207,"secs":60}\n\n{"id":"c","at":"","secs":0}\n{"id":"c2","at":1741597208,"secs":59.5}\n'),
        ("{kind: json, list: a.b}", b'{"a":{"b":[{"id":"c1","at":1741597207,"secs":60},\n{"id":"c","at":null},{"id":"c2","at":1741597208,"secs":60}]}}'),
        ("{kind: json, list: '.'}", b'[{"id":"c1","at":1741597207,"secs":60},{"id":"c","at":null},{"id":"c2","at":1741597208,"secs":60}]'),
        ("{kind: form}", b"id=c1&at=1741597207&secs=60\nid=c&at=&secs=\nid=c2&at=1741597208&secs=60\n"),
        ("{kind: xml, list: cdr}", b"<all><cdr><id>c1</id><at>1741597207</at><secs>60</secs></cdr><cdr/><cdr><id>c2</id><at>1741597208</at><secs>60</secs></cdr></all>"),
        ("{kind: blocks, separator: '='}", b'Mon Mar 10\n\tid = "c1"\n\tat = 1741597207\n\tsecs = 60\n\n\nid = c\n\nid = c2\nat = 1741597208\nsecs = 60'),
    ],
)  # fmt: skip
def test_every_reader(tmp_path: Path, reader: str, raw: bytes) -> None:
    """Two calls of 60 s at 1741597207 and a second later, and between them what is no call; in chunks it is the same."""
    first, between, second = read_one(tmp_path, reader, raw)
    assert isinstance(between, NotSelected)
    assert [(rated(call).usage_id, rated(call).duration_s) for call in (first, second)] == [("c1", 60), ("c2", 60)]
    assert (rated(second).answered_at - rated(first).answered_at).total_seconds() == 1


LAUGHS = b"<!DOCTYPE r [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;'>]><r><id>&b;</id></r>"


@pytest.mark.parametrize(
    ("reader", "raw", "said"),
    [
        ("{kind: xml}", LAUGHS, "DOCTYPE"),
        ("{kind: xml}", b"<r>" + b"<a>" * 60 + b"</a>" * 60 + b"</r>", "DEPTH_MAX"),
        ("{kind: xml}", b"<r>" + b"<a/>" * (CELLS_MAX + 1) + b"</r>", "CELLS_MAX"),
        ("{kind: json}", b'{"id":1,"id":2}', "twice"),
        ("{kind: json}", b'{"a":' * 3000, "JSON"),
        ("{kind: form}", b"id=1&id=2", "twice"),
        ("{kind: csv, header: false, columns: [id, at, secs]}", b"," * (CELLS_MAX + 1), "CELLS_MAX"),
        ("{kind: csv, header: false, columns: [id, at, secs]}", b"c1,2", "expected 3 cells, got 2"),
        ("{kind: csv, quotes: unescaped, header: false, columns: [id, at, secs]}", b'"c1","a","b","60"', "expected 3 cells, got 4"),
        ("{kind: csv, quotes: unescaped, header: false, columns: [id, at, secs]}", b'"c1,"a', "never closed"),
        ("{kind: blocks}", b"id: 1\nid: 2\nat: 1741597207\nsecs: 3", "got a list of 2; the first is {id.0}"),
        ("{kind: csv, header: false, columns: [id, at, secs]}", b"\xff,1,2", "expected text in utf-8"),
    ],
)  # fmt: skip
def test_hostile_records_are_refused(tmp_path: Path, reader: str, raw: bytes, said: str) -> None:
    """Each limit has a name, and the message says it."""
    assert said in refused(read_one(tmp_path, reader, raw)[0]).message


rows = st.lists(
    st.tuples(st.integers(1, 99), st.integers(0, 4000), st.sampled_from(["contoso", "fabrikam", ""])), max_size=8
)


@settings(max_examples=40, deadline=None)
@given(rows=rows, order=st.randoms(use_true_random=False))
def test_the_same_row_gives_the_same_call_wherever_it_stands(
    rows: list[tuple[int, int, str]], order: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A mapping is a function of the record: no row's number, no arrival, nothing of the rows before it."""
    made = site(tmp_path_factory.mktemp("m"), ', strip: ["0,"]', "")
    raws = [
        ROW.replace(b"c1", b"c%d" % id).replace(b"215.48", b"%d" % s).replace(b"contoso", who.encode())
        for id, s, who in rows
    ]
    shuffled = list(raws)
    order.shuffle(shuffled)
    first = {raw: found for found, raw in made.read(b"\n".join(raws))}
    assert first == {raw: found for found, raw in made.read(b"\n".join(shuffled))}
    assert len(first) == len(set(raws))


@pytest.mark.parametrize(
    ("number", "expected"),
    [("c17", None), ("17", 17), ("", None), ("-1", None), ("٣", None), ("9" * 16, None), ("9" * 15, 10**15 - 1)],
    ids=["text", "a number", "nothing", "below 0", "other digits", "too many digits", "many digits"],
)
def test_a_record_may_name_its_switch_and_its_number(tmp_path: Path, number: str, expected: int | None) -> None:
    """By them missing records are noticed; a call is rated all the same where the number is none."""
    with_names = '  tenant: "{account}"\n  switch: east\n  switch_sequence: "{way}"\n'
    text = SITE.replace(', strip: ["0,"]', "").replace('  tenant: "{account}"\n', with_names)
    found = rated(mapping(tmp_path, text).map_one(ROW.replace(b",out,", f",{number},".encode())))
    assert (found.switch, found.switch_sequence) == ("east", expected)
