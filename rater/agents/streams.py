"""The agents proper: what each does with an event of its topic, and when it is finished with it."""

from typing import Any

import faust
from faust.types import StreamT

from rater.agents.account_events import AccountNotices
from rater.agents.service import Agents
from rater.agents.transport import CarefulConsumer


def pay(app: faust.App, agents: Agents, topic: str) -> None:
    """`recharges`: a request wakes this process; what is asked for is what the balances say is in flight."""

    @app.agent(_raw(app, topic), name="recharges")
    async def recharges(stream: StreamT[bytes]) -> None:
        async for event in stream.events():
            await agents.opened.wait()
            if event.key is not None:
                agents.wake(event.key.decode())
            _finish(app, event)


def notify(app: faust.App, agents: Agents, notices: AccountNotices, topic: str) -> None:
    """`account-events`: an event is finished once it is in the outbox."""

    @app.agent(_raw(app, topic), name="account-events")
    async def account_events(stream: StreamT[bytes]) -> None:
        async for event in stream.events():
            await agents.opened.wait()
            message = event.message
            await notices.note(event.value, message.timestamp, f"{message.partition}@{message.offset}")
            _finish(app, event)


def share_switches(app: faust.App, topic: str) -> None:
    """Who orders the end of whose calls: the group shares the topic's partitions out; its records are not used."""

    @app.agent(_raw(app, topic), name="switches-share")
    async def switches_share(stream: StreamT[bytes]) -> None:
        async for event in stream.events():
            _finish(app, event)


def _raw(app: faust.App, topic: str) -> Any:
    """Faust hands bytes on as they are: one definition of each record, and it is not Faust's."""
    return app.topic(topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


def _finish(app: faust.App, event: Any) -> None:
    consumer = app.consumer
    assert isinstance(consumer, CarefulConsumer)
    consumer.finish(event)
