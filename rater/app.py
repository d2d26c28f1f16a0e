"""The worker as a Faust application: `rater worker`, or `faust -A rater.app worker`.

Faust is supervisor and web server here; its own consumer and producer are off, because the money is moved by the
rating task (README, decisions).  Settings come from the environment, `RATER_...`, and from `rater worker`.
Refuses to know rating.
"""

import os

import faust
from faust.app.base import BootStrategy
from mode import Service

from rater.core.settings import RatingSettings
from rater.kafka.observe import Logbook
from rater.kafka.settings import KafkaSettings, WorkerSettings, from_environment
from rater.kafka.worker import Worker

#: Seconds without a turn of the loop after which the process counts as dead.
LIVENESS_S = 30.0
WEB_PORT = 6066


class OnlySupervise(BootStrategy):
    """Faust without its own consumer and producer."""

    enable_kafka = False


class RaterApp(faust.App):
    """A Faust application that only supervises."""

    BootStrategy = OnlySupervise


class RatingService(Service):
    """The rating worker under Faust's supervision."""

    made_of: tuple[KafkaSettings, WorkerSettings, RatingSettings]
    worker: Worker | None = None

    async def on_start(self) -> None:
        """Make the worker within the loop that runs it."""
        self.worker = Worker(*self.made_of, Logbook())

    @Service.task
    async def _rate(self) -> None:
        assert self.worker is not None, "started"
        await self.worker.run()

    async def on_stop(self) -> None:
        """Finish the batch, commit, leave."""
        if self.worker is not None:
            self.worker.stop()


def make_app(kafka: KafkaSettings, settings: WorkerSettings, rating: RatingSettings, web_port: int) -> RaterApp:
    """The application; nothing is connected before it starts."""
    app = RaterApp(
        f"{kafka.group}-worker",
        broker=f"kafka://{kafka.bootstrap}",
        web_host="127.0.0.1",
        web_port=web_port,
        datadir=settings.index_folder,
    )

    class OfThisApp(RatingService):
        made_of = kafka, settings, rating

    app.service(OfThisApp)
    return app


app = make_app(
    from_environment(KafkaSettings),
    from_environment(WorkerSettings),
    RatingSettings(),
    int(os.environ.get("RATER_WEB_PORT", WEB_PORT)),
)
