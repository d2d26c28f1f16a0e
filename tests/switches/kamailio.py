"""A Kamailio with the configuration that is shipped, on free ports, as a process."""

import json
import os
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path
from socket import SOCK_DGRAM
from typing import Any, NamedTuple

from rater.dev.ports import free_ports
from tests.conftest import ROOT
from tests.waiting import until

SHIPPED = ROOT / "deploy" / "switches" / "kamailio"
MAPPING = SHIPPED / "kamailio.yaml"
SECRET = "of-this-test"
NAME = "kamailio-1"
STOPS_WITHIN_S = 20
#: The state of a dialog whose ACK has come.
RUNS = 4


#: What kamailio.cfg has to have from its environment, for a look at the file alone.
_ANY = dict.fromkeys(
    ("SIP_LISTEN", "RPC_LISTEN", "RPC_SECRET", "NEXT_HOP", "RATER_ADDRESS", "RATER_TOKEN", "SWITCH_NAME"),
    "udp:127.0.0.1:5060",
)
_NO_MODULE = re.compile(r"could not find module <([^>]+)>")


@cache
def missing() -> str | None:
    """What is not here of a switch and a phone, and how it is installed; None where all is."""
    absent = [tool for tool in ("kamailio", "sipp") if shutil.which(tool) is None]
    if not absent:
        words = ["kamailio", "-c", "-E", "-f", str(SHIPPED / "kamailio.cfg")]
        checked = subprocess.run(words, env=os.environ | _ANY, capture_output=True, text=True, check=False)
        absent = [f"module {name} of kamailio" for name in _NO_MODULE.findall(checked.stderr)[:1]]
    if not absent:
        return None
    packages = "kamailio kamailio-extra-modules kamailio-utils-modules sip-tester"
    return f"no {' and no '.join(absent)} here: this makes real calls (apt install {packages})"


class Written(NamedTuple):
    """What Kamailio itself says of a call that ended: Unix times in microseconds."""

    usage_id: str
    call_id: str
    began_us: int
    ended_us: int
    authorized_s: str

    @property
    def duration_s(self) -> int:
        """Seconds, each that began."""
        return -(-(self.ended_us - self.began_us) // 1_000_000)


class Kamailio:
    """A switch that can be started again on the same ports; `next_hop` is where its calls go."""

    def __init__(self, folder: Path, rater_port: int, token: str, next_hop: int, *defines: str) -> None:
        (self.sip_port,), (self.rpc_port,) = free_ports(1, SOCK_DGRAM), free_ports(1)
        self.log = folder / "kamailio.log"
        self._run = folder / "kamailio"
        self._run.mkdir(exist_ok=True)
        self._defines = defines
        self._environment = os.environ | {
            "SIP_LISTEN": f"udp:127.0.0.1:{self.sip_port}",
            "RPC_LISTEN": f"tcp:127.0.0.1:{self.rpc_port}",
            "RPC_SECRET": SECRET,
            "NEXT_HOP": f"sip:127.0.0.1:{next_hop}",
            "RATER_ADDRESS": f"127.0.0.1:{rater_port}",
            "RATER_TOKEN": token,
            "SWITCH_NAME": NAME,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        words = ["kamailio", "-f", str(SHIPPED / "kamailio.cfg"), "-DD", "-E", "-n", "4", "-m", "64", "-M", "8"]
        words += ["-w", str(self._run), "-Y", str(self._run)]
        words += [word for define in self._defines for word in ("-A", define)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log, env=self._environment)
        until(self._answers, "Kamailio to answer", lambda: self.log.read_text()[-2_000:])

    def stop(self) -> None:
        """End it in order."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def rpc(self, method: str, *parameters: Any, secret: str = SECRET) -> tuple[int, Any]:
        """Status and answer of a JSON-RPC."""
        asked = {"jsonrpc": "2.0", "method": method, "params": parameters, "id": 1}
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        url = f"http://127.0.0.1:{self.rpc_port}/RPC"
        request = urllib.request.Request(url, json.dumps(asked).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    def dialogs(self) -> list[dict[str, Any]]:
        """The calls that it carries; what has ended stays in its list for some seconds."""
        return [one for one in self.rpc("dlg.list")[1]["result"] if one["state"] == RUNS]

    def said(self, what: str) -> list[str]:
        """The lines of its log with this text."""
        return [line for line in self.log.read_text(errors="replace").splitlines() if what in line]

    def written(self, call_id: str) -> Written:
        """The record of a call, once there is one."""
        return until(lambda: self._written(call_id), f"the record of {call_id}")

    def _written(self, call_id: str) -> Written | None:
        for line in self.said("record {"):
            record = json.loads(line.partition("record ")[2])
            if record["call_id"] == call_id:
                began_us, ended_us = _us(record["start"]), _us(record["end"])
                return Written(record["usage_id"], call_id, began_us, ended_us, record["authorized_s"])
        return None

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-2_000:]
        try:
            return self.rpc("dlg.stats_active")[0] == 200
        except OSError:
            return False


def _us(text: str) -> int:
    seconds, _, microseconds = text.partition(".")
    return int(seconds) * 1_000_000 + int(microseconds)
