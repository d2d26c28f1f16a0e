"""Synthetic but realistic months of calls, the same for the same seed: for demos, tests and benchmarks."""

from rater.dev.generate.spec import Spec
from rater.dev.generate.stream import generate_calls, generate_commands

__all__ = ["Spec", "generate_calls", "generate_commands"]
