"""The month that the demo tells: three tenants, one of whose cards does not work.

Refuses to know how it is shown.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from rater.contracts.codec import encode_input
from rater.core.inputs import AnyCommand, CallRecord
from rater.core.settings import RatingSettings
from rater.demo.rates import BUNDLED
from rater.embedded.gateway import LocalGateway
from rater.embedded.run import EmbeddedRater, Summary
from rater.embedded.store import Store
from rater.formats.source import InputFile
from rater.generate import Spec, generate_calls, generate_commands
from rater.rates.price_list import published_toll_free, read_any_deck, write_deck

#: A real price list, used when it is there; a plain clone has the bundled deck.
PRICE_LIST = Path("../shared/data/acs-pstn-rates-2025-10-15.csv")
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
        "its card is declined, so it runs dry",
        Spec(seed=33, tenants=1, users=18, calls=4_500, tenant_names=("tailspin",), funds="60"),
    ),
)
DECLINED = ("tailspin",)
POISON = (
    b'{"tenant":"contoso","usage_id":"no-duration","type":"user_out","answered_at":"2025-03-05T10:00:00Z"}',
    b'{"tenant":"contoso","usage_id":"local","type":"user_in","answered_at":"2025-03-05T10:00:00","duration_s":60}',
    b'{"tenant":"northwind","usage_id":"x","type":"user_in","answered_at":"2025-03-05T10:00:00Z","duration_s":60}',
)


def prepare_deck(folder: Path) -> tuple[Path, str]:
    """The deck that the demo rates with, written to the folder, and where it comes from."""
    deck_path = folder / "deck.csv"
    bundled = read_any_deck(BUNDLED)
    if not PRICE_LIST.exists():
        write_deck(bundled, deck_path)
        return deck_path, f"the bundled demo deck, {len(bundled.rows)} invented prices"
    deck = read_any_deck(PRICE_LIST)
    special = tuple(row for row in bundled.rows if row.type in ("premium", "unsupported"))
    rows = (*deck.rows, *special, *published_toll_free())
    write_deck(msgspec.structs.replace(deck, rows=rows), deck_path)
    return deck_path, f"a real price list of {len(deck.rows):,} prefixes, with premium and toll-free rows"


def write_inputs(folder: Path) -> tuple[Path, Path]:
    """Commands and call records of every tenant, the calls in the order in which they reach the rater."""
    commands, cdrs = folder / "commands.jsonl", folder / "cdrs.jsonl"
    with commands.open("wb") as out:
        out.writelines(encode_input(command) + b"\n" for command in _commands())
    with cdrs.open("wb") as out:
        out.writelines(line + b"\n" for line in _lines())
    return commands, cdrs


def rate(folder: Path, deck: Path, commands: Path, cdrs: Path) -> Summary:
    """Rate the month into a new store."""
    store = Store(folder / "rater.db")
    try:
        rater = EmbeddedRater(store, RatingSettings(), LocalGateway(DECLINED))
        version = read_any_deck(deck, version="demo-2025-03")
        rater.publish(version)
        rater.take(InputFile(str(commands), "commands"))
        rater.activate(version.version)
        rater.take(InputFile(str(cdrs), "cdrs"))
        rater.tick(AFTER_THE_MONTH)
        return rater.summary
    finally:
        store.close()


def _commands() -> Iterator[AnyCommand]:
    for _, _, spec in TENANTS:
        yield from generate_commands(spec)


def _lines() -> Iterator[bytes]:
    calls: list[CallRecord] = []
    for _, _, spec in TENANTS:
        calls.extend(call for call in generate_calls(spec) if isinstance(call, CallRecord))
    calls.sort(key=lambda call: call.received_at or call.answered_at)
    middle = len(calls) // 2
    yield from map(encode_input, calls[:middle])
    yield from POISON
    yield from map(encode_input, calls[middle:])
