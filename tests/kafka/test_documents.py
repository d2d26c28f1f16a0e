"""The commands of the documents that need Kafka, typed as they stand there on a broker of their own: one operator's day."""

import asyncio
import json
import re
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from rater.dev.demo.rates import BUNDLED
from rater.dev.ports import free_ports
from rater.files.deck_csv import read_deck
from rater.kafka.publisher import partition_of
from tests.commands import invoke, rater
from tests.conftest import ROOT
from tests.docs.pages import block_of
from tests.docs.stories import Typed, play, running
from tests.kafka.conftest import JARS, local_kafka
from tests.kafka.deployment import PARTITIONS, Deployment, until
from tests.kafka.mirror import mirror
from tests.mappings.test_page import files_of

TENANT = "tenant-0000"
#: README, "On Kafka, by hand"; the month is a small one.
BEGINNING = [
    Typed("rater generate --calls 200 --poison 0 --out month", shown="rater generate --out month"),
    Typed("rater topics apply --partitions 4"),
    Typed("rater topics diff --partitions 4", shown="rater topics diff"),
]
WORKER = Typed(
    "rater worker --web-port WORKER --index picture/index-2 --instance worker-0",
    shown="rater worker &",
    also=(
        "rater worker --index /var/lib/rater/index --instance worker-0",
        "rater worker --web-port 0 --index picture/index-2",
    ),
)
GATEWAY = Typed("rater dev gateway --port GATEWAY --log charges.jsonl")
AGENTS = Typed(
    "rater agents --config agents.yaml --instance agents-0 --web-port AGENT",
    shown="rater agents --config agents.yaml --instance agents-0 --web-port 6067",
)
SERVER = Typed(
    "rater serve --clients clients.yaml --web-port SERVER",
    shown="rater serve --bootstrap 127.0.0.1:9092 --clients clients.yaml",
)
PUBLISHING = [
    Typed("rater publish --deck rater/dev/demo/demo-rates.csv --commands month/commands.jsonl month/cdrs.jsonl"),
    Typed("rater publish --rate 1000 month/cdrs.jsonl", shown="rater publish --rate"),
    Typed(
        "rater publish --deck rater/dev/demo/demo-rates.csv",
        shown="rater publish --deck NEW",
        also=("rater publish --deck FILE",),
    ),
    Typed("rater publish --map nova.yaml nova.sample.csv", code=3, shown="rater publish --map"),
]
#: A call that a reader makes up; `rater explain` finds it once it is rated.
OWN_CALL = [
    Typed(
        """echo '{"tenant":"tenant-0000","usage_id":"mine-1","type":"user_out","user":"user000000@tenant-0000.example","called":"+442079460000","answered_at":"2025-03-12T10:48:59Z","duration_s":61}' > mine.jsonl"""
    ),
    Typed("rater publish mine.jsonl"),
]
OWN_CALL_RATED = [Typed("rater explain mine-1 --tenant tenant-0000")]
GARBAGE = [
    Typed("""yes '{"tenant":"tenant-0000","usage_id":7}' | head -1000 > garbage.jsonl"""),
    Typed("rater publish garbage.jsonl"),
]
#: `rater verify` is the last line of README's section.
LOOKING = [
    Typed("rater verify > verify.txt", also=("rater verify",)),
    Typed("rater top --once", shown="rater top"),
    Typed("rater doctor"),
    Typed(
        "rater doctor --config agents.yaml --worker http://127.0.0.1:WORKER --worker http://127.0.0.1:AGENT --index picture/index-2",
        shown="rater doctor --config agents.yaml --worker http://WORKER:6066 --index rater-index",
        also=(
            "rater doctor --worker http://WORKER:6066",
            "rater doctor --worker http://127.0.0.1:$WORKER_PORT --worker http://127.0.0.1:$AGENTS_PORT --index picture/index",
            "rater doctor --worker http://AGENTS-0:6066 --worker http://AGENTS-1:6066",
            "rater doctor --index DIR",
        ),
    ),
    Typed("rater doctor --server http://127.0.0.1:SERVER", shown="rater doctor --server http://SERVER:6080"),
    Typed("rater consume debits"),
    Typed("rater consume debits > /dev/null", shown="rater consume TOPIC > /dev/null"),
    Typed("rater consume rated-calls --tenant TENANT", shown="rater consume rated-calls --tenant contoso"),
    Typed(
        """rater consume rated-calls --last 5000 | grep '"country":"US"' | tail -50""",
        shown="""rater consume rated-calls --last 5000 | grep '"country":"JM"' | tail -50""",
    ),
    Typed("rater consume rated-calls --last 5000 --tenant TENANT | tail -50"),
    Typed("rater consume rated-calls --tenant TENANT | tail -50"),
    Typed(
        "rater explain USAGE_ID --tenant TENANT",
        also=("rater explain USAGE_ID --tenant contoso", "rater explain USAGE_ID --tenant NAME"),
    ),
    Typed("rater consume rated-calls | grep USAGE_ID | rater explain -"),
    Typed("rater consume balances --tenant TENANT"),
    Typed("rater consume balances --tenant TENANT | tail -1"),
    Typed("rater consume account-events --tenant TENANT"),
    Typed("rater consume recharges --tenant TENANT"),
    Typed(
        "rater consume account-events | grep funds.added",
        shown="rater consume account-events | grep payment.conflict",
        also=(
            "rater consume account-events | grep recharge.failed | tail -50",
            "rater consume account-events | grep recharge.suppressed",
        ),
    ),
]
#: curl is asked by what it prints, too; a switch's token is that of `agents.yaml`.
ASKING = [
    Typed(
        'curl -sf -m 5 "http://127.0.0.1:WORKER/healthz?verbose"',
        shown='curl -s -m 5 "http://WORKER:6066/healthz?verbose"',
        also=('curl -s "http://WORKER:6066/healthz?verbose"',),
    ),
    Typed(
        'curl -sf -m 5 "http://127.0.0.1:AGENT/healthz?verbose"',
        shown='curl -s -m 5 "http://AGENT:6066/healthz?verbose"',
    ),
    Typed(
        "curl -s -m 5 http://127.0.0.1:WORKER/metrics | grep -E 'rater_(batch|commit)_seconds_(sum|count)'",
        shown="curl -s -m 5 http://WORKER:6066/metrics | grep -E 'rater_(batch|commit)_seconds_(sum|count)'",
    ),
    Typed("curl -sv http://127.0.0.1:GATEWAY/", shown="curl -sv GATEWAY_URL"),
    Typed(
        'curl -sf -H "Authorization: Bearer $(cat switches)"'
        ' "http://127.0.0.1:AGENT/v1/authorize?tenant=tenant-0000&user=user000000@tenant-0000.example&called=%2B442079460000"',
        shown='curl -sS -H "Authorization: Bearer $(cat picture/switches-token)"'
        ' "http://127.0.0.1:$AGENTS_PORT/v1/authorize?tenant=tenant-0000&user=user000000@tenant-0000.example&called=%2B442079460000"',
    ),
    Typed(
        'curl -sf -H "Authorization: Bearer $(cat switches)"'
        ' "http://127.0.0.1:AGENT/v1/authorize?tenant=contoso&user=ada@contoso.example&called=%2B442079460000"',
        shown='curl -H "Authorization: Bearer $TOKEN"'
        ' "http://127.0.0.1:6066/v1/authorize?tenant=contoso&user=ada@contoso.example&called=%2B442079460000"',
    ),
]
LETTERS = [
    Typed("rater dlq ls --limit 20"),
    Typed("rater dlq ls --tenant tenant-0000", shown="rater dlq ls --tenant contoso"),
    Typed("rater dlq ls --reason conflicting_duplicate"),
    Typed("rater dlq ls | tail -20"),
    Typed("rater dlq show LETTER", shown="rater dlq show ID"),
    Typed("rater dlq show LETTER --raw > call.json", shown="rater dlq show ID --raw > call.json"),
    Typed("rater publish call.json"),
    Typed("rater dlq replay --reason malformed --dry-run", shown="rater dlq replay --reason REASON --dry-run"),
    Typed("rater dlq replay --dry-run"),
    Typed("rater dlq replay --reason malformed", code=3, shown="rater dlq replay --reason REASON"),
    Typed("rater dlq replay --reason unknown_tenant"),
    Typed("rater dlq replay --reason skipped"),
    Typed("rater dlq drop LETTER --note WHY", shown="rater dlq drop ID --note WHY"),
    Typed(
        'rater dlq drop --reason malformed --tenant tenant-0000 --note "why"',
        shown="rater dlq drop --reason REASON --tenant TENANT --note WHY",
        also=('rater dlq drop --reason REASON --note "why"',),
    ),
]
#: With RATER_BOOTSTRAP these are commands to the rating task; a purchase is called back as a recharge would be.
MONEY = [
    Typed(
        "rater tenant add contoso --currency USD --country US --credits enabled",
        also=("rater tenant add TENANT --currency USD --country US --credits enabled",),
    ),
    Typed("rater tenant license contoso ada@contoso.example MCOPSTN2 --country US"),
    Typed("rater tenant license contoso ada@contoso.example MCOPSTNPP --country US"),
    Typed("rater tenant fund contoso 500 --id inv-1"),
    Typed("rater statement contoso", shown="rater statement TENANT"),
    Typed(
        "rater tenant reverse-payment contoso inv-1 --reason bank --yes",
        shown="rater tenant reverse-payment TENANT RECHARGE_ID --reason WHY",
    ),
    Typed(
        'rater tenant adjust contoso 100 --reason "recharge 5b1c... was paid" --yes',
        shown='rater tenant adjust contoso 100 --reason "recharge 5b1c... was paid"',
        also=('rater tenant adjust TENANT AMOUNT --reason "recharge RECHARGE_ID was paid"',),
    ),
    Typed(
        "rater tenant configure contoso --recharge-trigger 50 --recharge-amount 200",
        shown="rater tenant configure TENANT --recharge-trigger 50 --recharge-amount 200",
    ),
    Typed(
        "rater tenant configure contoso --payment-method-replaced",
        shown="rater tenant configure TENANT --payment-method-replaced",
    ),
    Typed("rater tenant configure contoso --no-recharge", shown="rater tenant configure TENANT --no-recharge"),
    Typed(
        "rater rerate --deck VERSION --all --from 2025-03-03T00:00:00Z --to 2025-03-05T00:00:00Z --dry-run",
    ),
]
#: The last of the money: no switch is asked about contoso after it.
FRAUD = [
    Typed(
        "rater tenant license contoso ada@contoso.example MCOPSTNPP --remove",
        shown="rater tenant license TENANT USER MCOPSTNPP --remove",
    ),
]
#: drills.md, "More partitions": nothing runs meanwhile.
MOVING = [
    Typed(
        "rater partition move --to-prefix p96- --partitions 5 --group rater-billing --yes",
        shown="rater partition move --to-prefix p96- --partitions 96 --group rater-billing",
    ),
    Typed(
        "rater partition move --to-prefix p96- --partitions 5 --yes",
        shown="rater partition move --to-prefix p96- --partitions 96",
    ),
    Typed("rater verify --prefix p96-"),
    Typed("rater verify"),
]
#: drills.md, "A second site": on a mirror that lacks a few call records.
TAKING_OVER = [
    Typed(
        "rater partition take-over --prefix A. --to-prefix b- --partitions 4 --ahead ahead.jsonl",
        shown="rater partition take-over --prefix A. --to-prefix b- --partitions 48 --ahead ahead.jsonl",
    ),
    Typed("rater verify --prefix b-"),
    Typed("rater consume rated-calls --prefix b- | grep USAGE_ID"),
]
KCAT = [
    Typed('kcat -Q -b "$RATER_BOOTSTRAP" -t cdrs:0:-1'),
    Typed(
        'kcat -C -b "$RATER_BOOTSTRAP" -t cdrs -p PARTITION -o 0 -c 1',
        shown='kcat -C -b "$RATER_BOOTSTRAP" -t cdrs -p PARTITION -o OFFSET -c 1',
    ),
]
#: In a shell of their own, because the broker outlives the command.
START = Typed("rater dev kafka start --port BROKER >started", shown="rater dev kafka start")
STOP = Typed("rater dev kafka stop >stopped", shown="rater dev kafka stop")

STORY = (
    START, *BEGINNING, WORKER, GATEWAY, AGENTS, SERVER, *PUBLISHING, *OWN_CALL, *OWN_CALL_RATED, *GARBAGE, *LOOKING, *ASKING,
    *LETTERS, *MONEY, *FRAUD, *TAKING_OVER, *MOVING, *KCAT, STOP,
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the commands are typed: a checkout's price list is at hand, and Kafka's jars are fetched already."""
    local_kafka(tmp_path).fetch_jars()  # for all tests of the checkout; skips where there is no Java
    if shutil.which("curl") is None:
        pytest.skip("no curl here: this test asks as the pages do (apt-get install curl)")
    monkeypatch.chdir(tmp_path)
    deck = tmp_path / BUNDLED.relative_to(ROOT)
    deck.parent.mkdir(parents=True)
    shutil.copy(BUNDLED, deck)
    (tmp_path / ".kafka").mkdir()
    (tmp_path / ".kafka" / "jars").symlink_to(JARS)
    for name, text in files_of((ROOT / "docs" / "mappings.md").read_text("utf-8")).items():
        (tmp_path / name).write_text(text)
    yield tmp_path
    play([STOP], tmp_path)


def write_settings(folder: Path, gateway_port: int) -> None:
    """What an operator writes: agents with a gateway and switches, and a client of the HTTP server."""
    (folder / "switches").write_text("a-token-of-switches\n")
    (folder / "agents.yaml").write_text(
        f"gateway: {{url: 'http://127.0.0.1:{gateway_port}'}}\nswitches: {{token: {{file: {folder / 'switches'}}}}}\n"
    )
    entry = rater("serve-token", "freeswitch-1").stderr
    hashed = re.findall(r"sha256:[0-9a-f:]+", entry)[0]
    (folder / "clients.yaml").write_text(
        block_of("docs/serve.md", "name: freeswitch-1").replace("sha256:SALT:HASH", hashed)
    )


def test_an_operators_day(folder: Path) -> None:
    """A broker is started, a month is rated, looked at, its refused records and its money are dealt with, all is moved."""
    broker, worker, agents, gateway, server = map(str, free_ports(5))
    environment = {"RATER_BOOTSTRAP": f"127.0.0.1:{broker}", "RATER_OPERATOR": "kim"}
    # so that the groups soon forget members that have ended
    environment |= {"RATER_SESSION_TIMEOUT_MS": "6000", "RATER_SESSION_TIMEOUT_S": "6"}
    ports = {"BROKER": broker, "WORKER": worker, "AGENT": agents, "GATEWAY": gateway, "SERVER": server}
    names: dict[str, Callable[[], str]] = {name: partial(str, port) for name, port in ports.items()}
    names["TENANT"] = partial(str, TENANT)
    names["PARTITION"] = partial(str, partition_of(TENANT, PARTITIONS))
    names["USAGE_ID"] = partial(usage_id, environment)
    names["VERSION"] = partial(str, read_deck(BUNDLED).version)
    names["LETTER"] = partial(letter, environment)
    write_settings(folder, int(gateway))
    play([START], folder, names)
    play(BEGINNING, folder, names, **environment)
    deployment = Deployment(environment["RATER_BOOTSTRAP"], folder, topics=False, prefix="")
    with ExitStack() as processes:
        for step, said in ((WORKER, "partitions assigned"), (GATEWAY, ""), (AGENTS, ""), (SERVER, "serving on")):
            processes.enter_context(running(step, folder, said, names, **environment))
        play(PUBLISHING, folder, names, **environment)
        play(OWN_CALL, folder, names, **environment)
        deployment.wait_until_rated()
        play(OWN_CALL_RATED, folder, names, **environment)
        play(LOOKING, folder, names, **environment)
        play(MONEY, folder, names, **environment)
        play(GARBAGE, folder, names, **environment)
        deployment.wait_until_rated()
        play(LETTERS, folder, names, **environment)
        until(lambda: answers(f"http://127.0.0.1:{agents}/readyz"), "the agents to have read the state")
        play(ASKING, folder, names, **environment)
        play(FRAUD, folder, names, **environment)
        if shutil.which("kcat"):
            play(KCAT, folder, names, **environment)
    mirror(deployment.settings, deployment.settings.model_copy(update={"prefix": "A."}), {"cdrs": 5})
    play(TAKING_OVER, folder, names, **environment)
    asyncio.run(bill(deployment))
    play(MOVING, folder, names, **environment)


async def bill(deployment: Deployment) -> None:
    """The group `rater-billing` reads all debits, as the move wants it."""
    places = [TopicPartition("debits", number) for number in range(deployment.partitions)]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=deployment.settings.bootstrap, group_id="rater-billing", enable_auto_commit=False
    )
    await consumer.start()
    try:
        consumer.assign(places)
        await consumer.commit(await consumer.end_offsets(places))
    finally:
        await consumer.stop()


def answers(url: str) -> bool:
    """Whether a page answers with 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def usage_id(environment: dict[str, str]) -> str:
    """A call of tenant-0000 that was rated."""
    first = invoke("consume", "rated-calls", "--tenant", TENANT, **environment).stdout.splitlines()[0]
    return str(json.loads(first)["usage_id"])


def letter(environment: dict[str, str]) -> str:
    """A dead letter that waits."""
    return str(json.loads(invoke("dlq", "ls", "--json", **environment).stdout)[0]["id"])
