"""Every number that people write has a least and a largest value, and every instant a calendar: what is beyond is refused."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
import typer
from annotated_types import Ge, Gt, Le, Lt
from msgspec import inspect
from pydantic import BaseModel, ValidationError
from typer.models import ArgumentInfo, OptionInfo

from rater.agents.settings import AgentsSettings
from rater.agents.switches.settings import SwitchEntry
from rater.cli import build_app
from rater.core.call_control import CallCommand, CallEvent
from rater.core.inputs import AnyCommand, CallRecord, RateDeck
from rater.core.settings import RatingSettings
from rater.dev.scenarios.read import read_scenario
from rater.kafka.settings import KafkaSettings, RatingVariables, WebVariables, WorkerSettings
from rater.wire.errors import RaterError
from rater.wire.instants import read_instant
from tests.commands import rater
from tests.world import DECK

ENDS_OF_TIME = [
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59-23:59",
    "99999-01-01T00:00:00Z",
    "2025-03-01T10:00:00+99:99",
    "9" * 5000,
]


def numbers_of(kind: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every whole number in a msgspec type, with its limits."""
    match kind:
        case inspect.IntType() | inspect.FloatType():
            yield path, kind
        case inspect.UnionType(types):
            for one in types:
                yield from numbers_of(one, path)
        case inspect.VarTupleType(item) | inspect.ListType(item):
            yield from numbers_of(item, f"{path}[]")
        case inspect.StructType(cls):
            for field in kind.fields:
                yield from numbers_of(field.type, f"{cls.__name__}.{field.name}")


@pytest.mark.parametrize(
    "kind", [RatingSettings, CallRecord, CallEvent, CallCommand, RateDeck, *get_args(AnyCommand)]
)
def test_every_number_of_an_input_or_a_setting_has_a_largest_value(kind: type) -> None:
    """Wire types and the settings of rating: nothing that comes in is larger than what is reckoned with."""
    for path, number in numbers_of(inspect.type_info(kind), kind.__name__):
        assert number.le is not None or number.lt is not None, path
        assert number.ge is not None or number.gt is not None, path


def models_in(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        for one in (field.annotation, *get_args(field.annotation)):
            if isinstance(one, type) and issubclass(one, BaseModel):
                yield from models_in(one)


@pytest.mark.parametrize(
    "model",
    [
        KafkaSettings,
        WorkerSettings,
        RatingVariables,
        WebVariables,
        *dict.fromkeys(models_in(AgentsSettings)),
        SwitchEntry,
    ],
)
def test_every_number_of_a_deployments_settings_has_a_largest_value(model: type[BaseModel]) -> None:
    """Variables and files of workers and agents."""
    for name, field in model.model_fields.items():
        if field.annotation in (int, float) or {int, float} & set(get_args(field.annotation)):
            kinds = {type(limit) for limit in field.metadata}
            assert kinds & {Le, Lt}, f"{model.__name__}.{name}"
            assert kinds & {Ge, Gt}, f"{model.__name__}.{name}"


def commands_of(app: typer.Typer) -> Iterator[Callable[..., Any]]:
    yield from (command.callback for command in app.registered_commands if command.callback)
    for group in app.registered_groups:
        yield from commands_of(group.typer_instance) if group.typer_instance else ()


def test_every_number_of_the_command_line_has_a_largest_value() -> None:
    """Options of every command; a seed may be any number, and a model limits what `rater tenant` is given."""
    seen = 0
    for command in commands_of(build_app()):
        for name, hint in get_type_hints(command, include_extras=True).items():
            kind, *more = get_args(hint) or (hint,)
            if not {int, float} & {kind, *get_args(kind)} or name in ("seed", "audio_conferencing_licenses"):
                continue
            option = next(one for one in more if isinstance(one, OptionInfo | ArgumentInfo))
            assert option.min is not None, f"{command.__name__} {name}"
            assert option.max is not None, f"{command.__name__} {name}"
            seen += 1
    assert seen > 10


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("recharges_per_month_max: 1001", "recharges_per_month_max: expected a number of at most 1000, got 1001"),
        ("recharges_per_hour_max: -1", "recharges_per_hour_max: expected a number of at least 0, got -1"),
        (f"grace_hours: {10**30}", "grace_hours: expected a number of at most 8784, got 1000000000"),
        ("clock_ahead_max_h: 8785", "clock_ahead_max_h: expected a number of at most 8784, got 8785"),
        (
            "call_duration_max_s: 31622401",
            "call_duration_max_s: expected a number of at most 31622400 (DURATION_S_MAX, 366 days), got 31622401",
        ),
        ("pool_warning_percent: 101", "pool_warning_percent: expected a number of at most 100, got 101"),
        ("recharge_retry_hours: [1, 9999]", "recharge_retry_hours[1]: expected a number of at most 8784, got 9999"),
        ("recharge_retry_hour: [1]", "Object contains unknown field `recharge_retry_hour`"),
    ],
)
def test_a_setting_of_a_scenario_beyond_its_limit_names_it(tmp_path: Path, setting: str, said: str) -> None:
    """File, line, setting and the limit."""
    (tmp_path / "deck.csv").write_bytes(DECK.read_bytes())
    scenario = tmp_path / "a.yaml"
    scenario.write_text(
        f"scenario: x\nrate_deck: deck.csv\nsettings: {{{setting}}}\ntenant: {{id: contoso}}\nsteps: []\n"
    )
    with pytest.raises(RaterError) as refused:
        read_scenario(scenario)
    assert f"{scenario}:3: settings: " in str(refused.value)
    assert said.lower() in str(refused.value).lower()


@pytest.mark.parametrize("text", ENDS_OF_TIME)
def test_an_instant_at_the_end_of_the_calendar_is_refused(text: str) -> None:
    """Every option whose value is an instant is read here: years 1 and 9999 with zones, and what is no instant."""
    with pytest.raises(RaterError, match=r"^--until: expected a (year from 1900 to 2199|time with zone)"):
        read_instant("--until", text)


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--until", "9999-12-31T23:59:59-23:59"),
        ("run", "--arrived", "0001-01-01T00:00:00+14:00"),
        ("run", "--metrics-port", "99999"),
        ("run", "--metrics-port", "9" * 30),
        ("dlq", "ls", "--since", "9999-12-31T23:59:59-23:59"),
        ("dlq", "ls", "--limit", "9" * 30),
        ("show", "calls", "contoso", "--last", "9" * 30),
        ("tenant", "fund", "contoso", "100", "--at", "9999-12-31T23:59:59-23:59"),
        ("tenant", "license", "contoso", "ada", "MCOPSTN1", "--effective-to", "9999-12-31T23:59:59-23:59"),
        ("generate", "--month", "9999-12", "--out", "month"),
        ("generate", "--month", "0001-01", "--out", "month"),
        ("generate", "--month", "２０２５-01", "--out", "month"),
        ("export", "usage", "--period", "２０２５-01"),
        ("consume", "debits", "--bootstrap", "127.0.0.1:²"),
        ("consume", "debits", "--bootstrap", "127.0.0.1:99999"),
        ("dev", "kafka", "start", "--port", "99999"),
    ],
    ids=" ".join,
)
def test_the_command_line_refuses_what_no_calendar_or_type_holds(words: tuple[str, ...], tmp_path: Path) -> None:
    """One clear error, exit 2, and never a traceback."""
    rater(*words, cwd=tmp_path, code=2)
    assert not list(tmp_path.glob("month*"))


@pytest.mark.parametrize(
    "bootstrap", ["kafka", "kafka:9092", "10.0.0.1:1, b:65535", "[::1]:9092", "[fe80::1%eth0]:9092", "::1"]
)
def test_addresses_of_brokers(bootstrap: str) -> None:
    """Names, IPv4 and IPv6 addresses, with a port or without."""
    assert KafkaSettings(bootstrap=bootstrap).bootstrap == bootstrap


@pytest.mark.parametrize(
    "bootstrap", ["", "a:", "a:0", "a:65536", "a:²", f"a:{'9' * 5000}", "a:1,", "a b:1", "http://a:1"]
)
def test_what_is_no_address_of_a_broker(bootstrap: str) -> None:
    """The message comes before anything is connected."""
    with pytest.raises(ValidationError, match=r"expected addresses such as 127\.0\.0\.1:9092"):
        KafkaSettings(bootstrap=bootstrap)


def test_settings_can_still_be_made_of_their_defaults() -> None:
    """The defaults lie within their own limits."""
    assert msgspec.convert(msgspec.to_builtins(RatingSettings()), RatingSettings) == RatingSettings()
