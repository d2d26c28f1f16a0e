"""`rater top`: what a deployment does right now."""

import asyncio
import time
from typing import Annotated

import msgspec
import typer
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from rater.cli.kafka_options import Bootstrap, Prefix, kafka_settings, talk
from rater.kafka.settings import DEFAULT_BOOTSTRAP, KafkaSettings
from rater.ops.top.follower import Board
from rater.ops.top.picture import Picture
from rater.wire.visible import visible

#: More is red: as the alerts RaterLagHigh and RaterLatencyBurnFast have it.
_WAITING_S_MAX, _LATENCY_S_MAX = 60.0, 0.2


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("top")(top)


def top(
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    prefix: Prefix = "",
    once: Annotated[bool, typer.Option("--once", help="One picture, and the end.")] = False,
    every: Annotated[float, typer.Option(min=0.2, max=3600, help="Seconds between two pictures.")] = 1.0,
    json: Annotated[bool, typer.Option("--json", help="Each picture one JSON object a line.")] = False,
) -> None:
    """Show rate, lag and latency of each partition, tenants near zero, recharges in flight; Ctrl-C ends it.

    Example: rater top --once --json --bootstrap 127.0.0.1:9092
    """
    settings = kafka_settings(bootstrap, prefix)
    try:
        talk(settings, "operators", _show(settings, once, every, json))
    except KeyboardInterrupt:
        return  # how a live picture is ended


async def _show(settings: KafkaSettings, once: bool, every: float, json: bool) -> None:
    async with Board(settings) as board:
        if json or once:
            await _print(board, once, every, json)
            return
        with Live(console=Console(), screen=True, auto_refresh=False) as live:
            while True:
                live.update(drawn(await board.look()), refresh=True)
                await asyncio.sleep(every)


async def _print(board: Board, once: bool, every: float, json: bool) -> None:
    while True:
        picture = await board.look()
        if json:
            typer.echo(msgspec.json.encode(picture))
        else:
            Console().print(drawn(picture))
        if once:
            return
        await asyncio.sleep(every)


def drawn(picture: Picture) -> Group:
    """The picture for people."""
    head = (
        f"{time.strftime('%H:%M:%S')}  {picture.rate:,.1f} call records/s  {picture.waiting:,} waiting"
        f"  {picture.commands_waiting:,} commands waiting  {picture.tenants:,} tenants  {picture.low:,} near zero"
        f" {picture.in_flight:,} recharges in flight"
    )
    partitions = Table(
        "partition", "records/s", "cdrs waiting", "commands waiting", "oldest s", "latency s", "idle s"
    )
    for row in picture.partitions:
        partitions.add_row(
            str(row.partition),
            f"{row.rate:,.1f}",
            f"{row.cdrs_waiting:,}",
            f"{row.commands_waiting:,}",
            _seconds(row.waiting_s, _WAITING_S_MAX),
            _seconds(row.latency_s, _LATENCY_S_MAX),
            _seconds(row.idle_s),
        )
    tenants = Table("tenant near zero", "balance", "currency", "trigger")
    for tenant in picture.near_zero:
        tenants.add_row(escape(visible(tenant.tenant)), tenant.balance, tenant.currency, tenant.trigger)
    recharges = Table("recharge in flight", "tenant", "amount", "currency", "asked at")
    for recharge in picture.recharges:
        recharges.add_row(
            recharge.recharge_id,
            escape(visible(recharge.tenant)),
            recharge.amount,
            recharge.currency,
            recharge.asked_at,
        )
    return Group(head, partitions, tenants, recharges)


def _seconds(value: float | None, limit: float | None = None) -> str:
    if value is None:
        return ""
    return f"[red]{value:,.3f}[/]" if limit is not None and value > limit else f"{value:,.3f}"
