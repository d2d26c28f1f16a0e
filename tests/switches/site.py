"""A site: `rater serve` over a store, a Kamailio that asks it, and a phone that answers every call."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from rater.core import (
    AnyCommand,
    CallCommand,
    FundsAdded,
    LicenseAssigned,
    RatedCall,
    TenantConfigured,
)
from rater.embedded.store import open_reader
from rater.wire.codec import encode_input
from tests.serve.processes import ServeProcess
from tests.serve.world import Switch, clients_file
from tests.switches.kamailio import MAPPING, NAME, SECRET, Kamailio
from tests.switches.phones import Answerer, Caller
from tests.waiting import until

#: 0.01 a second to the United States, 0.10 to the United Kingdom, 0.07 a minute to France, 60 to Jamaica.
DECK = Path(__file__).parent / "deck.csv"
US, LONDON, PARIS, JAMAICA = "+12065550100", "+442079460000", "+33142681000", "+18765550100"
#: Every call is known to the rater again each second, so that a test need not wait for half a minute.
QUICK = 'HEARTBEAT_TIMER="name=heartbeats;interval=1;mode=1"'
A_DAY = timedelta(days=1)
#: From the ledger's decision that a call must end to its BYE: some milliseconds, and longer while other tests run.  A
#: call that nobody cuts goes on for as many seconds as its credit pays for, which are 50 here.
CUT_WITHIN_S = 20


def setting_up(tenant: str, funds: str | None, sku: str = "MCOPSTNPP") -> Iterator[AnyCommand]:
    """A tenant with money, and ada, who has a licence; MCOPSTNPP alone gives no minutes."""
    at = datetime.now(UTC) - A_DAY
    yield TenantConfigured(tenant=tenant, id="setup", at=at, currency="USD", credits="enabled")
    if funds is not None:
        yield FundsAdded(tenant=tenant, id="funds", at=at, amount=funds)
    yield LicenseAssigned(tenant=tenant, id="ada", at=at, user="ada", sku=sku, country="US", since_ever=True)


def costly(tenant: str, now: datetime) -> dict[str, Any]:
    """The record of a call of ada's on another switch that ends now: a minute to Jamaica, which costs 60."""
    return {
        "tenant": tenant, "usage_id": "other", "type": "user_out", "user": "ada", "called": JAMAICA,
        "answered_at": (now - timedelta(seconds=60)).isoformat(), "duration_s": 60,
    }  # fmt: skip


#: How the rater calls this Kamailio.
SWITCHES = """\
switches:
  - name: {name}
    kind: kamailio
    address: http://127.0.0.1:{port}/RPC
    secret: {{file: {secret}}}
"""


class Site:
    """Everything runs while the block of `site` does."""

    def __init__(self, folder: Path, *defines: str) -> None:
        """With the define ORDERS_BY_RPC the rater calls Kamailio, which reads no orders itself."""
        self.folder, self.store = folder, folder / "store.db"
        clients = clients_file(folder, kamailio={}, office={"may": ["commands", "cdrs"]})
        words = (f"--store={self.store}", f"--deck={DECK}", f"--map={MAPPING}")
        file = folder / "switches.yaml"
        by_rpc = {"RATER_SWITCHES_FILE": str(file)} if "ORDERS_BY_RPC" in defines else {}
        self.serving = ServeProcess(folder, clients, *words, environment=by_rpc)
        self.office = Switch(self.serving.switch.base, clients.tokens["office"])
        self.answerer = Answerer(folder)
        token = clients.tokens["kamailio"]
        self.kamailio = Kamailio(folder, self.serving.port, token, self.answerer.port, *defines)
        file.write_text(SWITCHES.format(name=NAME, port=self.kamailio.rpc_port, secret=folder / "secret"))
        (folder / "secret").write_text(SECRET)
        self._callers: list[Caller] = []

    def start(self) -> None:
        """Start it."""
        self.serving.start()
        self.answerer.start()
        self.serving.wait_until_ready()
        self.kamailio.start()

    def end(self) -> None:
        """End whatever runs of it."""
        for phone in (*self._callers, self.answerer):
            phone.end()
        if self.kamailio.process is not None:
            self.kamailio.stop()
        if self.serving.process is not None:
            self.serving.stop()

    def tenant(self, name: str, funds: str | None, sku: str = "MCOPSTNPP") -> str:
        """Set up a tenant; its name."""
        body = b"".join(encode_input(one) + b"\n" for one in setting_up(name, funds, sku))
        answer = self.office.ask("/v1/commands", body, type="application/x-ndjson")
        assert (answer.status, answer.body["refused"]) == (200, 0), answer
        return name

    def call(self, scenario: str, tenant: str, called: str, *words: str) -> Caller:
        """A phone of ada's that begins to call; `-d MS` says how long it talks."""
        caller = Caller(self.folder, self.kamailio.sip_port, scenario, tenant, "ada", called, *words)
        self._callers.append(caller)
        caller.start()
        return caller

    def lasts_s(self, caller: Caller) -> int:
        """Seconds of Kamailio's clock since a call began, up to one more than it has run; 0 where it does not run."""
        return sum(one["duration"] for one in self.kamailio.dialogs() if one["call-id"] == caller.id)

    def events_taken(self) -> int:
        """Events of calls that the rater took from the switch."""
        counted = 'rater_http_records_total{result="accepted",route="call_events"} '
        (line,) = [
            line for line in self.serving.switch.ask("/metrics").body.splitlines() if line.startswith(counted)
        ]
        return int(float(line.removeprefix(counted)))

    def may(self, tenant: str, called: str) -> str:
        """Why another call of ada's may start now, or may not."""
        asked = urlencode({"tenant": tenant, "user": "ada", "called": called})
        return str(self.serving.switch.ask(f"/v1/authorize?{asked}").body["reason"])

    def rated(self, caller: Caller) -> RatedCall:
        """What the ledger has of a call, once it has it."""
        return until(lambda: self._rated(caller.id), f"the ledger to have {caller.id}", self._shown)

    def _rated(self, call_id: str) -> RatedCall | None:
        found = [one for one in self._read("rated-calls", RatedCall) if one.call_id == call_id]
        assert len(found) < 2, "a call is rated once"
        return found[0] if found else None

    def orders(self, tenant: str) -> list[CallCommand]:
        """The orders to end calls of a tenant."""
        return [one for one in self._read("call-commands", CallCommand) if one.tenant == tenant]

    def balance(self, tenant: str) -> str:
        """What it has."""
        return str([one["balance"] for one in self._read("balances", dict) if one["tenant"] == tenant][-1])

    def dead_letters(self) -> list[Any]:
        """Records that could not be rated."""
        return self._read("rejected-cdrs", dict)

    def _read(self, topic: str, type: type[Any]) -> list[Any]:
        reader = open_reader(self.store)
        try:
            return [msgspec.json.decode(value, type=type) for _, value in reader.topic(topic)]
        finally:
            reader.close()

    def _shown(self) -> str:
        return "\n".join((*self.kamailio.said("ERROR")[-5:], str(self.dead_letters()[-1:])))


@contextmanager
def site(folder: Path, *defines: str) -> Iterator[Site]:
    """A site that runs."""
    found = Site(folder, *defines)
    try:
        found.start()
        yield found
    finally:
        found.end()
