"""The OpenAPI document: the one that is committed, true to the code, with examples that are taken."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from rater.core import CallEvent, CallRecord
from rater.ops.metrics.labels import RecordResult
from rater.serve.bodies import RECORDS_MAX
from rater.serve.openapi import document, texts
from rater.serve.problems import Kind
from rater.wire.codec import decode_call_event, decode_cdr, decode_command
from rater.wire.generated_files import drifted
from tests.serve.world import call, clients_file, serving

DOCUMENT = document()
POSTS = {path: one["post"] for path, one in DOCUMENT["paths"].items() if "post" in one}


def schema(name: str) -> Draft202012Validator:
    """A schema of the document, with the others that it names."""
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]})


def test_the_committed_document_is_what_the_code_says() -> None:
    """`python -m rater.serve.openapi` writes it."""
    assert drifted("rater.serve.openapi", texts()) == []


@pytest.mark.parametrize("path", POSTS)
def test_examples_are_records(path: str) -> None:
    """Each fits its schema, and our decoder reads it."""
    content = POSTS[path]["requestBody"]["content"]["application/json"]
    (one,) = content["examples"]["several"]["value"]
    validator = Draft202012Validator(content["schema"] | {"components": DOCUMENT["components"]})
    assert list(validator.iter_errors(one)) == list(validator.iter_errors([one])) == []
    decode = {"/v1/cdrs": decode_cdr, "/v1/call-events": decode_call_event, "/v1/commands": decode_command}[path]
    assert hasattr(decode(json.dumps(one).encode()), "tenant")


def test_answers_fit_their_schemas(tmp_path: Path) -> None:
    """Of a server over a store: results, an authorisation, orders, a problem; and the document that it serves."""
    clients = clients_file(tmp_path)
    with serving(tmp_path, clients=clients) as (_, switch):
        answers: dict[str, list[Any]] = {
            "Results": [switch.send(call("a"), call("a"), call("b", tenant="nobody")).body],
            "Authorization": [
                switch.ask("/v1/authorize?tenant=contoso&user=ada&called=%2B442079460000").body,
                switch.ask("/v1/authorize?tenant=nobody&user=ada&called=%2B442079460000").body,
            ],
            "Orders": [switch.ask("/v1/call-commands?wait=0").body],
            "Problem": [switch.ask("/v1/cdrs", b"{").body, switch.ask("/nowhere").body],
        }
        served = switch.ask("/v1/openapi.json", Authorization="").body
    wrong = {name: [error.message for one in found for error in schema(name).iter_errors(one)] for name, found in answers.items()}  # fmt: skip
    assert wrong == {name: [] for name in answers}
    assert served == json.loads(json.dumps(DOCUMENT))


def test_lists_of_the_document_are_the_code_s() -> None:
    """Results, the limit of records, and a status for each kind of problem."""
    schemas = DOCUMENT["components"]["schemas"]
    assert set(schemas["RecordResult"]["enum"]) == {one.value for one in RecordResult}
    array = POSTS["/v1/cdrs"]["requestBody"]["content"]["application/json"]["schema"]["anyOf"][1]
    assert array["maxItems"] == RECORDS_MAX
    statuses = {int(status) for one in DOCUMENT["paths"].values() for page in one.values() for status in page["responses"]}  # fmt: skip
    without_page = {Kind.NO_SUCH_PATH.status.value, Kind.WRONG_METHOD.status.value}
    assert {kind.status.value for kind in Kind} - without_page <= statuses


def test_records_are_the_topics_own() -> None:
    """One definition of each."""
    assert set(CallRecord.__struct_fields__) == set(DOCUMENT["components"]["schemas"]["CallRecord"]["properties"])
    assert set(CallEvent.__struct_fields__) == set(DOCUMENT["components"]["schemas"]["CallEvent"]["properties"])
