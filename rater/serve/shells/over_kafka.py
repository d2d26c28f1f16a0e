"""The server over Kafka: records are published, and 200 means that every in-sync replica has them.

It keeps nothing but the replica by which switches are answered, so it may run many times.  What becomes of a record
that was accepted is the rating task's to say; bytes that cannot be read are published, too, and become dead
letters.
"""

from collections.abc import Sequence
from datetime import datetime

import structlog

from rater.agents.follower import Follower
from rater.agents.order_reader import TOPIC as ORDERS
from rater.agents.order_reader import order_in
from rater.agents.switchboard import Switchboard, together
from rater.core import NO_TENANT, Answer, CallEvent, Question, RatingSettings, Refusal, letter_id
from rater.engine.batch import Record
from rater.kafka.messages import event_message, message_of
from rater.kafka.port import Consumed
from rater.kafka.publisher import NotStored, Publisher
from rater.kafka.settings import KafkaSettings
from rater.ops.metrics.labels import RecordResult
from rater.ops.metrics.meter import Metrics
from rater.serve.group_commit import Item, NotKept
from rater.serve.orders import OrderLog
from rater.serve.reading.desks import Desks
from rater.serve.replica.following import Following
from rater.serve.results import Result, accepted, refused
from rater.serve.shells.kafka_desk import KafkaDesk
from rater.serve.shells.results_of import name_of
from rater.wire.codec import claimed_tenant

log = structlog.get_logger("rater.serve")
#: Topic, tenant, value.
_Message = tuple[str, str, bytes]


class KafkaEngine:
    """See rater.serve.pages.Engine; `run` beside the server."""

    accepts_commands = False

    def __init__(
        self, kafka: KafkaSettings, rating: RatingSettings, metrics: Metrics, replica: Following | None = None
    ) -> None:
        self.orders = OrderLog()
        self._kafka, self._rating = kafka, rating
        self._metrics = metrics
        self._publisher = Publisher(kafka)
        self._board = Switchboard(kafka, rating, None, metrics, self._publisher.publish, lambda _: False)
        self._follower = Follower(kafka, [ORDERS], self._take_order)
        self._replica = replica

    async def run(self) -> None:
        """Follow state, running calls and orders until cancelled; RaterError: topics are not there.

        And fill the replica, if there is one.
        """
        replica = [] if self._replica is None else [self._replica.run()]
        await together(self._board.run(), self._follower.run(), *replica)

    def desk(self, replica: Desks) -> KafkaDesk:
        """What applies orders of the page, and follows them in the replica."""
        return KafkaDesk(self._kafka, self._rating, self._publisher, self, replica)

    async def close(self) -> None:
        """Publish what is under way, then disconnect."""
        await self._publisher.close()

    async def keep(self, items: Sequence[Item]) -> Sequence[Result]:
        """See Keeper."""
        messages, results = [], []
        for item in items:
            message, result = _of(item)
            results.append(result)
            if message is not None:
                messages.append(message)
        if messages:
            try:
                await self._publisher.publish_all(messages)
            except NotStored as wrong:
                raise NotKept(str(wrong)) from wrong
        return results

    def ask(
        self, question: Question, at: datetime, length_s: int | None = None, usage_id: str | None = None
    ) -> Answer | Refusal:
        """See Engine."""
        return self._board.ask(question, at, length_s, usage_id)

    def waiting_for(self) -> list[str]:
        """See Engine."""
        there = {
            "state and running calls to be read": self._board.ready,
            "orders to be read": self._follower.caught_up,
        }
        waiting = [name for name, is_there in there.items() if not is_there]
        return waiting if self._replica is None else [*waiting, *self._replica.waiting_for()]

    def _take_order(self, record: Consumed) -> None:
        if (order := order_in(record.value)) is None:
            self._metrics.unreadable(ORDERS)
            log.warning("an order cannot be read", partition=record.partition, offset=record.offset)
            return
        self.orders.add(record.partition, record.offset, order)


def _of(item: Item) -> tuple[_Message | None, Result]:
    """What is published of an item, and its result."""
    if isinstance(item, CallEvent):
        return event_message(item), accepted(item.usage_id)
    if isinstance(item.decoded, Refusal) and not _is_mapped(item):
        return None, refused(item.decoded, None, name_of(item))  # an invalid event: its call goes on without it
    message, wrong = message_of(item)
    if wrong is None:
        return message, Result(result=RecordResult.ACCEPTED, usage_id=name_of(item))
    file_tenant = item.envelope.tenant if item.envelope else None
    owner = claimed_tenant(item.raw) or file_tenant or NO_TENANT
    return message, refused(wrong, letter_id(owner, item.raw, wrong.reason), name_of(item))


def _is_mapped(record: Record) -> bool:
    return record.envelope is not None and record.envelope.mapping is not None
