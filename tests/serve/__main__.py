"""`make api`: schemathesis asks a server over a store what its OpenAPI document allows, and much that it does not.

Two of its checks are left out on purpose.  A record that cannot be rated is answered with 200, because it is kept as
a dead letter; and a schema cannot say which numbers and times are possible.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rater.serve.limited_web import LINE_BYTES_MAX
from tests.serve.world import clients_file, serving

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "unsupported_method",
)
SCHEMATHESIS = Path(os.environ.get("SCHEMATHESIS", Path(sys.executable).parent / "schemathesis"))
RIGHTS = ["cdrs", "call-events", "authorize", "commands", "read"]
#: The tool does not know how lines of JSON are sent, and that a server reads no longer line than LINE_BYTES_MAX.
HOOKS = f"""
from urllib.parse import urlencode

import schemathesis

@schemathesis.hook
def filter_query(ctx, query):
    return len(urlencode(query or {{}}, doseq=True)) < {LINE_BYTES_MAX - 1_000}

@schemathesis.serializer("application/x-ndjson")
def lines(ctx, value):
    return str(value).encode()
"""


def main() -> int:
    """Exit as schemathesis does; the long poll is left out, for it waits for orders that never come."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "hooks_of_rater.py").write_text(HOOKS)
        environment = os.environ | {"SCHEMATHESIS_HOOKS": "hooks_of_rater", "PYTHONPATH": folder}
        rights = {"may": RIGHTS, "role": "operator", "records_per_s": 1_000_000, "reads_per_s": 100_000}
        clients = clients_file(Path(folder), switch=rights)
        with serving(Path(folder), clients=clients) as (_, switch):
            words = [
                *(str(SCHEMATHESIS), "run", f"{switch.base}/v1/openapi.json"),
                *("-H", f"Authorization: Bearer {switch.token}", "--checks", ",".join(CHECKS)),
                *("--exclude-path-regex", "metrics|call-commands", "--continue-on-failure", *sys.argv[1:]),
            ]
            return subprocess.run(words, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
