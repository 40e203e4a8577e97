"""Reads Parquet files as readers that are not ours do, and prints what they see as JSON.

    read_parquet.py READER FILE...

READER is `duckdb` or `pyarrow`. Printed are the columns with the reader's own name for each type, and the rows in
order, each value as a text that both readers agree on, or null.
"""

import datetime
import decimal
import json
import sys


def text(value):
    """The same text for the same value, whoever read it."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "\\x" + bytes(value).hex()
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(datetime.timezone.utc)
        return value.isoformat(sep=" ", timespec="microseconds")
    if isinstance(value, datetime.time):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    return str(value)


def with_duckdb(files):
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    relation = connection.read_parquet(files, hive_partitioning=False)
    columns = [[name, str(kind)] for name, kind in zip(relation.columns, relation.types)]
    return columns, relation.fetchall()


def with_pyarrow(files):
    import pyarrow
    import pyarrow.parquet

    tables = [pyarrow.parquet.ParquetFile(file).read() for file in files]
    table = pyarrow.concat_tables(tables)
    columns = [[field.name, str(field.type)] for field in table.schema]
    return columns, zip(*(column.to_pylist() for column in table.columns))


def main():
    reader, files = sys.argv[1], sys.argv[2:]
    columns, rows = {"duckdb": with_duckdb, "pyarrow": with_pyarrow}[reader](files)
    json.dump({"columns": columns, "rows": [[text(value) for value in row] for row in rows]}, sys.stdout)


if __name__ == "__main__":
    main()
