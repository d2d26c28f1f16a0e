"""What the agents share, opened and closed together: knowledge of tenants, gateway, outbox, publisher."""

import asyncio
from contextlib import AsyncExitStack
from hashlib import blake2b

import msgspec
import structlog
from mode import Service
from prometheus_client import CollectorRegistry

from rater.agents.account_events import AccountNotices
from rater.agents.clock import Ticking
from rater.agents.follower import Follower
from rater.agents.notices.notifier import Notifier
from rater.agents.notices.outbox import Outbox
from rater.agents.payments.http_gateway import HttpGateway
from rater.agents.payments.webhooks import PaymentCommand, WebhookReceiver
from rater.agents.recharges import Payments
from rater.agents.settings import AgentsSettings
from rater.agents.switchboard import Switchboard
from rater.agents.tenants import ANSWERED_KEPT_MAX, TOPICS, Tenants
from rater.core import PaymentFailed, PaymentSucceeded, RatingSettings, RechargeRequest, Tick
from rater.kafka.own_certificates import note_ends
from rater.kafka.publisher import Publisher, partition_of
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import partitions_of
from rater.ops.metrics.meter import Metrics
from rater.wire.codec import encode_input

#: The topic by whose partitions processes that serve switches share out who orders the end of calls.
SWITCHES_SHARE = "service-states"

#: A row of digits would be masked in the log as a telephone number.
_LETTERS = str.maketrans("0123456789", "ghijklmnop")

#: As a number exact in a metric, which is a float.
_DIGEST_BYTES = 6

log = structlog.get_logger("rater.agents")


def digest_of(settings: AgentsSettings, rating: RatingSettings) -> bytes:
    """The same for processes that are set alike; each has an outbox of its own, so its path does not count."""
    written = settings.model_dump_json(exclude={"notify": {"outbox"}})
    return blake2b(written.encode() + msgspec.json.encode(rating), digest_size=_DIGEST_BYTES).digest()


class Agents(Service):
    """One for a process.  RaterError at once for settings that cannot be: a secret or a file that is not there."""

    def __init__(
        self, kafka: KafkaSettings, settings: AgentsSettings, rating: RatingSettings, instance: str | None = None
    ) -> None:
        super().__init__()
        self.settings = settings
        self._settings_digest = digest_of(settings, rating)
        self.metrics = Metrics(CollectorRegistry())
        self.metrics.settings(int.from_bytes(self._settings_digest))
        note_ends(self.metrics, kafka)
        self.publisher = Publisher(kafka)
        self.tenants = Tenants(self.metrics)
        self.follower = Follower(kafka, TOPICS, self.tenants.apply)
        self.ticking = Ticking(
            self.tenants, self.publish_command, self.owns_recharges_of, rating, settings.others_after_s
        )
        self.payments: Payments | None = None
        #: The last answer to each recharge that came by webhook: the id of its command.
        self._published_answers: dict[str, str] = {}
        self.receiver: WebhookReceiver | None = None
        self.notices: AccountNotices | None = None
        self.switchboard: Switchboard | None = None
        #: Set when everything is open; streams wait for it.
        self.opened = asyncio.Event()
        #: The partitions that the group gave to this process, by topic; None before it gave any.
        self.assigned: dict[str, frozenset[int]] | None = None
        self._kafka = kafka
        self._partitions = 0
        self.gateway: HttpGateway | None = None
        self._notifier: Notifier | None = None
        self._open_files = AsyncExitStack()
        self._set_up_payments()
        if settings.telling_instance in (None, instance):
            self._set_up_notices()
        if settings.switches is not None:
            self.switchboard = Switchboard(
                kafka, rating, settings.switches, self.metrics, self.publisher.publish, self.owns_calls_of
            )

    @property
    def ready(self) -> bool:
        """Whether everything is open, what is known is up to date, and the group has given partitions."""
        return self.opened.is_set() and self.follower.caught_up and self.assigned is not None

    @property
    def settings_digest(self) -> str:
        """Names the settings: where two processes of a deployment show different ones, they are set differently."""
        return self._settings_digest.hex().translate(_LETTERS)

    @property
    def shares(self) -> bool:
        """Whether there is anything that the group shares out."""
        return self.payments is not None or self.notices is not None

    def owns_recharges_of(self, tenant: str) -> bool:
        """Whether this process pays for and ticks for a tenant."""
        return self._owns("recharges", tenant)

    def owns_events_of(self, tenant: str) -> bool:
        """Whether this process notifies people of a tenant."""
        return self._owns("account-events", tenant)

    def owns_calls_of(self, tenant: str) -> bool:
        """Whether this process orders the end of a tenant's calls; all do where the group shares nothing out.

        The processes that serve switches share tenants among themselves, by a topic that only they subscribe to:
        one that pays or notifies only must not have a part of them.
        """
        return self.assigned is None or self._owns(SWITCHES_SHARE, tenant)

    async def publish_command(self, command: PaymentSucceeded | PaymentFailed | Tick) -> None:
        """Return once a command is stored; raises NotStored."""
        await self.publisher.publish("commands", command.tenant, encode_input(command))

    def wake(self, tenant: str) -> None:
        """A balance or a request came.  Before everything is known, what is in flight may have been answered."""
        if self.payments is not None and self.ready:
            self.payments.consider(tenant)

    async def sweep(self) -> None:
        """Look at every recharge in flight, once everything is known."""
        if self.payments is not None and self.ready:
            self.payments.sweep()

    async def tick(self) -> None:
        """Publish the ticks that are due, once everything is known."""
        if self.ready:
            await self.ticking.look()

    async def note_expiring(self) -> None:
        """Note what expires soon, once everything is known."""
        if self.notices is not None and self.ready:
            await self.notices.note_expiring(self.tenants, self.owns_events_of)

    async def on_start(self) -> None:
        """Open what has to be open."""
        self._partitions = await partitions_of(self._kafka, "commands")
        if self.gateway is not None:
            await self._open_files.enter_async_context(self.gateway)
        if self._notifier is not None:
            await self._open_files.enter_async_context(self._notifier)
        self.opened.set()
        log.info(
            "agents start",
            pays=self.gateway is not None,
            notifies=self._notifier is not None,
            answers_switches=self.switchboard is not None,
            settings=self.settings_digest,
        )

    async def on_stop(self) -> None:
        """Stop asking and sending; nothing is lost by it."""
        self.opened.clear()
        if self.payments is not None:
            await self.payments.close()
        await self.publisher.close()
        await self._open_files.aclose()

    @Service.task
    async def _follow(self) -> None:
        await self.follower.run()

    @Service.task
    async def _serve_switches(self) -> None:
        if self.switchboard is not None:
            await self.switchboard.run()

    @Service.task
    async def _send(self) -> None:
        if self.notices is not None:
            await self.opened.wait()
            await self.notices.send()

    def _set_up_payments(self) -> None:
        settings = self.settings.gateway
        if settings is None:
            return
        self.gateway = HttpGateway(settings, metrics=self.metrics)
        self.payments = Payments(
            self.tenants, self.gateway.collect, self.publish_command, self.owns_recharges_of, self.settings
        )
        self.tenants.changed = self.wake
        if settings.webhook_secrets:
            self.receiver = WebhookReceiver(settings, self._find_request, self._publish_answer, self.metrics)

    def _set_up_notices(self) -> None:
        settings = self.settings.notify
        if settings is None:
            return
        Outbox(settings.outbox, settings.ledger_days).close()  # says at once what is wrong with it
        self._notifier = Notifier(settings, metrics=self.metrics)
        self.notices = AccountNotices(self._notifier, self.metrics, self.settings.tell_within_hours)

    async def _find_request(self, recharge_id: str) -> RechargeRequest | None:
        return self.tenants.find_request(recharge_id)

    async def _publish_answer(self, command: PaymentCommand) -> bool:
        """Publish the result in a webhook; False when this process published the same and the rater has had it.

        Another result for a recharge that was answered goes to the rater, which does not drop it (A47).
        """
        recharge = command.recharge_id or ""
        request = self.tenants.find_request(recharge)
        answered = request is not None and self.follower.caught_up and not self.tenants.is_in_flight(request)
        if answered and self._published_answers.get(recharge) == command.id:
            return False
        await self.publish_command(command)
        self._published_answers[recharge] = command.id
        if len(self._published_answers) > ANSWERED_KEPT_MAX:
            del self._published_answers[next(iter(self._published_answers))]
        return True

    def _owns(self, topic: str, tenant: str) -> bool:
        owned = (self.assigned or {}).get(topic, frozenset())
        return bool(self._partitions) and partition_of(tenant, self._partitions) in owned
