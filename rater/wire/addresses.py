"""Addresses that settings name: which of them are reached without TLS."""

from urllib.parse import urlsplit

_SHOWN = 60
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def http_address(given: str, example: str, secret_at: str) -> str:
    """An address of HTTP without query or password, and without a slash at its end.

    ValueError says what was expected, such as `example`, or that a password belongs under `secret_at`.
    """
    parts = urlsplit(given)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"expected an address such as {example}, got {given!r:.{_SHOWN}}")
    if parts.username or parts.password:
        raise ValueError(f"expected no password in the address; name its place under {secret_at}")
    return given.rstrip("/")


def is_in_the_clear(url: str) -> bool:
    """Whether what is sent there leaves this machine unencrypted."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in _LOOPBACK
