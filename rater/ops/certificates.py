"""When a certificate ends, read from its PEM file, so that somebody knows beforehand.

Looks at the validity field only (RFC 5280, 4.1.2.5).  Whether it is trusted is the TLS
library's work.
"""

import ssl
from datetime import UTC, datetime
from pathlib import Path

from rater.wire.errors import RaterError

_SEQUENCE, _UTC_TIME, _GENERALIZED_TIME, _VERSION = 0x30, 0x17, 0x18, 0xA0
_END = "-----END CERTIFICATE-----"


def expires_at(path: Path) -> datetime:
    """When the first certificate of a file of certificates to end does so.

    Raises RaterError for a file that cannot be read or holds no certificate.
    """
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError as wrong:
        raise RaterError(f"{path}: cannot be read: {wrong.strerror}") from wrong
    found = [part[part.find("-----BEGIN CERTIFICATE-----") :] + _END for part in text.split(_END)[:-1]]
    try:
        return min(_not_after(ssl.PEM_cert_to_DER_cert(part)) for part in found)
    except (ValueError, IndexError, KeyError) as wrong:
        raise RaterError(f"{path}: expected a certificate in PEM form, got none that can be read") from wrong


def _not_after(der: bytes) -> datetime:
    """Certificate, then its first part, then the fifth field of that (the fourth where no version is given)."""
    certificate = _fields(_content(der, _SEQUENCE))
    fields = _fields(certificate[0][1])
    if fields[0][0] == _VERSION:
        fields = fields[1:]
    validity_tag, validity = fields[3]
    if validity_tag != _SEQUENCE:
        raise ValueError("no validity")
    tag, value = _fields(validity)[1]
    form = {_UTC_TIME: "%y%m%d%H%M%SZ", _GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}[tag]
    return datetime.strptime(value.decode("ascii"), form).replace(tzinfo=UTC)


def _content(der: bytes, tag: int) -> bytes:
    found, value = _fields(der)[0]
    if found != tag:
        raise ValueError(f"expected tag {tag}, got {found}")
    return value


def _fields(der: bytes) -> list[tuple[int, bytes]]:
    """The (tag, content) pairs of a DER value."""
    fields, at = [], 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:
            digits = length & 0x7F
            length, at = int.from_bytes(der[at : at + digits]), at + digits
        if at + length > len(der):
            raise ValueError("cut short")
        fields.append((tag, der[at : at + length]))
        at += length
    return fields
