"""What the agents do and how often: one model for the file of `rater agents --config` and for RATER_... variables.

Without a gateway no payment is collected here, without `notify` nobody is notified, without `switches` none is
answered or ordered to end calls: an operator may run each in a deployment of its own.  Secrets are named by where
they are.
"""

from pydantic import Field

from rater.agents.notices.settings import NotifySettings
from rater.agents.payments.settings import GatewaySettings
from rater.agents.switchboard import SwitchSettings
from rater.ops.written_settings import WrittenSettings


class AgentsSettings(WrittenSettings):
    """Every limit has a safe default."""

    gateway: GatewaySettings | None = None
    notify: NotifySettings | None = None
    switches: SwitchSettings | None = None

    #: Only the process with this `--instance` notifies; every process with `notify` if not set.  An outbox is one
    #: file on one disk: where several notify, a message may come again, with the same key, after a partition moved.
    telling_instance: str | None = None

    #: Seconds between two looks at the recharges in flight that nobody asks for.
    sweep_s: float = Field(default=2, gt=0, le=600)
    #: Seconds until an unknown or pending payment is asked for again: the first wait, doubled up to the second.
    ask_again_initial_s: float = Field(default=2, gt=0, le=3600)
    ask_again_max_s: float = Field(default=300, gt=0, le=86_400)
    #: Payments that are asked for at the same time.
    asking_max: int = Field(default=50, ge=1, le=10_000)
    #: Recharges and ticks that another process should see to are seen to here, too, once they are so many seconds
    #: late: its process may be stuck.
    others_after_s: float = Field(default=60, gt=0, le=86_400)
    #: Seconds between two looks at the clock: retries, expiry, month starts.
    tick_s: float = Field(default=5, gt=0, le=3600)
    #: Seconds between two looks for money that expires soon.
    expiring_s: float = Field(default=3600, gt=0, le=86_400)
    #: Events that were published longer ago are not sent: the first start of a deployment with a history.
    tell_within_hours: int = Field(default=168, ge=1, le=24 * 400)
    #: Seconds without a heartbeat after which the group gives a process's partitions to others.
    session_timeout_s: float = Field(default=20, ge=1, le=300)
