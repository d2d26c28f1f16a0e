"""Every decoder gives a value or a refusal, whatever the bytes are, and needs work and memory that grow with them."""

import itertools
import random
import tracemalloc
from functools import cache

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rater.core.inputs import CallRecord, TenantConfigured
from rater.core.money import PRICE_MICROS_MAX, MoneyError, parse_price, round_to_cents
from rater.core.reasons import Refusal
from rater.wire.codec import decode_call, decode_command, decode_deck
from rater.wire.errors import RaterError
from rater.wire.instants import read_instant
from rater.wire.repeated_keys import first_repeated, is_plainly_without, repeated_key, tokens
from tests.fuzz.decoders import CALL, COMMAND, CORPUS, DECK, DECODERS, kept_inputs

#: Of all of the kept corpus, in bytes: it is read by people, too.
CORPUS_BYTES_MAX = 300_000
#: YAML is read by Python code, a hundred times slower than JSON.
SLOW = {"scenarios", "notify-settings", "agents-settings", "variables", "mappings"}
#: How many changed inputs a test makes from one seed.
CHANGES = 400
#: What the changed inputs are made from besides each other.
PIECES = (
    b'"', b"\\", b'\\"', b"\\u0000", b"\\ud800", b"{", b"}", b"[", b"]", b",", b";", b"\t", b":", b"\n", b"\r\n", b"\0", b" ",
    b"-", b"+", b".", b"e999", b"9" * 19, b"9" * 4301, b".9999999Z", b"9999-12-31T23:59:59-12:00", b"0001-01-01", b"null",
    b"true", b"NaN", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xff\xfe", b"\xc2\xb2", b"\xe2\x80\xae", b"&a ", b"*a",
    b"!!int ", b"sip:", b"tel:", b"%00", b"@", b"*", b"+911", b"\x1f\x8b\x08\0", b"PK\x03\x04", b"<No data>",
)  # fmt: skip
#: Kinds of JSON values that stopped a decoder once, as an unknown field.
HOSTILE = {
    "integer-4301-digits": b"9" * 4301,
    "nested-994": b"[" * 994 + b"]" * 994,
    "nested-100000": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "escaped-quotes": b'"' + b'\\"' * 16_000 + b'"',
    "half-surrogate": b'"\\ud800"',
    "beyond-float": b"1e999",
}


@cache
def kept(name: str) -> list[bytes]:
    return list(kept_inputs(name))


def changed(raw: bytes, other: bytes, chance: random.Random) -> bytes:
    """An input with one to four changes: a piece put in, a part cut out, doubled, or taken from another input."""
    for _ in range(chance.randint(1, 4)):
        at, end = sorted((chance.randint(0, len(raw)), chance.randint(0, len(raw))))
        match chance.randint(0, 5):
            case 0:
                raw = raw[:at] + chance.choice(PIECES) + raw[at:]
            case 1:
                raw = raw[:at] + chance.choice(PIECES) + raw[min(end, at + 20) :]
            case 2:
                raw = raw[:at] + raw[end:]
            case 3:
                raw = raw[:end] + raw[at:]
            case 4:
                raw = raw[:at] + bytes([chance.randint(0, 255)]) + raw[at + 1 :]
            case _:
                raw = raw[:at] + other[chance.randint(0, len(other)) :]
    return raw


@pytest.mark.parametrize("name", DECODERS)
def test_the_kept_corpus(name: str) -> None:
    """What a fuzzer or a person once found to be of interest is a value or a refusal."""
    assert len(kept(name)) > 1
    for raw in kept(name):
        DECODERS[name].decode(raw)


def test_the_corpus_is_small_and_belongs_to_decoders() -> None:
    """A folder for each decoder, and nothing that is too large to be kept with the code."""
    assert {folder.name for folder in CORPUS.iterdir()} == set(DECODERS)
    assert sum(path.stat().st_size for path in CORPUS.glob("*/*")) < CORPUS_BYTES_MAX


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("name", DECODERS)
def test_hostile_unknown_fields(name: str, kind: str) -> None:
    """An unknown field may hold anything: the decoder gives a value or a refusal."""
    decode, real = DECODERS[name]
    decode(real.replace(b"{", b'{"unknown":' + HOSTILE[kind] + b",", 1))


@pytest.mark.parametrize("name", DECODERS)
@settings(max_examples=100, deadline=None)
@given(raw=st.binary(max_size=300))
def test_any_bytes(name: str, raw: bytes) -> None:
    """Whatever the bytes are."""
    DECODERS[name].decode(raw)


@pytest.mark.parametrize("name", DECODERS)
@settings(max_examples=100, deadline=None)
@given(at=st.integers(0, 1000), cut=st.integers(0, 20), put=st.binary(max_size=12), times=st.integers(1, 3))
def test_changed_records(name: str, at: int, cut: int, put: bytes, times: int) -> None:
    """A good record of which some bytes are others."""
    decode, real = DECODERS[name]
    at %= len(real)
    decode(real[:at] + put * times + real[at + cut :])


@pytest.mark.parametrize("name", DECODERS)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1 << 63))
def test_changes_of_the_kept_corpus(name: str, seed: int) -> None:
    """Thousands of inputs that are near to those that reached every branch of a decoder once."""
    chance = random.Random(seed)
    for _ in range(CHANGES // 10 if name in SLOW else CHANGES):
        raw = changed(chance.choice(kept(name)), chance.choice(kept(name)), chance)
        try:
            DECODERS[name].decode(raw)
        except Exception as wrong:
            raise AssertionError(f"{name} raised on {raw!r}") from wrong


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


_KEYS = st.sampled_from(['"a"', '"\\u0061"', '"b"', '"\\ud83d"', '"\\\\"', '"é"'])
_JSON = st.recursive(
    st.sampled_from(["1", '"x"', '"{\\"a\\":"', "null", "1.5", '"\\ud800"']),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda values: f"[{','.join(values)}]"),
        st.lists(st.tuples(_KEYS, inner), max_size=3).map(
            lambda pairs: "{" + ",".join(f"{key}:{value}" for key, value in pairs) + "}"
        ),
    ),
    max_leaves=8,
)


@given(_JSON)
def test_what_is_plainly_without_repeated_keys_has_none_token_by_token(text: str) -> None:
    """Python's reader and ours agree on every JSON text."""
    assert is_plainly_without(text.encode()) == (first_repeated(text.encode()) is None)


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
