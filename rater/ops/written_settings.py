"""Settings that people write: a YAML file and environment variables become one pydantic model, or one clear line.

A variable is named like the path of its field: RATER_GATEWAY_TOKEN_FILE is `gateway.token.file`; it wins over the
file.  That of a secret, RATER_GATEWAY_TOKEN, holds the secret itself.
"""

import os
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rater.ops.secrets import SecretSource
from rater.wire.bounded_yaml import load_yaml, problem_of
from rater.wire.errors import RaterError

PREFIX = "RATER"
#: Fields below which a secret may have been written by mistake.
_SECRET = ("token", "password", "secret", "webhook_secrets")
_SHOWN = 60
_Model = TypeVar("_Model", bound=BaseModel)


def read_settings(model: type[_Model], path: Path | None, environment: Mapping[str, str] | None = None) -> _Model:
    """The settings of a file (none: nothing but defaults) and of the environment (none given: the process's).

    Raises RaterError with one line: which field, what was expected, what was found.
    """
    settings, wrong = _read(model, path, environment)
    if settings is None:
        raise RaterError(wrong[0])
    return settings


def wrong_settings(
    model: type[BaseModel], path: Path | None, environment: Mapping[str, str] | None = None
) -> list[str]:
    """What is wrong with the settings, one line for each value; none where `read_settings` accepts them."""
    try:
        return _read(model, path, environment)[1]
    except RaterError as unreadable:
        return [str(unreadable)]


def variables_of(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[str]:
    """The name of every variable that can set a field of the model, or of a model in it."""
    for name, field in model.model_fields.items():
        yield variable_of((*above, name))
        inner = _model_in(field.annotation)
        if inner is not None:
            yield from variables_of(inner, (*above, name))


def _read(
    model: type[_Model], path: Path | None, environment: Mapping[str, str] | None
) -> tuple[_Model | None, list[str]]:
    written = {} if path is None else _read_yaml(path)
    variables = dict(_variables(model, os.environ if environment is None else environment))
    for place, value in variables.items():
        _put(written, place, value)
    try:
        return model.model_validate(written), []
    except ValidationError as wrong:
        return None, [_line_of(error, path, variables) for error in wrong.errors(include_url=False)]


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
    return found


def _variables(
    model: type[BaseModel], environment: Mapping[str, str], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every field that the environment sets, with its place; an empty variable counts as absent."""
    for name, field in model.model_fields.items():
        place = (*above, name)
        inner = _model_in(field.annotation)
        text = environment.get(variable_of(place))
        if text and inner is SecretSource:
            yield place, {"env": variable_of(place)}
        elif text:
            yield place, text if _is_text(field.annotation) else _parsed(place, text)
        elif inner is not None:
            yield from _variables(inner, environment, place)


def variable_of(place: tuple[str, ...]) -> str:
    """The variable of a field: RATER_ and its path in capitals."""
    return "_".join([PREFIX, *place]).upper()


def _parsed(place: tuple[str, ...], text: str) -> Any:
    try:
        return load_yaml(text)
    except yaml.YAMLError as wrong:
        raise RaterError(f"{variable_of(place)}: expected a value as in YAML: {_yaml_problem(wrong)}") from wrong


def _yaml_problem(wrong: yaml.YAMLError) -> str:
    line, problem = problem_of(wrong)
    return f"line {line}: {problem}"


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that a field holds, by itself or optionally."""
    options = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    return next((one for one in options if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _is_text(annotation: Any) -> bool:
    options = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    return any(one in (str, Path) for one in options)


def _put(written: dict[str, Any], place: tuple[str, ...], value: Any) -> None:
    *above, name = place
    for part in above:
        inner = written.get(part)
        if not isinstance(inner, dict):
            inner = written[part] = {}
        written = inner
    written[name] = value


def _line_of(first: ErrorDetails, path: Path | None, variables: Mapping[tuple[str, ...], Any]) -> str:
    """One line: where, which field, what was expected, what was found."""
    place = tuple(map(str, first["loc"]))
    field = ".".join(place) or "settings"
    set_by = next((variable_of(known) for known in variables if known == place[: len(known)]), None)
    where = set_by or str(path or "settings")
    if first["type"] == "missing":
        return f"{where}: {field}: expected a value, got none"
    if first["type"] == "extra_forbidden":
        return f"{where}: {field}: expected no setting of this name"
    if first["type"] == "model_type" and place[-1] in _SECRET:
        return f"{where}: {field}: expected its place, `file` or `env`, and never the secret itself"
    expected = first["msg"].removeprefix("Value error, ")
    expected = expected.replace("Input should be", "expected", 1)
    expected = expected[0].lower() + expected[1:]
    if "got " in expected or any(part in _SECRET for part in place) or first["type"] == "value_error":
        return f"{where}: {field}: {expected}"
    return f"{where}: {field}: {expected}, got {first['input']!r:.{_SHOWN}}"
