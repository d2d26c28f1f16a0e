"""Dead letters: bounded whatever was refused, and one letter for the same bytes of one tenant."""

import base64
from datetime import UTC, datetime

import msgspec
import pytest

from rater.core.apply import dead_letter
from rater.core.entities import Seen
from rater.core.inputs import Source
from rater.core.letters import (
    HEADER_LENGTH_MAX,
    MESSAGE_LENGTH_MAX,
    RAW_KEPT_BYTES_MAX,
    Original,
    former_letter_id,
    hash_of,
    is_whole,
    kept_of,
    letter_id,
)
from rater.core.outputs import RejectedCdr
from rater.core.reasons import Reason, Refusal
from rater.core.settings import RatingSettings
from rater.core.state import Memory, State
from rater.core.step import Rules
from rater.core.tariff import Tariffs
from rater.engine.batch import Envelope, Record, run_batch
from rater.wire.codec import encode
from rater.wire.dead_letters import raw_bytes, why_not_replayed
from tests.world import World

RECORD_OF_NULS = bytes(994_000)


def letter_of(raw: bytes, refused: Refusal | None = None) -> RejectedCdr:
    """The letter that refused bytes become."""
    refused = refused or Refusal(Reason.MALFORMED, "", "expected a JSON object")
    _, letter = dead_letter(State(Memory()), Source("cdrs", 3, 17), raw, refused)
    assert letter is not None
    return letter


@pytest.mark.parametrize(
    "raw",
    [
        RECORD_OF_NULS,
        b"\x01" * 60_000,
        b'"' * 994_000,
        b"\n" * 994_000,
        b"\xff" * 994_000,
        "\u00e9".encode() * 497_000,
        b"x" * 40_000 + bytes(40_000),
        b"x" * 994_000 + bytes(6_000),
    ],
    ids=["NULs", "control characters", "quotes", "line breaks", "no UTF-8", "accents", "half NULs", "long text"],
)
def test_a_letter_is_bounded_whatever_was_refused(raw: bytes) -> None:
    """Its JSON is at most so long; what is cut is cut at the end, and length and hash of the whole are kept."""
    letter = letter_of(raw)
    assert len(encode(letter)) < RAW_KEPT_BYTES_MAX + 1_000
    assert raw.startswith(raw_bytes(letter))
    if letter.raw_cut:
        assert (letter.raw_length, letter.raw_hash) == (len(raw), hash_of(raw))
        assert letter.source == Source("cdrs", 3, 17)
    else:
        assert raw_bytes(letter) == raw


def test_a_letter_of_a_usual_record_keeps_every_byte() -> None:
    """Up to the limit nothing is cut, and text stays legible."""
    for raw in (b'{"a":"b"}', "\u00e9".encode() * 40_000, b"x" * (RAW_KEPT_BYTES_MAX - 2)):
        kept = kept_of(raw)
        assert (kept.text.encode(), kept.encoding, kept.cut, kept.length) == (raw, "utf-8", False, None)


def test_control_characters_are_kept_in_base64_where_that_is_shorter() -> None:
    """A NUL is six bytes of JSON; in base64 four thirds."""
    assert kept_of(bytes(60_000)).text == base64.b64encode(bytes(60_000)).decode()


def test_a_cut_does_not_split_a_character() -> None:
    """The beginning of a long text is text."""
    for shift in range(4):
        kept = kept_of(b"x" * shift + "\U0001f4de".encode() * 50_000)
        assert (kept.encoding, kept.cut) == ("utf-8", True)


def test_what_a_letter_says_is_bounded() -> None:
    """Messages and fields quote what was refused; a record of a megabyte does not make a message of one."""
    letter = letter_of(b"{}", Refusal(Reason.MALFORMED, "f" * 5_000, "got " + "\0" * 1_000_000))
    assert (len(letter.message), len(letter.field or "")) == (MESSAGE_LENGTH_MAX, 256)


def test_identical_bytes_of_one_tenant_are_one_letter_and_distinct_ones_each_keep_theirs() -> None:
    """Refused again, the same bytes are counted and not kept again."""
    world = World()
    broken = b'{"tenant":"contoso","usage_id":1}'
    assert world.raw(broken) == "rejected"
    assert world.refusals == ["malformed"]
    assert world.raw(broken) == "rejected"
    assert world.refusals == []
    assert world.raw(broken + b" ") == "rejected"
    assert world.refusals == ["malformed"]


def test_the_same_refused_bytes_of_two_tenants_are_two_letters() -> None:
    """A row of a file names no tenant: the file's tenant is whose letter it is."""
    state, rules = Memory(), Rules(RatingSettings(), Tariffs())
    letters: list[RejectedCdr] = []
    for tenant in ("contoso", "fabrikam", "contoso"):
        row = Record(
            "cdr", Source("u.csv", 0, 2), b"a,b", Refusal(Reason.MALFORMED, "", "no"), Envelope("usage_csv", tenant)
        )
        batch = run_batch(state, rules, [row])
        state.merge(batch.state)
        for output in batch.outputs:
            assert isinstance(output, RejectedCdr)
            letters.append(output)
    assert [letter.claimed_tenant for letter in letters] == ["contoso", "fabrikam"]
    assert len({letter.id for letter in letters}) == 2


def test_a_letter_of_version_0_3_0_is_not_written_again() -> None:
    """It keeps its id, which knew no tenant; the same bytes after the upgrade are that letter."""
    raw, refused = b"nonsense", Refusal(Reason.MALFORMED, "", "no")
    assert former_letter_id(raw, refused.reason) == "f7734d5004c574fa9445f86fe7a243f0"
    state = State(Memory())
    key = ("-", f"rejected/{former_letter_id(raw, refused.reason)}")
    state.seen_now[key] = Seen(datetime(2025, 3, 1, tzinfo=UTC))
    assert dead_letter(state, Source("cdrs", 0, 1), raw, refused)[1] is None


def long_row(end: bytes, kept: int = 100_000) -> Record:
    """A row of which the reader kept the beginning; `end` is the rest."""
    whole = b"x" * kept + end
    original = Original(len(whole), hash_of(whole))
    refused = Refusal(Reason.TOO_LARGE, "", "too long")
    return Record("cdr", Source("u.csv", 0, 2), whole[:kept], refused, None, original=original)


def test_long_rows_that_begin_alike_are_letters_of_their_own() -> None:
    """The hash of the whole distinguishes them; the same row again is counted on its letter."""
    state, rules = Memory(), Rules(RatingSettings(), Tariffs())
    rows = [long_row(b"a" * 1_000_000), long_row(b"b" * 1_000_000), long_row(b"a" * 1_000_000)]
    batch = run_batch(state, rules, rows)
    letters = [output for output in batch.outputs if isinstance(output, RejectedCdr)]
    assert batch.counts == {"rejected": 3}
    assert [letter.raw_hash for letter in letters] == [row.original and row.original.hash for row in rows[:2]]
    assert [(letter.raw_cut, letter.raw_length) for letter in letters] == [(True, 1_100_000)] * 2
    assert len({letter.id for letter in letters}) == 2


def test_a_long_row_has_the_id_of_all_of_its_bytes() -> None:
    """It is the letter that the whole row would be, where a topic had it."""
    row = long_row(b"a" * 1_000_000)
    assert letter_id("-", row.raw, Reason.TOO_LARGE, row.original) == letter_id(
        "-", b"x" * 100_000 + b"a" * 1_000_000, Reason.TOO_LARGE
    )


def test_a_letter_of_a_short_beginning_is_cut_too() -> None:
    """An incomplete file never counts as whole, however little was kept."""
    (letter,) = run_batch(Memory(), Rules(RatingSettings(), Tariffs()), [long_row(b"a" * 1_000_000, 10)]).outputs
    assert isinstance(letter, RejectedCdr)
    assert (letter.raw, letter.raw_cut, letter.raw_length) == ("x" * 10, True, 1_000_010)
    assert not is_whole(letter)


def test_the_header_in_a_letter_is_bounded() -> None:
    """Each letter of a file repeats its header: of a long one it keeps the beginning, with length and hash."""
    header = "UsageId," + "\u00e9" * 400_000
    refused = Refusal(Reason.MALFORMED, "", "no")
    row = Record("cdr", Source("u.csv", 0, 2), b"a,b", refused, Envelope("pstn-csv", "contoso", header))
    (letter,) = run_batch(Memory(), Rules(RatingSettings(), Tariffs()), [row]).outputs
    assert isinstance(letter, RejectedCdr)
    assert (letter.header, letter.header_cut) == (header[:HEADER_LENGTH_MAX], True)
    assert (letter.header_length, letter.header_hash) == (len(header.encode()), hash_of(header.encode()))
    assert len(encode(letter)) < 6 * HEADER_LENGTH_MAX
    assert not is_whole(letter)
    assert "only a part of the 800008 bytes of its file's header was kept" in why_not_replayed(letter)


def test_a_usual_header_is_kept_whole() -> None:
    """So that the row can be replayed."""
    row = Record(
        "cdr", Source("u.csv", 0, 2), b"a,b", Refusal(Reason.MALFORMED, "", "no"), Envelope("pstn-csv", "c", "A,B")
    )
    (letter,) = run_batch(Memory(), Rules(RatingSettings(), Tariffs()), [row]).outputs
    assert isinstance(letter, RejectedCdr)
    assert (letter.header, letter.header_cut, letter.header_hash) == ("A,B", False, None)
    assert is_whole(letter)


def test_ids_of_letters_are_pinned() -> None:
    """No other Python and no other library gives a letter another id."""
    assert letter_id("contoso", b"nonsense", Reason.MALFORMED) == "577f90530c0e988dbbbe8b983335ffd2"


def test_a_letter_that_is_whole_names_no_cut() -> None:
    """Letters of usual records look as they did."""
    fields = msgspec.json.decode(encode(letter_of(b"nonsense")))
    assert not {"raw_cut", "raw_length", "raw_hash"} & fields.keys()


def test_a_record_of_exactly_the_limit_is_kept_whole() -> None:
    """Two quotes stand around it; one byte more is cut, at half the limit."""
    whole = b"x" * (RAW_KEPT_BYTES_MAX - 2)
    assert (kept_of(whole).cut, kept_of(whole + b"x").cut) == (False, True)
    assert len(kept_of(whole + b"x").text) == RAW_KEPT_BYTES_MAX // 2 - 1


@pytest.mark.parametrize("character", ["\u00e9", "\u20ac", "\U0001f4de", "\U00010000", "\u0080", "\u0800"])
@pytest.mark.parametrize("before", range(4))
def test_a_cut_splits_no_character(character: str, before: int) -> None:
    """Wherever the cut falls, whole characters are kept, and text stays text."""
    text = "x" * before + character * RAW_KEPT_BYTES_MAX
    kept = kept_of(text.encode())
    assert (kept.encoding, kept.cut) == ("utf-8", True)
    assert text.startswith(kept.text)
    assert 0 <= RAW_KEPT_BYTES_MAX // 2 - 1 - len(kept.text.encode()) < len(character.encode())


@pytest.mark.parametrize("raw", [b"\n" * 10, b'"' * 10, b"\\" * 10])
def test_text_that_is_twice_as_long_in_json_is_legible(raw: bytes) -> None:
    """More than twice as long is base64."""
    assert (kept_of(raw).encoding, kept_of(raw + b"\x01").encoding) == ("utf-8", "base64")
