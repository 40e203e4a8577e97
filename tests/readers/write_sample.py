"""Writes a Parquet file with a column of every type that Ebbtide has, for the test of the readers themselves.

    write_sample.py FILE
"""

import datetime
import decimal
import json
import sys

import pyarrow
import pyarrow.parquet

UTC = datetime.timezone.utc
COLUMNS = [
    ("boolean", pyarrow.bool_(), True),
    ("smallint", pyarrow.int16(), -5),
    ("int", pyarrow.int32(), 1 << 30),
    ("bigint", pyarrow.int64(), -(1 << 62)),
    ("real", pyarrow.float32(), 0.5),
    ("double", pyarrow.float64(), 1e300),
    ("decimal", pyarrow.decimal128(12, 2), decimal.Decimal("-1234.50")),
    ("text", pyarrow.string(), "tide ☃ \n"),
    ("bytea", pyarrow.binary(), b"\x00\xff"),
    ("date", pyarrow.date32(), datetime.date(1969, 12, 31)),
    ("time", pyarrow.time64("us"), datetime.time(23, 59, 59, 999999)),
    ("timestamp", pyarrow.timestamp("us"), datetime.datetime(2026, 11, 22, 10, 0, 0, 1)),
    ("timestamptz", pyarrow.timestamp("us", tz="UTC"), datetime.datetime(2026, 11, 22, 10, tzinfo=UTC)),
]


def main():
    schema = pyarrow.schema([(name, kind) for name, kind, _ in COLUMNS])
    rows = {name: [value, None] for name, _, value in COLUMNS}
    pyarrow.parquet.write_table(pyarrow.table(rows, schema=schema), sys.argv[1], compression="zstd")
    json.dump([name for name, _, _ in COLUMNS], sys.stdout)


if __name__ == "__main__":
    main()
