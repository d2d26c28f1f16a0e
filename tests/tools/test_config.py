"""`rater config check`: every wrong value one line, before anything is started."""

import json
import os
from pathlib import Path

import pytest

from rater.ops.configuration import in_force, known_variables, wrong_in
from tests.conftest import ROOT
from tests.forks import run


@pytest.mark.parametrize(
    ("environment", "wrong"),
    [
        ({}, []),
        ({"RATER_SECURITY": "", "PATH": "x"}, []),
        ({"RATER_SECURITY": "TLS"}, ["RATER_SECURITY: expected 'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT' or 'SASL_SSL', got 'TLS'"]),
        ({"RATER_BATCH_RECORDS_MAX": "0"}, ["RATER_BATCH_RECORDS_MAX: expected greater than or equal to 1, got '0'"]),
        ({"RATER_SWEEP_S": "often"}, ["RATER_SWEEP_S: expected a valid number, unable to parse string as a number, got 'often'"]),
        ({"RATER_WEB_PORT": "²"}, ["RATER_WEB_PORT: expected a valid integer, unable to parse string as an integer, got '²'"]),
        ({"RATER_WEB_PORT": "65536"}, ["RATER_WEB_PORT: expected less than or equal to 65535, got '65536'"]),
        ({"RATER_DECK_WAIT_S": "1e300"}, ["RATER_DECK_WAIT_S: expected less than or equal to 86400, got '1e300'"]),
        ({"RATER_TICK_S": "9" * 5000}, [f"RATER_TICK_S: expected less than or equal to 3600, got '{'9' * 59}"]),
        ({"RATER_TICK_S": "2025-99-99"}, ["RATER_TICK_S: expected a valid number, unable to parse string as a number, got '2025-99-99'"]),
        ({"RATER_TICK_S": ".inf"}, ["RATER_TICK_S: expected a valid number, unable to parse string as a number, got '.inf'"]),
        ({"RATER_TICK_S": "inf"}, ["RATER_TICK_S: expected less than or equal to 3600, got 'inf'"]),
        ({"RATER_TICK_S": "nan"}, ["RATER_TICK_S: expected less than or equal to 3600, got 'nan'"]),
        ({"RATER_SWITCHES": "9" * 5000}, ["RATER_SWITCHES: expected a value as in YAML: line 1: expected a value of the type int, got another; quote it if it is text"]),
        ({"RATER_SWITCHES": "2025-99-99"}, ["RATER_SWITCHES: expected a value as in YAML: line 1: expected a value of the type timestamp, got another; quote it if it is text"]),
        ({"RATER_SWITCHES": "[" * 5000}, ["RATER_SWITCHES: expected a value as in YAML: line 1: nested too deeply: expected at most 50 levels (DEPTH_MAX)"]),
        ({"RATER_BOOTSTAP": "x:1"}, ["RATER_BOOTSTAP: nothing reads this variable; did you mean RATER_BOOTSTRAP?"]),
        ({"RATER_SECURITY": "SASL_SSL"}, ["security SASL_SSL: expected RATER_USERNAME and RATER_PASSWORD_FILE, a file with the password in its first line"]),
        ({"RATER_GATEWAY_URL": "http://pay.example.com"}, ["RATER_GATEWAY: expected https, got http://pay.example.com; allow_http permits it on a private network"]),
    ],
)  # fmt: skip
def test_the_environment(environment: dict[str, str], wrong: list[str]) -> None:
    """The variable, what was expected, what stands there; an empty one counts as absent."""
    assert wrong_in(None, environment) == wrong


def test_files_that_are_named(tmp_path: Path) -> None:
    """Certificates, passwords and secrets that are not there are found; secrets are never shown."""
    missing = tmp_path / "none"
    config = tmp_path / "agents.yaml"
    config.write_text(
        f"gateway: {{url: 'https://pay.example.com', token: {{file: {missing}}}, webhook_secrets: [{{env: NOT_SET}}]}}"
    )
    environment = {"RATER_SECURITY": "SSL", "RATER_CA_FILE": str(missing)}
    found = wrong_in(config, environment)
    assert [line.partition(":")[0] for line in found] == [
        "RATER_CA_FILE",
        "gateway.token",
        "gateway.webhook_secrets.0",
    ]


def test_several_at_once(tmp_path: Path) -> None:
    """All of them, each one line, on standard output; exit 1."""
    config = tmp_path / "agents.yaml"
    config.write_text("sweep_s: 0\ntick_s: -1\nodd: 1\n")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RATER_")}
    words = ["config", "check", config]
    ran = run(words, env=clean)
    assert ran.returncode == 1
    assert ran.stdout.decode().splitlines() == [
        f"{config}: sweep_s: expected greater than 0, got 0",
        f"{config}: tick_s: expected greater than 0, got -1",
        f"{config}: odd: expected no setting of this name",
    ]
    ran = run([*words, "--json"], env=clean)
    assert len(json.loads(ran.stdout)["wrong"]) == 3


def test_what_holds(tmp_path: Path) -> None:
    """Defaults included; of a secret the place, not the secret."""
    (tmp_path / "token").write_text("hush hush hush hush")
    settings = in_force(None, {"RATER_PREFIX": "blue-", "RATER_GATEWAY_URL": "https://pay.example.com", "RATER_GATEWAY_TOKEN": "hush"})  # fmt: skip
    assert settings["kafka"]["prefix"] == "blue-"
    assert settings["worker"]["batch_records_max"] == 2000
    assert settings["agents"]["gateway"]["token"] == {"file": None, "env": "RATER_GATEWAY_TOKEN"}
    assert "hush" not in json.dumps(settings)


def test_every_variable_of_the_manifests_is_known() -> None:
    """What compose and Kubernetes set is read by something."""
    known = known_variables()
    for path in [ROOT / "deploy/compose.yaml", *ROOT.glob("deploy/kubernetes/base/*.yaml")]:
        for word in path.read_text("utf-8").replace("{name: ", " ").replace(",", " ").replace(":", " ").split():
            if word.startswith("RATER_"):
                assert word in known, f"{path.name}: {word}"
