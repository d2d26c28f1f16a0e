"""Which recharge settings would keep a tenant's credit above zero, by its likely future.

The trigger has to last for as long as a payment takes, the amount for its share of a month; both are whole numbers.
What the runs say is a first guess: it is played again and raised while it is not enough, then lowered as long as it
is, first the trigger, then the amount.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from rater.core import Account, AnyCommand, FundsAdded, RechargeSettings, TenantConfigured, format_micros
from rater.engine.forecast import likely
from rater.engine.future_runs import Run

MICROS = 1_000_000
#: The least amount, in major units (rule 61).
AMOUNT_MIN = 50
#: What a recommendation looks at: a month.
DAYS = 30
#: By how much more is tried where a setting was not enough, and how often.
_MORE, _TRIES = 1.25, 10
#: How often the range is halved in which the smallest trigger is looked for, and the smallest amount.
_HALVINGS = 4
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

    `confirmed`: with these settings nine of ten runs have no zero and at most so many recharges in 30 days.
    """

    trigger: int
    amount: int
    spent_while_paying: int
    spent_in_a_month: int
    recharges: int | None
    confirmed: bool


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
    trigger = max(1, _whole(while_paying + 1))
    amount = max(AMOUNT_MIN, _whole(-(-in_a_month // terms.recharges_max)))
    tried = _Tried(partial(again, without), account, now, terms)
    for _ in range(_TRIES):
        lasts, recharges = tried.play(trigger, amount)
        if lasts and recharges <= terms.recharges_max:
            trigger, amount = tried.lowered(trigger, amount)
            _, recharges = tried.play(trigger, amount)
            return Advice(trigger, amount, while_paying, in_a_month, recharges, confirmed=True)
        trigger = trigger if lasts else int(trigger * _MORE) + 1
        amount = amount if recharges <= terms.recharges_max else int(amount * _MORE) + 1
    return Advice(trigger, amount, while_paying, in_a_month, None, confirmed=False)


class _Tried:
    """What the runs say of settings; each pair is played once."""

    def __init__(
        self, play: Callable[[Sequence[AnyCommand]], list[Run]], account: Account, now: datetime, terms: Terms
    ) -> None:
        self._play, self._account, self._now, self._terms = play, account, now, terms
        self._found: dict[tuple[int, int], tuple[bool, int]] = {}

    def play(self, trigger: int, amount: int) -> tuple[bool, int]:
        """Whether nine of ten runs have no zero, and how many recharges nine of ten do not exceed."""
        settings = (trigger, amount)
        if settings not in self._found:
            first = _funds_up_to(self._account, self._now, trigger + amount)
            runs = self._play([*first, _settings(self._account, self._now, settings)])
            lasts = 10 * sum(run.first_zero is None for run in runs) >= 9 * len(runs)
            self._found[settings] = lasts, likely([run.recharges for run in runs]).p90 or 0
        return self._found[settings]

    def lowered(self, trigger: int, amount: int) -> tuple[int, int]:
        """The smallest trigger that is enough with this amount, then the smallest amount with that trigger."""
        least = _smallest(1, trigger, lambda lower: self.is_enough(lower, amount))
        return least, _smallest(AMOUNT_MIN, amount, lambda lower: self.is_enough(least, lower))

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
    return TenantConfigured(
        tenant=account.tenant, id="forecast-settings", at=now, recharge=recharge, payment_method="replaced"
    )


def _funds_up_to(account: Account, now: datetime, whole: int) -> list[AnyCommand]:
    """A purchase for what is missing to a balance: before anything is recharged, it is bought once."""
    missing = whole * MICROS - account.balance
    if missing <= 0:
        return []
    return [FundsAdded(tenant=account.tenant, id="forecast-funds", at=now, amount=format_micros(missing))]
