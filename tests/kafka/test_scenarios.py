"""Every scenario comes out on Kafka as it does in process, byte for byte."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rater.contracts.codec import decode_command, encode, encode_input
from rater.core.inputs import PaymentFailed, PaymentSucceeded
from rater.core.outputs import TOPIC_OF, Output, RechargeRequest
from rater.core.reasons import Outcome
from rater.core.settings import RatingSettings
from rater.kafka.local import LocalKafka
from rater.payments.charge_log import read_charges
from rater.scenarios.engine import EmbeddedEngine, Engine
from rater.scenarios.kafka_engine import KafkaEngine
from rater.scenarios.read import read_scenario
from rater.scenarios.runner import play
from tests.conftest import SHARED
from tests.payments.world import ask, sandbox

SCENARIOS = sorted((SHARED / "conformance").glob("*.yaml"))


class Recording(EmbeddedEngine):
    """The engine in process, with every output as bytes."""

    def __init__(self, settings: RatingSettings) -> None:
        super().__init__(settings)
        self.raw: dict[str, list[bytes]] = {topic: [] for topic in TOPIC_OF.values()}

    def submit(self, kind: str, raw: bytes, arrived_at: datetime | None = None) -> tuple[Outcome, list[Output]]:
        outcome, outputs = super().submit(kind, raw, arrived_at)
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


class Paying:
    """An engine whose payments are collected at a gateway; what a scenario says of one is when, and what to expect."""

    def __init__(self, engine: Engine, url: str) -> None:
        self._engine, self._url = engine, url
        self._asked: list[RechargeRequest] = []

    def submit(self, kind: str, raw: bytes) -> tuple[Outcome, list[Output]]:
        said = decode_command(raw) if kind == "command" else None
        if isinstance(said, PaymentSucceeded | PaymentFailed):
            (answer,) = asyncio.run(ask(self._url, self._asked[-1]))
            assert type(answer) is type(said)
            raw = encode_input(msgspec.structs.replace(answer, at=said.at))
        outcome, outputs = self._engine.submit(kind, raw)
        self._asked += [output for output in outputs if isinstance(output, RechargeRequest)]
        return outcome, outputs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


def paying(engine: Callable[[RatingSettings], Engine], url: str) -> Callable[[RatingSettings], Engine]:
    """The same engine, which pays at a gateway."""
    return lambda settings: Paying(engine(settings), url)


@pytest.mark.skipif(not SCENARIOS, reason="../shared is not here: this test plays the reference scenarios")
@pytest.mark.parametrize("number", ["04", "05", "07", "08"])
def test_paid_at_the_gateway(number: str, broker: LocalKafka, tmp_path: Path) -> None:
    """Issue 4: the sandbox gateway, over HTTP, answers what the scenario says; two engines that ask are charged once."""
    file = read_scenario(next(path for path in SCENARIOS if path.name.startswith(number)))
    payments = [step.payment for step in file.scenario.steps if step.payment]
    script = ",".join(payment.reason if payment.result == "failed" else "approve" for payment in payments)
    with sandbox(tmp_path / "charges.jsonl", *(["--script", script] if script else [])) as gateway:
        for engine in (EmbeddedEngine, partial(KafkaEngine, bootstrap=broker.bootstrap)):
            played = play(file, paying(engine, gateway.url))
            assert played.differences == ()
        charges = read_charges(gateway.log) if payments else []
    assert [charge.status for charge in charges] == [payment.result for payment in payments]
