"""When the certificates end by which this process reaches the broker, as a metric.

They are those of the start: a file that is replaced later counts after a restart.
"""

from rater.kafka.settings import KafkaSettings
from rater.ops.certificates import expires_at
from rater.ops.metrics.labels import CertificateUse
from rater.ops.metrics.meter import Metrics


def note_ends(metrics: Metrics, settings: KafkaSettings) -> None:
    """Set the end of each certificate that is set; RaterError for a file that holds none."""
    for use, path in (
        (CertificateUse.CLIENT, settings.certificate_file),
        (CertificateUse.BROKER_CA, settings.ca_file),
    ):
        if path is not None:
            metrics.certificate(use, expires_at(path))
