"""What decoders need for a byte of the worst inputs: each family of hostile inputs at 1 MB, for each decoder.

Prints JSON: for each family the slowest decoder, its microseconds and those of the median decoder for a thousand
bytes (of the processor's time, so that neighbours do not count), and how many times more it takes for a byte of
1 MB than for a byte of a quarter of it (`growth`: 1 is linear, 4 quadratic).  `limit_growth` is the largest that
counts as linear.  For scale, `json_us_per_kb` is what Python's own reader of JSON takes for ordinary records, in
the same run.  The work itself is counted by tests/fuzz/test_bounds.py; here only what C code takes is to be seen.
"""

import argparse
import json
import statistics
import tempfile
import time

from rater.files.source import InputFile
from rater.wire.codec import RECORD_BYTES_MAX
from tests.fuzz.decoders import CALL, DECODERS, Decode
from tests.fuzz.families import FILES, VALUES

LARGE = RECORD_BYTES_MAX - 1_000
TIMES = 3
GROWTH_MAX = 2.0


def us_per_kb(decode: Decode, raw: bytes) -> float:
    """The fastest of a few tries."""
    best = float("inf")
    for _ in range(TIMES):
        began = time.process_time()
        decode(raw)
        best = min(best, time.process_time() - began)
    return best * 1e9 / len(raw)


def with_field(good: bytes, value: bytes) -> bytes:
    before, brace, after = good.partition(b"{")
    return before + brace + b'"unknown":' + value + b"," + after if brace else value


def read_file(raw: bytes) -> int:
    """Every record of a file, none kept."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(raw)
        file.flush()
        return sum(1 for _ in InputFile(file.name, None, "contoso").records())


def figures_of(decoders: dict[str, Decode], inputs: dict[str, tuple[bytes, bytes]]) -> dict[str, float | str]:
    """Of a small and a large input for each decoder."""
    large = {name: us_per_kb(decoders[name], raw) for name, (_, raw) in inputs.items()}
    worst = max(large, key=lambda name: large[name])
    small = us_per_kb(decoders[worst], inputs[worst][0])
    return {
        "decoder": worst,
        "us_per_kb": round(large[worst], 2),
        "median_us_per_kb": round(statistics.median(large.values()), 2),
        "growth": round(large[worst] / small, 2),
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--json", action="store_true", help="what it prints in any case")
    arguments.parse_args()
    records = {name: decode for name, (decode, good) in DECODERS.items() if good.startswith(b"{")}
    figures: dict[str, dict[str, float | str]] = {}
    for family, make in VALUES.items():
        small, large = make(LARGE // 4), make(LARGE)
        goods = {name: DECODERS[name].good for name in records}
        figures[family] = figures_of(
            records, {name: (with_field(good, small), with_field(good, large)) for name, good in goods.items()}
        )
    for family, make in FILES.items():
        figures[family] = figures_of({"files": read_file}, {"files": (make(LARGE // 4), make(LARGE))})
    read = json.dumps([CALL.decode()] * (LARGE // len(CALL))).encode()
    print(
        json.dumps(
            {
                "worst_us_per_kb": max(found["us_per_kb"] for found in figures.values()),
                "worst_growth": max(found["growth"] for found in figures.values()),
                "limit_growth": GROWTH_MAX,
                "json_us_per_kb": round(us_per_kb(json.loads, read), 2),
                "families": figures,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
