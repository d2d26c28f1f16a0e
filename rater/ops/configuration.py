"""Everything that a deployment sets, in one look: the environment of every service, and the agents' file."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from rater.agents.settings import AgentsSettings
from rater.kafka.connect import connection
from rater.kafka.settings import (
    DeckVariables,
    KafkaSettings,
    RatingVariables,
    WebVariables,
    WorkerSettings,
    variable_of,
    wrong_values,
)
from rater.ops.certificates import expires_at
from rater.ops.secrets import SecretSource
from rater.ops.written_settings import read_settings, variables_of, wrong_settings
from rater.wire.errors import RaterError
from rater.wire.words import did_you_mean

#: Variables that belong to no model: options of commands, and where pages are served.
OTHERS = frozenset({"RATER_GATEWAY_TOKEN", "RATER_OPERATOR", "RATER_WEBHOOK_SECRET", "RATER_WEB_HOST"})
_FLAT: tuple[type[BaseModel], ...] = (
    KafkaSettings,
    WorkerSettings,
    RatingVariables,
    DeckVariables,
    WebVariables,
)


def known_variables() -> frozenset[str]:
    """Every variable that means something to rater."""
    flat = {variable_of(name) for model in _FLAT for name in model.model_fields}
    return OTHERS | flat | set(variables_of(AgentsSettings))


def wrong_in(path: Path | None, environment: Mapping[str, str]) -> list[str]:
    """What is wrong, one line for each: values, unknown names, files and secrets that are not there."""
    found = [*_unknown(environment), *wrong_settings(AgentsSettings, path, environment)]
    for model in _FLAT:
        found += _wrong_in_environment(model, environment)
    return found or [*_wrong_files(path, environment)]


def in_force(path: Path | None, environment: Mapping[str, str]) -> dict[str, Any]:
    """The settings as they hold, defaults included; of secrets only the places.  RaterError if one is wrong."""
    kafka, worker, rating, decks, web = (model(**_given(model, environment)) for model in _FLAT)
    agents = read_settings(AgentsSettings, path, environment)
    return {
        "kafka": kafka.model_dump(mode="json"),
        "worker": worker.model_dump(mode="json"),
        "rating": rating.model_dump(mode="json"),
        "decks": decks.model_dump(mode="json"),
        "web": web.model_dump(mode="json"),
        "agents": agents.model_dump(mode="json"),
    }


def _unknown(environment: Mapping[str, str]) -> Iterator[str]:
    """A misspelt variable would otherwise do nothing."""
    known = known_variables()
    for name in sorted(environment):
        if name.startswith("RATER_") and name not in known:
            yield f"{name}: nothing reads this variable{did_you_mean(name, known)}"


def _given(model: type[BaseModel], environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name in model.model_fields if (value := environment.get(variable_of(name)))}


def _wrong_in_environment(model: type[BaseModel], environment: Mapping[str, str]) -> list[str]:
    try:
        model(**_given(model, environment))
    except ValidationError as wrong:
        return wrong_values(wrong, variable_of)
    return []


def _wrong_files(path: Path | None, environment: Mapping[str, str]) -> Iterator[str]:
    """Values are right; now what they name is looked at."""
    kafka = KafkaSettings(**_given(KafkaSettings, environment))  # type: ignore[arg-type]  # pydantic reads texts
    try:
        connection(kafka)
        for certificate in (kafka.ca_file, kafka.certificate_file):
            if certificate is not None:
                expires_at(certificate)
    except RaterError as wrong:
        yield str(wrong)
    for place, source in _secrets(read_settings(AgentsSettings, path, environment)):
        try:
            source.read(place)
        except RaterError as wrong:
            yield str(wrong)


def _secrets(value: object, place: str = "") -> Iterator[tuple[str, SecretSource]]:
    if isinstance(value, SecretSource):
        yield place, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name), f"{place}.{name}" if place else name)
    elif isinstance(value, tuple | list):
        for number, inner in enumerate(value):
            yield from _secrets(inner, f"{place}.{number}")
