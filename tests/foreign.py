"""Engines that hold somebody else's rows: DuckDB, SQLite, PostgreSQL and Spark, each as it is installed here."""

# ruff: noqa: S608 - texts of this file's own, as queries; and packages that may be missing

import json
import os
import pwd
import shutil
import sqlite3
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

_KINDS = {
    "duckdb": {},
    "sqlite": {"int64": "INTEGER", "bool": "BOOLEAN"},
    "postgres": {"int64": "BIGINT", "bool": "BOOLEAN", "list<item: string>": "TEXT[]"},
}


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


class DuckDBRows:
    dialect = "duckdb"

    def __init__(self):
        self.connection = duckdb.connect()

    def put(self, name, table):
        self.connection.register("incoming", table)
        self.connection.execute(f"CREATE OR REPLACE TABLE {quoted(name)} AS SELECT * FROM incoming")

    def ids(self, name, where):
        found = self.connection.execute(f"SELECT id FROM {quoted(name)} WHERE {where}").fetchall()
        return {identity for (identity,) in found}


class DatabaseRows:
    """Over a connection as Python's own API for databases has it."""

    def __init__(self, dialect, connection, mark):
        self.dialect = dialect
        self.connection = connection
        self._mark = mark

    def put(self, name, table):
        cursor = self.connection.cursor()
        kinds = _KINDS[self.dialect]
        columns = ", ".join(f"{quoted(field.name)} {kinds.get(str(field.type), 'TEXT')}" for field in table.schema)
        cursor.execute(f"DROP TABLE IF EXISTS {quoted(name)}")
        cursor.execute(f"CREATE TABLE {quoted(name)} ({columns})")
        marks = ", ".join([self._mark] * len(table.schema))
        rows = [[self._value(value) for value in row.values()] for row in table.to_pylist()]
        cursor.executemany(f"INSERT INTO {quoted(name)} VALUES ({marks})", rows)
        self.connection.commit()

    def _value(self, value):
        return json.dumps(value) if isinstance(value, list) and self.dialect == "sqlite" else value

    def ids(self, name, where):
        cursor = self.connection.cursor()
        cursor.execute(f"SELECT id FROM {quoted(name)} WHERE {where}")
        return {identity for (identity,) in cursor.fetchall()}


class SparkRows:
    dialect = "spark"

    def __init__(self, session):
        self.session = session

    def put(self, name, table):
        self.session.createDataFrame(pa.table(table)).createOrReplaceTempView(f"`{name}`")

    def ids(self, name, where):
        return {row["id"] for row in self.session.sql(f"SELECT id FROM `{name}` WHERE {where}").collect()}


def sqlite_rows():
    return DatabaseRows("sqlite", sqlite3.connect(":memory:"), "?")


def postgres_programs():
    """Return the folder with PostgreSQL's own programs; none where it is not installed."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((folder for folder in reversed(folders) if (folder / "initdb").exists()), None)


@contextmanager
def postgres_server():
    """Run a PostgreSQL server of its own, reached through a socket, and give the URL of its database."""
    programs = postgres_programs()
    folder = Path(tempfile.mkdtemp(prefix="volition-pg-"))
    as_user = {}
    if os.geteuid() == 0:  # it refuses to run as root
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid}

    def run(program, *arguments):
        done = subprocess.run(
            [programs / program, *arguments],
            cwd=folder,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **as_user,
        )
        assert done.returncode == 0, done.stdout

    data = folder / "data"
    run("initdb", "-D", data, "-U", "volition", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
    options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
    log = folder / "log"
    run("pg_ctl", "-D", data, "-l", log, "-w", "-o", options, "start")
    try:
        yield f"postgresql://volition@/postgres?host={folder}"
    finally:
        run("pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder)
