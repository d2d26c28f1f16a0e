"""A batch's outputs as rows of their topics' tables, made part by part while the outputs are at hand."""

from collections import Counter
from collections.abc import Callable
from operator import attrgetter
from typing import TypeVar

from rater.core import OUTPUT_TOPICS, TOPIC_OF, Balance, Debit, Output, Pocket, RatedCall, parse_amount
from rater.engine.batch import SwitchLine
from rater.ops.metrics.tally import Tally, add_outputs
from rater.wire.codec import encode

#: Tenant, what a record is looked up by within its topic, and the record.
Row = tuple[str, str | None, bytes]
#: What a record is looked up by; a rated call by its usage id, every other by its id.
_KEY_OF: dict[str, Callable[[Output], str | None]] = {
    "service-states": attrgetter("name"),
    "account-events": attrgetter("event.value"),
    "balances": attrgetter("tenant"),
}
_ID = attrgetter("id")
_Kind = TypeVar("_Kind")


class Rows:
    """The rows of one batch by topic, in order, and what is counted of all its outputs."""

    def __init__(self, *, with_sums: bool = False) -> None:
        self.by_topic: dict[str, list[Row]] = {topic: [] for topic in OUTPUT_TOPICS}
        #: What switches wrote of the calls that were rated; they are known when the batch is.
        self.switch_lines: list[SwitchLine] = []
        #: Outputs of which not nearly every call causes one: letters, events, requests.
        self.rare: list[Output] = []
        #: Calls that nobody paid for, or for a part of which nobody did: their users may not spend credits.
        self.unfunded = 0
        #: Micro-units that left the balances, by currency.
        self.debited: Counter[str] = Counter()
        #: For metrics, where somebody asked for them.
        self.sums = Tally() if with_sums else None

    def add(self, outputs: list[Output]) -> None:
        """Write the next outputs down."""
        calls = self.by_topic["rated-calls"]
        for output in outputs:
            if isinstance(output, RatedCall):
                calls.append((output.tenant, output.usage_id, encode(output)))
                if output.segments and output.segments[-1].pocket is Pocket.UNFUNDED:
                    self.unfunded += 1
            else:
                self._add(output)
        if self.sums is not None:
            add_outputs(self.sums, outputs)

    def rare_of(self, kind: type[_Kind]) -> list[_Kind]:
        """The rare outputs of one kind, in order."""
        return [output for output in self.rare if isinstance(output, kind)]

    def _add(self, output: Output) -> None:
        topic = TOPIC_OF[type(output)]
        self.by_topic[topic].append((output.tenant, _KEY_OF.get(topic, _ID)(output), encode(output)))
        if isinstance(output, Debit):
            self.debited[output.currency] += parse_amount(output.amount)
        elif not isinstance(output, Balance):
            self.rare.append(output)
