"""`rater erase` on a real broker: a command of the rating task, tombstones in compacted topics, and a clean audit."""

import asyncio
import json

import msgspec
import pytest

from rater.core.outputs import RatedCall
from rater.kafka.consume import read_topic
from tests.kafka.deployment import until
from tests.kafka.test_money import Clerk, clerk

__all__ = ["clerk"]


def names_ada(key: bytes, value: bytes) -> bool:
    """Whether a record of the state has the name, in its key or as a text; digests may have its letters, too."""
    return b"/ada" in key or b"\xa3ada" in value or b"/ada" in value


def latest(clerk: Clerk, topic: str) -> dict[bytes, bytes | None]:
    """The last record of each key, as compaction leaves them; None where a tombstone is the last."""

    async def read() -> dict[bytes, bytes | None]:
        settings = clerk.deployment.settings
        return {
            record.key or b"": record.value async for records in read_topic(settings, topic) for record in records
        }

    return asyncio.run(read())


def users(clerk: Clerk) -> list[str | None]:
    """Whose call each rated call is."""
    return [msgspec.json.decode(value, type=RatedCall).user for value in clerk.deployment.values("rated-calls")]


@pytest.mark.usefixtures("deployment")
def test_a_user_is_erased_from_compacted_topics(clerk: Clerk) -> None:
    """The rule erasure: from then on a pseudonym, exactly once, also for the next owner; no money moves."""
    limit = ("--scope", "user", "--limit", "4", "--mode", "stop", "--at", "2026-03-10T10:30:00Z")
    clerk.types("tenant", "brake", "contoso", "daily", *limit)
    clerk.publish("over", 21, "2026-03-10 10:30")
    assert latest(clerk, "service-states")[b"contoso/Brake/daily/ada"] is not None  # refused for that day
    clerk.types("tenant", "license", "contoso", "ada", "MCOPSTNPP", "--remove", "--at", "2026-03-11T00:00:00Z")
    clerk.publish("unfunded", 1, "2026-03-11 10:00")
    assert latest(clerk, "service-states")[b"contoso/ada"] is not None  # restricted
    asked, said = clerk.types("erase", "contoso", "ada", "--reason", "request 4711", "--by", "kim")
    assert (
        "commands: records from before stay until their retention ends, 400 days after they were written" in asked
    )
    assert "state: the user's records are deleted by compaction, at most about 1 day from now" in asked
    assert "nothing was done yet: --yes does it" in said
    before = latest(clerk, "state")
    assert before[b"user/contoso/ada"] is not None
    assert {key for key, value in before.items() if value is not None and names_ada(key, value)} >= {
        b"user/contoso/ada",
        b"spent/contoso/user/ada",
    }
    done = json.loads(clerk.types("erase", "contoso", "ada", "--by", "kim", "--yes", "--json")[0])
    pseudonym = done["remarks"][0].split()[3]
    assert pseudonym.startswith("erased-")
    state, states = latest(clerk, "state"), latest(clerk, "service-states")
    assert (state[b"user/contoso/ada"], state[b"spent/contoso/user/ada"]) == (None, None)
    assert (states[b"contoso/ada"], states[b"contoso/Brake/daily/ada"]) == (None, None)
    assert state[f"user/contoso/{pseudonym}".encode()] is not None
    assert [key for key, value in state.items() if value is not None and names_ada(key, value)] == []
    clerk.publish("after", 1, "2026-03-10 11:00")
    assert users(clerk) == ["ada", "ada", "ada", pseudonym]
    assert clerk.debits() == [("call", "4.2", "95.8"), ("call", "4.2", "91.6"), ("call", "0.2", "91.4")]
    assert clerk.deployment.verify().findings == []
    clerk.deployment.workers[0].stop()
    worker = clerk.deployment.start("worker-1")
    until(lambda: len(worker.logged("partition owned")) == 4, "the next worker to own the partitions")
    clerk.types("erase", "contoso", "ADA", "--yes")
    clerk.publish("later", 1, "2026-03-10 12:00")
    assert users(clerk)[4:] == [pseudonym]
    report = clerk.deployment.verify()
    assert (report.findings, report.found) == ([], 0)
