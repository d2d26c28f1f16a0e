"""Phones: SIPp plays one scenario a process, and writes down each message with its time."""

import subprocess
from pathlib import Path
from socket import SOCK_DGRAM
from typing import NamedTuple

from rater.dev.ports import free_ports
from tests.waiting import until

SCENARIOS = Path(__file__).parent / "scenarios"
#: A call takes seconds, and longer while other tests run.
ENDS_WITHIN_S = 120


class Message(NamedTuple):
    """A SIP message: when, whether the phone sent it, its Call-ID and its first line."""

    at: float
    sent: bool
    call_id: str
    line: str


class Phone:
    """A scenario being played; `id` is the Call-ID of its one call."""

    def __init__(self, folder: Path, scenario: str, *words: str) -> None:
        (self.port,) = free_ports(1, SOCK_DGRAM)
        self._messages = folder / f"{scenario}-{self.port}.messages"
        self._log = folder / f"{scenario}-{self.port}.log"
        self._words = [
            *("sipp", "-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", "127.0.0.1", "-p", str(self.port)),
            *("-nostdin", "-trace_shortmsg", "-shortmessage_file", str(self._messages), *words),
        ]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin."""
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(self._words, stdout=log, stderr=log, cwd=self._log.parent)

    def wait(self) -> int:
        """The exit code: 0 where the call went as the scenario says."""
        assert self.process is not None
        return self.process.wait(ENDS_WITHIN_S)

    def end(self) -> None:
        """End it, if it has not ended by itself."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def messages(self) -> list[Message]:
        """What it sent and received so far."""
        if not self._messages.exists():
            return []
        found = []
        for line in self._messages.read_text(errors="replace").splitlines():
            fields = line.split("\t")
            if len(fields) >= 7:
                found.append(Message(float(fields[2]), fields[3] == "S", fields[4], fields[6]))
        return found

    def received(self, beginning: str) -> list[Message]:
        """What it received that begins so."""
        return [one for one in self.messages() if not one.sent and one.line.startswith(beginning)]

    @property
    def id(self) -> str:
        """The Call-ID."""
        assert self.process is not None
        return f"1-{self.process.pid}@127.0.0.1"

    @property
    def answer(self) -> str:
        """The final answer to its first INVITE, as the phone shows it: `402 Payment Required (...)`."""
        lines = [one.line.removeprefix("SIP/2.0 ") for one in self.received("SIP/2.0 ")]
        return next(line for line in lines if not line.startswith("1"))


class Answerer(Phone):
    """Answers every call."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "answerer")


class Caller(Phone):
    """Makes one call."""

    def __init__(
        self, folder: Path, switch_port: int, scenario: str, tenant: str, user: str, called: str, *words: str
    ) -> None:
        keys = {"tenant": tenant, "user": user, "called": called}
        given = [word for name, value in keys.items() for word in ("-key", name, value)]
        super().__init__(folder, scenario, f"127.0.0.1:{switch_port}", "-m", "1", *given, *words)

    def wait_until_answered(self) -> None:
        """Until it talks."""
        until(lambda: self.received("SIP/2.0 200"), "an answer", lambda: str(self.messages()))
