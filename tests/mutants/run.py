"""Runs the specification, the laws and the simulation against each fault, in a fork of one prepared process.

Everything is imported and collected once.  A probe plays every test without faults, and notes which tests reach
which faults.  Then for each fault a child puts the code of one function in the place of the right one and runs the
tests that reach it, the quickest first, until one fails.
"""

import functools
import gc
import importlib
import json
import os
import resource
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from types import CodeType, FunctionType
from typing import Any

import hypothesis
import pytest
from _pytest.runner import runtestprotocol

from tests.conftest import ROOT
from tests.mutants.faults import Mutant, probe, sample

#: The agents' tests of what the core says about running calls, authorisation and passing time are specification, too,
#: and those of what becomes of an older release's state.
AGENTS = ("authorize", "expiring", "laws", "running_calls", "ticks")
PATHS = (
    "tests/laws",
    "tests/spec",
    "tests/simulation",
    "tests/upgrade",
    *[f"tests/agents/test_{name}.py" for name in AGENTS],
)
#: In memory every rule is the same as elsewhere; of the simulation the first seeds are enough.
CHOSEN = "not sqlite and not simulated and (not test_whatever_crashes or test_whatever_crashes[0]) and not broken_designs"
#: The same without tests that take seconds: for a few faults in each run of all tests.
QUICK = f"{CHOSEN} and not test_whatever_crashes and not test_long_histories and not test_many_purchases"
#: What one fault may cost, and after how long a single test counts as hung, which is noticed as well; of processor
#: time, so that what else runs on this machine decides nothing.
SECONDS_A_MUTANT = 60
SECONDS_A_TEST = 30
#: A fault may make a list grow for ever.
MEMORY_BYTES_MAX = 4 * 2**30
_HUNG = "ended by a signal"


class Trial:
    """A pytest plugin that runs the collected tests once for each fault and keeps what survives."""

    def __init__(self, mutants: Sequence[Mutant]) -> None:
        self.mutants = mutants
        self.survivors: list[Mutant] = []
        self.unreached: list[Mutant] = []

    def pytest_collection(self) -> None:
        """A fault is noticed when the first example fails; which is the smallest does not matter."""
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        now = hypothesis.settings.get_profile("default")
        hypothesis.settings.register_profile("mutants", now, phases=phases)
        hypothesis.settings.load_profile("mutants")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In place of pytest's own loop."""
        functions = {mutant.id: _function(mutant) for mutant in self.mutants}
        gc.collect()
        gc.freeze()
        reached, seconds = self._probe(session.items, functions)
        for number, mutant in enumerate(self.mutants, 1):
            items = sorted(
                [session.items[place] for place in reached[mutant.id]], key=lambda item: seconds[item.nodeid]
            )
            began = time.monotonic()
            noticed = bool(items) and _noticed(items, functions[mutant.id], mutant.code)
            if not noticed:
                self.survivors.append(mutant)
                if not items:
                    self.unreached.append(mutant)
            shown = "noticed" if noticed else "SURVIVED" if items else "SURVIVED, no test reaches it"
            took = time.monotonic() - began
            print(f"{number:4}/{len(self.mutants)} {took:5.1f} s  {shown}: {mutant}", file=sys.stderr, flush=True)
        return True

    def _probe(
        self, items: list[pytest.Item], functions: dict[str, FunctionType]
    ) -> tuple[dict[str, list[int]], dict[str, float]]:
        """For each fault the places of the tests that reach it, and how long each test takes."""
        together: dict[FunctionType, list[Mutant]] = defaultdict(list)
        for mutant in self.mutants:
            together[functions[mutant.id]].append(mutant)
        codes = [(function, probe(mutants)) for function, mutants in together.items()]
        reached: dict[str, list[int]] = defaultdict(list)
        seconds: dict[str, float] = {}
        for line in _in_a_child(functools.partial(_play, items, codes)):
            place, took, ids = json.loads(line)
            if took is None:
                print(f"left out, it fails without any fault: {items[place].nodeid}", file=sys.stderr)
                continue
            seconds[items[place].nodeid] = took
            for id in ids:
                reached[id].append(place)
        assert seconds, "no test passes without faults"
        return reached, seconds


def _play(
    items: list[pytest.Item], codes: list[tuple[FunctionType, CodeType]], write: Callable[[str], None]
) -> None:
    hit: set[str] = set()
    for function, _ in codes:
        function.__globals__["__reached__"] = hit.add
    _put(codes)
    for item, following, place in zip(items, [*items[1:], None], range(len(items)), strict=True):
        hit.clear()
        began = time.monotonic()
        passes = _passes(item, following)
        write(json.dumps([place, time.monotonic() - began if passes else None, sorted(hit)]))


def _noticed(items: list[pytest.Item], function: FunctionType, code: CodeType) -> bool:
    def play(write: Callable[[str], None]) -> None:
        _put([(function, code)])
        for item, following in zip(items, [*items[1:], None], strict=True):
            signal.setitimer(signal.ITIMER_PROF, SECONDS_A_TEST)
            if not _passes(item, following):
                return write("noticed")
            if time.process_time() > SECONDS_A_MUTANT:
                break
        return write("survived")

    (answer,) = _in_a_child(play)
    assert answer in ("noticed", "survived", _HUNG), answer
    return answer != "survived"


def _passes(item: pytest.Item, following: pytest.Item | None) -> bool:
    return not any(report.failed for report in runtestprotocol(item, log=False, nextitem=following))


def _put(codes: list[tuple[FunctionType, CodeType]]) -> None:
    """Replace the code of functions, and forget what caches hold of the right ones."""
    for function, code in codes:
        function.__code__ = code
    for cache in [found for found in gc.get_objects() if isinstance(found, functools._lru_cache_wrapper)]:
        if str(getattr(cache, "__module__", "")).startswith(("rater.", "tests.")):
            cache.cache_clear()


def _in_a_child(play: Callable[[Callable[[str], None]], object]) -> Iterator[str]:
    """The lines that a fork of this process writes until it ends, however it ends."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        with os.fdopen(write, "w", buffering=1) as lines:
            try:
                _alone()
                play(lambda line: print(line, file=lines))
            except BaseException as wrong:  # it must not go on as a second parent
                print(f"raised {wrong!r}", file=lines)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as lines:
        yield from map(str.strip, lines)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        yield _HUNG


def _alone() -> None:
    """What is set in a child only: it is silent, and neither runs nor grows for ever."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    gc.unfreeze()


def _function(mutant: Mutant) -> FunctionType:
    found: Any = importlib.import_module(mutant.module)
    for name in mutant.function.split("."):
        found = vars(found)[name]
    while not isinstance(found, FunctionType):
        found = next(
            inner for name in ("fget", "__wrapped__", "__func__", "func") if (inner := getattr(found, name, None))
        )
    return found


def trial(number: int, seed: int, chosen: str = CHOSEN, paths: Sequence[str] = PATHS) -> dict[str, Any]:
    """The score of a sample, and what survives."""
    plugin = Trial(sample(number, seed))
    os.chdir(ROOT)
    options = [
        "-s",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:terminal",
        "-W",
        "ignore::pytest.PytestAssertRewriteWarning",
        "-o",
        "addopts=",
        "-m",
        "not on_kafka",
    ]
    status = pytest.main([*options, "-k", chosen, *paths], plugins=[plugin])
    assert status in (0, 5), status
    noticed = len(plugin.mutants) - len(plugin.survivors)
    return {
        "seed": seed,
        "mutants": len(plugin.mutants),
        "noticed": noticed,
        "percent": round(100 * noticed / len(plugin.mutants), 1),
        "survivors": [str(mutant) for mutant in plugin.survivors],
        "unreached": len(plugin.unreached),
    }
