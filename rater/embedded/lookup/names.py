"""Numbers for texts: tenants, users, destinations and types are in the file once."""

import sqlite3

from rater.core import name_key


class Names(dict[str, int]):
    """Numbers for texts: `names[text]` is the number of a text, a new one if it has none."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__()
        self._connection = connection

    def __missing__(self, name: str) -> int:
        """Once for each text."""
        id = self[name] = self.known(name) or self._add(name)
        return id

    def known(self, name: str) -> int | None:
        """The number of a text, if it has one."""
        row = self._connection.execute("SELECT id FROM names WHERE name=?", (name,)).fetchone()
        return int(row[0]) if row else None

    def _add(self, name: str) -> int:
        return int(self._connection.execute("INSERT INTO names (name) VALUES (?)", (name,)).lastrowid or 0)


class Users(dict[str, int]):
    """Numbers for users in whatever spelling."""

    def __init__(self, names: Names) -> None:
        super().__init__()
        self._names = names

    def __missing__(self, user: str) -> int:
        """Once for each spelling."""
        id = self[user] = self._names[name_key(user)]
        return id
