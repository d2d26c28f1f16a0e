"""Records of eight switches by the presets and a site's few lines."""

import csv
import math
import shutil
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from rater.core.inputs import CallRecord
from rater.core.reasons import Refusal
from rater.files.mappings import load, presets
from rater.files.mappings.results import NotSelected
from rater.files.mappings.trying import compare
from rater.wire.errors import RaterError
from rater.wire.yaml_lines import load as load_yaml

SITES = Path(__file__).parent / "sites"
#: File of ../shared/data/cdr-samples -> the site that reads it.
SITE_OF = {
    "freeswitch-cdr-csv-example.csv": "freeswitch-csv-example",
    "freeswitch-cdr-csv-default.csv": "freeswitch-csv-default",
    "freeswitch-json-cdr.json": "freeswitch-json",
    "freeswitch-json-cdr-form.txt": "freeswitch-json-form",
    "freeswitch-xml-cdr.xml": "freeswitch-xml",
    "asterisk-cdr-csv.csv": "asterisk-csv",
    "asterisk-cdr-odbc.csv": "asterisk-odbc",
    "kamailio-acc-json-cdr.json": "kamailio-json",
    "kamailio-acc-cdrs.csv": "kamailio-cdrs",
    "opensips-event-kafka.json": "opensips",
    "cucm-cdr.csv": "cucm",
    "audiocodes-sbc-syslog.txt": "audiocodes",
    "teams-direct-routing.json": "teams",
    "twilio-calls.json": "twilio",
}
#: Of a record with 215.48 s: up is 216, down and half are 215.
WHOLE: dict[str, Callable[[Decimal], int]] = {
    "up": math.ceil,
    "down": int,
    "half": lambda s: int(s + Decimal("0.5")),
}


@pytest.mark.parametrize("site", sorted(SITES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_sites_records_come_out_as_expected(site: Path) -> None:
    """Each kept sample gives what stands beside it: rated with these values, not selected, or refused."""
    assert compare(load(site), site) == []


def test_every_preset_is_shown_by_a_site() -> None:
    """A preset without a sample would never be read."""
    used = {load_yaml(path.read_text(), path.name)[0]["extends"] for path in SITES.glob("*.yaml")}
    assert used == set(presets())


def test_a_site_says_two_to_six_lines() -> None:
    """More would mean that the preset leaves too much to set; blank lines and comments do not count."""
    for path in SITES.glob("*.yaml"):
        lines = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
        assert 2 <= len(lines) <= 6, path


@pytest.mark.parametrize("name", SITE_OF)
def test_the_shared_samples(name: str, shared: Path, tmp_path: Path) -> None:
    """What a correct reader makes of each record (expected.csv), to the digit; the plus sign may be missing there."""
    samples = shared / "data" / "cdr-samples"
    with (samples / "expected.csv").open() as file:
        expected = [row for row in csv.DictReader(file) if row["file"] == name]
    site = SITES / f"{SITE_OF[name]}.yaml"
    trunks = SITES / "trunks.csv"
    shutil.copy(trunks, tmp_path)
    (tmp_path / site.name).write_text(site.read_text())
    mapping = load(tmp_path / site.name)
    found = [result for result, _ in mapping.read((samples / name).read_bytes())]
    assert len(found) == len(expected) > 0
    for row, result in zip(expected, found, strict=True):
        check(row, result, mapping.file.call.duration.round or "")


def check(row: dict[str, str], result: object, rounding: str) -> None:
    other_leg = row["leg"] in {"b", "egress"}
    if row["connected"] == "no" or other_leg:
        assert isinstance(result, NotSelected), row
        return
    if " or " in row["answered_at"]:
        assert isinstance(result, Refusal), row
        return
    assert isinstance(result, CallRecord), (row, result)
    if row["answered_at"] == "unknown":
        return  # the same switch said cdr_start_on_confirmed=1 for this file: see test_the_invite_is_no_answer
    assert result.usage_id == row["usage_id"]
    assert result.answered_at == datetime.fromisoformat(row["answered_at"])
    assert (result.ended_at and result.ended_at.isoformat()) == (
        datetime.fromisoformat(row["ended_at"]).isoformat() if row["ended_at"] else None
    )
    assert result.duration_s == WHOLE[rounding](Decimal(row["talk_s"]))
    assert result.calling == {"4101": "+14255554101"}.get(row["calling"], "+" + row["calling"].lstrip("+"))
    called = "+" + row["called"].lstrip("+").removeprefix("011")
    assert result.called == ("911" if row["called"] == "911" else called)


def test_the_invite_is_no_answer(shared: Path) -> None:
    """Kamailio with cdr_start_on_confirmed=0: no record says when the call was answered, so each is refused."""
    raw = (shared / "data" / "cdr-samples" / "kamailio-acc-json-cdr.json").read_bytes()
    found = [result for result, _ in load(SITES / "kamailio-json-from-invite.yaml").read(raw)]
    assert [type(result) for result in found] == [Refusal, Refusal, NotSelected]
    assert "INVITE" in str(found[1])


def test_kamailio_is_asked() -> None:
    """Nothing in a record says whether start_time is the answer, so the preset alone is refused."""
    with pytest.raises(RaterError, match=r"answers\.cdr_start_on_confirmed: expected an answer"):
        load("kamailio-acc-json")


def test_the_files_of_this_folder_are_small() -> None:
    """Samples are read by people."""
    assert sum(path.stat().st_size for path in SITES.glob("*")) < 60_000
