"""Records over HTTP into a store: 200 once they are in the ledger, and the outcome of each."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import pytest

from rater.core import NO_TENANT, CallRecord, FundsAdded, RatedCall, RejectedCdr, TenantConfigured
from rater.embedded.store import open_reader
from rater.embedded.verify import verify_store
from rater.files.mappings import Mapped, NotSelected, load
from rater.wire.codec import encode_input
from tests.commands import invoke
from tests.mappings.test_samples import SITES
from tests.serve.world import JSON, MAPPING, NOON, call, clients_file, serving

TOO_MANY, TOO_LONG, TOO_LARGE = b"{}\n" * 5_001, b"{" + b" " * 1_000_001 + b"}", b" " * 2_000_001
LINES, FORM = "application/x-ndjson", "application/x-www-form-urlencoded"


def ledger(store: Path) -> list[tuple[str, str]]:
    """Usage ids with what they cost."""
    reader = open_reader(store)
    try:
        rated = [msgspec.json.decode(value, type=RatedCall) for _, value in reader.topic("rated-calls")]
        return [(one.usage_id, one.charge) for one in rated]
    finally:
        reader.close()


def letters(store: Path) -> dict[str, RejectedCdr]:
    """Dead letters by their ids."""
    reader = open_reader(store)
    try:
        found = [msgspec.json.decode(value, type=RejectedCdr) for _, value in reader.topic("rejected-cdrs")]
        return {letter.id: letter for letter in found}
    finally:
        reader.close()


def lines(*calls: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in calls)


BODIES = {
    "an object": (JSON, json.dumps(call("a"), indent=2).encode(), ["a"]),
    "an array": ("application/json; charset=utf-8", json.dumps([call("a"), call("b")]).encode(), ["a", "b"]),
    "lines": (LINES, lines(call("a"), call("b")) + b"\n\r\n", ["a", "b"]),
    "a form": (FORM, urlencode({"cdr": json.dumps(call("a"))}).encode(), ["a"]),
    "a plain form": ("application/x-www-form-plaintext", b"cdr=" + json.dumps(call("a")).encode(), ["a"]),
    "a form in base64": (
        "application/x-www-form-base64-encoded",
        b"cdr=" + base64.b64encode(json.dumps(call("a")).encode()),
        ["a"],
    ),
}


@pytest.mark.parametrize("how", BODIES)
def test_how_records_may_be_sent(how: str, tmp_path: Path) -> None:
    """61 s to London are 2 minutes x 0.05; FreeSWITCH adds `uuid` to the address."""
    type, body, ids = BODIES[how]
    with serving(tmp_path) as (server, switch):
        answer = switch.ask("/v1/cdrs?uuid=a_0f9b6a52", body, type)
    assert answer.status == 200
    assert answer.body["results"] == [{"result": "accepted", "usage_id": id} for id in ids]
    assert ledger(server.store) == [(id, "0.1") for id in ids]


def test_a_switch_that_sends_again_changes_nothing(tmp_path: Path) -> None:
    """The same record is a duplicate; other content under the same id is a dead letter, the same one each time."""
    with serving(tmp_path) as (server, switch):
        first = switch.send(call("a"), call("b"))
        again = switch.send(call("a"), call("b"))
        other = [switch.send(call("a", seconds=600)).body["results"][0] for _ in range(2)]
    assert (first.body["accepted"], again.body["duplicate"]) == (2, 2)
    assert other[0] == other[1]
    assert (other[0]["result"], other[0]["reason"]) == ("refused", "conflicting_duplicate")
    assert ledger(server.store) == [("a", "0.1"), ("b", "0.1")]
    assert list(letters(server.store)) == [other[0]["dead_letter"]]


@pytest.mark.parametrize(
    ("record", "reason", "field"),
    [
        (call("a", tenant="nobody"), "unknown_tenant", "tenant"),
        (call("a", duration_s="long"), "malformed", "duration_s"),
        (call("a", called="0049 30"), "not_e164", "called"),
        (call("a", answered_at="2026-03-10T12:00:00"), "time_without_zone", "answered_at"),
        (call("a", answered_at="2096-03-10T12:00:00Z"), "impossible_time", "answered_at"),
        (call("a", duration_s=90_000), "implausible_duration", "duration_s"),
        (
            {"command": "funds_added", "tenant": "contoso", "id": "x", "at": "2026-03-10T12:00:00Z", "amount": "5"},
            "not_a_call_record",
            "command",
        ),
    ],
)
def test_what_is_refused_is_kept(record: dict[str, Any], reason: str, field: str, tmp_path: Path) -> None:
    """200, because it is stored: a dead letter with the bytes; the record beside it is rated."""
    with serving(tmp_path) as (server, switch):
        answer = switch.ask("/v1/cdrs", lines(record, call("good")), LINES)
    refused, good = answer.body["results"]
    assert (answer.status, answer.body["refused"], good["result"]) == (200, 1, "accepted")
    assert (refused["reason"], refused["field"]) == (reason, field)
    letter = letters(server.store)[refused["dead_letter"]]
    assert (letter.reason.value, letter.raw) == (reason, json.dumps(record))
    assert letter.tenant == (NO_TENANT if record["tenant"] == "nobody" else "contoso")
    assert letter.source.topic == "http-switch"


@pytest.mark.parametrize(
    ("type", "body", "status", "says"),
    [
        (JSON, b"{nope", 400, "the body: expected JSON"),
        (JSON, b"12", 400, "expected a JSON object or an array of them, got '12'"),
        (JSON, b"", 400, "expected a JSON object or an array of them, got ''"),
        (JSON, b"[]", 400, "expected at least one record"),
        (JSON, lines(call("a"), call("b")), 400, "lines of JSON have Content-Type: application/x-ndjson"),
        (FORM, json.dumps(call("a")).encode(), 400, "a body of JSON has Content-Type: application/json"),
        ("text/csv", b"a,b", 415, "or any with ?map=NAME; got text/csv"),
        (LINES, TOO_MANY, 413, "expected at most 5000 records"),
        (LINES, TOO_LONG, 413, "record 0: expected at most 1000000 bytes"),
        (JSON, TOO_LARGE, 413, "expected at most 2000000 bytes of body"),
    ],
    ids=range(10),
)  # fmt: skip
def test_an_invalid_body_stores_nothing(type: str, body: bytes, status: int, says: str, tmp_path: Path) -> None:
    """RFC 9457: where, what was expected, what to do; the switch still has its records."""
    with serving(tmp_path) as (server, switch):
        answer = switch.ask("/v1/cdrs", body, type)
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert says in answer.body["detail"]
    assert "\n" not in answer.body["detail"]
    assert answer.body["status"] == status
    assert (ledger(server.store), letters(server.store)) == ([], {})


@pytest.mark.parametrize(
    ("preset", "site", "sample", "type", "wrap"),
    [
        ("freeswitch-json-cdr", "call: {duration: {round: up}}", "freeswitch-json.sample.json", JSON, False),
        ("freeswitch-json-cdr", "call: {duration: {round: up}}", "freeswitch-json.sample.json", FORM, True),
        ("freeswitch-json-cdr-form", "call: {duration: {round: up}}", "freeswitch-json.sample.json", FORM, True),
        ("asterisk-cdr-csv", "times: {zone: UTC}", "asterisk-csv.sample.csv", "text/csv", False),
    ],
)
def test_records_of_switches_by_a_mapping(
    preset: str, site: str, sample: str, type: str, wrap: bool, tmp_path: Path
) -> None:
    """The same as `rater run --map` makes of a file with these bytes."""
    raw = (SITES / sample).read_bytes()
    body = b"cdr=" + quote(raw.splitlines()[0]).encode() if wrap else raw
    clients = clients_file(tmp_path, switch={"tenant": "contoso"})
    (tmp_path / "site.yaml").write_text(f"extends: {preset}\n{site}\n")
    with serving(tmp_path, clients=clients, maps=[f"pbx={tmp_path / 'site.yaml'}"]) as (server, switch):
        answer = switch.ask("/v1/cdrs?map=pbx", body, type)
        unknown = switch.ask("/v1/cdrs?map=../../etc/passwd", body, type)
    assert (answer.status, answer.body["accepted"] > 0) == (200, True)
    assert len(ledger(server.store)) == answer.body["accepted"]
    assert (unknown.status, unknown.body["detail"]) == (
        400,
        "map: expected one of pbx; got '../../etc/passwd'",
    )
    assert verify_store(server.store).findings == []


def test_a_record_that_its_mapping_refuses_is_a_dead_letter_of_it(tmp_path: Path) -> None:
    """It can be replayed when the mapping is mended: the letter names it, and holds the switch's bytes."""
    (tmp_path / "m.yaml").write_text(MAPPING)
    clients = clients_file(tmp_path, switch={"tenant": "contoso"})
    good = {"id": "a", "who": "ada", "to": "+442079460000", "start": "2026-03-10T12:00:00Z", "secs": "61"}
    with serving(tmp_path, clients=clients, maps=[str(tmp_path / "m.yaml")]) as (server, switch):
        answer = switch.ask("/v1/cdrs?map=m", lines(good, good | {"id": "b", "secs": "x"}), JSON)
    assert [one["result"] for one in answer.body["results"]] == ["accepted", "refused"]
    letter = letters(server.store)[answer.body["results"][1]["dead_letter"]]
    assert letter.mapping is not None
    assert (letter.format, letter.mapping.name, json.loads(letter.raw)["id"]) == ("mapping", "m", "b")


def test_a_switch_with_a_mapping_posts_its_own_records(tmp_path: Path) -> None:
    """`mapping` of switches.yaml: for the client with the switch's name; others post ours, or name it."""
    (tmp_path / "m.yaml").write_text(MAPPING)
    clients = clients_file(tmp_path, switch={"tenant": "contoso"}, other={"tenant": "contoso"})
    theirs = {"id": "a", "who": "ada", "to": "+442079460000", "start": "2026-03-10T12:00:00Z", "secs": "61"}
    with serving(tmp_path, clients=clients, of_switches={"switch": str(tmp_path / "m.yaml")}) as (server, switch):
        other = server.switch("other")
        answers = [
            switch.ask("/v1/cdrs", lines(theirs), JSON),
            other.send(call("b")),
            other.ask("/v1/cdrs?map=switch", lines(theirs | {"id": "c"}), JSON),
        ]
    assert [answer.body["accepted"] for answer in answers] == [1, 1, 1]


def test_commands_need_a_token_that_may(tmp_path: Path) -> None:
    """Money enters by a server of its own (A48): a switch's token may not, and records of calls are none."""
    clients = clients_file(tmp_path, switch={}, office={"may": ["commands"]})
    paid = json.loads(encode_input(FundsAdded(tenant="contoso", id="invoice", at=NOON, amount="5")))
    with serving(tmp_path, clients=clients) as (server, switch):
        denied = switch.send(paid, path="/v1/commands")
        office = server.switch("office")
        given = [office.send(paid, path="/v1/commands").body for _ in range(2)]
        wrong = office.send(call("a"), path="/v1/commands").body
        other = office.send(call("a"))
    assert (denied.status, denied.body["title"]) == (403, "The token may not do this")
    assert [one["accepted"] for one in given] == [1, 0]
    assert wrong["results"][0]["message"] == "expected a command, got a record of a call; give it among the files"
    assert other.status == 403


def test_what_was_served_is_a_store_like_any_other(tmp_path: Path) -> None:
    """It is verified, shown, and goes on with `rater run`."""
    with serving(tmp_path) as (server, switch):
        switch.send(call("a"), call("b"))
    assert verify_store(server.store).findings == []
    (tmp_path / "more.jsonl").write_bytes(lines(call("b"), call("c")))
    ran = invoke("run", f"--store={server.store}", str(tmp_path / "more.jsonl"))
    assert ran.exit_code == 0, ran.output
    assert [id for id, _ in ledger(server.store)] == ["a", "b", "c"]


def test_metrics_count_requests_and_records(tmp_path: Path) -> None:
    """By route and result; the page needs no token."""
    with serving(tmp_path) as (_, switch):
        switch.send(call("a"), call("a"), call("b", duration_s="x"))
        switch.ask("/v1/cdrs", b"{nope")
        text = switch.ask("/metrics").body
    counted = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("rater_http"))
    assert counted['rater_http_requests_total{result="ok",route="cdrs"}'] == "1.0"
    assert counted['rater_http_requests_total{result="wrong",route="cdrs"}'] == "1.0"
    assert [counted[f'rater_http_records_total{{result="{one}",route="cdrs"}}'] for one in ("accepted", "duplicate", "refused")] == ["1.0"] * 3  # fmt: skip
    assert counted["rater_http_waiting_records"] == "0.0"
    assert counted["rater_http_stored_seconds_count"] == "1.0"


def outcome(made: Mapped) -> str:
    """What the answer says of a record that a mapping made this of."""
    if isinstance(made, NotSelected):
        return "not_selected"
    return "accepted" if isinstance(made, CallRecord) else "refused"


@pytest.mark.parametrize("site", sorted(SITES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_switchs_sample_comes_in_over_http(site: Path, tmp_path: Path) -> None:
    """Each record has the outcome that it has in a file."""
    (sample,) = SITES.glob(f"{site.stem}.sample.*")
    raw = sample.read_bytes()
    made = [one for one, _ in load(str(site)).read(raw)]
    tenants = {one.tenant for one in made if isinstance(one, CallRecord)}
    commands = [
        TenantConfigured(tenant=tenant, id="setup", at=datetime(2020, 1, 1, tzinfo=UTC), currency="USD")
        for tenant in sorted(tenants)
    ]
    clients = clients_file(tmp_path, switch={})
    with serving(tmp_path, clients=clients, maps=[f"site={site}"], commands=commands) as (_, switch):
        answer = switch.ask("/v1/cdrs?map=site", raw, "application/octet-stream")
    assert [one["result"] for one in answer.body["results"]] == [outcome(one) for one in made]
