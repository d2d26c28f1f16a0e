"""Replay seeds by hand: `python -m tests.simulation 4711`, or a range: `python -m tests.simulation 0 100000`."""

import sys

from tests.simulation.play import play


def main() -> None:
    """Play one seed and show what happened in it, or a range and show those that fail."""
    numbers = [int(text) for text in sys.argv[1:]]
    if len(numbers) == 1:
        report, marks = play(numbers[0])
        for mark, count in sorted(marks.items()):
            print(f"{count:5} x {mark}")
        print("\n".join(report.findings) or "no difference")
        sys.exit(bool(report.found))
    failed = 0
    for seed in range(*numbers):
        report, _ = play(seed)
        if report.found:
            failed += 1
            print(f"seed {seed}: {report.findings[0]}")
    print(f"{failed} seeds failed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
