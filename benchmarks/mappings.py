"""What a record of a switch costs by a mapping, beside the same call in our own JSON.

Prints JSON: for each site of tests/mappings/sites the microseconds of processor time for a record of its sample
(`us`), those for the same calls as our JSON (`json_us`), and how fast calls are decoded, rated and encoded of what
they are in our JSON (`ratio`: 0.5 is half as fast; `path_us` is that way in our JSON, in memory, in the same run).
`limit_ratio` is what each should reach.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks.core import measure
from rater.core import CallRecord
from rater.dev.demo.rates import bundled_deck
from rater.dev.generate import Spec
from rater.files.mappings import load
from rater.wire.codec import decode_cdr

SITES = Path(__file__).parent.parent / "tests" / "mappings" / "sites"
RATIO_MIN = 0.5
RECORDS, TIMES = 2_000, 5
#: Calls that are decoded, rated and encoded in our JSON.
WAY = Spec(tenants=50, users=1_000, calls=50_000, deck=bundled_deck().version, funds="1000000")


def us_a_record(decode: Callable[[bytes], object], raws: list[bytes]) -> float:
    """The fastest of a few rounds over the same records."""
    rounds = []
    for _ in range(TIMES):
        began = time.process_time()
        for raw in raws:
            decode(raw)
        rounds.append(time.process_time() - began)
    return min(rounds) * 1e6 / len(raws)


def figures_of(site: Path, path_us: float) -> dict[str, float | str]:
    """Of the records of its sample that become calls, again and again; nothing where none does."""
    (sample,) = site.parent.glob(f"{site.stem}.sample.*")
    mapping = load(site)
    opened = mapping.open(str(sample), sample.open("rb"))
    raws, calls = [], []
    for raw in opened.raws:
        text = raw.rstrip(b"\r\n")
        made = opened.mapping.map_one(text) if text.strip() else None
        if isinstance(made, CallRecord):
            raws.append(text)
            calls.append(msgspec.json.encode(made))
    if not raws:
        return {}
    again = RECORDS // len(raws) + 1
    us = us_a_record(opened.mapping.map_one, raws * again)
    json_us = us_a_record(decode_cdr, calls * again)
    return {
        "reader": mapping.file.reader.kind,
        "us": round(us, 1),
        "json_us": round(json_us, 1),
        "ratio": round(path_us / (path_us - json_us + us), 2),
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--json", action="store_true", help="what it prints in any case")
    arguments.parse_args()
    path_us = float(str(measure(WAY)["us_per_cdr"]))
    found = {site.stem: figures_of(site, path_us) for site in sorted(SITES.glob("*.yaml"))}
    figures = {name: of_site for name, of_site in found.items() if of_site}
    ratios = [float(of_site["ratio"]) for of_site in figures.values()]
    print(
        json.dumps(
            {
                "median_ratio": round(statistics.median(ratios), 2),
                "worst_ratio": min(ratios),
                "limit_ratio": RATIO_MIN,
                "path_us": path_us,
                "sites": figures,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
