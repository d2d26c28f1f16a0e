"""Rows into a Parquet file; needs the extra rater[parquet]."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rater.files.export_tables import Row, Sheet

_GROUP_ROWS = 50_000
_ARROW = {
    "text": pa.string(),
    "integer": pa.int64(),
    "money": pa.decimal128(19, 6),
    "time": pa.timestamp("us", tz="UTC"),
    "percent": pa.float64(),
}


def write_parquet(table: Sheet, rows: Iterable[Row], target: Path) -> None:
    """Write rows in groups, money as decimals of six places and times in UTC."""
    schema = pa.schema([(name, _ARROW[kind]) for name, kind in table.columns])
    iterator = iter(rows)
    with pq.ParquetWriter(target, schema) as writer:
        while group := list(islice(iterator, _GROUP_ROWS)):
            columns = [
                pa.array(values, type=field.type)
                for values, field in zip(zip(*group, strict=True), schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
