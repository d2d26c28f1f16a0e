"""The services of a deployment: which roles of `topics/*.yaml` each plays, and what it is called on Kafka.

Rights follow from the roles.
"""

import msgspec


class Service(msgspec.Struct, frozen=True):
    """A Kafka user.  `roles` are words of `produced_by` and `consumed_by`; `group` is its consumer group, or with
    `group_prefixed` the beginning of its groups' names.

    `transactional_prefix` begins its transactional ids; `compares` says that it reads topics' settings and other
    groups' positions, `creates` that it makes topics and changes their settings.
    """

    name: str
    says: str
    roles: frozenset[str]
    group: str | None = None
    group_prefixed: bool = False
    transactional_prefix: str | None = None
    compares: bool = False
    creates: bool = False

    @property
    def user(self) -> str:
        """Its name on Kafka."""
        return f"rater-{self.name}"


SERVICES = (
    Service(
        "worker",
        "rates: `rater worker`",
        frozenset({"rating task", "usage-id index"}),
        group="rater",
        transactional_prefix="rater.",
    ),
    Service(
        "agents",
        "recharges, suspends, answers switches, orders them to end calls, notifies: `rater agents`",
        frozenset(
            {
                "authorisation replica",
                "call carrier",
                "call control",
                "clock",
                "notification agent",
                "payment gateway",
                "recharge agent",
                "record watch",
                "service agent",
            }
        ),
        group="rater-agents",
        group_prefixed=True,
    ),
    Service(
        "server",
        "reads records over HTTP, answers switches, fills a file to read from, and shows it on a page: `rater"
        " serve`, `--replica`, `--people`",
        frozenset({"HTTP server", "page", "replica"}),
    ),
    Service(
        "bridge",
        "maps what switches publish to a topic of their own, which it must be allowed to read, too: `rater publish"
        " --from-topic`",
        frozenset({"bridge"}),
        group="rater-bridge.",
        group_prefixed=True,
        transactional_prefix="rater-bridge.",
    ),
    Service(
        "switches",
        "publish call records and events, obey service states and call commands",
        frozenset({"switches"}),
        group="rater-switches",
    ),
    Service(
        "publisher",
        "publishes records, commands, decks, which it compares with those in force: `rater publish`",
        frozenset({"admins", "rater publish"}),
    ),
    Service("billing", "consumes debits", frozenset({"billing"}), group="rater-billing"),
    Service(
        "operators",
        "look, verify and replay: `rater consume`, `verify`, `doctor`, `top`, `dlq`",
        frozenset({"exports", "operators", "verify"}),
        group="rater-operators",
        compares=True,
    ),
    Service("topics", "makes the topics: `rater topics apply`", frozenset(), creates=True),
)


def service_of(role: str) -> Service:
    """Who plays a role; KeyError names a role without a service."""
    for service in SERVICES:
        if role in service.roles:
            return service
    raise KeyError(f"{role}: no service of rater.ops.manifests.services plays this role of topics/*.yaml")
