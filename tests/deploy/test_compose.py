"""The compose file and the image: valid, locked, confined, and showing commands that exist."""

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from rater.files.extras import EXTRAS
from tests.commands import misunderstood
from tests.conftest import ROOT

DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()


def pins(path: Path) -> dict[str, str]:
    """Each locked package with its hashes and condition."""
    blocks = re.split(r"\n(?=\S)", re.sub(r"(?m)^\s+#.*\n?", "", path.read_text()))
    return {block.split(" ")[0]: " ".join(block.split()) for block in blocks if "==" in block}


def test_the_file_is_valid() -> None:
    """The Compose specification's own schema."""
    schema = json.loads((ROOT / "tests/fixtures/schemas/compose.json").read_text())
    assert [
        f"{list(error.path)}: {error.message[:200]}" for error in Draft7Validator(schema).iter_errors(COMPOSE)
    ] == []


def test_everything_is_there() -> None:
    """Kafka, topics, worker, agents, server, gateway, traffic, Prometheus, Grafana; what is waited for exists."""
    assert list(SERVICES) == [
        "kafka",
        "topics",
        "worker",
        "agents",
        "server",
        "gateway",
        "traffic",
        "prometheus",
        "grafana",
    ]
    for service in SERVICES.values():
        assert set(service.get("depends_on", ())) <= SERVICES.keys()
        named = {volume.split(":")[0] for volume in service.get("volumes", ()) if not volume.startswith((".", "/"))}
        assert named <= COMPOSE["volumes"].keys()


def test_mounted_files_exist() -> None:
    """A file that is not there would be mounted as an empty folder."""
    mounted = [
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", ())
        if volume.startswith(".")
    ]
    assert len(mounted) > 4
    assert [path for path in mounted if not (DEPLOY / path).exists()] == []


def test_nothing_listens_beyond_this_machine() -> None:
    """Without passwords, ports are published on 127.0.0.1 only."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(ports) == 5
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_images_are_pinned() -> None:
    """The same file gives the same picture next year."""
    images = [service["image"] for service in SERVICES.values()] + re.findall(
        r"(?m)^ARG \w+_IMAGE=(\S+)", DOCKERFILE
    )
    assert [image for image in images if ":" not in image or image.endswith(":latest")] == []


@pytest.mark.parametrize("name", OURS)
def test_our_services_are_confined(name: str) -> None:
    """Read-only, no capabilities; the user is the image's, which is not root."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    if "command" in service:
        assert misunderstood(" ".join(["rater", *(f"'{word}'" for word in service["command"])])) is None


def test_the_image_is_not_root_and_locked() -> None:
    """A number for the user, so that Kubernetes can check that it is not root; every package by its hash."""
    assert re.search(r"(?m)^USER 10001:10001$", DOCKERFILE)
    assert "--require-hashes -r /tmp/requirements.lock" in DOCKERFILE
    for source in re.findall(r"(?m)^COPY (?!--from)(\S+) ", DOCKERFILE):
        assert (ROOT / source).exists(), source


def test_what_is_copied_is_sent_to_the_builder() -> None:
    """The ignore file lets through what the Dockerfile copies, and nothing else."""
    let_through = {
        line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")
    }
    assert let_through == set(re.findall(r"(?m)^COPY (?!--from)(\S+) ", DOCKERFILE))


def test_the_image_has_the_packages_that_were_tested() -> None:
    """deploy/requirements.lock is requirements.lock without what only developers need."""
    tested, shipped = pins(ROOT / "requirements.lock"), pins(DEPLOY / "requirements.lock")
    assert {name: pin for name, pin in shipped.items() if tested.get(name) != pin} == {}
    names = {name.split("==")[0] for name in shipped}
    wanted = {re.split(r"[>=\[]", line)[0].lower() for line in _dependencies()}
    assert wanted <= names
    assert not names & {"pytest", "mypy", "ruff", "hypothesis", "hatchling"}
    assert not names & {package.lower() for packages in EXTRAS.values() for package in packages}


def test_extras_are_named_alike() -> None:
    """What the line about a missing library asks to install is what pyproject.toml lists, and what was tested."""
    written = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    said = {extra: tuple(re.split(r"[>=]", line)[0] for line in lines) for extra, lines in written.items()}
    assert said == EXTRAS
    tested = {pin.split("==")[0] for pin in pins(ROOT / "requirements.lock")}
    assert {name.lower() for names in said.values() for name in names} <= tested


def _dependencies() -> list[str]:
    text = (ROOT / "pyproject.toml").read_text()
    (block,) = re.findall(r"(?s)\ndependencies = \[(.*?)\n\]", text)
    return re.findall(r'"([^"]+)"', block)


@pytest.mark.parametrize(("name", "commands"), [("traffic.sh", 2), ("picture.sh", 8)])
def test_scripts_are_understood(name: str, commands: int) -> None:
    """Their commands exist, a shell reads them, and they are executable."""
    script = DEPLOY / name
    text = script.read_text().replace("\\\n", "")
    lines = re.findall(
        r"^ *(?:\w+=\S+ )?(?:run |(?:\w+\) )?set -- \w+ )?(rater [a-z][^|>;\n]*)", text, re.MULTILINE
    )
    assert len(lines) == commands
    assert [wrong for line in lines if (wrong := misunderstood(line.rstrip(" )")))] == []
    (deck,) = re.findall(r"rater/dev/\S+?\.csv", text)
    assert (ROOT / deck).exists(), "the price list that the traffic is priced with"
    subprocess.run(["sh", "-n", script], check=True)
    assert os.access(script, os.X_OK)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool checks this: apt-get install prometheus")
def test_prometheus_reads_its_configuration() -> None:
    """With the rules that it names."""
    subprocess.run(
        ["promtool", "check", "config", DEPLOY / "prometheus/prometheus.yml"], check=True, capture_output=True
    )


def test_alerts_speak_of_the_jobs_that_are_scraped() -> None:
    """RaterAgentsDown looks for the job of the agents."""
    jobs = {
        job["job_name"]
        for job in yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["scrape_configs"]
    }
    assert jobs == {"rater-worker", "rater-agents", "rater-server"}
    assert re.search(r'up\{job=~"\.\*rater-agents"\}', (DEPLOY / "prometheus/rules.yml").read_text())
