"""A real Apache Kafka on this machine, without Docker: for development and tests.

The jars come from Maven (`deploy/kafka/pom.xml`); each broker is a Java process of its own, KRaft mode, broker and
controller in one.  Everything lies in one folder: jars, data, logs, process ids.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec

from rater.dev.kafka_jars import fetch_jars
from rater.dev.local_security import MTLS, SCRAM, Guard
from rater.dev.ports import free_ports, must_be_free
from rater.wire.errors import RaterError
from rater.wire.shipped import shipped

_DEPLOY = shipped("deploy/kafka")
#: Any id will do, as long as all brokers of a cluster have the same.
_CLUSTER_ID = "cmF0ZXItb24tbG9jYWxob3N0"[:22]
START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 30
_HEAP_MB = 512
#: What a broker writes to its log once it serves clients.
_STARTED = b"Kafka Server started"


class Node(msgspec.Struct, frozen=True):
    """One broker: its id from 1 on, where clients and controllers reach it; the last two where it is guarded."""

    id: int
    port: int
    controller_port: int
    scram_port: int = 0
    mtls_port: int = 0

    @property
    def address(self) -> str:
        """`host:port` for clients."""
        return f"127.0.0.1:{self.port}"


class LocalKafka:
    """A cluster whose files lie in a folder; another process may have started it."""

    def __init__(self, folder: Path, jars: Path | None = None, guard: Guard | None = None) -> None:
        self.folder = folder
        self.jars = jars or folder / "jars"
        self._guard = guard
        #: Brokers that this process started, so that it can note their end.
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        #: Where the log of a broker's last start begins.
        self._log_begins: dict[int, int] = {}

    @property
    def nodes(self) -> list[Node]:
        """The brokers that the folder is set up for; none before the first start."""
        plan = self.folder / "cluster.json"
        return msgspec.json.decode(plan.read_bytes(), type=list[Node]) if plan.exists() else []

    @property
    def bootstrap(self) -> str:
        """The addresses to give to clients."""
        return ",".join(node.address for node in self.nodes)

    @property
    def scram_bootstrap(self) -> str:
        """The addresses for clients with TLS and a password; the cluster is guarded."""
        return ",".join(f"127.0.0.1:{node.scram_port}" for node in self.nodes)

    @property
    def mtls_bootstrap(self) -> str:
        """The addresses for clients with TLS and a certificate; the cluster is guarded."""
        return ",".join(f"127.0.0.1:{node.mtls_port}" for node in self.nodes)

    def start(self, brokers: int = 1, port: int | None = None) -> str:
        """Start what does not run yet and wait until it answers; the bootstrap addresses.

        `port` is the first broker's (by default a free one).  Raises RaterError: no Java, no Maven, port in use,
        or a folder that was set up for another number of brokers.
        """
        self.fetch_jars()
        nodes = self.nodes or self._plan(brokers, port)
        if len(nodes) != brokers:
            raise RaterError(
                f"{self.folder}: set up for {len(nodes)} brokers, asked for {brokers};"
                " `rater dev kafka stop --forget` removes it"
            )
        for node in nodes:
            self.start_node(node.id)
        deadline = time.monotonic() + START_TIMEOUT_S
        for node in nodes:
            self._wait_for(node, deadline)
        return self.bootstrap

    def start_node(self, id: int) -> None:
        """Start one broker; it answers a little later.  RaterError if another process has its port."""
        if self.pid(id) is not None:
            return
        node = self.nodes[id - 1]
        must_be_free(node.port, node.controller_port)
        home = self.folder / f"broker-{id}"
        config = home / "server.properties"
        if not config.exists():
            home.mkdir(parents=True, exist_ok=True)
            config.write_text(self._properties(node), encoding="utf-8")
            users = self._guard.users() if self._guard else []
            self._java("kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(config), *users)
        with (home / "broker.log").open("ab") as log:
            self._log_begins[id] = log.tell()
            broker = self._children[id] = subprocess.Popen(  # noqa: S603 - our own arguments
                self._command("kafka.Kafka", str(config)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (home / "pid").write_text(str(broker.pid), encoding="utf-8")

    def pid(self, id: int) -> int | None:
        """The process of a broker, or None when it does not run."""
        if (child := self._children.get(id)) is not None:
            # A new process has no command line for an instant, so /proc does not show whether our own child runs.
            return child.pid if child.poll() is None else None
        try:
            pid = int((self.folder / f"broker-{id}" / "pid").read_text(encoding="utf-8"))
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        return pid if state != "Z" and b"kafka.Kafka" in command else None

    def stop(self) -> int:
        """Stop every broker that runs; how many."""
        running = [(node.id, pid) for node in self.nodes if (pid := self.pid(node.id)) is not None]
        for _, pid in running:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for id, _ in running:
            while self.pid(id) is not None and time.monotonic() < deadline:
                time.sleep(0.05)
            self._reap(id)
            if self.pid(id) is not None:
                self.kill_node(id)
        return len(running)

    def kill_node(self, id: int) -> None:
        """End a broker at once, as a machine that loses power would."""
        pid = self.pid(id)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            while self.pid(id) is not None:
                time.sleep(0.01)
            self._reap(id)

    def forget(self) -> None:
        """Remove data and plan; the jars stay."""
        for node in self.nodes:
            shutil.rmtree(self.folder / f"broker-{node.id}", ignore_errors=True)
        (self.folder / "cluster.json").unlink(missing_ok=True)

    def wait_for_node(self, id: int) -> None:
        """Wait until a broker answers; RaterError when it does not in time."""
        self._wait_for(self.nodes[id - 1], time.monotonic() + START_TIMEOUT_S)

    def status(self) -> list[dict[str, Any]]:
        """What `rater dev kafka status` shows: each broker with its address and process."""
        return [{"broker": node.id, "address": node.address, "pid": self.pid(node.id)} for node in self.nodes]

    def _reap(self, id: int) -> None:
        if (child := self._children.pop(id, None)) is not None:
            child.wait()

    def fetch_jars(self) -> None:
        """Fetch what is not there; RaterError without Java or Maven."""
        if shutil.which("java") is None:
            raise RaterError("no Java found, Kafka needs 17 or newer; on Debian: apt install default-jre-headless")
        if not any(self.jars.glob("kafka-clients-*.jar")):
            fetch_jars(self.jars, _DEPLOY / "pom.xml")

    def _plan(self, brokers: int, port: int | None) -> list[Node]:
        self.folder.mkdir(parents=True, exist_ok=True)
        free = free_ports(4 * brokers)
        nodes = []
        for n in range(brokers):
            own, *others = free[4 * n : 4 * n + 4]
            others = others if self._guard else others[:1]
            nodes.append(Node(n + 1, own if port is None else port + n, *others))
        (self.folder / "cluster.json").write_bytes(msgspec.json.encode(nodes))
        return nodes

    def _properties(self, node: Node) -> str:
        nodes = self.nodes
        copies = min(3, len(nodes))
        voters = ",".join(f"{other.id}@127.0.0.1:{other.controller_port}" for other in nodes)
        public = {"PLAINTEXT": node.port} | ({SCRAM: node.scram_port, MTLS: node.mtls_port} if self._guard else {})
        listeners = [f"{name}://127.0.0.1:{port}" for name, port in public.items()]
        settings = {
            "process.roles": "broker,controller",
            "node.id": node.id,
            "controller.quorum.voters": voters,
            "controller.listener.names": "CONTROLLER",
            "listeners": ",".join([*listeners, f"CONTROLLER://127.0.0.1:{node.controller_port}"]),
            "advertised.listeners": ",".join(listeners),
            "listener.security.protocol.map": (
                f"PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,{SCRAM}:SASL_SSL,{MTLS}:SSL"
            ),
            "log.dirs": (self.folder / f"broker-{node.id}" / "data").absolute(),
            "auto.create.topics.enable": "false",
            "default.replication.factor": copies,
            "offsets.topic.replication.factor": copies,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": max(1, copies - 1),
            "offsets.topic.num.partitions": 8,
            "transaction.state.log.num.partitions": 8,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
            "message.max.bytes": 4_000_000,
            "replica.fetch.max.bytes": 4_000_000,
        } | (self._guard.properties() if self._guard else {})
        return "".join(f"{name}={value}\n" for name, value in settings.items())

    def _command(self, *arguments: str) -> list[str]:
        return [
            shutil.which("java") or "java",
            f"-Xmx{_HEAP_MB}m",
            "-XX:+UseSerialGC",
            f"-Dlog4j2.configurationFile={_DEPLOY / 'log4j2.yaml'}",
            "-cp",
            f"{self.jars.absolute()}/*",
            *arguments,
        ]

    def _java(self, *arguments: str) -> None:
        ran = subprocess.run(  # noqa: S603 - our own arguments
            self._command(*arguments), capture_output=True, text=True, check=False
        )
        if ran.returncode:
            raise RaterError(f"Kafka's {arguments[0]} failed: {(ran.stderr or ran.stdout).strip()[-300:]}")

    def _started(self, id: int) -> bool:
        """Whether the broker says in its log that it runs, since it was started last."""
        log = self.folder / f"broker-{id}" / "broker.log"
        return _STARTED in log.read_bytes()[self._log_begins.get(id, 0) :]

    def _wait_for(self, node: Node, deadline: float) -> None:
        log = self.folder / f"broker-{node.id}" / "broker.log"
        while time.monotonic() < deadline:
            if self.pid(node.id) is None:
                break
            with socket.socket() as probe:
                probe.settimeout(1)
                # its own log line, too: a port may be answered by whoever else has it
                if probe.connect_ex(("127.0.0.1", node.port)) == 0 and self._started(node.id):
                    return
            time.sleep(0.1)
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
        why = "ended" if self.pid(node.id) is None else "did not start in time; on a busy machine try again"
        raise RaterError(f"broker {node.id} {why}; its log {log} ends with: {' | '.join(last)}")


def status_text(status: list[dict[str, Any]]) -> str:
    """One line a broker, for people."""
    if not status:
        return "no cluster is set up here; `rater dev kafka start` does that"
    return "\n".join(
        f"broker {node['broker']}  {node['address']}  {'process ' + str(node['pid']) if node['pid'] else 'stopped'}"
        for node in status
    )


def status_json(status: list[dict[str, Any]]) -> str:
    """The same for programs."""
    return json.dumps(status)
