"""Looks for inputs on which a decoder raises, guided by what of the code an input reaches (atheris, a libFuzzer).

    python -m tests.fuzz.fuzz --minutes 2 [decoder ...]

Each decoder has a process and an equal share of the time, begins with its kept corpus, and may take ten seconds and
1 GB for an input.  What reaches code that no kept input reaches is added to the corpus, smallest first; what raises
is written to `tests/fuzz/found/`, and the exit code is 1.  atheris is installed by `make fuzz`, not by the lock.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from types import FrameType
from typing import Any

from tests.fuzz.decoders import CORPUS, DECODERS, kept_inputs

FOUND = Path(__file__).parent / "found"
#: The kept corpus stays small: larger inputs are made by the tests from small ones.
KEPT_BYTES_MAX = 1_500
INPUT_BYTES_MAX = 8_192
SECONDS_PER_INPUT_MAX = 10
MEGABYTES_MAX = 1_000
_RATER = str(Path(__file__).parents[2] / "rater")


def main() -> None:
    """Fuzz every decoder for its share of the minutes."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=2)
    arguments.add_argument("decoders", nargs="*", default=list(DECODERS))
    asked = arguments.parse_args()
    seconds = max(1, int(asked.minutes * 60 / len(asked.decoders)))
    failed = [name for name in asked.decoders if not _fuzzed(name, CORPUS / name, seconds)]
    if failed:
        sys.exit(f"raised: {', '.join(failed)}; the inputs are in {FOUND}")


def _fuzzed(name: str, corpus: Path, seconds: int) -> bool:
    """Whether a decoder gave a value or a refusal for everything; what it taught is kept."""
    corpus.mkdir(exist_ok=True)
    FOUND.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "good").write_bytes(DECODERS[name].good)
        command = [
            sys.executable, "-m", "tests.fuzz.fuzz_one", name, scratch, str(corpus), f"-max_total_time={seconds}",
            f"-max_len={INPUT_BYTES_MAX}", f"-timeout={SECONDS_PER_INPUT_MAX}", f"-rss_limit_mb={MEGABYTES_MAX}",
            f"-artifact_prefix={FOUND}/{name}-", "-verbosity=0",
        ]  # fmt: skip
        done = subprocess.run(command, check=False)
        kept = keep(name, [path.read_bytes() for path in Path(scratch).iterdir()])
    print(f"{name}: {'nothing raised' if done.returncode == 0 else 'RAISED'}, {kept} inputs added")
    return done.returncode == 0


def keep(name: str, inputs: Iterable[bytes]) -> int:
    """Add to a decoder's corpus the inputs that reach lines which no kept one reaches; how many they are."""
    decode = DECODERS[name].decode
    reached: set[tuple[str, int, int]] = set()
    for raw in kept_inputs(name):
        reached |= steps_of(decode, raw)
    added = 0
    for raw in sorted((raw for raw in inputs if len(raw) <= KEPT_BYTES_MAX), key=lambda raw: (len(raw), raw)):
        steps = steps_of(decode, raw)
        if not steps <= reached:
            reached |= steps
            added += 1
            (CORPUS / name / blake2b(raw, digest_size=8).hexdigest()).write_bytes(raw)
    return added


def steps_of(decode: Any, raw: bytes) -> set[tuple[str, int, int]]:
    """The steps from line to line of rater's own code that an input needs."""
    steps: set[tuple[str, int, int]] = set()
    before: dict[FrameType, int] = {}

    def line(frame: FrameType, event: str, _: object) -> Any:
        if event == "call" and not frame.f_code.co_filename.startswith(_RATER):
            return None
        if event == "line":
            steps.add((frame.f_code.co_filename, before.get(frame, 0), frame.f_lineno))
            before[frame] = frame.f_lineno
        return line

    sys.settrace(line)
    try:
        decode(raw)
    finally:
        sys.settrace(None)
    return steps


if __name__ == "__main__":
    main()
