"""The parameters of a request: each once, and known; else one sentence that says which is wrong."""

from collections.abc import Mapping
from typing import TypeVar

from multidict import MultiMapping
from pydantic import BaseModel, ValidationError

from rater.serve.problems import Kind, ProblemError

_NAME_SHOWN_MAX = 40


_Model = TypeVar("_Model", bound=BaseModel)


def parameters_of(query: MultiMapping[str], model: type[_Model]) -> _Model:
    """The parameters as the model has them; ProblemError says what is wrong with the first wrong one."""
    try:
        return model.model_validate(_once_each(query))
    except ValidationError as wrong:
        raise ProblemError(Kind.UNREADABLE, _first_wrong(wrong, model)) from wrong


def _once_each(query: MultiMapping[str]) -> Mapping[str, str]:
    parameters = dict(query)
    if len(parameters) < len(query):
        twice = next(name for name in parameters if len(query.getall(name)) > 1)
        raise ProblemError(Kind.UNREADABLE, f"{twice[:_NAME_SHOWN_MAX]}: expected it once")
    return parameters


def _first_wrong(wrong: ValidationError, model: type[BaseModel]) -> str:
    first = wrong.errors(include_url=False, include_context=False, include_input=False)[0]
    name = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        return f"{name[:_NAME_SHOWN_MAX]}: no such parameter; expected {', '.join(model.model_fields)}"
    return f"{name}: {first['msg'][0].lower()}{first['msg'][1:]}"
