"""`rater publish --from-topic`: a switch that publishes to Kafka itself."""

import asyncio
import contextlib
import logging
from signal import SIGINT, SIGTERM

import typer

from rater.cli.kafka_options import talk
from rater.files.mappings import Mapping, load
from rater.kafka.bridge import Bridge
from rater.kafka.settings import KafkaSettings
from rater.ops.doctor.rights import must_hold, service_named
from rater.ops.logs import log_to_stderr
from rater.wire.errors import RaterError


def carry_over(kafka: KafkaSettings, raw_topic: str, map: str | None, tenant: str | None) -> None:
    """Map and publish what comes until SIGTERM; then say how much it was."""
    if map is None:
        raise RaterError(
            "--from-topic: expected --map, too: what makes call records of the switch's (rater map list)"
        )
    mapping = load(map).for_tenant(tenant)
    if mapping.file.reader.kind == "csv" and mapping.file.reader.header:
        raise RaterError(f"--map {map}: expected a mapping of single records; a record of a topic has no header")
    log_to_stderr()
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    talk(kafka, "bridge", must_hold(kafka, service_named("bridge")))
    for what, count in sorted(asyncio.run(_carry_over(kafka, raw_topic, mapping)).items()):
        typer.echo(f"{count} {what}", err=True)


async def _carry_over(kafka: KafkaSettings, raw_topic: str, mapping: Mapping) -> dict[str, int]:
    bridge, stop = Bridge(kafka, raw_topic, mapping), asyncio.Event()
    for number in (SIGINT, SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    running = asyncio.create_task(bridge.run())
    stopped = asyncio.create_task(stop.wait())
    typer.echo(f"rater: publishing what comes to {raw_topic}", err=True)
    await asyncio.wait([running, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if running.done():
        running.result()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    return dict(bridge.counts)
