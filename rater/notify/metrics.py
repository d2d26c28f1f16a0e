"""The metrics of notifications; label values are those of closed lists and channel names of the settings.

Refuses to know where they are shown.
"""

from prometheus_client import Counter, Gauge

from rater.core.reasons import ClosedList


class Attempt(ClosedList):
    """How an attempt to tell ended."""

    SENT = "sent"  # the receiver took it
    REFUSED = "refused"  # the receiver did not take this message; tried again later
    ABANDONED = "abandoned"  # refused for too long; kept, and not tried again
    UNREACHABLE = "unreachable"  # the receiver takes nothing now; everything waits


ATTEMPTS = Counter("rater_notification_attempts_total", "Attempts to tell", ["channel", "outcome"])
WAITING = Gauge("rater_notification_waiting_messages", "Notices not told yet", ["channel"])
