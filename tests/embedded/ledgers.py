"""Ledgers for tests of the lookup, and what a plain loop over their topics says."""

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from rater.core import (
    EVERY_TENANT,
    AccountEvent,
    Anomaly,
    CallRecord,
    DeckActivated,
    Pocket,
    RatedCall,
    RatingSettings,
    credited_by,
    exponent_of,
    month_start,
    parse_ledger,
    parse_period,
    round_to_cents,
    same_user,
)
from rater.core.outputs import Debit
from rater.dev.generate import Spec, generate_calls, generate_commands
from rater.embedded.lookup import CallFilter, Spend
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Reader, Store
from rater.engine.gateway import LocalGateway
from rater.files.deck_csv import read_deck
from rater.files.export_funds import fund_row
from rater.files.source import InputFile
from rater.wire.codec import encode_input
from tests.world import DECK, at

SPEC = Spec(tenants=2, users=12, calls=1_500, funds="60", correction_share=0.05, late_share=0.05, poison_share=0.01)
_calls = msgspec.json.Decoder(RatedCall)
_debits = msgspec.json.Decoder(Debit)
_events = msgspec.json.Decoder(AccountEvent)


def write_ledger(path: Path, spec: Spec = SPEC) -> None:
    """Rate a generated month into a store."""
    store = Store(path)
    rater = EmbeddedRater(store, RatingSettings(), LocalGateway())
    rater.publish(read_deck(DECK, version="d"))
    start = at("2025-02-28")
    activated = DeckActivated(tenant=EVERY_TENANT, id="d", at=start, version="d")
    rater.apply_all([*generate_commands(spec), activated], start)
    rater.consume(InputFile(str(written(path.with_name("cdrs.jsonl"), spec)), "cdrs"))
    store.close()


def written(path: Path, spec: Spec) -> Path:
    """The month's calls as JSON Lines, some of them broken."""
    lines = [encode_input(one) if isinstance(one, CallRecord) else one for one in generate_calls(spec)]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


class Loops:
    """The answers of plain loops over `Reader.topic`."""

    def __init__(self, reader: Reader, tenant: str) -> None:
        self.rated = [_calls.decode(value) for _, value in reader.topic("rated-calls", tenant)]
        self.debited = [_debits.decode(value) for _, value in reader.topic("debits", tenant)]
        self.events = [_events.decode(value) for _, value in reader.topic("account-events", tenant)]
        self.late = {call.id: month_start(parse_period(call.period) + 1) for call in self.rated if call.late}
        last = {call.usage_id: number for number, call in enumerate(self.rated)}
        self.stands = [last[call.usage_id] == number for number, call in enumerate(self.rated)]

    def calls(self, wanted: CallFilter) -> list[tuple[RatedCall, bool]]:
        """Ratings: those of the call that began last first; of several ratings of one call the latest."""
        found = [one for one in zip(self.rated, self.stands, strict=True) if is_wanted(wanted, one[0])]
        return sorted(found, key=lambda one: one[0].answered_at)[::-1]

    def debits(self, period: str | None) -> list[Debit]:
        """Debits, the newest first."""
        return [one for one in self.debited if period in (None, f"{self.posted(one).astimezone(UTC):%Y-%m}")][::-1]

    def funds(self) -> list[AccountEvent]:
        """Money that is no call's, the newest first."""
        return [event for event in self.events if fund_row(event) is not None][::-1]

    def balance_at(self, when: datetime) -> int:
        """Credits less debits."""
        credited = sum(credited_by(event) for event in self.events if event.at <= when)
        return credited - sum(parse_ledger(debit.amount) for debit in self.debited if self.posted(debit) <= when)

    def posted(self, debit: Debit) -> datetime:
        """When a debit is on a statement: that of a late call in no month that was closed before the call came."""
        late = self.late.get(debit.id.rpartition("-")[0])
        return debit.at if late is None else max(debit.at, late)

    def spend(self, key: Callable[[RatedCall], str | None], since: datetime, until: datetime) -> set[Spend]:
        """Sums of standing ratings."""
        sums: dict[str | None, list[int]] = defaultdict(lambda: [0, 0, 0])
        for call, stands in zip(self.rated, self.stands, strict=True):
            if stands and since <= call.answered_at < until:
                found = sums[key(call)]
                for number, value in enumerate((1, call.minutes, parse_ledger(call.charge))):
                    found[number] += value
        return {Spend(key, *found) for key, found in sums.items()}


def is_wanted(wanted: CallFilter, call: RatedCall) -> bool:
    """Whether a rating is one that a filter asks for, in the words of its documentation."""
    charge = parse_ledger(call.charge)
    exported = parse_ledger(round_to_cents(charge, exponent_of(call.currency)))
    return (
        (wanted.user is None or (call.user is not None and same_user(wanted.user, call.user)))
        and (wanted.since is None or call.answered_at >= wanted.since)
        and (wanted.until is None or call.answered_at < wanted.until)
        and wanted.charge in (None, charge, exported)
        and wanted.destination in (None, call.destination)
        and wanted.type in (None, call.type)
        and (wanted.flag is None or wanted.flag in flags(call))
        and (wanted.number is None or wanted.number in f"{call.called} {call.calling}")
    )


def flags(call: RatedCall) -> set[str]:
    """Anomalies; late; unfunded (nobody paid for minutes); premium (rules 22, 27, and numbers without a price)."""
    found = {anomaly.value for anomaly in call.anomalies}
    found |= {"anomaly"} if call.anomalies else set()
    found |= {"late"} if call.late else set()
    found |= {"unfunded"} if any(one.pocket is Pocket.UNFUNDED for one in call.segments) else set()
    premium = call.rule in ("22 premium number", "27 premium dial-out")
    return found | ({"premium"} if premium or Anomaly.PREMIUM_WITHOUT_RATE in call.anomalies else set())
