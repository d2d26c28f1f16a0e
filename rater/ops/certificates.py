"""When a certificate ends, read from its PEM file, so that somebody knows beforehand.

Whether it is trusted is the TLS library's work.
"""

from datetime import datetime
from pathlib import Path

from cryptography.x509 import InvalidVersion, load_pem_x509_certificates

from rater.wire.errors import RaterError


def expires_at(path: Path) -> datetime:
    """When the first certificate of a file of certificates to end does so.

    Raises RaterError for a file that cannot be read or holds no certificate.
    """
    try:
        return min(each.not_valid_after_utc for each in load_pem_x509_certificates(path.read_bytes()))
    except OSError as wrong:
        raise RaterError(f"{path}: cannot be read: {wrong.strerror}") from wrong
    except (ValueError, InvalidVersion) as wrong:
        raise RaterError(f"{path}: expected a certificate in PEM form, got none that can be read") from wrong
