"""The message when a broker goes away: what is known of what was being done."""

import pytest
from aiokafka.errors import KafkaTimeoutError

from rater.kafka.access_errors import refusal
from rater.kafka.connect import READ, WRITE
from rater.kafka.settings import KafkaSettings
from rater.wire.errors import Exit


@pytest.mark.parametrize(
    ("right", "began", "known"),
    [
        (READ, False, "nothing was changed"),
        (WRITE, False, "nothing was changed"),
        (WRITE, True, "how much was stored is not known; run the same command again"),
    ],
)
def test_what_is_known_when_a_broker_goes_away(right: str, began: bool, known: str) -> None:
    """In the middle of publishing nobody can say that nothing was stored; the ids make the second time harmless."""
    said = refusal(KafkaSettings(bootstrap="127.0.0.1:9092"), right, KafkaTimeoutError(), began=began)
    assert known in str(said)
    assert said.exit is Exit.UNREACHABLE
