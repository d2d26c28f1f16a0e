"""Every scenario comes out on Kafka as it does in process, byte for byte."""

from pathlib import Path

import pytest

from rater.contracts.codec import encode
from rater.core.outputs import TOPIC_OF, Output
from rater.core.reasons import Outcome
from rater.core.settings import RatingSettings
from rater.kafka.local import LocalKafka
from rater.scenarios.engine import EmbeddedEngine
from rater.scenarios.kafka_engine import KafkaEngine
from rater.scenarios.model import read_scenario
from rater.scenarios.runner import play
from tests.conftest import SHARED

SCENARIOS = sorted((SHARED / "conformance").glob("*.yaml"))


class Recording(EmbeddedEngine):
    """The engine in process, with every output as bytes."""

    def __init__(self, settings: RatingSettings) -> None:
        super().__init__(settings)
        self.raw: dict[str, list[bytes]] = {topic: [] for topic in TOPIC_OF.values()}

    def submit(self, kind: str, raw: bytes) -> tuple[Outcome, list[Output]]:
        outcome, outputs = super().submit(kind, raw)
        for output in outputs:
            self.raw[TOPIC_OF[type(output)]].append(encode(output))
        return outcome, outputs


@pytest.mark.skipif(not SCENARIOS, reason="../shared is not here: this test plays the reference scenarios")
@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_the_same_bytes(path: Path, broker: LocalKafka) -> None:
    """Conformance: nothing differs from what the scenario expects, nor between the two engines."""
    engines: list[Recording | KafkaEngine] = []

    def embedded(settings: RatingSettings) -> Recording:
        engines.append(Recording(settings))
        return engines[-1]  # type: ignore[return-value]  # just appended

    def kafka(settings: RatingSettings) -> KafkaEngine:
        engines.append(KafkaEngine(settings, broker.bootstrap))
        return engines[-1]  # type: ignore[return-value]  # just appended

    file = read_scenario(path)
    for engine in (embedded, kafka):
        assert play(file, engine).differences == ()
    assert engines[0].raw == engines[1].raw
    assert engines[0].raw["rated-calls"]
