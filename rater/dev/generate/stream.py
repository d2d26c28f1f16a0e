"""Commands that set tenants up, and the stream of their calls.

A call is made without looking at what it will cost.
"""

from bisect import bisect
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import accumulate
from math import exp
from random import Random
from typing import TypeVar
from uuid import UUID

import msgspec

from rater.core import (
    AnyCommand,
    CallRecord,
    CallType,
    DeckActivated,
    FundsAdded,
    LicenseAssigned,
    NumberType,
    RechargeSettings,
    TenantConfigured,
    month_start,
    parse_period,
)
from rater.dev.generate.spec import ABROAD, COUNTRIES, DAYS, HOURS, LICENSES, TYPES, Spec

_Value = TypeVar("_Value")
#: Durations are drawn once, so that a call costs one look-up: log-normal, median two minutes.
_DURATION_DRAWS = 4096
_RECENT = 512
_BEFORE_MONTH = timedelta(days=1)


class _Weighted:
    """Values drawn by weight."""

    def __init__(self, pairs: tuple[tuple[int, _Value], ...]) -> None:
        self._sums = list(accumulate(weight for weight, _ in pairs))
        self._values = [value for _, value in pairs]

    def draw(self, random: Random) -> object:
        return self._values[bisect(self._sums, random.random() * self._sums[-1])]


class _User(msgspec.Struct, frozen=True):
    tenant: str
    user: str
    country: str
    number: str
    skus: tuple[str, ...]


def tenant_name(spec: Spec, index: int) -> str:
    """The tenant's name: a given one, else `tenant-0007`."""
    return spec.tenant_names[index] if index < len(spec.tenant_names) else f"tenant-{index:04d}"


def generate_commands(spec: Spec) -> Iterator[AnyCommand]:
    """What provisions every tenant and user before the month begins."""
    at = month_start(parse_period(spec.month)) - _BEFORE_MONTH
    for index in range(spec.tenants):
        tenant = tenant_name(spec, index)
        yield TenantConfigured(
            tenant=tenant,
            id="setup",
            at=at,
            currency=spec.currency,
            credits="enabled",
            audio_conferencing_licenses=spec.conferencing_licenses,
            recharge=RechargeSettings(
                enabled=spec.recharge, trigger=spec.recharge_trigger, amount=spec.recharge_amount
            ),
        )
        if spec.deck is not None:
            yield DeckActivated(tenant=tenant, id="setup-deck", at=at, version=spec.deck)
        yield FundsAdded(tenant=tenant, id="setup-funds", at=at, amount=spec.funds)
    for user in users(spec):
        for sku in user.skus:
            yield LicenseAssigned(
                tenant=user.tenant,
                id=f"setup-{user.user}-{sku}",
                at=at,
                user=user.user,
                sku=sku,
                country=user.country,
                since_ever=True,
            )


def users(spec: Spec) -> list[_User]:
    """Every user of the spec, with its tenant, country, number and licences."""
    random = Random(f"{spec.seed}/users")
    countries = _Weighted(tuple((share, country) for country, (share, _) in COUNTRIES.items()))
    licenses = _Weighted(LICENSES)
    hot = int(spec.users * spec.hot_tenant_share)
    found = []
    for index in range(spec.users):
        tenant = tenant_name(spec, 0 if index < hot else index % spec.tenants)
        country = str(countries.draw(random))
        prefix = random.choice(COUNTRIES[country][1])
        skus = licenses.draw(random)
        assert isinstance(skus, tuple)
        found.append(
            _User(tenant, f"user{index:06d}@{tenant}.example", country, f"+{prefix}{index % 10000:04d}", skus)
        )
    return found


def generate_calls(spec: Spec) -> Iterator[CallRecord | bytes]:
    """The month's calls roughly in the order in which they end; bytes are poison that no reader decodes."""
    random = Random(f"{spec.seed}/calls")
    maker = _CallMaker(spec, random)
    recent: list[CallRecord] = []
    thresholds = list(
        accumulate((spec.poison_share, spec.duplicate_share, spec.conflict_share, spec.correction_share))
    )
    for number in range(spec.calls):
        fate = random.random()
        kind = bisect(thresholds, fate)
        if kind == 0 and spec.poison_share:
            yield b'{"tenant": "' + tenant_name(spec, 0).encode() + b'", "usage_id": "broken-%d", "type": ' % number
            continue
        if kind < 4 and recent:
            yield _again(kind, random.choice(recent), random)
            continue
        call = maker.call(number)
        if len(recent) < _RECENT:
            recent.append(call)
        else:
            recent[number % _RECENT] = call
        yield call


def _again(kind: int, call: CallRecord, random: Random) -> CallRecord:
    """The same record once more, in conflict, or corrected to a higher version."""
    if kind == 1:
        return call
    shorter = max(1, call.duration_s - random.randrange(1, 90))
    if kind == 2:
        return msgspec.structs.replace(call, duration_s=call.duration_s + 61, ended_at=None)
    return msgspec.structs.replace(call, duration_s=shorter, version=call.version + 1)


class _CallMaker:
    """Makes one call after another, the instants rising through the month."""

    def __init__(self, spec: Spec, random: Random) -> None:
        self._spec = spec
        self._random = random
        self._users = users(spec)
        self._types = _Weighted(tuple((share, CallType(type)) for share, type in TYPES))
        self._abroad = _Weighted(ABROAD)
        self._durations = [min(14_400, int(exp(random.gauss(4.8, 1.1)))) for _ in range(_DURATION_DRAWS)]
        self._instants = _instants(spec, random)

    def call(self, number: int) -> CallRecord:
        random = self._random
        user = self._users[int(random.random() * len(self._users))]
        type = self._types.draw(random)
        assert isinstance(type, CallType)
        duration = 0 if random.random() < 0.04 else self._durations[int(random.random() * _DURATION_DRAWS)]
        start = next(self._instants)
        inbound = type.value.endswith("_in")
        far = self._number(user, inbound)
        toll_free = type in (CallType.UCAP_IN, CallType.CONF_IN) and random.random() < 0.4
        late = random.random() < self._spec.late_share
        return CallRecord(
            tenant=user.tenant,
            usage_id=str(UUID(int=random.getrandbits(128))),
            type=type,
            answered_at=start,
            duration_s=duration,
            user=None if type is CallType.UCAP_IN else user.user,
            calling=far if inbound else user.number,
            called=("+18005550100" if toll_free else user.number) if inbound else far,
            number_type=NumberType.TOLL_FREE if toll_free else NumberType.TOLL,
            ended_at=start + timedelta(seconds=duration),
            call_id=f"call-{self._spec.seed}-{number}",
            received_at=start + timedelta(days=9) if late else None,
        )

    def _number(self, user: _User, inbound: bool) -> str:
        """The number at the other end: mostly of the user's own country, now and then an emergency."""
        random = self._random
        draw = random.random()
        if draw < 0.0005 and not inbound:
            return {"GB": "999", "US": "911", "CA": "911", "PR": "911"}.get(user.country, "112")
        if draw < 0.82:
            prefixes = COUNTRIES[user.country][1]
            prefix = prefixes[int(random.random() * len(prefixes))]
        else:
            prefix = str(self._abroad.draw(random))
        return f"+{prefix}{int(random.random() * 10000):04d}"


def _instants(spec: Spec, random: Random) -> Iterator[datetime]:
    """Instants rising through the month by the weights of days and hours; the last ones straddle its end.

    Records that are no new call (poison, duplicates, conflicts, corrections) use up none.
    """
    month = parse_period(spec.month)
    start, end = month_start(month), month_start(month + 1)
    hours = [start + timedelta(hours=hour) for hour in range((end - start) // timedelta(hours=1))]
    weights = [HOURS[hour.hour] * DAYS[hour.weekday()] for hour in hours]
    old = spec.poison_share + spec.duplicate_share + spec.conflict_share + spec.correction_share
    calls = spec.calls * (1 - old) * (1 - spec.straddle_share)
    total, done = sum(weights), 0.0
    for hour, weight in zip(hours, weights, strict=True):
        done += weight * calls / total
        share = int(done)
        done -= share
        for second in sorted(int(random.random() * 3_600_000) for _ in range(share)):
            yield hour + timedelta(milliseconds=second)
    while True:
        yield end - timedelta(milliseconds=1 + int(random.random() * 240_000))
