"""Faust's transport as we need it: committed records only, and nothing is acknowledged that was not finished.

Faust 0.15 reads uncommitted records unless it runs transactions of its own: a request for payment of a batch that
was rolled back would be paid.  And it acknowledges what it skips in a rebalance and what its agent failed on; here
an event counts as read once its agent has said `finish`.
"""

from typing import Any
from weakref import WeakSet

from faust.transport.drivers import aiokafka
from faust.types import TP, EventT

from rater.kafka.client import FETCH_WAIT_MS


class _CommittedThread(aiokafka.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer


class CarefulConsumer(aiokafka.Consumer):
    """See the module."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._finished: WeakSet[Any] = WeakSet()

    def finish(self, event: EventT[Any]) -> None:
        """The agent is done with the event: Faust's next acknowledgement of it counts."""
        self._finished.add(event.message)

    def ack(self, message: Any) -> bool:
        """See Faust's."""
        return message in self._finished and super().ack(message)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit what was finished before Faust forgets it: less comes a second time elsewhere."""
        await self.commit()
        await super().on_partitions_revoked(revoked)

    def _new_consumer_thread(self) -> aiokafka.AIOKafkaConsumerThread:
        return _CommittedThread(self, loop=self.loop, beacon=self.beacon)


class CarefulTransport(aiokafka.Transport):
    """See the module."""

    Consumer = CarefulConsumer
