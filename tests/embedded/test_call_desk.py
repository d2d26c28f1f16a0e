"""Calls in progress in the embedded rater: which are ordered to end, and that it is the same however it is run.

Harare costs 0.20 a minute; the tenant has no minutes for it, so credit covers it.
"""

import gzip
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from rater.core.call_control import CallCommand
from rater.core.settings import RatingSettings
from rater.embedded.run import EmbeddedRater
from rater.embedded.store import Store, open_reader
from rater.engine.gateway import LocalGateway
from rater.files.deck_csv import read_deck
from rater.files.source import InputFile
from rater.ops.metrics.meter import Metrics
from rater.wire.errors import Exit
from tests.commands import rater
from tests.embedded.usage import killed_at, run
from tests.world import DECK, HARARE, US

MAY = "2025-05-05"


def call_event(usage_id: str, event: str, at: str, called: str = HARARE, **more: Any) -> dict[str, Any]:
    """An event of a call of Ada's."""
    return {
        "tenant": "contoso",
        "usage_id": usage_id,
        "type": "user_out",
        "event": event,
        "at": f"{MAY}T{at}Z",
        "user": "ada@contoso.example",
        "called": called,
    } | more


def record(usage_id: str, began: str, minutes: int, received: str, **more: Any) -> dict[str, Any]:
    """The record of a call to Harare of Ada's."""
    return {
        "tenant": "contoso",
        "usage_id": usage_id,
        "type": "user_out",
        "answered_at": f"{MAY}T{began}Z",
        "duration_s": 60 * minutes,
        "user": "ada@contoso.example",
        "called": HARARE,
        "received_at": f"{MAY}T{received}Z",
    } | more


def write(folder: Path, name: str, *lines: dict[str, Any] | bytes) -> str:
    """A file of JSON Lines."""
    raws = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    (folder / name).write_bytes(b"\n".join(raws) + b"\n")
    return name


def orders(folder: Path, store: str = "rater.db") -> list[CallCommand]:
    reader = open_reader(folder / store)
    try:
        return reader.orders()
    finally:
        reader.close()


def ended(folder: Path, store: str = "rater.db") -> list[tuple[str, str, int]]:
    """Orders as (call, reason, authorised seconds)."""
    return [(order.usage_id, order.reason.value, order.authorized_s) for order in orders(folder, store)]


#: Calls of Ada's: the first may last 50 minutes, the second less, because of what the first has reserved.
RUNNING = [
    call_event("long", "heartbeat", "10:01:50", started_at=f"{MAY}T10:00:00Z"),
    call_event("short", "started", "10:02:00"),
    call_event("help", "started", "10:02:10", "911", emergency=True),
    call_event("home", "started", "10:02:20", US),
]
#: A call before them, whose record comes at 10:03 and uses up all of the 10: 50 x 0.20.
DRY = record("dear", "09:00:00", 50, "10:03:00")
BOTH = [("long", "credits_suspended", 180), ("short", "credits_suspended", 60)]


@pytest.fixture
def files(folder: Path) -> Path:
    """Running calls, and the record that ends them."""
    write(folder, "running.jsonl", *RUNNING)
    write(folder, "dear.jsonl", DRY)
    return folder


def test_credit_runs_out(files: Path) -> None:
    """Rules 54, A5: nothing is left, so both calls to Harare must end, longest authorised first, as of 10:03.

    Rules 23, 40: the emergency call and the one that minutes of the pool cover go on.
    """
    summary = run(files, "running.jsonl", "dear.jsonl")
    assert (summary["call_events"], summary["disconnects"]) == (4, {"credits_suspended": 2})
    assert ended(files) == BOTH


def test_a_tenant_is_closed_while_its_calls_run(files: Path) -> None:
    """The rule closing: at 10:03 nothing covers a call any more but the one for help; each ran this long until then."""
    run(files, "running.jsonl")
    close = ("--pay-out", "--reason", "contract ended", "--by", "kim", "--yes", "--at", f"{MAY}T10:03:00Z")
    rater("tenant", "close", "contoso", *close, cwd=files, code=Exit.OK)
    assert sorted(ended(files)) == [
        ("home", "tenant_closed", 40),
        ("long", "tenant_closed", 180),
        ("short", "tenant_closed", 60),
    ]
    write(files, "later.jsonl", call_event("new", "started", "10:03:30"))
    assert run(files, "later.jsonl")["disconnects"] == {"tenant_closed": 1}


def test_what_is_counted(files: Path) -> None:
    """The metrics of the embedded rater: 4 events applied, an invalid line, 4 calls running, 2 orders."""
    write(files, "odd.jsonl", *RUNNING, b'{"event":"started"}')
    metrics = Metrics(CollectorRegistry())
    store = Store(files / "rater.db")
    try:
        embedded = EmbeddedRater(store, RatingSettings(), LocalGateway(), metrics)
        embedded.publish(read_deck(DECK, version="d"))
        embedded.consume(InputFile(str(files / "setup.jsonl"), "commands"))
        embedded.activate("d")
        embedded.consume(InputFile(str(files / "odd.jsonl")))
        embedded.consume(InputFile(str(files / "dear.jsonl")))
    finally:
        store.close()
    counted = metrics.registry.get_sample_value
    assert counted("rater_call_events_total", {"result": "taken"}) == 4
    assert counted("rater_call_events_total", {"result": "unreadable"}) == 1
    assert counted("rater_running_calls") == 4
    assert counted("rater_disconnects_total", {"reason": "credits_suspended"}) == 2


def test_authorised_seconds_are_billed(files: Path) -> None:
    """A22: the switch ended the call after 200 seconds, but only 180 were authorised: 3 minutes, not 4."""
    run(files, "running.jsonl", "dear.jsonl")
    (order, _) = orders(files)
    late = record("long", "10:00:00", 3, "10:03:30", duration_s=200, authorized_s=order.authorized_s)
    write(files, "late.jsonl", late)
    assert run(files, "late.jsonl")["debited"] == {"USD": "0.6"}


def test_a_call_uses_up_what_it_may(folder: Path) -> None:
    """Rule 52: 10 pay for 50 minutes of one call; if it goes on after these, it must end.

    The switch goes on and sends the event again: that is the same order, given once.
    """
    beats = [call_event("a", "heartbeat", f"{10 + m // 60}:{m % 60:02}:00") for m in range(1, 53)]
    write(folder, "running.jsonl", call_event("a", "started", "10:00:00"), *beats)
    assert run(folder, "running.jsonl")["disconnects"] == {"credit_used_up": 1}
    assert ended(folder) == [("a", "credit_used_up", 3000)]


@pytest.mark.parametrize("again", ["the same file", "another name", "standard input"])
def test_events_twice(files: Path, again: str) -> None:
    """An event that was applied before gives no second order, and brings no call back."""
    write(files, "over.jsonl", call_event("long", "ended", "10:03:20"), call_event("short", "ended", "10:03:20"))
    run(files, "running.jsonl", "dear.jsonl", "over.jsonl")
    match again:
        case "the same file":
            summary = run(files, "running.jsonl", "dear.jsonl", "over.jsonl")
        case "another name":
            write(files, "copy.jsonl", *RUNNING)
            summary = run(files, "copy.jsonl")
        case _:
            summary = run(files, "-", stdin=(files / "running.jsonl").read_bytes())
    assert summary["disconnects"] == {}
    assert ended(files) == BOTH


def test_calls_run_on_over_a_restart(files: Path) -> None:
    """Each file by a process of its own, and in between one that has nothing to do: the same orders, the same bytes."""
    run(files, "running.jsonl", "dear.jsonl")
    for name in (("running.jsonl",), (), ("dear.jsonl",), ()):
        done = rater(
            "run", *name, "--store", "steps.db", "--commands", "setup.jsonl", "--deck", "deck.csv", cwd=files
        )
        assert done.returncode == Exit.OK, done.stderr
    assert orders(files, "steps.db") == orders(files)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("commit", [3, 4])
def test_killed_and_run_again(files: Path, when: str, commit: int) -> None:
    """`kill -9` around the commit of the events (third) or of the record (fourth), then the same command."""
    command = ["run", "running.jsonl", "dear.jsonl", "--commands", "setup.jsonl", "--deck", "deck.csv"]
    rater(*command, "--store", "whole.db", cwd=files)
    killed_at(files, when, commit, *command, "--store", "killed.db")
    assert (ended(files, "killed.db") == BOTH) == ((when, commit) == ("after", 4))
    assert rater(*command, "--store", "killed.db", cwd=files).returncode == Exit.OK
    assert orders(files, "killed.db") == orders(files, "whole.db")
    assert ended(files, "killed.db") == BOTH


STARTED = json.dumps(call_event("x", "started", "10:02:00")).encode()


@pytest.mark.parametrize(
    ("line", "reason", "field"),
    [
        (b'{"tenant":"contoso","usage_id":"x","type":"user_out"', "malformed", None),
        (STARTED.replace(b"started", b"paused"), "malformed", "event"),
        (STARTED.replace(b"10:02:00Z", b"10:02:00"), "time_without_zone", "at"),
        (STARTED.replace(b"2025", b"9999"), "impossible_time", "at"),
    ],
)
def test_a_line_that_is_no_event(files: Path, line: bytes, reason: str, field: str | None) -> None:
    """Bad input: the line is kept as it is, with its number and the reason, and the lines after it count."""
    write(files, "running.jsonl", RUNNING[0], line, *RUNNING[1:])
    summary = run(files, "running.jsonl", "dear.jsonl", code=Exit.REFUSED)
    assert (summary["rejected"], summary["call_events"]) == ({reason: 1}, 4)
    assert ended(files) == BOTH
    (letter,) = json.loads(rater("dlq", "ls", "--json", "--reveal", cwd=files).stdout)
    assert (letter["raw"].encode(), letter.get("field"), letter["format"]) == (line, field, "call-events")
    assert letter["source"] == {"topic": "running.jsonl", "partition": 0, "offset": 2}
    assert "0 of 1 records accepted" in rater("dlq", "replay", cwd=files).stderr


def test_files_of_events(files: Path) -> None:
    """In a folder beside call records, compressed, or named with --format; a first line that is no event needs that."""
    (files / "in").mkdir()
    (files / "in" / "1.jsonl.gz").write_bytes(gzip.compress((files / "running.jsonl").read_bytes()))
    (files / "in" / "2.jsonl").write_bytes((files / "dear.jsonl").read_bytes())
    assert run(files, "in")["disconnects"] == {"credits_suspended": 2}
    write(files, "odd.jsonl", b"not JSON", *RUNNING)
    summary = run(files, "odd.jsonl", "--format", "call-events", "--store", "odd.db", code=Exit.REFUSED)
    assert (summary["rejected"], summary["call_events"]) == ({"malformed": 1}, 4)


def test_orders_as_a_file(files: Path) -> None:
    """`rater export call-commands`: the orders to switches, with what was authorised."""
    run(files, "running.jsonl", "dear.jsonl")
    lines = rater("export", "call-commands", "--format", "jsonl", cwd=files).stdout.splitlines()
    long, short = map(json.loads, lines)
    assert (long["command"], long["usage_id"], long["user"]) == ("disconnect", "long", "ada@contoso.example")
    assert (long["at"], short["authorized_s"]) == (f"{MAY}T10:03:00Z", 60)


def test_a_store_of_before(files: Path) -> None:
    """A store that has no tables for calls in progress has no orders, and gets the tables when it is next written."""
    run(files)
    with closing(sqlite3.connect(files / "rater.db")) as connection, connection:
        connection.executescript('DROP TABLE "call-commands"; DROP TABLE "running-calls"')
    connection.close()
    assert rater("export", "call-commands", "--format", "jsonl", cwd=files).stdout == ""
    run(files, "running.jsonl", "dear.jsonl")
    assert ended(files) == BOTH


def test_other_tenants_do_not_matter(files: Path) -> None:
    """Fabrikam's switch is two hours ahead: contoso's calls are not forgotten for that."""
    ahead = call_event("x", "started", "12:00:00", tenant="fabrikam")
    write(files, "ahead.jsonl", ahead)
    run(files, "running.jsonl", "ahead.jsonl", "dear.jsonl")
    assert ended(files) == BOTH
