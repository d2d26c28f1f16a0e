"""Who may connect to whom on Kubernetes: a NetworkPolicy for the workers, the agents, the HTTP server and the page.

What is not named here is refused.  Probes come from the node, which Kubernetes always allows.
"""

from typing import Any

from rater.ops.manifests.strimzi import CLUSTER

#: The port of pages, metrics and webhooks, as the pods name it.
WEB = "web"
#: The listener with TLS and SCRAM.
KAFKA_PORT = 9093
#: Payment gateway and receivers of webhooks, over TLS only; mail with STARTTLS, and with TLS from the first byte.
OUTSIDE_PORTS = (443, 587, 465)
_DNS_PORT = 53
#: Where Prometheus runs; and the label of namespaces whose pods ask the agents: switches, a gateway's ingress.
MONITORING = {"kubernetes.io/metadata.name": "monitoring"}
ASKS_AGENTS = {"rater/asks-agents": "true"}
#: The label of namespaces whose pods may ask the HTTP server: switches, an ingress with TLS.
ASKS_SERVER = {"rater/asks-server": "true"}
#: The label of namespaces whose pods may ask the page: the ingress by which people come.
ASKS_PAGE = {"rater/asks-page": "true"}
#: A provider of OpenID Connect, over TLS only.
PROVIDER_PORT = 443


def network_policies() -> list[dict[str, Any]]:
    """Every policy."""
    outside = {"ports": [_tcp(port) for port in OUTSIDE_PORTS]}
    return [
        _policy("rater-worker", [MONITORING], []),
        _policy("rater-agents", [MONITORING, ASKS_AGENTS], [outside]),
        _policy("rater-server", [MONITORING, ASKS_SERVER], []),
        _policy("rater-page", [MONITORING, ASKS_PAGE], [{"ports": [_tcp(PROVIDER_PORT)]}]),
    ]


def _policy(name: str, namespaces: list[dict[str, str]], outside: list[dict[str, Any]]) -> dict[str, Any]:
    brokers = {"podSelector": {"matchLabels": {"strimzi.io/cluster": CLUSTER, "strimzi.io/kind": "Kafka"}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/name": name}},
        "spec": {
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": name}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {
                    "from": [{"namespaceSelector": {"matchLabels": labels}} for labels in namespaces],
                    "ports": [_tcp(WEB)],
                }
            ],
            "egress": [
                {"ports": [_tcp(_DNS_PORT), {"protocol": "UDP", "port": _DNS_PORT}]},
                {"to": [brokers], "ports": [_tcp(KAFKA_PORT)]},
                *outside,
            ],
        },
    }


def _tcp(port: int | str) -> dict[str, Any]:
    return {"protocol": "TCP", "port": port}
