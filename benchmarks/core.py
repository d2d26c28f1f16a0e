"""Decode, apply, encode on one core: generated records through the batch step, nothing written.

Provisioning is not counted.  Beside the figure stands what the same machine takes in the same run for decoding
and encoding the same bytes alone: the limit.
"""

import argparse
import json
import resource
import time
from typing import Literal

from rater.core import CallRecord, Memory, Output, RatingSettings, Rules, Source, Tariffs
from rater.dev.demo.rates import bundled_deck
from rater.dev.generate import Spec, generate_calls, generate_commands
from rater.engine.batch import Record, run_batch
from rater.ops.garbage_collection import expect_long_lives
from rater.wire.codec import decode_cdr, encode, encode_input

BATCH = 2_000


def measure(spec: Spec) -> dict[str, object]:
    memory, rules = Memory(), Rules(RatingSettings(), Tariffs())
    rules.tariffs.publish(bundled_deck())
    commands = [encode_input(command) for command in generate_commands(spec)]
    for batch in batches("command", commands):
        memory.merge(run_batch(memory, rules, batch).state)
    raws = [call if isinstance(call, bytes) else encode_input(call) for call in generate_calls(spec)]
    records = list(batches("cdr", raws))
    expect_long_lives()
    sample: list[Output] = []

    def write(outputs: list[Output]) -> None:
        for output in outputs:
            encode(output)
        if len(sample) < BATCH:
            sample.extend(outputs)

    started = time.process_time()
    for batch in records:
        memory.merge(run_batch(memory, rules, batch, write=write).state)
    seconds = time.process_time() - started
    return {
        "cdrs_per_s": round(len(raws) / seconds),
        "us_per_cdr": round(seconds / len(raws) * 1e6, 2),
        "codec_only_us_per_cdr": round(codec_only(raws, sample), 2),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "cdrs": len(raws),
        "tenants": spec.tenants,
        "users": spec.users,
    }


def batches(kind: Literal["cdr", "command"], raws: list[bytes]) -> list[list[Record]]:
    return [
        [Record(kind, Source(kind + "s", 0, start + n), raw) for n, raw in enumerate(raws[start : start + BATCH])]
        for start in range(0, len(raws), BATCH)
    ]


def codec_only(raws: list[bytes], outputs: list[Output]) -> float:
    """Microseconds to decode one record, and to encode as many outputs as one causes."""
    sample = raws[:BATCH]
    started = time.process_time()
    for raw in sample:
        assert isinstance(decode_cdr(raw), CallRecord) or raw
    for output in outputs:
        encode(output)
    return (time.process_time() - started) / len(sample) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--tenants", type=int, default=1_000)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--hot-tenant-share", type=float, default=0.0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    spec = Spec(
        tenants=args.tenants,
        users=args.users,
        calls=args.calls,
        deck=bundled_deck().version,
        funds="1000000",
        hot_tenant_share=args.hot_tenant_share,
    )
    print(json.dumps(measure(spec)))


if __name__ == "__main__":
    main()
