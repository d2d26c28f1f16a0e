"""A name that is spelled wrongly in a mapping loses no call in silence."""

import shutil
from pathlib import Path

import pytest
from typer.testing import Result

from rater.core.inputs import CallRecord
from rater.core.reasons import Refusal
from rater.files.mappings import NotSelected, load
from rater.wire.errors import RaterError
from tests.commands import invoke

SITES = Path(__file__).parent / "sites"


@pytest.fixture
def radius(tmp_path: Path) -> Path:
    """A folder with the FreeRADIUS site, written out, its table and its sample."""
    for name in ("freeradius.sample.txt", "trunk-users.csv"):
        shutil.copy(SITES / name, tmp_path)
    (tmp_path / "site.yaml").write_text(SITE)
    return tmp_path


SITE = """\
reader: {kind: blocks, separator: "="}
times: {as: ["h323-connect-time=%H:%M:%S.%f %Z %a %b %d %Y", "%H:%M:%S.%f %Z %a %b %d %Y"], zone: Europe/Amsterdam}
numbers: {country: NL, international: ["00"]}
select:
  - only: {Acct-Status-Type: Stop}
    otherwise: no Stop packet
  - only: {Acct-Session-Time: {above: 0}}
    otherwise: not answered
call:
  usage_id: "{Acct-Unique-Session-Id}"
  tenant: "{User-Name}"
  user: "{Calling-Station-Id}"
  type: user_out
  called: "{Called-Station-Id}"
  answered_at: "{h323-connect-time}"
  duration: {from: "{Acct-Session-Time}", round: up}
"""


def check(folder: Path, old: str = "", new: str = "") -> Result:
    assert old in SITE
    (folder / "site.yaml").write_text(SITE.replace(old, new) if old else SITE)
    return invoke("map", "check", str(folder / "site.yaml"), str(folder / "freeradius.sample.txt"))


@pytest.mark.parametrize(
    ("old", "new", "meant"),
    [
        ("{h323-connect-time}", "{h323-conect-time}", "; did you mean h323-connect-time?"),
        ("{Acct-Session-Time: {above", "{Acct-SessionTime: {above", "; did you mean Acct-Session-Time?"),
        ("{User-Name}", "{Account}", "; a field that is rightly absent stands in reader.optional"),
        ("{Called-Station-Id}", "{Called-Station-Id.1}", "; did you mean Called-Station-Id?"),
    ],
    ids=["answer", "condition", "nothing-near", "second-of-one"],
)
def test_a_field_that_no_record_has_is_named(radius: Path, old: str, new: str, meant: str) -> None:
    """Exit 1, and the likely name."""
    done = check(radius, old, new)
    name = new.removeprefix("{").partition("}")[0].partition(":")[0]
    assert done.exit_code == 1
    assert f"site.yaml: {{{name}}}: expected in at least one record, got it in none of 6{meant}" in done.stderr


def test_a_field_that_some_record_has_is_not_named(radius: Path) -> None:
    """h323-connect-time is in Stop packets only; Cisco-AVPair is in a packet twice."""
    assert check(radius).exit_code == 0
    assert check(radius, "{User-Name}", "{Cisco-AVPair.1}").exit_code == 0


def test_a_field_that_is_rightly_absent_is_written_down(radius: Path) -> None:
    """`reader.optional` lists it."""
    new = 'separator: "=", optional: [h323-credit]}\nrefuse: [{if: {h323-credit: {empty: false}}, because: prepaid}]\n'
    assert check(radius, 'separator: "="}\n', new).exit_code == 0


def test_a_file_without_records_lacks_no_field(radius: Path) -> None:
    """Nothing is known of them."""
    (radius / "freeradius.sample.txt").write_text("")
    assert check(radius).exit_code == 0


def test_a_call_whose_answer_is_not_found_is_refused_when_it_is_rated(radius: Path) -> None:
    """Three calls that lasted, and whose mapped field is in no record."""
    check(radius, "{h323-connect-time}", "{h323-conect-time}")
    found = [one for one, _ in load(radius / "site.yaml").read((radius / "freeradius.sample.txt").read_bytes())]
    assert [type(one) for one in found] == [NotSelected, Refusal, Refusal, NotSelected, Refusal, Refusal]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('separator: "="', 'separator: "=", delimiter: ","', "site.yaml:1: reader.delimiter: belongs to kind csv; kind blocks has: encoding"),
        ('kind: blocks, separator: "="', "kind: json, list: a, field: b", "reader.field: belongs to kind form; kind json has"),
        ("kind: blocks", "kind: csv", "reader.separator: belongs to kind blocks; kind csv has"),
        ('"{h323-connect-time}"', "{form: '{x}', as: iso}", "site.yaml:15: call.answered_at: expected a text with {fields}, or `from` and"),
        ('"{h323-connect-time}"', "['{x}']", "call.answered_at: expected a text with {fields}, or `from` and"),
        ('"{h323-connect-time}"', "{from: '{x}', pattern: iso}", "call.answered_at.pattern: no such name in a mapping"),
        ('"{h323-connect-time}"', "{from: 5}", "call.answered_at.from: expected text, got 5; put it between quotes"),
        ("type: user_out", "type: {cases: [{if: {a: b}, then: {cases: []}}], default: x}", "call.type.cases.0.then: expected a text with {fields}, or `look_up` and `key`"),
        ("type: user_out", "type: {cases: {a: b}, default: x}", "call.type.cases: input should be a valid"),
        ('"{Called-Station-Id}"', "{number: '{x}'}", "call.called: expected a text with {fields}, or `from` and what differs"),
        ('"{Calling-Station-Id}"', "{table: x, key: y}", "call.user: expected a text with {fields}, or `look_up` and `key`, or `cases`"),
        ("{above: 0}", "0", "select.1.only.Acct-Session-Time: expected text, got 0; put it between quotes"),
        ("{above: 0}", "{over: 0}", "select.1.only.Acct-Session-Time.over: no such name in a mapping"),
    ],
    ids=["delimiter", "field", "separator", "no-from", "list", "unknown", "from-number", "cases-in-a-case", "no-list-of-cases", "number", "table", "condition-number", "condition"],
)  # fmt: skip
def test_a_wrong_mapping_is_refused_in_its_own_words(radius: Path, old: str, new: str, said: str) -> None:
    """File, line, place, what is expected there; no word of the program's own types."""
    assert old in SITE
    (radius / "site.yaml").write_text(SITE.replace(old, new))
    with pytest.raises(RaterError) as wrong:
        load(radius / "site.yaml")
    assert said in str(wrong.value)
    assert "constrained" not in str(wrong.value)


def test_null_takes_back_what_a_preset_sets(tmp_path: Path) -> None:
    """A site whose Teams records come one a line, as a form: the preset's `list` has no meaning there."""
    site = tmp_path / "site.yaml"
    site.write_text("extends: teams-direct-routing\nreader: {kind: form, field: row, list: null}\n")
    assert load(site).file.reader.list is None


@pytest.mark.parametrize(
    ("test", "selected"),
    [
        ("{suffix: trunk-1}", True), ("{suffix: [trunk-2, unk-1]}", True), ("{suffix: trunk}", False),
        ("{contains: -trunk-}", True), ("{contains: [x, acme]}", True), ("{contains: globex}", False),
        ("{contains: acme, suffix: '2'}", False),
    ],
    ids=["suffix", "suffixes", "no-suffix", "contains", "one-of", "contains-none", "both"],
)  # fmt: skip
def test_conditions_on_parts_of_a_text(radius: Path, test: str, selected: bool) -> None:
    """Of acme-trunk-1; of several tests all must hold."""
    text = SITE.replace("{Acct-Session-Time: {above: 0}}", f"{{User-Name: {test}}}")
    (radius / "site.yaml").write_text(text)
    raw = (radius / "freeradius.sample.txt").read_bytes().split(b"\n\n")[1].replace(b'"contoso"', b'"acme-trunk-1"')
    assert isinstance(load(radius / "site.yaml").map_one(raw), CallRecord) is selected


def test_an_attribute_that_is_there_twice_is_refused_only_where_it_is_used(radius: Path) -> None:
    """RADIUS repeats attributes; which one is meant is written by its place."""
    raw = (radius / "freeradius.sample.txt").read_bytes().split(b"\n\n")[1]
    assert isinstance(load(radius / "site.yaml").map_one(raw), CallRecord)
    check(radius, "{User-Name}", "{Cisco-AVPair}")
    found = load(radius / "site.yaml").map_one(raw)
    assert isinstance(found, Refusal)
    assert "got a list of 2; the first is {Cisco-AVPair.0}" in found.message


def test_the_expected_reason_is_written_and_compared(radius: Path) -> None:
    """Of records that are not selected, the mapping's word; a file without that column is not compared by it."""
    check(radius)
    site, sample = str(radius / "site.yaml"), str(radius / "freeradius.sample.txt")
    assert invoke("map", "test", site, "--sample", sample, "--write").exit_code == 0
    expected = radius / "site.expected.csv"
    assert "not selected,no Stop packet," in expected.read_text()
    expected.write_text(expected.read_text().replace("no Stop packet", "other packet"))
    done = invoke("map", "test", site, "--sample", sample)
    assert done.exit_code == 1
    assert "site.expected.csv:2: record 1: reason: expected other packet, got no Stop packet" in done.stderr
    expected.write_text("result\n" + "not selected\nrated\nrated\nnot selected\nrated\nrated\n")
    assert invoke("map", "test", site, "--sample", sample).exit_code == 0
