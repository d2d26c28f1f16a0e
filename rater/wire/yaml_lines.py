"""YAML with line numbers, and without the surprises: a key that occurs twice is an error, times stay text."""

from typing import Any

import yaml

from rater.wire.bounded_yaml import BoundedLoader, problem_of
from rater.wire.errors import RaterError

#: Where a value stands: the keys and indices that lead to it -> line, counted from 1.
Lines = dict[tuple[str | int, ...], int]


class _Loader(BoundedLoader):
    """The loader with limits, with times left as the text that was written."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load(text: str, name: str) -> tuple[Any, Lines]:
    """The document and the line of every value; RaterError names file and line when it is not YAML."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            raise RaterError(f"{name}:1: expected a mapping, got an empty file")
        lines: Lines = {}
        _note(node, (), lines, name)
        return loader.construct_document(node), lines
    except yaml.YAMLError as wrong:
        line, problem = problem_of(wrong)
        raise RaterError(f"{name}:{line}: not YAML: {problem}") from wrong


def line_of(lines: Lines, path: tuple[str | int, ...]) -> int:
    """The line of the value at a path, or of the nearest thing around it."""
    while path not in lines and path:
        path = path[:-1]
    return lines.get(path, 1)


def _note(node: yaml.Node, path: tuple[str | int, ...], lines: Lines, name: str) -> None:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = (*path, str(key.value))
            if below in lines:
                raise RaterError(f"{name}:{key.start_mark.line + 1}: {key.value}: expected once, stands twice")
            _note(value, below, lines, name)
            lines[below] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _note(value, (*path, index), lines, name)
