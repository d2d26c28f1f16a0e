"""The moving picture: it answers switches, its parts can be stopped and started, and it ends with nothing left."""

import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from rater.dev.ports import free_ports
from tests.conftest import ROOT
from tests.kafka.conftest import JARS, local_kafka
from tests.kafka.deployment import until
from tests.serve.web.world import Visitor

SCRIPT = ROOT / "deploy/picture.sh"
PORTS = ("KAFKA_PORT", "WORKER_PORT", "AGENTS_PORT", "GATEWAY_PORT", "PAGE_PORT", "PROMETHEUS_PORT")
#: What 130 stands for: ended by SIGINT, which Ctrl-C sends.
INTERRUPTED = 130

pytestmark = pytest.mark.xdist_group("kafka")


class Picture:
    """`deploy/picture.sh` with folders and ports of its own, as a terminal would run it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "picture"
        kafka = folder / "kafka"
        kafka.mkdir()
        local_kafka(kafka).fetch_jars()
        (kafka / "jars").symlink_to(JARS.resolve())
        ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
        self.worker, self.agents, self.page, self.prometheus = (
            f"http://127.0.0.1:{ports[f'{name}_PORT']}" for name in ("WORKER", "AGENTS", "PAGE", "PROMETHEUS")
        )
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        folders = {"PICTURE_FOLDER": str(self.folder), "KAFKA_FOLDER": str(kafka)}
        self._environment = os.environ | ports | folders | {"PATH": path, "PYTHONPATH": str(ROOT)}
        self.output = folder / "output"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                # where the tests run in the background SIGINT is ignored, and a shell would never see it
                ["env", "--default-signal=INT", SCRIPT],
                stdout=output,
                stderr=output,
                env=self._environment,
                start_new_session=True,
                cwd=folder,
            )

    def do(self, *words: str) -> str:
        """What another terminal types: `deploy/picture.sh` with these words; what it prints."""
        environment = {name: self._environment[name] for name in ("PATH", "PYTHONPATH", "PICTURE_FOLDER")}
        ran = subprocess.run([SCRIPT, *words], capture_output=True, text=True, check=False, env=environment)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def running(self) -> list[str]:
        """The parts that run."""
        return [line.partition(":")[0] for line in self.do("status").splitlines() if ": process " in line]

    def rated(self) -> float:
        """Call records that the worker rated since it was started; 0 while it does not answer."""
        lines = get(f"{self.worker}/metrics")[1].splitlines()
        return sum(
            float(line.split()[1]) for line in lines if line.startswith('rater_records_total{outcome="rated"}')
        )

    def processes(self) -> list[str]:
        """Command lines of this machine that name one of its folders."""
        lines = subprocess.run(["ps", "-eo", "args="], capture_output=True, text=True, check=True).stdout
        return [line for line in lines.splitlines() if str(self.folder.parent) in line]

    def end(self) -> int:
        """Ctrl-C: SIGINT to all processes of the terminal; the exit code."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(timeout=120)


def get(address: str, token: str = "") -> tuple[int, str]:
    """Status and text of a page; 0 while nobody listens."""
    asked = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(asked, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, ""
    except OSError:
        return 0, ""


@pytest.fixture
def picture(tmp_path: Path) -> Iterator[Picture]:
    found = Picture(tmp_path)
    yield found
    found.end()


@pytest.mark.skipif(shutil.which("ps") is None, reason="the script finds its processes with ps: apt install procps")
def test_the_picture_answers_and_recovers_and_ends(picture: Picture) -> None:
    """A switch is answered; broker and worker go and come back under the same traffic; Ctrl-C leaves no process."""
    until(lambda: "Ctrl-C here ends everything" in picture.output.read_text(), "all parts to be started")
    token = (picture.folder / "switches-token").read_text()
    question = "tenant=tenant-0000&user=user000000@tenant-0000.example&called=%2B442079460000"
    address = f"{picture.agents}/v1/authorize?{question}"
    until(lambda: get(address, token)[0] == 200, "a switch to be answered")
    assert orjson.loads(get(address, token)[1])["allowed"] in (True, False)
    assert get(address, "wrong")[0] == 401
    until(lambda: picture.rated() > 0, "calls to be rated")

    until(lambda: get(f"{picture.page}/readyz")[0] == 200, "the page to have read the topics")
    visitor = Visitor(picture.page)
    visitor.sign_in((picture.folder / "page-token").read_text().strip())
    until(lambda: "tenant-0000" in visitor.get("/tenants").words, "the page to show a tenant")
    if shutil.which("prometheus") is not None:
        until(lambda: get(f"{picture.prometheus}/api/v1/alerts")[0] == 200, "Prometheus to answer")
    traffic = (picture.folder / "traffic.pid").read_text()
    assert picture.do("kill", "broker") == "broker: killed\n"
    assert "broker" not in picture.running()
    picture.do("start", "broker")
    before = picture.rated()
    until(lambda: picture.rated() > before, "calls to be rated with the broker that came back")
    picture.do("stop", "worker")
    assert {"broker", "agents", "gateway", "page", "traffic"} == set(picture.running()) - {"prometheus"}
    picture.do("start", "worker")
    until(lambda: picture.rated() > 0, "calls to be rated by the worker that came back")
    assert (picture.folder / "traffic.pid").read_text() == traffic
    assert "traffic" in picture.running()

    assert picture.do("pause", "agents") == "agents: paused\n"
    assert [line for line in picture.do("status").splitlines() if line.endswith(", paused")]
    assert picture.end() == INTERRUPTED
    assert picture.processes() == []
    assert list(picture.folder.glob("*.pid")) == []


@pytest.mark.skipif(shutil.which("ps") is None, reason="the script finds its processes with ps: apt install procps")
def test_a_picture_is_ended_from_another_terminal(picture: Picture) -> None:
    """Its own terminal ends with it, and reports none of its parts as one that ended by itself."""
    until(lambda: "Ctrl-C here ends everything" in picture.output.read_text(), "all parts to be started")
    picture.do("end")
    assert picture.process.wait(timeout=60) == 0
    assert picture.output.read_text().endswith("ended from another terminal\n")
    assert picture.processes() == []


def test_a_part_that_does_not_exist_is_one_line() -> None:
    """A misspelt part ends nothing; the line names the parts."""
    ran = subprocess.run([SCRIPT, "stop", "wroker"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (
        2,
        "wroker: expected one of: broker gateway worker agents page prometheus traffic\n",
    )
