"""What a user would write first: a plain Faust agent with a table and one output, at least once.

It decodes a record, counts a price against the tenant's balance and sends a debit: no pools, no duplicates, no
corrections.  `benchmarks/kafka.py` runs it beside the rater, as `faust -A benchmarks.faust_agent worker`.
"""

import os

import faust
import orjson
from faust.types import StreamT

PREFIX = os.environ.get("RATER_PREFIX", "")
app = faust.App(
    f"{PREFIX}agent",
    broker=f"kafka://{os.environ.get('RATER_BOOTSTRAP', '127.0.0.1:9092')}",
    value_serializer="raw",
    key_serializer="raw",
    store="memory://",
    topic_partitions=int(os.environ.get("RATER_PARTITIONS", "4")),
    topic_replication_factor=1,
    broker_commit_every=2000,
    web_enabled=False,
)
cdrs = app.topic(f"{PREFIX}cdrs", key_type=bytes, value_type=bytes)
debits = app.topic(f"{PREFIX}agent-debits", key_type=bytes, value_type=bytes)
balances = app.Table(f"{PREFIX}agent-balances", default=int, schema=faust.Schema(key_type=bytes, value_type=bytes))


@app.agent(cdrs)
async def rate(stream: StreamT[bytes]) -> None:
    """Charge every minute the same; a call of no seconds has no `duration_s`."""
    async for key, raw in stream.items():
        call = orjson.loads(raw)
        charge = 10_000 * -(-call.get("duration_s", 0) // 60)
        balance = int(balances.get(key) or 0) - charge
        balances[key] = str(balance).encode()
        await debits.send(key=key, value=orjson.dumps({"usage_id": call["usage_id"], "amount": charge}))
