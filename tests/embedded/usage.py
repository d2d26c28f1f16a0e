"""Usage exports of contoso and the command line that rates them, for tests with files."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from rater.wire.errors import Exit
from tests.commands import rater

HEADER = (
    "UsageId,Call ID,Conference ID,User Location,AAD ObjectId,UPN,User Display Name,Caller ID,Call Type,Number Type,"
    "Domestic/International,Destination Dialed,Destination Number,Start Time,End Time,Duration Seconds,Connection Fee,"
    "Charge,Currency,Capability"
)
ROW = (
    "{id},call-1,<No data>,US,4b1c,Ada@contoso.example,Ada,+14255550100,{type},User,Domestic,United States,{number},"
    "{start},{end},{seconds},0.00,0.00,USD,MCOPSTN1"
)
GRAPH_ROW: dict[str, Any] = {
    "id": "9c4984c7-6c3c-427d-a30c-bd0b2eacee90",
    "callId": "1835317186_112562680@61.221.3.176",
    "userId": "db03c14b-06eb-4189-939b-7cbf3a20ba27",
    "userPrincipalName": "ada@contoso.example",
    "userDisplayName": "Ada",
    "startDateTime": "2025-03-01T00:00:08.2589935Z",
    "endDateTime": "2025-03-01T00:03:47.2589935Z",
    "duration": 219,
    "charge": 0.0,
    "callType": "user_in",
    "currency": "USD",
    "calleeNumber": "+12345678900",
    "callerNumber": "+12065550100",
    "usageCountryCode": "US",
    "connectionCharge": 0.0,
    "destinationContext": None,
    "conferenceId": None,
    "licenseCapability": "MCOPSTNU",
    "inventoryType": "Subscriber",
}
SETUP = """\
{"command":"tenant_configured","tenant":"contoso","id":"s","at":"2025-01-01T00:00:00Z","currency":"USD","credits":"enabled"}
{"command":"funds_added","tenant":"contoso","id":"f","at":"2025-02-01T00:00:00Z","amount":"10"}
{"command":"license_assigned","tenant":"contoso","id":"l1","at":"2025-01-01T00:00:00Z","user":"ada@contoso.example",\
"sku":"MCOPSTN5","country":"US"}
{"command":"license_assigned","tenant":"contoso","id":"l2","at":"2025-01-01T00:00:00Z","user":"ada@contoso.example",\
"sku":"MCOPSTNPP","country":"US"}
"""

#: Kills the process before or after its n-th commit.
_KILL = """\
import os, signal, sys
from rater.embedded.store import Store
commit, when, left = Store.commit, sys.argv.pop(1), [int(sys.argv.pop(1))]
def counted(self, *args):
    left[0] -= 1
    if not left[0] and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    commit(self, *args)
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
Store.commit = counted
from rater.cli import main
main()
"""


def row(id: str, number: str = "+12065550100", seconds: object = 61, **cells: str) -> str:
    values = {"type": "user_out", "start": "2025-03-01T10:00:00Z", "end": "2025-03-01T11:00:00Z"} | cells
    return ROW.format(id=id, number=number, seconds=seconds, **values)


def run(folder: Path, *files: object, stdin: bytes = b"", code: int = Exit.OK) -> dict[str, Any]:
    """`rater run` on files of contoso; the summary."""
    done = rater(
        "run", *files, "--commands", "setup.jsonl", "--deck", "deck.csv", "--tenant", "contoso", "--json",
        cwd=folder, stdin=stdin, code=code,
    )  # fmt: skip
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary | {"said": done.stderr}


def killed_at(folder: Path, when: str, commit: int, *words: str) -> None:
    """The command line, killed `before` or `after` its n-th commit."""
    killed = subprocess.run(
        [sys.executable, "-c", _KILL, when, str(commit), *words], cwd=folder, capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
