"""What is asked before a call, what covers it, and what running calls have reserved; `quoting` finds it out."""

import msgspec

from rater.core.calls_at_once import is_of_calls
from rater.core.money import ceil_div
from rater.core.outputs import Segment
from rater.core.reasons import Anomaly, CallType, NumberType, Why
from rater.core.tariff import Rate, charge

#: The longest that a call is authorised for, whatever covers it; to go on, ask again.
AUTHORIZED_S_MAX = 86_400


def price_of(rate: Rate, seconds: int) -> int:
    """What so many seconds cost, with the connection fee."""
    return charge(rate, seconds) + rate.fee


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A call that is to start, or runs; the fields are those of its later record."""

    tenant: str
    type: CallType = CallType.USER_OUT
    user: str | None = None
    calling: str | None = None
    called: str | None = None
    number_type: NumberType = NumberType.TOLL
    emergency: bool | None = None


class Reserved(msgspec.Struct, omit_defaults=True):
    """What running calls of a tenant may still cost: micro-units, and minutes by the name of a pool's month."""

    money: int = 0
    pools: dict[str, int] = {}
    #: By the key of a brake: micro-units that running calls may still spend, or how many of them run (A50).
    brakes: dict[str, int] = {}

    def add(self, other: "Reserved", sign: int = 1) -> None:
        """Add (or with -1 take away) another's."""
        self.money += sign * other.money
        for name, minutes in other.pools.items():
            left = self.pools.get(name, 0) + sign * minutes
            if left:
                self.pools[name] = left
            else:
                self.pools.pop(name, None)
        for key, used in other.brakes.items():
            self.brakes[key] = self.brakes.get(key, 0) + sign * used
            if not self.brakes[key]:
                del self.brakes[key]


class Quote(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What covers a call: minutes of pools in their order, then money at a rate, for so many seconds in all.

    `rate` is there when the subject may spend credits, even if nothing is left; `whole` says that a call longer
    than its pools' minutes goes whole to credits (A3), `suspended` that the balance is not above zero (A5).
    """

    why: Why
    seconds: int = 0
    pools: tuple[tuple[str, int], ...] = ()
    rate: Rate | None = None
    whole: bool = False
    suspended: bool = False
    #: The longest that a call may be authorised for (A44).
    longest_s: int = AUTHORIZED_S_MAX
    #: Who pays, by the spelling that is shown; None where nobody of this name is known.
    user: str | None = None
    restricted: bool = False
    #: What each brake that stops leaves of its limit, by its key; `brake` is the one that ends it first (A50).
    brakes: dict[str, int] = {}
    brake: str | None = None
    anomalies: tuple[Anomaly, ...] = ()

    @property
    def pool_s(self) -> int:
        """Seconds that pools cover."""
        return 60 * sum(minutes for _, minutes in self.pools)

    def reservation(self, seconds: int, *, running: bool = True) -> Reserved:
        """What so many seconds of the call take from pools, credit and brakes; one that is over is not running."""
        reserved = self._pools_and_money(seconds)
        for key in self.brakes:
            if not is_of_calls(key):
                reserved.brakes[key] = reserved.money
            elif running:
                reserved.brakes[key] = 1
        return reserved

    def _pools_and_money(self, seconds: int) -> Reserved:
        left = ceil_div(seconds, 60)
        if self.whole and self.rate is not None and seconds > self.pool_s:
            return Reserved(price_of(self.rate, seconds))
        reserved = Reserved()
        for name, minutes in self.pools:
            taken = min(minutes, left)
            if taken:
                reserved.pools[name] = taken
                left -= taken
        if left and self.rate is not None:
            reserved.money = price_of(self.rate, seconds - self.pool_s)
        return reserved


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What a call of a length costs: its segments in order, and money in micro-units; `charge` includes the `fee`.

    `unfunded` is what minutes would cost for which nobody may spend credits; `user` as in Quote.
    """

    seconds: int
    minutes: int
    segments: tuple[Segment, ...]
    charge: int = 0
    fee: int = 0
    unfunded: int = 0
    rate: Rate | None = None
    user: str | None = None
    anomalies: tuple[Anomaly, ...] = ()
