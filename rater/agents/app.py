"""The agents as a Faust application: `rater agents`.

Faust shares the partitions out, wakes on events and runs the timers; what is outstanding is never read from its
acknowledgements (see `payments`, `transport`).
"""

import os
from typing import Any

import faust
from faust.app.base import BootStrategy
from faust.auth import SASLCredentials, SSLCredentials

from rater.agents import pages, streams
from rater.agents.service import SWITCHES_SHARE, Agents
from rater.agents.settings import AgentsSettings
from rater.agents.transport import CarefulTransport
from rater.core import RatingSettings
from rater.kafka.connect import connection
from rater.kafka.settings import KafkaSettings
from rater.serve.limited_web import LimitedWeb

#: Seconds: what was finished since the last commit comes again after a kill.
_COMMIT_S = 1.0


class OnlyConsume(BootStrategy):
    """Faust without its own producer: commands leave through an idempotent one."""

    enable_kafka_producer = False


class OnlySupervise(BootStrategy):
    """Faust without consumer and producer: it does not start with nothing to consume."""

    enable_kafka = False


class AgentsApp(faust.App):
    """A Faust application that reads carefully."""

    BootStrategy = OnlyConsume

    def _create_directories(self) -> None:
        """There are no tables, so there is nothing to keep in folders."""

    def _new_web(self) -> LimitedWeb:
        return LimitedWeb(self)

    def _new_transport(self) -> CarefulTransport:
        return CarefulTransport(self.conf.broker_consumer, self)


class SwitchesApp(AgentsApp):
    """A Faust application that shares nothing out: agents that only serve switches."""

    BootStrategy = OnlySupervise  # type: ignore[assignment]  # it boots less


def make_app(
    kafka: KafkaSettings,
    settings: AgentsSettings,
    rating: RatingSettings,
    web_port: int,
    instance: str | None = None,
) -> AgentsApp:
    """The application with everything that runs in it; nothing is connected before it starts.

    Raises RaterError for settings that cannot be.
    """
    agents = Agents(kafka, settings, rating, instance)
    host = os.environ.get("RATER_WEB_HOST", "127.0.0.1")
    app_type = AgentsApp if agents.shares else SwitchesApp
    app = app_type(
        f"{kafka.group}-agents",
        broker=[f"kafka://{address}" for address in kafka.bootstrap.split(",")],
        broker_credentials=_credentials(kafka),
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.session_timeout_s / 5,
        broker_commit_interval=_COMMIT_S,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=instance,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_host=host,
        web_bind=host,  # else Faust listens on every address, whatever its host is
        web_port=web_port,
    )
    app.service(agents)  # type: ignore[arg-type]  # it takes services, too
    _add_agents(app, agents, kafka)
    _add_timers(app, agents)
    add_pages(app, agents)
    return app


def add_pages(app: AgentsApp, agents: Agents) -> None:
    """Everything that the web port answers; what else is mounted in this app is added here."""
    pages.add_health(app, agents)
    pages.add_webhooks(app, agents)
    pages.add_answers(app, agents)


def _add_agents(app: AgentsApp, agents: Agents, kafka: KafkaSettings) -> None:
    """One agent for each decision, and what says which partitions are this process's."""
    if agents.payments is not None:
        streams.pay(app, agents, kafka.topic("recharges"))
    if agents.notices is not None:
        streams.notify(app, agents, agents.notices, kafka.topic("account-events"))
    if agents.switchboard is not None and agents.shares:
        streams.share_switches(app, kafka.topic(SWITCHES_SHARE))

    @app.on_partitions_assigned.connect  # type: ignore[arg-type]  # it is called with what Any stands for
    async def share(_app: Any, *places: Any, **_: Any) -> None:
        found: dict[str, set[int]] = {}
        for place in places[0]:
            found.setdefault(place.topic.removeprefix(kafka.prefix), set()).add(place.partition)
        agents.assigned = {name: frozenset(numbers) for name, numbers in found.items()}


def _add_timers(app: AgentsApp, agents: Agents) -> None:
    app.timer(agents.settings.sweep_s, name="sweep")(agents.sweep)
    app.timer(agents.settings.tick_s, name="tick")(agents.tick)
    app.timer(agents.settings.expiring_s, name="expiring")(agents.note_expiring)


def _credentials(kafka: KafkaSettings) -> SASLCredentials | SSLCredentials | None:
    """How every client of ours connects, in Faust's words."""
    arguments = connection(kafka)
    tls = arguments.get("ssl_context")
    if "sasl_mechanism" in arguments:
        return SASLCredentials(
            username=arguments["sasl_plain_username"],
            password=arguments["sasl_plain_password"],
            mechanism=arguments["sasl_mechanism"],
            ssl_context=tls,
        )
    return None if tls is None else SSLCredentials(tls)
