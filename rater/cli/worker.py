"""`rater worker`: rate the partitions that the group gives to this process, until SIGTERM."""

import logging
from pathlib import Path
from typing import Annotated

import faust
import typer

from rater.app import WEB_PORT, make_app
from rater.cli.kafka_options import Bootstrap, Prefix, kafka_settings, talk
from rater.collector import expect_long_lives
from rater.deploy.held import must_hold, service_named
from rater.kafka.settings import (
    DEFAULT_BOOTSTRAP,
    KafkaSettings,
    WorkerSettings,
    from_environment,
    rating_of_environment,
)
from rater.kafka.topics import partitions_of_task
from rater.logs import Style, log_to_stderr


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("worker")(worker)


def worker(
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    prefix: Prefix = "",
    index: Annotated[Path, typer.Option(help="The folder of the usage-id index.")] = Path("rater-index"),
    instance: Annotated[str | None, typer.Option(help="Static membership: the same name after a restart.")] = None,
    web_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of /livez, /readyz, /metrics.")] = WEB_PORT,
    loglevel: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
    log_style: Annotated[Style, typer.Option(help="One JSON object a line, or for people.")] = Style.JSON,
) -> None:
    """Rate call-detail records from Kafka, exactly once; SIGTERM finishes the batch and exits 0.

    Example: rater worker --bootstrap 127.0.0.1:9092 --instance worker-1
    """
    log_to_stderr(log_style, loglevel.upper())
    for library in ("aiokafka", "faust", "mode"):
        logging.getLogger(library).setLevel(logging.WARNING)
    kafka = kafka_settings(bootstrap, prefix)
    talk(kafka, "worker", _look_before(kafka))
    settings = from_environment(WorkerSettings, index_folder=index, instance=instance)
    index.mkdir(parents=True, exist_ok=True)
    expect_long_lives()
    app = make_app(kafka, settings, rating_of_environment(), web_port)
    faust.Worker(app, loglevel=loglevel, redirect_stdouts=False, override_logging=False).execute_from_commandline()


async def _look_before(kafka: KafkaSettings) -> None:
    """Say clearly what is not there or not allowed, before anything is started."""
    await must_hold(kafka, service_named("worker"))
    await partitions_of_task(kafka)
