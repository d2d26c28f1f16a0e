"""The notifier for a caller without an event loop: the embedded rater notes events, and sends when it has time.

An event that is noted twice is sent once.
"""

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path

from rater.agents.notices.notifier import Notifier
from rater.agents.notices.outbox import State
from rater.agents.notices.settings import NotifyFile, NotifySettings
from rater.core import AccountEvent
from rater.ops.logs import log_to_stderr
from rater.ops.written_settings import read_settings


class WaitingNotifier:
    """Open from the start until `close`; raises RaterError for what cannot be."""

    def __init__(self, settings: NotifySettings) -> None:
        self._runner = asyncio.Runner()
        self._notifier = Notifier(settings)
        try:
            self._runner.run(self._notifier.__aenter__())
        except BaseException:
            self._runner.close()
            raise

    def note(self, events: Iterable[AccountEvent]) -> None:
        """Queue events; none can be lost once this returns."""
        self._runner.run(self._note(list(events)))

    def send(self) -> None:
        """Send what is due now; what cannot be sent stays for the next time."""
        self._runner.run(self._notifier.deliver_due())

    def close(self) -> None:
        """Close the outbox, and log what is still in it."""
        waiting = self._runner.run(self._waiting())
        self._runner.run(self._notifier.__aexit__(None, None, None))
        self._runner.close()
        if waiting:
            print(f"rater: {waiting} messages wait in the outbox; the next run sends what is due", file=sys.stderr)

    async def _note(self, events: list[AccountEvent]) -> None:
        for event in events:
            await self._notifier.note(event)

    async def _waiting(self) -> int:
        counts = (await self._notifier.counts()).values()
        return sum(states.get(State.QUEUED, 0) + states.get(State.SENDING, 0) for states in counts)


def waiting_notifier(path: Path) -> WaitingNotifier:
    """The notifier of a settings file (NotifySettings in YAML); logs to standard error."""
    settings = read_settings(NotifyFile, path, {})
    log_to_stderr()
    return WaitingNotifier(settings)
