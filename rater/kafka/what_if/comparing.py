"""A month compared, partition by partition: what the output topics say it was, and its inputs replayed.

Inputs are applied in the order that the commits say, as `rater verify` does.  What was is read from `rated-calls`,
`recharges` and `account-events`.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, closing

import msgspec

from rater.core import AccountEvent, RatedCall, RatingSettings, RechargeRequest, Rules, Tariffs
from rater.engine.comparison import Comparison, Refused, Remark, nothing_of
from rater.engine.counted import ReadCall, is_corrected, is_counted, is_of, read_call
from rater.engine.difference import History
from rater.engine.past_payments import PastPayments, past_payments
from rater.engine.substitutes import Substitutes
from rater.engine.what_if import Replay
from rater.kafka.client import read_partition
from rater.kafka.decks import DeckReader
from rater.kafka.ends import Ends, ends_of_partition
from rater.kafka.input_topics import INPUTS
from rater.kafka.partition_reader import Tape
from rater.kafka.port import Consumed
from rater.kafka.publisher import admission, partition_of
from rater.kafka.records import records_of
from rater.kafka.settings import KafkaSettings
from rater.kafka.standing import kept_everywhere
from rater.kafka.topics import partitions_of
from rater.kafka.what_if.beginning import Beginning, find_beginning
from rater.kafka.what_if.calls import CallTape
from rater.kafka.what_if.ledger import TopicLedger, places_of
from rater.wire.commits import Commit, part_of
from rater.wire.errors import RaterError

_READ = ("cdrs", "commands", "commits", "rated-calls", "recharges", "account-events")
#: Everything that is read.
READ = (*_READ, "rate-decks")
_LEFT_OUT = "none of the snapshots serves: commands or calls are deleted, or topics were moved or created again"
_commits = msgspec.json.Decoder(Commit).decode
_rated_calls = msgspec.json.Decoder(RatedCall).decode
_requests = msgspec.json.Decoder(RechargeRequest).decode
_events = msgspec.json.Decoder(AccountEvent).decode


async def compare(
    settings: KafkaSettings,
    rating: RatingSettings,
    substitutes: Substitutes,
    progress: Callable[[int], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Replay what the topics keep of the month with substitutes; nothing is written, no group is joined.

    With a tenant only its partition is read.  `say` is given what to know, such as snapshots that were discarded.
    RaterError: nothing of the month is kept.
    """
    decks = DeckReader(settings, 0)
    await decks.start()
    try:
        partitions = await partitions_of(settings, "cdrs")
        if substitutes.deck is not None:
            decks.tariffs.publish(substitutes.deck)
        only = substitutes.tenant
        numbers = range(partitions) if only is None else [partition_of(only, partitions)]
        whole = _Whole(substitutes.period)
        for number in numbers:
            ends = await ends_of_partition(settings, _READ, number)
            await decks.read_to_end()  # what a commit before the ends names is published by now
            mine = tuple([one for one in substitutes.commands if partition_of(one.tenant, partitions) == number])
            part = msgspec.structs.replace(substitutes, commands=mine)
            await _Partition(settings, number, ends, part, whole).compare(
                Rules(rating, decks.tariffs), partitions, progress, say
            )
    finally:
        await decks.stop()
    return whole.comparison(substitutes)


class _Whole:
    """The sums of every partition."""

    def __init__(self, period: str) -> None:
        self.was, self.would_be = History(period), History(period)
        self.records = self.left_out = self.assumed_paid = self.assumed_declined = self.in_force = 0
        self.refused: list[Refused] = []
        self.remarks: list[Remark] = []

    def add(self, replay: Replay) -> None:
        """Add a partition; no line of it is another's."""
        self.would_be.add_all(replay.history)
        self.assumed_paid += replay.assumed_paid
        self.assumed_declined += replay.assumed_declined
        self.refused += replay.refused
        self.remarks += replay.remarks
        self.in_force += replay.in_force

    def comparison(self, substitutes: Substitutes) -> Comparison:
        """All of it; RaterError if that is nothing."""
        if self.was.is_empty and self.would_be.is_empty:
            raise RaterError(nothing_of(substitutes, self.left_out, _LEFT_OUT))
        substitutes.check_in_force(self.in_force, self.was.currencies.values())
        return Comparison(
            self.was,
            self.would_be,
            self.records,
            self.assumed_paid,
            self.assumed_declined,
            self.refused,
            self.remarks,
            self.left_out,
            _LEFT_OUT if self.left_out else None,
        )


class _Partition:
    """One partition: where it begins, what was, and what would be."""

    def __init__(
        self, settings: KafkaSettings, number: int, ends: Ends, substitutes: Substitutes, whole: _Whole
    ) -> None:
        self._settings, self._number, self._ends = settings, number, ends
        self._substitutes, self._whole = substitutes, whole

    async def compare(
        self, rules: Rules, partitions: int, progress: Callable[[int], None], say: Callable[[str], None]
    ) -> None:
        """Read what was, then replay."""
        found = await find_beginning(self._read("commits"), self._ends.first, self._substitutes.since)
        name = self._settings.topic("commits")
        for sequence in found.discarded:
            say(f"{name}[{self._number}]: the snapshot of commit {sequence} does not fit its digest; discarded")
        if found.beginning is None:
            self._whole.left_out += await self._calls_of_the_month()
            return
        beginning = found.beginning
        with closing(TopicLedger(beginning.state)) as ledger:
            corrected = await self._note_calls(ledger, beginning.outputs.get("rated-calls", 0))
            await self._count_calls(corrected, beginning.outputs.get("rated-calls", 0))
            past = await self._read_events(beginning.outputs)
            replay = Replay(ledger, self._substitutes, past, admission(self._number, partitions))
            await self._replay(replay, beginning, rules, progress)
        self._whole.add(replay)

    async def _read(self, topic: str, start: int = 0) -> AsyncGenerator[Sequence[Consumed], None]:
        """The committed records of a topic from an offset to its end as of the beginning."""
        end = self._ends.end[topic]
        async with aclosing(read_partition(self._settings, topic, self._number, start, end)) as batches:
            async for records in batches:
                yield [record for record in records if record.offset < end]

    async def _calls_of_the_month(self) -> int:
        found = 0
        async for records in self._read("rated-calls"):
            found += sum(self._is_mine(record.value or b"") for record in records)
        return found

    def _is_mine(self, value: bytes) -> bool:
        """Whether a rated call is of the month, and of the tenant that was asked for."""
        only = self._substitutes.tenant
        return is_of(value, self._substitutes.period) and only in (None, read_call(value).tenant)

    async def _note_calls(self, ledger: TopicLedger, begins: int) -> set[tuple[str, str]]:
        """Note the calls that were rated before the replay; which calls were corrected or rated again."""
        corrected: set[tuple[str, str]] = set()
        async for records in self._read("rated-calls"):
            for record in records:
                if is_corrected(record.value or b""):
                    call = read_call(record.value or b"")
                    corrected.update(places_of(call.tenant, call.usage_id))
            before = [record.value or b"" for record in records if record.offset < begins]
            ledger.note(map(_rated_calls, before))
            self._whole.left_out += sum(map(self._is_mine, before))
        return corrected

    async def _count_calls(self, corrected: set[tuple[str, str]], begins: int) -> None:
        """The calls of the month as they were; of those that were corrected the last rating is remembered."""
        only, period = self._substitutes.tenant, self._substitutes.period
        standing: dict[tuple[str, str], ReadCall] = {}
        async for records in self._read("rated-calls", 0 if corrected else begins):
            for record in records:
                value = record.value or b""
                if not corrected and not is_of(value, period):
                    continue
                call = read_call(value)
                if only not in (None, call.tenant):
                    continue
                places = [place for place in places_of(call.tenant, call.usage_id) if place in corrected]
                replaced = next((standing[place] for place in places if place in standing), None)
                standing.update(dict.fromkeys(places, call))
                if record.offset >= begins:
                    self._whole.was.add_call(call, replaced if is_corrected(value) else None)

    async def _read_events(self, begins: Mapping[str, int]) -> PastPayments:
        """What else was, and all payments that were asked for, and how they were answered."""
        requests: list[RechargeRequest] = []
        events: list[AccountEvent] = []
        async for records in self._read("recharges"):
            for record in records:
                requests.append(request := _requests(record.value or b""))
                self._count(request, record.offset >= begins.get("recharges", 0))
        async for records in self._read("account-events"):
            for record in records:
                if is_counted(record.value or b""):
                    events.append(event := _events(record.value or b""))
                    self._count(event, record.offset >= begins.get("account-events", 0))
        return past_payments(requests, events)

    def _count(self, output: RechargeRequest | AccountEvent, is_replayed: bool) -> None:
        """Count what was caused by an input that is replayed."""
        if is_replayed and self._substitutes.tenant in (None, output.tenant):
            self._whole.was.add(output)

    async def _replay(
        self, replay: Replay, beginning: Beginning, rules: Rules, progress: Callable[[int], None]
    ) -> None:
        """Apply the inputs commit by commit."""
        commands = Tape(self._read("commands", beginning.inputs["commands"]))
        cdrs = Tape(self._read("cdrs", beginning.inputs["cdrs"]))
        await commands.peek()
        await cdrs.peek()
        # from now on a deletion is an error of the readers; before, the broker may have deleted more
        kept = (await kept_everywhere(self._settings, INPUTS, [self._number]))[self._number]
        if kept["commands"].first > beginning.inputs["commands"]:
            raise RaterError("commands were deleted while others were read; run it again")
        rated = Tape(self._read("rated-calls", beginning.outputs.get("rated-calls", 0)))
        calls = CallTape(cdrs, kept["cdrs"].first, rated, rules.settings.grace_hours)
        async for records in self._read("commits"):
            for record in records:
                if part_of(record.key) is not None:
                    continue
                commit = _commits(record.value or b"")
                if commit.sequence < beginning.sequence:
                    continue
                given = records_of(await commands.until(commit.commands_next), commit.skipped)
                given += await calls.of(commit)
                if not given:
                    continue
                replay.apply(_rules_of(commit, rules, self._substitutes), given)
                self._whole.records += len(given)
                progress(len(given))
        replay.finish(rules)


def _rules_of(commit: Commit, rules: Rules, substitutes: Substitutes) -> Rules:
    """The rules that a commit was applied by: without the lists that were not published then."""
    ours = substitutes.deck.version if substitutes.deck is not None else None
    unknown = tuple([version for version in commit.unknown_decks if version != ours])
    if not unknown:
        return rules
    tariffs: Tariffs = rules.tariffs.without(unknown)
    return Rules(rules.settings, tariffs)
