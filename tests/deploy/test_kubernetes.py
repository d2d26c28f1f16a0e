"""Kubernetes: manifests are complete, valid, and have what the topics' list and the workers need."""

import json
import re
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from rater.ops.manifests.generated import texts
from rater.ops.manifests.network import ASKS_AGENTS, ASKS_PAGE, ASKS_SERVER, MONITORING
from rater.wire.generated_files import drifted
from rater.wire.topics import load_topics
from tests.commands import misunderstood
from tests.conftest import ROOT

FOLDER = ROOT / "deploy/kubernetes"
SCHEMAS = Path(__file__).parent.parent / "fixtures/schemas"
OVERLAYS = [FOLDER / "base", FOLDER / "overlays/keda"]
#: What builds a kustomization, if this machine has it.
BUILD = next((words for words in (["kustomize", "build"], ["kubectl", "kustomize"]) if shutil.which(words[0])), [])
WORKLOADS = [("StatefulSet", "rater-worker"), ("StatefulSet", "rater-agents"), ("Deployment", "rater-server")]
WORKLOADS.append(("StatefulSet", "rater-page"))
ASKS = {"rater-agents": [ASKS_AGENTS], "rater-server": [ASKS_SERVER], "rater-page": [ASKS_PAGE]}
#: Outside of the cluster: gateway and mail, a provider of OpenID Connect.
OUTSIDE = {"rater-agents": [[443, 587, 465]], "rater-page": [[443]]}
#: The page is a server, too, with the same rights on Kafka.
USERS = {"rater-page": "rater-server"}


def files_of(folder: Path) -> Iterator[Path]:
    """Every file of a kustomization, as kustomize finds them."""
    for resource in yaml.safe_load((folder / "kustomization.yaml").read_text()).get("resources", ()):
        path = (folder / resource).resolve()
        if path.is_dir():
            yield from files_of(path)
        else:
            yield path


def resources_of(folder: Path) -> list[dict[str, Any]]:
    return [resource for path in files_of(folder) for resource in yaml.safe_load_all(path.read_text())]


EVERYTHING = resources_of(FOLDER / "overlays/keda")


def named(kind: str, name: str) -> dict[str, Any]:
    (found,) = [
        resource for resource in EVERYTHING if (resource["kind"], resource["metadata"]["name"]) == (kind, name)
    ]
    return found


def ident(value: Any) -> str:
    return f"{value['kind']}/{value['metadata']['name']}" if isinstance(value, dict) else str(value)


def test_generated_manifests_have_not_drifted() -> None:
    """Topics, users and alerts are those of the lists."""
    assert drifted("rater.ops.manifests.generated", texts()) == []


def test_every_file_is_used() -> None:
    """No manifest lies about that no kustomization names."""
    taken = {path for overlay in OVERLAYS for path in files_of(overlay)}
    there = {path for path in FOLDER.rglob("*.yaml") if path.name != "kustomization.yaml"}
    assert there == taken


def wrong_in(resource: dict[str, Any]) -> list[str]:
    """What a custom resource's schema has against it; fields that the schema does not know count too."""
    schema = json.loads((SCHEMAS / f"{resource['kind']}.json").read_text())
    found = [error.message for error in Draft7Validator(schema).iter_errors(resource)]
    if not resource["apiVersion"].endswith("/" + schema["x-version"]):
        found.append(f"version {resource['apiVersion']}, expected {schema['x-version']}")
    return [*found, *_unknown(resource, schema)]


def _unknown(value: Any, schema: dict[str, Any], path: str = "") -> list[str]:
    if schema.get("x-kubernetes-preserve-unknown-fields") or path == "/metadata":
        return []
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [wrong for item in value for wrong in _unknown(item, schema["items"], f"{path}/*")]
    if not isinstance(value, dict) or not schema.get("properties"):
        return []
    known = schema["properties"]
    return [
        wrong
        for name, part in value.items()
        for wrong in (
            _unknown(part, known[name], f"{path}/{name}") if name in known else [f"{path}/{name} is not a field"]
        )
    ]


CUSTOM = [
    resource
    for resource in EVERYTHING
    if "." in resource["apiVersion"].partition("/")[0]
    and not resource["apiVersion"].partition("/")[0].endswith("k8s.io")
]


@pytest.mark.parametrize("resource", CUSTOM, ids=ident)
def test_custom_resources_fit_their_schema(resource: dict[str, Any]) -> None:
    """Strimzi's, KEDA's and the Prometheus operator's own definitions."""
    assert wrong_in(resource) == []


def test_a_wrong_custom_resource_is_found() -> None:
    """The check can fail."""
    topic = json.loads(json.dumps(named("KafkaTopic", "cdrs")))
    topic["spec"]["partitions"] = "48"
    topic["spec"]["retention"] = 1
    assert wrong_in(topic) == ["'48' is not of type 'integer'", "/spec/retention is not a field"]


@pytest.mark.parametrize("resource", [resource for resource in EVERYTHING if resource not in CUSTOM], ids=ident)
def test_resources_fit_kubernetes_schema(resource: dict[str, Any]) -> None:
    """Kubernetes' own definitions, strictly."""
    validate = pytest.importorskip(
        "kubernetes_validate", reason="pip install kubernetes-validate checks the manifests"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        validate.validate(resource, "1.33.0", strict=True)


@pytest.mark.parametrize("folder", OVERLAYS, ids=lambda path: path.name)
@pytest.mark.skipif(not BUILD, reason="kustomize or kubectl builds the overlays")
def test_kustomize_builds(folder: Path) -> None:
    """The whole comes together, and pods bear the label that the PodMonitor looks for."""
    built = subprocess.run([*BUILD, folder], capture_output=True, text=True, check=True)
    resources = list(yaml.safe_load_all(built.stdout))
    pods = [
        resource["spec"]["template"]["metadata"]["labels"]
        for resource in resources
        if resource["kind"] in ("Deployment", "StatefulSet")
    ]
    assert [labels["app.kubernetes.io/part-of"] for labels in pods] == ["rater"] * len(WORKLOADS)
    assert ("ScaledObject" in {resource["kind"] for resource in resources}) == (folder.name == "keda")


def test_topics_are_those_of_the_list() -> None:
    """One KafkaTopic for each, with its partitions; what is kept for ever is compacted or says -1."""
    made = {
        resource["metadata"]["name"]: resource["spec"]
        for resource in EVERYTHING
        if resource["kind"] == "KafkaTopic"
    }
    topics = load_topics()
    assert made.keys() == topics.keys()
    for name, spec in made.items():
        assert spec["partitions"] == topics[name].partitions
        assert spec["config"]["cleanup.policy"] == topics[name].cleanup_policy
        assert spec["config"]["min.insync.replicas"] == "2"
        assert spec["replicas"] == 3


@pytest.mark.parametrize(("kind", "name"), WORKLOADS)
def test_pods_are_confined(kind: str, name: str) -> None:
    """Not root, nothing writable but named volumes, no rights on Kubernetes, probes on the web port."""
    pod = named(kind, name)["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "web"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "web"}
    assert container["ports"] == [
        {"name": "web", "containerPort": 6080 if name in ("rater-server", "rater-page") else 6066}
    ]
    assert misunderstood(" ".join(["rater", *container["args"]])) is None
    environment = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert not [name for name in environment if re.search("PASSWORD$|SECRET$|TOKEN$|KEY$", name)]
    assert environment["RATER_USERNAME"] == USERS.get(name, name)
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["user"]["secret"]["secretName"] == named("KafkaUser", USERS.get(name, name))["metadata"]["name"]


@pytest.mark.parametrize("name", ["worker", "agents"])
def test_a_pod_keeps_its_name(name: str) -> None:
    """Static membership: the instance id is the pod's name, which a StatefulSet gives back after a restart."""
    (container,) = named("StatefulSet", f"rater-{name}")["spec"]["template"]["spec"]["containers"]
    assert container["args"][:3] == [name, "--instance", "$(POD_NAME)"]
    (pod,) = [entry for entry in container["env"] if entry["name"] == "POD_NAME"]
    assert pod["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}


def test_one_pod_notifies() -> None:
    """Its name is one that the StatefulSet gives, and its outbox lies on a volume of its own."""
    agents = named("StatefulSet", "rater-agents")["spec"]
    (container,) = agents["template"]["spec"]["containers"]
    environment = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert environment["RATER_TELLING_INSTANCE"] == "rater-agents-0"
    assert [claim["metadata"]["name"] for claim in agents["volumeClaimTemplates"]] == ["data"]


def test_the_page_keeps_what_it_writes() -> None:
    """One pod, whose volume has the replica, which has one writer, and the key of the sessions.

    Its files stay their owner's at a restart, else the key would be refused; who may sign in is a Secret's.
    """
    page = named("StatefulSet", "rater-page")["spec"]
    pod = page["template"]["spec"]
    (container,) = pod["containers"]
    options = dict(argument[2:].split("=") for argument in container["args"][1:])
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert page["replicas"] == 1
    assert pod["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"
    assert [claim["metadata"]["name"] for claim in page["volumeClaimTemplates"]] == ["data"]
    for option, volume in {"replica": "data", "page-key": "data", "people": "page", "clients": "clients"}.items():
        assert Path(options[option]).parent == Path(mounts[volume]["mountPath"])
        assert mounts[volume].get("readOnly", False) == (volume != "data")


def test_disruptions_are_one_at_a_time() -> None:
    """Each workload has a budget that selects its pods."""
    for kind, name in WORKLOADS:
        budget = named("PodDisruptionBudget", name)["spec"]
        assert budget == {"maxUnavailable": 1, "selector": named(kind, name)["spec"]["selector"]}


def test_scaling_is_off_by_default_and_bounded() -> None:
    """KEDA is an overlay; there are never more workers than partitions."""
    assert "ScaledObject" not in {resource["kind"] for resource in resources_of(FOLDER / "base")}
    scaled = named("ScaledObject", "rater-worker")["spec"]
    assert scaled["maxReplicaCount"] == load_topics()["cdrs"].partitions


@pytest.mark.parametrize(("kind", "name"), WORKLOADS)
def test_only_named_peers_connect(kind: str, name: str) -> None:
    """Ingress: the web port, from Prometheus; agents' and server's also from namespaces that say so.  Kafka by TLS."""
    policy = named("NetworkPolicy", name)["spec"]
    assert policy["podSelector"] == named(kind, name)["spec"]["selector"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    (ingress,) = policy["ingress"]
    assert ingress["ports"] == [{"protocol": "TCP", "port": "web"}]
    peers = [peer["namespaceSelector"]["matchLabels"] for peer in ingress["from"]]
    assert peers == [MONITORING, *ASKS.get(name, [])]
    ports = [[port["port"] for port in rule["ports"]] for rule in policy["egress"]]
    assert ports == [[53, 53], [9093], *OUTSIDE.get(name, [])]
    (container,) = named(kind, name)["spec"]["template"]["spec"]["containers"]
    environment = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert environment["RATER_BOOTSTRAP"].endswith(":9093")


def test_the_image_is_named_by_its_digest() -> None:
    """A tag may be another image tomorrow; workloads name none, the kustomization one digest for all."""
    images = [
        container["image"]
        for resource in EVERYTHING
        if resource["kind"] in ("Deployment", "StatefulSet")
        for container in resource["spec"]["template"]["spec"]["containers"]
    ]
    assert set(images) == {"rater"}
    (image,) = yaml.safe_load((FOLDER / "base/kustomization.yaml").read_text())["images"]
    assert image["name"] == "rater"
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", image["digest"])
    assert "newTag" not in image
