"""Dead letters as the rules write them: which refused bytes are one letter, and how many of them it keeps.

A letter is bounded whatever was refused, so that it always fits a message of its topic.  Nothing here knows
where letters are kept.
"""

from base64 import b64encode
from hashlib import blake2b

import msgspec

from rater.core.entities import Account
from rater.core.identity import digest
from rater.core.inputs import Source
from rater.core.outputs import RejectedCdr
from rater.core.reasons import Reason, Refusal

#: A letter keeps at most so many bytes of what was refused, counted as they are written in its JSON.
RAW_KEPT_BYTES_MAX = 100_000
#: What a letter says about the bytes is shorter than this, in characters; a message may quote a value.
MESSAGE_LENGTH_MAX = 1_000
NAME_LENGTH_MAX = 256
#: A header that is usual has 20 columns and 250 characters; each letter of the file repeats it.
HEADER_LENGTH_MAX = 10_000
#: JSON that is this many times longer than the bytes is full of escapes: base64 is shorter then.
_ESCAPED_TIMES_MAX = 2
_CUT_MARK = "..."
_quoted = msgspec.json.Encoder().encode


class KeptBytes(msgspec.Struct, frozen=True):
    """What a letter keeps of refused bytes; `length` and `hash` are those of all of them, where some were cut."""

    text: str
    encoding: str
    cut: bool = False
    length: int | None = None
    hash: str | None = None


class Original(msgspec.Struct, frozen=True):
    """Length and hash of refused bytes of which the reader kept only the beginning."""

    length: int
    hash: str


def letter_id(tenant: str, raw: bytes, reason: Reason, original: Original | None = None) -> str:
    """Bytes of one tenant refused again for the same reason are the same letter; another tenant's are not.

    Of `raw` that is only a beginning, the whole decides: rows that begin alike are distinct.
    """
    return digest("letter", tenant, reason.value, original.hash if original else hash_of(raw))


def former_letter_id(raw: bytes, reason: Reason) -> str:
    """The id that version 0.3.0 gave, without the tenant: a letter it wrote is not written again."""
    return digest("rejected", reason.value, digest(raw.hex()))


def rejected(
    account: Account,
    source: Source,
    raw: bytes,
    refused: Refusal,
    *,
    id: str,
    usage_id: str | None,
    claimed_tenant: str | None,
    original: Original | None = None,
) -> RejectedCdr:
    """A letter with as much of the raw bytes as a letter keeps; `original` if they are only a beginning."""
    account.sequences.rejected_cdrs += 1
    kept = kept_of(raw, original)
    return RejectedCdr(
        tenant=account.tenant,
        id=id,
        sequence=account.sequences.rejected_cdrs,
        source=source,
        reason=refused.reason,
        message=shortened(refused.message, MESSAGE_LENGTH_MAX),
        raw=kept.text,
        raw_encoding=kept.encoding,  # type: ignore[arg-type]  # one of the two literals
        raw_cut=kept.cut,
        raw_length=kept.length,
        raw_hash=kept.hash,
        field=shortened(refused.field, NAME_LENGTH_MAX) or None,
        usage_id=usage_id and shortened(usage_id, NAME_LENGTH_MAX),
        claimed_tenant=claimed_tenant and shortened(claimed_tenant, NAME_LENGTH_MAX),
    )


def with_header(letter: RejectedCdr, header: str | None) -> RejectedCdr:
    """The letter with its file's header, or the beginning of it with length and hash of the whole."""
    if header is None or len(header) <= HEADER_LENGTH_MAX:
        return msgspec.structs.replace(letter, header=header)
    whole = header.encode()
    return msgspec.structs.replace(
        letter,
        header=header[:HEADER_LENGTH_MAX],
        header_cut=True,
        header_length=len(whole),
        header_hash=hash_of(whole),
    )


def is_whole(letter: RejectedCdr) -> bool:
    """Whether the letter keeps all that is needed to read its bytes again."""
    return not (letter.raw_cut or letter.header_cut)


def kept_of(raw: bytes, original: Original | None = None) -> KeptBytes:
    """All of the bytes if they fit, else their beginning, with length and hash of the whole (of `original`)."""
    if original is None and len(raw) <= RAW_KEPT_BYTES_MAX:
        text, encoding = _written(raw)
        if len(text) <= RAW_KEPT_BYTES_MAX and len(_quoted(text)) <= RAW_KEPT_BYTES_MAX:
            return KeptBytes(text, encoding)
    # half, because quotes and line breaks of text take two bytes each
    text, encoding = _written(_whole_characters(raw[: RAW_KEPT_BYTES_MAX // 2 - 1]))
    whole = original or Original(len(raw), hash_of(raw))
    return KeptBytes(text, encoding, True, whole.length, whole.hash)


def shortened(text: str, length_max: int) -> str:
    """A text that may quote what was refused, at most so long."""
    return text if len(text) <= length_max else text[: length_max - len(_CUT_MARK)] + _CUT_MARK


def _written(raw: bytes) -> tuple[str, str]:
    """Bytes as text, in base64 where they are not UTF-8 or their control characters would take more room."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return b64encode(raw).decode(), "base64"
    if len(_quoted(text)) > _ESCAPED_TIMES_MAX * len(raw) + 2:
        return b64encode(raw).decode(), "base64"
    return text, "utf-8"


def _whole_characters(raw: bytes) -> bytes:
    """Without the beginning of a UTF-8 character at the end that the cut has split; other bytes as they are."""
    for split in range(1, min(4, len(raw)) + 1):
        if raw[-split] >= 0xC0:  # the first byte of a character of several
            try:
                raw[-split:].decode()
            except UnicodeDecodeError:
                return raw[:-split]
            return raw
        if raw[-split] < 0x80:
            return raw
    return raw


def hash_of(raw: bytes) -> str:
    """A fingerprint of refused bytes."""
    return blake2b(raw, digest_size=16).hexdigest()
