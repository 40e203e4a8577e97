"""Uses S3 or Azure as clients that are not ours do, and prints what it finds there as JSON.

    objects.py WHERE rows PATH...        Parquet files: columns and rows, as read_parquet.py prints them
    objects.py WHERE list FOLDER         every key below a folder, with its size
    objects.py WHERE fetch PATH FILE     copies an object into a local file; prints its size
    objects.py WHERE put PATH FILE       copies a local file into an object; prints its size

WHERE is JSON: kind (`s3` or `azure`), address, account, key. A path begins with the bucket or container.
"""

import json
import sys

import pyarrow
import pyarrow.fs
import pyarrow.parquet

from read_parquet import text


def connect(kind, address, account, key):
    if kind == "s3":
        return pyarrow.fs.S3FileSystem(
            endpoint_override=address, scheme="http", region="us-east-1", access_key=account, secret_key=key
        )
    return pyarrow.fs.AzureFileSystem(
        account,
        account_key=key,
        blob_storage_authority=address,
        blob_storage_scheme="http",
        dfs_storage_authority=address,
        dfs_storage_scheme="http",
    )


def rows(objects, *paths):
    tables = [pyarrow.parquet.read_table(path, filesystem=objects, partitioning=None) for path in paths]
    table = pyarrow.concat_tables(tables)
    columns = [[field.name, str(field.type)] for field in table.schema]
    values = zip(*(column.to_pylist() for column in table.columns))
    return {"columns": columns, "rows": [[text(value) for value in row] for row in values]}


def listing(objects, folder):
    below = pyarrow.fs.FileSelector(folder, recursive=True, allow_not_found=True)
    found = [entry for entry in objects.get_file_info(below) if entry.type == pyarrow.fs.FileType.File]
    return {entry.path: entry.size for entry in found}


def copy(source, target):
    size = 0
    while piece := source.read(1 << 20):
        size += target.write(piece)
    return size


def fetch(objects, path, file):
    with objects.open_input_stream(path) as source, open(file, "wb") as target:
        return copy(source, target)


def put(objects, path, file):
    with open(file, "rb") as source, objects.open_output_stream(path) as target:
        return copy(source, target)


def main():
    where, what, *arguments = sys.argv[1:]
    objects = connect(**json.loads(where))
    json.dump({"rows": rows, "list": listing, "fetch": fetch, "put": put}[what](objects, *arguments), sys.stdout)


if __name__ == "__main__":
    main()
