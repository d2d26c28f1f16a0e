"""What outputs add up to, without the core: money in less money out, and every call rated or rejected."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set

import msgspec

from rater.core import (
    RESERVED_TENANTS,
    AccountEvent,
    CallRecord,
    Debit,
    Output,
    RatedCall,
    RejectedCdr,
    credited_by,
    format_micros,
    normal_usage_id,
    parse_ledger,
)
from rater.kafka.audit_report import Report
from rater.kafka.consume import SequenceCheck
from rater.kafka.port import Consumed
from rater.kafka.snapshot import HISTORY

_decoders: dict[str, msgspec.json.Decoder[Output]] = {
    "rated-calls": msgspec.json.Decoder(RatedCall),
    "debits": msgspec.json.Decoder(Debit),
    "account-events": msgspec.json.Decoder(AccountEvent),
    "rejected-cdrs": msgspec.json.Decoder(RejectedCdr),
}


class OutputSums:
    """One partition's sums; `first` are the first offsets that topics keep."""

    def __init__(self, report: Report, partition: int, first: Mapping[str, int]) -> None:
        self._report, self._partition = report, partition
        self._checks = {
            topic: SequenceCheck(topic, compacted=False, begun=first.get(topic, 0) > 0) for topic in HISTORY
        }
        self._ledger: dict[str, int] = defaultdict(int)
        self._offered: set[tuple[str, str]] = set()
        self._accounted: set[tuple[str, str]] = set()

    def add(self, topic: str, found: Consumed) -> None:
        """An output: its sequence, the money that it moves, the call that it accounts for."""
        wrong = self._checks[topic].check(found)
        if wrong:
            self._report.find(wrong)
        output = _decoders[topic].decode(found.value or b"") if topic in _decoders else None
        match output:
            case Debit(tenant=tenant, amount=amount):
                self._ledger[tenant] -= parse_ledger(amount)
            case AccountEvent(tenant=tenant):
                self._ledger[tenant] += credited_by(output)
            case RatedCall(tenant=tenant, usage_id=usage_id):
                self._accounted.add((tenant, normal_usage_id(usage_id)))
            case RejectedCdr(usage_id=str(usage_id)):
                self._accounted.add((output.claimed_tenant or output.tenant, normal_usage_id(usage_id)))
            case _:
                pass

    def offer(self, calls: Iterable[CallRecord]) -> None:
        """Calls that commits read, each of which an output must account for."""
        self._offered |= {(call.tenant, normal_usage_id(call.usage_id)) for call in calls}

    def begin_with(self, balances: Mapping[str, int]) -> None:
        """Balances of a snapshot, where what moved money before is deleted."""
        self._ledger = defaultdict(int, balances)

    def compare_calls(self) -> None:
        """Every record that decodes has a rated call or a dead letter."""
        for tenant, usage_id in sorted(self._offered - self._accounted):
            self._report.find(f"cdrs/{self._partition}: tenant {tenant}: {usage_id} was neither rated nor refused")

    def compare_money(self, balances: Mapping[str, int], unknown: Set[str] = frozenset()) -> None:
        """Money in less money out is the balance, for every tenant but the unknown ones."""
        for tenant in sorted((self._ledger.keys() | balances.keys() - RESERVED_TENANTS) - unknown):
            stands = balances.get(tenant, 0)
            if stands != self._ledger[tenant]:
                self._report.find(
                    f"tenant {tenant}: money in less money out is {format_micros(self._ledger[tenant])},"
                    f" the balance is {format_micros(stands)}"
                )
