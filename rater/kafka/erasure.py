"""A user is erased on Kafka: what is known of its names, and until when the topics keep what was written before."""

from collections.abc import Iterable, Iterator

from rater.core import Alias, Memory, State, names_known
from rater.wire.topics import load_topics

_HOURS = 24
#: Topics in which a record may name a user.
_WITH_USERS = (
    "cdrs", "commands", "call-events", "call-commands", "rated-calls", "debits", "account-events", "rejected-cdrs",
    "commits",
)  # fmt: skip


def names_of(memory: Memory, tenant: str, said: Iterable[str]) -> list[str]:
    """The names that mean a user, and its object ids: those that are given, and those that the task knows."""
    aliases = [
        (name, alias)
        for (owner, name), alias in memory.entities["alias"].items()
        if owner == tenant and isinstance(alias, Alias)
    ]
    return names_known(State(memory), tenant, said, aliases)


def what_stays() -> Iterator[str]:
    """Until when each topic keeps records that were written before, a line each."""
    topics = load_topics()
    for name in _WITH_USERS:
        hours = topics[name].retention_hours
        assert hours is not None, name
        yield f"{name}: records from before stay until their retention ends, {_span(hours)} after they were written"
    for name in ("state", "service-states"):
        lag_h = int(topics[name].settings["max.compaction.lag.ms"]) // 3_600_000
        yield f"{name}: the user's records are deleted by compaction, at most about {_span(lag_h)} from now"


def _span(hours: int) -> str:
    days = hours // _HOURS
    if hours % _HOURS:
        return "1 hour" if hours == 1 else f"{hours} hours"
    return "1 day" if days == 1 else f"{days} days"
