"""Everything that a deployment sets, in one look: the environment of every service, and the agents' file."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from rater.agents.settings import AgentsSettings
from rater.agents.switches.settings import wrong_switches
from rater.kafka.connect import connection
from rater.kafka.settings import (
    DeckVariables,
    KafkaSettings,
    RatingVariables,
    WebVariables,
    WorkerSettings,
)
from rater.ops.certificates import expires_at
from rater.ops.secrets import SecretSource
from rater.ops.written_settings import WrittenSettings, read_settings, variables_of, wrong_settings
from rater.wire.errors import RaterError
from rater.wire.words import did_you_mean

#: Variables that belong to no model: options of commands, and where pages are served.
OTHERS = frozenset(
    {"RATER_GATEWAY_TOKEN", "RATER_OPERATOR", "RATER_SIGN_IN_FILE", "RATER_WEBHOOK_SECRET", "RATER_WEB_HOST"}
)
#: Set by variables alone, under the names that `in_force` gives them.
_FLAT: dict[str, type[WrittenSettings]] = {
    "kafka": KafkaSettings,
    "worker": WorkerSettings,
    "rating": RatingVariables,
    "decks": DeckVariables,
    "web": WebVariables,
}


def known_variables() -> frozenset[str]:
    """Every variable that means something to rater."""
    models: list[type[BaseModel]] = [*_FLAT.values(), AgentsSettings]
    return OTHERS.union(*map(variables_of, models))


def wrong_in(path: Path | None, environment: Mapping[str, str]) -> list[str]:
    """What is wrong, one line for each: values, unknown names, files and secrets that are not there."""
    found = [*_unknown(environment), *wrong_settings(AgentsSettings, path, environment)]
    for model in _FLAT.values():
        found += wrong_settings(model, None, environment)
    return found or [*_wrong_files(path, environment)]


def in_force(path: Path | None, environment: Mapping[str, str]) -> dict[str, Any]:
    """The settings as they hold, defaults included; of secrets only the places.  RaterError if one is wrong."""
    settings = {name: read_settings(model, None, environment) for name, model in _FLAT.items()}
    settings["agents"] = read_settings(AgentsSettings, path, environment)
    return {name: model.model_dump(mode="json") for name, model in settings.items()}


def _unknown(environment: Mapping[str, str]) -> Iterator[str]:
    """A misspelt variable would otherwise do nothing."""
    known = known_variables()
    for name in sorted(environment):
        if name.startswith("RATER_") and name not in known:
            yield f"{name}: nothing reads this variable{did_you_mean(name, known)}"


def _wrong_files(path: Path | None, environment: Mapping[str, str]) -> Iterator[str]:
    """Values are right; now what they name is looked at."""
    kafka = read_settings(KafkaSettings, None, environment)
    try:
        connection(kafka)
        for certificate in (kafka.ca_file, kafka.certificate_file):
            if certificate is not None:
                expires_at(certificate)
    except RaterError as wrong:
        yield str(wrong)
    agents = read_settings(AgentsSettings, path, environment)
    if agents.switches is not None and agents.switches.file is not None:
        yield from wrong_switches(agents.switches.file)
    for place, source in _secrets(agents):
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
