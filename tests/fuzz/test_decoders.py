"""Every decoder gives a value or a refusal, and takes memory and work that grow with the length of the bytes."""

import itertools
import tracemalloc
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rater.contracts.codec import claimed_tenant, decode_call, decode_call_event, decode_command, decode_deck
from rater.contracts.repeated_keys import repeated_key, tokens
from rater.core.inputs import CallRecord, TenantConfigured
from rater.core.money import PRICE_MICROS_MAX, MoneyError, parse_price, round_to_cents
from rater.core.reasons import Refusal
from rater.errors import RaterError
from rater.formats.graph import GraphRows, page_of
from rater.formats.pstn_csv import COLUMNS, PstnCsv, reader_for
from rater.instants import read_instant
from rater.payments.wire import BodyError, Payment, PaymentNotice, read_body

CALL = (
    b'{"tenant":"contoso","usage_id":"c1","type":"user_out","answered_at":"2025-03-31T23:59:59Z","duration_s":60,'
    b'"user":"ada@contoso.example","called":"+14255550100"}'
)
COMMAND = b'{"command":"tenant_configured","tenant":"t","id":"1","at":"2025-01-01T00:00:00Z","currency":"USD"}'
EVENT = b'{"tenant":"t","usage_id":"c","type":"user_out","event":"started","at":"2025-03-01T10:00:00Z"}'
DECK = (
    b'{"version":"v","currency":"USD","rows":[{"direction":"outbound","prefix":"34","destination":"ES",'
    b'"type":"landline","price_per_minute":"0.02"}]}'
)
ROW = (
    b'{"id":"g1","callType":"user_out","startDateTime":"2025-03-01T10:00:00.1234567Z","duration":60,'
    b'"calleeNumber":"+14255550100"}'
)
PAYMENT = b'{"recharge_id":"r","tenant":"t","status":"succeeded","amount":"100","currency":"USD"}'
NOTICE = b'{"type":"payment.succeeded","data":' + PAYMENT + b"}"
CELLS = b"u1,,,US,,ada@x,Ada,+1425,user_out,Subscriber,,,+14255550100,2025-03-01T10:00:00Z,,60,0,0,USD,X"
HEADER = ",".join(COLUMNS).encode()


def _page(raw: bytes) -> None:
    try:
        page_of("page.json", raw)
    except RaterError:
        pass


def _header(raw: bytes) -> None:
    try:
        reader_for("usage.csv", raw, "t")
    except RaterError:
        pass


def _body(model: type[Payment] | type[PaymentNotice]) -> Callable[[bytes], object]:
    def read(raw: bytes) -> None:
        try:
            read_body(model, raw)
        except BodyError:
            pass

    return read


DECODERS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "cdrs": (decode_call, CALL),
    "commands": (decode_command, COMMAND),
    "call-events": (decode_call_event, EVENT),
    "decks": (decode_deck, DECK),
    "graph-rows": (GraphRows("t").decode, ROW),
    "graph-pages": (_page, b'{"value":[' + ROW + b"]}"),
    "pstn-rows": (PstnCsv("t", ",", COLUMNS).decode, CELLS),
    "pstn-headers": (_header, HEADER),
    "gateway-answers": (_body(Payment), PAYMENT),
    "webhooks": (_body(PaymentNotice), NOTICE),
    "claims": (claimed_tenant, CALL),
    "keys": (repeated_key, CALL),
}
#: Kinds of JSON values that stopped a decoder once, as an unknown field.
HOSTILE = {
    "integer-4301-digits": b"9" * 4301,
    "nested-994": b"[" * 994 + b"]" * 994,
    "nested-100000": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "escaped-quotes": b'"' + b'\\"' * 16_000 + b'"',
    "half-surrogate": b'"\\ud800"',
    "beyond-float": b"1e999",
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("name", DECODERS)
def test_hostile_unknown_fields(name: str, kind: str) -> None:
    """An unknown field may hold anything: the decoder gives a value or a refusal."""
    decode, real = DECODERS[name]
    decode(real.replace(b"{", b'{"unknown":' + HOSTILE[kind] + b",", 1))


@pytest.mark.parametrize("name", DECODERS)
@settings(max_examples=150, deadline=None)
@given(raw=st.binary(max_size=300))
def test_any_bytes(name: str, raw: bytes) -> None:
    """Whatever the bytes are."""
    DECODERS[name][0](raw)


@pytest.mark.parametrize("name", DECODERS)
@settings(max_examples=300, deadline=None)
@given(at=st.integers(0, 1000), cut=st.integers(0, 20), put=st.binary(max_size=12), times=st.integers(1, 3))
def test_changed_records(name: str, at: int, cut: int, put: bytes, times: int) -> None:
    """A good record of which some bytes are others."""
    decode, real = DECODERS[name]
    at %= len(real)
    decode(real[:at] + put * times + real[at + cut :])


@pytest.mark.parametrize("piece", [b'\\"', b'"', b"{", b'{"a":', b'"a":', b'"a" ', b"\\", b'"a\\u0061":1,'])
def test_work_grows_with_the_length(piece: bytes) -> None:
    """Tokens do not overlap, so twice the text is at most twice the work, and memory is a multiple of the text."""
    for raw in (piece * 20_000, b'"' + piece * 20_000):
        spans = [token.span() for token in tokens(raw)]
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
        tracemalloc.start()
        repeated_key(raw)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= 300 * len(raw) + 10_000


@pytest.mark.parametrize(
    ("raw", "repeated"),
    [
        (b'{"a":1,"a":2}', "a"),
        (b'{"a":1,"\\u0061":2}', "a"),
        (b'{"x":{"b":1,"b" : 2}}', "b"),
        (b'{"a":{"b":1},"b":[{"a":1},{"a":2}],"c":"\\"a\\":"}', None),
    ],
)
def test_repeated_keys(raw: bytes, repeated: str | None) -> None:
    """Keys are compared within their own object, with escapes resolved."""
    assert repeated_key(raw) == repeated


def test_fractions_are_cut() -> None:
    """A42: 23:59:59.9999999 on 31 March stays in March, also where the digit is written as an escape."""
    for end in (b"59.9999999Z", b"59.999999\\u0039Z"):
        decoded = decode_call(CALL.replace(b"59Z", end))
        assert not isinstance(decoded, Refusal)
        assert (decoded[0].answered_at.month, decoded[0].answered_at.microsecond) == (3, 999_999)
        assert b"23:59:59.999999Z" in decoded[1]
    deck = decode_deck(DECK.replace(b'"type"', b'"valid_from":"2025-03-31T23:59:59.9999999Z","type"'))
    assert not isinstance(deck, Refusal)
    assert deck.rows[0].valid_from is not None
    assert deck.rows[0].valid_from.month == 3


@pytest.mark.parametrize("field", ["tenant", "id"])
def test_identifiers_have_no_control_characters(field: str) -> None:
    """Two tenants would share ids, which join their parts with NUL."""
    value = msgspec.json.decode(COMMAND)
    for control in ("\0", "\n", "\x7f", "\x85"):
        refused = decode_command(msgspec.json.encode({**value, field: f"a{control}b"}))
        assert isinstance(refused, Refusal)
        assert refused.field == field
    assert isinstance(decode_call(CALL.replace(b"c1", b"c\\u00001")), Refusal)


@pytest.mark.parametrize("currency", [b"USD\\n", b"ZZZ", b"XXX", b"usd"])
def test_currencies_exist(currency: bytes) -> None:
    """ISO 4217; a line feed behind the code is no part of it.  Release 0.3.0 published decks with any three letters."""
    refused = decode_command(COMMAND.replace(b"USD", currency))
    assert isinstance(refused, Refusal)
    assert refused.field == "currency"
    read = not isinstance(decode_deck(DECK.replace(b"USD", currency)), Refusal)
    assert read == (currency in {b"ZZZ", b"XXX"})


def test_good_records_are_read() -> None:
    """The records that are changed above are good as they stand."""
    assert isinstance(decode_call(CALL), tuple)
    assert isinstance(decode_command(COMMAND), TenantConfigured)
    for name in ("graph-rows", "pstn-rows"):
        decode, raw = DECODERS[name]
        assert isinstance(decode(raw), CallRecord)


def test_prices_and_instants_have_limits() -> None:
    """A refusal with the limit's name, never an OverflowError."""
    with pytest.raises(MoneyError, match="PRICE_MICROS_MAX"):
        parse_price("1000000000")
    assert parse_price("10000000") == PRICE_MICROS_MAX
    assert isinstance(decode_deck(DECK.replace(b"0.02", b"1000000000")), Refusal)
    late = decode_deck(DECK.replace(b'"type"', b'"valid_to":"9999-12-31T23:59:59-05:00","type"'))
    assert isinstance(late, Refusal)
    assert late.field == "rows[0].valid_to"
    with pytest.raises(RaterError, match="--until: expected a year"):
        read_instant("--until", "9999-12-31T23:59:59-12:00")


def test_decimals_of_currencies() -> None:
    """A18: yen have none, Kuwaiti dinars three."""
    assert [round_to_cents(73_750_000, decimals) for decimals in (0, 2, 3)] == ["74", "73.75", "73.750"]


def test_the_first_impossible_instant_is_named() -> None:
    """Of two impossible instants the same one is named in each process, so that replay equals live."""
    raw = b'{"command":"deck_activated","tenant":"t","id":"1","version":"v","at":"2999-01-01T00:00:00Z",'
    refused = decode_command(raw + b'"effective_from":"2999-01-01T00:00:00Z"}')
    assert isinstance(refused, Refusal)
    assert refused.field == "at"
