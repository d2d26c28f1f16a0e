"""What every channel offers, and the two ways in which it can fail."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from rater.agents.notices.facts import message_key
from rater.core import AccountEvent


class Message(msgspec.Struct, frozen=True):
    """Events of one tenant that are sent together: one, or those of a digest."""

    channel: str
    tenant: str
    events: tuple[AccountEvent, ...]
    #: It may have been sent before: the last attempt ended without an answer.
    again: bool = False

    @property
    def key(self) -> str:
        """The same for every attempt: receivers recognise a second copy by it."""
        return message_key(tuple([event.id for event in self.events]))


class Refused(Exception):
    """The receiver rejects this message; others may pass."""


class Unreachable(Exception):
    """The receiver accepts nothing now."""


class Connection(Protocol):
    """A way to the receiver that is open."""

    async def send(self, message: Message) -> None:
        """Return once the receiver has accepted it; raises Refused or Unreachable."""


class Channel(Protocol):
    """One way to notify."""

    name: str
    #: Messages about one tenant in one hour before a digest; None: no digests.
    messages_per_hour_max: int | None

    def notifies(self, tenant: str) -> bool:
        """Whether somebody follows this tenant."""

    def connected(self) -> AbstractAsyncContextManager[Connection]:
        """Open the way; raises Unreachable."""
