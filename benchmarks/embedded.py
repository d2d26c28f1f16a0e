"""`rater run` into SQLite: generated records from a JSON Lines file, the process measured as a whole."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rater.cli.generate import write_month
from rater.dev.demo.rates import BUNDLED
from rater.dev.generate import Spec

MEASURE = (
    "import resource, sys\n"
    "from rater.cli import main\n"
    "try:\n"
    "    main()\n"
    "finally:\n"
    "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr)\n"
)


def rated(folder: Path, *files: str) -> tuple[float, int]:
    """Seconds of wall time, and the peak memory in MB."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, "run", *files, "--deck", str(BUNDLED), "--json"],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    return time.perf_counter() - started, int(done.stderr.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=500_000)
    parser.add_argument("--tenants", type=int, default=1_000)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_month(Spec(tenants=args.tenants, users=args.users, calls=args.calls, funds="1000000"), folder)
        rated(folder, "--commands", "commands.jsonl", "--gateway", "pretend")
        seconds, peak = rated(folder, "cdrs.jsonl")
    print(
        json.dumps(
            {
                "cdrs_per_s": round(args.calls / seconds),
                "us_per_cdr": round(seconds / args.calls * 1e6, 2),
                "peak_mb": peak,
                "cdrs": args.calls,
                "tenants": args.tenants,
                "users": args.users,
            }
        )
    )


if __name__ == "__main__":
    main()
