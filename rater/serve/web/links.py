"""Links that sign a person in once: for who has no token yet, such as whoever tries the page.

They are kept by this process alone, as hashes, and end with it.
"""

import secrets
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from rater.serve.web.people import Grant

#: How long a link is good for.
LINK_MINUTES = 15


class Links:
    """The links that were not used yet."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[str, Grant, datetime]] = {}

    def add(self, name: str, grant: Grant) -> str:
        """The secret of a new link for a person."""
        secret = secrets.token_urlsafe(32)
        self._kept[_hash(secret)] = name, grant, datetime.now(UTC) + timedelta(minutes=LINK_MINUTES)
        return secret

    def owner(self, secret: str) -> tuple[str, Grant] | None:
        """Whom a link would sign in; it stays good."""
        name, grant, until = self._kept.get(_hash(secret), ("", None, datetime.now(UTC)))
        return (name, grant) if grant is not None and datetime.now(UTC) < until else None

    def use(self, secret: str) -> tuple[str, Grant] | None:
        """Whom a link signs in, once."""
        owner = self.owner(secret)
        self._kept.pop(_hash(secret), None)
        return owner


def _hash(secret: str) -> str:
    return sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
