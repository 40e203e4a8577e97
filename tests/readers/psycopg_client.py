"""Uses a server as psycopg does: parameters, binary answers, COPY, a rollback, an error. Prints what came of it.

    psycopg_client.py PORT
"""

import json
import sys

import psycopg


def connect(user):
    return psycopg.connect(host="127.0.0.1", port=int(sys.argv[1]), user=user, dbname="ebbtide", autocommit=True)


def main():
    told = {}
    with connect("admin") as admin, admin.cursor() as cursor:
        with cursor.copy("COPY life.events (_user_id, id, kind) FROM STDIN") as copy:
            for number in range(1000):
                copy.write_row((f"user {number % 7}", number, None if number % 3 == 0 else "copied\tand\nmore"))
        cursor.execute("SELECT count(*) FROM life.events")
        told["copied"] = cursor.fetchone()[0]

    with connect("ana") as ana, ana.cursor(binary=True) as cursor:
        cursor.executemany(
            "INSERT INTO life.events (id, kind, score, good, raw) VALUES (%s, %s, %s, %s, %s)",
            [(1, "one", 1.5, True, b"\x00\xff"), (2, None, None, False, None), (3, "three", -0.25, None, b"")],
        )
        cursor.execute("SELECT count(*) FROM life.events")
        told["own_rows"] = cursor.fetchone()[0]
        cursor.execute("SELECT id, kind, score, good, raw FROM life.events WHERE id = %s", (1,))
        *values, raw = cursor.fetchone()
        told["first"] = [*values, raw.hex()]
        try:
            with ana.transaction():
                cursor.execute("INSERT INTO life.events (id) VALUES (%s)", (4,))
                raise psycopg.Rollback()
        except psycopg.Rollback:
            pass
        cursor.execute("SELECT count(*) FROM life.events")
        told["after_rollback"] = cursor.fetchone()[0]
        try:
            cursor.execute("DELETE FROM life.events WHERE id = 1")
        except psycopg.Error as error:
            told["refused"] = error.sqlstate
        cursor.execute("SELECT 1::bigint")
        told["lives_on"] = cursor.fetchone()[0]
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
