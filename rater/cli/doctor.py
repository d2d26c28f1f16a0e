"""`rater doctor`: check everything around a rater, and list what is wrong and what to type."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import orjson
import typer
from rich.markup import escape
from rich.table import Column, Table

from rater.agents.settings import AgentsSettings
from rater.agents.switches.settings import switches_file
from rater.cli.kafka_options import (
    Bootstrap,
    Prefix,
    kafka_settings,
    say_waiting,
    silent_library,
    without_broken_connections,
)
from rater.cli.printing import show_table
from rater.kafka.answering import Answering
from rater.kafka.settings import DEFAULT_BOOTSTRAP, KafkaSettings
from rater.ops.doctor import cluster, outside, partitions
from rater.ops.doctor.check import Check, State, looked
from rater.ops.doctor.rights import service_named
from rater.ops.doctor.store import store as store_check
from rater.ops.doctor.switches import on_kafka, on_store
from rater.ops.manifests.services import SERVICES, Service
from rater.ops.masking import mask_people
from rater.ops.written_settings import read_settings
from rater.wire.errors import Exit
from rater.wire.visible import visible

_COLOURS = {State.OK: "green", State.WARN: "yellow", State.FAIL: "red", State.SKIPPED: "dim"}

_STATUS = "rater dev kafka status"
INDEX = Path("rater-index")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    prefix: Prefix = "",
    config: Annotated[Path | None, typer.Option(help="The agents' settings: where gateway and mail are.")] = None,
    service: Annotated[
        str | None,
        typer.Option(help="Whose rights the user must have; the service that RATER_USERNAME names, or operators."),
    ] = None,
    worker: Annotated[
        list[str] | None, typer.Option(help="Address of a worker's pages, http://host:6066; for each worker.")
    ] = None,
    server: Annotated[str | None, typer.Option(help="Address of an HTTP server, http://host:6080.")] = None,
    index: Annotated[Path, typer.Option(help="The folder of an index or a store on this machine.")] = INDEX,
    store: Annotated[Path | None, typer.Option(help="Check this store, and no Kafka.")] = None,
    switches: Annotated[
        Path | None, typer.Option(help="The switches, in YAML; else RATER_SWITCHES_FILE, or as --config names it.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Check settings, broker, rights, topics, decks, workers, inputs, disk, gateway, mail and switches.

    Exit 1 if any check fails.  It writes one record, to the topic dlq-audit: the broker stamps it, which shows its
    time.

    Example: rater doctor --bootstrap 127.0.0.1:9092 --config agents.yaml

    Example: rater doctor --store rater.db
    """
    checks = (
        _of_store(store, switches, server)
        if store is not None
        else _checks(bootstrap, prefix, config, service, worker, server, index, switches)
    )
    checks = [msgspec.structs.replace(check, cause=mask_people(check.cause)) for check in checks]
    if json:
        typer.echo(orjson.dumps([msgspec.to_builtins(check) for check in checks]))
    else:
        _print(checks)
    if any(check.state is State.FAIL for check in checks):
        raise typer.Exit(Exit.FAILED)


def _checks(
    bootstrap: str,
    prefix: str,
    config: Path | None,
    service: str | None,
    worker: list[str] | None,
    server: str | None,
    index: Path,
    switches: Path | None,
) -> list[Check]:
    """Everything around a rater on Kafka."""
    with silent_library():
        checks = asyncio.run(_look(bootstrap, prefix, config, service, switches))
    if checks[0].state is State.OK:
        checks.append(_server(server))
        checks.append(asyncio.run(looked("workers", partial(partitions.workers, worker or []))))
        checks.append(partitions.disk(index))
    return checks


def _server(server: str | None) -> Check:
    return asyncio.run(looked("server", partial(outside.server, server), "rater serve"))


def _of_store(store: Path, switches: Path | None, server: str | None) -> list[Check]:
    """A store, the server over it where one is named, and the switches that it has."""
    checks = [store_check(store)]
    if server is not None:
        checks.append(_server(server))
    file = switches_file(switches)
    return checks + ([] if file is None else asyncio.run(on_store(file, store, server)))


async def _look(
    bootstrap: str, prefix: str, config: Path | None, service: str | None, switches: Path | None
) -> list[Check]:
    checks = [outside.settings(config, os.environ)]
    if checks[0].state is State.OK:
        kafka = kafka_settings(bootstrap, prefix)
        agents = read_settings(AgentsSettings, config)
        checks.append(outside.certificates(kafka))
        asyncio.get_running_loop().set_exception_handler(without_broken_connections)
        async with Answering(kafka, say_waiting) as answering:
            checks += await _cluster(kafka, _service_of(service, kafka), answering)
        checks.append(await looked("gateway", partial(outside.gateway, agents.gateway)))
        checks.append(await looked("smtp", partial(outside.smtp, agents.notify)))
        file = switches if switches is not None or agents.switches is None else agents.switches.file
        checks += [] if file is None else await on_kafka(file, kafka)
    return checks


async def _cluster(kafka: KafkaSettings, service: Service, answering: Answering) -> list[Check]:
    """The broker, and while it answers what is on it."""
    first = await looked("broker", partial(cluster.broker, kafka), _STATUS)
    looks: dict[str, tuple[Callable[[], Awaitable[Check]], str]] = {
        "rights": (partial(cluster.rights, kafka, service), f"rater acls --service {service.name}"),
        "topics": (partial(cluster.topics, kafka), "rater topics apply"),
        "partitions": (partial(cluster.partitions, kafka), "rater topics apply"),
        "coordinator": (partial(cluster.coordinator, kafka), "rater topics diff"),
        "clock": (partial(cluster.clock, kafka), "rater topics apply"),
        "switches' clocks": (partial(cluster.switch_clocks, kafka), "rater topics apply"),
        "decks": (partial(cluster.decks, kafka), "rater topics apply"),
        "tenants": (partial(cluster.tenants, kafka), "rater topics apply"),
        "owners": (partial(partitions.owners, kafka), "rater worker"),
        "progress": (partial(partitions.progress, kafka), "rater topics apply"),
        "inputs": (partial(partitions.inputs, kafka), "rater topics apply"),
        "retention": (partial(partitions.retention, kafka), "rater topics apply"),
        "decks awaited": (partial(partitions.decks_awaited, kafka), "rater topics apply"),
    }
    checks = [first]
    for name, (look, fix) in looks.items():
        if answering.is_silent() or first.state is not State.OK:
            checks.append(Check(name, State.SKIPPED, "the broker does not answer"))
            continue
        check = await looked(name, look, fix)
        if answering.is_silent():
            check = Check(name, State.FAIL, str(answering.unreachable()).partition("\n")[0], _STATUS)
        checks.append(check)
    return checks


def _service_of(named: str | None, kafka: KafkaSettings) -> Service:
    """The one that is named, else the one whose user this is, else the operators."""
    if named is not None:
        return service_named(named)
    users = {service.user: service for service in SERVICES}
    return users.get(kafka.username or "", users["rater-operators"])


def _print(checks: list[Check]) -> None:
    table = Table("state", "check", Column("cause", overflow="fold"))
    for check in checks:
        state = f"[{_COLOURS[check.state]}]{check.state.value}[/]"
        table.add_row(state, check.name, escape(visible(check.cause)))
    show_table(table)
    for check in checks:
        if check.fix and check.state is not State.OK:  # in a cell a command would be folded
            typer.echo(f"{check.name}: {visible(check.fix)}")
    failed = sum(check.state is State.FAIL for check in checks)
    typer.echo(f"{failed} of {len(checks)} checks fail", err=True)
