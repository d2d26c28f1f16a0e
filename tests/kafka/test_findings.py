"""What `rater verify` prints of a record that is not the one it computed; no broker is needed."""

import pytest

from rater.kafka.audit_report import unlike

LONG = '"user":"' + "a" * 500 + '"'


@pytest.mark.parametrize(
    ("expected", "found", "said"),
    [
        pytest.param(
            f'{{"tenant":"contoso","id":"d1",{LONG},"balance":"118"}}',
            f'{{"tenant":"contoso","id":"d1",{LONG},"balance":"120"}}',
            'tenant contoso, id d1: expected {"balance":"118"}, found {"balance":"120"}',
            id="a field behind the beginning that is shown",
        ),
        pytest.param(
            '{"tenant":"contoso","id":"d1"}',
            '{"tenant":"contoso","id":"d1","note":"x"}',
            'tenant contoso, id d1: expected {"note":null}, found {"note":"x"}',
            id="a field that one of them lacks",
        ),
        pytest.param('{"id":"d1"}', '{"id": "d1"}', 'expected {"id":"d1"}, found {"id": "d1"}', id="spaces"),
        pytest.param('{"id":"d1"}', "{", 'expected {"id":"d1"}, found {', id="no JSON"),
        pytest.param('{"id":"d1"}', None, 'expected {"id":"d1"}, found nothing', id="no record"),
    ],
)
def test_a_finding_shows_what_differs(expected: str, found: str | None, said: str) -> None:
    """Records are cut after 400 characters; a difference behind them is shown nevertheless."""
    assert unlike(expected.encode(), found.encode() if found is not None else None) == said
