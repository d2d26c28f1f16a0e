"""Agents as processes on a real broker, with a sandbox gateway, a mail server, and tenants who call until they pay."""

import os
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from aiosmtpd.controller import Controller

from rater.agents.notices.facts import message_key, notice_of
from rater.core.inputs import (
    EVERY_TENANT,
    AnyCommand,
    CallRecord,
    DeckActivated,
    FundsAdded,
    LicenseAssigned,
    RateDeck,
    RateRow,
    RechargeSettings,
    TenantConfigured,
)
from rater.core.outputs import AccountEvent, Balance, RechargeRequest
from rater.core.reasons import CallType
from rater.dev.ports import free_ports
from rater.kafka.batch_publisher import Message
from rater.wire.codec import encode_input
from tests.forks import Forked
from tests.kafka.deployment import Deployment
from tests.notify.world import Mailbox

SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
#: Tenants are named for what their payments meet.
BEHAVIOURS = ("approve", "drop", "late", "twice", "html", "unavailable")
DECK = RateDeck(
    version="one-a-minute",
    currency="USD",
    rows=(RateRow(direction="outbound", prefix="44", destination="GB", type="landline", price_per_minute="1"),),
)
_Record = TypeVar("_Record")


class AgentsProcess:
    """`rater agents` as its own process, with an outbox on a disk of its own."""

    def __init__(self, deployment: Deployment, name: str, web_port: int, environment: dict[str, str]) -> None:
        self.web_port = web_port
        self.log = deployment.folder / f"{name}.log"
        arguments = [
            *("agents", f"--prefix={deployment.settings.prefix}"),
            *(f"--instance={name}", f"--web-port={web_port}"),
        ]
        given = {
            "RATER_BOOTSTRAP": deployment.settings.bootstrap,
            "RATER_NOTIFY_OUTBOX": str(deployment.folder / f"{name}.db"),
        }
        with self.log.open("ab") as log:
            self.process = Forked(arguments, stdout=log, stderr=log, env=os.environ | given | environment)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    @property
    def webhook_url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}/v1/webhooks/payments"

    @property
    def ready(self) -> bool:
        return self.get("/readyz")[0] == 200

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}{path}") as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()
        except OSError:
            return 0, ""

    def counted(self, series: str) -> float:
        """What a series of its metrics stands at."""
        lines = [line for line in self.get("/metrics")[1].splitlines() if line.startswith(series)]
        return float(lines[0].rpartition(" ")[2]) if lines else 0.0


class CountedMailbox(Mailbox):
    """Counts Message-IDs as messages come: reading thousands of headers again and again would hold the server up."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: Counter[str] = Counter()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        answer = await super().handle_DATA(server, session, envelope)
        self.sent[self.messages[-1]["Message-ID"]] += 1
        return answer


class Surroundings:
    """A gateway, a mail server, and the agents between them and the deployment."""

    def __init__(self, deployment: Deployment, mailbox: CountedMailbox, **environment: str) -> None:
        self.deployment = deployment
        self.mailbox = mailbox
        self.charges = deployment.folder / "charges.jsonl"
        self.agents: dict[str, AgentsProcess] = {}
        self._gateway_port, *self._web_ports = free_ports(4)
        self._gateway: Forked | None = None
        self._environment = {
            "RATER_GATEWAY_URL": f"http://127.0.0.1:{self._gateway_port}",
            "RATER_GATEWAY_WEBHOOK_SECRETS": "[{env: RATER_WEBHOOK_SECRET}]",
            "RATER_WEBHOOK_SECRET": SECRET,
            "RATER_TELLING_INSTANCE": "agents-0",
            "RATER_SWEEP_S": "0.5",
            # So many payments meet trouble here that the circuit would be open most of the time.
            "RATER_GATEWAY_CIRCUIT_OPEN_S": "1",
            "RATER_ASK_AGAIN_INITIAL_S": "0.5",
            "RATER_ASK_AGAIN_MAX_S": "2",
            "RATER_TICK_S": "0.5",
            "RATER_NOTIFY_EMAIL": (
                f"{{host: 127.0.0.1, port: {mailbox.port}, security: none, sender: rater@carrier.example,"
                " recipients: {'*': [billing@contoso.example]}, messages_per_hour_max: 1000}"
            ),
            **environment,
        }

    def start_gateway(self, *options: str) -> None:
        """The sandbox; each tenant's behaviour is its name's, webhooks go to the first agents."""
        arguments = [
            *("dev", "gateway", f"--port={self._gateway_port}"),
            *(f"--log={self.charges}", f"--webhook-url={self._webhook_url()}", "--webhook-after=0.2"),
            *(f"--when=tenant:{behaviour}={behaviour}" for behaviour in BEHAVIOURS),
            *options,
        ]
        with (self.deployment.folder / "gateway.log").open("ab") as log:
            environment = os.environ | self._environment
            self._gateway = Forked(arguments, stdout=log, stderr=log, env=environment)

    def start(self, name: str) -> AgentsProcess:
        """Start agents; under a name that was used before they use its outbox and port."""
        known = list(self.agents)
        number = known.index(name) if name in known else len(known)
        self.agents[name] = AgentsProcess(self.deployment, name, self._web_ports[number], self._environment)
        return self.agents[name]

    def end(self) -> None:
        for process in [*(agents.process for agents in self.agents.values()), self._gateway]:
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()

    def _webhook_url(self) -> str:
        return f"http://127.0.0.1:{self._web_ports[0]}/v1/webhooks/payments"


@contextmanager
def surroundings(deployment: Deployment, **environment: str) -> Iterator[Surroundings]:
    """Everything around the deployment, ended with the block."""
    mailbox = CountedMailbox()
    mailbox.port = free_ports(1)[0]
    server = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port)
    server.start()
    around = Surroundings(deployment, mailbox, **environment)
    try:
        yield around
    finally:
        around.end()
        server.stop()


def records(deployment: Deployment, topic: str, type: type[_Record]) -> list[_Record]:
    """Every committed record of a topic."""
    return [msgspec.json.decode(value, type=type) for value in deployment.values(topic)]


def balances(deployment: Deployment) -> dict[str, Balance]:
    return {balance.tenant: balance for balance in records(deployment, "balances", Balance)}


def requests(deployment: Deployment) -> list[RechargeRequest]:
    return records(deployment, "recharges", RechargeRequest)


def notices_of(deployment: Deployment) -> Counter[str]:
    """The Message-ID that each event must be notified under."""
    events = records(deployment, "account-events", AccountEvent)
    notified = [event for event in events if notice_of(event) is not None]
    return Counter(f"<{message_key((event.id,))}@carrier.example>" for event in notified)


def tenant_names(count: int) -> list[str]:
    return [f"{BEHAVIOURS[number % len(BEHAVIOURS)]}-{number:04d}" for number in range(count)]


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def command(value: AnyCommand) -> Message:
    return "commands", value.tenant, encode_input(value)


def deck(at: datetime) -> list[Message]:
    """A dollar a minute to Britain, for every tenant."""
    everybody = DeckActivated(tenant=EVERY_TENANT, id="deck", at=at, version=DECK.version)
    return [("rate-decks", DECK.version, encode_input(DECK)), ("commands", EVERY_TENANT, encode_input(everybody))]


def prepaid(tenant: str, at: datetime, funds: str = "100", **recharge: Any) -> list[Message]:
    """A tenant with credit and auto-recharge (60 below 50), and one user who pays as he goes."""
    terms = RechargeSettings(**{"enabled": True, "trigger": "50", "amount": "60", **recharge})
    user = f"ada@{tenant}.example"
    licences = [
        LicenseAssigned(tenant=tenant, id=sku, at=at, user=user, sku=sku, country="US", since_ever=True)
        for sku in ("MCOPSTN_PAYG_1", "MCOPSTNPP")
    ]
    configured = TenantConfigured(
        tenant=tenant, id="setup", at=at, currency="USD", credits="enabled", recharge=terms
    )
    funded = FundsAdded(tenant=tenant, id="funds", at=at, amount=funds)
    commands: list[AnyCommand] = [configured, *licences, funded]
    return [command(value) for value in commands]


def call(tenant: str, number: int, at: datetime, minutes: int = 60) -> Message:
    """A call to London that costs a dollar a minute."""
    record = CallRecord(
        tenant=tenant,
        usage_id=f"call-{number}",
        type=CallType.USER_OUT,
        answered_at=at,
        duration_s=60 * minutes,
        received_at=at + timedelta(minutes=minutes),
        user=f"ada@{tenant}.example",
        called="+442079460000",
        calling="+12065550100",
        user_country="US",
    )
    return "cdrs", tenant, encode_input(record)


def charged(path: Path) -> int:
    """How many charges the gateway has written by now."""
    return path.read_bytes().count(b'"record":"charge"') if path.exists() else 0
