"""The dashboards as Grafana reads them, generated from `night_shift` and `business`; and the table of metrics.

`python -m rater.ops.metrics.dashboards` writes them; `--check` says which are not what the code defines.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rater.ops.metrics.boards import Board, Panel, Query, View
from rater.ops.metrics.business import BUSINESS
from rater.ops.metrics.night_shift import NIGHT_SHIFT
from rater.ops.metrics.tables import markdown
from rater.wire.generated_files import write_or_check

BOARDS = (NIGHT_SHIFT, BUSINESS)
FOLDER = Path(__file__).parent.parent.parent.parent / "deploy" / "grafana"
_PAGE = FOLDER.parent / "README.md"
_COMMAND = "rater metrics list --markdown"
_BEGINS, _ENDS = f"<!-- metrics: {_COMMAND} -->\n", "<!-- end of metrics -->"
_SCHEMA_VERSION = 39
_WIDTH = 24
_HEIGHTS = {View.STAT: 4, View.LINES: 8, View.BARS: 9}
_LAST = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_OPTIONS: dict[View, dict[str, Any]] = {
    View.STAT: {"reduceOptions": _LAST, "colorMode": "value", "graphMode": "area"},
    View.LINES: {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
    View.BARS: {"reduceOptions": _LAST, "orientation": "horizontal", "displayMode": "gradient"},
}
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def dashboard_of(board: Board) -> dict[str, Any]:
    """A dashboard as Grafana's JSON, with the data source as its one variable."""
    return {
        "uid": board.uid,
        "title": board.title,
        "description": board.says,
        "tags": ["rater"],
        "editable": False,
        "graphTooltip": 1,
        "schemaVersion": _SCHEMA_VERSION,
        "refresh": board.refresh,
        "time": {"from": board.since, "to": "now"},
        "timezone": "utc",
        "templating": {
            "list": [{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
        },
        "annotations": {"list": [_firing_alerts()]},
        "panels": list(_placed(board)),
    }


def texts() -> dict[Path, str]:
    """Every dashboard's file with its text, and the page that has the table of metrics."""
    boards = {
        FOLDER / f"{board.uid}.json": json.dumps(dashboard_of(board), indent=2, ensure_ascii=False) + "\n"
        for board in BOARDS
    }
    before, begins, rest = _PAGE.read_text(encoding="utf-8").partition(_BEGINS)
    _, ends, after = rest.partition(_ENDS)
    return boards | {_PAGE: f"{before}{begins}{markdown()}{ends}{after}"}


def _placed(board: Board) -> Iterator[dict[str, Any]]:
    """Panels from left to right, each row under its heading."""
    id, y = 1, 0
    for heading, panels in board.rows:
        yield {"id": id, "type": "row", "title": heading, "gridPos": {"x": 0, "y": y, "w": _WIDTH, "h": 1}}
        id, y, x, height = id + 1, y + 1, 0, 0
        for panel in panels:
            if x + panel.width > _WIDTH:
                x, y, height = 0, y + height, 0
            yield _panel(panel, id, {"x": x, "y": y, "w": panel.width, "h": _HEIGHTS[panel.view]})
            id, x, height = id + 1, x + panel.width, max(height, _HEIGHTS[panel.view])
        y += height


def _panel(panel: Panel, id: int, place: dict[str, int]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit.value, "min": 0}
    if panel.bad_from is not None:
        defaults["color"] = {"mode": "thresholds"}
        steps = [{"color": "green", "value": None}, {"color": "red", "value": panel.bad_from}]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    return {
        "id": id,
        "type": panel.view.value,
        "title": panel.title,
        "description": panel.says,
        "datasource": _DATASOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _OPTIONS[panel.view],
        "targets": [_target(query, chr(ord("A") + index)) for index, query in enumerate(panel.queries)],
    }


def _target(query: Query, name: str) -> dict[str, Any]:
    target: dict[str, Any] = {
        "refId": name,
        "datasource": _DATASOURCE,
        "expr": query.expr,
        "legendFormat": query.legend,
    }
    if query.exemplars:
        target["exemplar"] = True
    if query.instant:
        target["instant"] = True
    return target


def _firing_alerts() -> dict[str, Any]:
    return {
        "name": "Alerts",
        "enable": True,
        "datasource": _DATASOURCE,
        "expr": 'ALERTS{alertname=~"Rater.*", alertstate="firing"}',
        "titleFormat": "{{alertname}}",
        "iconColor": "red",
    }


if __name__ == "__main__":
    write_or_check("rater.ops.metrics.dashboards", texts())
