"""The month of the demo: three tenants, one of whose cards does not work."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from rater.core import AccountEvent, AnyCommand, CallRecord, EventKind, RatingSettings
from rater.dev.demo import running_call
from rater.dev.demo.rates import BUNDLED
from rater.dev.generate import Spec, generate_calls, generate_commands
from rater.embedded.payments import GATEWAY
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Store
from rater.embedded.summary import Summary
from rater.engine.gateway import LocalGateway
from rater.files.deck_csv import write_deck
from rater.files.price_list import read_any_deck
from rater.files.source import InputFile
from rater.files.toll_free import published_toll_free
from rater.wire.codec import encode_input

_events = msgspec.json.Decoder(AccountEvent)
MONTH = "2025-03"
AFTER_THE_MONTH = datetime(2025, 4, 14, tzinfo=UTC)
#: Each tenant is generated on its own, so that it has its own size and its own money.
TENANTS: tuple[tuple[str, str, Spec], ...] = (
    (
        "contoso",
        "large, auto-recharge works",
        Spec(seed=11, tenants=1, users=40, calls=9_000, tenant_names=("contoso",), funds="150"),
    ),
    (
        "fabrikam",
        "small, conferencing, pays by hand",
        Spec(
            seed=22,
            tenants=1,
            users=14,
            calls=3_600,
            tenant_names=("fabrikam",),
            funds="500",
            recharge=False,
            conferencing_licenses=2,
        ),
    ),
    (
        "tailspin",
        "its card is declined, so its credit runs out",
        Spec(seed=33, tenants=1, users=18, calls=4_500, tenant_names=("tailspin",), funds="60"),
    ),
)
DECLINED = ("tailspin",)
POISON = (
    b'{"tenant":"contoso","usage_id":"no-duration","type":"user_out","answered_at":"2025-03-05T10:00:00Z"}',
    b'{"tenant":"contoso","usage_id":"local","type":"user_in","answered_at":"2025-03-05T10:00:00","duration_s":60}',
    b'{"tenant":"northwind","usage_id":"x","type":"user_in","answered_at":"2025-03-05T10:00:00Z","duration_s":60}',
)


def prepare_deck(folder: Path, price_list: Path | None = None) -> tuple[Path, str]:
    """The deck that the demo rates with (the bundled one if none is given), as a file, and what it is.

    A price list gets the demo's premium and toll-free rows, but for prefixes that it has rows for itself.
    """
    deck_path = folder / "deck.csv"
    bundled = read_any_deck(BUNDLED)
    if price_list is None:
        write_deck(bundled, deck_path)
        return deck_path, f"the bundled demo deck, {len(bundled.rows)} invented prices"
    deck = read_any_deck(price_list)
    special = tuple(row for row in bundled.rows if row.type in ("premium", "unsupported"))
    own = {(row.direction, row.prefix) for row in deck.rows}
    added = [row for row in (*special, *published_toll_free(deck.rows)) if (row.direction, row.prefix) not in own]
    write_deck(msgspec.structs.replace(deck, rows=(*deck.rows, *added)), deck_path)
    return deck_path, f"{price_list.name}: {len(deck.rows):,} prefixes, with premium and toll-free rows"


class Inputs(msgspec.Struct, frozen=True):
    """The month's files; the call records come in three, around the one that takes the last of tailspin's credit.

    The third is written when its first call, which ran at that instant, has been ended.
    """

    commands: Path
    before: Path
    call_events: Path
    dry: Path
    after: Path
    dry_at: datetime
    left: tuple[bytes, ...]


def write_inputs(folder: Path, deck: Path) -> Inputs:
    """Commands, call records in the order in which they reach the rater, and events of a running call."""
    calls = _calls()
    commands = _write(folder / "commands.jsonl", map(encode_input, _commands()))
    tailspin = [call for call in calls if call.tenant == running_call.TENANT]
    count = _calls_until_dry(deck, commands, tailspin)
    dry_at = max(_received(call) for call in tailspin[:count])
    first = calls.index(tailspin[count - 1])
    middle = len(calls) // 2
    assert first < middle, "the broken records come after that"
    return Inputs(
        commands,
        _write(folder / "cdrs-1.jsonl", map(encode_input, calls[:first])),
        _write(folder / "call-events.jsonl", map(msgspec.json.encode, running_call.events_until(dry_at))),
        _write(folder / "cdrs-2.jsonl", [encode_input(calls[first])]),
        folder / "cdrs-3.jsonl",
        dry_at,
        (*map(encode_input, calls[first + 1 : middle]), *POISON, *map(encode_input, calls[middle:])),
    )


def rate(folder: Path, deck: Path, inputs: Inputs) -> Summary:
    """Rate the month into a new store."""
    store = Store(folder / "rater.db")
    try:
        rater = _rater(store, deck, inputs.commands)
        for path in (inputs.before, inputs.call_events, inputs.dry):
            rater.consume(InputFile(str(path)))
        ended = [running_call.record_of(order, inputs.dry_at) for order in store.orders()]
        rater.consume(InputFile(str(_write(inputs.after, [*map(encode_input, ended), *inputs.left]))))
        rater.tick(AFTER_THE_MONTH)
        return rater.summary
    finally:
        store.close()


def _rater(store: Store, deck: Path, commands: Path) -> EmbeddedRater:
    """A rater that knows the tenants and has the deck in force."""
    # Said in the store, so that later commands on it pretend as the demo does.
    store.set(GATEWAY, f"pretend:decline:{','.join(DECLINED)}")
    rater = EmbeddedRater(store, RatingSettings(), LocalGateway(DECLINED))
    version = read_any_deck(deck, version="demo-2025-03")
    rater.publish(version)
    rater.consume(InputFile(str(commands), "commands"))
    rater.activate(version.version)
    return rater


def _calls_until_dry(deck: Path, commands: Path, calls: list[CallRecord]) -> int:
    """How many of a tenant's calls use up its credit; other tenants do not matter, so it is rated alone."""
    with TemporaryDirectory() as folder:
        store = Store(Path(folder) / "alone.db")
        try:
            _rater(store, deck, commands).consume(
                InputFile(str(_write(Path(folder) / "cdrs.jsonl", map(encode_input, calls))))
            )
            events = [_events.decode(value) for _, value in store.topic("account-events", calls[0].tenant)]
        finally:
            store.close()
    return next(event.source.offset for event in events if event.event is EventKind.CREDITS_SUSPENDED)


def _write(path: Path, lines: Iterable[bytes]) -> Path:
    with path.open("wb") as out:
        out.writelines(line + b"\n" for line in lines)
    return path


def _commands() -> Iterator[AnyCommand]:
    for _, _, spec in TENANTS:
        yield from generate_commands(spec)


def _calls() -> list[CallRecord]:
    calls: list[CallRecord] = []
    for _, _, spec in TENANTS:
        calls.extend(call for call in generate_calls(spec) if isinstance(call, CallRecord))
    calls.sort(key=lambda call: call.received_at or call.answered_at)
    return calls


def _received(call: CallRecord) -> datetime:
    return call.received_at or call.answered_at + timedelta(seconds=call.duration_s)
