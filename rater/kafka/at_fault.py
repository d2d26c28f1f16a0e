"""Which record of a batch raises: a bug of ours stops its partition, and a person must know at which record."""

from collections.abc import Callable, Sequence

from rater.core.inputs import Source
from rater.kafka.port import Consumed


class RecordAtFault(Exception):
    """Applying this record raised; nothing of its batch was committed."""

    def __init__(self, source: Source, wrong: Exception) -> None:
        self.source = source
        place = f"--partition {source.partition} --topic {source.topic} --offset {source.offset}"
        super().__init__(
            f"{source.topic}[{source.partition}]:{source.offset}: {type(wrong).__name__}: {str(wrong)[:500]};"
            " applying this record raises, so nothing of its batch was committed. When it must not wait for a"
            f" repaired version: rater partition skip {place} --note WHY"
        )


def find_at_fault(
    records: Sequence[Consumed], apply: Callable[[Sequence[Consumed]], object], wrong: Exception
) -> Exception:
    """The error that names the record at fault, if the beginning of the batch up to it raises again.

    `apply` changes nothing that stays.  Beginnings are halved: a batch of 2,000 is applied some eleven times more.
    """
    if not _raises(records, apply):
        return wrong
    good, bad = 0, len(records)
    while bad - good > 1:
        middle = (good + bad) // 2
        if _raises(records[:middle], apply):
            bad = middle
        else:
            good = middle
    at_fault = records[bad - 1]
    return RecordAtFault(Source(at_fault.topic, at_fault.partition, at_fault.offset), wrong)


def _raises(records: Sequence[Consumed], apply: Callable[[Sequence[Consumed]], object]) -> bool:
    try:
        apply(records)
    except Exception:  # whatever it is, it is the bug that is looked for
        return True
    return False
