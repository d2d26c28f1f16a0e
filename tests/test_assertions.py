"""Tests that cannot fail are found: nothing is asserted, or only under a condition, or of a thing with itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

#: Only under a condition, with the reason.
CONDITIONAL = {
    "test_what_is_authorised_is_carried": "a drawn call that is not authorised at all shows nothing",
    "test_no_text_is_left_out_for_being_the_default": "only some kinds of records leave defaults out",
    "test_every_number_of_a_deployments_settings_has_a_largest_value": "only some settings are numbers",
}


def assertions(block: list[ast.stmt], condition: bool = False) -> Iterator[bool]:
    """Of each assertion whether it is under a condition: an `if` without `else`, or after one that leaves."""
    for statement in block:
        match statement:
            case ast.Assert() | ast.Raise():
                yield condition
            case ast.Expr(value=ast.Call()) | ast.Assign(value=ast.Call()):
                yield condition  # of a function, which may assert
            case ast.If(body=body, orelse=orelse):
                leaves = any(isinstance(last, ast.Return | ast.Continue) for last in body)
                within = list(assertions(body))
                yield from (condition or not (orelse or leaves) for _ in within)
                yield from assertions(orelse, condition)
                condition = condition or (leaves and not within)
            case ast.For(body=body) | ast.While(body=body) | ast.Try(body=body):
                yield from assertions(body, condition)
            case ast.With(body=body, items=items) | ast.AsyncWith(body=body, items=items):
                if any(ast.unparse(item.context_expr).startswith("pytest.raises(") for item in items):
                    yield condition
                yield from assertions(body, condition)
            case ast.Match(cases=cases):
                for case in cases:
                    yield from assertions(case.body, condition)


def cannot_fail(source: str) -> list[str]:
    """Every test, assertion and list of parameters that proves nothing."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if name.startswith("test_"):
                if all(assertions(node.body)) and name not in CONDITIONAL:
                    found.append(f"{node.lineno}: {name} asserts nothing, or only under a condition")
            case ast.Assert(test=ast.Constant() | ast.Tuple() | ast.GeneratorExp() | ast.JoinedStr()):
                found.append(f"{node.lineno}: always true")
            case ast.Assert(test=ast.Compare(left=left, comparators=others)):
                sides = [ast.dump(side) for side in (left, *others)]
                calls = any(isinstance(inner, ast.Call) for inner in ast.walk(node))
                if not calls and len(set(sides)) < len(sides):
                    found.append(f"{node.lineno}: compares a thing with itself")
            case ast.Call(func=ast.Attribute(attr="parametrize"), args=[_, ast.List(elts=[]) | ast.Tuple(elts=[])]):
                found.append(f"{node.lineno}: no parameters, so the test never runs")
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda path: path.stem)
def test_every_test_can_fail(path: Path) -> None:
    """An assertion is reached whatever the parameters are."""
    assert cannot_fail(path.read_text()) == []


@pytest.mark.parametrize(
    "body",
    [
        "pass",
        "if x:\n  assert x == 1",
        "for y in x:\n  if y:\n    continue\n  assert y",
        "assert (x, 1)",
        "assert x.y == x.y",
        "assert [z for z in x] == [z for z in x]",
        "assert all(x) == all(x) if x else x\nassert x.a < 2 == x.a",
    ],
)
def test_what_cannot_fail_is_found(body: str) -> None:
    """The check can fail."""
    lines = "\n".join(f"  {line}" for line in body.splitlines())
    assert cannot_fail(f"def test_x(x):\n{lines}")


def test_a_list_without_parameters_is_found() -> None:
    """Pytest skips such a test, and a skipped test is not noticed."""
    assert cannot_fail('@pytest.mark.parametrize("x", [])\ndef test_x(x):\n  assert x')
