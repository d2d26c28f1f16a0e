"""`rater worker`: rate the partitions that the group gives to this process, until SIGTERM."""

import logging
from pathlib import Path
from typing import Annotated

import faust
import structlog
import typer

from rater.cli.kafka_options import Bootstrap, Prefix, kafka_settings, talk
from rater.cli.web_port import port_to_listen_on
from rater.kafka.app import WEB_PORT, make_app
from rater.kafka.settings import (
    DEFAULT_BOOTSTRAP,
    KafkaSettings,
    WorkerSettings,
    rating_of_environment,
)
from rater.kafka.topics import partitions_of_task
from rater.ops.doctor.rights import must_hold, service_named
from rater.ops.garbage_collection import expect_long_lives
from rater.ops.logs import Style, log_to_stderr
from rater.ops.written_settings import read_settings

log = structlog.get_logger(__name__)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("worker")(worker)


def worker(
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    prefix: Prefix = "",
    index: Annotated[Path, typer.Option(help="The folder of the usage-id index.")] = Path("rater-index"),
    instance: Annotated[str | None, typer.Option(help="Static membership: the same name after a restart.")] = None,
    web_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of /livez, /readyz, /metrics; 0: a free one.")
    ] = WEB_PORT,
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
    settings = read_settings(WorkerSettings, index_folder=index, instance=instance)
    index.mkdir(parents=True, exist_ok=True)
    expect_long_lives()
    app = make_app(kafka, settings, rating_of_environment(), port_to_listen_on(web_port))
    log.info("pages", port=app.conf.web_port)
    try:
        faust.Worker(
            app, loglevel=loglevel, redirect_stdouts=False, override_logging=False
        ).execute_from_commandline()
    except SystemExit:
        if app.rating is not None and app.rating.ended_by is not None:
            raise app.rating.ended_by from None
        raise


async def _look_before(kafka: KafkaSettings) -> None:
    """Report what is missing or not allowed, before anything is started."""
    await must_hold(kafka, service_named("worker"))
    await partitions_of_task(kafka)
