"""The samples of every switch that a preset reads, published to Kafka with their sites' mappings."""

from rater.core import CallRecord, Refusal
from rater.files.mappings import load
from rater.wire.codec import decode_cdr
from rater.wire.errors import Exit
from tests.commands import invoke
from tests.kafka.deployment import Deployment
from tests.mappings.test_samples import SITES


def test_every_switchs_sample_comes_in_over_kafka(deployment: Deployment) -> None:
    """What is rated of a file is a call record on `cdrs`; what is refused is named with its reason, and exit 3."""
    expected: list[str] = []
    where = (f"--bootstrap={deployment.settings.bootstrap}", f"--prefix={deployment.settings.prefix}")
    for site in sorted(SITES.glob("*.yaml")):
        (sample,) = SITES.glob(f"{site.stem}.sample.*")
        made = [one for one, _ in load(str(site)).read(sample.read_bytes())]
        expected += [one.usage_id for one in made if isinstance(one, CallRecord)]
        refused = [one for one in made if isinstance(one, Refusal)]
        done = invoke("publish", str(sample), "--map", str(site), *where)
        assert done.exit_code == (Exit.REFUSED if refused else Exit.OK), (site.stem, done.output)
        assert all(one.message in done.output for one in refused), done.output
    published = [decode_cdr(value) for value in deployment.values("cdrs")]
    assert sorted(one.usage_id for one in published if isinstance(one, CallRecord)) == sorted(expected)
    assert len(published) == len(expected)
