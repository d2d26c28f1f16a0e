"""Settings that people write: a YAML file and environment variables become one model, or a line for each error.

A variable is named like the path of its field: RATER_GATEWAY_TOKEN_FILE is `gateway.token.file`; it wins over the
file.  That of a secret, RATER_GATEWAY_TOKEN, holds the secret itself.  Lists and mappings are written as in YAML.
"""

import os
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from rater.ops.secrets import SecretSource
from rater.wire.bounded_yaml import load_yaml, problem_of
from rater.wire.errors import RaterError

PREFIX = "RATER_"
#: Fields below which a secret may have been written by mistake.
_SECRET = ("token", "password", "secret", "webhook_secrets")
_SHOWN = 60
_Written = TypeVar("_Written", bound="WrittenSettings")


class WrittenSettings(BaseSettings):
    """Made in code, they are what was given and the defaults; only `read_settings` reads a file and variables."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, env_prefix=PREFIX, case_sensitive=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - what the library calls
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """See pydantic_settings.BaseSettings."""
        return (init_settings,)


def read_settings(
    model: type[_Written], path: Path | None = None, environment: Mapping[str, str] | None = None, **chosen: Any
) -> _Written:
    """The settings of a file (none: nothing but defaults) and of the environment (none given: the process's).

    What was `chosen` on the command line goes before.  Raises RaterError with one line for each wrong value: which
    variable or field, what was expected, what was found.
    """
    settings, wrong = _read(model, path, environment, chosen)
    if settings is None:
        raise RaterError("\n".join(wrong))
    return settings


def wrong_settings(
    model: type[WrittenSettings], path: Path | None, environment: Mapping[str, str] | None = None
) -> list[str]:
    """What is wrong with the settings, one line for each value; none where `read_settings` accepts them."""
    try:
        return _read(model, path, environment, {})[1]
    except RaterError as unreadable:
        return [str(unreadable)]


def variables_of(model: type[BaseModel], *above: str) -> Iterator[str]:
    """The name of every variable that can set a field of the model, or of a model in it."""
    for name, field in model.model_fields.items():
        yield variable_of(*above, name)
        inner = _model_in(field.annotation)
        if inner is not None:
            yield from variables_of(inner, *above, name)


def variable_of(*place: str) -> str:
    """The variable of a field: RATER_ and its path in capitals."""
    return PREFIX + "_".join(place).upper()


class _Variables(EnvSettingsSource):
    """The variables of an environment; an empty one counts as absent."""

    def __init__(self, model: type[BaseSettings], environment: Mapping[str, str]) -> None:
        super().__init__(model)
        self.env_vars = {
            PREFIX + name.removeprefix(PREFIX).lower(): text
            for name, text in environment.items()
            if text and name.startswith(PREFIX) and name.isupper()
        }

    def explode_env_vars(
        self, field_name: str, field: FieldInfo, env_vars: Mapping[str, str | None]
    ) -> dict[str, Any]:
        """The fields of the model that a field holds; names have `_` in them, so paths are joined and not split."""
        model = _model_in(field.annotation)
        found = {}
        for name, inner in model.model_fields.items() if model else ():
            path = f"{field_name}_{name}"
            found[name] = self.prepare_field_value(path, inner, env_vars.get(PREFIX + path), False)
        return {name: value for name, value in found.items() if value is not None}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """A list or mapping as in YAML; of a secret only its place is kept."""
        variable = variable_of(field_name)
        if _model_in(field.annotation) is SecretSource:
            return SecretSource(env=variable)
        try:
            return load_yaml(value)
        except yaml.YAMLError as wrong:
            raise RaterError(f"{variable}: expected a value as in YAML: {_yaml_problem(wrong)}") from wrong


def _read(
    model: type[_Written], path: Path | None, environment: Mapping[str, str] | None, chosen: Mapping[str, Any]
) -> tuple[_Written | None, list[str]]:
    environment = os.environ if environment is None else environment
    sources = (
        InitSettingsSource(model, dict(chosen)),
        _Variables(model, environment),
        InitSettingsSource(model, {} if path is None else _read_yaml(path)),
    )
    try:
        return model(_build_sources=(sources, {})), []  # type: ignore[call-arg]  # mypy sees the fields only
    except ValidationError as wrong:
        return None, [_line_of(error, path, environment) for error in wrong.errors(include_url=False)]


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        found = load_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as wrong:
        raise RaterError(f"{path}: settings cannot be read: {wrong}") from wrong
    except yaml.YAMLError as wrong:
        raise RaterError(f"{path}: expected YAML: {_yaml_problem(wrong)}") from wrong
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise RaterError(f"{path}: expected names with values, got {type(found).__name__}")
    for name in found:
        if not isinstance(name, str):
            raise RaterError(f"{path}: expected names with values, got the name {name!r:.{_SHOWN}}")
    return found


def _yaml_problem(wrong: yaml.YAMLError) -> str:
    line, problem = problem_of(wrong)
    return f"line {line}: {problem}"


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that a field holds, by itself or optionally."""
    options = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    return next((one for one in options if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _line_of(error: ErrorDetails, path: Path | None, environment: Mapping[str, str]) -> str:
    """One line: where, which field, what was expected, what was found; a secret is never there."""
    place = tuple(map(str, error["loc"]))
    where = _where(place, path, environment)
    if error["type"] == "missing":
        return f"{where}: expected a value, got none"
    if error["type"] == "extra_forbidden":
        return f"{where}: expected no setting of this name"
    if error["type"] == "model_type" and place[-1] in _SECRET:
        return f"{where}: expected its place, `file` or `env`, and never the secret itself"
    expected = error["msg"].removeprefix("Value error, ")
    expected = expected.replace("Input should be", "expected", 1)
    expected = expected[0].lower() + expected[1:]
    if "got " in expected or any(part in _SECRET for part in place) or error["type"] == "value_error":
        return f"{where}: {expected}"
    return f"{where}: {expected}, got {error['input']!r:.{_SHOWN}}"


def _where(place: tuple[str, ...], path: Path | None, environment: Mapping[str, str]) -> str:
    """The variable that set a value or would set it; else the file with the field."""
    if not place:
        return str(path or "settings")
    field = ".".join(place)
    parents = (place[:length] for length in range(len(place), 0, -1))
    set_by = next((parent for parent in parents if environment.get(variable_of(*parent))), None)
    if set_by is None and path is not None:
        return f"{path}: {field}"
    if set_by is None or set_by == place:
        return variable_of(*place)
    return f"{variable_of(*set_by)}: {field}"
