"""What the worker answers over HTTP: is it alive, is it ready, the state of each partition, and the metrics.

Each answer is a status and a text.
"""

from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from rater.kafka.observe import Standing
from rater.kafka.rating_task import RatingTask
from rater.kafka.worker import Worker
from rater.wire.visible import visible

Answer = tuple[int, str]


def livez(worker: Worker | None) -> Answer:
    """200 while the loop turns and the worker runs: who gets this answer has seen both."""
    if worker is not None and worker.running:
        return 200, "alive\n"
    return 503, "the worker does not run\n"


def readyz(worker: Worker | None) -> Answer:
    """200 when every partition that the group gave is restored and rating."""
    if worker is None or not worker.running:
        return 503, "not started\n"
    if worker.failed:
        return 503, f"partitions stopped: {sorted(worker.failed)}; see /healthz?verbose and the log\n"
    if not worker.ready:
        waiting = sorted(worker.assigned - {n for n, task in worker.tasks.items() if task.restored})
        return 503, f"restoring partitions {waiting}\n"
    return 200, "ready\n"


def healthz(worker: Worker | None) -> Answer:
    """One line for each partition: its state and since when, its positions, how often and why it was acquired."""
    status, first = readyz(worker)
    if worker is None:
        return status, first
    lines = [first]
    for partition, task in sorted(worker.tasks.items()):
        lines.append(line_of(partition, task, worker.standings.get(partition)))
    lines.extend(f"partition {partition}: stopped: {wrong}\n" for partition, wrong in sorted(worker.failed.items()))
    return status, "".join(lines)


def line_of(partition: int, task: RatingTask, standing: Standing | None) -> str:
    """A partition's state and since when, how far a restore is, positions, and why it was lost the last time."""
    if standing is None:
        return f"partition {partition}: given by the group, not acquired yet\n"
    since = standing.since.isoformat(timespec="seconds").replace("+00:00", "Z")
    facts = [
        f"{'rating' if task.restored else 'restoring'} since {since}",
        "" if task.restored else f"{standing.records} records read",
        " ".join(f"{topic}@{offset}" for topic, offset in sorted(task.positions.items())),
        f"acquired {task.ownerships} times",
        f"the last time because of: {visible(standing.doubt)}" if standing.doubt else "",
    ]
    return f"partition {partition}: {', '.join(filter(None, facts))}\n"


def metrics(worker: Worker) -> tuple[bytes, str]:
    """The metrics as OpenMetrics text, and its content type."""
    worker.measure()
    return generate_latest(worker.registry), CONTENT_TYPE_LATEST  # type: ignore[no-untyped-call]  # the library's own gap
