"""Logs: one line a decision, readable by machines, without secrets."""

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from rater.ops.logs import HIDDEN, SECRET_FIELDS, Style, configure


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Logging as it was."""
    root = logging.getLogger()
    handlers, level = [*root.handlers], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_an_object_with_fields() -> None:
    """Tenant, usage id and sequence are fields; time is UTC; the level is a word."""
    stream = io.StringIO()
    configure(stream=stream)
    structlog.get_logger("rater.kafka").info("credits suspended", tenant="contoso", sequence=17)
    (line,) = lines(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", line.pop("at"))
    assert line == {
        "event": "credits suspended",
        "tenant": "contoso",
        "sequence": 17,
        "level": "info",
        "logger": "rater.kafka",
    }


def test_libraries_go_the_same_way() -> None:
    """A line of a library has the same form, and is masked by the same processors."""
    stream = io.StringIO()

    def mask(_logger: Any, _method: str, event: Any) -> Any:
        return {name: re.sub(r"\+\d{6,}", "+…", str(value)) for name, value in event.items()}

    configure(stream=stream, processors=[mask])
    logging.getLogger("aiokafka").warning("cannot reach %s", "+14255550100")
    try:
        raise ValueError("no rate for +14255550199")
    except ValueError:
        structlog.get_logger().exception("stopped", called="+14255550198")
    first, second = lines(stream)
    assert (first["event"], first["logger"], first["level"]) == ("cannot reach +…", "aiokafka", "warning")
    assert "ValueError: no rate for +…" in second["exception"]
    assert "+14255" not in stream.getvalue()


@given(st.sampled_from(sorted(SECRET_FIELDS)), st.text(min_size=8).map(lambda text: "s3cr3t" + text), st.booleans())
def test_no_secret_is_printed(field: str, secret: str, nested: bool) -> None:
    """Law: what stands in a field named like a secret is in no line, in either style."""
    for style in Style:
        stream = io.StringIO()
        configure(style, stream=stream)
        fields = {field.upper(): secret}
        structlog.get_logger().info("connected", **({"settings": fields} if nested else fields))
        assert "s3cr3t" not in stream.getvalue()
        assert HIDDEN in stream.getvalue()


def test_below_the_level_is_silent() -> None:
    """INFO is logged, DEBUG is not."""
    stream = io.StringIO()
    configure(Style.CONSOLE, stream=stream)
    structlog.get_logger().debug("batch", size=3)
    structlog.get_logger().info("assigned", partition=3)
    assert "assigned" in stream.getvalue()
    assert "batch" not in stream.getvalue()
