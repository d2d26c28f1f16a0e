"""The list of metrics as people read it: rows, JSON, Markdown."""

from typing import Any

from rater.ops.metrics.labels import Label
from rater.ops.metrics.listed import METRICS, Metric

_SHOWN_MAX = 8


def values_of(label: Label) -> str:
    """A label's values, the first and the last of a long list."""
    if label.named_in:
        return ", ".join([*label.values, f"names of {label.named_in}"])
    if len(label.values) <= _SHOWN_MAX:
        return ", ".join(label.values)
    return f"{label.values[0]} to {label.values[-1]}: {len(label.values)} values"


def facts_of(metric: Metric) -> dict[str, Any]:
    """A metric with everything that is known of it."""
    facts: dict[str, Any] = {
        "name": metric.name,
        "kind": metric.kind.value,
        "unit": metric.unit,
        "help": metric.help,
        "labels": {label.name: list(label.values) for label in metric.labels},
    }
    if metric.buckets:
        facts["buckets"] = list(metric.buckets)
    return facts


def row_of(metric: Metric) -> tuple[str, str, str, str, str]:
    """Name, kind, unit, labels with their values, help."""
    labelled = "; ".join(f"{label.name} ({values_of(label)})" for label in metric.labels)
    return metric.name, metric.kind.value, metric.unit, labelled, metric.help


def markdown() -> str:
    """The list as a Markdown table."""
    lines = ["| metric | kind | labels | what it says |", "| --- | --- | --- | --- |"]
    for metric in METRICS:
        name, kind, _, labelled, help = row_of(metric)
        lines.append(f"| `{name}` | {kind} | {labelled} | {help} |")
    return "\n".join(lines) + "\n"
