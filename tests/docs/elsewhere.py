"""Commands of the documents that no story types: what can be checked of them without running them, and why not run."""

import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.conftest import ROOT
from tests.docs.stories import Typed

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
_MANIFESTS = ROOT / "deploy/kubernetes/base"
#: What a page writes where a reader puts a name or a number of his own.
_PLACEHOLDERS = {"NAME", "PART", "N", "..."}
#: Options of `docker compose`, with how many words belong to each.
_COMPOSE_OPTIONS = {"--build": 0, "-d": 0, "--rm": 0, "-e": 1, "--tail": 1, "--scale": 1}
_COMPOSE_COMMANDS = {"up", "stop", "ps", "logs", "restart", "config", "exec", "run"}
_KUBECTL_COMMANDS = {
    "apply",
    "get",
    "logs",
    "rollout",
    "top",
    "scale",
    "delete",
    "describe",
    "port-forward",
    "create",
}
_KAFKA_SCRIPTS = {
    "kafka-configs.sh", "kafka-get-offsets.sh", "kafka-console-consumer.sh", "kafka-consumer-groups.sh", "kafka-topics.sh", "connect-mirror-maker.sh",
}  # fmt: skip


class NotRun(NamedTuple):
    """Commands that begin like this, why they are not run here, and what of them is wrong (nothing: an empty text)."""

    begins: str
    reason: str
    wrong: Callable[[list[str]], str]


class RunBy(NamedTuple):
    """A command that another test runs, because it needs what no reader has to make: a bug, lost records, two sites."""

    command: str
    test: str

    @property
    def step(self) -> Typed:
        """As if a story typed it."""
        return Typed(self.command)


def compose(words: list[str]) -> str:
    """The file, the command, its options and the services exist."""
    if words in (["docker", "compose"], ["docker", "stats"]):
        return ""
    if words[:4] != ["docker", "compose", "-f", "deploy/compose.yaml"]:
        return "expected docker compose -f deploy/compose.yaml"
    command, *rest = words[4:]
    services: list[str] = []
    while rest:
        word = rest.pop(0)
        if word.startswith("-"):
            if word not in _COMPOSE_OPTIONS:
                return f"no option {word}"
            rest = rest[_COMPOSE_OPTIONS[word] :]
        else:
            services.append(word)
            if command in ("exec", "run"):
                break  # what follows is typed inside the container
    unknown = set(services) - set(COMPOSE["services"]) - _PLACEHOLDERS
    script = Path(rest[0]).name if rest and command == "exec" else ""
    if script not in ("", "bin", *_KAFKA_SCRIPTS):
        return f"no script {script}"
    return "" if command in _COMPOSE_COMMANDS and not unknown else f"no command {command} or no service {unknown}"


@cache
def manifests() -> frozenset[str]:
    """Every object of the manifests as `kind/name`, in small letters, and the names that pods and secrets get."""
    found = set()
    for path in _MANIFESTS.rglob("*.yaml"):
        for item in yaml.safe_load_all(path.read_text()):
            if item and "name" in item.get("metadata", {}):
                kind, name = item["kind"].lower(), item["metadata"]["name"]
                found.add(f"{kind}/{name}")
                if kind == "statefulset":
                    found.add(f"pod/{name}-0")
                if kind == "kafkauser":
                    found.add(f"secret/{name}")  # Strimzi makes it
    return frozenset(found)


def kubectl(words: list[str]) -> str:
    """The command is one of those that are known here, and what it names is in the manifests."""
    if words[1] not in _KUBECTL_COMMANDS:
        return f"no command {words[1]}"
    line = " ".join(words)
    if folder := re.search(r"-k (\S+)", line):
        return "" if (ROOT / folder[1] / "kustomization.yaml").exists() else f"no manifests in {folder[1]}"
    if words[1] == "create":
        kind, name = words[2], words[4 if words[2] == "secret" else 3]
        mounted = re.compile(rf"{kind}(?:Name|Ref: {{name): {name}\b", re.IGNORECASE)
        return "" if any(mounted.search(path.read_text()) for path in _MANIFESTS.glob("*.yaml")) else f"no {name}"
    named = set(re.findall(r"\b(statefulset/[\w-]+)", line))
    named |= {f"pod/{name}" for name in re.findall(r"\b(rater-\w+-\d)\b", line)}
    named |= {f"secret/{name}" for name in re.findall(r"\bsecret ([\w-]+)", line)}
    named |= {f"statefulset/{name}" for name in re.findall(r"app\.kubernetes\.io/name=([\w-]+)", line)}
    return f"not in the manifests: {named - manifests()}" if named - manifests() else ""


def make(words: list[str]) -> str:
    """make knows the target, and what it would run."""
    done = subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


def pip(words: list[str]) -> str:
    """The extras are those of the package."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = {extra for word in words for extra in ",".join(re.findall(r"\[(.+)\]", word)).split(",") if extra}
    return "" if asked <= set(extras) else f"no extra {asked - set(extras)}"


def picture(words: list[str]) -> str:
    """Each word and each part is one that the script knows."""
    script = (ROOT / "deploy/picture.sh").read_text()
    parts = {"broker", *re.findall(r'(?m)^PARTS="(.+)"$', script)[0].split()}
    for command in " ".join(words).split(";"):
        typed = command.split()
        if typed[0] == "sleep":
            continue
        known = typed[1] in ("status", "end") or re.search(rf"\b{typed[1]}\b.*\)$", script, re.MULTILINE)
        if not known or set(typed[2:]) - parts - _PLACEHOLDERS:
            return f"deploy/picture.sh does not know {command.strip()}"
    return ""


def picture_file(words: list[str]) -> str:
    """The file is one that the picture writes: a log, or a process id."""
    parts = "worker|agents|gateway|traffic|prometheus"
    return "" if re.search(rf"picture/({parts})\.(log|pid)\b", " ".join(words)) else "no such file of the picture"


def benchmark(words: list[str]) -> str:
    """The program and its options exist."""
    source = (ROOT / words[0]).read_text()
    wrong = [word for word in words if word.startswith("--") and f'"{word}"' not in source]
    return f"no option {wrong}" if wrong else ""


def module(words: list[str]) -> str:
    """The module exists."""
    name = words[words.index("-m") + 1]
    return "" if (ROOT / f"{name.replace('.', '/')}.py").exists() else f"no module {name}"


def tests_exist(words: list[str]) -> str:
    """The folders and files of the tests exist."""
    return "".join(f"no {word} " for word in words if word.startswith("tests/") and not (ROOT / word).exists())


def kafka_script(words: list[str]) -> str:
    """Its name is that of a script of Kafka."""
    return "" if words[0] in _KAFKA_SCRIPTS else f"no script {words[0]}"


def dockerfile(words: list[str]) -> str:
    """The file and the build argument exist."""
    text = (ROOT / words[words.index("-f") + 1]).read_text()
    arguments = [word.partition("=")[0] for word in words if "_IMAGE=" in word]
    return "".join(f"no argument {name}" for name in arguments if f"ARG {name}=" not in text)


def nothing(_: list[str]) -> str:
    """There is nothing of ours in it that could be wrong."""
    return ""


NOT_RUN = (
    NotRun("docker build", "needs Docker", dockerfile),
    NotRun("docker", "needs Docker; tests/deploy/test_compose.py checks the file", compose),
    NotRun("kubectl", "needs a cluster; tests/deploy/test_kubernetes.py checks the manifests", kubectl),
    NotRun("kustomize edit set image", "changes a file of the checkout", nothing),
    NotRun("make", "takes minutes, or runs until Ctrl-C", make),
    NotRun("apt install", "installs packages of the machine", nothing),
    NotRun("pip install", "installs from the network", pip),
    NotRun("git checkout rater/", "undoes what was changed in a checkout", nothing),
    NotRun("git clone", "copies the whole checkout", nothing),
    NotRun("deploy/picture.sh", "tests/deploy/test_picture.py runs it", picture),
    NotRun(". picture/environment", "the picture writes it; tests/deploy/test_picture.py", nothing),
    NotRun("tail -n", "the picture's logs", picture_file),
    NotRun("top -b", "needs a picture that runs", picture_file),
    NotRun("benchmarks/", "takes minutes, and figures are no test", benchmark),
    NotRun("python -m benchmarks.", "takes minutes, and figures are no test", module),
    NotRun("python -m tests.docs.screens", "needs a browser; people look at its pictures", module),
    NotRun(".venv/bin/python -m pytest", "would run the tests within the tests", tests_exist),
    NotRun("kafka-", "the jars that the tests run have no scripts", kafka_script),
    NotRun("connect-mirror-maker.sh", "tests/kafka/test_second_site.py runs MirrorMaker 2", kafka_script),
    NotRun("faust -A rater.kafka.app worker", "tests/tools/test_faust_app.py makes the application", nothing),
    NotRun("rater --install-completion", "writes into the files of the user's shell", nothing),
)

RUN_BY = (
    RunBy(
        "rater partition skip --partition PARTITION --topic TOPIC --offset OFFSET --note WHY",
        "tests/kafka/test_skip.py::test_an_operator_goes_past_a_call_and_a_command_at_which_our_code_fails",
    ),
    RunBy(
        "rater partition accept-loss --partition PARTITION --topic TOPIC --note WHY",
        "tests/kafka/test_inputs_gone.py::test_records_that_were_deleted_before_they_were_rated_stop_their_partition_until_they_are_given_up",
    ),
    RunBy(
        "rater partition accept-new-topic --partition PARTITION --topic TOPIC --note WHY",
        "tests/kafka/test_inputs_gone.py::test_a_topic_that_was_created_again_stops_its_partitions_until_it_is_accepted",
    ),
    RunBy(
        "rater rates remove-unreadable --partition N --offset N",
        "tests/kafka/test_decks.py::test_garbage_among_the_decks_is_removed_by_what_doctor_says",
    ),
    RunBy(
        "rater publish --from-topic acc --map opensips.yaml --bootstrap kafka:9092",
        "tests/kafka/test_bridge.py::test_each_record_once_though_bridges_are_killed",
    ),
    RunBy(
        'curl -H "Authorization: Bearer $(cat secret)" http://127.0.0.1:5080/RPC -d \'{"jsonrpc": "2.0", "method":'
        ' "dlg.terminate_dlg", "params": ["CALL-ID", "FROM-TAG", "TO-TAG"], "id": 1}\'',
        "tests/switches/test_kamailio.py::test_whoever_has_the_secret_ends_a_call",
    ),
    RunBy(
        "curl -sS http://127.0.0.1:$PROMETHEUS_PORT/api/v1/alerts",
        "tests/deploy/test_picture.py::test_the_picture_answers_and_recovers_and_ends",
    ),
    RunBy(
        'kcat -P -b "$RATER_BOOTSTRAP" -t "${RATER_PREFIX}cdrs" -X topic.partitioner=murmur2_random -X acks=all'
        " -k contoso -l calls.jsonl",
        "tests/kafka/test_pages.py::test_publish_with_kcat",
    ),
    RunBy(
        "rater serve --store rater.db --clients clients.yaml --switches switches.yaml",
        "tests/serve/test_switches.py::test_a_server_that_is_killed_orders_again",
    ),
    RunBy(
        "rater token create --role billing --tenant contoso --person kim",
        "tests/serve/web/test_commands.py::test_a_token_that_was_made_signs_in",
    ),
    RunBy(
        "rater token create --role operator --person olga --people people.yaml",
        "tests/serve/web/test_commands.py::test_a_provider_is_named_by_a_variable",
    ),
    RunBy(
        "rater serve --store rater.db --clients clients.yaml --people people.yaml",
        "tests/serve/web/test_commands.py::test_a_token_that_was_made_signs_in",
    ),
    RunBy(
        "rater agents --bootstrap kafka:9092 --switches switches.yaml",
        "tests/agents/test_switches_file.py::test_a_server_and_agents_report_it_before_they_start",
    ),
    RunBy(
        "rater doctor --switches switches.yaml",
        "tests/kafka/test_switches.py::test_orders_reach_their_switch_through_a_kill",
    ),
    RunBy(
        "rater doctor --store rater.db --switches switches.yaml",
        "tests/agents/test_switches_file.py::test_the_doctor_looks_at_each_switch_of_a_store",
    ),
    RunBy(
        "rater serve --bootstrap HOST:PORT --clients clients.yaml --replica replica.db --people people.yaml",
        "tests/kafka/test_page.py::test_orders_on_kafka",
    ),
    RunBy(
        "rater serve --bootstrap HOST:PORT --clients clients.yaml --replica replica.db",
        "tests/kafka/test_replica.py::test_killed_again_and_again",
    ),
    RunBy(
        "curl -s -m 5 http://SERVER:6080/metrics | grep rater_replica_lag",
        "tests/kafka/test_replica.py::test_killed_again_and_again",
    ),
    RunBy("rater show balance contoso --store replica.db", "tests/serve/test_replica.py::test_a_replica_answers_as_a_store"),
    RunBy(
        "rater map check freeradius.yaml stop.json",
        "tests/docs/test_switches_page.py::test_the_mappings_of_the_page_are_read",
    ),
)  # fmt: skip


def row_of(command: str) -> NotRun | None:
    """The row of a command that is not run, whatever variables are set before it."""
    bare = re.sub(r"^([A-Z_]+=\S+ )+", "", command)
    return next((row for row in NOT_RUN if bare.startswith(row.begins)), None)


def known(command: str) -> bool:
    """Whether a table of this module has the command."""
    return row_of(command) is not None or any(row.step.covers(command) for row in RUN_BY)


def wrong_in(command: str) -> str:
    """What is wrong with a command that is not run; nothing for one that is."""
    row = row_of(command)
    return row.wrong(shlex.split(command.partition(" | ")[0])) if row else ""
