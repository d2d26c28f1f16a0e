"""`switches.yaml`: one line with file, line and field for what is wrong; `rater config check` looks at it."""

import json
from pathlib import Path

import pytest

from rater.agents.settings import AgentsSettings
from rater.agents.switches.settings import read_switches, wrong_switches
from rater.ops.configuration import wrong_in
from rater.ops.written_settings import read_settings
from rater.wire.errors import Exit
from tests.agents.pretending import beside, written
from tests.commands import rater

GOOD = """\
switches:
  - name: east
    kind: kamailio
    address: http://127.0.0.1:5060/RPC
    tenants: [contoso]
  - name: west
    kind: asterisk
    address: http://127.0.0.1:8088/ari
    user: rater
    secret: {env: WEST_SECRET}
"""


def test_a_good_file(tmp_path: Path) -> None:
    """Two switches: one has contoso's calls, the other those of every other tenant."""
    path = tmp_path / "switches.yaml"
    path.write_text(GOOD)
    east, west = read_switches(path).switches
    assert (east.name, east.tenants, west.tenants) == ("east", frozenset({"contoso"}), frozenset({"*"}))


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        pytest.param("kind: kamailio", "kind: opensips", "3: switches.0.kind: expected 'kamailio', 'freeswitch', 'asterisk' or 'webhook'", id="a kind"),
        pytest.param("    kind: kamailio\n", "", "2: switches.0.kind: expected a value, got none", id="no kind"),
        pytest.param("name: west", "name: none", "6: switches.1.name: expected another name than none, which stands for no switch in the metrics", id="a reserved name"),
        pytest.param("name: west", "name: east", "1: switches: expected each name once, got east twice", id="a name twice"),
        pytest.param("5060/RPC", "5060/RPC?x=1", "4: switches.0.address: expected an address such as http://127.0.0.1:8080, got 'http://127.0.0.1:5060/RPC?x=1'", id="a query"),
        pytest.param("http://127.0.0.1:5060", "http://u:p@127.0.0.1:5060", "4: switches.0.address: expected no password in the address; name its place under secret", id="a password"),
        pytest.param("127.0.0.1:8088", "pbx.example", "6: switches.1: expected https, got http://pbx.example/ari; allow_http permits it on a private network", id="in the clear"),
        pytest.param("    user: rater\n", "", "6: switches.1: expected user and secret, which asterisk needs", id="no user"),
        pytest.param("{env: WEST_SECRET}", "of-this-test", "10: switches.1.secret: expected its place, `file` or `env`, and never the secret itself", id="the secret itself"),
        pytest.param("    user: rater\n", "    user: rater\n    method: dlg.end_dlg\n", "6: switches.1: expected method with the kind kamailio only, got it with asterisk", id="a method"),
        pytest.param("tenants: [contoso]", "tenant: contoso", "5: switches.0.tenant: expected no setting of this name", id="an unknown name"),
        pytest.param("tenants: [contoso]", "timeout_s: 61", "5: switches.0.timeout_s: expected less than or equal to 60", id="a limit"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_reported_with_its_place(old: str, new: str, wrong: str, tmp_path: Path) -> None:
    """File, line, field, what was expected; a secret is never shown."""
    path = tmp_path / "switches.yaml"
    path.write_text(GOOD.replace(old, new))
    assert list(wrong_switches(path)) == [f"{path}:{wrong}"]


def test_a_mapping_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A preset that asks something of a site is not complete; a site's file is."""
    monkeypatch.setenv("WEST_SECRET", "of-this-test")
    path, site = tmp_path / "switches.yaml", tmp_path / "site.yaml"
    site.write_text("extends: freeswitch-json-cdr\ncall: {duration: {round: up}}\n")
    for mapping, wrong in ((site, []), ("freeswitch-json-cdr", [f"{path}: the mapping of switch east: "])):
        path.write_text(GOOD.replace("    tenants: [contoso]\n", f"    mapping: {mapping}\n"))
        found = list(wrong_switches(path))
        assert [line[: len(expected)] for line, expected in zip(found, wrong, strict=True)] == wrong


def test_a_text_that_is_no_yaml(tmp_path: Path) -> None:
    """File and line."""
    path = tmp_path / "switches.yaml"
    path.write_text("switches: [")
    (wrong,) = wrong_switches(path)
    assert wrong.startswith(f"{path}:1: not YAML: ")


def test_the_check_of_a_deployment_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`RATER_SWITCHES_FILE` names it; a secret that is not there is one line."""
    path = tmp_path / "switches.yaml"
    path.write_text(GOOD)
    environment = {"RATER_SWITCHES_FILE": str(path)}
    place = "expected it in the environment variable WEST_SECRET, which is not set"
    assert wrong_in(None, environment) == [f"{path}: the secret of switch west: {place}"]
    monkeypatch.setenv("WEST_SECRET", "of-this-test")
    assert wrong_in(None, environment) == []
    assert wrong_in(None, {"RATER_SWITCHES_FILE": str(tmp_path / "none")})[0].startswith(
        f"{tmp_path}/none: the switches"
    )
    settings = read_settings(AgentsSettings, None, environment)
    assert (settings.switches is not None, settings.switches and settings.switches.token) == (True, None)


def test_a_server_and_agents_report_it_before_they_start(tmp_path: Path) -> None:
    """One line; nothing is served."""
    path = tmp_path / "switches.yaml"
    path.write_text("switches: []")
    (tmp_path / "clients.yaml").write_text(f"clients:\n  - name: a\n    tokens: ['sha256:{'0' * 16}:{'0' * 64}']\n")
    line = f"{path}:1: switches: expected at least 1 item, got 0"
    store = ("--store", str(tmp_path / "r.db"), "--clients", str(tmp_path / "clients.yaml"), "--web-port=0")
    for words in (("serve", *store), ("agents", "--bootstrap=127.0.0.1:1")):
        assert line in rater(*words, "--switches", path, code=Exit.USAGE).stderr


def test_the_doctor_looks_at_each_switch_of_a_store(tmp_path: Path) -> None:
    """One answers, one is not there; no call was ordered to end.  Without the file no switch is looked at."""
    store = tmp_path / "r.db"
    rater("run", "--store", store, code=Exit.OK)
    with beside("freeswitch") as east, beside("asterisk", name="west") as west:
        file = written(tmp_path, east.entry(tmp_path), west.entry(tmp_path))
        good = rater("doctor", "--store", store, "--switches", file, "--json", code=Exit.OK)
    bad = rater(
        "doctor", "--store", store, "--json", code=Exit.FAILED, environment={"RATER_SWITCHES_FILE": str(file)}
    )
    alone = rater("doctor", "--store", store, "--json", code=Exit.OK)
    seen = [{check["name"]: check for check in json.loads(found.stdout)} for found in (good, bad, alone)]
    assert [list(checks) for checks in seen] == [["store", "switch freeswitch-1", "switch west"]] * 2 + [["store"]]
    assert seen[0]["switch west"]["cause"] == "it answers /asterisk/info; no order in the store"
    assert [check["state"] for check in seen[1].values()] == ["ok", "fail", "fail"]
    assert seen[1]["switch west"]["fix"] == f"curl -v {west.address}"
