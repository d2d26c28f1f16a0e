"""Every place where bytes from outside become values: a function that never raises, and bytes that it reads well."""

import atexit
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from tempfile import mkdtemp
from typing import Literal, NamedTuple
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError
from standardwebhooks import Webhook

from rater.agents.notices.settings import NotifyFile
from rater.agents.payments.webhooks import verified_notice
from rater.agents.payments.wire import BodyError, Payment, PaymentNotice, PaymentOrder, read_body
from rater.agents.settings import AgentsSettings
from rater.agents.signed_webhooks import ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER
from rater.core.inputs import Source
from rater.core.money import MoneyError, parse_micros, parse_price
from rater.dev.charge_log import read_charges
from rater.dev.scenarios.read import read_scenario
from rater.engine.batch import Record, run_batch
from rater.files.deck_csv import read_deck
from rater.files.graph import GraphRows, page_of
from rater.files.licenses import Licenses, unknown_in_commands
from rater.files.mappings import Mapping, load
from rater.files.price_list import read_any_deck
from rater.files.source import InputFile
from rater.files.usage_csv import COLUMNS, PstnCsv, reader_for
from rater.ops.certificates import expires_at
from rater.ops.written_settings import WrittenSettings, read_settings
from rater.serve.authorize_page import Query
from rater.wire.codec import (
    claimed_tenant,
    decode_call,
    decode_call_event,
    decode_command,
    decode_deck,
    encode,
)
from rater.wire.errors import RaterError
from rater.wire.instants import read_instant
from rater.wire.repeated_keys import repeated_key
from tests.world import World

Decode = Callable[[bytes], object]
#: What a decoder may raise instead of giving a refusal: one line for people, each of its own input.
REFUSALS = (RaterError, BodyError, MoneyError)
CORPUS = Path(__file__).parent / "corpus"
#: Of a file so many records are read: what comes later is read by the same code.
_RECORDS = 2_000


class Decoder(NamedTuple):
    """Bytes to a value or a refusal, and an input that gives a value."""

    decode: Decode
    good: bytes


CALL = (
    b'{"tenant":"contoso","usage_id":"c1","type":"user_out","answered_at":"2025-03-31T23:59:59Z","duration_s":60,'
    b'"user":"ada@contoso.example","called":"+14255550100"}'
)
COMMAND = b'{"command":"tenant_configured","tenant":"t","id":"1","at":"2025-01-01T00:00:00Z","currency":"USD"}'
TOP_UP = b'{"command":"funds_added","tenant":"contoso","id":"f9","at":"2025-03-02T00:00:00Z","amount":"25"}'
EVENT = b'{"tenant":"t","usage_id":"c","type":"user_out","event":"started","at":"2025-03-01T10:00:00Z"}'
DECK = (
    b'{"version":"v","currency":"USD","rows":[{"direction":"outbound","prefix":"34","destination":"ES",'
    b'"type":"landline","price_per_minute":"0.02"}]}'
)
ROW = (
    b'{"id":"g1","callType":"user_out","startDateTime":"2025-03-01T10:00:00.1234567Z","duration":60,'
    b'"calleeNumber":"+14255550100"}'
)
PAYMENT = b'{"recharge_id":"r","tenant":"t","status":"succeeded","amount":"100","currency":"USD"}'
NOTICE = b'{"type":"payment.succeeded","data":' + PAYMENT + b"}"
ORDER = b'{"recharge_id":"r","tenant":"t","amount":"100","currency":"USD","requested_at":"2025-01-01T00:00:00Z"}'
CELLS = b"u1,,,US,,ada@x,Ada,+1425,user_out,Subscriber,,,+14255550100,2025-03-01T10:00:00Z,,60,0,0,USD,X"
HEADER = ",".join(COLUMNS).encode()
DECK_CSV = (
    b"direction,prefix,destination,country,type,price_per_minute,connection_fee,increment_first_s,"
    b"increment_next_s,valid_from,valid_to\noutbound,34,Spain,ES,landline,0.02,0,60,60,2025-01-01T00:00:00Z,\n"
)
PRICES = b"Destination Name,Destination Type,Country,Prefix,Price / min\nSpain,Mixed,ES,34,0.02\n"
LICENSES = b"UPN,SKU,Usage country\nada@contoso.example,MCOPSTN1,US\n"
PURCHASED = b"SKU,Purchased\nMCOPSTN1,3\n"
CHARGE = (
    b'{"record":"charge","key":"k","recharge_id":"r","tenant":"t","amount":"100","currency":"USD",'
    b'"requested_at":"2025-01-01T00:00:00Z","behaviour":"approve","status":"succeeded",'
    b'"settled_at":"2025-01-01T00:00:00Z"}\n'
)
NOTIFY = (
    b"outbox: /var/lib/rater/outbox.db\nemail:\n  host: smtp.example\n  sender: rater@contoso.example\n"
    b"  recipients: {'*': [billing@contoso.example]}\n"
    b"webhooks:\n- {name: hook, url: 'https://hook.example/x', secret: {env: KEY}}\n"
)
AGENTS = b"gateway: {url: 'https://pay.example', token: {file: /run/token}, attempts_max: 4}\nsweep_s: 2\n"
SCENARIO = (
    b"scenario: one call\ntenant: {id: contoso, currency: USD, credits: enabled}\nrate_deck: deck.csv\n"
    b"users:\n- {id: ada, country: US, licenses: [MCOPSTN1]}\nsteps:\n"
    b"- fund: {id: f1, amount: '75.00', at: 2025-03-01T00:00:00Z}\n  expect: {balance: '75', events: []}\n"
    b"- cdr: {id: c, type: user_out, user: ada, called: '+34910000000', start: 2025-03-02T10:00:00Z, seconds: 60}\n"
)
MAPPED_CELLS = b"c1,2025-03-10 09:00:07,60.5,030123456\n"
MAPPED_JSON = b'{"id":"c1","at":"2025-03-10%2009:00:07","secs":60.5,"to":"030123456"}'
MAPPED_XML = b"<cdr><id>c1</id><at>2025-03-10 09:00:07</at><secs>60.5</secs><to>030123456</to></cdr>"
MAPPING = (
    b"extends: asterisk-cdr-csv\ntimes: {zone: UTC}\nselect:\n- {only: {disposition: ANSWERED}, otherwise: no}\n"
    b"call:\n  tenant: contoso\n  type: {cases: [{if: {dst: {prefix: '49'}}, then: user_in}], default: user_out}\n"
)
#: Of CN=r, until 2036-11-23 22:29:26 UTC.
CERTIFICATE = b"""\
-----BEGIN CERTIFICATE-----
MIIBLDCB36ADAgECAhQDX7+Ki4BETT5b1GoFxPvYc4wjeTAFBgMrZXAwDDEKMAgG
A1UEAwwBcjAeFw0yNjExMjYyMjI5MjZaFw0zNjExMjMyMjI5MjZaMAwxCjAIBgNV
BAMMAXIwKjAFBgMrZXADIQC+JTQHOmnrhH0C0ULNyax1WvgEht53xsBjlaUfgq9N
mqNTMFEwHQYDVR0OBBYEFIBNrkmeLOqy75B+wZGoEfWBKCj9MB8GA1UdIwQYMBaA
FIBNrkmeLOqy75B+wZGoEfWBKCj9MA8GA1UdEwEB/wQFMAMBAf8wBQYDK2VwA0EA
P07mLehVsSMXruduME02a3r3TzdrhUdJrxOYsnu2C2T0eg3oCzXNVKzg3XgAKJw2
TGYz6PkoLPa19y4XZHaADQ==
-----END CERTIFICATE-----
"""
_SIGNER = Webhook("whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")


def _folder() -> Path:
    """In memory where the system has such a place: a disk waits for each of a million small files."""
    memory = Path("/dev/shm")
    folder = Path(mkdtemp(prefix="rater-fuzz-", dir=memory if memory.is_dir() else None))
    atexit.register(shutil.rmtree, folder)
    (folder / "deck.csv").write_bytes(DECK_CSV)
    return folder


_FOLDER = _folder()


def _refusing(decode: Decode) -> Decode:
    """Of what reports by an exception, the exceptions that are a refusal; every other one is a fault."""

    def refuse(raw: bytes) -> object:
        try:
            return decode(raw)
        except REFUSALS as refused:
            return refused

    return refuse


def _of_file(read: Callable[[Path], object]) -> Decode:
    """A reader of files as a decoder of bytes."""

    def decode(raw: bytes) -> object:
        path = _FOLDER / "input"
        path.write_bytes(raw)
        return read(path)

    return _refusing(decode)


def _of_text(read: Callable[[str], object]) -> Decode:
    return _refusing(lambda raw: read(raw.decode("utf-8", "surrogateescape")))


def _body(model: type[BaseModel]) -> Decode:
    return _refusing(lambda raw: read_body(model, raw))


def _records(path: Path, format: str | None = None) -> object:
    return list(islice(InputFile(str(path), format, "t").records(), _RECORDS))


def _settings(model: type[WrittenSettings]) -> Decode:
    return _of_file(lambda path: read_settings(model, path, {}))


def _variable(raw: bytes) -> object:
    """A list, and a number."""
    text = raw.decode("utf-8", "surrogateescape")
    number = {"RATER_GATEWAY_URL": "https://pay.example", "RATER_SWEEP_S": text}
    return read_settings(AgentsSettings, None, number | {"RATER_GATEWAY_WEBHOOK_SECRETS": text})


def _signed(raw: bytes) -> object:
    """The three headers on lines of their own, `now` being the clock; then the body."""
    lines: Iterable[str] = raw.decode("utf-8", "surrogateescape").split("\n", 3)
    id, at, signature, body = (*lines, "", "", "", "")[:4]
    at = str(int(time.time())) if at == "now" else at
    sent = body.encode("utf-8", "surrogateescape")
    if signature == "good":
        signature = _SIGNER.sign("id", datetime.now(UTC), sent.decode("utf-8", "replace"))
    return verified_notice([_SIGNER], sent, {ID_HEADER: id, TIMESTAMP_HEADER: at, SIGNATURE_HEADER: signature})


def _purchased(path: Path) -> object:
    assigned = _FOLDER / "assigned.csv"
    assigned.write_bytes(LICENSES)
    Licenses(assigned).check_purchased(path)
    return None


def _rated(kind: Literal["cdr", "command"], at: datetime | None) -> Decode:
    """A record through every rule, as a worker applies it, and its outputs as bytes; nothing of it is kept."""
    world = World(recharge=("50", "100"), country="US").user("ada@contoso.example", "US", "MCOPSTN1", "MCOPSTNPP")
    world.engine.submit("cdr", CALL.replace(b"c1", b"c0"))

    def decode(raw: bytes) -> object:
        record = Record(kind, Source("cdrs", 0, 1), raw, None, None, at, at is not None)
        batch = run_batch(world.memory, world.engine.rules, [record])
        return [encode(output) for output in batch.outputs]

    return decode


def _question(text: str) -> object:
    try:
        return Query.model_validate(dict(parse_qsl(text)))
    except ValidationError as refused:
        return refused.errors(include_url=False, include_context=False, include_input=False)


def _mapping(reader: str) -> Mapping:
    """A mapping of three fields, and the reader that is tried."""
    path = _FOLDER / "mapping.yaml"
    path.write_text(
        f"reader: {reader}\ntimes: {{as: iso, zone: Europe/Berlin}}\nnumbers: {{country: DE}}\ncall:\n"
        "  usage_id: '{id}'\n  answered_at: '{at}'\n  duration: {from: '{secs}', round: half}\n"
        "  called: '{to}'\n  type: user_out\n  user: ada\n  tenant: t\n"
    )
    return load(path)


def _mapped(reader: str) -> Decode:
    """Every record of a file by a mapping."""
    mapping = _mapping(reader)
    return _refusing(lambda raw: list(islice(mapping.read(raw), _RECORDS)))


def _loaded(path: Path) -> object:
    """A mapping as people write it."""
    return load(path)


DECODERS: dict[str, Decoder] = {
    "cdrs": Decoder(decode_call, CALL),
    "commands": Decoder(decode_command, COMMAND),
    "call-events": Decoder(decode_call_event, EVENT),
    "decks": Decoder(decode_deck, DECK),
    "rated-cdrs": Decoder(_rated("cdr", datetime(2025, 4, 1, tzinfo=UTC)), CALL),
    "rated-cdrs-unstamped": Decoder(_rated("cdr", None), CALL),
    "rated-commands": Decoder(_rated("command", datetime(2025, 4, 1, tzinfo=UTC)), TOP_UP),
    "rated-commands-unstamped": Decoder(_rated("command", None), COMMAND.replace(b'"t"', b'"contoso"')),
    "claims": Decoder(claimed_tenant, CALL),
    "keys": Decoder(repeated_key, CALL),
    "graph-rows": Decoder(GraphRows("t").decode, ROW),
    "graph-pages": Decoder(_refusing(lambda raw: page_of("page.json", raw)), b'{"value":[' + ROW + b"]}"),
    "pstn-rows": Decoder(PstnCsv("t", ",", COLUMNS).decode, CELLS),
    "pstn-headers": Decoder(_refusing(lambda raw: reader_for("usage.csv", raw, "t")), HEADER),
    "mapped-csv": Decoder(_mapped("{kind: csv}"), b"id,at,secs,to\n" + MAPPED_CELLS),
    "mapped-csv-unescaped": Decoder(
        _mapped("{kind: csv, quotes: unescaped, header: false, columns: [id, at, secs, to]}"),
        b'"c"1","2025-03-10 09:00:07","60", "030123456"\n',
    ),
    "mapped-csv-bars": Decoder(
        _mapped("{kind: csv, delimiter: '|', quotes: none}"),
        b"|id|at|secs|to\n|" + MAPPED_CELLS.replace(b",", b"|"),
    ),
    "mapped-json": Decoder(_mapped("{kind: json, percent_decode: true}"), MAPPED_JSON),
    "mapped-json-lists": Decoder(_mapped("{kind: json, list: calls}"), b'{"calls":[' + MAPPED_JSON + b"]}"),
    "mapped-forms": Decoder(_mapped("{kind: form}"), b"id=c1&at=2025-03-10+09%3A00%3A07&secs=60&to=030123456\n"),
    "mapped-form-json": Decoder(_mapped("{kind: form, field: cdr}"), b"cdr=" + MAPPED_JSON.replace(b"%", b"%25")),
    "mapped-xml": Decoder(_mapped("{kind: xml}"), MAPPED_XML),
    "mapped-xml-lists": Decoder(_mapped("{kind: xml, list: cdr}"), b"<all>" + MAPPED_XML + b"</all>"),
    "mapped-blocks": Decoder(
        _mapped("{kind: blocks}"), b"id: c1\nat: 2025-03-10 09:00:07\nsecs: 60\nto: 030123456\n"
    ),
    "mappings": Decoder(_of_file(_loaded), MAPPING),
    "gateway-answers": Decoder(_body(Payment), PAYMENT),
    "gateway-orders": Decoder(_body(PaymentOrder), ORDER),
    "webhooks": Decoder(_body(PaymentNotice), NOTICE),
    "signed-webhooks": Decoder(_signed, b"id\nnow\ngood\n" + NOTICE),
    "files": Decoder(_of_file(_records), HEADER + b"\n" + CELLS + b"\n"),
    "command-files": Decoder(_of_file(lambda path: _records(path, "commands")), COMMAND + b"\n"),
    "deck-files": Decoder(_of_file(read_deck), DECK_CSV),
    "price-lists": Decoder(_of_file(read_any_deck), PRICES),
    "licenses": Decoder(_of_file(Licenses), LICENSES),
    "licenses-purchased": Decoder(_of_file(_purchased), PURCHASED),
    "licenses-in-commands": Decoder(_of_file(unknown_in_commands), COMMAND + b"\n"),
    "charge-logs": Decoder(_of_file(read_charges), CHARGE),
    "scenarios": Decoder(_of_file(read_scenario), SCENARIO),
    "notify-settings": Decoder(_settings(NotifyFile), NOTIFY),
    "agents-settings": Decoder(_settings(AgentsSettings), AGENTS),
    "variables": Decoder(_refusing(_variable), b"2.5"),
    "certificates": Decoder(_of_file(expires_at), CERTIFICATE),
    "authorize-questions": Decoder(_of_text(_question), b"tenant=t&user=ada&called=%2B1425"),
    "instants": Decoder(_of_text(lambda text: read_instant("--until", text)), b"2025-03-01T10:00:00Z"),
    "amounts": Decoder(_of_text(parse_micros), b"12.5"),
    "prices": Decoder(_of_text(parse_price), b"0.0123"),
}


def kept_inputs(name: str) -> Iterator[bytes]:
    """The good input of a decoder and its corpus."""
    yield DECODERS[name].good
    for path in sorted((CORPUS / name).glob("*")):
        yield path.read_bytes()
