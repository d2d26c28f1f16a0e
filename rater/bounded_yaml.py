"""YAML that people write, read so that whatever the text is, it is a value or one error with its line.

PyYAML's own loader ends in any of Python's errors where a value does not fit its tag, and a few lines of aliases
stand for more values than a machine can hold.  So what a document may hold has limits, aliases counted as what they
stand for.
"""

from typing import Any

import yaml

#: A settings file has some hundred values, the longest scenario some ten thousand.
VALUES_MAX = 100_000
DEPTH_MAX = 50


class BoundedLoader(yaml.SafeLoader):
    """The safe loader with limits; raises yaml.YAMLError and nothing else."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._values = 0
        #: How many values an anchor stands for; none of one that is still open.
        self._standing: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """See yaml.composer.Composer."""
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        is_alias, before = self.check_event(yaml.AliasEvent), self._values
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise _wrong(f"nested too deeply: expected at most {DEPTH_MAX} levels (DEPTH_MAX)", mark)
        node = super().compose_node(parent, index)
        if is_alias and id(node) not in self._standing:
            raise _wrong("expected no value that contains itself", mark)
        self._values += self._standing[id(node)] if is_alias else 1
        if self._values > VALUES_MAX:
            raise _wrong(f"expected at most {VALUES_MAX} values, aliases included (VALUES_MAX)", mark)
        if not is_alias:
            self._standing[id(node)] = self._values - before
        self._depth -= 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """See yaml.constructor.BaseConstructor."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError, OverflowError) as wrong:
            tag = node.tag.rpartition(":")[2]
            raise _wrong(
                f"expected a value of the type {tag}, got another; quote it if it is text", node.start_mark
            ) from wrong


def load_yaml(text: str) -> Any:
    """The value of a document, None of an empty one; raises yaml.YAMLError."""
    loader = BoundedLoader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def problem_of(wrong: yaml.YAMLError) -> tuple[int, str]:
    """The line, counted from 1, and what is wrong there, without the text that stands there: it may be a secret."""
    mark = getattr(wrong, "problem_mark", None) or getattr(wrong, "context_mark", None)
    said = getattr(wrong, "problem", None) or getattr(wrong, "context", None)
    if isinstance(wrong, yaml.reader.ReaderError):
        said = f"expected text without control characters, got one at {wrong.position}"
    return mark.line + 1 if mark else 1, said or "not readable"


def _wrong(problem: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
