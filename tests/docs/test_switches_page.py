"""docs/switches.md: its files, its event and its commands work as they stand there."""

import re
from pathlib import Path

import msgspec
import yaml

from rater.agents.switches.settings import SwitchKind, read_switches
from rater.core.call_control import CallEvent
from rater.core.inputs import CallRecord
from rater.files.mappings import load
from rater.files.mappings.model import Call
from rater.wire.errors import Exit
from tests.commands import invoke
from tests.conftest import ROOT
from tests.mappings.test_page import files_of

PAGE = ROOT / "docs" / "switches.md"
TEXT = PAGE.read_text("utf-8")


def test_the_file_of_the_page_is_accepted(tmp_path: Path) -> None:
    """Every kind once; the defaults that its text names."""
    path = tmp_path / "switches.yaml"
    path.write_text(files_of(TEXT)["switches.yaml"])
    switches = read_switches(path).switches
    assert {switch.kind for switch in switches} == set(SwitchKind)
    first = switches[0]
    assert (first.tenants, first.retry_wait_initial_s, first.retry_wait_max_s, first.give_up_after_s) == (
        frozenset({"*"}), 0.5, 15, 300,
    )  # fmt: skip


def test_the_event_of_the_page_is_read() -> None:
    """It carries all that Kamailio needs."""
    (shown,) = [text for text in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL) if '"event"' in text]
    event = msgspec.json.decode(shown, type=CallEvent)
    assert event.handles is not None
    assert (event.switch, event.handles.from_tag, event.handles.to_tag) == ("kamailio-1", "as7d", "gK0c")


def test_the_mappings_of_the_page_are_read(tmp_path: Path) -> None:
    """The accounting record of the page becomes a call of 61 seconds; the two fields of a switch's number exist."""
    for name, text in files_of(TEXT).items():
        (tmp_path / name).write_text(text)
    found = load(tmp_path / "freeradius.yaml").map_one((tmp_path / "stop.json").read_bytes())
    assert isinstance(found, CallRecord), found
    checked = invoke("map", "check", str(tmp_path / "freeradius.yaml"), str(tmp_path / "stop.json"))
    assert checked.exit_code == Exit.OK, checked.output
    assert (found.tenant, found.usage_id, found.duration_s, found.switch) == ("contoso", "5f3a7d", 61, "kamailio-1")
    (shown,) = [text for text in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL) if "switch_sequence" in text]
    assert set(yaml.safe_load(shown)["call"]) <= set(Call.model_fields)


def test_every_kind_of_switch_has_its_row() -> None:
    """What the events must carry, for each kind."""
    for kind in SwitchKind:
        assert f"| `{kind}`" in TEXT
