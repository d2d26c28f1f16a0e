"""What a run did, counted as it goes."""

from collections import Counter
from collections.abc import Iterable

from rater.core import AccountEvent, CallCommand, EventKind, Outcome, Output, RejectedCdr
from rater.embedded.rows import Rows
from rater.engine.batch import Batch
from rater.files.source import InputFile

REFUSED_SHOWN_MAX = 5
#: A file may name a million tenants that there are not.
APPEARED_MAX = 10_000


class Summary:
    """What a run did."""

    def __init__(self) -> None:
        #: Outcomes of call records and commands together, and of the call records among them.
        self.outcomes: Counter[Outcome] = Counter()
        self.calls: Counter[Outcome] = Counter()
        self.debited: Counter[str] = Counter()
        #: Calls for which nobody paid.
        self.unfunded = 0
        self.events: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.call_events = 0
        self.disconnects: Counter[str] = Counter()
        self.records = 0
        #: Tenants, configured or not: names that may be a slip.
        self.appeared: set[str] = set()
        #: By file: why there may be more of it than could be read; and what to know though nothing is missing.
        self.incomplete: dict[str, str] = {}
        self.remarks: dict[str, list[str]] = {}
        #: Files in which nothing was new, and on which day they were read to their end, if that is known.
        self.already: dict[str, str | None] = {}
        #: Records that a mapping did not select, by reason: other legs, calls that nobody answered.
        self.not_selected: Counter[str] = Counter()
        #: The first refused rows of files as FILE:ROW: field: why (reason).
        self.refused: list[str] = []

    def add_file(self, file: InputFile) -> None:
        """The messages about a file; they replace those of the last read."""
        self.incomplete.pop(file.name, None)
        self.remarks[file.name] = file.remarks
        self.not_selected += file.not_selected
        if file.incomplete:
            self.incomplete[file.name] = file.incomplete

    def add_refused(self, path: str, outputs: Iterable[Output]) -> None:
        """Keep the first refused rows of a file for people."""
        for output in outputs:
            if isinstance(output, RejectedCdr) and len(self.refused) < REFUSED_SHOWN_MAX:
                where = f"{path}:{output.source.offset}: " + (f"{output.field}: " if output.field else "")
                self.refused.append(f"{where}{output.message} ({output.reason.value})")

    @property
    def commands(self) -> Counter[Outcome]:
        """Outcomes of commands: those of people and files, answers of the gateway, ticks."""
        return self.outcomes - self.calls

    def add(self, batch: Batch, calls: Counter[Outcome], rows: Rows, orders: Iterable[CallCommand]) -> None:
        """Count a committed batch, the call records in it, and the orders to end calls that it committed."""
        self.calls.update(calls)
        self.disconnects.update(order.reason.value for order in orders)
        self.outcomes.update(batch.counts)
        self.records += batch.consumed
        self.debited.update(rows.debited)
        self.unfunded += rows.unfunded
        for output in rows.rare:
            if isinstance(output, AccountEvent):
                self.events[output.event.value] += 1
                if output.event is EventKind.TENANT_CONFIGURED:
                    self.appeared.add(output.tenant)
            elif isinstance(output, RejectedCdr):
                self.rejected[output.reason.value] += 1
                if output.claimed_tenant is not None and len(self.appeared) < APPEARED_MAX:
                    self.appeared.add(output.claimed_tenant)
