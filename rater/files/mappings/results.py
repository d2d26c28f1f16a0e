"""The outcomes of a switch's record, and how the parts of a mapping report them."""

import msgspec

from rater.core import Reason, Refusal


class NotSelected(msgspec.Struct, frozen=True):
    """A record that is right and does not count: another leg, never answered; `reason` is for the summary."""

    reason: str


class Unmapped(Exception):
    """Raised by a part of a mapping: why the record is refused."""

    def __init__(self, field: str, message: str, reason: Reason = Reason.MALFORMED) -> None:
        super().__init__(message)
        self.refusal = Refusal(reason, field, message)


class Skipped(Exception):
    """Raised by a part of a mapping: the record does not count."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.result = NotSelected(reason)


#: A record that was never answered, in the summary.
NEVER_ANSWERED = "not answered"
#: A line that repeats the header.
HEADER_AGAIN = "header repeated"
