"""Killed again and again while a switch sends, and repeats what was not answered: the ledger of an undisturbed server."""

import json
import ssl
import threading
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from rater.dev.generate import Spec, generate_commands
from rater.embedded.store import open_reader
from rater.embedded.verify import verify_store
from rater.wire.codec import encode_input
from tests.conftest import LONG
from tests.kafka.authority import Authority
from tests.serve.processes import ServeProcess, batches, send_through_kills, send_until_stored
from tests.serve.world import clients_file
from tests.world import DECK

KILLS, BATCH = 20 if LONG else 5, 20
SPEC = Spec(seed=3, tenants=2, calls=80 * KILLS, users=8, funds="20", duplicate_share=0.05)
#: Of what is written, where and when it came is another thing in each run.
ELSEWHERE = ("source", "late")


def server(folder: Path) -> ServeProcess:
    """A server over a new store, with the month's tenants and deck."""
    folder.mkdir()
    (folder / "setup.jsonl").write_bytes(b"".join(encode_input(one) + b"\n" for one in generate_commands(SPEC)))
    arguments = (f"--store={folder / 'store.db'}", f"--deck={DECK}", f"--commands={folder / 'setup.jsonl'}")
    return ServeProcess(folder, clients_file(folder), *arguments)


def ledger(store: Path) -> dict[str, list[dict[str, Any]]]:
    """Calls, debits, balances and dead letters, in order."""
    reader = open_reader(store)
    try:
        topics = ("rated-calls", "debits", "balances", "rejected-cdrs")
        return {topic: [_timeless(json.loads(value)) for _, value in reader.topic(topic)] for topic in topics}
    finally:
        reader.close()


def _timeless(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in ELSEWHERE}


def test_killed_again_and_again(tmp_path: Path) -> None:
    """Nothing is lost and nothing is charged twice; each kill is answered by a start, as a supervisor does."""
    quiet = server(tmp_path / "quiet")
    quiet.start()
    quiet.wait_until_ready()
    for batch in batches(SPEC, BATCH):
        send_until_stored(quiet.switch, batch)
    assert quiet.stop() == 0

    killed = server(tmp_path / "killed")
    killed.start()
    killed.wait_until_ready()
    send_through_kills(killed, batches(SPEC, BATCH), KILLS)
    assert killed.stop() == 0
    assert ledger(tmp_path / "killed" / "store.db") == ledger(tmp_path / "quiet" / "store.db")
    assert verify_store(tmp_path / "killed" / "store.db").findings == []


def test_a_stopped_server_answers_what_it_was_sent(tmp_path: Path) -> None:
    """SIGTERM: exit 0, and the store is released."""
    serving = server(tmp_path / "once")
    serving.start()
    serving.wait_until_ready()
    (batch, *_) = batches(SPEC, BATCH)
    answer = send_until_stored(serving.switch, batch)
    assert serving.stop() == 0
    rated = ledger(tmp_path / "once" / "store.db")["rated-calls"]
    assert len(rated) == answer.body["accepted"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "expected either --store FILE or --bootstrap HOST:PORT, and not both"),
        (("--store=a.db", "--bootstrap=127.0.0.1:1"), "and not both"),
        (("--bootstrap=127.0.0.1:1", "--gateway=pretend"), "expected with --store"),
        (("--store=a.db", "--map=nowhere"), "nowhere: no such file, and no preset"),
        (("--store=a.db", "--tls-cert=nowhere.pem"), "--tls-cert nowhere.pem"),
    ],
)
def test_a_command_line_that_cannot_be(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    """Exit 2 and one line."""
    process = ServeProcess(tmp_path, clients_file(tmp_path), *arguments)
    process.start()
    assert process.process is not None
    assert process.process.wait(timeout=60) == 2
    assert says in process.log.read_text()


def test_over_tls(tmp_path: Path) -> None:
    """A certificate and its key; plain HTTP is not answered."""
    authority = Authority(tmp_path / "ca")
    signed = authority.sign("server", "subjectAltName=IP:127.0.0.1")
    serving = ServeProcess(
        tmp_path,
        clients_file(tmp_path),
        f"--store={tmp_path / 'store.db'}",
        f"--tls-cert={signed.certificate}",
        f"--tls-key={signed.key}",
    )
    serving.start()
    context = ssl.create_default_context(cafile=str(authority.certificate))
    found = b""
    for _ in range(200):
        try:
            with urllib.request.urlopen(f"https://127.0.0.1:{serving.port}/readyz", context=context) as answer:
                found = answer.read()
            break
        except OSError:
            threading.Event().wait(0.1)
    assert found == b"ready\n"
    with pytest.raises(OSError, match=r".*"):
        urllib.request.urlopen(f"http://127.0.0.1:{serving.port}/readyz")
    assert serving.stop() == 0
