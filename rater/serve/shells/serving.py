"""`rater serve`: a server over an engine, from its start to its end."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

from rater.agents.notices.notifier import Notifier
from rater.agents.switches.carriage import Carriage
from rater.agents.switches.settings import SwitchEntry
from rater.core import AccountEvent, RatingSettings
from rater.kafka.settings import KafkaSettings
from rater.ops.metrics.meter import Metrics
from rater.serve.clients import Clients
from rater.serve.maps import Maps
from rater.serve.pages import Server
from rater.serve.reading.computing import Computing
from rater.serve.reading.desks import Desks
from rater.serve.reading.pages import ReadingPages
from rater.serve.replica.following import Following
from rater.serve.server import Listening, serve, stop_by_signal
from rater.serve.shells.over_kafka import KafkaEngine
from rater.serve.shells.over_store import StoreEngine
from rater.serve.shells.store_writer import StoreWriter
from rater.serve.web.site import Site, WebPage

#: An event that cannot be written into the outbox by then fails its batch, which is tried again.
_NOTED_WITHIN_S = 30.0


class Front(NamedTuple):
    """What a server has whatever stands behind it; `started` is called with its port.

    `time_passes` is false where a store of the past is shown as it was then.
    """

    listening: Listening
    clients: Clients
    maps: Maps
    metrics: Metrics
    started: Callable[[int], None]
    page: WebPage | None = None
    time_passes: bool = True


#: Makes the writer of a store; it is given what queues events of accounts for people, if somebody is notified.
MakeWriter = Callable[[Callable[[list[AccountEvent]], None] | None], StoreWriter]


async def serve_store(
    front: Front, make: MakeWriter, notifier: Notifier | None, switches: Sequence[SwitchEntry] = ()
) -> None:
    """Serve a store until stopped, and carry orders to end calls to the switches that are given."""
    if notifier is None:
        await _serve_store(front, make(None), switches)
        return
    loop = asyncio.get_running_loop()

    async def note_all(events: list[AccountEvent]) -> None:
        for event in events:
            await notifier.note(event)

    def note(events: list[AccountEvent]) -> None:
        asyncio.run_coroutine_threadsafe(note_all(events), loop).result(_NOTED_WITHIN_S)

    async with notifier:
        sending = asyncio.create_task(notifier.run())
        try:
            await _serve_store(front, make(note), switches)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


async def _serve_store(front: Front, writer: StoreWriter, switches: Sequence[SwitchEntry]) -> None:
    stop = stop_by_signal()  # before anything is sent to a switch
    async with AsyncExitStack() as opened:
        carriage = await opened.enter_async_context(Carriage(switches, front.metrics)) if switches else None
        engine = StoreEngine(writer, carriage, time_passes=front.time_passes)
        await engine.start()
        desks = Desks(writer.path)
        try:
            computing = Computing.over(writer.path)
            reading = ReadingPages(desks, computing)
            server = Server(engine, front.clients, front.maps, front.metrics, reading)
            if front.page is not None:
                desks.keep_filled()
                Site(desks, engine, front.page, computing, engine.ask).add_to(server.app)
            await serve(server, front.listening, engine.run, engine.orders.close, stop, front.started)
        finally:
            await desks.close()
            await engine.close()


async def serve_kafka(
    front: Front, kafka: KafkaSettings, rating: RatingSettings, replica: Path | None = None
) -> None:
    """Serve in front of Kafka until stopped; fill a replica, and answer who reads.  RaterError: no topics."""
    following = None if replica is None else Following(kafka, replica, front.metrics)
    engine = KafkaEngine(kafka, rating, front.metrics, following)
    desks = None if replica is None else Desks(replica)
    try:
        replayed = (f"--bootstrap={kafka.bootstrap}", f"--prefix={kafka.prefix}")
        computing = None if replica is None else Computing.over(replica, replayed)
        reading = ReadingPages(desks, computing) if desks and computing else None
        server = Server(engine, front.clients, front.maps, front.metrics, reading)
        if front.page is not None and desks is not None and computing is not None:
            desks.keep_filled()
            Site(desks, engine.desk(desks), front.page, computing, engine.ask).add_to(server.app)
        await serve(server, front.listening, engine.run, engine.orders.close, stop_by_signal(), front.started)
    finally:
        if desks is not None:
            await desks.close()
        await engine.close()
