"""The worker as a Faust application: `rater worker`, or `faust -A rater.kafka.app worker`.

Faust is supervisor and web server here; its own consumer and producer are off, because the money is moved by the
rating task (docs/architecture.md).  Settings come from the environment, `RATER_...`, and from `rater worker`.
"""

import os
from functools import cache

import faust
from faust.app.base import BootStrategy
from faust.web import Request, Response, View
from mode import Service
from prometheus_client import CollectorRegistry

from rater.core import RatingSettings
from rater.kafka import pages
from rater.kafka.observe import Watch
from rater.kafka.own_certificates import note_ends
from rater.kafka.settings import (
    KafkaSettings,
    WebVariables,
    WorkerSettings,
    rating_of_environment,
)
from rater.kafka.worker import Worker
from rater.ops.metrics.meter import Metrics
from rater.ops.written_settings import read_settings
from rater.serve.limited_web import LimitedWeb
from rater.wire.errors import RaterError

#: Seconds without a turn of the loop after which the process counts as dead.
LIVENESS_S = 30.0
WEB_PORT = 6066


class OnlySupervise(BootStrategy):
    """Faust without its own consumer and producer."""

    enable_kafka = False


class RaterApp(faust.App):
    """A Faust application that only supervises."""

    BootStrategy = OnlySupervise
    rating: "RatingService | None" = None

    def _new_web(self) -> LimitedWeb:
        return LimitedWeb(self)


class RatingService(Service):
    """The rating worker under Faust's supervision."""

    made_of: tuple[KafkaSettings, WorkerSettings, RatingSettings]
    worker: Worker | None = None
    #: What ended it, where a person must act.
    ended_by: RaterError | None = None

    async def on_start(self) -> None:
        """Make the worker within the loop that runs it."""
        kafka, metrics = self.made_of[0], Metrics(CollectorRegistry())
        note_ends(metrics, kafka)
        self.worker = Worker(*self.made_of, Watch(metrics))

    @Service.task
    async def _rate(self) -> None:
        assert self.worker is not None, "started"
        try:
            await self.worker.run()
        except RaterError as wrong:  # a person must act: one line, and the exit code that says it
            self.ended_by = wrong
            raise SystemExit(wrong.exit) from wrong

    async def on_stop(self) -> None:
        """Finish the batch, commit, leave."""
        if self.worker is not None:
            self.worker.stop()


def make_app(kafka: KafkaSettings, settings: WorkerSettings, rating: RatingSettings, web_port: int) -> RaterApp:
    """The application; nothing is connected before it starts."""
    host = os.environ.get("RATER_WEB_HOST", "127.0.0.1")
    app = RaterApp(
        f"{kafka.group}-worker",
        broker=f"kafka://{kafka.bootstrap}",
        web_host=host,
        web_bind=host,  # else Faust listens on every address, whatever its host is
        web_port=web_port,
        datadir=settings.index_folder,
    )

    class OfThisApp(RatingService):
        made_of = kafka, settings, rating

        async def on_start(self) -> None:
            await super().on_start()
            app.rating = self

    app.service(OfThisApp)
    _add_pages(app)
    return app


def _add_pages(app: RaterApp) -> None:
    def worker() -> Worker | None:
        return app.rating.worker if app.rating else None

    @app.page("/livez")
    async def livez(view: View, _: Request) -> Response:
        status, text = pages.livez(worker())
        return view.text(text, status=status)

    @app.page("/readyz")
    async def readyz(view: View, _: Request) -> Response:
        status, text = pages.readyz(worker())
        return view.text(text, status=status)

    @app.page("/healthz")
    async def healthz(view: View, request: Request) -> Response:
        status, text = (pages.healthz if "verbose" in request.query else pages.readyz)(worker())
        return view.text(text, status=status)

    @app.page("/metrics")
    async def metrics(view: View, _: Request) -> Response:
        running = worker()
        if running is None or not running.running:
            return view.text("not started\n", status=503)
        body, content_type = pages.metrics(running)
        return view.bytes(body, headers={"Content-Type": content_type})


@cache
def _app_of_environment() -> RaterApp:
    """The application that the variables describe."""
    return make_app(
        read_settings(KafkaSettings),
        read_settings(WorkerSettings),
        rating_of_environment(),
        read_settings(WebVariables).web_port,
    )


def __getattr__(name: str) -> RaterApp:
    """`app` is what `faust -A rater.kafka.app` asks this module for: made once, then, and never on import."""
    if name == "app":
        return _app_of_environment()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
