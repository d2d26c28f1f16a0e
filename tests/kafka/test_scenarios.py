"""Every scenario comes out on Kafka as it does in process, byte for byte."""

import asyncio
import json
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rater.core.inputs import PaymentFailed, PaymentSucceeded
from rater.core.outputs import TOPIC_OF, Output, RechargeRequest
from rater.core.reasons import Outcome
from rater.core.settings import RatingSettings
from rater.dev.charge_log import read_charges
from rater.dev.local_kafka import LocalKafka
from rater.dev.scenarios.engine import EmbeddedEngine, Engine
from rater.dev.scenarios.kafka_engine import KafkaEngine
from rater.dev.scenarios.read import read_scenario
from rater.dev.scenarios.runner import play
from rater.wire.codec import decode_command, encode, encode_input
from tests.commands import rater
from tests.payments.world import ask, sandbox
from tests.world import DECK

FOLDER = Path(__file__).parent.parent / "spec" / "scenarios"
#: The public scenarios, and of the others one for each kind of step and of refusal; all are played elsewhere.
NUMBERS = [
    *(f"{number:02}" for number in range(1, 13)),
    "28",
    "43",
    "55",
    "58",
    "61",
    "64",
    "70",
    "73",
    "75",
    "77",
    "80",
    "81",
    "82",
    "83",
]
SCENARIOS = [next(FOLDER.glob(f"{number}-*.yaml")) for number in NUMBERS]
#: `received` is the arrival, not the broker's stamp (A43); records are refused, held, repeated or free.
DECISIONS = [
    FOLDER / "decisions" / f"{name}.yaml"
    for name in (
        "arrivals",
        "order-of-checks",
        "clocks",
        "calls-for-help-of-every-type",
        "names-and-ids",
        "conflicts-move-the-clock",
    )
]


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


@pytest.mark.parametrize("path", [*SCENARIOS, *DECISIONS], ids=lambda path: path.stem)
def test_the_same_bytes(path: Path, broker: LocalKafka) -> None:
    """Nothing differs from what the scenario expects, nor between the two engines."""
    engines: list[Recording | KafkaEngine] = []

    def embedded(settings: RatingSettings) -> Recording:
        made = Recording(settings)
        engines.append(made)
        return made

    def kafka(settings: RatingSettings) -> KafkaEngine:
        made = KafkaEngine(settings, broker.bootstrap)
        engines.append(made)
        return made

    file = read_scenario(path)
    for engine in (embedded, kafka):
        assert play(file, engine).differences == ()
    assert engines[0].raw == engines[1].raw
    assert engines[0].raw["rated-calls"] or engines[0].raw["recharges"]


TO_COME = """\
scenario: credit bought in 2150 is forfeited in 2151
rate_deck: deck.csv
tenant: {id: contoso, currency: USD, credits: enabled, recharge: {enabled: false}}
users:
  - {id: ada, country: US, licenses: [MCOPSTNPP]}
steps:
  - fund: {id: f1, amount: "10", at: 2150-03-01T00:00:00Z}
    expect: {balance: "10"}
  - cdr: {id: c1, type: user_out, user: ada, called: "+12065550100", start: 2150-03-10T10:00:00Z, seconds: 61}
    expect: {outcome: rated, balance: "9.98", late: false}
  - cdr: {id: c2, type: user_out, user: ada, called: "+12065550100", start: 2150-03-10T10:00:00Z, seconds: 61,
          received: 2150-03-08T21:00:00Z}
    expect: {outcome: rejected, reason: impossible_time}
  - tick: {at: 2151-03-01T00:00:00Z}
    expect: {balance: "0", events: [funds.expired, balance.depleted, credits.suspended]}
"""


def test_a_scenario_of_a_year_to_come(broker: LocalKafka, tmp_path: Path) -> None:
    """A43: a command arrives at its `at` and a call at its `received`; the clock of the broker is not asked.

    What is printed is one JSON object: the worker's log does not stand in it.
    """
    (tmp_path / "deck.csv").write_bytes(DECK.read_bytes())
    (tmp_path / "one.yaml").write_text(TO_COME)
    for engine in ("embedded", "kafka"):
        words = ("check", "one.yaml", "--engine", engine, "--broker", broker.bootstrap, "--json")
        done = rater(*words, cwd=tmp_path)
        (played,) = json.loads(done.stdout)["scenarios"]
        assert (played["differences"], done.returncode) == ([], 0), done.stderr


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


@pytest.mark.parametrize("number", ["04", "05", "07", "08"])
def test_paid_at_the_gateway(number: str, broker: LocalKafka, tmp_path: Path) -> None:
    """The sandbox gateway, over HTTP, answers what the scenario says; two engines that ask are charged once."""
    file = read_scenario(next(path for path in SCENARIOS if path.name.startswith(number)))
    payments = [step.payment for step in file.scenario.steps if step.payment]
    script = ",".join(payment.reason if payment.result == "failed" else "approve" for payment in payments)
    with sandbox(tmp_path / "charges.jsonl", *(["--script", script] if script else [])) as gateway:
        for engine in (EmbeddedEngine, partial(KafkaEngine, bootstrap=broker.bootstrap)):
            played = play(file, paying(engine, gateway.url))
            assert played.differences == ()
        charges = read_charges(gateway.log) if payments else []
    assert [charge.status for charge in charges] == [payment.result for payment in payments]
