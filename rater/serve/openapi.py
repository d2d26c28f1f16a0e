"""The OpenAPI 3.1 document of the HTTP server, generated from the types that it reads and writes.

`python -m rater.serve.openapi` writes `schemas/openapi.json`; `--check` says whether it is what the code defines.
"""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from pydantic import BaseModel

from rater.core import AnyCommand, CallEvent, CallRecord
from rater.serve import authorize_page, bodies, orders_page, records_page
from rater.serve.authorize_page import Authorization, Query
from rater.serve.orders_page import Orders, OrdersQuery
from rater.serve.problems import CONTENT_TYPE, Kind, Problem
from rater.serve.reading.answers import Explanation, Tenants
from rater.serve.reading.asked import NothingAsked, PageAsked
from rater.serve.reading.pages import COMPUTED, EXPLANATION, PAGES, TENANTS
from rater.serve.records_page import RecordsQuery
from rater.serve.results import Results
from rater.wire.generated_files import write_or_check
from rater.wire.schemas import FOLDER, VERSION, unindented

PATH = "/v1/openapi.json"
FILE = FOLDER / "openapi.json"
_JSON = "application/json"
_READ = (*[page.answer for page in (*PAGES, *COMPUTED)], Tenants, Explanation)
_STRUCTS = (CallRecord, CallEvent, AnyCommand, Results, Authorization, Orders, Problem, *_READ)
_CALL = {
    "tenant": "contoso",
    "usage_id": "0f9b6a52-7a55-4b53-9f3c-2f5d1f6b8a11",
    "type": "user_out",
    "answered_at": "2025-03-10T12:00:00Z",
    "duration_s": 61,
    "user": "ada@contoso.example",
    "called": "+442079460000",
}
_EVENT = {
    "tenant": "contoso",
    "usage_id": "0f9b6a52-7a55-4b53-9f3c-2f5d1f6b8a11",
    "type": "user_out",
    "event": "heartbeat",
    "at": "2025-03-10T12:00:30Z",
    "started_at": "2025-03-10T12:00:00Z",
    "user": "ada@contoso.example",
    "called": "+442079460000",
}
_COMMAND = {
    "command": "funds_added",
    "tenant": "contoso",
    "id": "invoice-1",
    "at": "2025-03-10T12:00:00Z",
    "amount": "100",
    "currency": "USD",
}
_RETRY = {"Retry-After": {"description": "seconds", "schema": {"type": "integer", "minimum": 1}}}
_TAG = {"ETag": {"description": "for If-None-Match", "schema": {"type": "string"}}}
_IN_PATH = re.compile(r"\{(\w+)\}")
#: What every page with a token can answer.
_ALWAYS = (Kind.UNREADABLE, Kind.NO_TOKEN, Kind.NOT_ALLOWED, Kind.FAILED)
_OF_BODIES = (Kind.TOO_SLOW, Kind.TOO_LARGE, Kind.WRONG_TYPE, Kind.TOO_MANY, Kind.BUSY)


def document() -> dict[str, Any]:
    """The whole document."""
    _, components = msgspec.json.schema_components(_STRUCTS, ref_template="#/components/schemas/{name}")
    schemas = unindented(components)
    # a null is read as an absent duration (rule 73), which the decoder does and the type does not say
    schemas["CallRecord"]["properties"]["duration_s"]["type"] = ["integer", "null"]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "rater serve",
            "version": f"{VERSION}.0.0",
            "description": (
                "Call records and events in, authorisation of calls, orders to end calls out, and (over a"
                " store or a replica) figures to read.  200 means stored:"
                " the ledger has it, or Kafka with every in-sync replica.  Sending the same records again is"
                " harmless.  What is wrong is one JSON object (RFC 9457)."
            ),
        },
        "security": [{"bearer": []}, {"basic": []}],
        "paths": _paths(),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic", "description": "the token as password"},
            },
        },
    }


@lru_cache(1)
def text() -> str:
    """The document as it is served and committed."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def texts() -> dict[Path, str]:
    """The document's file with its text."""
    return {FILE: text()}


def _paths() -> dict[str, Any]:
    calls = _posting("postCallRecords", "Store records of calls", "CallRecord", _CALL, mapped=True)
    events = _posting("postCallEvents", "Store events of running calls", "CallEvent", _EVENT)
    commands = _posting(
        "postCommands", "Apply commands: tenants, users, licences, money (over a store)", None, _COMMAND
    )
    return {
        records_page.CDRS: {"post": calls},
        records_page.CALL_EVENTS: {"post": events},
        records_page.COMMANDS: {"post": commands},
        authorize_page.PATH: {"get": _authorize()},
        orders_page.PATH: {"get": _orders()},
        **_reading(),
        PATH: {"get": _open("openapi", "This document", _JSON)},
        "/livez": {"get": _open("livez", "Whether the process answers", "text/plain")},
        "/readyz": {"get": _open("readyz", "Whether it is ready", "text/plain", not_ready=True)},
        "/healthz": {"get": _open("healthz", "As /readyz", "text/plain", not_ready=True)},
        "/metrics": {"get": _open("metrics", "Prometheus' metrics", "application/openmetrics-text")},
    }


def _posting(
    id: str, summary: str, record: str | None, example: dict[str, Any], *, mapped: bool = False
) -> dict[str, Any]:
    """Records of one schema; None: any command."""
    one = {"$ref": f"#/components/schemas/{record}"} if record else _any_command()
    content: dict[str, Any] = {
        _JSON: {
            "schema": {
                "anyOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": bodies.RECORDS_MAX}]
            },
            "examples": {"one": {"value": example}, "several": {"value": [example]}},
        },
        bodies.LINES[0]: {"schema": {"type": "string"}, "example": json.dumps(example) + "\n"},
    }
    if mapped:
        form = {
            "type": "object",
            "required": [bodies.FORM_FIELD],
            "properties": {bodies.FORM_FIELD: {"type": "string"}},
        }
        content[bodies.FORM] = {"schema": form, "example": {bodies.FORM_FIELD: json.dumps(example)}}
    stored = {"description": "Every record is stored; each one's result", "content": _content("Results")}
    return {
        "operationId": id,
        "summary": summary,
        "parameters": _parameters(RecordsQuery),
        "requestBody": {"required": True, "content": content},
        "responses": {"200": stored, **_problems(*_ALWAYS, *_OF_BODIES)},
    }


def _any_command() -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([AnyCommand], ref_template="#/components/schemas/{name}")
    return schema


def _authorize() -> dict[str, Any]:
    content = _content("Authorization")
    content["text/plain"] = {
        "schema": {"type": "string"},
        "example": "allow 720 pool 0.013 0 USD pool_then_credit\n",
    }
    answers = {
        "200": {"description": "The answer", "content": content},
        "503": {"description": "Too little is known yet", "content": content, "headers": _RETRY},
    }
    return {
        "operationId": "authorizeCall",
        "summary": "Whether a call may start, for how many seconds, what it draws on and what it costs",
        "parameters": _parameters(Query),
        "responses": answers | _problems(*_ALWAYS),
    }


def _orders() -> dict[str, Any]:
    content = _content("Orders")
    content["text/event-stream"] = {"schema": {"type": "string"}}
    return {
        "operationId": "readCallCommands",
        "summary": "Orders to end running calls, as soon as there are some",
        "parameters": _parameters(OrdersQuery),
        "responses": {
            "200": {"description": "The orders after the cursor", "content": content},
            **_problems(*_ALWAYS),
        },
    }


def _reading() -> dict[str, Any]:
    """The read API."""
    tenants = _read("readTenants", "Every tenant that the token may read", TENANTS, PageAsked, "Tenants")
    explanation = _read("explainCall", "Why a call cost what it did", EXPLANATION, NothingAsked, "Explanation")
    pages = {
        page.path: {"get": _read(page.id, page.summary, page.path, page.asked, page.answer.__name__)}
        for page in (*PAGES, *COMPUTED)
    }
    return {TENANTS: {"get": tenants}, EXPLANATION: {"get": explanation}, **pages}


def _read(id: str, summary: str, path: str, asked: type[BaseModel], answer: str) -> dict[str, Any]:
    """One page of it: its parameters are those of the path and those of the query."""
    named: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _IN_PATH.findall(path)
    ]
    if_none_match = {"name": "If-None-Match", "in": "header", "schema": {"type": "string"}}
    kinds = (*_ALWAYS, Kind.NOT_FOUND, Kind.TOO_LARGE, Kind.TOO_MANY, Kind.BUSY)
    return {
        "operationId": id,
        "summary": summary,
        "parameters": [*named, *_parameters(asked), if_none_match],
        "responses": {
            "200": {"description": "The figures", "content": _content(answer), "headers": _TAG},
            "304": {"description": "The same as the client has", "headers": _TAG},
            **_problems(*kinds),
        },
    }


def _open(id: str, summary: str, type: str, *, not_ready: bool = False) -> dict[str, Any]:
    """A page without a token."""
    answer = {
        "description": summary,
        "content": {type: {"schema": {"type": "object" if type == _JSON else "string"}}},
    }
    answers = {"200": answer} | ({"503": answer} if not_ready else {})
    return {"operationId": id, "summary": summary, "security": [], "responses": answers}


def _content(schema: str) -> dict[str, Any]:
    return {_JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _problems(*kinds: Kind) -> dict[str, Any]:
    found = {}
    for kind in kinds:
        answer: dict[str, Any] = {
            "description": kind.title,
            "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        if kind in (Kind.TOO_MANY, Kind.BUSY):
            answer["headers"] = _RETRY
        found[str(kind.status.value)] = answer
    return dict(sorted(found.items()))


def _parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    """The fields of a model as parameters of a query."""
    schema = model.model_json_schema()
    parts = schema.get("$defs", {})
    found = []
    for name, field in schema["properties"].items():
        said = {key: value for key, value in field.items() if key not in ("title", "default", "description")}
        parameter = {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": _inline(said, parts),
        }
        if "description" in field:
            parameter["description"] = field["description"]
        found.append(parameter)
    return found


def _inline(schema: Any, parts: dict[str, Any]) -> Any:
    """A schema without references, and without the null that stands for an absent parameter."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            part = parts[schema["$ref"].rsplit("/", 1)[-1]]
            return {key: value for key, value in part.items() if key in ("enum", "type")}
        if "anyOf" in schema:
            (one,) = [option for option in schema["anyOf"] if option != {"type": "null"}]
            return _inline(one, parts)
        return {key: _inline(value, parts) for key, value in schema.items()}
    return schema


if __name__ == "__main__":
    write_or_check("rater.serve.openapi", texts())
