"""The topics of a site that is gone, as a mirror has them: inputs under the offsets that they had there.

A mirror copies each topic by itself.  It keeps the order of a partition and the times of records, and neither the
offsets nor what belonged to one transaction.  Which offset a record had follows from the outputs: each says where
its input stood.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence

import msgspec

from rater.core import (
    AccountEvent,
    CallRecord,
    RatedCall,
    Refusal,
    normal_usage_id,
)
from rater.kafka.client import read_partition
from rater.kafka.consume import ends_of
from rater.kafka.port import Consumed
from rater.kafka.settings import KafkaSettings
from rater.wire.codec import decode_cdr, decode_command
from rater.wire.errors import Exit, RaterError

#: The last outputs of a partition by which the offsets of inputs are found.
_LOOKED_AT = 2_000
_rated_call = msgspec.json.Decoder(RatedCall).decode
_event = msgspec.json.Decoder(AccountEvent).decode
#: Input topic -> the output topic that names its records.
_NAMED_IN = {"cdrs": "rated-calls", "commands": "account-events"}


async def offset_of_first(settings: KafkaSettings, topic: str, number: int) -> int:
    """The offset that the first input which is kept had at the other site; RaterError if the mirror is not whole.

    It is what most inputs say that outputs name and that are there once: of one that came again, the first may not
    be kept any more.  Where there is none it is 0.  That it is right is seen when outputs are compared.
    """
    named = await _named(settings, topic, number)
    found: Counter[int] = Counter()
    times: Counter[str] = Counter()
    places: dict[str, int] = {}
    place = 0
    async for records in read_partition(settings, topic, number, None):
        for record in records:
            name = _name_of(topic, record.value or b"") if named else None
            if name in named:
                times[name] += 1
                places[name] = place
            place += 1
    for name, count in times.items():
        if count == 1:
            found[named[name] - places[name]] += 1
    (first, agree), *_ = found.most_common(1) or [(0, 0)]
    if agree * 2 < found.total():
        raise RaterError(
            f"{settings.topic(topic)}[{number}]: the mirror has records twice, or lacks some: by the outputs, the"
            f" first one stood at {sorted(found)[:3]}; nothing was opened. A mirror must copy exactly once"
            ' (deploy/drills.md, "A second site")',
            Exit.FAILED,
        )
    return first


async def _named(settings: KafkaSettings, topic: str, number: int) -> dict[str, int]:
    """The last inputs that outputs name, with their offsets at the other site."""
    outputs = _NAMED_IN[topic]
    end = (await ends_of(settings, outputs))[number]
    named: dict[str, int] = {}
    async for records in read_partition(settings, outputs, number, max(0, end - _LOOKED_AT)):
        for record in records:
            name, offset = _source_in(topic, record.value or b"")
            if name is not None:
                named.setdefault(name, offset)
    return named


def _source_in(topic: str, output: bytes) -> tuple[str | None, int]:
    """The name of the input that an output comes from, if it has one, and its offset."""
    if topic == "cdrs":
        call = _rated_call(output)
        name = _call_name(call.tenant, call.usage_id, call.version) if call.source.topic == topic else None
        return name, call.source.offset
    event = _event(output)
    name = f"{event.tenant}\0{event.command_id}" if event.command_id and event.source.topic == topic else None
    return name, event.source.offset


def _name_of(topic: str, raw: bytes) -> str:
    """The name of an input; empty for one that does not decode."""
    if topic == "cdrs":
        call = decode_cdr(raw)
        return _call_name(call.tenant, call.usage_id, call.version) if isinstance(call, CallRecord) else ""
    command = decode_command(raw)
    return "" if isinstance(command, Refusal) else f"{command.tenant}\0{command.id}"


def _call_name(tenant: str, usage_id: str, version: int) -> str:
    return f"{tenant}\0{normal_usage_id(usage_id)}\0{version}"


async def inputs_as_they_were(
    settings: KafkaSettings, topic: str, number: int, first: int
) -> AsyncIterator[Sequence[Consumed]]:
    """Mirrored inputs under the offsets that they had; `first` is that of the first one."""
    at = first
    async for records in read_partition(settings, topic, number, None):
        renamed = []
        for record in records:
            renamed.append(msgspec.structs.replace(record, offset=at))
            at += 1
        yield renamed
