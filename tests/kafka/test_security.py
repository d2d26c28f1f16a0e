"""On a real Kafka with TLS, users and an authorizer: each service with the rights of `rater acls`, and nobody more."""

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from rater.cli.generate import write_month
from rater.dev.generate import Spec
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import apply
from rater.wire.topics import load_topics
from tests.agents.pretending import beside, order, written
from tests.commands import rater
from tests.conftest import ROOT
from tests.kafka.agents_world import balances, call, charged, deck, now, prepaid, surroundings
from tests.kafka.authority import Authority
from tests.kafka.conftest import local_kafka
from tests.kafka.deployment import PARTITIONS, Deployment, until
from tests.kafka.guarded import Guarded

DECK = ROOT / "rater" / "dev" / "demo" / "demo-rates.csv"
HOWS = ("scram", "mtls")
CALLS = 300
MONTH = Spec(tenants=2, users=6, calls=CALLS)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    guarded = Guarded(tmp_path_factory.mktemp("guarded"), local_kafka)
    yield guarded
    guarded.kafka.stop()


@pytest.mark.parametrize("how", HOWS)
def test_each_service_with_its_rights_only(guarded: Guarded, tmp_path: Path, how: str) -> None:
    """Topics are made, records published, rated, consumed, verified and replayed, each by a user that may do it."""
    deployment = Deployment(guarded.kafka.bootstrap, tmp_path, topics=False)
    prefix = deployment.settings.prefix
    guarded.allow(prefix, how)
    write_month(MONTH, tmp_path)
    files = [f"--deck={DECK}", f"--commands={tmp_path / 'commands.jsonl'}", str(tmp_path / "cdrs.jsonl")]
    try:
        ran = guarded.run(how, "rater-topics", "topics", "apply", f"--partitions={PARTITIONS}", prefix=prefix)
        assert ran.returncode == 0, ran.stderr
        ran = guarded.run(how, "rater-publisher", "publish", *files, prefix=prefix)
        assert ran.returncode == 0, ran.stderr
        ran = guarded.run(how, "rater-switches", "publish", str(tmp_path / "cdrs.jsonl"), prefix=prefix)
        assert ran.returncode == 0, ran.stderr
        worker = deployment.start("worker-0", guarded.environment(how, "rater-worker"))
        until(lambda: len(worker.logged("partition owned")) == PARTITIONS, "the worker to own its partitions")
        until(lambda: not deployment.lag(), "everything to be rated")
        consumed = guarded.run(how, "rater-operators", "consume", "debits", prefix=prefix)
        assert (consumed.returncode, consumed.stderr.splitlines()[-1].endswith(" 0 findings")) == (0, True)
        assert json.loads(consumed.stdout.splitlines()[0])["kind"] == "call"
        billed = guarded.run(how, "rater-billing", "consume", "debits", prefix=prefix)
        assert sorted(billed.stdout.splitlines()) == sorted(consumed.stdout.splitlines())
        verified = guarded.run(how, "rater-operators", "verify", "--json", prefix=prefix)
        report = json.loads(verified.stdout)
        assert (report["differences"], report["cdrs"]) == (0, 2 * CALLS)
        for user in ("rater-operators", "rater-server"):
            compared = guarded.run(how, user, "what-if", "--period", MONTH.month, "--format", "json", prefix=prefix)
            assert compared.returncode == 0, compared.stderr
            assert json.loads(compared.stdout)["records"] > CALLS
        assert worker.stop()[0] == 0
    finally:
        deployment.end()


@pytest.mark.parametrize("how", HOWS)
def test_agents_with_their_rights_only(guarded: Guarded, tmp_path: Path, how: str) -> None:
    """A recharge is paid, notified and credited, a switch is answered and ordered to end a call, by Faust's clients
    and by ours.
    """
    deployment = Deployment(guarded.kafka.bootstrap, tmp_path)
    guarded.allow(deployment.settings.prefix, how)
    rights = guarded.environment(how, "rater-agents")
    at = now() - timedelta(days=1)
    try:
        with beside("webhook", "leg-run") as switch, surroundings(
            deployment, **rights, RATER_SWITCHES_TOKEN="of-the-test",
            RATER_SWITCHES_FILE=str(written(tmp_path, switch.entry(tmp_path))),
        ) as around:  # fmt: skip
            around.start_gateway()
            agents = around.start("agents-0")
            deployment.start("worker-0", guarded.environment(how, "rater-worker"))
            deployment.publish([*deck(at), *prepaid("approve-0000", at), call("approve-0000", 1, at)])
            until(lambda: charged(around.charges) == 1, "the recharge to be paid")
            until(lambda: balances(deployment)["approve-0000"].balance == "100", "100 - 60 + 60")
            until(lambda: len(around.mailbox.sent) > 0, "a first notice")
            until(lambda: agents.ready, "the agents to know the state")
            asked = urllib.request.Request(
                f"http://127.0.0.1:{agents.web_port}/v1/authorize?tenant=approve-0000&user=ada%40approve-0000.example"
                "&called=%2B442079460000",
                headers={"Authorization": "Bearer of-the-test"},
            )
            with urllib.request.urlopen(asked) as answer:
                assert json.load(answer)["seconds"] == 100 * 60
            ending = order("run", "approve-0000")
            deployment.publish([("call-commands", ending.tenant, msgspec.json.encode(ending))])
            until(lambda: switch.ended == ["leg-run"], "the end of a call")
            until(lambda: agents.counted('rater_switch_records_total{switch="none"}') == 1, "the record to be seen")
    finally:
        deployment.end()


#: There are topics with the first prefix, and none with the second.
HERE, NOWHERE = "denied-", "nowhere-"


@pytest.fixture(scope="module")
def granted(guarded: Guarded) -> Guarded:
    """Everybody has the rights of the service, by both ways of being known."""
    for prefix in (HERE, NOWHERE):
        for how in HOWS:
            guarded.allow(prefix, how)
    asyncio.run(apply(KafkaSettings(bootstrap=guarded.kafka.bootstrap, prefix=HERE), load_topics(), 1))
    return guarded


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize(
    ("user", "words", "prefix", "lacks", "ask"),
    [
        ("billing", ["publish", f"--deck={DECK}"], HERE, "Read topic denied-rate-decks", "publisher"),
        ("operators", ["publish", f"--deck={DECK}"], HERE, "Write topic denied-rate-decks", "publisher"),
        ("billing", ["consume", "balances"], HERE, "Read topic denied-balances", "operators"),
        ("publisher", ["verify"], HERE, "Read topic denied-account-events, denied-admin-audit", "operators"),
        ("operators", ["topics", "apply"], NOWHERE, "Create topic nowhere-", "topics"),
        ("billing", ["topics", "diff"], HERE, "Describe topic denied-account-events", "operators"),
        ("operators", ["worker"], HERE, "Write topic denied-account-events, denied-balances", "worker"),
    ],
)
def test_a_missing_right_is_one_line(
    granted: Guarded, how: str, user: str, words: list[str], prefix: str, lacks: str, ask: str
) -> None:
    """Which user, which right, on what, and the command that prints how to grant it; no traceback."""
    refused = granted.run(how, f"rater-{user}", *words, prefix=prefix)
    known = {
        "scram": f"Kafka user rater-{user}",
        "mtls": f"the Kafka user of certificate {granted.identities[f'rater-{user}'].certificate}",
    }
    acls = f"`rater acls --service {ask} --prefix {prefix}{' --mtls' if how == 'mtls' else ''}`"
    (line,) = refused.stderr.splitlines()
    assert refused.returncode == 9
    assert line.startswith(f"rater: {known[how]} has no right to {lacks}")
    assert line.endswith(f"; {acls} prints the commands that grant what user rater-{ask} needs")


def test_who_is_not_believed(guarded: Guarded, tmp_path: Path) -> None:
    """A wrong password, an authority that we do not trust, a missing certificate: one clear error each."""
    scram, mtls = (guarded.environment(how, "rater-billing") for how in HOWS)
    wrong = tmp_path / "wrong.password"
    wrong.write_text("guessed\n")
    other = Authority(tmp_path / "other")
    asked = ("consume", "debits")
    table = [
        (scram | {"RATER_PASSWORD_FILE": str(wrong)}, 9, f"Kafka user rater-billing and the password of {wrong} are not known there"),
        (scram | {"RATER_PASSWORD_FILE": str(tmp_path / "none")}, 2, "the Kafka password: "),
        (scram | {"RATER_USERNAME": ""}, 2, "expected RATER_USERNAME and RATER_PASSWORD_FILE"),
        (scram | {"RATER_CA_FILE": str(other.certificate)}, 9, "its certificate is not trusted"),
        (scram | {"RATER_CA_FILE": str(wrong)}, 2, f"RATER_CA_FILE: expected certificates in {wrong}"),
        (mtls | {"RATER_KEY_FILE": str(wrong)}, 2, "expected a certificate and its key in"),
        (mtls | {"RATER_CERTIFICATE_FILE": "", "RATER_KEY_FILE": ""}, 7, "Does it expect another RATER_SECURITY, or a certificate?"),
        (mtls | {"RATER_SECURITY": "PLAINTEXT"}, 7, "Does it expect another RATER_SECURITY, or a certificate?"),
        (mtls | {"RATER_SECURITY": "TLS"}, 2, "RATER_SECURITY: expected 'PLAINTEXT', 'SSL'"),
    ]  # fmt: skip
    for environment, code, said in table:
        ran = rater(*asked, environment=environment)
        assert (ran.returncode, said in ran.stderr) == (code, True), ran.stderr
        assert "Traceback" not in ran.stderr
        assert "secret of" not in ran.stderr
