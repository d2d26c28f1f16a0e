"""`rater dev page`: the page over the month of the demo, with a link that signs in once."""

import asyncio
import shutil
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry

from rater.cli.run import gateway_for, settings_for
from rater.cli.serve import page_of
from rater.cli.web_port import DEFAULT_HOST, port_to_listen_on
from rater.core import AccountEvent
from rater.dev.demo import story
from rater.embedded.lookup import open_lookup
from rater.embedded.store import open_reader
from rater.files.atomic import whole_file
from rater.ops.logs import Style, log_to_stderr
from rater.ops.metrics.meter import Metrics
from rater.serve.clients import Clients, new_token
from rater.serve.maps import Maps
from rater.serve.server import Listening
from rater.serve.shells.serving import Front, serve_store
from rater.serve.shells.store_writer import StoreWriter
from rater.serve.web.links import LINK_MINUTES
from rater.serve.web.people import Grant, Role
from rater.serve.web.signing_in import link_path

PORT = 6081
_PEOPLE = "people: []  # rater token create --people FILE adds one\n"


def page(
    out: Annotated[Path, typer.Option(help="A folder that is written anew: the store, keys.")] = Path("page-demo"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0 chooses a free one.")] = PORT,
) -> None:
    """Rate the month of the demo, serve the page over it, and print a link that signs in once as an operator.

    On this page it is the middle of April 2025 and no time passes by itself; payments are pretended.

    Example: rater dev page --port 0
    """
    log_to_stderr(Style.CONSOLE, "WARNING")
    typer.echo("rater: rating the month of the demo; about a minute", err=True)
    _prepare(out)
    began = time.monotonic()
    opened = page_of(out / "people.yaml", None, None, secure=False)._replace(
        now=lambda: story.AFTER_THE_MONTH + timedelta(seconds=int(time.monotonic() - began))
    )
    secret = opened.links.add("demo", Grant(role=Role.OPERATOR))

    def started(port: int) -> None:
        typer.echo(
            f"rater: open this within {LINK_MINUTES} minutes; it is good once; Ctrl-C ends the page", err=True
        )
        typer.echo(f"http://{DEFAULT_HOST}:{port}{link_path(secret)}")

    metrics = Metrics(CollectorRegistry())

    def make(note: Callable[[list[AccountEvent]], None] | None) -> StoreWriter:
        return StoreWriter(
            out / "rater.db", settings_for, lambda store: gateway_for(store, None), lambda _: None, metrics, note
        )

    listening = Listening(DEFAULT_HOST, port_to_listen_on(port))
    front = Front(listening, Clients(out / "clients.yaml"), Maps([]), metrics, started, opened, time_passes=False)
    asyncio.run(serve_store(front, make, None))


def _prepare(out: Path) -> None:
    """The folder with the store, a token that no client has, and a file of people without an entry."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    rates, _ = story.prepare_deck(out)
    story.rate(out, rates, story.write_inputs(out, rates))
    with closing(open_reader(out / "rater.db")) as reader, closing(open_lookup(reader)):
        pass  # the first page need not wait for it
    with whole_file(out / "people.yaml", private=True) as people:
        people.write(_PEOPLE)
    with whole_file(out / "clients.yaml", private=True) as clients:
        clients.write(f"clients:\n  - name: nobody\n    tokens: ['{new_token()[1]}']\n")
