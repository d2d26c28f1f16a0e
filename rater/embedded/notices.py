"""What a store's users are notified of: events of accounts, and money that expires soon."""

from collections.abc import Callable, Iterable

from rater.core import Account, AccountEvent, expiring, funds_of


class Notices:
    """Passes events on where somebody follows them; of money that expires once a process."""

    def __init__(self, note: Callable[[list[AccountEvent]], None] | None) -> None:
        self._note = note
        self._expiring: set[str] = set()

    def of(self, events: Iterable[AccountEvent], accounts: Iterable[Account]) -> None:
        """Notify of events, and of what expires soon in these accounts, by each account's own clock."""
        if self._note is None:
            return
        soon = [
            notice
            for account in accounts
            for notice in expiring(funds_of(account), account.clock)
            if notice.id not in self._expiring
        ]
        self._expiring.update(notice.id for notice in soon)
        if news := [*events, *soon]:
            self._note(news)
