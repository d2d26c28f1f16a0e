"""`rater agents`: act on what the rating decided: payments, ticks, notices; until SIGTERM."""

import logging
from pathlib import Path
from typing import Annotated

import faust
import typer

from rater.agents.app import make_app
from rater.agents.settings import AgentsSettings
from rater.cli.kafka_options import Bootstrap, Prefix, kafka_settings, talk
from rater.cli.web_port import port_to_listen_on
from rater.kafka.settings import DEFAULT_BOOTSTRAP, KafkaSettings, rating_of_environment
from rater.kafka.topics import partitions_of
from rater.ops.doctor.rights import must_hold, service_named
from rater.ops.logs import Style, log_to_stderr
from rater.ops.written_settings import read_settings
from rater.wire.errors import RaterError

WEB_PORT = 6066
#: Faust's own names of levels.
_LEVELS = {"debug": "debug", "info": "info", "warning": "warn", "error": "error"}

#: Libraries, and modules of ours whose services would log each start and stop.
_QUIET = ("aiokafka", "faust", "mode", "rater.agents.app", "rater.agents.service", "rater.agents.transport")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("agents")(agents)


def agents(
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    prefix: Prefix = "",
    config: Annotated[
        Path | None, typer.Option(help="Settings in YAML; RATER_GATEWAY_URL and the like win over it.")
    ] = None,
    switches: Annotated[
        Path | None,
        typer.Option(help="Switches that end calls when ordered, in YAML; RATER_SWITCHES_FILE."),
    ] = None,
    instance: Annotated[str | None, typer.Option(help="Static membership: the same name after a restart.")] = None,
    web_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of health, metrics, webhooks; 0: a free one.")
    ] = WEB_PORT,
    loglevel: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
    log_style: Annotated[Style, typer.Option(help="One JSON object a line, or for people.")] = Style.JSON,
) -> None:
    """Collect recharges from the payment gateway, let time pass, notify people, answer switches; several may run.

    The file's names are those of rater/agents/settings.py; a secret is named by its place:

    gateway: {url: https://pay.example.com, token: {file: /run/secrets/token}}

    Example: rater agents --bootstrap 127.0.0.1:9092 --config agents.yaml --instance agents-1
    """
    if loglevel not in _LEVELS:
        raise RaterError(f"--loglevel: expected one of {', '.join(_LEVELS)}, got {loglevel!r}")
    log_to_stderr(log_style, loglevel.upper())
    for library in _QUIET:
        logging.getLogger(library).setLevel(logging.WARNING)
    chosen = {} if switches is None else {"switches": {"file": switches}}
    settings = read_settings(AgentsSettings, config, None, **chosen)
    kafka = kafka_settings(bootstrap, prefix)
    app = make_app(kafka, settings, rating_of_environment(), port_to_listen_on(web_port), instance)
    talk(kafka, "agents", _look_before(kafka))
    worker = faust.Worker(
        app, loglevel=_LEVELS[loglevel], redirect_stdouts=False, override_logging=False, quiet=True
    )
    worker.spinner = None
    worker.execute_from_commandline()


async def _look_before(kafka: KafkaSettings) -> None:
    """Report what is missing or not allowed, before anything is started."""
    await must_hold(kafka, service_named("agents"))
    await partitions_of(kafka, "recharges")
