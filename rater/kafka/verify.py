"""What an auditor runs: compute the ledger again from the topics and compare it with what was written.

It compares what was committed when it looked at a partition; work goes on meanwhile.  `partition_audit` says how.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from rater.core import RatingSettings
from rater.kafka.audit_report import Report
from rater.kafka.compacted import LATEST
from rater.kafka.decks import DeckReader
from rater.kafka.ends import ends_of_partition, read_until
from rater.kafka.partition_audit import verify_partition
from rater.kafka.settings import KafkaSettings
from rater.kafka.snapshot import HISTORY
from rater.kafka.topics import partitions_of

#: Everything that is read.
READ = ("cdrs", "commands", "commits", "state", *HISTORY, *LATEST)


async def verify(
    settings: KafkaSettings, rating: RatingSettings, progress: Callable[[int], None] = lambda _: None
) -> Report:
    """Compare every partition; the report's findings are empty when all is as it must be."""
    report = Report()
    decks = DeckReader(settings, 0)
    await decks.start()
    try:
        report.partitions = await partitions_of(settings, "cdrs")
        for partition in range(report.partitions):
            ends = await ends_of_partition(settings, READ, partition)
            report.as_of.append(datetime.now(UTC))
            await decks.read_to_end()  # what a commit before the ends names is published by now
            read = partial(read_until, settings, partition, ends)
            await verify_partition(read, rating, decks.tariffs, report, partition, progress, ends.first)
    finally:
        await decks.stop()
    return report
