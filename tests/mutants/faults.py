"""Small faults for functions: each is one change of the syntax tree that a test should notice."""

import ast
import hashlib
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import CodeType

from tests.conftest import ROOT
from tests.mutants.same import SAME

FILES = (*sorted((ROOT / "rater" / "core").glob("*.py")), ROOT / "rater" / "kafka" / "rating_task.py")
#: A wrong row in them is noticed by comparing the table with its source, and not by playing calls.
TABLES = frozenset({"numbering_plan.py", "iso_codes.py", "country_names.py", "currencies.py"})

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
}
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Mutant:
    """One fault: where it is, what stands there, and what stands there instead."""

    id: str
    file: str
    function: str
    #: Its place among the faults of the file.
    place: int
    line: int
    before: str
    after: str

    @property
    def module(self) -> str:
        """The name under which the file is imported."""
        return self.file.removesuffix(".py").replace("/", ".")

    @property
    def code(self) -> CodeType:
        """The function with the fault."""
        tree = _parsed(self.file)
        change = _change(tree, self.place)
        return _compiled(_Replace(change.old, change.new).visit(tree), self)

    @property
    def said(self) -> str:
        """What it is, wherever it is: without the line."""
        return f"{self.file} {self.function}: {self.before}  ->  {self.after}"

    def __str__(self) -> str:
        return self.said.replace(" ", f":{self.line} ", 1)


@dataclass(frozen=True)
class _Change:
    statement: ast.stmt
    old: ast.AST
    new: ast.AST


def every() -> list[Mutant]:
    """Each fault of the files, in their order."""
    found = []
    for path in FILES:
        if path.name in TABLES:
            continue
        file = str(path.relative_to(ROOT))
        same: Counter[str] = Counter()
        for place, (function, change) in enumerate(_changes(_parsed(file))):
            before, after = _shown(change.old), _shown(change.new)
            text = f"{file}|{function}|{_shown(change.statement)}|{before}|{after}"
            line = getattr(change.old, "lineno", change.statement.lineno)
            found.append(Mutant(f"{text}|{same[text]}", file, function, place, line, before, after))
            same[text] += 1
    return found


def sample(number: int, seed: int) -> list[Mutant]:
    """So many faults; which ones depends on their text only, so that other edits leave the choice as it is."""
    drawn = {hashlib.sha256(f"{seed}|{mutant.id}".encode()).digest(): mutant for mutant in every()}
    return [drawn[key] for key in sorted(drawn) if drawn[key].said not in SAME][:number]


def faults_of(tree: ast.Module) -> list[tuple[str, ast.AST, ast.AST]]:
    """Each fault of a module: in which function, what stands there, and what stands there instead."""
    return [(function, change.old, change.new) for function, change in _changes(tree)]


def probe(mutants: Sequence[Mutant]) -> CodeType:
    """Their function without faults: it calls `__reached__(id)` before each statement that has one."""
    tree = _parsed(mutants[0].file)
    for mutant, change in [(mutant, _change(tree, mutant.place)) for mutant in mutants]:
        call = ast.copy_location(ast.parse(f"__reached__({mutant.id!r})").body[0], change.statement)
        for node in ast.walk(tree):
            for block in (getattr(node, field, None) for field in ("body", "orelse", "finalbody")):
                if isinstance(block, list) and change.statement in block:
                    block.insert(block.index(change.statement), call)
    return _compiled(tree, mutants[0])


def _parsed(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text())


def _change(tree: ast.Module, place: int) -> _Change:
    return next(itertools.islice(_changes(tree), place, None))[1]


def _compiled(tree: ast.AST, mutant: Mutant) -> CodeType:
    assert isinstance(tree, ast.Module)
    code = compile(ast.fix_missing_locations(tree), str(ROOT / mutant.file), "exec")
    for name in mutant.function.split("."):
        code = next(const for const in code.co_consts if isinstance(const, CodeType) and const.co_name == name)
    return code


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        """See ast.NodeTransformer."""
        if node is self.old:
            return ast.copy_location(self.new, node)
        return self.generic_visit(node)


def _shown(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())[:100]


def _changes(tree: ast.Module) -> Iterator[tuple[str, _Change]]:
    """Every fault of every function of a module; nested functions belong to the one around them."""
    for node in tree.body:
        if isinstance(node, _Function):
            yield from _within(node.name, node)
        elif isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, _Function):
                    yield from _within(f"{node.name}.{method.name}", method)


def _within(name: str, function: _Function) -> Iterator[tuple[str, _Change]]:
    bound = {argument.arg for argument in ast.walk(function.args) if isinstance(argument, ast.arg)}
    for statement in _statements(function.body):
        if isinstance(statement, ast.Assert):
            continue  # what the types cannot say; without it the rules are the same
        for old, new in _of_statement(statement, bound):
            yield name, _Change(statement, old, new)
        for node in _expressions(statement):
            for changed in _of_expression(node):
                yield name, _Change(statement, node, changed)
        bound |= {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _statements(block: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in block:
        yield statement
        for inner in ast.iter_child_nodes(statement):
            if isinstance(inner, ast.ExceptHandler | ast.match_case):
                yield from _statements(inner.body)
            elif isinstance(inner, ast.stmt):
                yield from _statements([inner])


def _expressions(statement: ast.stmt) -> Iterator[ast.AST]:
    """The expressions of a statement, without those of the statements in it, of annotations and patterns."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop(0)
        yield node
        for field, value in ast.iter_fields(node):
            if field not in ("annotation", "returns", "pattern", "decorator_list", "args") or isinstance(
                node, ast.Call
            ):
                inner = value if isinstance(value, list) else [value]
                waiting += [n for n in inner if isinstance(n, ast.expr | ast.comprehension | ast.keyword)]
                waiting += [case.guard for case in inner if isinstance(case, ast.match_case) and case.guard]


def _of_statement(statement: ast.stmt, bound: set[str]) -> Iterator[tuple[ast.AST, ast.AST]]:
    match statement:
        case ast.Expr(value=ast.Call() | ast.Await()) | ast.AugAssign():
            yield statement, ast.Pass()
        case ast.Assign(targets=targets):
            names = {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
            stored = any(
                isinstance(t, ast.Attribute | ast.Subscript) for target in targets for t in ast.walk(target)
            )
            if stored or names <= bound:  # a name that is not there at all would be noticed at once
                yield statement, ast.Pass()
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):  # `not True` is below
            yield value, ast.Constant(None)
        case ast.If(test=test):
            yield test, ast.Constant(True)
            yield test, ast.Constant(False)
        case ast.While(test=test):
            yield test, ast.Constant(False)
        case _:
            return


def _of_expression(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(left=left, ops=ops, comparators=others):
            for place, op in enumerate(ops):
                yield ast.Compare(left, [*ops[:place], _COMPARISONS[type(op)](), *ops[place + 1 :]], others)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            yield ast.BinOp(left, _ARITHMETIC[type(op)](), right)
        case ast.BoolOp(op=op, values=values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() as value):
            yield ast.Constant(value + 1)
        case ast.IfExp(body=body, orelse=orelse):
            yield body
            yield orelse
        case ast.comprehension(target=target, iter=iter, ifs=ifs) if ifs:
            yield ast.comprehension(target, iter, [], node.is_async)
        case _:
            return
