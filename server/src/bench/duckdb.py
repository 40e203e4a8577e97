"""DuckDB's partitioned COPY of the rows that a flush wrote, from memory. Prints JSON.

Arguments: the folder with the segments, a folder to write to, the number of threads.
"""
import json
import os
import shutil
import sys
import time

import duckdb

segments, target, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
connection = duckdb.connect()
connection.execute(f"SET threads TO {threads}")
connection.execute("SET enable_progress_bar TO false")
seconds = {}
for order in ("_seq", "_user_id, _seq"):
    connection.execute(
        f"CREATE OR REPLACE TABLE chat AS FROM read_parquet('{segments}/**/*.parquet', hive_partitioning = false) ORDER BY {order}"
    )
    rows = connection.execute("SELECT count(*) FROM chat").fetchone()[0]
    shutil.rmtree(target, ignore_errors=True)
    began = time.perf_counter()
    connection.execute(f"COPY chat TO '{target}' (FORMAT parquet, PARTITION_BY (_user_id), COMPRESSION zstd)")
    seconds["arrival" if order == "_seq" else "user"] = time.perf_counter() - began
    files = sum(len(names) for _, _, names in os.walk(target))
    shutil.rmtree(target, ignore_errors=True)
print(json.dumps({"version": duckdb.__version__, "rows": rows, "files": files, "seconds": seconds}))
