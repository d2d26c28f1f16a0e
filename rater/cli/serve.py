"""`rater serve`: the HTTP server; and `rater serve-token`: a token for it."""

import asyncio
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry

from rater.agents.notices.notifier import Notifier
from rater.agents.notices.settings import NotifyFile
from rater.agents.switches.settings import read_switches, switches_file
from rater.cli.deck_review import AcceptChanges
from rater.cli.kafka_options import kafka_settings
from rater.cli.run import GatewayOption, gateway_for, look_at_decks, say_upgraded, settings_for
from rater.cli.web_port import DEFAULT_HOST, port_to_listen_on
from rater.core import AccountEvent, RateDeck
from rater.embedded.run import EmbeddedRater
from rater.files.deck_csv import read_deck
from rater.files.source import InputFile
from rater.kafka.own_certificates import note_ends
from rater.kafka.settings import rating_of_environment
from rater.kafka.topics import partitions_of
from rater.ops.doctor.rights import must_hold, service_named
from rater.ops.garbage_collection import expect_long_lives
from rater.ops.logs import Style, log_to_stderr
from rater.ops.metrics.meter import Metrics
from rater.ops.written_settings import read_settings
from rater.serve.clients import Clients, new_token
from rater.serve.maps import Maps
from rater.serve.server import Listening
from rater.serve.shells.serving import Front, serve_kafka, serve_store
from rater.serve.shells.store_writer import StoreWriter
from rater.serve.web.links import Links
from rater.serve.web.people import People
from rater.serve.web.provider import Provider, SignInFile
from rater.serve.web.sessions import key_of
from rater.serve.web.site import WebPage
from rater.wire.errors import RaterError

WEB_PORT = 6080
_LEVELS = ("debug", "info", "warning", "error")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("serve")(serve)
    app.command("serve-token")(serve_token)


def serve(
    clients: Annotated[Path, typer.Option(help="Who may ask: a file in YAML (rater serve-token NAME).")],
    store: Annotated[Path | None, typer.Option(help="The SQLite file; without Kafka.")] = None,
    bootstrap: Annotated[
        str | None, typer.Option(help="Addresses of brokers, host:port,...; else RATER_BOOTSTRAP, without --store.")
    ] = None,
    prefix: Annotated[str, typer.Option(envvar="RATER_PREFIX", help="Stands before every topic's name.")] = "",
    map: Annotated[
        list[str] | None,
        typer.Option(
            "--map", help="A mapping for ?map=NAME: a YAML file, a preset, or NAME=PLACE.", metavar="MAPPING"
        ),
    ] = None,
    web_port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one; RATER_WEB_HOST.")] = WEB_PORT,
    tls_cert: Annotated[Path | None, typer.Option(help="The certificate, with those in between; PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key; if not in the same file.")] = None,
    deck: Annotated[list[Path] | None, typer.Option(help="A rate deck in CSV, put in force in the store.")] = None,
    accept_changes: AcceptChanges = False,
    currency: Annotated[str, typer.Option(help="The currency of the decks.")] = "USD",
    commands: Annotated[
        list[Path] | None, typer.Option(help="Commands in JSON Lines, applied to the store.")
    ] = None,
    gateway: GatewayOption = None,
    notify: Annotated[
        Path | None, typer.Option(help="Notify people of a store's events: settings in YAML.")
    ] = None,
    switches: Annotated[
        Path | None,
        typer.Option(
            help="The switches, in YAML; else RATER_SWITCHES_FILE: their mappings, and who ends a store's calls."
        ),
    ] = None,
    people: Annotated[
        Path | None,
        typer.Option(help="Who may sign in to the page at / (rater token create); without it there is none."),
    ] = None,
    page_key: Annotated[
        Path | None,
        typer.Option(help="The key of the page's sessions; made if it is not there. PEOPLE.key if not given."),
    ] = None,
    sign_in: Annotated[
        Path | None,
        typer.Option(
            envvar="RATER_SIGN_IN_FILE", help="A provider of OpenID Connect for the page: settings in YAML."
        ),
    ] = None,
    replica: Annotated[
        Path | None,
        typer.Option(help="With --bootstrap: a file to read as a store, kept up to date from the topics."),
    ] = None,
    loglevel: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
    log_style: Annotated[Style, typer.Option(help="One JSON object a line, or for people.")] = Style.JSON,
) -> None:
    """Take call records over HTTP, answer switches, and give orders to end calls; until SIGTERM.

    Over a store it is the whole rater in one process; over Kafka it publishes, and may run many times.

    Example: rater serve --store rater.db --clients clients.yaml --map site.yaml
    """
    if store is None and bootstrap is None:
        bootstrap = os.environ.get("RATER_BOOTSTRAP") or None
    if (store is None) == (bootstrap is None):
        raise RaterError("expected either --store FILE or --bootstrap HOST:PORT, and not both")
    if store is None and (deck or commands or gateway or notify):
        raise RaterError("--deck, --commands, --gateway, --notify: expected with --store; on Kafka: rater publish")
    if sign_in is not None and people is None:
        raise RaterError("--sign-in: expected with --people, the file of those who sign in by a token")
    if store is None and people is not None and replica is None:
        raise RaterError("--people: expected with --store, or with --replica: the page shows what is there")
    if store is not None and replica is not None:
        raise RaterError("--replica: expected with --bootstrap; a store is read itself")
    if loglevel not in _LEVELS:
        raise RaterError(f"--loglevel: expected one of {', '.join(_LEVELS)}, got {loglevel!r}")
    log_to_stderr(log_style, loglevel.upper())
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    expect_long_lives()
    host, port = os.environ.get("RATER_WEB_HOST", DEFAULT_HOST), port_to_listen_on(web_port)
    listening = Listening(host, port, tls_cert, tls_key)
    file = switches_file(switches)
    entries = () if file is None else read_switches(file).switches
    maps = Maps(map or [], {entry.name: entry.mapping for entry in entries if entry.mapping is not None})
    page = page_of(people, page_key, sign_in, secure=tls_cert is not None) if people is not None else None
    front = Front(listening, Clients(clients), maps, Metrics(CollectorRegistry()), _say(listening), page)
    if store is None:
        _over_kafka(front, bootstrap or "", prefix, replica)
        return
    versions = [read_deck(path, currency=currency) for path in deck or ()]

    def prepare(rater: EmbeddedRater) -> None:
        _prepare(rater, versions, commands or [], accepted=accept_changes)

    def make(note: Callable[[list[AccountEvent]], None] | None) -> StoreWriter:
        return StoreWriter(
            store, settings_for, lambda opened: gateway_for(opened, gateway), prepare, front.metrics, note
        )

    notifier = Notifier(read_settings(NotifyFile, notify, {}), metrics=front.metrics) if notify else None
    asyncio.run(serve_store(front, make, notifier, entries))


def page_of(people: Path, key: Path | None, sign_in: Path | None, *, secure: bool) -> WebPage:
    """The page for the people of a file, and those of a provider; RaterError: a file or the key is wrong.

    `secure` is whether this server speaks TLS; behind a proxy that does, the provider's `public_url` says it.
    """
    settings = read_settings(SignInFile, sign_in, {}) if sign_in is not None else None
    secure = secure or (settings is not None and settings.public_url.startswith("https://"))
    key = key or people.with_name(people.name + ".key")
    ended = key.with_name(key.name + ".ended")
    provider = Provider(settings) if settings else None
    return WebPage(People(people), key_of(key), ended, Links(), secure, provider)


def serve_token(name: Annotated[str, typer.Argument(help="The client: a switch or gateway.")]) -> None:
    """Make a token: on standard output the token, which is shown once; on standard error its entry for the file.

    Example: rater serve-token freeswitch-1
    """
    token, hashed = new_token()
    typer.echo(token)
    typer.echo(
        f"put this into the clients' file (below `clients:`); for a client that is there, add the hash to its"
        f" tokens, give the switch the new token, then delete the old hash:\n  - name: {name}\n"
        f"    tokens: ['{hashed}']",
        err=True,
    )


def _over_kafka(front: Front, bootstrap: str, prefix: str, replica: Path | None) -> None:
    kafka = kafka_settings(bootstrap, prefix)
    note_ends(front.metrics, kafka)

    async def run() -> None:
        await must_hold(kafka, service_named("server"), without=_not_played(front, replica))
        await partitions_of(kafka, "cdrs")
        await serve_kafka(front, kafka, rating_of_environment(), replica)

    asyncio.run(run())


def _not_played(front: Front, replica: Path | None) -> set[str]:
    """The roles of the server that this process does not play."""
    return {role for role, played in (("replica", replica), ("page", front.page)) if played is None}


def _prepare(rater: EmbeddedRater, versions: list[RateDeck], commands: list[Path], *, accepted: bool) -> None:
    """Put decks in force and apply commands, before the first request."""
    now = datetime.now(UTC)
    say_upgraded(rater.store)
    look_at_decks(rater.store, versions, now, accepted=accepted)
    for version in versions:
        rater.publish(version)
    for path in commands:
        rater.consume(InputFile(str(path), "commands"))
    for version in versions:
        rater.activate(version.version, now)


def _say(listening: Listening) -> Callable[[int], None]:
    scheme = "https" if listening.certificate else "http"

    def say(port: int) -> None:
        typer.echo(f"rater: serving on {scheme}://{listening.host}:{port}", err=True)

    return say
