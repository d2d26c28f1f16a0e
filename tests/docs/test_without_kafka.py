"""The commands of the front page, the operators' page, the mappings' page and the HTTP server's page that need no Kafka."""

import re
import shutil
from functools import partial
from pathlib import Path

import pytest

from rater.dev.demo.rates import BUNDLED
from rater.dev.ports import free_ports
from tests.commands import invoke
from tests.conftest import ROOT
from tests.docs.pages import block_of
from tests.docs.stories import Typed, play, running
from tests.mappings.test_page import files_of
from tests.world import DECK

SITES = ROOT / "tests" / "mappings" / "sites"
USER = "ada@contoso.example"

DEMO = [Typed("rater demo --deck deck.csv", shown="rater demo --deck FILE")]
OTHER_LIST = Typed(
    "rater what-if --period 2025-03 --deck rater/dev/demo/other-rates.csv --store demo-output/rater.db --lines 3"
)

PRINTED = [
    Typed('export PATH="$PWD/.venv/bin:$PATH"'),
    Typed("rater --version"),
    Typed("rater metrics list"),
    Typed("rater metrics list --markdown"),
    Typed("rater topics list"),
    Typed("rater acls"),
    Typed("rater acls --strimzi"),
    Typed("rater acls --mtls"),
    Typed("rater acls --prefix blue-"),
    Typed("rater acls --prefix p96-"),
    Typed("rater acls --service operators"),
    Typed("rater acls --service switches"),
    Typed("rater acls --service billing"),
    Typed("rater acls --service bridge"),
    Typed("rater config check agents.yaml"),
    Typed("rater config check --json agents.yaml", also=("rater config check --json",)),
    Typed("rater serve-token freeswitch-1", also=("rater serve-token kamailio-1",)),
    Typed("rater generate --calls 300 --out month", shown="rater generate --out month"),
    Typed("rater generate --calls 10 --funds 20 --out poor", shown="rater generate --funds"),
    Typed("export RATER_BOOTSTRAP=127.0.0.1:9092 RATER_PREFIX="),
]
CERTIFICATE = [
    Typed("openssl x509 -enddate -noout -in certificate.pem", shown="openssl x509 -enddate -noout -in CERTIFICATE")
]

#: `rater generate` has made the month; the customer of the operators' page comes, and goes.
STORE = [
    Typed("mkdir -p incoming", shown="mkdir incoming"),
    Typed("rater run month/cdrs.jsonl --commands month/commands.jsonl --deck deck.csv", shown="rater run --deck"),
    Typed("rater tenant add contoso --currency USD --country US --credits enabled", shown="rater tenant add NAME --currency USD --country US --credits enabled"),
    Typed(f"rater tenant license contoso {USER} MCOPSTN5 --country US", shown="rater tenant license NAME USER MCOPSTN5 --country US"),
    Typed(f"rater tenant license contoso {USER} MCOPSTNPP --country US", shown="rater tenant license NAME USER MCOPSTNPP --country US"),
    Typed("rater tenant fund contoso 500 --id inv-1", shown="rater tenant fund NAME 500 --id INVOICE"),
    Typed("rater tenant adjust contoso -12.50 --reason wrong --yes", shown="rater tenant adjust NAME -12.50"),
    Typed("rater tenant refund contoso inv-1 100 --reason asked --yes", shown="rater tenant refund NAME LOT 100"),
    Typed("rater tenant promote contoso 20 --expires 2099-01-01T00:00:00Z --yes", shown="rater tenant promote NAME 20 --expires 2027-01-01T00:00:00Z"),
    Typed("rater tenant reverse-payment contoso inv-1 --reason bank --yes", shown="rater tenant reverse-payment NAME LOT"),
    Typed("rater tenant configure contoso --no-recharge", shown="rater tenant configure TENANT --no-recharge"),
    Typed("rater tenant close contoso --pay-out --reason left --yes", shown="rater tenant close NAME --pay-out"),
    Typed("rater tenant reopen contoso --reason mistake --yes", shown="rater tenant reopen NAME"),
    Typed("rater statement contoso --period 2025-03", shown="rater statement NAME --period 2025-03"),
    Typed(f"rater erase contoso {USER}", shown="rater erase NAME USER"),
    Typed("rater export call-commands --format jsonl", also=("rater export call-commands",)),
    Typed("rater backup rater-2025-04-01.db"),
    Typed("mkdir away && mv rater.db* away/"),
    Typed("cp rater-2025-04-01.db rater.db"),
    Typed("rater verify --store rater.db"),
    Typed("rater prune --keep 60 --daily"),
    Typed("rater doctor --store rater.db"),
]  # fmt: skip
NOTIFY = Typed("rater run nothing.jsonl --notify notify.yaml", shown="rater run --notify notify.yaml")
WATCH = Typed("rater run --watch incoming/ --deck deck.csv")
WATCH_AND_SHOW = Typed(
    "rater run --watch --metrics-port PORT incoming/", shown="rater run --watch --metrics-port 9100 incoming/"
)

MAPPINGS = [
    Typed("rater map list"),
    Typed("rater map show asterisk-cdr-csv"),
    Typed("rater map check site.yaml Master.csv", shown="rater map check site.yaml FILE"),
    Typed("rater map test site.yaml --sample Master.csv --write"),
    Typed("rater map test site.yaml --sample Master.csv", shown="rater map test site.yaml"),
    Typed("rater run Master.csv --map site.yaml", code=3, shown="rater run FILE --map site.yaml"),
    Typed("rater map check nova.yaml nova.sample.csv", code=3),
    Typed("rater map test nova.yaml --sample nova.sample.csv --write"),
    Typed("rater map test nova.yaml"),
    Typed("rater run nova.sample.csv --map nova.yaml", code=3, shown="rater run --map freeswitch.yaml"),
    Typed("rater dlq replay --reason unknown_account", code=3),
    Typed("rater map check nova.yaml nova.sample.csv", code=3, shown="rater map check MAPPING FILE"),
]

SERVE = Typed(
    "rater serve --store rater.db --clients clients.yaml --deck deck.csv --commands setup.jsonl --map site.yaml --web-port PORT",
    shown="rater serve --store rater.db --clients clients.yaml --deck deck.csv --commands setup.jsonl --map site.yaml",
    also=("rater serve --map kamailio.yaml",),
)

POST = Typed(
    'curl -s -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" --data @call.json http://127.0.0.1:PORT/v1/cdrs',
    shown='curl -s -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" --data @call.json'
    " http://127.0.0.1:6080/v1/cdrs",
)

_READ = 'curl -s -H "Authorization: Bearer $READER" '
#: What the page shows of a tenant, its calls, an explanation, a balance.
READ = tuple(
    Typed(
        f"{_READ}{mark}http://127.0.0.1:PORT{path}{mark}", shown=f"{_READ}{mark}http://127.0.0.1:6080{path}{mark}"
    )
    for mark, path in (
        ("", "/v1/tenants/contoso"),
        ('"', "/v1/tenants/contoso/calls?day=2025-03-12&limit=50"),
        ("", "/v1/tenants/contoso/calls/call-1/explanation"),
        ('"', "/v1/tenants/contoso/balance?at=2025-03-10T00:00:00Z"),
    )
)

STORY = (
    *DEMO,
    OTHER_LIST,
    *PRINTED,
    *CERTIFICATE,
    *STORE,
    NOTIFY,
    WATCH,
    WATCH_AND_SHOW,
    *MAPPINGS,
    SERVE,
    POST,
    *READ,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands are typed, with the files that every page takes for granted."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(DECK, tmp_path / "deck.csv")
    (tmp_path / "nothing.jsonl").write_text("")
    (tmp_path / "incoming").mkdir()
    return tmp_path


def free_port() -> str:
    """A port that nobody has."""
    return str(free_ports(1)[0])


def with_secrets(text: str, folder: Path) -> str:
    """The same settings, their secrets in this folder."""
    for path in set(re.findall(r"\{file: ([^}]+)\}", text)):
        (folder / Path(path).name).write_text("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n")
        text = text.replace(path, str(folder / Path(path).name))
    return text


def write_agents_file(folder: Path) -> None:
    """`agents.yaml` as the operators' page shows it, and the files that it names: `notify.yaml` is a part of it."""
    switches = files_of((ROOT / "docs/switches.md").read_text("utf-8"))["switches.yaml"]
    (folder / "freeswitch.yaml").write_text("extends: freeswitch-json-cdr\ncall: {duration: {round: up}}\n")
    (folder / "switches.yaml").write_text(
        with_secrets(switches.replace("{env: GATEWAY_KEY}", "{file: key}"), folder)
    )
    text = with_secrets(block_of("docs/operators.md", "webhook_secrets:"), folder)
    text = text.replace("/var/lib/rater", str(folder)).replace("/etc/rater", str(folder))
    (folder / "agents.yaml").write_text(text)
    notify = text.partition("notify:\n")[2].partition("telling_instance")[0]
    (folder / "notify.yaml").write_text(re.sub(r"(?m)^  ", "", notify))


def test_what_is_only_printed(folder: Path) -> None:
    """Lists, access rights, tokens, settings, a generated month."""
    write_agents_file(folder)
    play(PRINTED, folder)
    assert (folder / "month" / "cdrs.jsonl").exists()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl shows a certificate: apt-get install openssl")
def test_the_end_of_a_certificate(folder: Path) -> None:
    """Of one that is good for a day."""
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=worker"
    play([Typed(f"{words} -keyout key.pem -out certificate.pem"), *CERTIFICATE], folder)
    assert (folder / "certificate.pem").exists()


def plain(text: str) -> str:
    """Words alone: a terminal of another width wraps and draws in other places."""
    return " ".join(re.sub("[─━┏┓┡┩└┘│┃┳┴╇]", " ", text).split())


def test_the_demo_prints_what_the_front_page_shows(folder: Path) -> None:
    """Line by line in its order, to the last figure, with the bundled price list given as one's own; then, with another."""
    shutil.copy(BUNDLED, folder / "deck.csv")
    (step,) = DEMO
    done = invoke(*step.typed.split()[1:])
    assert done.exit_code == 0, done.output
    printed, at = plain(done.output), 0
    for line in map(plain, block_of("README.md", "tailspin: its card is declined").splitlines()):
        assert (at := printed.find(line, at)) >= 0, line
    (folder / "rater").symlink_to(ROOT / "rater")
    printed, at = plain(invoke(*OTHER_LIST.typed.split()[1:]).output), 0
    for line in map(plain, block_of("README.md", "contoso   USD").splitlines()):
        assert line == "..." or (at := printed.find(line, at)) >= 0, line


def test_an_operators_store(folder: Path) -> None:
    """A month is rated, a customer comes, pays, gets money back, goes and comes again; backed up, pruned, watched."""
    play([step for step in PRINTED if "--out month" in step.typed], folder)
    play(STORE, folder, RATER_OPERATOR="kim")
    write_agents_file(folder)
    play([NOTIFY], folder)
    with running(WATCH, folder, "watching"):
        pass
    with running(WATCH_AND_SHOW, folder, "watching", {"PORT": free_port}):
        assert "metrics on" in (folder / "log-1").read_text()


def test_a_sites_mappings(folder: Path) -> None:
    """With a preset: the site's mapping of the page on Asterisk's file; without one: the page's own example."""
    page = (ROOT / "docs" / "mappings.md").read_text("utf-8")
    for name, text in files_of(page).items():
        (folder / name).write_text(text)
    (folder / "site.yaml").write_text(block_of("docs/mappings.md", "extends: asterisk-cdr-csv"))
    shutil.copy(SITES / "asterisk-csv.sample.csv", folder / "Master.csv")
    play(MAPPINGS, folder)


@pytest.mark.skipif(shutil.which("curl") is None, reason="a record is posted as on the page: apt-get install curl")
def test_a_server_on_a_store(folder: Path) -> None:
    """A token, whose entry goes into the clients' file; the server becomes ready, and rates the record of the page."""
    made = invoke("serve-token", "freeswitch-1")
    hashed = re.findall(r"sha256:[0-9a-f:]+", made.stderr)[0]
    clients = block_of("docs/serve.md", "name: freeswitch-1").replace("sha256:SALT:HASH", hashed)
    reader = invoke("serve-token", "billing-portal")
    reading = block_of("docs/serve.md", "name: billing-portal").replace(
        "sha256:SALT:HASH", re.findall(r"sha256:[0-9a-f:]+", reader.stderr)[0]
    )
    (folder / "clients.yaml").write_text(clients + reading.removeprefix("clients:\n"))
    commands = re.findall(r'(?m)^    (\{"command".*\})$', (ROOT / "docs/billing.md").read_text())
    (folder / "setup.jsonl").write_text("\n".join(commands) + "\n")
    (folder / "site.yaml").write_text(block_of("docs/mappings.md", "extends: asterisk-cdr-csv"))
    (call,) = re.findall(r'(?m)^    (\{"tenant".*\})$', (ROOT / "docs/serve.md").read_text())
    (folder / "call.json").write_text(call)
    names = {"PORT": partial(str, free_port())}
    with running(SERVE, folder, "serving on", names):
        play([POST, *READ], folder, names, TOKEN=made.stdout.strip(), READER=reader.stdout.strip())
