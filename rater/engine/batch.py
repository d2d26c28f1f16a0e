"""One batch: records and committed state in; outputs, changed entities and counts out.

The same step under every shell.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import islice
from typing import Literal

import msgspec
from msgspec import UNSET

from rater.core import (
    NAME_LENGTH_MAX,
    TOPIC_OF,
    AnyCommand,
    Applier,
    CallRecord,
    CallRerated,
    Committed,
    MappedBy,
    Mediated,
    Original,
    Outcome,
    Output,
    RatedCall,
    Reason,
    Refusal,
    RejectedCdr,
    Rejection,
    Rules,
    Source,
    State,
    close_batch,
    mediate,
    shortened,
    with_header,
)
from rater.wire.codec import claimed_tenant, decode_call, decode_command, encode_input

#: Records that are decoded and applied together, so that the processor's caches still hold them.  A shell whose
#: store is cheaper to ask for many calls at once names a larger size.
PART_RECORDS = 64
#: The decoded record, or why it does not decode; a call that was mediated already is taken as it is.
Decoded = CallRecord | AnyCommand | Refusal | Mediated
#: What is kept of a switch's record with its call; the longest line of any switch is shorter, XML may be longer.
SWITCH_LINE_BYTES_MAX = 10_000
#: The topic's own format, which letters do not name.
_OWN_FORMAT = "cdrs"
#: What the rules are applied to.
Input = Mediated | AnyCommand


class Envelope(msgspec.Struct, frozen=True):
    """What a reader needs besides a record's bytes to read them again: format, tenant, the file's header; how
    its times are written, and the zone of local ones; of a switch's record, its mapping; the version that a person
    gave its calls.
    """

    format: str
    tenant: str | None = None
    header: str | None = None
    times: str | None = None
    zone: str | None = None
    mapping: MappedBy | None = None
    version: int | None = None


class SwitchLine(msgspec.Struct, frozen=True):
    """A call that was rated, and the record of the switch that it was made of, as far as it is kept."""

    tenant: str
    usage_id: str
    version: int
    mapping: str
    mapping_version: str
    raw: bytes


class Record(msgspec.Struct, frozen=True):
    """One input as it was read: its topic's kind, where it stood, its bytes.

    `decoded` is there when a file format other than the topic's own was mediated by its reader.  `arrived_at` is
    the stamp of whoever received it: the broker's, or the clock of the run; with `arrival_given` (on Kafka, and
    where a person said it) it also decides what is late (A43).  `original` is there where the record is too long to
    be kept and `raw` is its beginning.
    """

    kind: Literal["cdr", "command"]
    source: Source
    raw: bytes
    decoded: Decoded | None = None
    envelope: Envelope | None = None
    arrived_at: datetime | None = None
    arrival_given: bool = False
    original: Original | None = None


class Batch:
    """What a shell commits in one transaction."""

    __slots__ = ("_outputs", "outcomes", "rejections", "state", "switch_lines")

    def __init__(self, state: State, *, keeps_outputs: bool) -> None:
        self.state = state
        self._outputs: list[Output] | None = [] if keeps_outputs else None
        #: The outcome of each record, in order.
        self.outcomes: list[Outcome] = []
        #: What switches wrote of the calls that were rated, where a mapping read it.
        self.switch_lines: list[SwitchLine] = []
        #: Of each record that was rejected or conflicts, in order: its letter, and why.
        self.rejections: list[Rejection] = []

    @property
    def outputs(self) -> list[Output]:
        """All, in order; a batch whose outputs were given to `write` has none to ask for."""
        assert self._outputs is not None, "run_batch gave the outputs of this batch to write"
        return self._outputs

    @property
    def consumed(self) -> int:
        """How many records were applied."""
        return len(self.outcomes)

    @property
    def counts(self) -> Counter[Outcome]:
        """How many records had each outcome."""
        return Counter(self.outcomes)

    def by_topic(self) -> dict[str, list[Output]]:
        """The outputs of each topic, in order."""
        topics: dict[str, list[Output]] = {}
        for output in self.outputs:
            topics.setdefault(TOPIC_OF[type(output)], []).append(output)
        return topics


def run_batch(
    committed: Committed,
    rules: Rules,
    records: Iterable[Record],
    *,
    until_payment: bool = False,
    admit: Callable[[str], Refusal | None] | None = None,
    write: Callable[[list[Output]], None] | None = None,
    part_records: int = PART_RECORDS,
) -> Batch:
    """Apply records in order to a new overlay; with `until_payment` up to the one that asks for a payment.

    `admit` is why this shell must not apply records of a tenant, or None when it may.  `write` is given the outputs
    of every part of the records as they come, and the batch does not keep them then.
    An exception is a bug: the shell stops and nothing of the batch is kept.
    """
    batch, left = Batch(State(committed), keeps_outputs=write is None), iter(records)
    applier = Applier(batch.state, rules)
    keep = write or batch.outputs.extend
    while part := list(islice(left, part_records)):
        values = [(record, input_of(record)) for record in part]
        if admit is not None:
            values = [(record, _admitted(value, admit)) for record, value in values]
        committed.prepare(calls_in(value for _, value in values))
        for record, value in values:
            _apply_in_envelope(batch, applier, record, value)
            if until_payment and batch.state.asked_for_payment:
                break
        keep(applier.take_outputs())
        if until_payment and batch.state.asked_for_payment:
            break
    keep(close_batch(batch.state))
    batch.rejections = applier.rejections
    return batch


def calls_in(values: Iterable[Input | Refusal]) -> list[CallRecord]:
    """The calls whose live version and user the rules will ask for, as they were given."""
    return [
        value.call if isinstance(value, CallRerated) else value.given or value.cdr
        for value in values
        if isinstance(value, Mediated | CallRerated)
    ]


def _switch_lines(record: Record, mapping: MappedBy, outputs: Iterable[Output]) -> list[SwitchLine]:
    """The switch's record of each call that it made be rated."""
    raw = record.raw[:SWITCH_LINE_BYTES_MAX]
    return [
        SwitchLine(output.tenant, output.usage_id, output.version, mapping.name, mapping.version, raw)
        for output in outputs
        if isinstance(output, RatedCall)
    ]


def _admitted(value: Input | Refusal, admit: Callable[[str], Refusal | None]) -> Input | Refusal:
    return value if isinstance(value, Refusal) else admit(value.tenant) or value


def _enveloped(output: Output, envelope: Envelope) -> Output:
    """A dead letter that says how its bytes are read; other outputs as they are."""
    if not isinstance(output, RejectedCdr):
        return output
    claimed = output.claimed_tenant or envelope.tenant
    letter = msgspec.structs.replace(
        output,
        format=UNSET if envelope.format == _OWN_FORMAT else envelope.format,
        claimed_tenant=claimed and shortened(claimed, NAME_LENGTH_MAX),
        times=envelope.times,
        zone=envelope.zone,
        mapping=envelope.mapping,
        version=envelope.version,
    )
    return with_header(letter, envelope.header)


def envelope_of(letter: RejectedCdr) -> Envelope:
    """What a dead letter says of how its bytes are read; see _enveloped."""
    return Envelope(
        format=letter.format or _OWN_FORMAT,
        tenant=letter.claimed_tenant or letter.tenant,
        header=letter.header,
        times=letter.times,
        zone=letter.zone,
        mapping=letter.mapping,
        version=letter.version,
    )


def input_of(record: Record) -> Input | Refusal:
    """Decode and mediate: what does not need the state is done here, before the first of the part is applied."""
    value = record.decoded
    if isinstance(value, CallRecord):
        return mediate(value, encode_input(value), record.arrived_at, arrival_given=record.arrival_given)
    if value is not None:
        return value
    if record.kind == "command":
        return decode_command(record.raw)
    found = decode_call(record.raw)
    if isinstance(found, Refusal):
        return found
    cdr, canonical, formerly = found
    return mediate(cdr, canonical, record.arrived_at, arrival_given=record.arrival_given, formerly=formerly)


def _apply_in_envelope(batch: Batch, applier: Applier, record: Record, value: Input | Refusal) -> None:
    """Apply one input; what it causes says in which envelope its record came."""
    first = len(applier.outputs)
    batch.outcomes.append(_apply(applier, record, value))
    envelope = record.envelope
    if envelope is None:
        return
    applier.outputs[first:] = [_enveloped(output, envelope) for output in applier.outputs[first:]]
    if envelope.mapping is not None:
        batch.switch_lines += _switch_lines(record, envelope.mapping, applier.outputs[first:])


def _apply(applier: Applier, record: Record, value: Input | Refusal) -> Outcome:
    """Apply one input, or keep its bytes with the reason."""
    if isinstance(value, Mediated):
        return applier.call(value, record.source, record.raw)
    if isinstance(value, Refusal):
        # what an operator skips is not looked at: looking may be what raises
        claimed = None if value.reason is Reason.SKIPPED else claimed_tenant(record.raw)
        file_tenant = record.envelope.tenant if record.envelope else None
        return applier.reject(
            record.source, record.raw, value, claimed, file_tenant=file_tenant, original=record.original
        )
    return applier.command(value, record.source, record.raw, record.arrived_at)
