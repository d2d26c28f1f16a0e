"""The verdict of `make soak`: which runs are flat, and the findings of those that are not."""

import msgspec
import pytest

from benchmarks.soak import Minute, quantile, verdict

CALM = Minute(
    minute=0, published=120_000, applied=120_000, lag_records=0, latency_p50_s=0.05, latency_p99_s=0.25,
    worker_mb=200, agents_mb=100, index_mb=500, kafka_mb=3_000, state_mb=300,
    conservation_difference_micros=0, sequence_breaks=0,
)  # fmt: skip


def run(minutes: int, **last: float) -> dict[str, object]:
    """The verdict on so many equal minutes, but for the last quarter."""
    quarter = minutes // 4
    calm = [CALM] * (minutes - quarter)
    return verdict([*calm, *[msgspec.structs.replace(CALM, **last) for _ in range(quarter)]])


@pytest.mark.parametrize(
    ("minutes", "last", "against"),
    [
        (120, {}, []),
        (120, {"worker_mb": 220}, []),  # 220 / 200 = 110 %: 10 % more are allowed
        (120, {"worker_mb": 222}, ["worker_mb grew by 11.0 %: 200 to 222"]),  # 222 / 200 = 111 %
        (120, {"agents_mb": 150}, ["agents_mb grew by 50.0 %: 100 to 150"]),
        (120, {"kafka_mb": 6_000}, ["kafka_mb grew by 100.0 %: 3000 to 6000"]),
        (120, {"state_mb": 336}, ["state_mb grew by 12.0 %: 300 to 336"]),  # compaction falls behind
        (8, {"kafka_mb": 6_000}, []),  # topics still fill within the first hour
        (8, {"worker_mb": 400}, []),  # the index of each partition is not warm before 30 minutes
        (32, {"worker_mb": 400}, ["worker_mb grew by 100.0 %: 200 to 400"]),
        (120, {"latency_p99_s": 2.5}, ["p99 of the last quarter is above 1.0 s"]),
        (120, {"lag_records": 7}, ["7 records are unrated after the end"]),
        (120, {"conservation_difference_micros": 1}, ["money does not add up"]),
        (120, {"sequence_breaks": 2}, ["2 sequences are broken"]),
    ],
)
def test_what_speaks_against_a_run(minutes: int, last: dict[str, float], against: list[str]) -> None:
    """The second quarter is compared with the last one; the first is not judged."""
    found = run(minutes, **last)
    assert (found["flat"], found["against"]) == (not against, against)


def test_a_slow_start_is_forgiven() -> None:
    """Caches that fill in the first quarter of the run are no growth."""
    cold = msgspec.structs.replace(CALM, worker_mb=100, latency_p99_s=5)
    assert verdict([*[cold] * 30, *[CALM] * 90])["flat"] is True


@pytest.mark.parametrize(
    ("bytes_a_call", "against"),
    [(70, []), (84, ["index_bytes_a_call grew by 20.0 %: 70 to 84"])],  # 84 / 70 = 120 %
)
def test_the_index_may_grow_with_the_calls(bytes_a_call: int, against: list[str]) -> None:
    """It keeps each call for 400 days: 70 bytes for each of 120,000 calls a minute are 8.4 MB a minute."""
    minutes = [
        msgspec.structs.replace(CALM, index_mb=count * 0.12 * (70 if count <= 90 else bytes_a_call))
        for count in range(1, 121)
    ]
    assert verdict(minutes)["against"] == against


def test_latency_is_that_of_its_bucket() -> None:
    """Of 100 records, 50 took at most 0.1 s and 99 at most 0.2 s."""
    buckets = {0.1: 50.0, 0.2: 99.0, 0.5: 100.0}
    assert (quantile(buckets, 0.5), quantile(buckets, 0.99), quantile({}, 0.5)) == (0.1, 0.2, 0.0)
