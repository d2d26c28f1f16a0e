"""How many small faults the tests notice: `python -m tests.mutants --number 70 --seed 1`."""

import argparse
import json

from tests.mutants.run import CHOSEN, QUICK, trial


def main() -> None:
    """Print the survivors as they are found, and the score as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--number", type=int, default=70, help="how many faults")
    parser.add_argument("--seed", type=int, default=1, help="which faults")
    parser.add_argument("--quick", action="store_true", help="without the tests that take seconds")
    options = parser.parse_args()
    print(json.dumps(trial(options.number, options.seed, QUICK if options.quick else CHOSEN), indent=2))


if __name__ == "__main__":
    main()
