"""The Kafka side: broker, login, rights, topics, partitions, coordinator, clocks, decks."""

import re
import time
from datetime import UTC, datetime

import msgspec
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from rater.core import (
    NO_TENANT,
    RESERVED_TENANTS,
    AccountEvent,
    Balance,
    EventKind,
    Refusal,
    format_micros,
    parse_ledger,
)
from rater.kafka.access_errors import user_of
from rater.kafka.client import committed_reader, unread
from rater.kafka.connect import WRITE, connection, reachable
from rater.kafka.consume import read_topic
from rater.kafka.rights import coordinator_answers
from rater.kafka.settings import KafkaSettings
from rater.kafka.topics import (
    alter_command,
    changeable,
    compare,
    partitions_of,
    partitions_of_task,
    stamped_by_writers,
)
from rater.kafka.unreadable_decks import TOPIC, deck_records, unreadable_of
from rater.ops.doctor.check import Check, State
from rater.ops.doctor.rights import lacking
from rater.ops.manifests.services import Service
from rater.wire.codec import decode_deck
from rater.wire.dead_letters import DlqAudit, LetterAction
from rater.wire.lookalikes import Lookalikes
from rater.wire.topics import load_topics

#: Clocks that differ by more than this make latencies and expiry times wrong; NTP keeps them within milliseconds.
SKEW_WARN_S = 1.0
SKEW_FAIL_S = 30.0
#: A call record of the future by more than this: a switch's clock is ahead.
_PUBLISHED_AHEAD_S = 2.0
_MILLIS = 1000
#: Unreadable decks that are named.
_NAMED_MAX = 5
#: It puts the deck in force for every tenant, too.
_PUBLISH = "rater publish --deck prices.csv"
_NTP = "chronyc tracking"
#: A difference that `rater topics apply` leaves to an administrator.
_SETTING = re.compile(r"(\S+): expected (\S+=\S+), found ")


async def broker(settings: KafkaSettings) -> Check:
    """Whether a broker answers and lets us in."""
    async with reachable(settings, AIOKafkaAdminClient(**connection(settings))) as admin:
        count = len((await admin.describe_cluster())["brokers"])
    cause = f"{count} at {settings.bootstrap} ({settings.security}), known there as {user_of(settings)}"
    return Check("broker", State.OK, cause)


async def rights(settings: KafkaSettings, service: Service) -> Check:
    """Whether the user holds the rights of a service."""
    missing = await lacking(settings, service)
    if not missing:
        return Check("rights", State.OK, f"{user_of(settings)} has the rights of rater-{service.name}")
    prefix = f" --prefix {settings.prefix}" if settings.prefix else ""
    mtls = " --mtls" if settings.security == "SSL" else ""
    fix = f"rater acls --service {service.name}{prefix}{mtls}"
    return Check("rights", State.FAIL, f"no right to {'; '.join(missing)}", fix)


async def topics(settings: KafkaSettings) -> Check:
    """Whether the topics are there and set as `topics/*.yaml` says; the number of partitions is looked at apart."""
    found = await compare(settings, load_topics())
    missing = [state.name for state in found if state.state == "missing"]
    if missing:
        return Check("topics", State.FAIL, f"missing: {', '.join(missing)}", "rater topics apply")
    differs = [f"{state.name}: {text}" for state in found for text in state.differences if "partitions" not in text]
    stamped = [state.name for state in found if stamped_by_writers(state)]
    if stamped:
        cause = f"writers stamp the records of {', '.join(stamped)}, so arrival times are those of their own clocks"
        return Check("topics", State.WARN, "; ".join([cause, *differs]), "rater topics apply")
    if differs:
        listed = load_topics()
        given = [key for state in found for key in changeable(listed[state.name])]
        if any(f"expected {key}=" in text for key in given for text in differs):
            return Check("topics", State.WARN, "; ".join(differs), "rater topics apply")
        by_hand = [wanted for text in differs if (wanted := _SETTING.match(text))]
        fix = alter_command(settings, *by_hand[0].groups()) if by_hand else "rater topics diff"
        return Check("topics", State.WARN, "; ".join(differs), fix)
    return Check("topics", State.OK, f"{len(found)} topics are there and set as they should be")


async def partitions(settings: KafkaSettings) -> Check:
    """Whether the rating task's topics have the same number: a tenant has one writer."""
    count = await partitions_of_task(settings)
    wanted = load_topics()["cdrs"].partitions
    hint = "" if count == wanted else f" (topics/*.yaml says {wanted})"
    return Check("partitions", State.OK, f"{count} in each topic of the rating task{hint}")


async def coordinator(settings: KafkaSettings) -> Check:
    """Whether somebody coordinates transactions: without that nothing is committed."""
    node = await coordinator_answers(settings, settings.transactional_id(0))
    return Check("coordinator", State.OK, f"broker {node} coordinates transactions")


async def clock(settings: KafkaSettings) -> Check:
    """The broker's clock beside ours: the broker stamps records of `dlq-audit` itself."""
    await partitions_of(settings, "dlq-audit", WRITE)
    looked = DlqAudit(
        tenant=NO_TENANT, id="doctor", action=LetterAction.LOOKED, by=user_of(settings), at=datetime.now(UTC)
    )
    producer = AIOKafkaProducer(**connection(settings), enable_idempotence=True)
    async with reachable(settings, producer, WRITE):
        await producer.partitions_for(settings.topic("dlq-audit"))  # so that what is timed is one request
        before = time.time()
        stored = await producer.send_and_wait(
            settings.topic("dlq-audit"), msgspec.json.encode(looked), key=NO_TENANT.encode()
        )
        after = time.time()
    if stored.timestamp_type != 1:
        return Check("clock", State.SKIPPED, "topic dlq-audit keeps writers' times", "rater topics diff")
    return skew(stored.timestamp / _MILLIS, before, after)


def skew(broker_s: float, before_s: float, after_s: float) -> Check:
    """What a broker's time says that lies between two of ours, all in Unix seconds."""
    late = max(before_s - broker_s - 1 / _MILLIS, broker_s - after_s, 0.0)
    said = f"the broker's clock is {late:.3f} s {'ahead of' if broker_s > after_s else 'behind'} this machine's"
    if late > SKEW_FAIL_S:
        return Check("clock", State.FAIL, said, _NTP)
    if late > SKEW_WARN_S:
        return Check("clock", State.WARN, said, _NTP)
    at_most = late + after_s - before_s
    return Check("clock", State.OK, f"the broker's clock and this machine's differ by at most {at_most:.3f} s")


async def switch_clocks(settings: KafkaSettings) -> Check:
    """Whether call records come from the future: latency is measured from the time that a switch gives them."""
    count = await partitions_of(settings, "cdrs")
    places = [TopicPartition(settings.topic("cdrs"), number) for number in range(count)]
    newest = 0.0
    async with reachable(settings, committed_reader(settings)) as consumer:
        first, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        waiting = [place for place in places if ends[place] > first[place]]
        consumer.assign(waiting)
        for place in waiting:
            consumer.seek(place, ends[place] - 1)
        async for _, records in unread(consumer):
            newest = max([newest, *(record.timestamp / _MILLIS for record in records)])
    if not newest:
        return Check("switches' clocks", State.SKIPPED, "no call record was published yet")
    ahead = newest - time.time()
    if ahead > _PUBLISHED_AHEAD_S:
        cause = f"the newest call record was published {ahead:.1f} s in the future"
        return Check("switches' clocks", State.WARN, cause, _NTP)
    return Check("switches' clocks", State.OK, f"the newest call record was published {-ahead:.0f} s ago")


async def decks(settings: KafkaSettings) -> Check:
    """Whether a rate deck is published, can be read, and was put in force."""
    records = await deck_records(settings)
    unreadable = unreadable_of(records)
    found = [decode_deck(record.value or b"") for record in records]
    published = {deck.version for deck in found if not isinstance(deck, Refusal)}
    active = await _activated(settings)
    missing = sorted(active - published)
    if unreadable:
        first = unreadable[0]
        said = "; ".join(f"{TOPIC}[{one.partition}]:{one.offset}: {one.why}" for one in unreadable[:_NAMED_MAX])
        more = f"; and {len(unreadable) - _NAMED_MAX} more" if len(unreadable) > _NAMED_MAX else ""
        fix = f"rater rates remove-unreadable --partition {first.partition} --offset {first.offset}"
        return Check("decks", State.FAIL, f"cannot be read: {said}{more}", fix)
    if not published:
        return Check("decks", State.FAIL, "none is published: no call has a price", _PUBLISH)
    if not active:
        cause = f"{len(published)} published, none in force: no worker has applied a command deck_activated"
        return Check("decks", State.FAIL, cause, _PUBLISH)
    if missing:
        return Check("decks", State.FAIL, f"in force and not published: {', '.join(missing)}", _PUBLISH)
    return Check("decks", State.OK, f"{len(published)} published, {len(active)} in force")


async def tenants(settings: KafkaSettings) -> Check:
    """Whether names look alike, so that calls of one may be meant for the other; closed tenants with money left."""
    latest = {
        record.key.decode(errors="replace"): record.value
        async for records in read_topic(settings, "balances")
        for record in records
        if record.key is not None and record.value is not None
    }
    names = set(latest) - RESERVED_TENANTS
    alike = [*Lookalikes(names).remarks(names)]
    if alike:
        return Check("tenants", State.WARN, "; ".join(alike), "rater consume balances --tenant NAME")
    balances = map(msgspec.json.Decoder(Balance).decode, latest.values())
    left = [closed_with_money(one.tenant, one.balance, one.currency) for one in balances if one.closed_since]
    if found := [said for said in left if said]:
        return Check("tenants", State.WARN, "; ".join(sorted(found)), "rater statement NAME")
    return Check("tenants", State.OK, f"{len(names)} tenants, no two with names that look alike")


def closed_with_money(tenant: str, balance: str, currency: str) -> str | None:
    """What is left of a closed tenant, in words; None for nothing."""
    micros = parse_ledger(balance)
    if not micros:
        return None
    left = format_micros(abs(micros))
    return f"{tenant} is closed and " + (
        f"owes {left} {currency}" if micros < 0 else f"{left} {currency} is to be paid out"
    )


async def _activated(settings: KafkaSettings) -> set[str]:
    """The versions that are in force for any tenant."""
    decode = msgspec.json.Decoder(AccountEvent).decode
    marker = EventKind.DECK_ACTIVATED.value.encode()
    return {
        event.reason
        async for records in read_topic(settings, "account-events")
        for record in records
        if record.value is not None and marker in record.value
        if (event := decode(record.value)).event is EventKind.DECK_ACTIVATED and event.reason
    }
