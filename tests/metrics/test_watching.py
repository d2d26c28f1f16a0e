"""Dashboards, alerts and runbooks are in step with the metrics, and a real Prometheus agrees."""

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import stamina
import yaml
from prometheus_client.parser import text_string_to_metric_families

from rater.cli.generate import write_month
from rater.dev.generate import Spec
from rater.ops.metrics.dashboards import BOARDS, texts
from rater.ops.metrics.labels import Label
from rater.ops.metrics.listed import METRICS, Kind, Metric
from rater.wire.generated_files import drifted
from tests.conftest import ROOT
from tests.world import DECK

DEPLOY = ROOT / "deploy"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text())["groups"]
    for rule in group["rules"]
]
ALERTS = [rule for rule in RULES if "alert" in rule]
SHOWN = [query.expr for board in BOARDS for _, panels in board.rows for panel in panels for query in panel.queries]
LISTED = {metric.name: metric for metric in METRICS}
HISTOGRAM_PARTS = ("_bucket", "_count", "_sum")
#: Series that a process has only once it knows a partition, a certificate or a switch.
LATER = {"partition", "use", "switch"}

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool checks this: apt-get install prometheus"
)
needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="a real Prometheus scrapes: apt-get install prometheus"
)


def metric_of(name: str) -> Metric | None:
    """The metric that a series' name belongs to."""
    if name in LISTED and LISTED[name].kind is not Kind.HISTOGRAM:
        return LISTED[name]
    for part in HISTOGRAM_PARTS:
        found = LISTED.get(name.removesuffix(part))
        if name.endswith(part) and found is not None and found.kind is Kind.HISTOGRAM:
            return found
    return None


def wrong_in(expression: str) -> list[str]:
    """Names, labels and values of an expression that the list does not have."""
    found = []
    for name, matchers in re.findall(r"\b(rater_\w+)(?:\{([^}]*)\})?", expression):
        metric = metric_of(name)
        if metric is None:
            found.append(name)
            continue
        labels: dict[str, Label] = {label.name: label for label in metric.labels}
        for label, operator, value in re.findall(r'(\w+)(=~|!=|!~|=)"([^"]*)"', matchers):
            if label == "le" and float(value) in metric.buckets:
                continue
            values = value.split("|") if "~" in operator else [value]
            if label not in labels or not set(values) <= set(labels[label].values):
                found.append(f"{name}{{{label}={value}}}")
    return found


@pytest.mark.parametrize("expression", [*SHOWN, *(rule["expr"] for rule in RULES)])
def test_what_is_watched_is_listed(expression: str) -> None:
    """Every metric, label and value in a dashboard or an alert exists."""
    assert wrong_in(expression) == []


@pytest.mark.parametrize(
    "expression",
    [
        "rater_record_total",
        "rater_latency_seconds",
        'rater_records_total{outcome="lost"}',
        'rater_latency_seconds_bucket{le="0.21"}',
    ],
)
def test_a_wrong_expression_is_found(expression: str) -> None:
    """The check can fail."""
    assert wrong_in(expression)


def test_what_is_listed_is_watched() -> None:
    """A metric that no dashboard or alert uses is not worth its series."""
    used = {
        name for text in [*SHOWN, *(rule["expr"] for rule in RULES)] for name in re.findall(r"\brater_\w+", text)
    }
    assert [metric.name for metric in METRICS if metric not in [metric_of(name) for name in used]] == []


def test_dashboards_have_not_drifted() -> None:
    """The committed files are those that the code defines."""
    assert drifted("rater.ops.metrics.dashboards", texts()) == []


def test_panels_do_not_overlap() -> None:
    """Every panel has its own place in a width of 24, and a sentence that says what it shows."""
    for path in sorted((DEPLOY / "grafana").glob("*.json")):
        taken: set[tuple[int, int]] = set()
        for panel in json.loads(path.read_text())["panels"]:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken, panel["title"]
            assert place["x"] + place["w"] <= 24
            assert panel["type"] == "row" or panel["description"].rstrip(".")
            taken |= cells


@needs_promtool
def test_panels_parse(tmp_path: Path) -> None:
    """promtool reads every expression of the dashboards, with Grafana's variables filled in."""
    filled = [text.replace("$__rate_interval", "5m").replace("$__range", "1h") for text in SHOWN]
    rules = [{"record": f"panel:{number}", "expr": text} for number, text in enumerate(filled)]
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    checked = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def histories_of(alert: dict[str, Any]) -> Path:
    return DEPLOY / "prometheus/tests" / (Path(alert["annotations"]["runbook_url"]).stem + ".yml")


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_is_complete(alert: dict[str, Any]) -> None:
    """Severity, words, a runbook, and histories: one that fires, and others that do not."""
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    runbook = (ROOT / alert["annotations"]["runbook_url"]).read_text()
    assert runbook.startswith(f"# {alert['alert']}\n")
    assert re.findall(r"(?m)^## (.*)$", runbook) == ["Meaning", "Impact", "First three commands", "Fix"]
    assert len(re.findall(r"(?m)^\d\. `[^`]+`: ", runbook)) == 3
    asked = [case["alert_rule_test"][0] for case in yaml.safe_load(histories_of(alert).read_text())["tests"]]
    assert {case["alertname"] for case in asked} == {alert["alert"]}
    first, *others = [len(case["exp_alerts"]) for case in asked]
    assert first == 1
    assert set(others) == {0}


def test_no_runbook_is_left_over() -> None:
    """Runbooks and tests are those of the alerts."""
    stems = {histories_of(alert).stem for alert in ALERTS}
    assert {path.stem for path in (DEPLOY / "runbooks").iterdir()} == stems
    assert {path.stem for path in (DEPLOY / "prometheus/tests").iterdir()} == stems


@pytest.mark.parametrize("path", sorted((DEPLOY / "runbooks").glob("*.md")), ids=lambda path: path.stem)
def test_runbooks_can_be_tried_on_the_picture(path: Path) -> None:
    """A first command that only Kubernetes or Kafka's own tools understand has its like for compose and the picture."""
    lines = re.findall(r"(?m)^\d\. `(?:kubectl|kafka-).*$", path.read_text())
    assert [line for line in lines if "compose" not in line or "picture" not in line] == []


@needs_promtool
def test_rules_are_read_and_fire() -> None:
    """promtool plays every history against the rules."""
    rules = subprocess.run(
        ["promtool", "check", "rules", DEPLOY / "prometheus/rules.yml"], capture_output=True, text=True, check=False
    )
    assert rules.returncode == 0, rules.stderr
    histories = sorted((DEPLOY / "prometheus/tests").glob("*.yml"))
    played = subprocess.run(["promtool", "test", "rules", *histories], capture_output=True, text=True, check=False)
    assert played.returncode == 0, played.stdout + played.stderr


class Running:
    """A process of this test, ended by its id."""

    def __init__(self, *command: str | Path, cwd: Path) -> None:
        self.process = subprocess.Popen(
            [str(word) for word in command], cwd=cwd, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )

    def said(self, pattern: str) -> str:
        """The first group of the first line that says this."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if found := re.search(pattern, line):
                return str(found.group(1))
        raise AssertionError(f"{self.process.args!r} ended without {pattern}")

    def end(self) -> int:
        self.process.terminate()
        self.process.communicate(timeout=20)
        return self.process.returncode


@pytest.fixture
def watching(tmp_path: Path) -> Any:
    """`rater run --watch --metrics-port 0` on a month of calls, as (its port, the process)."""
    write_month(Spec(tenants=3, users=60, calls=2_000, poison_share=0.01), tmp_path)
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.move(tmp_path / "cdrs.jsonl", folder)
    running = Running(
        sys.executable, "-m", "rater", "run", folder, "--store", tmp_path / "rater.db", "--commands", tmp_path / "commands.jsonl",
        "--deck", DECK, "--watch", "--metrics-port", "0", cwd=ROOT,
    )  # fmt: skip
    port = running.said(r"metrics on http://127\.0\.0\.1:(\d+)/metrics")
    running.said(r"(\d+) records so far")
    yield port, running
    if running.process.poll() is None:
        running.end()


def got(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def test_the_embedded_rater_shows_its_metrics(watching: Any) -> None:
    """`--metrics-port` shows every metric of the list while it runs, and SIGTERM ends it as before."""
    port, running = watching
    families = {
        family.name: family for family in text_string_to_metric_families(got(f"http://127.0.0.1:{port}/metrics"))
    }
    assert set(families) == {metric.name.removesuffix("_total") for metric in METRICS}
    outcomes = {sample.labels["outcome"]: sample.value for sample in families["rater_records"].samples}
    assert outcomes["rated"] > 2_000
    assert outcomes["rejected"] > 0
    assert running.end() == 3


def test_who_reads_that_it_runs_may_stop_it(tmp_path: Path) -> None:
    """SIGTERM after the first line that it prints, before it looks into its folder: a clean end, and no record."""
    (tmp_path / "in").mkdir()
    running = Running(
        sys.executable, "-m", "rater", "run", tmp_path / "in", "--store", tmp_path / "rater.db", "--watch",
        "--metrics-port", "0", cwd=ROOT,
    )  # fmt: skip
    running.said(r"(metrics on)")
    assert running.end() == 0


def test_a_port_in_use_is_one_clear_line(watching: Any, tmp_path: Path) -> None:
    """No traceback: the port, why not, what to do."""
    port, _ = watching
    command = [sys.executable, "-m", "rater", "run", "--store", str(tmp_path / "other.db"), "--metrics-port", port]
    refused = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert refused.returncode == 2
    assert refused.stderr.strip() == (
        f"rater: --metrics-port: 127.0.0.1:{port} cannot be listened on (Address already in use); choose another, 0 chooses a free one"
    )


@needs_prometheus
def test_a_real_prometheus_finds_what_the_dashboards_use(watching: Any, tmp_path: Path) -> None:
    """Scraped, every metric has series, except those of partitions, certificates and switches, which this process has none of."""
    port, _ = watching
    target = {"job_name": "rater", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
    config = tmp_path / "prometheus.yml"
    rules = str(DEPLOY / "prometheus/rules.yml")
    config.write_text(
        yaml.safe_dump({"global": {"scrape_interval": "1s"}, "rule_files": [rules], "scrape_configs": [target]})
    )
    prometheus = Running(
        "prometheus", f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'tsdb'}", "--web.listen-address=127.0.0.1:0",
        "--enable-feature=exemplar-storage", cwd=tmp_path,
    )  # fmt: skip
    try:
        address = prometheus.said(r"Listening on\" address=(127\.0\.0\.1:\d+)")
        prometheus.said(r"(Server is ready)")
        wanted = {
            metric.name + ("_count" if metric.kind is Kind.HISTOGRAM else "")
            for metric in METRICS
            if not {label.name for label in metric.labels} & LATER
        }
        for attempt in stamina.retry_context(on=AssertionError, attempts=None, timeout=30, wait_max=1):
            with attempt:
                found = json.loads(got(f"http://{address}/api/v1/label/__name__/values"))["data"]
                assert wanted - set(found) <= {"rater_overrun_micros_total"}
        query = quote('sum(rater_records_total{outcome="rated"}) > 2000')
        assert json.loads(got(f"http://{address}/api/v1/query?query={query}"))["data"]["result"]
    finally:
        prometheus.end()


def test_the_operators_page_lists_the_alerts() -> None:
    """The table of docs/operators.md is that of the rules."""
    rows = re.findall(
        r"(?m)^\| \[(Rater\w+)\]\(\.\./([^)]+)\) \| (\w+) \| (.+) \|$", (ROOT / "docs/operators.md").read_text()
    )
    assert rows == [
        (
            rule["alert"],
            rule["annotations"]["runbook_url"],
            rule["labels"]["severity"],
            rule["annotations"]["summary"],
        )
        for rule in ALERTS
    ]
