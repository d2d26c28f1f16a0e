"""What `rater verify` found: how much was compared, the first differences, and remarks."""

from collections import defaultdict
from datetime import datetime

from msgspec import DecodeError
from msgspec.json import decode, encode

from rater.kafka.port import Consumed

FINDINGS_MAX = 20
_SHOWN_MAX = 400


class Report:
    """What was compared, and the first differences."""

    def __init__(self) -> None:
        self.partitions = self.commits = self.cdrs = self.commands = self.outputs = 0
        #: Commits of earlier rules, by the number of their rules: followed and added up, not computed again.
        self.former: dict[int, int] = defaultdict(int)
        self.outcomes: dict[str, int] = defaultdict(int)
        self.findings: list[str] = []
        self.found = 0
        #: What was not compared, and why; and what operators gave up.
        self.remarks: list[str] = []
        #: Commits that were followed and added up, because the inputs to compute them are gone.
        self.followed = 0
        #: When the ends were looked at up to which was compared: the first and the last partition's.
        self.as_of: list[datetime] = []

    def find(self, finding: str) -> None:
        """Note a difference; only the first are kept in words."""
        self.found += 1
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(finding)


def place_of(record: Consumed) -> str:
    """Where a record stands."""
    return f"{record.topic}/{record.partition}@{record.offset}"


def unlike(expected: bytes | None, found: bytes | None) -> str:
    """`expected ..., found ...`; of two objects the tenant, the id, and those fields only that differ.

    Records are long, and what differs often stands behind the beginning that is shown.
    """
    try:
        objects = [decode(value or b"") for value in (expected, found)]
    except DecodeError:
        objects = []
    match objects:
        case [dict() as made, dict() as there] if made != there:
            differ = [name for name in {**made, **there} if made.get(name) != there.get(name)]
            one, other = ({name: each.get(name) for name in differ} for each in (made, there))
            which = f"tenant {made.get('tenant')}, id {made.get('id')}: "
            return f"{which}expected {shown(encode(one))}, found {shown(encode(other))}"
        case _:
            return f"expected {shown(expected)}, found {shown(found)}"


def shown(value: bytes | None) -> str:
    """The beginning of a record, for a finding."""
    return "nothing" if value is None else value.decode(errors="replace")[:_SHOWN_MAX]
