"""Which recharge settings would keep a tenant's credit above zero, by its likely future.

The trigger has to last for as long as a payment takes, whenever the balance falls below it; so it is more than
what nine of ten months spend in any such time, however rarely a recharge falls into it.  The amount has to last for
its share of a month.  Both are whole numbers.  They are played again, the months beginning at different balances
between the trigger and trigger + amount, and raised while they are not enough; then the amount is lowered as long
as it is.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from rater.core import Account, AnyCommand, FundsAdjusted, RechargeSettings, TenantConfigured, format_micros
from rater.engine.forecast import likely
from rater.engine.future_runs import Run

MICROS = 1_000_000
#: The least amount, in major units (rule 61).
AMOUNT_MIN = 50
#: What a recommendation looks at: a month.
DAYS = 30
#: By how much more is tried where a setting was not enough, and how often.
_MORE, _TRIES = 1.25, 10
#: How often the range is halved in which the smallest amount is looked for.
_HALVINGS = 4
#: At how many balances months begin, from the trigger on.
_BEGINNINGS = 5
#: Published in 2017 for up to so many licensed users: once, and the trigger, in USD (rules, section 3.2).
PUBLISHED = (
    (250, 1_000, 200),
    (500, 1_000, 400),
    (1_000, 2_000, 500),
    (5_000, 3_000, 1_000),
    (10_000, 5_000, 1_000),
    (50_000, 10_000, 1_000),
    (100_000, 15_000, 2_500),
)
_PUBLISHED_LARGEST = (20_000, 2_500)


class Advice(NamedTuple):
    """Trigger and amount in major units; what nine of ten runs do not exceed, in micro-units.

    `confirmed`: with these settings nine of ten runs have no zero and at most so many recharges in 30 days, if the
    balance is at the trigger or above it; `buy_first` is what is missing to that, in micro-units.
    """

    trigger: int
    amount: int
    spent_while_paying: int
    spent_in_a_month: int
    recharges: int | None
    confirmed: bool
    buy_first: int


class Terms(NamedTuple):
    """What is asked for: how long a payment takes, and how many recharges there may be in 30 days."""

    delay: timedelta
    recharges_max: int


def published_funding(users: int) -> tuple[int, int]:
    """What was published in 2017 for so many licensed users: once, and the trigger, in USD."""
    return next(((once, trigger) for below, once, trigger in PUBLISHED if users < below), _PUBLISHED_LARGEST)


def advise(
    play: Callable[[Sequence[AnyCommand]], list[Run]],
    again: Callable[[Sequence[Run], Sequence[AnyCommand]], list[Run]],
    account: Account,
    now: datetime,
    terms: Terms,
) -> Advice:
    """The settings for a tenant; `play` plays runs of DAYS days, commands first, and pays after `terms.delay`.

    `again` plays runs once more, with other commands first.
    """
    without = play([_settings(account, now, None)])
    while_paying = likely([_most_within(run.debits, terms.delay) for run in without]).p90 or 0
    in_a_month = likely([run.spent[DAYS - 1] for run in without]).p90 or 0
    trigger = _whole(while_paying + 1)
    amount = max(AMOUNT_MIN, _whole(-(-in_a_month // terms.recharges_max)))
    tried = _Tried(again, without, account, now, terms)
    recharges = None
    for _ in range(_TRIES):
        if tried.is_enough(trigger, amount):
            amount = tried.lowered(trigger, amount)
            _, recharges = tried.play(trigger, amount)
            break
        lasts, _ = tried.play(trigger, amount)
        if lasts or amount < trigger:  # else the next recharge is asked for before this one lasted for a payment
            amount = int(amount * _MORE) + 1
        else:
            trigger = int(trigger * _MORE) + 1
    missing = max(0, trigger * MICROS - account.balance)
    return Advice(trigger, amount, while_paying, in_a_month, recharges, recharges is not None, missing)


class _Tried:
    """What the runs say of settings; each pair is played once."""

    def __init__(
        self,
        again: Callable[[Sequence[Run], Sequence[AnyCommand]], list[Run]],
        without: Sequence[Run],
        account: Account,
        now: datetime,
        terms: Terms,
    ) -> None:
        self._again, self._without = again, without
        self._account, self._now, self._terms = account, now, terms
        self._found: dict[tuple[int, int], tuple[bool, int]] = {}

    def play(self, trigger: int, amount: int) -> tuple[bool, int]:
        """Whether nine of ten runs have no zero, and how many recharges nine of ten do not exceed.

        From whichever balance they begin.
        """
        settings = (trigger, amount)
        if settings not in self._found:
            begun = [self._begun(beginning, trigger, amount) for beginning in range(_BEGINNINGS)]
            lasts = all(10 * sum(run.first_zero is None for run in runs) >= 9 * len(runs) for runs in begun)
            self._found[settings] = lasts, max(likely([run.recharges for run in runs]).p90 or 0 for runs in begun)
        return self._found[settings]

    def _begun(self, beginning: int, trigger: int, amount: int) -> list[Run]:
        """Every fifth run, from a balance of its own: the first of them at the trigger."""
        balance = trigger * MICROS + amount * MICROS * beginning // _BEGINNINGS
        account, now = self._account, self._now
        first = [
            _settings(account, now, None),
            *_to(account, now, balance),
            _settings(account, now, (trigger, amount)),
        ]
        return self._again(self._without[beginning::_BEGINNINGS], first)

    def lowered(self, trigger: int, amount: int) -> int:
        """The smallest amount that is enough with this trigger."""
        return _smallest(AMOUNT_MIN, amount, lambda lower: self.is_enough(trigger, lower))

    def is_enough(self, trigger: int, amount: int) -> bool:
        """Whether both are as they are asked for."""
        lasts, recharges = self.play(trigger, amount)
        return lasts and recharges <= self._terms.recharges_max


def _smallest(least: int, enough: int, is_enough: Callable[[int], bool]) -> int:
    """The smallest setting that is enough, as far as halving finds it; `enough` is known to be."""
    for _ in range(_HALVINGS):
        if least >= enough:
            break
        middle = (least + enough) // 2
        if is_enough(middle):
            enough = middle
        else:
            least = middle + 1
    return enough


def _whole(micros: int) -> int:
    """The next whole number of major units, upwards."""
    return -(-micros // MICROS)


def _most_within(debits: Sequence[tuple[datetime, int]], delay: timedelta) -> int:
    """The most that was debited within a time so long."""
    most = spent = first = 0
    for at, amount in debits:
        spent += amount
        while at - debits[first][0] > delay:
            spent -= debits[first][1]
            first += 1
        most = max(most, spent)
    return most


def _settings(account: Account, now: datetime, terms: tuple[int, int] | None) -> AnyCommand:
    """Auto-recharge by (trigger, amount), with a card that works; or none."""
    recharge = RechargeSettings(enabled=False)
    if terms is not None:
        recharge = RechargeSettings(enabled=True, trigger=str(terms[0]), amount=str(terms[1]))
    id = "forecast-settings" if terms is None else "forecast-recharge"
    return TenantConfigured(tenant=account.tenant, id=id, at=now, recharge=recharge, payment_method="replaced")


def _to(account: Account, now: datetime, balance: int) -> list[AnyCommand]:
    """What changes the balance to so many micro-units."""
    missing = balance - account.balance
    if not missing:
        return []
    amount = format_micros(missing)
    return [FundsAdjusted(tenant=account.tenant, id="forecast-funds", at=now, amount=amount, reason="-", by="-")]
